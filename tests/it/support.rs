//! A server on a port of its own with a folder of its own, and what calls to it have in common.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dictum::config::ServeConfig;
use dictum::proto::classifier_service_client::ClassifierServiceClient;
use dictum::proto::model_service_client::ModelServiceClient;
use dictum::proto::train_model_request::Payload;
use dictum::proto::train_model_response::Update;
use dictum::proto::{
    ClassifyOptions, ClassifyRequest, ClassifyResponse, ListModelsRequest, Model,
    TrainModelRequest, TrainModelResponse, TrainingSpec,
};
use dictum::server::{Listeners, LiveConfig, ServeError, serve};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) metrics_address: SocketAddr,
    folder: Arc<TempDir>,
    tls: Option<ClientTlsConfig>,
    shutdown: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), ServeError>>,
}

/// A server that serves, on an empty folder.
pub(crate) async fn spawn_server() -> Server {
    spawn_server_with(new_folder(), |_| {}).await
}

/// An empty folder of models.
pub(crate) fn new_folder() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a temporary folder"))
}

/// A server that serves, on a folder, with settings changed.
pub(crate) async fn spawn_server_with(
    folder: Arc<TempDir>,
    change: impl FnOnce(&mut ServeConfig),
) -> Server {
    let mut config = ServeConfig::new(folder.path().to_owned());
    change(&mut config);
    spawn_server_over(folder, config, None).await
}

/// A server that serves, on a folder, and is asked over TLS where that is said.
pub(crate) async fn spawn_server_over(
    folder: Arc<TempDir>,
    config: impl Into<LiveConfig>,
    tls: Option<ClientTlsConfig>,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let scrapes = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let metrics_address = scrapes.local_addr().expect("an address");
    let listeners = Listeners { calls: listener, metrics: Some(scrapes) };
    let (shutdown, signal) = oneshot::channel();
    let config: LiveConfig = config.into();
    let ended = tokio::spawn(serve(config, listeners, async {
        signal.await.expect("the test says when");
    }));
    let server = Server { address, metrics_address, folder, tls, shutdown, ended };
    server.wait_until_it_serves().await;
    server
}

impl Server {
    pub(crate) async fn channel(&self) -> Channel {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{}", self.address);
        let endpoint = Endpoint::from_shared(uri).expect("an address");
        let endpoint = match &self.tls {
            Some(tls) => endpoint.tls_config(tls.clone()).expect("good files"),
            None => endpoint,
        };
        endpoint.connect().await.expect("a connection")
    }

    pub(crate) async fn classifier(&self) -> ClassifierServiceClient<Channel> {
        ClassifierServiceClient::new(self.channel().await)
    }

