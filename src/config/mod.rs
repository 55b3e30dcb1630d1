//! What the server may be told, checked, with every default in one place.
//!
//! The types hold the limits, and [`ServeConfig::check`] what several settings say together. Each
//! field that is no section is a setting: its name here is its key in a settings file (`cli/settings`
//! makes the flag and the variable of it).

mod roles;
mod traces;
mod values;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::{ModelName, Retention, Signatures};
pub use roles::{Role, Roles};
pub use traces::{CollectorUrl, CollectorUrlError, Share, ShareError, TraceConfig};
pub use values::{Days, DaysError};
use values::{address_or_off, job_memory_bytes, message_bytes, pause, retention, seconds};

const MIB: usize = 1024 * 1024;
const MAX_CONCURRENT_STREAMS: NonZeroU32 = NonZeroU32::new(128).unwrap();
const MAX_JOBS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
const MAX_CALLS: NonZeroU32 = NonZeroU32::new(4_096).unwrap();
const MAX_CALLS_PER_CALLER: NonZeroU32 = NonZeroU32::new(1_024).unwrap();
const MAX_SENTENCE_BYTES: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
const MAX_TEXT_BYTES: NonZeroUsize = NonZeroUsize::new(MIB).unwrap();
const MAX_BATCH_SENTENCES: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
const MAX_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
const MAX_UPLOAD_BYTES: NonZeroU64 = NonZeroU64::new(4 << 30).unwrap();
const MAX_UPLOAD_ROWS: NonZeroU64 = NonZeroU64::new(20_000_000).unwrap();
/// So a batch waits at most about four times as long as it is worked on, on any machine.
const WAITING_BATCHES_A_CORE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// Where `dictum serve` listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50051);

/// Where `dictum serve` serves its metrics unless told otherwise.
pub const DEFAULT_METRICS_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

/// Everything a server is told. [`ServeConfig::new`] gives the defaults.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServeConfig {
    /// Where the command listens. Default: [`DEFAULT_LISTEN`].
    pub listen: SocketAddr,
    /// Whether calls may come from other machines without TLS. Default: no.
    pub insecure: bool,
    /// How connections are encrypted.
    #[serde(flatten)]
    pub tls: TlsConfig,
    /// Who may do what.
    #[serde(flatten)]
    pub access: AccessConfig,
    /// Whether messages may be compressed, both ways. Default: no.
    pub gzip: bool,
    /// Where the command serves the metrics; `None`: nowhere. Default: [`DEFAULT_METRICS_LISTEN`].
    #[serde(with = "address_or_off")]
    pub metrics_listen: Option<SocketAddr>,
    /// Folder of the stored models; created when missing.
    pub models: PathBuf,
    /// The model that answers when a request names none; `None`: the built-in one.
    pub default_model: Option<ModelName>,
    /// Whose signatures of models are asked for, and who signs what is trained. Default: nobody.
    #[serde(skip)]
    pub signatures: Signatures,
    /// Where the command reads the keys whose signatures are asked for.
    pub trusted_keys: Option<PathBuf>,
    /// Where the command reads the key that signs.
    pub signing_key: Option<PathBuf>,
    /// What is logged: a level, or directives such as `info,dictum=debug`. Default: `info`.
    pub log_level: String,
    /// How it is logged; `None`: text on a terminal, JSON in a pipe.
    pub log_format: Option<LogFormat>,
    /// Where traces go.
    #[serde(flatten)]
    pub traces: TraceConfig,
    /// Threads that train and evaluate. Default: one per core.
    pub training_threads: NonZeroUsize,
    /// Threads that classify large batches and texts. Default: one per core.
    pub batch_threads: NonZeroUsize,
    /// How often the folder is looked at for versions that other processes activated, besides what
    /// file events tell at once. Default: 2 s.
    #[serde(rename = "follow_interval_seconds", with = "seconds")]
    pub follow_interval: Duration,
    /// Which versions are kept when another is stored. Default: all.
    #[serde(flatten, with = "retention")]
    pub retention: Retention,
    /// What is refused.
    #[serde(flatten)]
    pub limits: Limits,
    /// How long to wait for what.
    #[serde(flatten)]
    pub timeouts: Timeouts,
}

/// How connections are encrypted; not at all without a certificate. Files are in PEM form, and are read
/// again when they change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TlsConfig {
    /// The server's certificate, followed by those that vouch for it.
    pub tls_certificate: Option<PathBuf>,
    /// The key of the certificate.
    pub tls_key: Option<PathBuf>,
    /// Certificates of the authorities whose clients are known; `None`: clients show no certificate.
    pub tls_client_ca: Option<PathBuf>,
    /// Whether a client may do without. Default: it may not.
    pub tls_client_certificates: ClientCertificates,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Those without are refused in the handshake.
    #[default]
    Required,
    /// Those without have to prove who they are in another way.
    Optional,
}

