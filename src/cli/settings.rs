//! The settings of `dictum serve`: what is typed, over the environment, over the file, over the defaults.
//!
//! One struct is read from all three. Its fields are the keys of the file, and with hyphens the flags.

use std::fs;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer, de::Error};

use super::args::{self, Days, models_folder};
use super::error::CliError;
use super::keys;
use crate::config::{DEFAULT_LISTEN, Limits, ServeConfig, Timeouts};
use crate::store::ModelName;
use crate::telemetry;

/// Every setting; `None`: not set here.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// Address and port to listen on [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS", env = "DICTUM_LISTEN", hide_env_values = true)]
    listen: Option<SocketAddr>,
    /// Folder of the models; made when the first one is stored [default: in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DICTUM_MODELS", hide_env_values = true)]
    models: Option<PathBuf>,
    /// Model that answers when a request names none [default: the built-in news-statements]
    #[arg(long, value_name = "NAME", env = "DICTUM_DEFAULT_MODEL", hide_env_values = true)]
    #[serde(deserialize_with = "parsed")]
    default_model: Option<ModelName>,
    /// PEM file with public keys: only models signed by one of them answer [default: any model]
    #[arg(long, value_name = "FILE", env = "DICTUM_TRUSTED_KEYS", hide_env_values = true)]
    trusted_keys: Option<PathBuf>,
    /// PEM file with the secret key that signs what is trained here [default: it is not signed]
    #[arg(long, value_name = "FILE", env = "DICTUM_SIGNING_KEY", hide_env_values = true)]
    signing_key: Option<PathBuf>,
    /// What is logged: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL", env = "DICTUM_LOG_LEVEL", hide_env_values = true)]
    log_level: Option<String>,
    /// How it is logged [default: text on a terminal, json in a pipe]
    #[arg(long, value_enum, value_name = "FORMAT")]
    #[arg(env = "DICTUM_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormat>,

    /// Threads that train and evaluate [default: one per core]
    #[arg(long, value_name = "N", help_heading = "Work and limits")]
    #[arg(env = "DICTUM_TRAINING_THREADS", hide_env_values = true, hide_short_help = true)]
    training_threads: Option<NonZeroUsize>,
    /// Threads that classify large batches and texts [default: one per core]
    #[arg(long, value_name = "N", help_heading = "Work and limits")]
    #[arg(env = "DICTUM_BATCH_THREADS", hide_env_values = true, hide_short_help = true)]
    batch_threads: Option<NonZeroUsize>,
    /// Trainings and evaluations at the same time; further ones are refused [default: 4]
    #[arg(long, value_name = "N", help_heading = "Work and limits")]
    #[arg(env = "DICTUM_MAX_JOBS", hide_env_values = true, hide_short_help = true)]
    max_jobs: Option<NonZeroUsize>,
    /// Calls at the same time on one connection; further ones wait [default: 128]
    #[arg(long, value_name = "N", help_heading = "Work and limits")]
    #[arg(env = "DICTUM_MAX_CONCURRENT_STREAMS", hide_env_values = true, hide_short_help = true)]
    max_concurrent_streams: Option<NonZeroU32>,
    /// Largest Classify request [default: 1048576]
    #[arg(long, value_name = "BYTES", help_heading = "Work and limits")]
    #[arg(env = "DICTUM_MAX_CLASSIFY_MESSAGE_BYTES")]
    #[arg(hide_env_values = true, hide_short_help = true)]
    max_classify_message_bytes: Option<Bytes>,
    /// Largest other request; each message of a stream counts for itself [default: 4194304]
    #[arg(long, value_name = "BYTES", help_heading = "Work and limits")]
    #[arg(env = "DICTUM_MAX_MESSAGE_BYTES", hide_env_values = true, hide_short_help = true)]
    max_message_bytes: Option<Bytes>,
    /// Largest reply; most clients refuse more [default: 4194304]
    #[arg(long, value_name = "BYTES", help_heading = "Work and limits")]
    #[arg(env = "DICTUM_MAX_REPLY_BYTES", hide_env_values = true, hide_short_help = true)]
    max_reply_bytes: Option<Bytes>,

    /// Keep this many of the newest versions of a model when another is stored; the active and the one
    /// active before it are always kept [default: all]
    #[arg(long, value_name = "N", help_heading = "Kept versions")]
    #[arg(env = "DICTUM_KEEP_VERSIONS", hide_env_values = true, hide_short_help = true)]
    keep_versions: Option<NonZeroUsize>,
    /// Keep versions that are not older than this; one that either rule keeps is kept [default: any age]
    #[arg(long, value_name = "DAYS", help_heading = "Kept versions")]
    #[arg(env = "DICTUM_KEEP_DAYS", hide_env_values = true, hide_short_help = true)]
    keep_days: Option<Days>,

    /// How often to look for versions that other processes made active, besides what file events tell at
    /// once [default: 2]
    #[arg(long, value_name = "SECONDS", help_heading = "Times")]
    #[arg(env = "DICTUM_FOLLOW_INTERVAL_SECONDS")]
    #[arg(hide_env_values = true, hide_short_help = true)]
    follow_interval_seconds: Option<Seconds>,
    /// From the signal to stop until calls that still run are ended [default: 20]
    #[arg(long, value_name = "SECONDS", help_heading = "Times")]
    #[arg(env = "DICTUM_SHUTDOWN_GRACE_SECONDS")]
    #[arg(hide_env_values = true, hide_short_help = true)]
    shutdown_grace_seconds: Option<Seconds>,
    /// From accepting a connection until its first byte, or it is closed [default: 10]
    #[arg(long, value_name = "SECONDS", help_heading = "Times")]
    #[arg(env = "DICTUM_FIRST_BYTE_TIMEOUT_SECONDS")]
    #[arg(hide_env_values = true, hide_short_help = true)]
    first_byte_timeout_seconds: Option<Seconds>,
    /// Between two pings on a connection [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = "Times")]
    #[arg(env = "DICTUM_KEEPALIVE_INTERVAL_SECONDS")]
    #[arg(hide_env_values = true, hide_short_help = true)]
    keepalive_interval_seconds: Option<Seconds>,
    /// From a ping to its answer, or the connection is closed [default: 10]
    #[arg(long, value_name = "SECONDS", help_heading = "Times")]
    #[arg(env = "DICTUM_KEEPALIVE_TIMEOUT_SECONDS")]
    #[arg(hide_env_values = true, hide_short_help = true)]
    keepalive_timeout_seconds: Option<Seconds>,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogFormat {
    /// For people
    Text,
    /// One object a line
    Json,
}

