//! What a client sent becomes checked values. Behind this file nothing is checked twice.

use super::error::{CallError, Exceeded, Violations};
use crate::config::Limits;
use crate::proto;
use crate::store::ModelName;

/// Longest id of a stream's item in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;
/// Largest page of a list.
const MAX_PAGE_SIZE: u32 = 1_000;
const DEFAULT_PAGE_SIZE: usize = 100;

/// Which version of which model is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    /// `None`: the server's default model.
    pub(crate) name: Option<ModelName>,
    /// 0: the active one.
    pub(crate) version: u64,
}

/// How to classify.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ClassifyOptions {
    /// Who answers.
    pub(crate) target: Target,
    /// Labels to return; 0: all.
    pub(crate) top_k: usize,
    /// Threshold, and whether to explain.
    pub(crate) scoring: crate::model::Options,
}

/// One version, by name and number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Version {
    pub(crate) name: ModelName,
    pub(crate) version: u64,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Only versions of this model.
    pub(crate) model: Option<ModelName>,
    /// Most entries.
    pub(crate) size: usize,
    /// The last entry of the page before.
    pub(crate) after: Option<Version>,
}

/// Checks a sentence on its own and its options.
pub(crate) fn sentence(
    sentence: &str,
    options: Option<&proto::ClassifyOptions>,
    limits: &Limits,
) -> Result<ClassifyOptions, CallError> {
    let mut violations = Violations::default();
    check_sentence(|| "sentence".to_owned(), sentence, limits, &mut violations);
    finish(violations, options)
}

/// Checks the sentences of a batch and its options.
pub(crate) fn batch(
    request: &proto::BatchClassifyRequest,
    limits: &Limits,
) -> Result<ClassifyOptions, CallError> {
    let mut violations = Violations::default();
    let sentences = &request.sentences;
    let most = limits.max_batch_sentences.get();
    if sentences.is_empty() {
        violations.push("sentences", "BATCH_EMPTY", "is empty");
    } else if sentences.len() > most {
        let exceeded = Exceeded::new(sentences.len(), most, "sentences");
        violations.push_exceeded("sentences", "BATCH_TOO_LARGE", exceeded);
    } else {
        for (i, sentence) in sentences.iter().enumerate() {
            check_sentence(|| format!("sentences[{i}]"), sentence, limits, &mut violations);
        }
    }
    finish(violations, request.options.as_ref())
}

/// Checks one item of a stream. An id that is at fault is not echoed: the caller gets it emptied.
pub(crate) fn item(
    item: &mut proto::StreamClassifyRequest,
    limits: &Limits,
) -> Result<ClassifyOptions, CallError> {
    let n = item.id.len();
    if n > MAX_ID_BYTES {
        item.id.clear();
        let mut violations = Violations::default();
        violations.push_exceeded("id", "ID_TOO_LONG", Exceeded::new(n, MAX_ID_BYTES, "bytes"));
        return Err(violations.into());
    }
    sentence(&item.sentence, item.options.as_ref(), limits)
}

/// Checks a text and its options.
pub(crate) fn text(
    request: &proto::ClassifyTextRequest,
    limits: &Limits,
) -> Result<ClassifyOptions, CallError> {
    let mut violations = Violations::default();
    let (n, most) = (request.text.len(), limits.max_text_bytes.get());
    if n > most {
        violations.push_exceeded("text", "TEXT_TOO_LONG", Exceeded::new(n, most, "bytes"));
    } else if request.text.trim().is_empty() {
        violations.push("text", "TEXT_BLANK", "is blank");
    }
    if proto::OffsetEncoding::try_from(request.offset_encoding).is_err() {
        violations.push("offset_encoding", "OFFSET_ENCODING_UNKNOWN", "is not a known encoding");
    }
    finish(violations, request.options.as_ref())
}

/// Checks which model and version are meant; both may be left out.
pub(crate) fn target(field: &str, model: &str, version: u64) -> Result<Target, CallError> {
    let mut violations = Violations::default();
    let name = optional_name(field, model, &mut violations);
    violations.check()?;
    Ok(Target { name, version })
}

