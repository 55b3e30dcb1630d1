//! The real program: run to its end, killed, traced, or serving.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dictum::proto::classifier_service_client::ClassifierServiceClient;
use dictum::proto::model_service_client::ModelServiceClient;
use dictum::proto::{ClassifyOptions, ClassifyRequest, ClassifyResponse};
use tokio::runtime::Runtime;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A sentence that the models here know words of.
pub(crate) const SENTENCE: &str = "The firm never stole the money, said Ana Ruiz.";

/// Path of the program.
pub(crate) const PATH: &str = env!("CARGO_BIN_EXE_dictum");

/// The program on a folder of models.
pub(crate) fn command(models: &Path, args: &[&str]) -> Command {
    of(Command::new(PATH), models, args)
}

/// The program under another one that takes it as its last arguments.
pub(crate) fn of(mut command: Command, models: &Path, args: &[&str]) -> Command {
    command.args(args).env_clear().env("DICTUM_MODELS", models).env("DICTUM_THREADS", "2");
    command.stdin(Stdio::null());
    command
}

/// What a run printed and how it ended.
pub(crate) fn run(models: &Path, args: &[&str]) -> Output {
    command(models, args).output().expect("the program runs")
}

/// The text of a run that ended well.
pub(crate) fn done(models: &Path, args: &[&str]) -> String {
    let output = run(models, args);
    assert!(output.status.success(), "{args:?}: {}", complaint(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// What a run complained about.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that a run failed with one clear line, and returns it.
pub(crate) fn refusal(output: &Output) -> String {
    let complaint = complaint(output);
    let is_clear = complaint.starts_with("error: ") && !complaint.contains("panicked");
    assert!(output.status.code().is_some_and(|code| code > 0) && is_clear, "{output:?}");
    complaint
}

/// Waits a moment.
pub(crate) fn pause(time: Duration) {
    #[allow(clippy::disallowed_methods, reason = "a kill comes after a time, not after an event")]
    thread::sleep(time);
}

/// A running `dictum serve`, killed at the end.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    runtime: Runtime,
}

impl Server {
    /// Starts a server on a free port, and waits until it serves.
    pub(crate) fn start(models: &Path) -> Self {
        let mut child =
            command(models, &["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the program runs");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = loop {
            let line = log.next().expect("it says where it listens").expect("text");
            let record: serde_json::Value = serde_json::from_str(&line).expect("a log record");
            if let Some(address) = record["address"].as_str() {
                break address.parse().expect("an address");
            }
        };
        // Read on, or the pipe fills up.
        thread::spawn(move || log.for_each(drop));
        let server = Self { child, address, runtime: Runtime::new().expect("a runtime") };
        let started = Instant::now();
        while !server.is_serving() {
            assert!(started.elapsed() < PATIENCE, "the server does not serve");
        }
        server
    }

    /// Number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it is, for `--server`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it, as a machine out of memory would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// A connection of its own.
    pub(crate) fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url()).expect("an address");
        self.block_on(endpoint.connect()).expect("a connection")
    }

    /// A client of the service that keeps models.
    pub(crate) fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel())
    }

    /// Waits for a call.
    pub(crate) fn block_on<T>(&self, call: impl Future<Output = T>) -> T {
        self.runtime.block_on(call)
    }

    /// Where its clients run.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Whether health says so.
    pub(crate) fn is_serving(&self) -> bool {
        let request = HealthCheckRequest { service: String::new() };
        let mut health = HealthClient::new(self.channel());
        let state = self.block_on(health.check(request)).expect("a state").into_inner();
        state.status() == ServingStatus::Serving
    }

    /// Classifies with the active version of a model.
    pub(crate) fn classify(&self, model: &str) -> Result<ClassifyResponse, Status> {
        let mut client = ClassifierServiceClient::new(self.channel());
        let answer = self.block_on(client.classify(request(model)))?;
        Ok(answer.into_inner())
    }

    /// Asserts that this version answers, and that health is what it was.
    pub(crate) fn assert_serves(&self, model: &str, version: u64) {
        let answer = self.classify(model).expect("an answer");
        assert_eq!(answer.model_version.expect("who answered").version, version);
        assert!(self.is_serving(), "health has changed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails where it has ended, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A request to the active version of a model.
pub(crate) fn request(model: &str) -> ClassifyRequest {
    let options = ClassifyOptions { model: model.to_owned(), ..Default::default() };
    ClassifyRequest { sentence: SENTENCE.to_owned(), options: Some(options) }
}