impl Settings {
    /// Reads a TOML file.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let text = fs::read_to_string(path)
            .map_err(|source| CliError::Read { name: path.display().to_string(), source })?;
        toml::from_str(&text).map_err(|error| {
            let line = |start| text.get(..start).unwrap_or_default().matches('\n').count() + 1;
            let place = error.span().map(|span| format!("line {}: ", line(span.start)));
            let problem = format!("{}{}", place.unwrap_or_default(), error.message());
            CliError::Config { path: path.to_owned(), problem }
        })
    }

    /// Fills in from `other` what is not set here.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            models: self.models.or(other.models),
            default_model: self.default_model.or(other.default_model),
            trusted_keys: self.trusted_keys.or(other.trusted_keys),
            signing_key: self.signing_key.or(other.signing_key),
            log_level: self.log_level.or(other.log_level),
            log_format: self.log_format.or(other.log_format),
            training_threads: self.training_threads.or(other.training_threads),
            batch_threads: self.batch_threads.or(other.batch_threads),
            max_jobs: self.max_jobs.or(other.max_jobs),
            max_concurrent_streams: self.max_concurrent_streams.or(other.max_concurrent_streams),
            max_classify_message_bytes: self
                .max_classify_message_bytes
                .or(other.max_classify_message_bytes),
            max_message_bytes: self.max_message_bytes.or(other.max_message_bytes),
            max_reply_bytes: self.max_reply_bytes.or(other.max_reply_bytes),
            keep_versions: self.keep_versions.or(other.keep_versions),
            keep_days: self.keep_days.or(other.keep_days),
            follow_interval_seconds: self.follow_interval_seconds.or(other.follow_interval_seconds),
            shutdown_grace_seconds: self.shutdown_grace_seconds.or(other.shutdown_grace_seconds),
            first_byte_timeout_seconds: self
                .first_byte_timeout_seconds
                .or(other.first_byte_timeout_seconds),
            keepalive_interval_seconds: self
                .keepalive_interval_seconds
                .or(other.keepalive_interval_seconds),
            keepalive_timeout_seconds: self
                .keepalive_timeout_seconds
                .or(other.keepalive_timeout_seconds),
        }
    }

    /// Where to listen.
    pub(super) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(DEFAULT_LISTEN)
    }

    /// What to log, and how.
    pub(super) fn log(&self) -> (&str, telemetry::Format) {
        let level = self.log_level.as_deref().unwrap_or(telemetry::DEFAULT_LEVEL);
        let format = match self.log_format {
            Some(LogFormat::Text) => telemetry::Format::Text,
            Some(LogFormat::Json) => telemetry::Format::Json,
            None => telemetry::Format::for_stderr(),
        };
        (level, format)
    }

    /// Everything else a server is told; defaults where nothing is set.
    pub(super) fn config(self) -> Result<ServeConfig, CliError> {
        let default = ServeConfig::new(models_folder(self.models)?);
        let bytes = |set: Option<Bytes>, default| set.map_or(default, |bytes| bytes.0);
        let seconds = |set: Option<Seconds>, default| set.map_or(default, |seconds| seconds.0);
        let ServeConfig { limits, timeouts, .. } = &default;
        Ok(ServeConfig {
            default_model: self.default_model,
            signatures: keys::signatures(self.trusted_keys.as_ref(), self.signing_key.as_ref())?,
            training_threads: self.training_threads.unwrap_or(default.training_threads),
            batch_threads: self.batch_threads.unwrap_or(default.batch_threads),
            follow_interval: seconds(self.follow_interval_seconds, default.follow_interval),
            retention: args::retention(self.keep_versions, self.keep_days),
            limits: Limits {
                max_classify_message_bytes: bytes(
                    self.max_classify_message_bytes,
                    limits.max_classify_message_bytes,
                ),
                max_message_bytes: bytes(self.max_message_bytes, limits.max_message_bytes),
                max_reply_bytes: bytes(self.max_reply_bytes, limits.max_reply_bytes),
                max_concurrent_streams: self
                    .max_concurrent_streams
                    .unwrap_or(limits.max_concurrent_streams),
                max_jobs: self.max_jobs.unwrap_or(limits.max_jobs),
                ..limits.clone()
            },
            timeouts: Timeouts {
                shutdown_grace: seconds(self.shutdown_grace_seconds, timeouts.shutdown_grace),
                first_byte: seconds(self.first_byte_timeout_seconds, timeouts.first_byte),
                keepalive_interval: seconds(
                    self.keepalive_interval_seconds,
                    timeouts.keepalive_interval,
                ),
                keepalive_timeout: seconds(
                    self.keepalive_timeout_seconds,
                    timeouts.keepalive_timeout,
                ),
                ..timeouts.clone()
            },
            models: default.models,
        })
    }
}

