//! The program `dictum`: see [`dictum::cli`].

use std::{env, process::ExitCode};

/// A call allocates and frees some dozens of times.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    dictum::cli::main(env::args_os())
}
