//! Runs the program on folders of its own, with nothing of the caller's environment that it reads.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with models and data, gone at the end of the test, and what else the program is told of the world.
pub(super) struct Home {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// What a run of the program gave.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) exit_code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Home {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder"), environment: Vec::new() }
    }

    /// Tells the program more, from now on.
    #[cfg(feature = "object-storage")]
    pub(super) fn tell(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    /// A home with a trained model `mine`, version 1, of the labels `card` and `charge`.
    pub(super) fn with_model() -> Self {
        let home = Self::new();
        let csv = home.file("cards.csv", cards_csv());
        home.run(&["train", &csv, "--model", "mine"]).done();
        home
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn models(&self) -> PathBuf {
        self.path().join("models")
    }

    /// Writes a file; returns its path for the command line.
    pub(super) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path().join(name);
        fs::write(&path, content).expect("a file in the temporary folder");
        path.to_str().expect("a plain path").to_owned()
    }

    /// Flips a bit in the middle of a file among the models.
    pub(super) fn damage(&self, path: &str) {
        let path = self.models().join(path);
        let mut file = fs::read(&path).expect("a model file");
        let middle = file.len() / 2;
        file[middle] ^= 1;
        fs::write(&path, file).expect("a model file");
    }

    /// Reads a text file that was written here.
    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("a text file")
    }

    /// The program, to be run here.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dictum"));
        command.args(args).current_dir(self.path()).env_clear();
        command.env("DICTUM_MODELS", self.models());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(super) fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).stdin(Stdio::null()).output();
        Ran::from(output.expect("the program runs"))
    }

    pub(super) fn run_with_input(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.as_ref().to_owned();
        // On a thread of its own: the program may answer before it has read everything.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().expect("the program ends");
        writer.join().expect("no panic").expect("the program reads its input");
        Ran::from(output)
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            exit_code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text on stdout"),
            stderr: String::from_utf8(output.stderr).expect("text on stderr"),
        }
    }
}

impl Ran {
    /// The output of a run that did what it should, without a word on stderr.
    #[track_caller]
    pub(super) fn done(self) -> String {
        assert_eq!((self.exit_code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// The one JSON object that such a run printed.
    #[track_caller]
    pub(super) fn json(self) -> Value {
        let lines = self.json_lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.into_iter().next().unwrap_or_default()
    }

    /// The JSON objects that such a run printed, one a line.
    #[track_caller]
    pub(super) fn json_lines(self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.done().lines().map(parse).collect()
    }

    /// The one line of complaint of a run that ended with this exit code and gave no result.
    #[track_caller]
    pub(super) fn complaint(self, exit_code: i32) -> String {
        assert_eq!((self.exit_code, self.stdout.as_str()), (Some(exit_code), ""), "{self:?}");
        let complaint =
            self.stderr.strip_prefix("error: ").and_then(|line| line.strip_suffix('\n'));
        let is_one_line = complaint.is_some_and(|complaint| !complaint.contains('\n'));
        assert!(is_one_line, "not one line of complaint: {:?}", self.stderr);
        complaint.unwrap_or_default().to_owned()
    }
}

/// Forty sentences of two labels, easy to tell apart.
pub(super) fn cards_csv() -> String {
    let mut csv = "text,label\n".to_owned();
    for thing in ["card", "new card", "bank card", "second card"] {
        for place in ["here", "at home", "in the post", "abroad", "at the office"] {
            csv.push_str(&format!("When will the {thing} arrive {place}?,card\n"));
            csv.push_str(&format!("\"I was charged twice for a {thing} {place}, why?\",charge\n"));
        }
    }
    csv
}
