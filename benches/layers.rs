//! What everything around the handlers costs a unary call: tokens, limits, deadlines, request ids, metrics, the
//! reading along of connections, checks of requests.
//!
//! `taskset -c 0 cargo bench --bench layers [-- REQUESTS [ROUNDS]]` (Debian: `apt-get install nghttp2-client`)
//! serves the built-in model three times in this process, loads the servers in turns by h2load on the
//! second core, and prints medians: a bare service on tonic's own server that only classifies, the server
//! with its defaults, and the server that asks for tokens. All are sent the same: a token, a deadline, a
//! request id. Ratios are of runs of the same round. The time of the processor is that of this process,
//! without the client's.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::cell::Cell;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dictum::config::{Role, ServeConfig};
use dictum::model::{Model, Options, Outcome, Scorer};
use dictum::proto::classifier_service_client::ClassifierServiceClient;
use dictum::proto::classifier_service_server::{ClassifierService, ClassifierServiceServer};
use dictum::proto::{
    BatchClassifyRequest, BatchClassifyResponse, Classification, ClassifyRequest, ClassifyResponse,
    ClassifyTextRequest, ClassifyTextResponse, LabelScore, ModelVersion, StreamClassifyRequest,
    StreamClassifyResponse,
};
use dictum::server::NewToken;
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SENTENCE: &str = "The ministry denied on Tuesday that the talks had been broken off.";
/// Connections and streams of each.
const SHAPE: [&str; 4] = ["-c", "8", "-m", "8"];

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let n_requests: u32 = args.next().map_or(Ok(20_000), |n| n.parse())?;
    let n_rounds: usize = args.next().map_or(Ok(15), |n| n.parse())?;
    let folder = tempfile::tempdir()?;
    let (secret, token) = NewToken::make("bench".to_owned(), Role::ALL.to_vec(), None)?;
    let tokens = folder.path().join("tokens.toml");
    fs::write(&tokens, token.to_string())?;

    let body = folder.path().join("request");
    let request = ClassifyRequest { sentence: SENTENCE.to_owned(), options: None };
    fs::write(&body, framed(&request)?)?;
    let headers = [
        format!("authorization: Bearer {secret}"),
        "grpc-timeout: 5S".to_owned(),
        "x-request-id: 5f0c7d1e-layers".to_owned(),
    ];
    let config = ServeConfig::new(folder.path().join("models"));
    let mut guarded = config.clone();
    guarded.access.tokens = Some(tokens);
    let servers = [
        ("bare", bare().await?),
        ("defaults", dictum(config).await?),
        ("all layers", dictum(guarded).await?),
    ];
    for (_, port) in &servers {
        wait_for_answer(*port, &headers).await?;
    }
    let mut runs = vec![Vec::new(); servers.len()];
    for _ in 0..n_rounds {
        for ((_, port), runs) in servers.iter().zip(&mut runs) {
            runs.push(load(n_requests, *port, &headers, &body).await?);
        }
    }
    let bare = runs.first().ok_or("no runs")?;
    for ((name, _), runs) in servers.iter().zip(&runs) {
        println!(
            "{name}: {:.0} requests/s, {:.3} of the bare service's; {:.1} µs of processor, {:.3}",
            median(runs.iter().map(|run| run.per_second)),
            median(runs.iter().zip(bare).map(|(run, bare)| run.per_second / bare.per_second)),
            median(runs.iter().map(|run| run.micros)),
            median(runs.iter().zip(bare).map(|(run, bare)| run.micros / bare.micros))
        );
    }
    Ok(())
}

/// Serves in the background; returns the port.
async fn dictum(config: ServeConfig) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(dictum::server::serve(config, listener, std::future::pending()));
    Ok(port)
}

async fn bare() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let model = dictum::builtin::model()?;
    let service = ClassifierServiceServer::new(Bare(model));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(port)
}

/// Waits until the model is loaded. h2load counts what is refused as answered.
async fn wait_for_answer(port: u16, headers: &[String]) -> Result<()> {
    let mut client = ClassifierServiceClient::connect(format!("http://127.0.0.1:{port}")).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..400 {
        ticks.tick().await;
        let mut request =
            Request::new(ClassifyRequest { sentence: SENTENCE.to_owned(), options: None });
        for (name, value) in headers.iter().filter_map(|header| header.split_once(": ")) {
            let name: tonic::metadata::MetadataKey<_> = name.parse()?;
            request.metadata_mut().insert(name, value.parse()?);
        }
        if client.classify(request).await.is_ok() {
            return Ok(());
        }
    }
    Err("the server does not answer".into())
}

