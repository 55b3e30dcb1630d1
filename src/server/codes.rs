//! Which canonical code and which constant reason each error has: the one table of both.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::ErrorKind;

use tonic::{Code, Status};

use super::error::{CallError, Exceeded, Violations};
use super::status::cut;
use crate::store::StoreError;
use crate::train::TrainError;
use crate::train::examples::{CsvError, LimitExceeded};

/// The reason of a request, or a message of a request stream, over the limit.
pub(crate) const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";
/// The reason of a reply over the limit.
pub(crate) const REPLY_TOO_LARGE: &str = "REPLY_TOO_LARGE";

/// Longest value of an `ErrorInfo`'s metadata.
const MAX_METADATA_BYTES: usize = 80;

/// An error as a client sees it.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The canonical code.
    pub(crate) code: Code,
    /// A constant in capitals that programs can test.
    pub(crate) reason: &'static str,
    /// What the reason is about.
    pub(crate) metadata: HashMap<String, String>,
    /// Whether the same call may succeed soon.
    pub(crate) is_passing: bool,
}

impl Answer {
    fn new(code: Code, reason: &'static str) -> Self {
        Self { code, reason, metadata: HashMap::new(), is_passing: false }
    }

    fn passing(mut self) -> Self {
        self.is_passing = true;
        self
    }

    fn with(mut self, key: &str, value: &dyn Display) -> Self {
        let shown = cut(&value.to_string(), MAX_METADATA_BYTES);
        self.metadata.insert(key.to_owned(), shown);
        self
    }
}

/// What a client sees of an error.
pub(crate) fn answer(error: &CallError) -> Answer {
    match error {
        CallError::Invalid(violations) => invalid(violations),
        CallError::Starting => Answer::new(Code::Unavailable, "STARTING").passing(),
        CallError::Damaged { name, version } => Answer::new(Code::DataLoss, "MODEL_DAMAGED")
            .with("model", name)
            .with("version", version),
        CallError::NoSigningKey => Answer::new(Code::FailedPrecondition, "SIGNING_KEY_MISSING"),
        CallError::BuiltInNotTrainable { name } => {
            Answer::new(Code::PermissionDenied, "MODEL_BUILT_IN").with("model", name)
        }
        CallError::BuiltInFixed { name } => {
            Answer::new(Code::FailedPrecondition, "MODEL_BUILT_IN").with("model", name)
        }
        CallError::TrainingRunning { name } => {
            Answer::new(Code::Aborted, "TRAINING_RUNNING").with("model", name).passing()
        }
        CallError::TooManyJobs { limit } => {
            Answer::new(Code::ResourceExhausted, "TOO_MANY_JOBS").with("limit", limit).passing()
        }
        CallError::TooManyBatches { limit } => {
            Answer::new(Code::ResourceExhausted, "TOO_MANY_BATCHES").with("limit", limit).passing()
        }
        CallError::UploadTooSlow { limit } => Answer::new(Code::Aborted, "UPLOAD_TOO_SLOW")
            .with("limit_seconds", &limit.as_secs_f64()),
        CallError::Incoming(status) => meant_by_library(status, MESSAGE_TOO_LARGE),
        CallError::Csv(error) => csv(error),
        CallError::Train(error) => train(error),
        CallError::Store(error) => store(error),
        CallError::BuiltIn(_) | CallError::Internal(_) => Answer::new(Code::Internal, "INTERNAL"),
    }
}

fn invalid(violations: &Violations) -> Answer {
    let reason = violations.listed().first().map_or("REQUEST_INVALID", |first| first.reason);
    let answer =
        Answer::new(Code::InvalidArgument, reason).with("violation_count", &violations.count());
    match violations.listed().first().and_then(|first| first.exceeded) {
        Some(Exceeded { value, limit, .. }) => answer.with("value", &value).with("limit", &limit),
        None => answer,
    }
}

/// What a client sees of a CSV that gave no examples.
pub(crate) fn csv(error: &CsvError) -> Answer {
    let bad = |reason| Answer::new(Code::InvalidArgument, reason);
    match error {
        CsvError::NoHeader => bad("CSV_EMPTY"),
        CsvError::OtherFormat { format } => bad("CSV_NOT_TEXT").with("format", format),
        CsvError::Nul { line, byte } => bad("CSV_NOT_TEXT").with("line", line).with("byte", byte),
        CsvError::NotUtf8 { line, byte } => {
            bad("CSV_NOT_UTF8").with("line", line).with("byte", byte)
        }
        CsvError::RecordTooLong { line, limit } => {
            bad("CSV_ROW_TOO_LONG").with("line", line).with("limit", limit)
        }
        CsvError::UnclosedQuote { line } => bad("CSV_QUOTE_OPEN").with("line", line),
        CsvError::BadDelimiter { .. } => bad("DELIMITER_UNKNOWN"),
        CsvError::MissingColumn { column, .. } => bad("COLUMN_MISSING").with("column", column),
        CsvError::AmbiguousColumn { column, .. } => bad("COLUMN_AMBIGUOUS").with("column", column),
        CsvError::SameColumn { column } => bad("COLUMNS_SAME").with("column", column),
        CsvError::Limit(exceeded) => data_limit(*exceeded),
        CsvError::Cancelled => Answer::new(Code::Cancelled, "CANCELLED"),
        CsvError::Io(_) => Answer::new(Code::Internal, "INTERNAL"),
    }
}

