//! `TrainModel` and `EvaluateModel`: data in, a model or a judgement out. The call is the operation: when it
//! ends, for whatever reason, so does the work.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::activation;
use super::caller::Caller;
use super::catalogue;
use super::error::CallError;
use super::jobs::{Jobs, spawn};
use super::metrics::jobs::Job;
use super::models::{Models, ServedModel};
use super::progress::Reporter;
use super::response;
use super::spec::{EvaluationPlan, TrainingPlan, Wish};
use super::upload::{self, PIECES_UNDERWAY, Pieces, Upload, UploadLimits, UploadMessage};
use crate::proto::train_model_response::Update;
use crate::proto::{
    Activation, EvaluateModelRequest, EvaluateModelResponse, TrainModelRequest, TrainModelResponse,
    TrainingProgress,
};
use crate::train::examples::{Dataset, DatasetBuilder};
use crate::train::{Observer, Stage, Trained, check_labels, evaluate, examine, train};

/// Progress messages that wait for a slow reader; further ones are left out.
const UPDATES_UNDERWAY: usize = 16;

/// What trainings and evaluations work with.
#[derive(Debug, Clone)]
pub(crate) struct Workshop {
    pub(crate) models: Arc<Models>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) limits: UploadLimits,
}

impl Workshop {
    /// Begins a training; it goes on while the replies are asked for.
    pub(crate) fn train(self, requests: Streaming<TrainModelRequest>) -> TrainingReplies {
        let (sender, updates) = mpsc::channel(UPDATES_UNDERWAY);
        let training = async move { self.train_to_the_end(requests, sender).await };
        TrainingReplies { updates, training: Some(Box::pin(training)) }
    }

    async fn train_to_the_end(
        self,
        requests: Streaming<TrainModelRequest>,
        updates: mpsc::Sender<TrainingProgress>,
    ) -> Result<TrainModelResponse, CallError> {
        let (spec, upload) = upload::begin(requests, self.limits.time).await?;
        let plan = TrainingPlan::try_from(spec)?;
        if plan.wish != Wish::Store && !plan.validate_only {
            self.models.check_activates_own()?;
        }
        let claim = self.jobs.claim(&plan.name)?;
        let slot = self.jobs.slot(Job::Training)?;
        let caller = Caller::default();
        let reporter = Reporter::new(updates, caller.left());
        let (sender, pieces) = mpsc::channel(PIECES_UNDERWAY);
        let result = spawn(move || {
            // Both are held to the end of the job, not of the call.
            let _claim = claim;
            slot.run(|| self.train_here(&plan, pieces, &reporter))
        })?;
        pump_until_done(upload, sender, result).await
    }

    /// Reads, trains and publishes, on this thread and the pool.
    fn train_here(
        &self,
        plan: &TrainingPlan,
        pieces: Pieces,
        reporter: &Reporter,
    ) -> Result<TrainModelResponse, CallError> {
        reporter.progress(Stage::Reading, 0.0);
        let collecting = plan.settings.collecting(self.limits.data.clone());
        let dataset = self.jobs.collect(&collecting, reporter, |rows| {
            upload::read(pieces, (&plan.csv, &self.limits.data), rows, |progress| {
                reporter.rows(progress)
            })
        })?;
        reporter.check()?;
        check_labels(&dataset)?;
        if plan.validate_only {
            let report = self.jobs.compute(|| examine(&dataset, reporter))?;
            let data_report = Some(response::data_report(&report, plan.all_findings));
            return Ok(TrainModelResponse { data_report, ..Default::default() });
        }
        let _claim = self.models.repository().begin_training(&plan.name)?;
        let trained = self.jobs.compute(|| train(&dataset, &plan.settings, reporter))?;
        let activation = self.decide(plan, &trained, &dataset, reporter)?;
        let served = self.publish(plan, &trained, activation::activates(&activation), reporter)?;
        let model = catalogue::describe(&self.models, &served)?;
        tracing::info!(
            model = served.name,
            version = served.version,
            n_examples = dataset.examples.len(),
            n_labels = dataset.labels.len(),
            activation = activation.decision().as_str_name(),
            "trained"
        );
        Ok(response::trained(plan, &trained, model, activation))
    }

