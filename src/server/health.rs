//! `grpc.health.v1`: whether the server answers, as a whole (the empty name) and by service.
//!
//! All services answer from the moment the models are loaded until the shutdown begins. `Watch` is
//! as the specification wants it and tonic-health has it not: a service that is unknown is
//! `SERVICE_UNKNOWN` on a stream that stays open. Watches end with the shutdown.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt, once};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::status;

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    Stopping,
}

/// Says how the server is.
#[derive(Debug)]
pub(crate) struct HealthReporter(watch::Sender<State>);

impl HealthReporter {
    /// A server that is starting, and the service that says so for these services.
    pub(crate) fn new(services: &[&'static str]) -> (Self, HealthService) {
        let (sender, receiver) = watch::channel(State::Starting);
        (Self(sender), HealthService { state: receiver, services: services.into() })
    }

    /// The server answers, unless it is stopping already.
    pub(crate) fn serving(&self) {
        self.0.send_if_modified(|state| {
            let is_starting = *state == State::Starting;
            if is_starting {
                *state = State::Serving;
            }
            is_starting
        });
    }

    /// The server is about to stop: watches get to know and end.
    pub(crate) fn stop(&self) {
        self.0.send_replace(State::Stopping);
    }
}

/// The health service.
#[derive(Debug, Clone)]
pub(crate) struct HealthService {
    state: watch::Receiver<State>,
    services: Arc<[&'static str]>,
}

impl HealthService {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(status::unknown_service());
        }
        Ok(Response::new(reply(serving_status(*self.state.borrow()))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let states = WatchStream::new(self.state.clone());
        let states = states.take_while(|state| *state != State::Stopping);
        let replies: Self::WatchStream = if self.knows(&request.get_ref().service) {
            let last = once(Ok(reply(ServingStatus::NotServing)));
            Box::pin(states.map(|state| Ok(reply(serving_status(state)))).chain(last))
        } else {
            let unknown = once(Ok(reply(ServingStatus::ServiceUnknown)));
            Box::pin(unknown.chain(states.filter_map(|_| None)))
        };
        Ok(Response::new(replies))
    }
}

fn serving_status(state: State) -> ServingStatus {
    match state {
        State::Serving => ServingStatus::Serving,
        State::Starting | State::Stopping => ServingStatus::NotServing,
    }
}

fn reply(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