fn data_limit(exceeded: LimitExceeded) -> Answer {
    let (reason, limit) = match exceeded {
        LimitExceeded::Bytes { limit } => ("DATA_TOO_LARGE", limit.to_string()),
        LimitExceeded::Rows { limit } => ("DATA_TOO_MANY_ROWS", limit.to_string()),
        LimitExceeded::Labels { limit, .. } => ("TOO_MANY_LABELS", limit.to_string()),
        LimitExceeded::Memory { limit } => ("DATA_TOO_LARGE", limit.to_string()),
    };
    Answer::new(Code::ResourceExhausted, reason).with("limit", &limit)
}

fn train(error: &TrainError) -> Answer {
    match error {
        TrainError::TooFewLabels { found } => {
            Answer::new(Code::FailedPrecondition, "TOO_FEW_LABELS").with("found", found)
        }
        TrainError::TooManyLabels { found, limit } => {
            Answer::new(Code::FailedPrecondition, "TOO_MANY_LABELS")
                .with("found", found)
                .with("limit", limit)
        }
        TrainError::TooFewExamples { label, found } => {
            Answer::new(Code::FailedPrecondition, "TOO_FEW_EXAMPLES")
                .with("label", label)
                .with("found", found)
        }
        TrainError::TargetNotReached { target, best } => {
            Answer::new(Code::FailedPrecondition, "TARGET_ACCURACY_NOT_REACHED")
                .with("target", target)
                .with("best", best)
        }
        TrainError::BadSetting { setting, .. } => {
            Answer::new(Code::InvalidArgument, "SETTING_OUT_OF_RANGE").with("setting", setting)
        }
        TrainError::Cancelled => Answer::new(Code::Cancelled, "CANCELLED"),
        TrainError::Unusable(_) => Answer::new(Code::Internal, "INTERNAL"),
    }
}

fn store(error: &StoreError) -> Answer {
    match error {
        StoreError::UnknownModel { name } => {
            Answer::new(Code::NotFound, "MODEL_UNKNOWN").with("model", name)
        }
        StoreError::UnknownVersion { name, version } => {
            Answer::new(Code::NotFound, "VERSION_UNKNOWN")
                .with("model", name)
                .with("version", version)
        }
        StoreError::NoActiveVersion { name } => {
            Answer::new(Code::FailedPrecondition, "NO_ACTIVE_VERSION").with("model", name)
        }
        StoreError::VersionIsActive { name, version } => {
            Answer::new(Code::FailedPrecondition, "VERSION_IS_ACTIVE")
                .with("model", name)
                .with("version", version)
        }
        StoreError::Untrusted { name, version, .. } => {
            Answer::new(Code::FailedPrecondition, "MODEL_UNTRUSTED")
                .with("model", name)
                .with("version", version)
        }
        StoreError::BeingTrained { name } => {
            Answer::new(Code::Aborted, "TRAINING_RUNNING").with("model", name).passing()
        }
        StoreError::Busy { name } => {
            Answer::new(Code::Aborted, "MODEL_BUSY").with("model", name).passing()
        }
        StoreError::Corrupt { .. } | StoreError::Record { .. } | StoreError::NotPlain { .. } => {
            Answer::new(Code::DataLoss, "MODEL_DAMAGED")
        }
        StoreError::Exhausted { name } => {
            Answer::new(Code::FailedPrecondition, "VERSIONS_EXHAUSTED").with("model", name)
        }
        StoreError::Unstorable(_) => Answer::new(Code::Internal, "INTERNAL"),
        StoreError::Remote { .. } => Answer::new(Code::Unavailable, "STORE_UNAVAILABLE").passing(),
        StoreError::UnknownPlace { .. } => Answer::new(Code::Internal, "STORE_FAILED"),
        StoreError::Io { source, .. } => match disk(source.kind()) {
            Some(Disk::Full) => Answer::new(Code::ResourceExhausted, "STORE_FULL"),
            Some(Disk::ReadOnly) => Answer::new(Code::FailedPrecondition, "STORE_READ_ONLY"),
            None => Answer::new(Code::Internal, "STORE_FAILED"),
        },
    }
}

/// What a client can know of the disk that models are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    /// No room is left.
    Full,
    /// It cannot be written.
    ReadOnly,
}

/// What an error says of the disk.
pub(crate) fn disk(kind: ErrorKind) -> Option<Disk> {
    if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        Some(Disk::Full)
    } else if matches!(kind, ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) {
        Some(Disk::ReadOnly)
    } else {
        None
    }
}

/// What the library means by a status of its own.
pub(crate) fn meant_by_library(status: &Status, too_large: &'static str) -> Answer {
    let code = status.code();
    // Only the size limits of the library use this code; no RPC of ours does.
    if code != Code::OutOfRange {
        return Answer::new(code, reason_of_code(code));
    }
    let answer = Answer::new(Code::ResourceExhausted, too_large);
    // Its message is the one place with the numbers: "... found 5 bytes, the limit is: 4 bytes".
    let mut numbers = status.message().split(' ').filter(|word| word.parse::<u64>().is_ok());
    match (numbers.next(), numbers.next()) {
        (Some(value), Some(limit)) => answer.with("value", &value).with("limit", &limit),
        _ => answer,
    }
}

pub(crate) fn reason_of_code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
