//! A CSV is trained on or judged by here, on threads of our own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Folder;
use crate::cli::error::{CliError, chain};
use crate::cli::input::Input;
use crate::cli::output::evaluation::{Mistake, Mistakes};
use crate::cli::progress::Progress;
use crate::model::{Model, Parts};
use crate::proto::{EvaluateModelResponse, EvaluationSpec, TrainModelResponse, TrainingSpec};
use crate::report::{Report, Training, learning, telling};
use crate::server::activation::{self, Incumbent};
use crate::server::models::ServedModel;
use crate::server::response;
use crate::server::spec::{EvaluationPlan, TrainingPlan};
use crate::store::{ModelName, StoreError};
use crate::train::examples::{CsvOptions, Dataset, Limits, read_csv, read_csv_into};
use crate::train::{
    Judged, Observer, Stage, TrainError, check_labels, collect, examine, judge, sum_up, train,
};

/// Most sentences that are shown for one confusion.
const MAX_SENTENCES: usize = 2;

/// How the work is to be done.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Work<'a> {
    /// Threads to use; `None`: one per core.
    pub(in crate::cli) threads: Option<NonZeroUsize>,
    /// How much data is taken in, in how much memory.
    pub(in crate::cli) limits: Limits,
    /// Hears how far it is.
    pub(in crate::cli) progress: &'a Progress,
    /// Whether a page is wanted.
    pub(in crate::cli) wants_report: bool,
}

/// What came of the work.
#[derive(Debug)]
pub(in crate::cli) struct Done<R> {
    /// What a server would answer.
    pub(in crate::cli) response: R,
    /// Sentences that were given a wrong label.
    pub(in crate::cli) mistakes: Mistakes,
    /// The page, where it is wanted and there is something to say.
    pub(in crate::cli) report: Option<String>,
}

impl<R> Done<R> {
    /// What a server answered: it tells no sentences.
    pub(in crate::cli) fn by_server(response: R) -> Self {
        Self { response, mistakes: Mistakes::new(), report: None }
    }
}

impl Folder {
    /// Trains a model and stores it.
    pub(in crate::cli) fn train(
        &self,
        spec: TrainingSpec,
        input: Input,
        work: &Work<'_>,
    ) -> Result<Done<TrainModelResponse>, CliError> {
        let plan = TrainingPlan::try_from(spec)?;
        let name = input.name.clone();
        let pool = pool(work.threads)?;
        let dataset = collected(input, &plan, &pool, work)?;
        let unusable = |source| CliError::Train { name: name.clone(), source };
        check_labels(&dataset).map_err(unusable)?;
        if plan.validate_only {
            let report = pool.install(|| examine(&dataset, work.progress)).map_err(unusable)?;
            let data_report = Some(response::data_report(&report, plan.all_findings));
            return Ok(Done::by_server(TrainModelResponse { data_report, ..Default::default() }));
        }
        let _claim = self.repository.begin_training(&plan.name)?;
        let trained = pool.install(|| train(&dataset, &plan.settings, work.progress));
        let trained = trained.map_err(unusable)?;
        let incumbent = self.incumbent(&plan.name)?;
        let new = (&trained, &dataset);
        let decided =
            pool.install(|| activation::decide(plan.wish, &incumbent, new, work.progress));
        let decided = decided.map_err(unusable)?;
        work.progress.progress(Stage::Storing, 1.0);
        let served = self.publish(&plan, &trained.parts, activation::activates(&decided))?;
        let report = if work.wants_report {
            let new = (&*served.model, &dataset);
            let training = pool.install(|| training(new, &plan, work.progress));
            let report = Report {
                title: &title(&served),
                model: &served.model,
                dataset: &dataset,
                data_report: &trained.report,
                judged: &trained.judged,
                evaluation: &served.model.metadata().evaluation,
                training: Some(&training.map_err(unusable)?),
            };
            Some(report.page()?)
        } else {
            None
        };
        let mistakes = mistakes(&served.model, &dataset, &trained.judged);
        let model = self.describe(&served)?;
        let response = response::trained(&plan, &trained, model, decided);
        Ok(Done { response, mistakes, report })
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
    ) -> Result<ServedModel, CliError> {
        // Made before it is stored: what is not a model is never stored.
        let model = Arc::new(Model::try_new(parts)?);
        let version = self.repository.publish(&plan.name, &model)?;
        if activate {
            self.repository.activate(&plan.name, version)?;
        }
        Ok(ServedModel::new(plan.name.to_string(), version, model))
    }

