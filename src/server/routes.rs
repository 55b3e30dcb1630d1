//! Which service answers which path, with explicit limits on the size of every message.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use tokio_util::either::Either;
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codegen::{Body as HttpBody, BoxFuture, StdError};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower_service::Service;

use super::classifier::Classifier;
use super::health::HealthService;
use super::models_service::ModelKeeper;
use super::reflection;
use crate::config::ServeConfig;
use crate::proto::classifier_service_server::{
    ClassifierServiceServer, SERVICE_NAME as CLASSIFIER,
};
use crate::proto::model_service_server::{ModelServiceServer, SERVICE_NAME as MODELS};

/// The services whose health is known by name.
pub(crate) const SERVICES: [&str; 2] = [CLASSIFIER, MODELS];

const CLASSIFY: &str = "/dictum.v1.ClassifierService/Classify";
const STREAM: &str = "/dictum.v1.ClassifierService/StreamClassify";

/// All services of our own.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) classifier: Classifier,
    pub(crate) models: ModelKeeper,
    pub(crate) health: HealthService,
}

impl Services {
    /// Each on its path, reflection beside them where it is wanted.
    pub(crate) fn routes(
        self,
        config: &ServeConfig,
    ) -> Result<Paths, tonic_reflection::server::Error> {
        let limits = &config.limits;
        let classifier = |max_message_bytes| {
            let service = ClassifierServiceServer::new(self.classifier.clone())
                .max_decoding_message_size(max_message_bytes)
                .max_encoding_message_size(limits.max_reply_bytes);
            if config.gzip { service.accept_compressed(Gzip) } else { service }
        };
        let mut many = classifier(limits.max_message_bytes);
        if config.gzip {
            many = many.send_compressed(Gzip);
        }
        let mut models = ModelServiceServer::new(self.models)
            .max_decoding_message_size(limits.max_message_bytes)
            .max_encoding_message_size(limits.max_reply_bytes);
        if config.gzip {
            models = models.accept_compressed(Gzip).send_compressed(Gzip);
        }
        let mut health = HealthServer::new(self.health)
            .max_decoding_message_size(limits.max_message_bytes)
            .max_encoding_message_size(limits.max_reply_bytes);
        if config.gzip {
            // A client compresses all of its calls or none.
            health = health.accept_compressed(Gzip).send_compressed(Gzip);
        }
        let mut others = Routes::new(models).add_service(health);
        if config.has_reflection() {
            others = reflection::add(others, config)?;
        }
        Ok(Paths {
            classify: classifier(limits.max_classify_message_bytes),
            stream: classifier(limits.max_message_bytes),
            many,
            others: others.prepare(),
        })
    }
}

/// All services by their paths. The classifier's are told here and not by the router, which costs a call as
/// much as its answer does. tonic's settings are per service: `Classify` has a limit of its own, and where
/// each message is the answer to one sentence it is never compressed, which would cost more than it saves.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    classify: ClassifierServiceServer<Classifier>,
    stream: ClassifierServiceServer<Classifier>,
    many: ClassifierServiceServer<Classifier>,
    others: Routes,
}

impl<B> Service<Request<B>> for Paths
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future =
        Either<BoxFuture<Response<Body>, Infallible>, <Routes as Service<Request<Body>>>::Future>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // All of them always are.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match request.uri().path() {
            CLASSIFY => Either::Left(self.classify.call(request)),
            STREAM => Either::Left(self.stream.call(request)),
            path if is_classifier(path) => Either::Left(self.many.call(request)),
            _ => Either::Right(self.others.call(request.map(Body::new))),
        }
    }
}

fn is_classifier(path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.strip_prefix(CLASSIFIER));
    service.is_some_and(|method| method.starts_with('/'))
}
