//! The command `dictum`: one thin file per subcommand.
//!
//! Whether the work is done here (`folder`) or by a server (`client`), the result is a message of the
//! contract, so both are printed by the same code (`output`). Results go to stdout, everything else
//! to stderr. The exit code is 0 when it was done, 1 when it failed, 2 for wrong use.

mod access;
mod args;
mod classify;
mod client;
mod error;
mod evaluate;
mod folder;
mod health;
mod input;
mod keys;
mod lines;
mod models;
mod output;
mod progress;
mod sentences;
mod serve;
mod settings;
mod token;
mod train;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;

const ABOUT: &str = "Sorts sentences under labels, and learns how from a labelled CSV";

const LONG_ABOUT: &str = "\
Sorts sentences under labels, and learns how from a labelled CSV.

It works on its own in a shell, and as a gRPC server for other programs. A model for news
statements is built in (accusation, denial, official_statement, expert_analysis, background), so it
answers at once; train one for your own labels with `dictum train`.";

const EXAMPLES: &str = "\
Examples:
  dictum classify \"We had nothing to do with it, the minister said.\"
  dictum train mine.csv --model mine
  dictum classify --model mine --explain \"Where is my card?\"
  dictum serve

`dictum COMMAND --help` says more about each. Where models are kept, and most other settings, can
also be set in the environment, as the help of each command says.";

#[derive(Debug, Parser)]
#[command(name = "dictum", version, about = ABOUT, long_about = LONG_ABOUT, after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::ServeArgs>),
    Train(Box<train::TrainArgs>),
    Classify(classify::ClassifyArgs),
    Evaluate(evaluate::EvaluateArgs),
    Models(models::ModelsArgs),
    Health(health::HealthArgs),
    Token(token::TokenArgs),
}

/// Runs the command with these arguments, the first being the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(usage) => {
            // Where nobody can read it, the exit code says enough.
            usage.print().ok();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    run(command).unwrap_or_else(|error| error.report())
}

fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Train(args) => train::run(*args),
        Command::Classify(args) => classify::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Models(args) => models::run(args),
        Command::Health(args) => health::run(args),
        Command::Token(args) => token::run(args),
    }
}

#[cfg(test)]
mod tests;
