//! The services over gRPC: the only folder that knows gRPC and async.
//!
//! In the order of a call:
//!
//! - `connections`, `tls`: sockets and HTTP/2, encrypted or not, ended when they stay silent, flood or
//!   grow old.
//! - `edge`: the layer around every call: counted, panics, deadlines, statuses.
//! - `auth`: who may call what.
//! - `admission`: which calls are taken when there is too much to do. `methods`: which there are.
//! - `classifier`, `models_service`, `health`, `reflection`: one thin adapter per service.
//! - `request`, `spec`: what a client sent becomes checked values.
//! - `models`, `catalogue`: which version of each model answers, and what else there is.
//! - `workers`: one sentence at once, many on a pool; `text`: articles and their offsets.
//! - `training`, `upload`, `progress`, `jobs`: data in, a model or a judgement out.
//! - `activation`: whether a new version is to answer, and why.
//! - `response`: answers become messages. `error`, `codes`, `status`: what goes wrong, and what a
//!   client sees of it.
//! - `metrics`: what is counted, for Prometheus. `traces`: a span for each call, for OpenTelemetry.
//! - `reload`: what may change while all of this runs.
//! - `shutdown`: the end, in steps of bounded length. `service_manager`: systemd is told of it.

#![warn(clippy::indexing_slicing, reason = "requests choose the indices")]

pub(crate) mod activation;
mod admission;
mod auth;
mod caller;
mod catalogue;
mod classifier;
pub(crate) mod codes;
mod connections;
mod edge;
pub(crate) mod error;
mod health;
mod jobs;
mod methods;
pub(crate) mod metrics;
pub(crate) mod models;
mod models_service;
mod progress;
mod reflection;
mod reload;
pub(crate) mod request;
pub(crate) mod response;
mod routes;
mod service_manager;
mod shutdown;
pub(crate) mod spec;
mod status;
mod text;
mod tls;
mod traces;
mod training;
mod upload;
mod workers;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use rayon::ThreadPoolBuildError;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tower_layer::Layer;

use crate::builtin::{self, BuiltInError};
use crate::config::ServeConfig;
use crate::store::{Repository, StoreError};
use admission::{AdmissionLayer, WorkLimits};
use auth::{AuthLayer, Authority};
pub use auth::{NewToken, TokensError};
use classifier::Classifier;
use connections::Connections;
use edge::EdgeLayer;
use health::HealthReporter;
use jobs::Jobs;
pub use methods::NoPolicy;
use metrics::Metrics;
use models::Models;
use models_service::ModelKeeper;
pub use reload::LiveConfig;
use shutdown::Phases;
use tls::Tls;
pub use tls::TlsError;
use traces::Traces;
pub use traces::TracesError;
use training::Workshop;
use upload::UploadLimits;
use workers::Workers;

