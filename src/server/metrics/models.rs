//! The versions that answer, and what they have answered. Series come and go with the versions; their number
//! is bounded by [`MAX_MODELS`] and by the labels that a tally counts apart.

use std::fmt;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::figures::{NO_LABELS, Writer};
use crate::server::models::{Models, ServedModel};

/// Models that are listed, by name.
const MAX_MODELS: usize = 32;

/// Writes the models that answer.
pub(super) fn write(models: &Models, writer: &mut Writer<'_>) -> fmt::Result {
    let all = models.answering();
    writer.gauges(
        ("dictum_models", "Models that answer, those above the number that is listed among them"),
        [(NO_LABELS, u64::try_from(all.len()).unwrap_or(u64::MAX))],
    )?;
    writer.counters(
        ("dictum_model_swaps", "How often another version of a model began to answer"),
        [(NO_LABELS, models.swaps())],
    )?;
    let listed: Vec<_> = all.iter().take(MAX_MODELS).map(Listed::new).collect();
    writer.gauges(
        ("dictum_model_version", "The version that answers"),
        listed.iter().map(|m| ([("model", m.name())], m.served.version)),
    )?;
    writer.gauges(
        ("dictum_model_created_timestamp_seconds", "When the version that answers was stored"),
        listed.iter().filter_map(|m| Some(([("model", m.name())], created(models, m.served)?))),
    )?;
    write_answers(&listed, writer)
}

fn write_answers(listed: &[Listed<'_>], writer: &mut Writer<'_>) -> fmt::Result {
    writer.counters(
        ("dictum_model_sentences", "Sentences that were classified, by the version that did"),
        listed.iter().map(|m| (m.labels(), m.served.tally.sentences())),
    )?;
    writer.counters(
        ("dictum_model_abstentions", "Sentences that got no label, by why"),
        listed.iter().flat_map(|m| {
            let reasons = m.served.tally.abstained().into_iter();
            reasons.map(|(reason, n)| ([m.model(), m.version(), ("reason", reason)], n))
        }),
    )?;
    writer.counters(
        ("dictum_model_tokens", "Tokens of the sentences"),
        listed.iter().map(|m| (m.labels(), m.served.tally.tokens())),
    )?;
    writer.counters(
        ("dictum_model_unknown_tokens", "Those that did not occur in training"),
        listed.iter().map(|m| (m.labels(), m.served.tally.unknown_tokens())),
    )?;
    let by_label = listed.iter().flat_map(|m| {
        m.served.tally.by_label().map(move |(label, n)| {
            let label = label.map_or_else(|| "other".to_owned(), |label| label.to_string());
            (m, label, n)
        })
    });
    // Labels are text of whoever trained: they are named by their position in GetModel's list.
    let by_label: Vec<_> = by_label.collect();
    writer.counters(
        (
            "dictum_model_labels",
            "Answers by the position of their label in the model's list, from 0",
        ),
        by_label
            .iter()
            .map(|(m, label, n)| ([m.model(), m.version(), ("label_index", label.as_str())], *n)),
    )
}

/// A version, as its series name it.
struct Listed<'a> {
    served: &'a ServedModel,
    version: String,
}

impl<'a> Listed<'a> {
    fn new(served: &'a Arc<ServedModel>) -> Self {
        Self { served, version: served.version.to_string() }
    }

    fn name(&self) -> &str {
        &self.served.name
    }

    fn model(&self) -> (&'static str, &str) {
        ("model", self.name())
    }

    fn version(&self) -> (&'static str, &str) {
        ("version", &self.version)
    }

    fn labels(&self) -> [(&'static str, &str); 2] {
        [self.model(), self.version()]
    }
}

/// In seconds since 1970; the built-in model has no such time.
fn created(models: &Models, served: &ServedModel) -> Option<f64> {
    let versions = models.repository().versions(&served.name.parse().ok()?).ok()?;
    let info = versions.iter().find(|info| info.version == served.version)?;
    Some(info.created.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}
