//! Models in a bucket, over HTTP to a real S3 server (`tests/s3-server`), which the tests build and start.
//!
//! To stop the server is to stop the store; its folder is the bucket, so that objects can be damaged.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::command::{Home, Ran, cards_csv};
use super::serve::Server;

/// From an activation by one process until all others answer with the version.
const MAX_LAG: Duration = Duration::from_secs(5);
/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(60);
const SENTENCE: &str = "I was charged twice.";
const SECRET: &str = "test-secret";

/// A store with one bucket.
struct Store {
    folder: TempDir,
    server: Child,
    port: String,
}

impl Store {
    fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::create_dir(folder.path().join("bucket")).expect("a bucket");
        let (server, port) = start(folder.path(), "0");
        Self { folder, server, port }
    }

    fn stop(&mut self) {
        self.server.kill().expect("it runs");
        self.server.wait().expect("it ends");
    }

    fn start_again(&mut self) {
        (self.server, self.port) = start(self.folder.path(), &self.port);
    }

    /// Stops or continues the server's process: it takes connections and does not answer.
    fn signal(&self, signal: &str) {
        let pid = self.server.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// A machine that uses the bucket, with a cache of its own.
    fn home(&self) -> Home {
        let mut home = Home::new();
        home.tell("DICTUM_MODELS", "s3://bucket/some/models");
        home.tell("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port));
        home.tell("AWS_ALLOW_HTTP", "true");
        home.tell("AWS_REGION", "us-east-1");
        home.tell("AWS_ACCESS_KEY_ID", "test");
        home.tell("AWS_SECRET_ACCESS_KEY", SECRET);
        let cache = home.path().join("cache").display().to_string();
        home.tell("XDG_CACHE_HOME", cache);
        home
    }

    /// Changes a byte in the middle of an object.
    fn damage(&self, key: &str) {
        damage(&self.folder.path().join("bucket/some/models").join(key));
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Fails where it has ended, which is what is wanted.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

fn start(folder: &Path, port: &str) -> (Child, String) {
    let mut server = Command::new(program())
        .args([folder.as_os_str(), port.as_ref()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server runs");
    let mut port = String::new();
    let stdout = server.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut port).expect("the server says where it listens");
    (server, port.trim().to_owned())
}

/// The S3 server's program, built when it is first asked for.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3-server");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3-server");
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--target-dir"])
            .arg(&target)
            .current_dir(folder)
            .status();
        assert!(built.expect("cargo runs").success(), "the S3 server is not built");
        target.join("debug/s3-server")
    })
}

fn damage(path: &Path) {
    let mut file = fs::read(path).expect("a file");
    let middle = file.len() / 2;
    file[middle] ^= 1;
    fs::write(path, file).expect("a file");
}

/// Trains `mine`; `seed` makes another model of it.
fn train(home: &Home, seed: &str, more: &[&str]) -> Ran {
    let csv = home.file("cards.csv", cards_csv());
    home.run(&[&["train", &csv, "--model", "mine", "--seed", seed], more].concat())
}

/// The version of `mine` that a server answers with.
fn answering(server: &Server, home: &Home) -> u64 {
    let json = server.run(home, &["classify", "--model", "mine", "--json", SENTENCE]).json();
    json["model_version"]["version"].as_u64().expect("a version")
}

fn versions(home: &Home) -> Vec<String> {
    let listed = home.run(&["models", "list", "mine", "--json"]).json_lines();
    let shown = |model: &serde_json::Value| {
        let star = if model["active"] == true { "*" } else { "" };
        format!("{}{star}", model["model_version"]["version"])
    };
    listed.iter().map(shown).collect()
}

#[test]
fn versions_are_published_activated_rolled_back_and_deleted() {
    let store = Store::start();
    let (home, other) = (store.home(), store.home());
    home.run(&["serve", "--check"]).done();
    train(&home, "1", &[]).done();
    train(&other, "2", &[]).done();
    assert_eq!(versions(&home), ["2*", "1"]);
    let text = home.run(&["models", "activate", "mine@1"]).done();
    assert_eq!(text, "mine@1 is active; before it was version 2\n");
    assert_eq!(versions(&other), ["2", "1*"]);
    let complaint = other.run(&["models", "delete", "mine@1"]).complaint(1);
    assert!(complaint.starts_with("version 1 of model mine is active"), "{complaint}");
    other.run(&["models", "delete", "mine@2"]).done();
    assert_eq!(versions(&home), ["1*"]);
    assert_eq!(home.run(&["models", "verify"]).done(), "mine@1  good\n");
    train(&home, "3", &["--no-activate"]).done();
    assert_eq!(versions(&other), ["3", "1*"], "a number is not used twice");
    let secret = home.file("secret.pem", include_str!("../../keys/secret.pem"));
    home.run(&["models", "sign", "mine@3", "--key", &secret]).done();
    let public = other.file("public.pem", include_str!("../../keys/public.pem"));
    let checked = other.run(&["models", "verify", "--trusted-keys", &public]).stdout;
    assert!(checked.starts_with("mine@1  broken: ") && checked.contains("mine@3  good, signed by"));
}

#[test]
fn what_one_server_trains_all_others_answer_with() {
    let store = Store::start();
    let (home, other) = (store.home(), store.home());
    let (trains, follows) = (Server::start(&home, &[]), Server::start(&other, &[]));
    let csv = home.file("cards.csv", cards_csv());
    for version in 1..=3 {
        trains.run(&home, &["train", &csv, "--model", "mine"]).done();
        let activated = Instant::now();
        while follows.run(&other, &["models", "list", "mine"]).exit_code != Some(0)
            || answering(&follows, &other) != version
        {
            assert!(activated.elapsed() < MAX_LAG, "it does not follow to version {version}");
        }
        println!("version {version} is followed after {:?}", activated.elapsed());
    }
}

#[test]
fn of_writers_that_race_each_gets_a_number_or_is_told() {
    let store = Store::start();
    let homes: Vec<_> = (0..4).map(|_| store.home()).collect();
    let ran: Vec<_> = thread::scope(|scope| {
        let start = |(seed, home)| {
            let seed: String = usize::to_string(&seed);
            scope.spawn(move || train(home, &seed, &["--json"]))
        };
        let writers: Vec<_> = homes.iter().enumerate().map(start).collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
    });
    let mut given = Vec::new();
    for ran in ran {
        if ran.exit_code == Some(0) {
            given.push(ran.json()["model"]["model_version"]["version"].as_u64().expect("a number"));
        } else {
            let complaint = ran.complaint(1);
            assert!(complaint.contains("is being written by another process"), "{complaint}");
        }
    }
    given.sort_unstable();
    let n_given = given.len();
    given.dedup();
    assert!(n_given > 0 && given.len() == n_given, "{given:?}");
    let shown = versions(&homes[0]);
    assert!(
        given
            .iter()
            .all(|number| shown.iter().any(|v| v.trim_end_matches('*') == number.to_string()))
    );
    assert_eq!(shown.iter().filter(|version| version.ends_with('*')).count(), 1, "{shown:?}");
    let good = homes[0].run(&["models", "verify"]).done();
    assert_eq!(good.matches("  good\n").count(), shown.len(), "{good}");
}

#[test]
fn a_store_that_is_away_stops_changes_and_nothing_else() {
    let mut store = Store::start();
    let home = store.home();
    train(&home, "1", &[]).done();
    let csv = home.file("cards.csv", cards_csv());
    let server = Server::start(&home, &[]);
    for how in ["killed", "silent"] {
        if how == "killed" {
            store.stop();
        } else {
            store.signal("-STOP");
        }
        let started = Instant::now();
        let complaint = server.run(&home, &["train", &csv, "--model", "mine"]).complaint(1);
        assert!(complaint.contains("the object storage did not"), "{complaint}");
        assert!(complaint.contains("(UNAVAILABLE)"), "{complaint}");
        println!("with the store {how}, a training fails after {:?}", started.elapsed());
        assert_eq!(answering(&server, &home), 1);
        // A server that starts now has what it saw.
        let started = Instant::now();
        let late = Server::start(&home, &[]);
        println!("with the store {how}, a server starts after {:?}", started.elapsed());
        assert_eq!(answering(&late, &home), 1);
        let (_, _, log) = late.stop();
        let log = log.concat();
        assert!(log.contains("does not answer as it should") && !log.contains(SECRET), "{log}");
        if how == "killed" {
            store.start_again();
        } else {
            store.signal("-CONT");
        }
        let back = Instant::now();
        while server.run(&home, &["train", &csv, "--model", "mine", "--no-activate"]).exit_code
            != Some(0)
        {
            assert!(back.elapsed() < PATIENCE, "the store is back");
        }
    }
    let nothing_seen = store.home();
    store.stop();
    let complaint = nothing_seen.run(&["models", "list"]).complaint(1);
    assert!(complaint.contains("the object storage did not list"), "{complaint}");
    assert!(!complaint.contains(SECRET), "{complaint}");
}

#[test]
fn a_damaged_object_is_refused_and_the_old_version_answers_on() {
    let store = Store::start();
    let (home, other) = (store.home(), store.home());
    train(&home, "1", &[]).done();
    let server = Server::start(&home, &[]);
    train(&other, "2", &["--no-activate"]).done();
    store.damage("models/mine/2/model.safetensors");
    // It is whole in the cache of the one who trained it, who therefore sees nothing.
    other.run(&["models", "activate", "mine@2"]).done();
    let broken = || {
        let ran = server.run(&home, &["classify", "--model", "mine@2", SENTENCE]);
        ran.exit_code == Some(1) && ran.stderr.contains("DATA_LOSS")
    };
    let started = Instant::now();
    while !broken() {
        assert!(started.elapsed() < PATIENCE, "it is refused");
    }
    assert_eq!(answering(&server, &home), 1);
    let complaint = store.home().run(&["models", "activate", "mine@2"]).complaint(1);
    assert!(complaint.contains("the digest does not match the content"), "{complaint}");
    let (_, _, log) = server.stop();
    assert!(log.concat().contains("the digest does not match the content"), "{log:?}");
}

#[test]
fn a_damaged_cache_is_fetched_again() {
    let store = Store::start();
    let home = store.home();
    train(&home, "1", &[]).done();
    let mut folders = vec![home.path().join("cache")];
    let mut cached = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "safetensors") {
                cached.push(path);
            }
        }
    }
    assert_eq!(cached.len(), 1, "{cached:?}");
    damage(&cached[0]);
    let server = Server::start(&home, &[]);
    assert_eq!(answering(&server, &home), 1);
    let (_, _, log) = server.stop();
    assert!(log.concat().contains("a cached model is damaged"), "{log:?}");
}
