//! `ModelService`: check, do, convert. What blocks on the file system leaves the request threads.

use prost::Message;
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status, Streaming};

use super::catalogue;
use super::error::CallError;
use super::models::Verdict;
use super::request;
use super::response;
use super::training::{TrainingReplies, Workshop};
use crate::proto::model_service_server::ModelService;
use crate::proto::{
    ActivateModelRequest, ActivateModelResponse, DeleteModelRequest, DeleteModelResponse,
    EvaluateModelRequest, EvaluateModelResponse, GetModelRequest, GetModelResponse,
    ListModelsRequest, ListModelsResponse, ModelVersion, TrainModelRequest, VerifyModelRequest,
    VerifyModelResponse,
};

/// Trains, evaluates and keeps models.
#[derive(Debug, Clone)]
pub(crate) struct ModelKeeper {
    workshop: Workshop,
}

impl ModelKeeper {
    /// A service over these models and jobs.
    pub(crate) fn new(workshop: Workshop) -> Self {
        Self { workshop }
    }

    /// Does something to the models on a thread that may block.
    async fn blocking<T: Message + 'static>(
        &self,
        work: impl FnOnce(&super::models::Models) -> Result<T, CallError> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        let models = self.workshop.models.clone();
        let done = spawn_blocking(move || work(&models)).await;
        let done = done.map_err(|_ended| CallError::Internal("blocking work ended early"))?;
        Ok(response::reply(done?))
    }
}

#[tonic::async_trait]
impl ModelService for ModelKeeper {
    type TrainModelStream = TrainingReplies;

    async fn train_model(
        &self,
        request: Request<Streaming<TrainModelRequest>>,
    ) -> Result<Response<TrainingReplies>, Status> {
        Ok(Response::new(self.workshop.clone().train(request.into_inner())))
    }

    async fn evaluate_model(
        &self,
        request: Request<Streaming<EvaluateModelRequest>>,
    ) -> Result<Response<EvaluateModelResponse>, Status> {
        Ok(response::reply(self.workshop.clone().evaluate(request.into_inner()).await?))
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let page = request::page(request.get_ref())?;
        self.blocking(move |models| catalogue::list(models, &page)).await
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        let GetModelRequest { model, version } = request.into_inner();
        let target = request::target("model", &model, version)?;
        let served = self.workshop.models.resolve(&target).await?;
        self.blocking(move |models| {
            Ok(GetModelResponse { model: Some(catalogue::describe(models, &served)?) })
        })
        .await
    }

    async fn activate_model(
        &self,
        request: Request<ActivateModelRequest>,
    ) -> Result<Response<ActivateModelResponse>, Status> {
        let ActivateModelRequest { model, version } = request.into_inner();
        let version = request::version(&model, version)?;
        self.blocking(move |models| {
            let (served, previous) = models.activate(&version)?;
            Ok(ActivateModelResponse {
                model: Some(catalogue::describe(models, &served)?),
                previous_version: previous.unwrap_or_default(),
            })
        })
        .await
    }

    async fn delete_model(
        &self,
        request: Request<DeleteModelRequest>,
    ) -> Result<Response<DeleteModelResponse>, Status> {
        let DeleteModelRequest { model, version } = request.into_inner();
        let version = request::version(&model, version)?;
        self.blocking(move |models| {
            models.delete(&version)?;
            Ok(DeleteModelResponse {})
        })
        .await
    }

    async fn verify_model(
        &self,
        request: Request<VerifyModelRequest>,
    ) -> Result<Response<VerifyModelResponse>, Status> {
        let VerifyModelRequest { model, version } = request.into_inner();
        let version = request::version(&model, version)?;
        self.blocking(move |models| {
            let (signature, problem) = match models.verify(&version)? {
                Verdict::Good(signature) => (signature.map(response::signed_by), String::new()),
                Verdict::Bad(problem) => (None, problem),
            };
            let model_version = Some(ModelVersion { name: model, version: version.version });
            Ok(VerifyModelResponse { model_version, problem, signature })
        })
        .await
    }
}
