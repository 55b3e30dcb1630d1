//! `dictum classify`: sentences in, labels out, line by line.

use std::process::ExitCode;

use clap::Args;

use super::args::{ModelRef, Place, share};
use super::client::Client;
use super::error::CliError;
use super::folder::Folder;
use super::output::classification::{self, Answer};
use super::output::{Format, Output, OutputArgs};
use super::sentences::Sentences;
use crate::proto::ClassifyOptions;

const EXAMPLES: &str = "\
Examples:
  dictum classify \"We had nothing to do with it, the minister said.\"
  dictum classify --explain \"The mayor accused the company of hiding the leak.\"
  dictum classify --model mine --top-k 3 \"Where is my card?\"
  dictum classify --json --min-probability 0.8 < sentences.txt

In a pipe each answer is a line of LABEL, PROBABILITY and SENTENCE with tabs between them. An answer
without a label has the reason in its place: (low probability) or (no known word). Blank lines of
the input are passed over. A sentence that cannot be classified is reported on stderr, the others
are classified all the same, and the exit code is 1.";

/// Classify sentences: give them as arguments, or one a line on the standard input
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ClassifyArgs {
    /// Sentences, each in quotation marks; without any, they are read from the standard input
    #[arg(value_name = "SENTENCE")]
    sentences: Vec<String>,
    /// Model that answers, and which version of it if not the active one [default: the built-in
    /// news-statements; with --server, the server's default model]
    #[arg(long, value_name = "NAME[@VERSION]", env = "DICTUM_MODEL", hide_env_values = true)]
    model: Option<ModelRef>,
    /// Show why: coloured words on a terminal, and the features with the largest effect
    #[arg(long)]
    explain: bool,
    /// Labels to show, best first; 0 for all [default: 1, with --json all]
    #[arg(long, value_name = "N", env = "DICTUM_TOP_K", hide_env_values = true)]
    top_k: Option<u32>,
    /// Give no label when the best one is less probable than this, from 0 to 1 [default: the
    /// model's own threshold]
    #[arg(long, value_name = "P", value_parser = share)]
    #[arg(env = "DICTUM_MIN_PROBABILITY", hide_env_values = true)]
    min_probability: Option<f64>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    place: Place,
}

/// Runs the subcommand.
pub(super) fn run(args: ClassifyArgs) -> Result<ExitCode, CliError> {
    let mut output = Output::new(args.output);
    let shown = args.top_k.unwrap_or(if output.format() == Format::Json { 0 } else { 1 });
    let (model, version) = ModelRef::in_proto(args.model.as_ref());
    let options = ClassifyOptions {
        model,
        version,
        // On a terminal the longest label says how wide the column is.
        top_k: if output.format() == Format::Terminal { 0 } else { shown },
        min_probability: args.min_probability,
        explain: args.explain,
    };
    let sentences = Sentences::new(args.sentences);
    if sentences.are_typed() {
        anstream::eprintln!("Type a sentence and Enter; end with Ctrl-D.");
    }
    let shown = usize::try_from(shown).unwrap_or(usize::MAX);
    let mut exit_code = ExitCode::SUCCESS;
    let mut print = |answer: &Answer, is_last_for_now| {
        if answer.result.is_err() {
            exit_code = ExitCode::FAILURE;
        }
        classification::print(&mut output, answer, shown)?;
        if is_last_for_now { output.flush() } else { Ok(()) }
    };
    match args.place {
        Place::Folder(models) => Folder::open(models)?.classify(sentences, &options, &mut print)?,
        Place::Server(server) => {
            Client::connect(&server)?.classify(sentences, options, |answer| print(answer, true))?;
        }
    }
    output.flush()?;
    Ok(exit_code)
}
