//! What the server costs beside a handler that does nothing, measured by h2load.
//!
//! `cargo bench --bench grpc [-- REQUESTS [PEER_PORT]]` (Debian: `apt-get install nghttp2-client`) starts
//! the program with its built-in model, and beside it a plain tonic server that answers every call with one
//! and the same message of the same size; loads them in turns, and prints the ratios.
//! With `PEER_PORT`, `peer.v1.Classifier/Classify` there is loaded too (see `peers.py`).

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

#[path = "common/program.rs"]
mod program;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dictum::builtin;
use dictum::proto::classifier_service_client::ClassifierServiceClient;
use dictum::proto::classifier_service_server::{ClassifierService, ClassifierServiceServer};
use dictum::proto::{
    BatchClassifyRequest, BatchClassifyResponse, ClassifyRequest, ClassifyResponse,
    ClassifyTextRequest, ClassifyTextResponse, StreamClassifyRequest, StreamClassifyResponse,
};
use dictum::train::examples::{CsvOptions, Limits, read_csv};
use prost::Message;
use tokio_stream::Stream;
use tonic::transport::Endpoint;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SENTENCE: &str = "The ministry denied on Tuesday that the talks had been broken off.";
const BATCH_SENTENCES: usize = 1_000;
/// Connections and streams of each.
const SHAPES: [(u32, u32); 2] = [(1, 8), (16, 8)];
const ROUNDS: usize = 5;
/// Has this program be the other server: the file of its answer stands behind it.
const ECHO: &str = "--echo";

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let first = args.next();
    if first.as_deref() == Some(ECHO) {
        return echo(Path::new(&args.next().ok_or("no answer")?));
    }
    let n_requests: u32 = first.map_or(Ok(50_000), |n| n.parse())?;
    let peer: Option<u16> = args.next().map(|port| port.parse()).transpose()?;
    let folder = tempfile::tempdir()?;
    let (dictum, answer) = Server::dictum(&folder.path().join("models"))?;
    let file = folder.path().join("answer");
    std::fs::write(&file, answer.encode_to_vec())?;
    let echo = Server::echo(&file)?;

    let request = ClassifyRequest { sentence: SENTENCE.to_owned(), options: None };
    let one = folder.path().join("one");
    std::fs::write(&one, framed(&request)?)?;
    for (n_connections, n_streams) in SHAPES {
        let load = Load { n_requests, n_connections, n_streams, body: &one };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(load.run(dictum.port, CLASSIFY)?);
            theirs.push(load.run(echo.port, CLASSIFY)?);
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
            let peer = few.run(port, "/peer.v1.Classifier/Classify")?;
            println!(
                "  scikit-learn behind grpcio: {:.0} requests/s, ratio {:.0}",
                peer.0,
                ours.0 / peer.0
            );
        }
    }
    let batch = folder.path().join("batch");
    std::fs::write(
        &batch,
        framed(&BatchClassifyRequest { sentences: sentences()?, options: None })?,
    )?;
    let load = Load { n_requests: n_requests / 100, n_connections: 1, n_streams: 2, body: &batch };
    let (per_second, _) = load.run(dictum.port, BATCH)?;
    println!("batches of 1,000: {:.0} sentences/s", per_second * 1e3);
    Ok(())
}

/// Differing sentences, those of the built-in model.
fn sentences() -> Result<Vec<String>> {
    let watch = |_| ControlFlow::Continue(());
    let csv = builtin::TRAINING_CSV.as_bytes();
    let data = read_csv(csv, &CsvOptions::default(), &Limits::default(), watch)?;
    let texts = data.examples.into_iter().map(|example| example.text.to_string());
    Ok(texts.take(BATCH_SENTENCES).collect())
}

/// A process that serves on a port, until this is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // What has ended by itself cannot be killed.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    /// The program, and what it answers. h2load would count what is refused as answered, so that the models
    /// must be loaded before.
    fn dictum(models: &Path) -> Result<(Self, ClassifyResponse)> {
        let (process, port) = program::serve(models)?;
        let server = Self { process, port };
        let answer = tokio::runtime::Runtime::new()?.block_on(first_answer(port))?;
        Ok((server, answer))
    }

    /// A handler that gives every call the answer in a file.
    fn echo(answer: &Path) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(ECHO)
            .arg(answer)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or("no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { process, port: line.trim().parse()? })
    }
}

/// Serves as anybody would with tonic.
#[tokio::main]
async fn echo(answer: &Path) -> Result<()> {
    let answer = ClassifyResponse::decode(&std::fs::read(answer)?[..])?;
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
    println!("{}", incoming.local_addr()?.port());
    let service = ClassifierServiceServer::new(Echo(answer));
    tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await?;
    Ok(())
}

const CLASSIFY: &str = "/dictum.v1.ClassifierService/Classify";
const BATCH: &str = "/dictum.v1.ClassifierService/BatchClassify";

/// Waits until the models are loaded. h2load counts what is refused as answered.
async fn first_answer(port: u16) -> Result<ClassifyResponse> {
    let channel = Endpoint::try_from(format!("http://127.0.0.1:{port}"))?.connect_lazy();
    let mut client = ClassifierServiceClient::new(channel);
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
    fn run(&self, port: u16, path: &str) -> Result<(f64, f64)> {
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
        let output = command.output()?;
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
