//! `dictum serve`, and every subcommand that talks to a server, compared with the same on a folder.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::command::{Home, Ran, cards_csv};

/// Longest wait for the server to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `dictum serve`, killed if the test ends early.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    access: Vec<String>,
    log: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Server {
    /// Starts a server on a free port, and waits until it answers.
    pub(super) fn start(home: &Home, args: &[&str]) -> Self {
        Self::start_over(home, args, &[])
    }

    /// The same; `access` are the flags that it takes to ask it, over TLS if there are any.
    pub(super) fn start_over(home: &Home, args: &[&str], access: &[&str]) -> Self {
        let args =
            [&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off"], args].concat();
        let mut child = home
            .command(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut lines = Vec::new();
        let address = loop {
            let line = stderr.next().expect("the server says where it listens").expect("text");
            let record: Value = serde_json::from_str(&line).expect("a log record");
            let address = record["address"].as_str().map(str::to_owned);
            lines.push(line);
            if let Some(address) = address {
                break address;
            }
        };
        let log = Arc::new(Mutex::new(lines));
        let written = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.map_while(Result::ok) {
                written.lock().expect("no panic").push(line);
            }
        });
        let scheme = if access.is_empty() { "http" } else { "https" };
        let access = access.iter().map(|&word| word.to_owned()).collect();
        let server = Self { child, url: format!("{scheme}://{address}"), access, log, reader };
        server.wait_until_it_serves(home);
        server
    }

    fn wait_until_it_serves(&self, home: &Home) {
        let started = Instant::now();
        while self.run(home, &["health"]).exit_code != Some(0) {
            assert!(started.elapsed() < PATIENCE, "the server does not serve");
        }
    }

    pub(super) fn run(&self, home: &Home, args: &[&str]) -> Ran {
        let access: Vec<&str> = self.access.iter().map(String::as_str).collect();
        home.run(&[args, &["--server", &self.url], &access].concat())
    }

    /// Waits until the log has a record with this in it.
    pub(super) fn wait_for_record(&self, text: &str) {
        let started = Instant::now();
        while !self.log.lock().expect("no panic").iter().any(|line| line.contains(text)) {
            assert!(started.elapsed() < PATIENCE, "no record has {text}");
            thread::yield_now();
        }
    }

    /// Sends a signal by its name.
    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// The process.
    pub(super) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Stops the server as a service manager does; returns its exit code, stdout and log.
    pub(super) fn stop(mut self) -> (Option<i32>, String, Vec<String>) {
        self.signal("TERM");
        let mut stdout = String::new();
        let pipe = self.child.stdout.take().expect("a pipe");
        for line in BufReader::new(pipe).lines() {
            stdout.push_str(&line.expect("text"));
        }
        let status = self.child.wait().expect("the server ends");
        std::mem::replace(&mut self.reader, thread::spawn(|| ())).join().expect("no panic");
        let log = std::mem::take(&mut *self.log.lock().expect("no panic"));
        (status.code(), stdout, log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails where the server has ended, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_server_and_a_folder_give_the_same_results() {
    let home = Home::with_model();
    let server = Server::start(&home, &[]);
    let csv = home.file("cards.csv", cards_csv());
    for args in [
        &["classify", "--model", "mine", "I was charged twice.", "When will the card arrive?"][..],
        &["classify", "--model", "mine@1", "--json", "--explain", "I was charged twice."],
        &["classify", "--top-k", "0", "We had nothing to do with it."],
        &["evaluate", &csv, "--model", "mine", "--json"],
        &["models", "show", "mine", "--json"],
        &["models", "show", "mine"],
        &["models", "show"],
        &["models", "list"],
        &["models", "list", "--json"],
        &["models", "verify"],
        &["models", "verify", "mine", "--json"],
    ] {
        assert_eq!(server.run(&home, args).done(), home.run(args).done(), "{args:?}");
    }
}

#[test]
fn a_server_finds_a_damaged_file_and_goes_on_answering() {
    let home = Home::with_model();
    let server = Server::start(&home, &[]);
    home.damage("mine/1/model.safetensors");
    let ran = server.run(&home, &["models", "verify"]);
    assert_eq!(ran.exit_code, Some(1));
    assert!(ran.stdout.starts_with("mine@1  broken: "), "{ran:?}");
    let answer = server.run(&home, &["classify", "--model", "mine", "I was charged twice."]).done();
    assert!(answer.starts_with("charge\t"), "{answer}");
}

/// Two programs on one folder: what one makes active the other answers with within five seconds, by file
/// events, by looking alone, and where the change was made by neither.
#[test]
fn servers_on_one_folder_follow_within_seconds() {
    let home = Home::with_model();
    let csv = home.file("cards.csv", cards_csv());
    let by_event = Server::start(&home, &["--follow-interval-seconds", "3600"]);
    let by_looking = Server::start(&home, &[]);
    let shown = |server: &Server| {
        let model = server.run(&home, &["models", "show", "mine", "--json"]).json();
        (model["model_version"]["version"].as_u64(), model["active"].as_bool())
    };
    let all_show = |version| {
        let started = Instant::now();
        while [&by_event, &by_looking].iter().any(|s| shown(s) != (Some(version), Some(true))) {
            assert!(started.elapsed() < Duration::from_secs(5), "{version} is not followed");
        }
    };
    all_show(1);
    by_event.run(&home, &["train", &csv, "--model", "mine"]).done();
    all_show(2);
    by_looking.run(&home, &["models", "activate", "mine@1"]).done();
    all_show(1);
    home.run(&["models", "activate", "mine@2"]).done();
    all_show(2);
    for server in [by_event, by_looking] {
        let answer =
            server.run(&home, &["classify", "--model", "mine", "--json", "A card."]).json();
        assert_eq!(answer["model_version"]["version"], 2);
    }
}

#[test]
fn a_server_trains_activates_and_deletes() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let csv = home.file("cards.csv", cards_csv());
    let text = server.run(&home, &["train", &csv, "--model", "mine"]).done();
    assert!(text.starts_with("mine@1 is active: 2 labels, learned from 40 sentences"), "{text}");
    let json = server.run(&home, &["train", &csv, "--model", "mine", "--json"]).json();
    assert_eq!(json["model"]["model_version"]["version"], 2);
    assert_eq!(json["data_report"]["used_count"], 40);
    let checked = server.run(&home, &["train", &csv, "--validate-only"]).done();
    assert!(checked.starts_with("40 of 40 rows can be learned from; nothing was trained\n"));
    // The rows are made by a template, which is told as a giveaway.
    assert!(checked.contains("  line  2  giveaway: the opening \"When will the\""), "{checked}");

    let text = server.run(&home, &["models", "activate", "mine@1"]).done();
    assert_eq!(text, "mine@1 is active; before it was version 2\n");
    let complaint = server.run(&home, &["models", "delete", "mine@1"]).complaint(1);
    assert!(complaint.contains("(FAILED_PRECONDITION)"), "{complaint}");
    assert_eq!(server.run(&home, &["models", "delete", "mine@2"]).done(), "mine@2 is deleted\n");
    let json = server.run(&home, &["models", "list", "mine", "--json"]).json();
    assert_eq!((&json["model_version"]["version"], &json["active"]), (&1.into(), &true.into()));
}

#[test]
fn what_a_server_refuses_is_said_in_one_line() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let complaint = server.run(&home, &["classify", "--model", "other", "x"]).complaint(1);
    assert!(complaint.starts_with(&format!("{}: ", server.url)), "{complaint}");
    assert!(complaint.contains("(NOT_FOUND); `dictum models list --server "), "{complaint}");
    let csv = home.file("bad.csv", b"text,label\n\xff,a\n");
    let complaint = server.run(&home, &["train", &csv]).complaint(1);
    assert!(complaint.contains("(INVALID_ARGUMENT)"), "{complaint}");
    let complaint = server.run(&home, &["classify", " "]).complaint(1);
    assert_eq!(complaint, "argument 1: sentence is blank");
}

#[test]
fn many_sentences_stream_through_a_server_in_order() {
    const N: usize = 20_000;
    let home = Home::with_model();
    let server = Server::start(&home, &[]);
    let sentence =
        |n: usize| if n.is_multiple_of(2) { format!("card {n}") } else { format!("charged {n}") };
    let input: String = (0..N).map(|n| sentence(n) + "\n").collect();
    let args = ["classify", "--model", "mine", "--server", &server.url];
    let answers = home.run_with_input(&args, input).done();
    assert_eq!(answers.lines().count(), N);
    for (n, answer) in answers.lines().enumerate() {
        assert!(answer.ends_with(&format!("\t{}", sentence(n))), "{n}: {answer}");
    }
}

#[test]
fn health_tells_by_its_exit_code() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    assert_eq!(server.run(&home, &["health"]).done(), "SERVING\n");
    assert_eq!(server.run(&home, &["health", "--json"]).json()["status"], "SERVING");
    let known = ["health", "--service", "dictum.v1.ClassifierService"];
    assert_eq!(server.run(&home, &known).done(), "SERVING\n");
    let complaint = server.run(&home, &["health", "--service", "nobody"]).complaint(1);
    assert!(complaint.ends_with("(NOT_FOUND)"), "{complaint}");
}

