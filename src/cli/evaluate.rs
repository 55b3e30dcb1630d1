//! `dictum evaluate`: how well a model does on a labelled CSV.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::args::{CsvArgs, ModelRef, Place, ReportArgs};
use super::client::Client;
use super::error::CliError;
use super::folder::{Done, Folder, Work};
use super::input::Input;
use super::output::evaluation::Mistakes;
use super::output::{Format, Json, Output, OutputArgs, data_report, evaluation, text};
use super::progress::Progress;
use crate::proto::{EvaluateModelResponse, EvaluationSpec};
use crate::train::examples::Limits;

const EXAMPLES: &str = "\
Examples:
  dictum evaluate test.csv --model mine
  dictum evaluate test.csv --model mine@3
  dictum evaluate test.csv --model mine --report mine.html
  dictum evaluate test.csv --json

The figures mean something only for sentences that the model was not trained on. Sentences under a
label that the model does not know count as wrong.";

/// Judge a model on a labelled CSV
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EvaluateArgs {
    /// CSV with labelled sentences; '-' for the standard input
    #[arg(value_name = "CSV")]
    csv: PathBuf,
    /// Model to judge, and which version of it if not the active one [default: the built-in
    /// news-statements; with --server, the server's default model]
    #[arg(long, value_name = "NAME[@VERSION]", env = "DICTUM_MODEL", hide_env_values = true)]
    model: Option<ModelRef>,
    #[command(flatten)]
    columns: CsvArgs,
    /// Name all rows at fault, at most 1,000 of each kind, and not the first 20 only; JSON has all
    #[arg(long)]
    all_findings: bool,
    /// Threads to use on this machine [default: one per core]
    #[arg(long, value_name = "N", env = "DICTUM_THREADS", hide_env_values = true)]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    place: Place,
}

/// Runs the subcommand.
pub(super) fn run(args: EvaluateArgs) -> Result<ExitCode, CliError> {
    let mut output = Output::new(args.output);
    args.report.check(&args.place)?;
    let input = Input::open(&args.csv)?;
    let (name, version) = ModelRef::in_proto(args.model.as_ref());
    let spec = EvaluationSpec {
        model: name,
        version,
        text_column: args.columns.text_column.clone(),
        label_column: args.columns.label_column.clone(),
        delimiter: args.columns.delimiter_text(),
        // A person reads the first, a program takes all.
        all_findings: args.all_findings || output.format() == Format::Json,
    };
    let Done { response, mistakes, report } = {
        let progress = Progress::new(input.n_bytes);
        match args.place {
            Place::Folder(models) => {
                let wants_report = args.report.is_wanted();
                let limits = Limits::default();
                let work =
                    Work { threads: args.threads, limits, progress: &progress, wants_report };
                Folder::open(models)?.evaluate(spec, input, &work)?
            }
            Place::Server(server) => {
                progress.say("judging");
                Done::by_server(Client::connect(&server)?.evaluate(spec, input)?)
            }
        }
    };
    args.report.write(report.as_deref())?;
    output.result(&Json(&response), |format| render(&response, &mistakes, format))?;
    Ok(ExitCode::SUCCESS)
}

fn render(response: &EvaluateModelResponse, mistakes: &Mistakes, format: Format) -> String {
    let mut text = format!("{}\n", text::version(response.model_version.as_ref()));
    if let Some(report) = &response.data_report {
        text.push_str(&data_report::render(report, format));
    }
    if let Some(evaluation) = &response.evaluation {
        text.push('\n');
        text.push_str(&evaluation::render(evaluation, mistakes, format));
    }
    text
}
