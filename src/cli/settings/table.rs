//! Every setting there is, as `dictum serve --help` shows it. A new one is a line here, and a field with
//! its default in [`crate::config`].

/// A setting: a key of the file, with hyphens a flag, in capitals behind `DICTUM_` a variable.
#[derive(Debug)]
pub(super) struct Setting {
    /// The key.
    pub(super) key: &'static str,
    /// What kind of value it takes.
    pub(super) kind: Kind,
    /// What it is for. The default is added unless it is said here.
    pub(super) help: &'static str,
    /// Whether a new value is taken over while the server runs.
    pub(super) is_live: bool,
}

/// What a setting takes, with the name of its value in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text(&'static str),
    /// A number.
    Number(&'static str),
    /// Yes or no; the flag alone means yes.
    Switch,
    /// Names with what belongs to each; in the file alone.
    Table,
}

use Kind::{Number, Switch, Table, Text};

/// Settings under a heading of the long help; those without one are in the short help too.
pub(super) const GROUPS: &[(Option<&str>, &[Setting])] = &[
    (None, BASICS),
    (Some("Encryption"), TLS),
    (Some("Who may do what"), ACCESS),
    (Some("Work and limits"), LIMITS),
    (Some("Kept versions"), KEPT),
    (Some("Times"), TIMES),
];

const BASICS: &[Setting] = &[
    new("listen", Text("ADDRESS"), "Address and port to listen on"),
    new(
        "insecure",
        Switch,
        "Let other machines call, although nothing is encrypted and nobody has to prove who they are",
    ),
    new(
        "metrics_listen",
        Text("ADDRESS"),
        "Address and port of the metrics (GET /metrics, for Prometheus); off: none",
    ),
    new(
        "models",
        Text("DIR"),
        "Folder of the models; made when the first one is stored [default: in the user's data folder]",
    ),
    new(
        "default_model",
        Text("NAME"),
        "Model that answers when a request names none [default: the built-in news-statements]",
    ),
    new(
        "trusted_keys",
        Text("FILE"),
        "PEM file with public keys: only models signed by one of them answer [default: any model]",
    ),
    new(
        "signing_key",
        Text("FILE"),
        "PEM file with the secret key that signs what is trained here [default: it is not signed]",
    ),
    new("log_level", Text("LEVEL"), "What is logged: error, warn, info, debug or trace").live(),
    new(
        "log_format",
        Text("FORMAT"),
        "How it is logged: text or json [default: text on a terminal, json in a pipe]",
    ),
    new(
        "otlp_endpoint",
        Text("URL"),
        "Collector that takes traces over OTLP, such as http://127.0.0.1:4317 [default: nothing is traced]",
    ),
    new(
        "trace_share",
        Number("SHARE"),
        "Share of the calls that are traced, 0 to 1; of those that continue a trace their caller decides",
    ),
];

const TLS: &[Setting] = &[
    new(
        "tls_certificate",
        Text("FILE"),
        "The server's certificate and those that vouch for it (PEM); used as soon as it changes",
    ),
    new("tls_key", Text("FILE"), "The key of the certificate (PEM)"),
    new(
        "tls_client_ca",
        Text("FILE"),
        "Certificates of the authorities whose clients are known (PEM)",
    ),
    new(
        "tls_client_certificates",
        Text("WHO"),
        "Whether clients have to show a certificate: required or optional",
    ),
];

const ACCESS: &[Setting] = &[
    new(
        "tokens",
        Text("FILE"),
        "File with the hashes of tokens that callers show, made with `dictum token`; used as soon as it \
         changes",
    ),
    new("client_roles", Table, "Roles by a name in a client's certificate").live(),
    new(
        "reflection",
        Switch,
        "Describe the contract to whoever asks [default: true if only this machine can call]",
    ),
];