#[test]
fn a_server_stops_when_told_with_nothing_on_stdout_and_only_records_on_stderr() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let csv = home.file("cards.csv", cards_csv());
    server.run(&home, &["train", &csv]).done();
    let (exit_code, stdout, log) = server.stop();
    assert_eq!((exit_code, stdout.as_str()), (Some(0), ""));
    for line in &log {
        let record: Result<Value, _> = serde_json::from_str(line);
        assert!(record.is_ok_and(|record| record["level"].is_string()), "{line}");
    }
    assert!(log.len() >= 3, "{log:?}");
}

#[test]
fn the_settings_file_names_the_default_model() {
    let home = Home::with_model();
    let config = home.file("dictum.toml", "default_model = 'mine'\nlog_format = 'json'\n");
    let server = Server::start(&home, &["--config", &config]);
    let json = server.run(&home, &["classify", "--json", "A card."]).json();
    assert_eq!(json["model_version"]["name"], "mine");
}

#[test]
fn settings_are_checked_and_shown_without_serving() {
    let home = Home::new();
    let config = home.file("dictum.toml", "max_jobs = 2\n");
    let shown = home.run(&["serve", "--config", &config, "--log-level", "warn", "--check"]).done();
    let has =
        |start: &str, end: &str| shown.lines().any(|l| l.starts_with(start) && l.ends_with(end));
    assert!(has("max_jobs = 2 ", "dictum.toml: line 1"), "{shown}");
    assert!(has("log_level = \"warn\"", "# --log-level"), "{shown}");
    assert!(has("models = ", "# DICTUM_MODELS"), "{shown}");
    let again = home.file("again.toml", &shown);
    home.run(&["serve", "--config", &again, "--check"]).done();
    let complaint = home.run(&["serve", "--max-jobs", "0", "--check"]).complaint(2);
    assert!(complaint.starts_with("--max-jobs: "), "{complaint}");
    assert!(!home.models().exists(), "nothing was made");
    let file = home.file("no-folder", "");
    let complaint = home.run(&["serve", "--models", &file, "--check"]).complaint(2);
    assert!(complaint.contains("models folder") && complaint.contains("no-folder"), "{complaint}");
}

