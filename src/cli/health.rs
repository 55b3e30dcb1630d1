//! `dictum health`: whether a server answers.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::access::{AccessArgs, Remote};
use super::args::ServerUrl;
use super::client::Client;
use super::error::CliError;
use super::output::{Output, OutputArgs};

/// Longest wait for the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  dictum health
  dictum health --server http://10.0.0.7:50051
  dictum health --service dictum.v1.ClassifierService

The exit code is 0 when it is SERVING, and 1 when it is not or does not answer within 5 seconds.";

/// Ask a server whether it answers (grpc.health.v1)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HealthArgs {
    /// The server
    #[arg(long, value_name = "URL", default_value = ServerUrl::LOCAL, env = "DICTUM_SERVER")]
    #[arg(hide_env_values = true)]
    server: ServerUrl,
    /// Only this service of it [default: the server as a whole]
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    service: String,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    access: AccessArgs,
}

/// The answer as JSON, with the names of `grpc.health.v1.HealthCheckResponse`.
#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// Runs the subcommand.
pub(super) fn run(args: HealthArgs) -> Result<ExitCode, CliError> {
    let mut output = Output::new(args.output);
    let client = Client::connect(&Remote { url: args.server, access: args.access })?;
    let mut request = Request::new(HealthCheckRequest { service: args.service });
    request.set_timeout(TIMEOUT);
    let status = client.call(HealthClient::new(client.channel()).check(request))?.status();
    let status_name = status.as_str_name();
    output.result(&Health { status: status_name }, |_| format!("{status_name}\n"))?;
    Ok(if status == ServingStatus::Serving { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
