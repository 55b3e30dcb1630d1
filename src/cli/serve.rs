//! `dictum serve`: answers over gRPC until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, io};

use clap::{Args, CommandFactory};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

use super::Cli;
use super::error::{CliError, chain};
use super::output::{Output, OutputArgs};
use super::settings::{Effective, Given, Reload, variables};
use crate::config::{LogFormat, ServeConfig};
use crate::server::Listeners;
use crate::{server, telemetry};

const EXAMPLES: &str = "\
Examples:
  dictum serve
  dictum serve --listen 127.0.0.1:8080 --models ./models --default-model mine
  dictum serve --config dictum.toml
  dictum serve --config dictum.toml --check

Then, from another shell:
  grpcurl -plaintext -d '{\"sentence\":\"We had nothing to do with it.\"}' \\
    localhost:50051 dictum.v1.ClassifierService/Classify
  dictum classify --server http://127.0.0.1:50051 \"We had nothing to do with it.\"

A settings file holds the long names of the flags with _ for -, such as
  listen = \"127.0.0.1:8080\"
  max_jobs = 2
A flag wins over the environment (DICTUM_ and the same name in capitals), the environment over the
file. Ctrl-C or SIGTERM stops the server once the calls that run are done; a second one at once.
SIGHUP reads the settings again: log_level and client_roles change at once, the log names what needs a
restart. Certificates and tokens are used as soon as their files change.";

/// Answer over gRPC until stopped
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// TOML file with settings
    #[arg(long, value_name = "FILE", env = "DICTUM_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Only check the settings, their files and the models' place, and print the settings in force as a file
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    given: Given,
}

/// Runs the subcommand. What keeps it from starting is an error; from then on all that is to be said is
/// a log record.
pub(super) fn run(args: &ServeArgs) -> Result<ExitCode, CliError> {
    variables::check(env::vars_os().map(|(name, _)| name), &Cli::command())?;
    let effective = Effective::read(&args.given, args.config.as_deref())?;
    telemetry::check(&effective.config.log_level).map_err(CliError::Log)?;
    server::check(&effective.config)?;
    if args.check {
        server::check_models(&effective.config)?;
        return show(&effective);
    }
    let config = effective.config.clone();
    let address = config.listen;
    let start = |e: io::Error| CliError::Start(e.to_string());
    let runtime = Runtime::new().map_err(start)?;
    let listen = |address| {
        let listener = runtime.block_on(TcpListener::bind(address));
        listener.map_err(|source| CliError::Listen { address, source })
    };
    let calls = listen(address)?;
    let metrics = config.metrics_listen.map(listen).transpose()?;
    let address = calls.local_addr().map_err(start)?;
    let signals = runtime.block_on(async { Signals::new() }).map_err(start)?;
    let format = match config.log_format {
        Some(LogFormat::Text) => telemetry::Format::Text,
        Some(LogFormat::Json) => telemetry::Format::Json,
        None => telemetry::Format::for_stderr(),
    };
    let level = telemetry::install(&config.log_level, format).map_err(CliError::Log)?;
    tracing::info!(%address, models = %config.models.display(), "listening");
    if let Some(metrics) = &metrics {
        let address = metrics.local_addr().map_err(start)?;
        tracing::info!(%address, "metrics");
    }
    let (given, file) = (args.given.clone(), args.config.clone());
    let (server, config) = watch::channel(config);
    let reload = Reload { given, file, effective, server, level };
    Ok(runtime.block_on(serve(config, Listeners { calls, metrics }, signals, reload)))
}

/// Prints the settings in force.
fn show(effective: &Effective) -> Result<ExitCode, CliError> {
    let mut output = Output::new(OutputArgs::default());
    output.text(&effective.to_string())?;
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    config: watch::Receiver<ServeConfig>,
    listeners: Listeners,
    signals: Signals,
    mut reload: Reload,
) -> ExitCode {
    let Signals { mut stops, mut hangups } = signals;
    let (stop, stopped) = oneshot::channel();
    let served = server::serve(config, listeners, async {
        // The other end is there as long as this is waited for.
        stopped.await.ok();
    });
    let told_twice = async {
        stops.next().await;
        stop.send(()).ok();
        stops.next().await;
    };
    let read_again = async {
        loop {
            hangups.next().await;
            reload.run();
        }
    };
    tokio::select! {
        served = served => match served {
            Ok(()) => {
                tracing::info!("stopped");
                ExitCode::SUCCESS
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "stopped");
                ExitCode::FAILURE
            }
        },
        never = read_again => never,
        () = told_twice => {
            tracing::warn!("stopped at once, calls were still running");
            ExitCode::FAILURE
        }
    }
}

/// What the process is told from outside.
struct Signals {
    stops: Stops,
    hangups: Hangups,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { stops: Stops::new()?, hangups: Hangups::new()? })
    }
}

/// Signals that say: stop.
#[cfg(unix)]
struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

#[cfg(unix)]
impl Stops {
    fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Signals that say: read the settings again.
#[cfg(unix)]
struct Hangups(Signal);

#[cfg(unix)]
impl Hangups {
    fn new() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// Signals that say: stop.
#[cfg(not(unix))]
struct Stops;

#[cfg(not(unix))]
impl Stops {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// There is no such signal.
#[cfg(not(unix))]
struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}
