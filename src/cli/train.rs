//! `dictum train`: a labelled CSV becomes a new version of a model.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::args::{CsvArgs, Place, ReportArgs, RetentionArgs, share};
use super::client::Client;
use super::error::CliError;
use super::folder::{Done, Folder, Work};
use super::input::Input;
use super::output::evaluation::Mistakes;
use super::output::{Format, Json, Output, OutputArgs, data_report, evaluation, model, text};
use super::progress::Progress;
use crate::proto::train_model_response::Update;
use crate::proto::{self, ActivationDecision, TrainModelResponse, TrainingSettings, TrainingSpec};
use crate::store::ModelName;
use crate::train::examples::Limits;

const EXAMPLES: &str = "\
Examples:
  dictum train mine.csv
  dictum train mine.csv --model mine --text-column sentence --label-column category
  dictum train mine.csv --report mine.html
  dictum train mine.csv --validate-only --all-findings
  dictum train mine.csv --model mine --target-accuracy 0.95
  dictum train mine.csv --model mine --server http://127.0.0.1:50051
  dictum train large.csv --alpha 0.3 --weighting presence --sample-rows 2000 --no-feature-weights

The CSV needs a header row, a column with sentences and a column with their labels, at least two
labels and two sentences for each:

  text,label
  \"Where is my card?\",card_arrival
  \"It was charged twice.\",wrong_charge

Everything about the estimator is found from the data. Rows that cannot be used are left out and
named by line. The figures are honest: every sentence is judged by tables that had not seen it.

Of data larger than memory (more text than 1 % of --memory-mib) all sentences are counted, and
choices are made and judged on a sample of them. The last example leaves little to choose: one
pass over the file.

A new version answers from now on unless it is significantly worse than the one that does: then it is
stored, and why is said.";

const ESTIMATOR: &str = "Estimator (found from the data where not given)";

/// Train a model on a labelled CSV, and let it answer
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct TrainArgs {
    /// CSV with labelled sentences; '-' for the standard input
    #[arg(value_name = "CSV")]
    csv: PathBuf,
    /// Name of the model; it gets a new version
    #[arg(long, value_name = "NAME", default_value = "default", env = "DICTUM_MODEL")]
    #[arg(hide_env_values = true)]
    model: ModelName,
    #[command(flatten)]
    columns: CsvArgs,
    /// Only store the new version: the active one goes on answering
    #[arg(long)]
    no_activate: bool,
    /// Let the new version answer even if it is significantly worse than the active one
    #[arg(long, conflicts_with_all = ["no_activate", "validate_only"])]
    force: bool,
    /// Only check the data
    #[arg(long, conflicts_with = "report")]
    validate_only: bool,
    /// Name all rows at fault, at most 1,000 of each kind, and not the first 20 only; JSON has all
    #[arg(long)]
    all_findings: bool,
    /// Let the model give no label when the best one is less probable than this, from 0 to 1
    /// [default: 0]
    #[arg(long, value_name = "P", value_parser = share)]
    #[arg(env = "DICTUM_MIN_PROBABILITY", hide_env_values = true)]
    min_probability: Option<f64>,
    /// Let the model give no label as seldom as it can while this share of its labels is right, above
    /// 0 and up to 1
    #[arg(long, value_name = "SHARE", value_parser = target, conflicts_with = "min_probability")]
    #[arg(env = "DICTUM_TARGET_ACCURACY", hide_env_values = true)]
    target_accuracy: Option<f64>,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    estimator: EstimatorArgs,
    #[command(flatten)]
    retention: RetentionArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = ESTIMATOR)]
