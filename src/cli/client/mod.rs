//! The client of a running server.
//!
//! - `upload`: a CSV to train on or to judge by, in pieces.
//! - `sentences`: sentences as they come, answers in order.
//! - `versions`: what there is.

mod sentences;
mod upload;
mod versions;

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use super::access::{Credentials, Remote};
use super::args::ServerUrl;
use super::error::CliError;
use crate::proto::classifier_service_client::ClassifierServiceClient;
use crate::proto::model_service_client::ModelServiceClient;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the server may have under way to us: answers to many small sentences count as more than they are.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Largest reply taken: the evaluation of a model with many labels is long.
const MAX_REPLY_BYTES: usize = 256 * 1024 * 1024;
/// From one sign of life to the next while a call is under way, and how long to wait for it.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Calls over a connection, each with what proves who makes it.
type Calls = InterceptedService<Channel, Credentials>;

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Runtime,
    channel: Calls,
    server: ServerUrl,
}

impl Client {
    /// Connects.
    pub(super) fn connect(remote: &Remote) -> Result<Self, CliError> {
        let start = |e: std::io::Error| CliError::Start(e.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(start)?;
        let endpoint = remote
            .endpoint()?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .initial_connection_window_size(WINDOW_BYTES)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        let channel = runtime.block_on(endpoint.connect());
        let server = remote.url.clone();
        match channel {
            Ok(channel) => {
                let channel = InterceptedService::new(channel, remote.credentials());
                Ok(Self { runtime, channel, server })
            }
            Err(source) => Err(CliError::Connect { server, source }),
        }
    }

    /// Waits for a call.
    pub(super) fn call<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CliError> {
        let answer = self.runtime.block_on(call).map_err(CliError::call(&self.server))?;
        Ok(answer.into_inner())
    }

    /// The connection itself.
    pub(super) fn channel(&self) -> Calls {
        self.channel.clone()
    }

    /// The service that keeps models.
    pub(super) fn models(&self) -> ModelServiceClient<Calls> {
        ModelServiceClient::new(self.channel()).max_decoding_message_size(MAX_REPLY_BYTES)
    }

    /// The service that classifies.
    fn classifier(&self) -> ClassifierServiceClient<Calls> {
        ClassifierServiceClient::new(self.channel()).max_decoding_message_size(MAX_REPLY_BYTES)
    }

    /// The error for an answer that lacks what the contract says it has.
    pub(super) fn lacks(&self, missing: &'static str) -> CliError {
        CliError::Answer { server: self.server.clone(), missing }
    }
}