#[test]
fn other_machines_may_call_without_tls_only_on_purpose() {
    let home = Home::new();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let complaint = home.run(&["serve", "--listen", listen]).complaint(2);
        assert!(complaint.ends_with("or let them with --insecure"), "{complaint}");
    }
}

#[test]
fn a_server_does_not_start_with_wrong_settings() {
    let home = Home::new();
    let config = home.file("dictum.toml", "models = 'm'\nlisten_on = 'x'\n");
    let complaint = home.run(&["serve", "--config", &config]).complaint(2);
    assert!(
        complaint.contains("dictum.toml: line 2: unknown key `listen_on`, did you mean `listen`?"),
        "{complaint}"
    );
    let complaint = home.run(&["serve", "--config", "missing.toml"]).complaint(1);
    assert!(complaint.starts_with("cannot read missing.toml: "), "{complaint}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let complaint = home.run(&["serve", "--listen", &address]).complaint(1);
    assert!(complaint.starts_with(&format!("cannot listen on {address}: ")), "{complaint}");
    assert!(
        complaint.ends_with("; choose another address with --listen or --metrics-listen"),
        "{complaint}"
    );
    let complaint = home.run(&["serve", "--log-level", "info,="]).complaint(2);
    assert!(complaint.contains("--log-level"), "{complaint}");
}