/// Who may do what; everybody everything without tokens and without an authority for clients.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AccessConfig {
    /// File with the hashes of tokens; read again when it changes.
    pub tokens: Option<PathBuf>,
    /// Roles by a name in a client's certificate, a DNS name or a URI; `*` stands for every certificate.
    pub client_roles: BTreeMap<String, Vec<Role>>,
    /// Whether the contract is described to whoever asks; `None`: to callers on this machine.
    pub reflection: Option<bool>,
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// What is refused, in bytes and numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Largest `Classify` request. Default: 1 MiB.
    #[serde(deserialize_with = "message_bytes")]
    pub max_classify_message_bytes: usize,
    /// Largest other request, each message of a stream counting for itself. Default: 4 MiB.
    #[serde(deserialize_with = "message_bytes")]
    pub max_message_bytes: usize,
    /// Largest reply; most clients refuse more. Default: 4 MiB.
    #[serde(deserialize_with = "message_bytes")]
    pub max_reply_bytes: usize,
    /// Calls at the same time on one connection; further ones wait. Default: 128.
    pub max_concurrent_streams: NonZeroU32,
    /// Longest sentence in bytes; in a text, a longer one is cut. Default: 64 KiB.
    pub max_sentence_bytes: NonZeroUsize,
    /// Longest text of `ClassifyText` in bytes. Default: 1 MiB.
    pub max_text_bytes: NonZeroUsize,
    /// Most sentences of a batch. Default: 10,000.
    pub max_batch_sentences: NonZeroUsize,
    /// Trainings and evaluations at the same time; further ones are refused. Default: 4.
    pub max_jobs: NonZeroUsize,
    /// Most memory that a training or an evaluation plans with, in bytes. A training of more data keeps
    /// less of it and counts the rest; an evaluation of more is refused. Default: 1.5 GiB.
    #[serde(deserialize_with = "job_memory_bytes")]
    pub max_job_memory_bytes: u64,
    /// Most bytes of labelled data in a call: of a CSV, or of sentences and labels. Default: 4 GiB.
    pub max_upload_bytes: NonZeroU64,
    /// Most rows of labelled data in a call, unusable ones among them. Default: 20 million.
    pub max_upload_rows: NonZeroU64,
    /// Calls that classify, train or evaluate at the same time, open streams among them; further ones
    /// are refused. Default: 4,096.
    pub max_calls: NonZeroU32,
    /// The same of one caller: a client certificate, a token, or else an address. Default: 1,024.
    pub max_calls_per_caller: NonZeroU32,
    /// Connections at the same time. One more takes the place of one on which nothing was said yet, or
    /// is closed. Default: 1,000.
    pub max_connections: NonZeroUsize,
    /// Large batches and texts that wait for a thread; further ones are refused. Default: four a core.
    pub max_waiting_batches: NonZeroUsize,
}

/// How long to wait for what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Timeouts {
    /// From the shutdown signal until calls that still run are ended. Default: 20 s.
    #[serde(rename = "shutdown_grace_seconds", with = "seconds")]
    pub shutdown_grace: Duration,
    /// From the shutdown signal, when health begins to say `NOT_SERVING`, until nothing is accepted any
    /// more: the time that load balancers need to see it. Default: 0.
    #[serde(rename = "shutdown_pause_seconds", with = "pause")]
    pub shutdown_pause: Duration,
    /// How long a connection may stay silent at its beginning; the TLS handshake and the preface of HTTP/2 do
    /// not count until they are whole. Default: 10 s.
    #[serde(rename = "first_byte_timeout_seconds", with = "seconds")]
    pub first_byte: Duration,
    /// Between two pings on a connection. Default: 30 s.
    #[serde(rename = "keepalive_interval_seconds", with = "seconds")]
    pub keepalive_interval: Duration,
    /// From a ping to its answer, or the connection is closed. Default: 10 s.
    #[serde(rename = "keepalive_timeout_seconds", with = "seconds")]
    pub keepalive_timeout: Duration,
    /// How long a call waits for a thread while there is more to do than can be done; then it is
    /// refused. A burst may wait ten times as long. Default: 10 ms.
    #[serde(rename = "max_wait_seconds", with = "seconds")]
    pub max_wait: Duration,
    /// How long a client may send nothing while a call waits for it; then the call is ended.
    /// Default: 5 min.
    #[serde(rename = "stream_idle_timeout_seconds", with = "seconds")]
    pub stream_idle: Duration,
    /// From the beginning of a call that brings labelled data to the end of the data; then the call is
    /// ended. Default: 1 h.
    #[serde(rename = "upload_timeout_seconds", with = "seconds")]
    pub upload: Duration,
    /// How long a client may take nothing of the replies that wait for it; then its connection is
    /// closed. Default: 60 s.
    #[serde(rename = "untaken_reply_timeout_seconds", with = "seconds")]
    pub untaken_reply: Duration,
    /// From accepting a connection until its client is told to open another, more or less by a tenth;
    /// calls go on to their end. Default: 30 min.
    #[serde(rename = "connection_age_seconds", with = "seconds")]
    pub connection_age: Duration,
}

