//! A CSV is trained on or judged by here, on threads of our own.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Folder;
use crate::cli::error::{CliError, chain};
use crate::cli::input::Input;
use crate::cli::output::evaluation::Mistakes;
use crate::cli::progress::Progress;
use crate::model::{Model, Options, Parts, Scorer};
use crate::proto::{self, EvaluateModelResponse, EvaluationSpec, TrainModelResponse, TrainingSpec};
use crate::server::activation::{self, Incumbent};
use crate::server::models::ServedModel;
use crate::server::response;
use crate::server::spec::{self, TrainingPlan};
use crate::store::{ModelName, StoreError};
use crate::train::examples::{CsvOptions, Dataset, Limits, read_csv};
use crate::train::{Observer, Stage, check_labels, evaluate, examine, train};

/// Most lines that are named for one confusion.
const MAX_LINES: usize = 3;
/// Sentences that one thread classifies in a row.
const CHUNK: usize = 256;

impl Folder {
    /// Trains a model and stores it.
    pub(in crate::cli) fn train(
        &self,
        spec: TrainingSpec,
        input: Input,
        threads: Option<NonZeroUsize>,
        progress: &Progress,
    ) -> Result<TrainModelResponse, CliError> {
        let plan = TrainingPlan::try_from(spec)?;
        let name = input.name.clone();
        let dataset = read(input, &plan.csv, progress)?;
        let unusable = |source| CliError::Train { name: name.clone(), source };
        check_labels(&dataset).map_err(unusable)?;
        let pool = pool(threads)?;
        if plan.validate_only {
            let report = pool.install(|| examine(&dataset, progress)).map_err(unusable)?;
            let data_report = Some(response::full_data_report(&report, plan.all_findings));
            return Ok(TrainModelResponse { data_report, ..Default::default() });
        }
        let trained = pool.install(|| train(&dataset, &plan.settings, progress));
        let trained = trained.map_err(unusable)?;
        let incumbent = self.incumbent(&plan.name)?;
        let new = (&trained, &dataset);
        let decided = pool.install(|| activation::decide(plan.wish, &incumbent, new, progress));
        let decided = decided.map_err(unusable)?;
        progress.progress(Stage::Storing, 1.0);
        let model = self.publish(&plan, &trained.parts, activation::activates(&decided))?;
        Ok(response::trained(&plan, &trained, model, decided))
    }

    /// What answers now under a name that is trained.
    fn incumbent(&self, name: &ModelName) -> Result<Incumbent, CliError> {
        let version = match self.repository.active(name) {
            Ok(Some(version)) => version,
            Ok(None) => return Ok(Incumbent::Nobody),
            Err(StoreError::Record { .. }) => return Ok(Incumbent::Unreadable),
            Err(error) => return Err(error.into()),
        };
        Ok(match self.load(name, version) {
            Ok(model) => Incumbent::Version(version, model),
            Err(error) => {
                tracing::warn!(model = %name, version, error = chain(&error), "not compared");
                Incumbent::Unreadable
            }
        })
    }

    fn publish(
        &self,
        plan: &TrainingPlan,
        parts: &Parts,
        activate: bool,
    ) -> Result<proto::Model, CliError> {
        // Made before it is stored: what is not a model is never stored.
        let model = Arc::new(Model::try_new(parts)?);
        let version = self.repository.publish(&plan.name, parts)?;
        if activate {
            self.repository.activate(&plan.name, version)?;
        }
        self.describe(&ServedModel { name: plan.name.to_string(), version, model })
    }

    /// Judges a model, and says on which lines it is wrong.
    pub(in crate::cli) fn evaluate(
        &self,
        spec: EvaluationSpec,
        input: Input,
        threads: Option<NonZeroUsize>,
        progress: &Progress,
    ) -> Result<(EvaluateModelResponse, Mistakes), CliError> {
        let (target, csv) = spec::evaluation(spec)?;
        let served = self.resolve(&target)?;
        let name = input.name.clone();
        let dataset = read(input, &csv, progress)?;
        if dataset.examples.is_empty() {
            return Err(CliError::NoExamples { name });
        }
        progress.say("judging");
        let (evaluation, mistakes) = pool(threads)?.install(|| {
            (evaluate(&served.model, &dataset, progress), mistakes(&served.model, &dataset))
        });
        let evaluation = evaluation.map_err(|source| CliError::Train { name, source })?;
        let response = EvaluateModelResponse {
            evaluation: Some(response::evaluation(&evaluation)),
            model_version: Some(response::model_version(&served)),
            data_report: Some(response::data_report(&dataset.report)),
        };
        Ok((response, mistakes))
    }
}

fn read(input: Input, options: &CsvOptions, progress: &Progress) -> Result<Dataset, CliError> {
    let Input { reader, name, .. } = input;
    read_csv(reader, options, &Limits::default(), |read| progress.read(read))
        .map_err(|source| CliError::Csv { name, source })
}

/// Starts as many threads as wanted, or one per core.
fn pool(threads: Option<NonZeroUsize>) -> Result<ThreadPool, CliError> {
    ThreadPoolBuilder::new()
        .num_threads(threads.map_or(0, NonZeroUsize::get))
        .build()
        .map_err(|e| CliError::Start(e.to_string()))
}

/// Returns the first lines of each confusion, by right label and given label. A threshold for abstaining
/// plays no part, as in the evaluation.
fn mistakes(model: &Model, dataset: &Dataset) -> Mistakes {
    let chunks: Vec<Vec<Option<usize>>> = dataset
        .examples
        .par_chunks(CHUNK)
        .map(|examples| {
            let mut scorer = Scorer::default();
            let mut best = |text: &str| {
                let answer = scorer.classify(model, text, &Options::default());
                answer.ranked(1).first().map(|(label, _)| *label)
            };
            examples.iter().map(|example| best(&example.text)).collect()
        })
        .collect();
    let mut mistakes: Mistakes = BTreeMap::new();
    for (example, best) in dataset.examples.iter().zip(chunks.into_iter().flatten()) {
        let right = dataset.labels.get(example.label);
        let given = best.and_then(|label| model.labels().get(label));
        if let (Some(right), Some(given)) = (right, given)
            && right != given
        {
            let lines = mistakes.entry((right.clone(), given.clone())).or_default();
            if lines.len() < MAX_LINES {
                lines.push(example.line);
            }
        }
    }
    mistakes
}
