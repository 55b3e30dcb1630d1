//! What the server costs beside a handler that does nothing, measured by h2load.
//!
//! `cargo bench --bench grpc [-- REQUESTS [PEER_PORT]]` (Debian: `apt-get install nghttp2-client`)
//! serves the built-in model and a handler that answers every call with one and the same message
//! of the same size, both on loopback, loads them in turns, and prints the ratios.
//! With `PEER_PORT`, `peer.v1.Classifier/Classify` there is loaded too (see `peers.py`).

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::error::Error;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use dictum::config::ServeConfig;
use dictum::proto::classifier_service_client::ClassifierServiceClient;
use dictum::proto::classifier_service_server::{ClassifierService, ClassifierServiceServer};
use dictum::proto::{
    BatchClassifyRequest, BatchClassifyResponse, ClassifyRequest, ClassifyResponse,
    ClassifyTextRequest, ClassifyTextResponse, StreamClassifyRequest, StreamClassifyResponse,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SENTENCE: &str = "The ministry denied on Tuesday that the talks had been broken off.";
const BATCH_SENTENCES: usize = 1_000;
/// Connections and streams of each.
const SHAPES: [(u32, u32); 2] = [(1, 8), (16, 8)];
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let n_requests: u32 = args.next().map_or(Ok(50_000), |n| n.parse())?;
    let peer: Option<u16> = args.next().map(|port| port.parse()).transpose()?;
    let folder = tempfile::tempdir()?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let dictum = listener.local_addr()?.port();
    let config = ServeConfig::new(folder.path().join("models"));
    let server = tokio::spawn(dictum::server::serve(config, listener, std::future::pending()));
    let answer = first_answer(dictum).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let echo = listener.local_addr()?.port();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = ClassifierServiceServer::new(Echo(answer));
    let echoing = tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming),
    );

    let request = ClassifyRequest { sentence: SENTENCE.to_owned(), options: None };
    let one = folder.path().join("one");
    std::fs::write(&one, framed(&request)?)?;
    for (n_connections, n_streams) in SHAPES {
        let load = Load { n_requests, n_connections, n_streams, body: &one };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(load.run(dictum, CLASSIFY).await?);
            theirs.push(load.run(echo, CLASSIFY).await?);
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        println!(
            "{n_connections} x {n_streams}: {:.0} requests/s, {:.2} of the echo's; p99 {:.0} µs, {:.2} of the echo's",
            ours.0,
            ours.0 / theirs.0,
            ours.1,
            ours.1 / theirs.1,
        );
        if let Some(port) = peer {
            let few = Load { n_requests: n_requests / 50, ..load };
            let peer = few.run(port, "/peer.v1.Classifier/Classify").await?;
            println!(
                "  scikit-learn behind grpcio: {:.0} requests/s, ratio {:.0}",
                peer.0,
                ours.0 / peer.0
            );
        }
    }
    let sentences = vec![SENTENCE.to_owned(); BATCH_SENTENCES];
    let batch = folder.path().join("batch");
    std::fs::write(&batch, framed(&BatchClassifyRequest { sentences, options: None })?)?;
    let load = Load { n_requests: n_requests / 100, n_connections: 1, n_streams: 2, body: &batch };
    let (per_second, _) = load.run(dictum, BATCH).await?;
    println!("batches of 1,000: {:.0} sentences/s", per_second * 1e3);
    server.abort();
    echoing.abort();
    Ok(())
}

const CLASSIFY: &str = "/dictum.v1.ClassifierService/Classify";
const BATCH: &str = "/dictum.v1.ClassifierService/BatchClassify";

/// Waits until the models are loaded. h2load counts what is refused as answered.
async fn first_answer(port: u16) -> Result<ClassifyResponse> {
    let mut client = ClassifierServiceClient::connect(format!("http://127.0.0.1:{port}")).await?;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..400 {
        ticks.tick().await;
        let request = ClassifyRequest { sentence: SENTENCE.to_owned(), options: None };
        if let Ok(answer) = client.classify(request).await {
            return Ok(answer.into_inner());
        }
    }
    Err("the server does not answer".into())
}

/// A message as gRPC sends it: uncompressed, its length, itself.
fn framed(message: &impl Message) -> Result<Vec<u8>> {
    let body = message.encode_to_vec();
    Ok([&[0], &u32::try_from(body.len())?.to_be_bytes()[..], &body].concat())
}

#[derive(Clone, Copy)]
struct Load<'a> {
    n_requests: u32,
    n_connections: u32,
    n_streams: u32,
    body: &'a Path,
}

impl Load<'_> {
    /// Returns requests a second and the 99th percentile of their times in microseconds.
    async fn run(&self, port: u16, path: &str) -> Result<(f64, f64)> {
        let log = self.body.with_extension("log");
        if log.exists() {
            std::fs::remove_file(&log)?;
        }
        let mut command = Command::new("h2load");
        command
            .args(["-t", "1", "-n", &self.n_requests.to_string()])
            .args(["-c", &self.n_connections.to_string(), "-m", &self.n_streams.to_string()])
            .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
            .arg("-d")
            .arg(self.body)
            .arg(format!("--log-file={}", log.display()))
            .arg(format!("http://127.0.0.1:{port}{path}"));
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let report = String::from_utf8_lossy(&output.stdout);
        let rate = report
            .split(", ")
            .find_map(|part| part.trim().strip_suffix(" req/s"))
            .ok_or_else(|| format!("h2load says: {report}"))?;
        let log = std::fs::read_to_string(log)?;
        let times = log.lines().filter_map(|line| line.rsplit('\t').next()?.parse().ok());
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        let p99 = times.get(times.len() * 99 / 100).copied().ok_or("h2load wrote no times")?;
        Ok((rate.parse()?, p99))
    }
}

/// The medians of both columns.
fn median(runs: &mut [(f64, f64)]) -> (f64, f64) {
    let mut middle = |of: fn(&(f64, f64)) -> f64| {
        runs.sort_by(|a, b| of(a).total_cmp(&of(b)));
        runs.get(runs.len() / 2).map_or(f64::NAN, of)
    };
    (middle(|run| run.0), middle(|run| run.1))
}

/// Gives every call the same answer.
struct Echo(ClassifyResponse);

#[tonic::async_trait]
impl ClassifierService for Echo {
    async fn classify(
        &self,
        request: Request<ClassifyRequest>,
    ) -> std::result::Result<Response<ClassifyResponse>, Status> {
        drop(request);
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_classify(
        &self,
        _request: Request<BatchClassifyRequest>,
    ) -> std::result::Result<Response<BatchClassifyResponse>, Status> {
        Err(Status::unimplemented("an echo of single sentences"))
    }

    type StreamClassifyStream =
        Pin<Box<dyn Stream<Item = std::result::Result<StreamClassifyResponse, Status>> + Send>>;

    async fn stream_classify(
        &self,
        _request: Request<Streaming<StreamClassifyRequest>>,
    ) -> std::result::Result<Response<Self::StreamClassifyStream>, Status> {
        Err(Status::unimplemented("an echo of single sentences"))
    }

    async fn classify_text(
        &self,
        _request: Request<ClassifyTextRequest>,
    ) -> std::result::Result<Response<ClassifyTextResponse>, Status> {
        Err(Status::unimplemented("an echo of single sentences"))
    }
}