/// Why a server did not start, or ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The folder of models cannot be used.
    #[error("the models folder cannot be used")]
    Store(#[from] StoreError),
    /// The built-in model cannot be made.
    #[error(transparent)]
    BuiltIn(#[from] &'static BuiltInError),
    /// Threads cannot be started.
    #[error("threads cannot be started")]
    Threads(#[from] ThreadPoolBuildError),
    /// The contract's description cannot be served.
    #[error("reflection cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// TLS cannot be spoken.
    #[error("TLS cannot be spoken")]
    Tls(#[from] TlsError),
    /// Calls cannot be traced.
    #[error("calls cannot be traced")]
    Traces(#[from] TracesError),
    /// Tokens cannot be checked.
    #[error("tokens cannot be checked")]
    Tokens(#[from] TokensError),
    /// A method is served that nobody may call; a defect of this program.
    #[error(transparent)]
    NoPolicy(#[from] NoPolicy),
    /// A part of the server ended early.
    #[error("the server's {0} ended early")]
    Ended(&'static str),
}

/// Checks the files that a server is told of, as [`serve`] does.
///
/// # Errors
///
/// When certificates or tokens cannot be used.
pub fn check(config: &ServeConfig) -> Result<(), ServeError> {
    Tls::open(&config.tls)?;
    Authority::open(config)?;
    methods::check(&routes::SERVICES)?;
    Ok(())
}

/// Checks that the models can be reached, which a server finds out while it runs.
///
/// # Errors
///
/// When the folder, or the bucket, cannot be listed.
pub fn check_models(config: &ServeConfig) -> Result<(), ServeError> {
    Repository::open(&config.models)?.names()?;
    Ok(())
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For calls.
    pub calls: TcpListener,
    /// For scrapes of the metrics: `GET /metrics` over HTTP/1, open to whoever can connect.
    pub metrics: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    /// Calls only.
    fn from(calls: TcpListener) -> Self {
        Self { calls, metrics: None }
    }
}

/// Serves on a listener until `shutdown` is ready and, after that, until the calls that run are done
/// or [`crate::config::Timeouts::shutdown_grace`] is over.
///
/// Connections are taken at once; health says `NOT_SERVING`, and calls get `UNAVAILABLE`, until
/// the models are loaded.
///
/// # Errors
///
/// See [`ServeError`]. A model that cannot be loaded is none: it is logged, and the others serve.
pub async fn serve(
    config: impl Into<LiveConfig>,
    listeners: impl Into<Listeners>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let live = config.into();
    let config = live.now();
    let models = Arc::new(Models::open(&config)?);
    let Listeners { calls: listener, metrics: scrapes } = listeners.into();
    let metrics = Arc::new(Metrics::default());
    let jobs = Arc::new(Jobs::start(&config, Arc::clone(&metrics))?);
    let workers = Arc::new(Workers::start(&config, Arc::clone(&metrics))?);
    let (health, health_service) = HealthReporter::new(&routes::SERVICES);
    let services = routes::Services {
        classifier: Classifier::new(Arc::clone(&models), workers, &config.limits),
        models: ModelKeeper::new(Workshop {
            models: Arc::clone(&models),
            jobs: Arc::clone(&jobs),
            limits: UploadLimits::from(&config),
        }),
        health: health_service,
    };
    let phases = Phases::default();
    let idle = config.timeouts.stream_idle;
    methods::check(&routes::SERVICES)?;
    let tls = Tls::open(&config.tls)?.map(Arc::new);
    let authority = Arc::new(Authority::open(&config)?);
    let services = services.routes(&config)?;
    let services = AdmissionLayer::new(work_limits(&config), Arc::clone(&metrics)).layer(services);
    let services = AuthLayer(Arc::clone(&authority)).layer(services);
    let traces = Traces::open(&config.traces, Arc::clone(&metrics))?;
    let aborting = phases.aborting.clone();
    let edge = EdgeLayer::new(aborting, idle, Arc::clone(&metrics), traces.clone());
    let services = edge.layer(services);
    let connections =
        Connections::new((listener, tls.clone()), &config, phases.clone(), Arc::clone(&metrics));
    let serve_to_the_end = async {
        connections.serve(services).await;
        traces.flush().await;
    };
    tokio::select! {
        () = serve_to_the_end => Ok(()),
        never = publish(scrapes, metrics::Page::new(metrics, Arc::clone(&models))) => match never {},
        never = reload::keep(live, tls, authority) => match never {},
        Err(error) = keep_models(&models, &jobs, &health, &config) => Err(error),
        never = service_manager::keep_alive() => match never {},
        () = phases.conduct(shutdown, || health.stop(), &config.timeouts) => Ok(()),
    }
}

/// Serves the metrics, where they are wanted.
async fn publish(scrapes: Option<TcpListener>, page: metrics::Page) -> Infallible {
    match scrapes {
        Some(listener) => metrics::endpoint::serve(listener, page).await,
        None => std::future::pending().await,
    }
}

fn work_limits(config: &ServeConfig) -> WorkLimits {
    WorkLimits {
        calls: config.limits.max_calls.get().into(),
        calls_per_caller: config.limits.max_calls_per_caller.get().into(),
        wait: config.timeouts.max_wait,
    }
}

/// Loads the models, then follows what other processes make active.
async fn keep_models(
    models: &Arc<Models>,
    jobs: &Arc<Jobs>,
    health: &HealthReporter,
    config: &ServeConfig,
) -> Result<Infallible, ServeError> {
    let (at_start, pool) = (Arc::clone(models), Arc::clone(jobs));
    spawn_blocking(move || {
        let built_in = pool.compute(builtin::model)?;
        at_start.start(built_in);
        Ok::<_, ServeError>(())
    })
    .await
    .map_err(|_ended| ServeError::Ended("loading of models"))??;
    health.serving();
    service_manager::ready();
    tracing::info!("serving");
    Ok(models::follow(models, config.follow_interval).await)
}
