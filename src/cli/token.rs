//! `dictum token`: makes a token for callers of a server.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;

use super::error::{CliError, note};
use super::output::{Format, Output, OutputArgs};
use crate::config::Role;
use crate::server::NewToken;

const SECONDS_OF_A_DAY: u64 = 86_400;

const EXAMPLES: &str = "\
Examples:
  dictum token newsroom --role classify >> tokens.toml
  dictum token ci --role train --role admin --days 90 >> tokens.toml

What goes into the file of `dictum serve --tokens` is printed on stdout, the token itself on stderr. It is
kept nowhere: callers send it as `authorization: Bearer TOKEN`, the command takes it from DICTUM_TOKEN.
A running server knows the token within a second.";

/// Make a token that callers of a server show
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TokenArgs {
    /// Whose it is
    #[arg(value_name = "NAME")]
    name: String,
    /// What it is good for: classify, train or admin; may be given several times
    #[arg(long = "role", value_name = "ROLE", value_parser = role, required = true)]
    roles: Vec<Role>,
    /// How long it is good for, 1 to 3,650 days [default: until it is taken out of the file]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Made {
    token: String,
    entry: String,
}

/// Runs the subcommand.
pub(super) fn run(args: TokenArgs) -> Result<ExitCode, CliError> {
    let mut output = Output::new(args.output);
    let life = args.days.map(|days| Duration::from_secs(days * SECONDS_OF_A_DAY));
    let expires = life.map(|life| SystemTime::now() + life);
    let (secret, token) = NewToken::make(args.name, args.roles, expires)
        .map_err(|error| CliError::Start(error.to_string()))?;
    if output.format() == Format::Json {
        output.json(&Made { token: secret, entry: token.to_string() })?;
    } else {
        output.text(&format!("{token}\n"))?;
        note(&format!("token: {secret}"));
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn role(text: &str) -> Result<Role, String> {
    let role = Role::ALL.into_iter().find(|role| role.name() == text);
    role.ok_or_else(|| "expected classify, train or admin".to_owned())
}
