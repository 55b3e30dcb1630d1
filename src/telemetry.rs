//! Logs: records on stderr, as text on a terminal and as JSON lines in a pipe.
//!
//! No record holds text of a request: no sentence, token, label or file content. Panics become
//! records too, with their place and without their message, which may quote input.

use std::fmt;
use std::io::{self, IsTerminal};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many panics there were in this process since [`install`].
#[must_use]
pub fn panic_count() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Why logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not one.
    #[error("log level {level:?}")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process logs already.
    #[error("logging is set up already")]
    Installed(#[from] TryInitError),
    /// What is logged cannot be changed; a defect of this program.
    #[error("the level cannot be changed")]
    Switch(#[from] reload::Error),
}

/// Changes what is logged while the process runs.
pub struct LevelSwitch(Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl LevelSwitch {
    /// Logs from now on what this level says.
    ///
    /// # Errors
    ///
    /// When the level is not one; then nothing changes.
    pub fn set(&self, level: &str) -> Result<(), TelemetryError> {
        Ok((self.0)(filter(level)?)?)
    }
}

impl fmt::Debug for LevelSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LevelSwitch")
    }
}

/// Checks a level.
///
/// # Errors
///
/// When it is not one.
pub fn check(level: &str) -> Result<(), TelemetryError> {
    filter(level).map(drop)
}

/// What HTTP/2 warns of is what a client sends, once a frame if it likes: it is told to those who ask for it.
const QUIET: &str = "h2=error";

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(format!("{QUIET},{level}"))
        .map_err(|source| TelemetryError::Level { level: level.to_owned(), source })
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Format {
    /// Text when stderr is a terminal, else JSON.
    #[must_use]
    pub fn for_stderr() -> Self {
        if io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Starts logging to stderr for the whole process.
///
/// `level` is `error`, `warn`, `info`, `debug`, `trace`, or a list of directives such as
/// `info,dictum=debug`.
///
/// # Errors
///
/// When the level is not one, or when the process logs already.
pub fn install(level: &str, format: Format) -> Result<LevelSwitch, TelemetryError> {
    let records = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(io::stderr);
    let switch = match format {
        Format::Text => {
            let records = records.with_filter_reloading();
            let handle = records.reload_handle();
            records.finish().try_init()?;
            LevelSwitch(Box::new(move |filter| handle.reload(filter)))
        }
        Format::Json => {
            let records = records.json().flatten_event(true).with_filter_reloading();
            let handle = records.reload_handle();
            records.finish().try_init()?;
            LevelSwitch(Box::new(move |filter| handle.reload(filter)))
        }
    };
    panic::set_hook(Box::new(|info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    Ok(switch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused() {
        let error = install("info,=", Format::Text).expect_err("refused");
        assert!(matches!(error, TelemetryError::Level { .. }), "{error}");
    }

    #[test]
    fn what_a_client_may_repeat_is_logged_for_those_who_ask() {
        let directives = |level| filter(level).expect("a level").to_string();
        assert!(directives("info").contains(QUIET), "{}", directives("info"));
        let asked = directives("info,h2=debug");
        assert!(asked.contains("h2=debug") && !asked.contains(QUIET), "{asked}");
    }
}