/// A message as gRPC sends it: uncompressed, its length, itself.
fn framed(message: &impl Message) -> Result<Vec<u8>> {
    let body = message.encode_to_vec();
    Ok([&[0], &u32::try_from(body.len())?.to_be_bytes()[..], &body].concat())
}

/// How a server did.
#[derive(Debug, Clone, Copy)]
struct Run {
    per_second: f64,
    /// Of the processor, a request.
    micros: f64,
}

async fn load(n_requests: u32, port: u16, headers: &[String], body: &Path) -> Result<Run> {
    let mut command = Command::new("taskset");
    command.args(["-c", "1", "h2load"]);
    command.args(["-t", "1", "-n", &n_requests.to_string()]).args(SHAPE).arg("-d").arg(body);
    for header in ["content-type: application/grpc", "te: trailers"] {
        command.args(["-H", header]);
    }
    for header in headers {
        command.args(["-H", header]);
    }
    command.arg(format!("http://127.0.0.1:{port}/dictum.v1.ClassifierService/Classify"));
    let before = processor_ticks()?;
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let ticks = processor_ticks()? - before;
    let report = String::from_utf8_lossy(&output.stdout);
    let rate = report.split(", ").find_map(|part| part.trim().strip_suffix(" req/s"));
    let per_second = rate.ok_or_else(|| format!("h2load says: {report}"))?.parse()?;
    // Linux counts in hundredths of a second.
    Ok(Run { per_second, micros: f64::from(ticks) * 1e4 / f64::from(n_requests) })
}

/// What this process had of the processors.
fn processor_ticks() -> Result<u32> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("no times")?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || -> Result<u32> { Ok(fields.next().ok_or("no times")?.parse()?) };
    Ok(next()? + next()?)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Classifies, and nothing else.
struct Bare(Arc<Model>);

thread_local! {
    static SCORER: Cell<Option<Scorer>> = const { Cell::new(None) };
}

#[tonic::async_trait]
impl ClassifierService for Bare {
    async fn classify(
        &self,
        request: Request<ClassifyRequest>,
    ) -> std::result::Result<Response<ClassifyResponse>, Status> {
        let sentence = request.into_inner().sentence;
        let mut scorer = SCORER.take().unwrap_or_default();
        let answer = scorer.classify(&self.0, &sentence, &Options::default()).clone();
        SCORER.set(Some(scorer));
        let labels = self.0.labels();
        let name = |at: usize| labels.get(at).cloned().unwrap_or_default();
        let ranked = answer.ranked(0).into_iter();
        let scores = ranked.map(|(at, probability)| LabelScore { label: name(at), probability });
        let label = match answer.outcome {
            Outcome::Label(at) => name(at),
            Outcome::Abstained(_) => String::new(),
        };
        let classification = Classification {
            label,
            scores: scores.collect(),
            token_count: answer.token_count,
            unknown_token_count: answer.unknown_token_count,
            ..Default::default()
        };
        let version = ModelVersion { name: dictum::builtin::NAME.to_owned(), version: 0 };
        Ok(Response::new(ClassifyResponse {
            classification: Some(classification),
            model_version: Some(version),
        }))
    }

    async fn batch_classify(
        &self,
        _request: Request<BatchClassifyRequest>,
    ) -> std::result::Result<Response<BatchClassifyResponse>, Status> {
        Err(Status::unimplemented("single sentences alone"))
    }

    type StreamClassifyStream =
        Pin<Box<dyn Stream<Item = std::result::Result<StreamClassifyResponse, Status>> + Send>>;

    async fn stream_classify(
        &self,
        _request: Request<Streaming<StreamClassifyRequest>>,
    ) -> std::result::Result<Response<Self::StreamClassifyStream>, Status> {
        Err(Status::unimplemented("single sentences alone"))
    }

    async fn classify_text(
        &self,
        _request: Request<ClassifyTextRequest>,
    ) -> std::result::Result<Response<ClassifyTextResponse>, Status> {
        Err(Status::unimplemented("single sentences alone"))
    }
}