struct EstimatorArgs {
    /// Lidstone smoothing to choose from, 0.000001 to 1000; may be given up to 16 times
    #[arg(long, value_name = "A", value_parser = alpha, value_delimiter = ',')]
    #[arg(env = "DICTUM_ALPHA", hide_env_values = true, hide_short_help = true)]
    alpha: Vec<f64>,
    /// How features are weighted
    #[arg(long, value_enum, value_name = "WEIGHTING")]
    #[arg(env = "DICTUM_WEIGHTING", hide_env_values = true, hide_short_help = true)]
    weighting: Option<WeightingArg>,
    /// Families of features to use, with commas between them
    #[arg(long, value_enum, value_name = "VIEWS", value_delimiter = ',')]
    #[arg(env = "DICTUM_VIEWS", hide_env_values = true, hide_short_help = true)]
    views: Vec<ViewArg>,
    /// Folds of the cross-validation, 2 to 50 [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=50))]
    #[arg(env = "DICTUM_FOLDS", hide_env_values = true, hide_short_help = true)]
    folds: Option<u32>,
    /// Seed that assigns sentences to folds [default: 1]
    #[arg(long, value_name = "N")]
    #[arg(env = "DICTUM_SEED", hide_env_values = true, hide_short_help = true)]
    seed: Option<u64>,
    /// Choose and judge on so many sentences and only count the others [default: all that fit into
    /// memory, and if there are more, 20000]
    #[arg(long, value_name = "N")]
    #[arg(env = "DICTUM_SAMPLE_ROWS", hide_env_values = true, hide_short_help = true)]
    sample_rows: Option<NonZeroU32>,
    /// Give every feature the weight of its family: trains in a fraction of the time
    #[arg(long)]
    #[arg(env = "DICTUM_NO_FEATURE_WEIGHTS", hide_env_values = true, hide_short_help = true)]
    no_feature_weights: bool,
    /// Memory for the training on this machine, in MiB, 16 to 65536 [default: 1536]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(16..=65_536))]
    #[arg(env = "DICTUM_MEMORY_MIB", hide_env_values = true, hide_short_help = true)]
    memory_mib: Option<u32>,
    /// Threads to use on this machine [default: one per core]
    #[arg(long, value_name = "N")]
    #[arg(env = "DICTUM_THREADS", hide_env_values = true, hide_short_help = true)]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WeightingArg {
    /// Whether a feature occurs
    Presence,
    /// How rare it is as well, over the length of the sentence
    Idf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ViewArg {
    /// Single words
    Word1,
    /// Pairs of words
    Word2,
    /// Triples of words
    Word3,
    /// Words with names and numbers replaced by marks
    Shape,
    /// Parts of words
    Character,
    /// Single words among the first ten
    Lead,
}

/// Runs the subcommand.
pub(super) fn run(args: TrainArgs) -> Result<ExitCode, CliError> {
    let mut output = Output::new(args.output);
    args.report.check(&args.place)?;
    let input = Input::open(&args.csv)?;
    let (spec, threads) = (spec(&args, output.format()), args.estimator.threads);
    let Done { response, mistakes, report } = {
        let progress = Progress::new(input.n_bytes);
        match args.place {
            Place::Folder(models) => {
                let wants_report = args.report.is_wanted();
                let limits = limits(args.estimator.memory_mib);
                let work = Work { threads, limits, progress: &progress, wants_report };
                let folder = Folder::open(models)?.with_retention(args.retention.retention());
                folder.train(spec, input, &work)?
            }
            Place::Server(server) => {
                Done::by_server(Client::connect(&server)?.train(spec, input, &progress)?)
            }
        }
    };
    let written = args.report.write(report.as_deref());
    output.result(&Json(&response), |format| render(&response, &mistakes, format))?;
    // The model is there, and has been told of, even where the page is not.
    written?;
    Ok(ExitCode::SUCCESS)
}

fn limits(memory_mib: Option<u32>) -> Limits {
    let default = Limits::default();
    let max_memory_bytes = memory_mib.map_or(default.max_memory_bytes, |mib| u64::from(mib) << 20);
    Limits { max_memory_bytes, ..default }
}

fn spec(args: &TrainArgs, format: Format) -> TrainingSpec {
    let estimator = &args.estimator;
    let weighting = match estimator.weighting {
        None => proto::Weighting::Unspecified,
        Some(WeightingArg::Presence) => proto::Weighting::Presence,
        Some(WeightingArg::Idf) => proto::Weighting::Idf,
    };
    let settings = TrainingSettings {
        alphas: estimator.alpha.clone(),
        weighting: weighting.into(),
        views: estimator.views.iter().map(|view| view.in_proto().into()).collect(),
        folds: estimator.folds.unwrap_or_default(),
        seed: estimator.seed,
        sample_rows: estimator.sample_rows.map_or(0, NonZeroU32::get),
        no_feature_weights: estimator.no_feature_weights,
    };
    TrainingSpec {
        model: args.model.to_string(),
        text_column: args.columns.text_column.clone(),
        label_column: args.columns.label_column.clone(),
        validate_only: args.validate_only,
        activate: Some(!args.no_activate),
        delimiter: args.columns.delimiter_text(),
        settings: Some(settings),
        min_probability: args.min_probability,
        force: args.force,
        target_accuracy: args.target_accuracy,
        // A person reads the first, a program takes all.
        all_findings: args.all_findings || format == Format::Json,
    }
}

impl ViewArg {
    fn in_proto(self) -> proto::View {
        match self {
            Self::Word1 => proto::View::Word1,
            Self::Word2 => proto::View::Word2,
            Self::Word3 => proto::View::Word3,
            Self::Shape => proto::View::Shape,
            Self::Character => proto::View::Character,
            Self::Lead => proto::View::Lead,
        }
    }
}

/// What a person wants to know: is there a model, what about the data, how good is it, what now.
fn render(response: &TrainModelResponse, mistakes: &Mistakes, format: Format) -> String {
    let report = response.data_report.clone().unwrap_or_default();
    let trained = match &response.update {
        Some(Update::Model(model)) => Some(model),
        Some(Update::Progress(_)) | None => None,
    };
    let mut text = match trained {
        Some(model) => model::headline(model),
        None => format!(
            "{} of {} can be learned from; nothing was trained\n",
            text::whole(report.used_count),
            text::count(report.row_count, "row")
        ),
    };
    text.push_str(&decision(response));
    text.push_str(&data_report::render(&report, format));
    if let Some(evaluation) = trained.and_then(|model| model.evaluation.as_ref()) {
        text.push('\n');
        text.push_str(&evaluation::render(evaluation, mistakes, format));
    }
    if let (Some(model), Format::Terminal) = (trained, format) {
        text.push_str(&model::hint(model));
    }
    text
}

/// What was decided about activation and abstaining, a line each; nothing of what is as usual.
fn decision(response: &TrainModelResponse) -> String {
    let mut lines = String::new();
    if let Some(activation) = &response.activation
        && activation.decision() != ActivationDecision::First
    {
        lines.push_str(&format!("{}\n", text::visible(&activation.message)));
    }
    if let Some(point) = &response.threshold {
        let [coverage, accuracy] = [point.coverage, point.accuracy].map(text::percent);
        let threshold = point.min_probability;
        lines.push_str(&format!(
            "abstains below probability {threshold:.4}: answers {coverage} of the sentences, {accuracy} \
             of these right\n"
        ));
    }
    lines
}

/// Reads the share of labels that are to be right.
fn target(text: &str) -> Result<f64, String> {
    share(text)
        .ok()
        .filter(|share| *share > 0.0)
        .ok_or_else(|| "expected a number above 0 and up to 1".to_owned())
}

/// Reads a smoothing value.
fn alpha(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(alpha) if (1e-6..=1000.0).contains(&alpha) => Ok(alpha),
        Ok(_) | Err(_) => Err("expected a number from 0.000001 to 1000".to_owned()),
    }
}