    /// Judges a model, and says on which sentences it is wrong.
    pub(in crate::cli) fn evaluate(
        &self,
        spec: EvaluationSpec,
        input: Input,
        work: &Work<'_>,
    ) -> Result<Done<EvaluateModelResponse>, CliError> {
        let plan = EvaluationPlan::try_from(spec)?;
        let served = self.resolve(&plan.target)?;
        let name = input.name.clone();
        let dataset = read(input, &plan.csv, work)?;
        if dataset.examples.is_empty() {
            return Err(CliError::NoExamples { name });
        }
        work.progress.say("judging");
        let pool = pool(work.threads)?;
        let judged = pool.install(|| judge(&served.model, &dataset, work.progress));
        let judged = judged.map_err(|source| CliError::Train { name, source })?;
        let evaluation = sum_up(&served.model, &dataset, &judged);
        let report = Report {
            title: &title(&served),
            model: &served.model,
            dataset: &dataset,
            data_report: &dataset.report,
            judged: &judged,
            evaluation: &evaluation,
            training: None,
        };
        let response = response::evaluated(&plan, &served, &evaluation, &dataset.report);
        let report = work.wants_report.then(|| report.page()).transpose()?;
        Ok(Done { response, mistakes: mistakes(&served.model, &dataset, &judged), report })
    }
}

fn title(served: &ServedModel) -> String {
    format!("{}@{}", served.name, served.version)
}

/// Finds out what only a training can tell.
fn training(
    (model, dataset): (&Model, &Dataset),
    plan: &TrainingPlan,
    progress: &Progress,
) -> Result<Training, TrainError> {
    let whole = &model.metadata().evaluation;
    let learning = learning::measure(dataset, &plan.settings, whole, &progress.of_curve())?;
    progress.say("finding telling n-grams");
    Ok(Training { learning, telling: telling::find(model, dataset) })
}

/// Reads the data of a training.
fn collected(
    input: Input,
    plan: &TrainingPlan,
    pool: &ThreadPool,
    work: &Work<'_>,
) -> Result<Dataset, CliError> {
    let Input { reader, name, .. } = input;
    let collecting = plan.settings.collecting(work.limits.clone());
    collect(&collecting, pool, work.progress, |rows| {
        read_csv_into(rows, reader, &plan.csv, &work.limits, |read| work.progress.read(read))
    })
    .map_err(|source| CliError::Csv { name, source })
}

fn read(input: Input, options: &CsvOptions, work: &Work<'_>) -> Result<Dataset, CliError> {
    let Input { reader, name, .. } = input;
    read_csv(reader, options, &work.limits, |read| work.progress.read(read))
        .map_err(|source| CliError::Csv { name, source })
}

/// Starts as many threads as wanted, or one per core.
fn pool(threads: Option<NonZeroUsize>) -> Result<ThreadPool, CliError> {
    ThreadPoolBuilder::new()
        .num_threads(threads.map_or(0, NonZeroUsize::get))
        .build()
        .map_err(|e| CliError::Start(e.to_string()))
}

/// Returns the first sentences of each confusion, by right label and given label. A threshold for
/// abstaining plays no part, as in the evaluation.
fn mistakes(model: &Model, dataset: &Dataset, judged: &[Judged]) -> Mistakes {
    let mut mistakes = Mistakes::new();
    for (example, judged) in dataset.examples.iter().zip(judged) {
        let right = dataset.labels.get(example.label);
        let given = model.labels().get(judged.given);
        if let (Some(right), Some(given)) = (right, given)
            && right != given
        {
            let found = mistakes.entry((right.clone(), given.clone())).or_default();
            if found.len() < MAX_SENTENCES {
                found.push(Mistake { line: example.line, text: example.text.to_string() });
            }
        }
    }
    mistakes
}