/// A limit on a message, from 1 KiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
struct Bytes(usize);

/// A time, from a millisecond to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
struct Seconds(Duration);

/// The value is none, or out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum RangeError {
    #[error("expected a number of bytes from 1024 to 1073741824")]
    Bytes,
    #[error("expected a number of seconds from 0.001 to 86400")]
    Seconds,
}

impl TryFrom<u64> for Bytes {
    type Error = RangeError;

    fn try_from(bytes: u64) -> Result<Self, RangeError> {
        match usize::try_from(bytes) {
            Ok(bytes @ 1_024..=1_073_741_824) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(RangeError::Bytes),
        }
    }
}

impl TryFrom<f64> for Seconds {
    type Error = RangeError;

    fn try_from(seconds: f64) -> Result<Self, RangeError> {
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if (0.001..=86_400.0).contains(&seconds) => Ok(Self(time)),
            Ok(_) | Err(_) => Err(RangeError::Seconds),
        }
    }
}

impl FromStr for Bytes {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        text.parse::<u64>().map_err(|_not_a_number| RangeError::Bytes)?.try_into()
    }
}

impl FromStr for Seconds {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        text.parse::<f64>().map_err(|_not_a_number| RangeError::Seconds)?.try_into()
    }
}

/// Reads what is text in the file by its own rules.
fn parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Probe {
        #[command(flatten)]
        settings: Settings,
    }

    fn typed(args: &[&str]) -> Settings {
        Probe::try_parse_from([&["probe"], args].concat()).expect("right use").settings
    }

    fn file(text: &str) -> Result<Settings, CliError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("dictum.toml");
        fs::write(&path, text).expect("a file in it");
        Settings::read(&path)
    }

    fn problem(text: &str) -> String {
        match file(text) {
            Err(CliError::Config { problem, .. }) => problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_typed_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = file("listen = '127.0.0.1:1'\nmax_jobs = 2\nshutdown_grace_seconds = 5\n");
        let settings = typed(&["--max-jobs", "3", "--models", "m"]).or(file.expect("a good file"));
        assert_eq!(settings.listen().port(), 1);
        let config = settings.config().expect("settings in range");
        assert_eq!(config.limits.max_jobs.get(), 3);
        assert_eq!(config.timeouts.shutdown_grace, Duration::from_secs(5));
        assert_eq!(config.timeouts.first_byte, Timeouts::default().first_byte);
        assert_eq!(config.models, Path::new("m"));
    }

    #[test]
    fn every_setting_is_a_flag_and_a_key_and_reaches_the_server() {
        let pem = |name| format!("'{}/tests/keys/{name}'", env!("CARGO_MANIFEST_DIR"));
        let (trusted_keys, signing_key) = (pem("public.pem"), pem("secret.pem"));
        let keys = [
            ("trusted_keys", &*trusted_keys),
            ("signing_key", &signing_key),
            ("listen", "'127.0.0.1:9'"),
            ("models", "'m'"),
            ("default_model", "'mine'"),
            ("log_level", "'warn'"),
            ("log_format", "'json'"),
            ("training_threads", "9"),
            ("batch_threads", "9"),
            ("max_jobs", "9"),
            ("max_concurrent_streams", "9"),
            ("max_classify_message_bytes", "9999"),
            ("max_message_bytes", "9999"),
            ("max_reply_bytes", "9999"),
            ("keep_versions", "9"),
            ("keep_days", "9"),
            ("follow_interval_seconds", "9"),
            ("shutdown_grace_seconds", "9"),
            ("first_byte_timeout_seconds", "9"),
            ("keepalive_interval_seconds", "9"),
            ("keepalive_timeout_seconds", "9"),
        ];
        let toml: String = keys.map(|(key, value)| format!("{key} = {value}\n")).concat();
        let args: Vec<String> = keys
            .iter()
            .flat_map(|(key, value)| {
                [format!("--{}", key.replace('_', "-")), value.trim_matches('\'').to_owned()]
            })
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        for settings in [file(&toml).expect("a good file"), typed(&args)] {
            assert_eq!(settings.listen().port(), 9);
            assert_eq!(settings.log(), ("warn", telemetry::Format::Json));
            let config = settings.config().expect("settings in range");
            let debug = format!("{config:?}");
            // Three counts of threads and jobs, one of streams, five times of nine seconds.
            assert_eq!(debug.matches(": 9,").count() + debug.matches(": 9 ").count(), 4, "{debug}");
            assert_eq!(debug.matches("9s").count(), 5, "{debug}");
            assert_eq!(config.retention.keep_versions, Some(9));
            assert_eq!(config.retention.keep_age, Some(Duration::from_secs(9 * 86_400)));
            assert_eq!(debug.matches("9999").count(), 3, "{debug}");
            assert_eq!(config.default_model.expect("it is set").as_str(), "mine");
            assert!(debug.contains("TrustedKeys([") && debug.contains("Signer("), "{debug}");
        }
        let n_flags = <Settings as Args>::augment_args(clap::Command::new("probe"));
        assert_eq!(n_flags.get_arguments().count(), keys.len(), "a setting without a test");
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let problem = problem("models = 'm'\nlisten_on = '127.0.0.1:1'\n");
        assert!(problem.starts_with("line 2: unknown field `listen_on`"), "{problem}");
    }

    #[test]
    fn values_out_of_range_are_refused_in_the_file_and_when_typed() {
        assert!(problem("max_message_bytes = 5").contains("1024"));
        assert!(problem("shutdown_grace_seconds = -1").contains("0.001"));
        assert!(problem("default_model = '../x'").contains("a model name"));
        assert!(problem("max_jobs = 0").contains("nonzero"));
        for bad in ["nan", "inf", "-1", "0", "86401", "x", ""] {
            assert_eq!(bad.parse::<Seconds>(), Err(RangeError::Seconds), "{bad:?}");
        }
        for bad in ["1023", "1073741825", "-1", "1e6", ""] {
            assert_eq!(bad.parse::<Bytes>(), Err(RangeError::Bytes), "{bad:?}");
        }
    }
}