/// Settings that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Other machines could do what only this one should.
    #[error("{address} can be reached from other machines, and {problem}")]
    Exposed {
        /// Where the server was to listen.
        address: SocketAddr,
        /// What is missing.
        problem: &'static str,
    },
    /// A setting is of no use without another.
    #[error("{set} needs {missing}")]
    Needs {
        /// What is set.
        set: &'static str,
        /// What is not.
        missing: &'static str,
    },
}

impl ServeConfig {
    /// The defaults, for models in this folder.
    #[must_use]
    pub fn new(models: PathBuf) -> Self {
        let n_cores = n_cores();
        Self {
            listen: DEFAULT_LISTEN,
            metrics_listen: Some(DEFAULT_METRICS_LISTEN),
            insecure: false,
            gzip: false,
            tls: TlsConfig::default(),
            access: AccessConfig::default(),
            models,
            default_model: None,
            signatures: Signatures::default(),
            trusted_keys: None,
            signing_key: None,
            log_level: "info".to_owned(),
            log_format: None,
            traces: TraceConfig::default(),
            training_threads: n_cores,
            batch_threads: n_cores,
            follow_interval: Duration::from_secs(2),
            retention: Retention::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// Checks what the settings say together.
    ///
    /// # Errors
    ///
    /// When other machines could call without TLS, or without proving who they are, and nobody said that
    /// they may; when a setting is of no use without another.
    pub fn check(&self) -> Result<(), ConfigError> {
        let TlsConfig { tls_certificate, tls_key, tls_client_ca, .. } = &self.tls;
        let needs = |set, missing| Err(ConfigError::Needs { set, missing });
        match (tls_certificate, tls_key, tls_client_ca) {
            (Some(_), None, _) => return needs("tls_certificate", "tls_key"),
            (None, Some(_), _) => return needs("tls_key", "tls_certificate"),
            (None, None, Some(_)) => return needs("tls_client_ca", "tls_certificate"),
            (None, None, None) | (Some(_), Some(_), _) => {}
        }
        let has_roles = !self.access.client_roles.is_empty();
        if has_roles && tls_client_ca.is_none() {
            return needs("client_roles", "tls_client_ca");
        }
        let has_tokens = self.access.tokens.is_some();
        if tls_client_ca.is_some() && !has_roles && !has_tokens {
            return needs("tls_client_ca", "client_roles or tokens, or nobody may do anything");
        }
        let exposed = |problem| Err(ConfigError::Exposed { address: self.listen, problem });
        if self.listen.ip().is_loopback() || self.insecure {
            Ok(())
        } else if tls_certificate.is_none() {
            exposed("calls would not be encrypted")
        } else if tls_client_ca.is_none() && !has_tokens {
            exposed("nobody would have to prove who they are")
        } else {
            Ok(())
        }
    }

    /// Whether the contract is described to whoever asks.
    #[must_use]
    pub fn has_reflection(&self) -> bool {
        self.access.reflection.unwrap_or_else(|| self.listen.ip().is_loopback())
    }
}

fn n_cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_classify_message_bytes: MIB,
            max_message_bytes: 4 * MIB,
            max_reply_bytes: 4 * MIB,
            max_concurrent_streams: MAX_CONCURRENT_STREAMS,
            max_sentence_bytes: MAX_SENTENCE_BYTES,
            max_text_bytes: MAX_TEXT_BYTES,
            max_batch_sentences: MAX_BATCH_SENTENCES,
            max_jobs: MAX_JOBS,
            max_job_memory_bytes: 3 << 29,
            max_upload_bytes: MAX_UPLOAD_BYTES,
            max_upload_rows: MAX_UPLOAD_ROWS,
            max_calls: MAX_CALLS,
            max_calls_per_caller: MAX_CALLS_PER_CALLER,
            max_connections: MAX_CONNECTIONS,
            max_waiting_batches: WAITING_BATCHES_A_CORE.saturating_mul(n_cores()),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            shutdown_grace: Duration::from_secs(20),
            first_byte: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(10),
            max_wait: Duration::from_millis(10),
            stream_idle: Duration::from_secs(300),
            upload: Duration::from_secs(3_600),
            untaken_reply: Duration::from_secs(60),
            connection_age: Duration::from_secs(1_800),
            shutdown_pause: Duration::ZERO,
        }
    }
}