    pub(crate) async fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel().await)
    }

    pub(crate) async fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel().await)
    }

    async fn wait_until_it_serves(&self) {
        let request = HealthCheckRequest { service: String::new() };
        let mut states = self.health().await.watch(request).await.expect("a watch").into_inner();
        let serves = async {
            while let Some(state) = states.next().await {
                if state.expect("a state").status() == ServingStatus::Serving {
                    return;
                }
            }
            panic!("the watch ended before the server served");
        };
        timeout(PATIENCE, serves).await.expect("the server serves in time");
    }

    /// Asks the server to stop.
    pub(crate) fn begin_stop(self) -> JoinHandle<Result<(), ServeError>> {
        self.shutdown.send(()).expect("the server waits for it");
        self.ended
    }

    /// Stops the server, and gives its folder back.
    pub(crate) async fn stop(self) -> Arc<TempDir> {
        let folder = Arc::clone(&self.folder);
        let ended = timeout(PATIENCE, self.begin_stop()).await.expect("the server stops in time");
        ended.expect("no panic").expect("no error");
        folder
    }

    /// The versions of a model, newest first, and whether each is active.
    pub(crate) async fn versions(&self, model: &str) -> Vec<(u64, bool)> {
        let request = ListModelsRequest { model: model.to_owned(), ..Default::default() };
        let page = self.models().await.list_models(request).await.expect("a page").into_inner();
        let version = |m: &Model| m.model_version.as_ref().expect("a version").version;
        page.models.iter().map(|m| (version(m), m.active)).collect()
    }

    /// Trains a model on a CSV, sent in pieces of a size.
    pub(crate) async fn train(&self, name: &str, csv: &str, piece: usize) -> Model {
        let replies = self.try_train(spec(name), csv, piece).await.expect("a model");
        model_of(&replies)
    }

    /// All replies to a training, or its error.
    pub(crate) async fn try_train(
        &self,
        spec: TrainingSpec,
        csv: &str,
        piece: usize,
    ) -> Result<Vec<TrainModelResponse>, Status> {
        let requests = tokio_stream::iter(upload(spec, csv, piece));
        let replies = self.models().await.train_model(requests).await?.into_inner();
        timeout(PATIENCE, all(replies)).await.expect("the training ends in time")
    }

    /// All replies to a training on these bytes, sent at once, or its error.
    pub(crate) async fn try_train_bytes(
        &self,
        spec: TrainingSpec,
        csv: &[u8],
    ) -> Result<Vec<TrainModelResponse>, Status> {
        let payloads = [Payload::Spec(spec), Payload::Csv(csv.to_vec())];
        let requests = payloads.map(|payload| TrainModelRequest { payload: Some(payload) });
        all(self.models().await.train_model(tokio_stream::iter(requests)).await?.into_inner()).await
    }

    /// Classifies with the active version of a model.
    pub(crate) async fn classify(&self, model: &str, sentence: &str) -> ClassifyResponse {
        let request = ClassifyRequest {
            sentence: sentence.to_owned(),
            options: Some(ClassifyOptions { model: model.to_owned(), ..Default::default() }),
        };
        self.classifier().await.classify(request).await.expect("an answer").into_inner()
    }
}

/// All messages of a stream, or its error.
pub(crate) async fn all<T>(
    mut stream: impl Stream<Item = Result<T, Status>> + Unpin,
) -> Result<Vec<T>, Status> {
    let mut messages = Vec::new();
    while let Some(message) = stream.next().await {
        messages.push(message?);
    }
    Ok(messages)
}

/// The model that a training ended with.
pub(crate) fn model_of(replies: &[TrainModelResponse]) -> Model {
    match replies.last().and_then(|reply| reply.update.clone()) {
        Some(Update::Model(model)) => model,
        other => panic!("the last reply is a model, not {other:?}"),
    }
}

pub(crate) fn spec(name: &str) -> TrainingSpec {
    TrainingSpec { model: name.to_owned(), ..Default::default() }
}

/// The messages of a training: the spec, then a CSV in pieces.
pub(crate) fn upload(spec: TrainingSpec, csv: &str, piece: usize) -> Vec<TrainModelRequest> {
    let pieces = csv.as_bytes().chunks(piece).map(|bytes| Payload::Csv(bytes.to_vec()));
    let payloads = std::iter::once(Payload::Spec(spec)).chain(pieces);
    payloads.map(|payload| TrainModelRequest { payload: Some(payload) }).collect()
}

/// A CSV that can be learned from, with two labels. `twist` makes another of it.
pub(crate) fn tiny_csv(twist: &str) -> String {
    let mut csv = "text,label\n".to_owned();
    for who in ["minister", "mayor", "coach", "bank", "union", "lawyer"] {
        csv.push_str(&format!(
            "\"The {who} denied it, and called the claim false. {twist}\",denial\n"
        ));
        csv.push_str(&format!(
            "\"Residents accused the {who} of fraud.\nThey want answers. {twist}\",accusation\n"
        ));
    }
    csv
}

/// Asserts code and reason of an error, and that it stays small.
#[track_caller]
pub(crate) fn assert_error(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "dictum.v1"), "{status:?}");
    let trailers = status.details().len() * 4 / 3 + status.message().len() * 3;
    assert!(trailers < 4_000, "{trailers} bytes of trailers");
}

/// Asserts that an error is `INVALID_ARGUMENT` for this reason and names these fields.
#[track_caller]
pub(crate) fn assert_fields(status: &Status, reason: &str, fields: &[&str]) {
    assert_error(status, Code::InvalidArgument, reason);
    let request = status.get_details_bad_request().expect("a BadRequest");
    let named: Vec<_> = request.field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(named, fields, "{status:?}");
}
