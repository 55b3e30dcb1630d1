//! What each error becomes on the wire: a canonical code, a constant reason, and `google.rpc` details.
//!
//! Everything a client can see of an error is decided here. Trailers stay under 4 KiB, because past
//! 8 KiB some clients show a `RESOURCE_EXHAUSTED` of their own in place of the error. What is wrong
//! inside the server goes to the log and not to the client.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::error::{CallError, Violation, Violations};
use crate::proto;
use crate::store::StoreError;
use crate::train::TrainError;
use crate::train::examples::{CsvError, LimitExceeded};

/// The domain of every `google.rpc.ErrorInfo`.
pub(crate) const DOMAIN: &str = "dictum.v1";

/// The reason of a request, or a message of a request stream, over the limit.
pub(crate) const MESSAGE_TOO_LARGE: &str = "MESSAGE_TOO_LARGE";
/// The reason of a reply over the limit.
pub(crate) const REPLY_TOO_LARGE: &str = "REPLY_TOO_LARGE";

/// Longest message: every byte may become three in the header, and it is repeated in the details.
const MAX_MESSAGE_BYTES: usize = 200;
/// Longest value of an `ErrorInfo`'s metadata.
const MAX_METADATA_BYTES: usize = 80;
/// Most that the listed field violations may take of the trailers, before base64.
const MAX_VIOLATIONS_BYTES: usize = 1_900;
/// When to try again what failed only because of something else that runs.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// An error as a client sees it.
struct Answer {
    code: Code,
    reason: &'static str,
    metadata: HashMap<String, String>,
    /// Whether the same call may succeed soon.
    is_passing: bool,
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

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        let answer = answer(&error);
        let mut details =
            ErrorDetails::with_error_info(answer.reason, DOMAIN, answer.metadata.clone());
        if let Some(violations) = violations_of(&error) {
            details.set_bad_request(fitting(violations.listed()));
        }
        if answer.is_passing {
            details.set_retry_info(Some(RETRY_DELAY));
        }
        Status::with_error_details(answer.code, message(&error, answer.code), details)
    }
}

impl From<CallError> for proto::ItemError {
    fn from(error: CallError) -> Self {
        let Answer { code, reason, .. } = answer(&error);
        Self { code: code.into(), reason: reason.to_owned(), message: message(&error, code) }
    }
}

/// Completes a status that a library made, so that it too carries an `ErrorInfo` and the code that the gRPC
/// specification asks for: a message over the limit is `RESOURCE_EXHAUSTED`. `too_large` says which
/// message that would be.
pub(crate) fn complete(status: &Status, too_large: &'static str) -> Status {
    let (code, reason) = meant_by_library(status.code(), too_large);
    of_server(code, reason, status.message())
}

/// What the library means by a code, with its reason.
fn meant_by_library(code: Code, too_large: &'static str) -> (Code, &'static str) {
    // Only the size limits of the library use this code; no RPC of ours does.
    if code == Code::OutOfRange {
        (Code::ResourceExhausted, too_large)
    } else {
        (code, reason_of_code(code))
    }
}

/// The health service does not know a service of that name.
pub(crate) fn unknown_service() -> Status {
    of_server(Code::NotFound, "SERVICE_UNKNOWN", "there is no service of that name")
}

/// A status of the server itself, about a call and not about what it asked for.
pub(crate) fn of_server(code: Code, reason: &'static str, text: &str) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    let text = if text.is_empty() { code.description() } else { text };
    Status::with_error_details(code, cut(text, MAX_MESSAGE_BYTES), details)
}

fn answer(error: &CallError) -> Answer {
    match error {
        CallError::Invalid(violations) => invalid(violations),
        CallError::Starting => Answer::new(Code::Unavailable, "STARTING").passing(),
        CallError::Damaged { name, version } => Answer::new(Code::DataLoss, "MODEL_DAMAGED")
            .with("model", name)
            .with("version", version),
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
        CallError::Incoming(status) => incoming(status),
        CallError::Csv(error) => csv(error),
        CallError::Train(error) => train(error),
        CallError::Store(error) => store(error),
        CallError::BuiltIn(_) | CallError::Internal(_) => Answer::new(Code::Internal, "INTERNAL"),
    }
}

fn invalid(violations: &Violations) -> Answer {
    let reason = violations.listed().first().map_or("REQUEST_INVALID", |first| first.reason);
    Answer::new(Code::InvalidArgument, reason).with("violation_count", &violations.count())
}

fn incoming(status: &Status) -> Answer {
    let (code, reason) = meant_by_library(status.code(), MESSAGE_TOO_LARGE);
    Answer::new(code, reason)
}

fn csv(error: &CsvError) -> Answer {
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
        LimitExceeded::Labels { limit } => ("TOO_MANY_LABELS", limit.to_string()),
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
        StoreError::Io { .. } => Answer::new(Code::Internal, "STORE_FAILED"),
    }
}