    fn decide(
        &self,
        plan: &TrainingPlan,
        trained: &Trained,
        dataset: &Dataset,
        reporter: &Reporter,
    ) -> Result<Activation, CallError> {
        let incumbent = self.models.incumbent(&plan.name)?;
        let decide = || activation::decide(plan.wish, &incumbent, (trained, dataset), reporter);
        Ok(self.jobs.compute(decide)?)
    }

    fn publish(
        &self,
        plan: &TrainingPlan,
        trained: &Trained,
        activate: bool,
        reporter: &Reporter,
    ) -> Result<Arc<ServedModel>, CallError> {
        reporter.check()?;
        reporter.progress(Stage::Storing, 1.0);
        self.models.publish(&plan.name, &trained.parts, activate)
    }

    /// Judges a model.
    pub(crate) async fn evaluate(
        self,
        requests: Streaming<EvaluateModelRequest>,
    ) -> Result<EvaluateModelResponse, CallError> {
        let (spec, upload) = upload::begin(requests, self.limits.time).await?;
        let plan = EvaluationPlan::try_from(spec)?;
        let served = self.models.resolve(&plan.target).await?;
        let slot = self.jobs.slot(Job::Evaluation)?;
        let caller = Caller::default();
        // Nobody hears of the progress; the reporter is there to end the work.
        let (updates, _) = mpsc::channel(1);
        let reporter = Reporter::new(updates, caller.left());
        let (sender, pieces) = mpsc::channel(PIECES_UNDERWAY);
        let result =
            spawn(move || slot.run(|| self.evaluate_here(&served, &plan, pieces, &reporter)))?;
        pump_until_done(upload, sender, result).await
    }

    fn evaluate_here(
        &self,
        served: &ServedModel,
        plan: &EvaluationPlan,
        pieces: Pieces,
        reporter: &Reporter,
    ) -> Result<EvaluateModelResponse, CallError> {
        let mut rows = DatasetBuilder::new(self.limits.data.clone());
        let how = (&plan.csv, &self.limits.data);
        upload::read(pieces, how, &mut rows, |progress| reporter.rows(progress))?;
        let dataset = rows.finish();
        let evaluation = self.jobs.compute(|| evaluate(&served.model, &dataset, reporter))?;
        Ok(response::evaluated(plan, served, &evaluation, &dataset.report))
    }
}

/// Feeds a job, and waits for its result. A job that ends early is not fed to the end.
async fn pump_until_done<R, M, T>(
    upload: Upload<R>,
    pieces: mpsc::Sender<Result<upload::Piece, CallError>>,
    mut job: oneshot::Receiver<Result<T, CallError>>,
) -> Result<T, CallError>
where
    R: Stream<Item = Result<M, Status>> + Unpin,
    M: UploadMessage,
{
    let result = tokio::select! {
        early = &mut job => early,
        () = upload.pump(pieces) => job.await,
    };
    result.map_err(|_closed| CallError::Internal("a job panicked"))?
}

type Training = Pin<Box<dyn Future<Output = Result<TrainModelResponse, CallError>> + Send>>;

/// The replies to a training: progress as it comes, then the result. Asking for them is what moves
/// the training's async side on, and dropping them ends it.
pub(crate) struct TrainingReplies {
    updates: mpsc::Receiver<TrainingProgress>,
    /// `None` when it is done.
    training: Option<Training>,
}

impl Stream for TrainingReplies {
    type Item = Result<TrainModelResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(Some(progress)) = self.updates.poll_recv(cx) {
            let update = Some(Update::Progress(progress));
            return Poll::Ready(Some(Ok(TrainModelResponse { update, ..Default::default() })));
        }
        let Some(training) = &mut self.training else {
            return Poll::Ready(None);
        };
        training.as_mut().poll(cx).map(|result| {
            self.training = None;
            Some(result.map_err(Status::from))
        })
    }
}