/// Checks which stored version is meant; both must be given.
pub(crate) fn version(model: &str, version: u64) -> Result<Version, CallError> {
    let mut violations = Violations::default();
    let name = optional_name("model", model, &mut violations);
    if model.is_empty() {
        violations.push("model", "MODEL_MISSING", "is required");
    }
    if version == 0 {
        violations.push("version", "VERSION_MISSING", "is required, from 1");
    }
    violations.check()?;
    let name = name.ok_or(CallError::Internal("a checked name is missing"))?;
    Ok(Version { name, version })
}

/// Checks which page of the list is asked for.
pub(crate) fn page(request: &proto::ListModelsRequest) -> Result<Page, CallError> {
    let mut violations = Violations::default();
    let model = optional_name("model", &request.model, &mut violations);
    if request.page_size > MAX_PAGE_SIZE {
        let exceeded = Exceeded::new(request.page_size, MAX_PAGE_SIZE, "entries");
        violations.push_exceeded("page_size", "PAGE_TOO_LARGE", exceeded);
    }
    let after = parse_page_token(&request.page_token);
    if after.is_none() && !request.page_token.is_empty() {
        violations.push("page_token", "PAGE_TOKEN_UNKNOWN", "is not a token of this server");
    }
    violations.check()?;
    let size = match request.page_size {
        0 => DEFAULT_PAGE_SIZE,
        n => usize::try_from(n).unwrap_or(DEFAULT_PAGE_SIZE),
    };
    Ok(Page { model, size, after })
}

/// The token with which a list goes on behind an entry.
pub(crate) fn page_token(name: &str, version: u64) -> String {
    format!("{name}@{version}")
}

/// Checks a name that may be left out.
pub(crate) fn optional_name(
    field: &str,
    name: &str,
    violations: &mut Violations,
) -> Option<ModelName> {
    if name.is_empty() {
        return None;
    }
    let parsed = name.parse();
    if parsed.is_err() {
        violations.push(
            field,
            "MODEL_NAME_MALFORMED",
            "is not of the form [a-z0-9][a-z0-9._-]{0,63}",
        );
    }
    parsed.ok()
}

/// Checks that a number is in [0, 1] and one at all.
pub(crate) fn check_share(field: &str, value: Option<f64>, violations: &mut Violations) {
    if value.is_some_and(|v| !(0.0..=1.0).contains(&v)) {
        violations.push(field, "MIN_PROBABILITY_OUT_OF_RANGE", "is not in [0, 1]");
    }
}

fn parse_page_token(token: &str) -> Option<Version> {
    let (name, version) = token.split_once('@')?;
    Some(Version { name: name.parse().ok()?, version: version.parse().ok()? })
}

fn check_sentence(
    field: impl FnOnce() -> String,
    sentence: &str,
    limits: &Limits,
    violations: &mut Violations,
) {
    let (n, most) = (sentence.len(), limits.max_sentence_bytes.get());
    if n > most {
        violations.push_exceeded(field(), "SENTENCE_TOO_LONG", Exceeded::new(n, most, "bytes"));
    } else if sentence.trim().is_empty() {
        violations.push(field(), "SENTENCE_BLANK", "is blank");
    }
}

fn finish(
    mut violations: Violations,
    options: Option<&proto::ClassifyOptions>,
) -> Result<ClassifyOptions, CallError> {
    let Some(options) = options else {
        violations.check()?;
        return Ok(ClassifyOptions::default());
    };
    let name = optional_name("options.model", &options.model, &mut violations);
    check_share("options.min_probability", options.min_probability, &mut violations);
    violations.check()?;
    Ok(ClassifyOptions {
        target: Target { name, version: options.version },
        top_k: usize::try_from(options.top_k).unwrap_or(usize::MAX),
        scoring: crate::model::Options {
            min_probability: options.min_probability,
            explain: options.explain,
        },
    })
}