/// What a client may read. Where the fault is the server's, the whole chain of causes goes to the log.
fn message(error: &CallError, code: Code) -> String {
    let public = if code == Code::Internal {
        "internal error, see the server's log"
    } else if code == Code::DataLoss {
        "the model's file is damaged, see the server's log"
    } else {
        return cut(&error.to_string(), MAX_MESSAGE_BYTES);
    };
    tracing::error!(error = chain(error), ?code, "call failed");
    public.to_owned()
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let next = deeper.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = deeper.source();
    }
    text
}

fn violations_of(error: &CallError) -> Option<Violations> {
    match error {
        CallError::Invalid(violations) => Some(violations.clone()),
        CallError::Train(TrainError::BadSetting { setting, problem }) => Some(Violations::one(
            format!("spec.settings.{setting}"),
            "SETTING_OUT_OF_RANGE",
            problem.as_str(),
        )),
        CallError::Csv(error) => csv_violation(error),
        CallError::Train(_)
        | CallError::Starting
        | CallError::Damaged { .. }
        | CallError::BuiltInNotTrainable { .. }
        | CallError::BuiltInFixed { .. }
        | CallError::TrainingRunning { .. }
        | CallError::TooManyJobs { .. }
        | CallError::Incoming(_)
        | CallError::Store(_)
        | CallError::BuiltIn(_)
        | CallError::Internal(_) => None,
    }
}

/// The data is a field too, as a whole.
fn csv_violation(error: &CsvError) -> Option<Violations> {
    let Answer { code, reason, .. } = csv(error);
    let field =
        if matches!(error, CsvError::BadDelimiter { .. }) { "spec.delimiter" } else { "csv" };
    (code == Code::InvalidArgument).then(|| Violations::one(field, reason, error.to_string()))
}

fn fitting(violations: &[Violation]) -> Vec<FieldViolation> {
    let mut left = MAX_VIOLATIONS_BYTES;
    let mut fitting = Vec::new();
    for Violation { field, reason, problem } in violations {
        let description = cut(problem, MAX_MESSAGE_BYTES);
        // Eight bytes: the tags and lengths of the four parts.
        let size = field.len() + reason.len() + description.len() + 8;
        let Some(rest) = left.checked_sub(size) else { break };
        left = rest;
        let mut violation = FieldViolation::new(field, description);
        violation.reason = (*reason).to_owned();
        fitting.push(violation);
    }
    fitting
}

/// The text up to a limit in bytes; what is cut off is replaced by an ellipsis.
fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub("…".len()));
    let mut kept = text.get(..end).unwrap_or_default().to_owned();
    kept.push('…');
    kept
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes of the trailers, names and values.
    fn trailer_bytes(status: &Status) -> usize {
        let response = status.clone().into_http::<()>();
        let trailers = response.headers().iter().filter(|(name, _)| *name != "content-type");
        trailers.map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
    }

    #[test]
    fn the_first_violations_are_listed_and_all_are_counted() {
        let mut violations = Violations::default();
        for i in 0..10_000 {
            violations.push(format!("sentences[{i}]"), "SENTENCE_BLANK", "is blank");
        }
        let status = Status::from(CallError::from(violations));
        let listed = status.get_details_bad_request().expect("a BadRequest").field_violations;
        assert_eq!(listed.len(), 20);
        assert_eq!(
            (listed[19].field.as_str(), listed[19].reason.as_str()),
            ("sentences[19]", "SENTENCE_BLANK")
        );
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(info.metadata["violation_count"], "10000");
        assert_eq!(status.message(), "sentences[0] is blank, and 9999 more");
    }

    #[test]
    fn faults_of_the_server_stay_in_its_log() {
        let error = std::io::Error::other("secret cause");
        let path = std::path::PathBuf::from("/secret/path");
        let status =
            Status::from(CallError::from(StoreError::Io { action: "read", path, source: error }));
        assert_eq!(status.code(), Code::Internal);
        let shown = format!("{} {:?}", status.message(), status.details());
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn only_passing_errors_invite_to_try_again() {
        let name = || "tiny".parse().expect("a name");
        let running = Status::from(CallError::TrainingRunning { name: name() });
        assert!(running.get_details_retry_info().is_some());
        let unknown = Status::from(CallError::from(StoreError::UnknownModel { name: name() }));
        assert!(unknown.get_details_retry_info().is_none());
    }

    proptest! {
        #[test]
        fn trailers_stay_under_4_kib(
            fields in prop::collection::vec(("\\PC{0,400}", "\\PC{0,400}"), 1..40),
            label in "\\PC{0,400}",
        ) {
            let mut violations = Violations::default();
            for (field, problem) in fields {
                violations.push(field, "SENTENCE_TOO_LONG", problem);
            }
            let status = Status::from(CallError::from(violations));
            prop_assert!(trailer_bytes(&status) < 4_096, "{}", trailer_bytes(&status));
            let too_few = TrainError::TooFewExamples { label, found: 1 };
            let other = Status::from(CallError::from(too_few));
            prop_assert!(trailer_bytes(&other) < 4_096, "{}", trailer_bytes(&other));
        }
    }
}
