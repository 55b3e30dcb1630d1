//! Which service answers which path, with explicit limits on the size of every message.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codegen::{Body as HttpBody, BoxFuture, StdError};
use tonic::server::NamedService;
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
    ) -> Result<Routes, tonic_reflection::server::Error> {
        let limits = &config.limits;
        let classifier = |max_message_bytes| {
            let service = ClassifierServiceServer::new(self.classifier.clone())
                .max_decoding_message_size(max_message_bytes)
                .max_encoding_message_size(limits.max_reply_bytes);
            if config.gzip {
                service.accept_compressed(Gzip).send_compressed(Gzip)
            } else {
                service
            }
        };
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
        let routes = Routes::new(BySize {
            classify: classifier(limits.max_classify_message_bytes),
            others: classifier(limits.max_message_bytes),
        })
        .add_service(models)
        .add_service(health);
        if config.has_reflection() { reflection::add(routes, config) } else { Ok(routes) }
    }
}

/// A service with a limit of its own for `Classify`: tonic's limits are per service.
#[derive(Debug, Clone)]
struct BySize {
    classify: ClassifierServiceServer<Classifier>,
    others: ClassifierServiceServer<Classifier>,
}

impl NamedService for BySize {
    const NAME: &'static str = CLASSIFIER;
}

impl<B> Service<Request<B>> for BySize
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The generated services always are.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match request.uri().path() {
            CLASSIFY => self.classify.call(request),
            _ => self.others.call(request),
        }
    }
}