const LIMITS: &[Setting] = &[
    new("training_threads", Number("N"), "Threads that train and evaluate [default: one per core]"),
    new(
        "batch_threads",
        Number("N"),
        "Threads that classify large batches and texts [default: one per core]",
    ),
    new(
        "max_jobs",
        Number("N"),
        "Trainings and evaluations at the same time; further ones are refused",
    ),
    new(
        "max_job_memory_bytes",
        Number("BYTES"),
        "Memory that each of them plans with: a training of more data keeps less of it, an evaluation of \
         more is refused",
    ),
    new("max_upload_bytes", Number("BYTES"), "Most bytes of labelled data in a call"),
    new("max_upload_rows", Number("N"), "Most rows of labelled data in a call"),
    new(
        "max_calls",
        Number("N"),
        "Calls that classify, train or evaluate at the same time, open streams among them; further \
         ones are refused",
    ),
    new("max_calls_per_caller", Number("N"), "The same of one caller"),
    new(
        "max_waiting_batches",
        Number("N"),
        "Large batches and texts that wait for a thread; further ones are refused",
    ),
    new(
        "max_concurrent_streams",
        Number("N"),
        "Calls at the same time on one connection; clients wait with further ones",
    ),
    new(
        "gzip",
        Switch,
        "Take and send messages that are compressed with gzip; the limits hold for what comes out",
    ),
    new(
        "max_connections",
        Number("N"),
        "Connections at the same time; one more takes the place of one that is silent, or is closed",
    ),
    new("max_sentence_bytes", Number("BYTES"), "Longest sentence; in a text a longer one is cut"),
    new("max_text_bytes", Number("BYTES"), "Longest text of ClassifyText"),
    new("max_batch_sentences", Number("N"), "Most sentences of a batch"),
    new("max_classify_message_bytes", Number("BYTES"), "Largest Classify request"),
    new(
        "max_message_bytes",
        Number("BYTES"),
        "Largest other request; each message of a stream counts for itself",
    ),
    new("max_reply_bytes", Number("BYTES"), "Largest reply; most clients refuse more"),
];

const KEPT: &[Setting] = &[
    new(
        "keep_versions",
        Number("N"),
        "Keep this many of the newest versions of a model when another is stored; the active and the \
         one active before it are always kept [default: all]",
    ),
    new(
        "keep_days",
        Number("DAYS"),
        "Keep versions that are not older than this; one that either rule keeps is kept [default: any \
         age]",
    ),
];

const TIMES: &[Setting] = &[
    new(
        "follow_interval_seconds",
        Number("SECONDS"),
        "How often to look for versions that other processes made active, besides what file events tell \
         at once",
    ),
    new(
        "shutdown_grace_seconds",
        Number("SECONDS"),
        "From the signal to stop until calls that still run are ended",
    ),
    new(
        "shutdown_pause_seconds",
        Number("SECONDS"),
        "From the signal to stop, when health begins to say so, until nothing is accepted any more",
    ),
    new(
        "first_byte_timeout_seconds",
        Number("SECONDS"),
        "How long a connection may take to begin, TLS handshake included, or it is closed",
    ),
    new(
        "max_wait_seconds",
        Number("SECONDS"),
        "How long a call waits for a thread while there is more to do than can be done; then it is \
         refused",
    ),
    new(
        "stream_idle_timeout_seconds",
        Number("SECONDS"),
        "How long a client may send nothing while a call waits for it; then the call is ended",
    ),
    new(
        "upload_timeout_seconds",
        Number("SECONDS"),
        "From the beginning of a call that brings labelled data to the end of the data; then it is ended",
    ),
    new(
        "untaken_reply_timeout_seconds",
        Number("SECONDS"),
        "How long a client may take nothing of what waits for it; then its connection is closed",
    ),
    new(
        "connection_age_seconds",
        Number("SECONDS"),
        "From accepting a connection until its client is told to open another, give or take a tenth",
    ),
    new("keepalive_interval_seconds", Number("SECONDS"), "Between two pings on a connection"),
    new(
        "keepalive_timeout_seconds",
        Number("SECONDS"),
        "From a ping to its answer, or the connection is closed",
    ),
];

const fn new(key: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting { key, kind, help, is_live: false }
}

/// All settings.
pub(super) fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|(_, settings)| *settings)
}

impl Setting {
    /// The same, taken over while the server runs.
    const fn live(self) -> Self {
        Self { is_live: true, ..self }
    }

    /// The long name of its flag, without hyphens before it.
    pub(super) fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The name of its variable.
    pub(super) fn variable(&self) -> String {
        format!("DICTUM_{}", self.key.to_uppercase())
    }
}

impl Kind {
    /// Reads a value that was typed, or is in the environment.
    pub(super) fn read(self, text: &str) -> Result<toml::Value, String> {
        match self {
            Text(_) => Ok(text.into()),
            Switch => text
                .parse()
                .map(toml::Value::Boolean)
                .map_err(|_neither| "expected true or false".into()),
            Table => Err("it belongs into the file".into()),
            Number(_) => {
                let whole = text.parse().map(toml::Value::Integer);
                whole
                    .or_else(|_| text.parse().map(toml::Value::Float))
                    .map_err(|_no_number| "expected a number".into())
            }
        }
    }
}
