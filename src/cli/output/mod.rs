//! Results on stdout: for people as text, for programs as JSON.
//!
//! - `text`: numbers, sizes, and text that is safe to print.
//! - `table`: rows and columns.
//! - `json`: messages of the contract, with its own field names.
//! - the others: one kind of result each, from messages of the contract.

pub(super) mod classification;
pub(super) mod data_report;
pub(super) mod evaluation;
mod explanation;
mod json;
pub(super) mod model;
mod table;
pub(super) mod text;

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstream::AutoStream;
use anstyle::Style;
use clap::Args;
use serde::Serialize;

use super::error::CliError;
pub(super) use json::Json;

/// How a heading stands out where colours are shown.
const HEADING: Style = Style::new().bold();
/// How what matters less is drawn back where colours are shown.
const FAINT: Style = Style::new().dimmed();

/// What results look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For a person at a terminal.
    Terminal,
    /// For a person or a program behind a pipe: the same text, plain.
    Plain,
    /// For a program.
    Json,
}

/// How the result is wanted.
#[derive(Debug, Default, Clone, Copy, Args)]
pub(super) struct OutputArgs {
    /// Print JSON, one object a line, with the field names of the gRPC contract
    #[arg(long)]
    json: bool,
}

/// Where results go.
pub(super) struct Output {
    stream: BufWriter<AutoStream<StdoutLock<'static>>>,
    format: Format,
}

impl Output {
    /// Takes stdout. Colours are shown on a terminal, unless `NO_COLOR` or the like say otherwise.
    pub(super) fn new(args: OutputArgs) -> Self {
        let format = match args {
            OutputArgs { json: true } => Format::Json,
            OutputArgs { json: false } if io::stdout().is_terminal() => Format::Terminal,
            OutputArgs { json: false } => Format::Plain,
        };
        Self { stream: BufWriter::new(AutoStream::auto(io::stdout().lock())), format }
    }

    /// What results look like.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Writes text as it is.
    pub(super) fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.stream.write_all(text.as_bytes()).map_err(CliError::Write)
    }

    /// Writes one line of JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        match serde_json::to_writer(&mut self.stream, value) {
            Ok(()) => self.text("\n"),
            Err(e) if e.is_io() => Err(CliError::Write(e.into())),
            Err(e) => Err(CliError::Json(e.to_string())),
        }
    }

    /// Writes a result as what is wanted, and lets it be seen.
    pub(super) fn result(
        &mut self,
        value: &impl Serialize,
        text: impl FnOnce(Format) -> String,
    ) -> Result<(), CliError> {
        match self.format {
            Format::Json => self.json(value)?,
            Format::Terminal | Format::Plain => self.text(&text(self.format))?,
        }
        self.flush()
    }

    /// Lets everything written so far be seen. Ends every command: what is dropped instead may be lost
    /// without a word.
    pub(super) fn flush(&mut self) -> Result<(), CliError> {
        self.stream.flush().map_err(CliError::Write)
    }
}
