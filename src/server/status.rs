//! What each error becomes on the wire: a canonical code, a constant reason, and `google.rpc` details.
//!
//! Everything a client can see of an error is decided here. Trailers stay under 4 KiB, because past
//! 8 KiB some clients show a `RESOURCE_EXHAUSTED` of their own in place of the error. What is wrong
//! inside the server goes to the log and not to the client.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::codes::{Answer, Disk, answer, csv, disk, meant_by_library};
use super::edge::current_request_id;
use super::error::{CallError, Violation, Violations};
use crate::proto;
use crate::store::StoreError;
use crate::train::TrainError;
use crate::train::examples::CsvError;

/// The domain of every `google.rpc.ErrorInfo`.
pub(crate) const DOMAIN: &str = "dictum.v1";

/// Longest message: every byte may become three in the header, and it is repeated in the details.
const MAX_MESSAGE_BYTES: usize = 200;
/// Most that the listed field violations may take of the trailers, before base64.
const MAX_VIOLATIONS_BYTES: usize = 1_900;
/// When to try again what failed only because of something else that runs.
const RETRY_DELAY: Duration = Duration::from_secs(1);

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        if let CallError::Incoming(status) = &error
            && !status.details().is_empty()
        {
            // A layer of ours has said all there is to say.
            return status.clone();
        }
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
    let Answer { code, reason, metadata, .. } = meant_by_library(status, too_large);
    with_info(code, status.message(), ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

/// The health service does not know a service of that name.
pub(crate) fn unknown_service() -> Status {
    of_server(Code::NotFound, "SERVICE_UNKNOWN", "there is no service of that name")
}

/// A status of the server itself, about a call and not about what it asked for.
pub(crate) fn of_server(code: Code, reason: &'static str, text: &str) -> Status {
    with_info(code, text, ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new()))
}

/// There is too much to do just now: refused at once, to be tried again. `limit` is what was hit.
pub(crate) fn overload(reason: &'static str, text: &str, limit: u64) -> Status {
    let metadata = HashMap::from([("limit".to_owned(), limit.to_string())]);
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, metadata);
    details.set_retry_info(Some(RETRY_DELAY));
    with_info(Code::ResourceExhausted, text, details)
}

/// The client has sent nothing for too long.
pub(crate) fn idle(limit: Duration) -> Status {
    let seconds = limit.as_secs_f64().to_string();
    let text = format!("nothing was sent for {seconds} s, the call is ended");
    let metadata = HashMap::from([("limit_seconds".to_owned(), seconds)]);
    let details = ErrorDetails::with_error_info("STREAM_IDLE", DOMAIN, metadata);
    with_info(Code::Aborted, &text, details)
}

fn with_info(code: Code, text: &str, details: ErrorDetails) -> Status {
    let text = if text.is_empty() { code.description() } else { text };
    Status::with_error_details(code, cut(text, MAX_MESSAGE_BYTES), details)
}

/// What a client may read. Where the fault is the server's, the whole chain of causes goes to the log.
fn message(error: &CallError, code: Code) -> String {
    let public = if code == Code::Internal {
        "internal error, see the server's log"
    } else if code == Code::DataLoss {
        "the model's file is damaged, see the server's log"
    } else if let Some(disk) = disk_of(error) {
        match disk {
            Disk::Full => "there is no room for models, see the server's log",
            Disk::ReadOnly => "the models cannot be written, see the server's log",
        }
    } else {
        return cut(&error.to_string(), MAX_MESSAGE_BYTES);
    };
    tracing::error!(error = chain(error), ?code, request_id = current_request_id(), "call failed");
    public.to_owned()
}

fn disk_of(error: &CallError) -> Option<Disk> {
    let CallError::Store(StoreError::Io { source, .. }) = error else { return None };
    disk(source.kind())
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
        | CallError::NoSigningKey
        | CallError::BuiltInNotTrainable { .. }
        | CallError::BuiltInFixed { .. }
        | CallError::TrainingRunning { .. }
        | CallError::TooManyJobs { .. }
        | CallError::TooManyBatches { .. }
        | CallError::UploadTooSlow { .. }
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
    for Violation { field, reason, problem, .. } in violations {
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
pub(crate) fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max_bytes.saturating_sub("…".len()));
    let mut kept = text.get(..end).unwrap_or_default().to_owned();
    kept.push('…');
    kept
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
    fn a_full_disk_and_one_that_cannot_be_written_are_told_without_their_paths() {
        for (kind, code, reason) in [
            (std::io::ErrorKind::StorageFull, Code::ResourceExhausted, "STORE_FULL"),
            (std::io::ErrorKind::ReadOnlyFilesystem, Code::FailedPrecondition, "STORE_READ_ONLY"),
        ] {
            let path = std::path::PathBuf::from("/secret/path");
            let error = StoreError::Io { action: "write", path, source: kind.into() };
            let status = Status::from(CallError::from(error));
            let info = status.get_details_error_info().expect("an ErrorInfo");
            assert_eq!((status.code(), info.reason.as_str()), (code, reason));
            assert!(!status.message().contains("secret"), "{status:?}");
        }
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
