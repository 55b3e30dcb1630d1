//! Why the command did not do what it was asked, as one line on stderr, and its exit code.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use tonic::Status;
use tonic_types::StatusExt;

use super::args::ServerUrl;
use super::output::text::visible;
use crate::builtin::BuiltInError;
use crate::config::ConfigError;
use crate::model::PartsError;
use crate::report::ReportError;
use crate::server::ServeError;
use crate::server::codes::reason_of_code;
use crate::server::error::CallError;
use crate::store::{KeyError, NameError, StoreError};
use crate::telemetry::TelemetryError;
use crate::train::TrainError;
use crate::train::examples::CsvError;

/// Exit code for wrong use, as clap's own.
const WRONG_USE: u8 = 2;

/// Why the command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The system does not say where the user's data belong.
    #[error("there is no home folder to keep models in")]
    NoModelsFolder,
    /// An input cannot be read.
    #[error("cannot read {name}")]
    Read {
        /// The file, or the standard input.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
    /// The page cannot be written.
    #[error("cannot write {path}")]
    Report {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A server does not make pages.
    #[error("--report works on a folder of models, not on a server")]
    ReportOfServer,
    /// The page cannot be made; a defect of this program.
    #[error(transparent)]
    Page(#[from] ReportError),
    /// A CSV is unusable as a whole.
    #[error("{name}")]
    Csv {
        /// The file, or the standard input.
        name: String,
        /// Why.
        source: CsvError,
    },
    /// A CSV cannot be learned from.
    #[error("{name}")]
    Train {
        /// The file, or the standard input.
        name: String,
        /// Why.
        source: TrainError,
    },
    /// A CSV has nothing to judge by.
    #[error("{name}: no row can be used")]
    NoExamples {
        /// The file, or the standard input.
        name: String,
    },
    /// A training gave something that is not a model; a defect of this program.
    #[error("the trained model is unusable")]
    Parts(#[from] PartsError),
    /// The folder of the models did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no built-in model; a defect of this program.
    #[error(transparent)]
    BuiltIn(#[from] &'static BuiltInError),
    /// What was asked for breaks a rule that a server would keep too.
    #[error(transparent)]
    Refused(Box<CallError>),
    /// A name that should be one is none; a defect of this program.
    #[error(transparent)]
    Name(NameError),
    /// The system gives no threads, or no asynchronous input and output.
    #[error("cannot start: {0}")]
    Start(String),
    /// The server does not answer.
    #[error("cannot reach {server}")]
    Connect {
        /// Its address.
        server: ServerUrl,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The server refused, or the call broke off.
    #[error("{server}: {}", describe(status))]
    Call {
        /// Its address.
        server: ServerUrl,
        /// What it said.
        status: Box<Status>,
    },
    /// The server's answer is not what its contract says.
    #[error("{server}: the answer has no {missing}")]
    Answer {
        /// Its address.
        server: ServerUrl,
        /// What is missing.
        missing: &'static str,
    },
    /// A message does not fit its own description; a defect of this program.
    #[error("cannot write JSON: {0}")]
    Json(String),
    /// A setting is unusable.
    #[error("{place}: {problem}")]
    Config {
        /// The line of the file, the flag or the variable.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A key file is unusable.
    #[error("{path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
    /// The settings do not go together.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// A server cannot do with what its settings name.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The logs cannot be written as wanted.
    #[error("cannot log")]
    Log(#[source] TelemetryError),
    /// The address to listen on is not to be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl From<CallError> for CliError {
    fn from(error: CallError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl CliError {
    /// What makes a status of a server an error of the command.
    pub(super) fn call(server: &ServerUrl) -> impl Fn(Status) -> Self {
        move |status| Self::Call { server: server.clone(), status: Box::new(status) }
    }

    /// What to do about it, to stand behind the message; empty where there is nothing to say.
    fn hint(&self) -> String {
        let hint = match self {
            Self::NoModelsFolder => "; name a folder with --models",
            Self::Csv { source, .. } => csv_hint(source),
            Self::Store(source) => store_hint(source),
            Self::Connect { .. } => "; is it running? `dictum serve` starts one",
            Self::Call { server, status } => return call_hint(server, status),
            Self::Listen { .. } => "; choose another address with --listen or --metrics-listen",
            Self::Log(_) => "; --log-level takes error, warn, info, debug or trace",
            Self::Settings(ConfigError::Exposed { .. }) => {
                "; see --tls-certificate and --tokens, or let them with --insecure"
            }
            Self::Read { .. }
            | Self::Write(_)
            | Self::Report { .. }
            | Self::ReportOfServer
            | Self::Page(_)
            | Self::Train { .. }
            | Self::NoExamples { .. }
            | Self::Parts(_)
            | Self::BuiltIn(_)
            | Self::Refused(_)
            | Self::Name(_)
            | Self::Start(_)
            | Self::Answer { .. }
            | Self::Json(_)
            | Self::Key { .. }
            | Self::Config { .. }
            | Self::Serve(_)
            | Self::Settings(ConfigError::Needs { .. }) => "",
        };
        hint.to_owned()
    }

    /// Says it on stderr, and returns the exit code. Whoever reads the result may stop reading:
    /// that is no error, and nothing is said.
    pub(super) fn report(&self) -> ExitCode {
        if let Self::Write(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        complain(&format!("{}{}", chain(self), self.hint()));
        if matches!(
            self,
            Self::Refused(_)
                | Self::Config { .. }
                | Self::Key { .. }
                | Self::Settings(_)
                | Self::Serve(_)
                | Self::Log(_)
                | Self::ReportOfServer
        ) {
            return ExitCode::from(WRONG_USE);
        }
        ExitCode::FAILURE
    }
}

/// Writes one line `error: …` on stderr.
pub(super) fn complain(message: &str) {
    const RED: Style = AnsiColor::Red.on_default().bold();
    // Where stderr is closed there is nobody to tell.
    writeln!(anstream::stderr().lock(), "{RED}error:{RED:#} {}", visible(message)).ok();
}

/// Writes one line on stderr that is not part of the result.
pub(super) fn note(message: &str) {
    // Where stderr is closed there is nobody to tell.
    writeln!(anstream::stderr().lock(), "{}", visible(message)).ok();
}

/// Returns an error with its causes; a cause that the message before ends with is not repeated.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

fn csv_hint(error: &CsvError) -> &'static str {
    if let CsvError::NotUtf8 { .. } = error {
        return "; save it as UTF-8";
    }
    let is_about_columns = matches!(
        error,
        CsvError::MissingColumn { .. }
            | CsvError::AmbiguousColumn { .. }
            | CsvError::SameColumn { .. }
    );
    if is_about_columns {
        return "; --text-column, --label-column and --delimiter say how to read it";
    }
    ""
}

fn store_hint(error: &StoreError) -> &'static str {
    if let StoreError::VersionIsActive { .. } = error {
        return "; make another one active first: `dictum models activate NAME@VERSION`";
    }
    let is_missing = matches!(
        error,
        StoreError::UnknownModel { .. }
            | StoreError::UnknownVersion { .. }
            | StoreError::NoActiveVersion { .. }
    );
    if is_missing { "; `dictum models list` shows what there is" } else { "" }
}

/// What a server said: the message, the fields at fault, the code.
fn describe(status: &Status) -> String {
    let violations =
        status.get_details_bad_request().map(|b| b.field_violations).unwrap_or_default();
    let mut text = status.message().to_owned();
    for violation in violations {
        if !text.contains(&violation.description) {
            text.push_str(&format!("; {} {}", violation.field, violation.description));
        }
    }
    let code = reason_of_code(status.code());
    if text.is_empty() { code.to_owned() } else { format!("{text} ({code})") }
}

fn call_hint(server: &ServerUrl, status: &Status) -> String {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    if matches!(reason.as_str(), "MODEL_UNKNOWN" | "VERSION_UNKNOWN" | "NO_ACTIVE_VERSION") {
        format!("; `dictum models list --server {server}` shows what there is")
    } else {
        String::new()
    }
}
