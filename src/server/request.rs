//! What a client sent becomes checked values. Behind this file nothing is checked twice.

use std::fmt::Display;

use super::error::{CallError, Violations};
use crate::proto;
use crate::store::ModelName;

/// Longest sentence in bytes.
pub(crate) const MAX_SENTENCE_BYTES: usize = 65_536;
/// Longest text of `ClassifyText` in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 1_048_576;
/// Most sentences of a batch.
pub(crate) const MAX_BATCH_SENTENCES: usize = 10_000;
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
) -> Result<ClassifyOptions, CallError> {
    let mut violations = Violations::default();
    if let Some((reason, problem)) = sentence_problem(sentence) {
        violations.push("sentence", reason, problem);
    }
    finish(violations, options)
}

/// Checks the sentences of a batch and its options.
pub(crate) fn batch(request: &proto::BatchClassifyRequest) -> Result<ClassifyOptions, CallError> {
    let mut violations = Violations::default();
    let sentences = &request.sentences;
    match sentences.len() {
        0 => violations.push("sentences", "BATCH_EMPTY", "is empty"),
        1..=MAX_BATCH_SENTENCES => {
            for (i, sentence) in sentences.iter().enumerate() {
                if let Some((reason, problem)) = sentence_problem(sentence) {
                    violations.push(format!("sentences[{i}]"), reason, problem);
                }
            }
        }
        n => violations.push(
            "sentences",
            "BATCH_TOO_LARGE",
            above(n, MAX_BATCH_SENTENCES, "sentences"),
        ),
    }
    finish(violations, request.options.as_ref())
}

/// Checks one item of a stream. An id that is at fault is not echoed: the caller gets it emptied.
pub(crate) fn item(item: &mut proto::StreamClassifyRequest) -> Result<ClassifyOptions, CallError> {
    let n = item.id.len();
    if n > MAX_ID_BYTES {
        item.id.clear();
        return Err(Violations::one("id", "ID_TOO_LONG", above(n, MAX_ID_BYTES, "bytes")).into());
    }
    sentence(&item.sentence, item.options.as_ref())
}

/// Checks a text and its options.
pub(crate) fn text(request: &proto::ClassifyTextRequest) -> Result<ClassifyOptions, CallError> {
    let mut violations = Violations::default();
    if request.text.trim().is_empty() {
        violations.push("text", "TEXT_BLANK", "is blank");
    } else if request.text.len() > MAX_TEXT_BYTES {
        violations.push(
            "text",
            "TEXT_TOO_LONG",
            above(request.text.len(), MAX_TEXT_BYTES, "bytes"),
        );
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
        let problem = above(request.page_size, MAX_PAGE_SIZE, "entries");
        violations.push("page_size", "PAGE_TOO_LARGE", problem);
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

fn sentence_problem(sentence: &str) -> Option<(&'static str, String)> {
    if sentence.len() > MAX_SENTENCE_BYTES {
        Some(("SENTENCE_TOO_LONG", above(sentence.len(), MAX_SENTENCE_BYTES, "bytes")))
    } else if sentence.trim().is_empty() {
        Some(("SENTENCE_BLANK", "is blank".to_owned()))
    } else {
        None
    }
}

fn above<N: Display>(n: N, limit: N, what: &str) -> String {
    format!("has {n} {what}, at most {limit} are allowed")
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
