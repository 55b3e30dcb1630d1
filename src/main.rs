//! The program `dictum`: see [`dictum::cli`].

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    dictum::cli::main(env::args_os())
}
