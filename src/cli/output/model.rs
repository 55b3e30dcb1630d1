//! Versions of models: as a list, or one in full.

use super::evaluation::{self, Mistakes};
use super::table::{Align, Table};
use super::text::{self, percent, size, visible, whole};
use super::{FAINT, Format, HEADING};
use crate::proto::{ChosenSettings, ChosenView, Model, View, Weighting};

/// Most labels that are named in one line.
const MAX_LABELS: usize = 5;
/// Digits of a public key that tell it from others in a list.
const KEY_DIGITS: usize = 10;

/// Returns versions as a list.
pub(in crate::cli) fn list(models: &[Model], format: Format) -> String {
    let mut columns = vec![
        ("model", Align::Left),
        ("version", Align::Right),
        ("state", Align::Left),
        ("size", Align::Right),
        ("trained", Align::Left),
    ];
    if models.iter().any(|model| model.signature.is_some()) {
        columns.push(("signed by", Align::Left));
    }
    let mut table = Table::titled(&columns);
    for model in models {
        let id = model.model_version.as_ref();
        let (name, number) = id.map_or(("", 0), |v| (v.name.as_str(), v.version));
        let (size, trained) = match number {
            // Version 0 is part of the program.
            0 => (String::new(), "built in".to_owned()),
            _ => (size(model.size_bytes), time(model)),
        };
        let state = if model.active { "active" } else { "" };
        let mut row = vec![name.to_owned(), number.to_string(), state.to_owned(), size, trained];
        if columns.len() > row.len() {
            row.push(signer(model).chars().take(KEY_DIGITS).collect());
        }
        table.row(row);
    }
    table.render(format)
}

/// Returns everything that is known about a version.
pub(in crate::cli) fn full(model: &Model, format: Format) -> String {
    let title = text::version(model.model_version.as_ref());
    let state = if model.active { " is active" } else { "" };
    let mut shown = format!("{HEADING}{title}{HEADING:#}{state}\n");
    shown.push_str(&facts(model).render(format));
    if let Some(evaluation) = &model.evaluation {
        shown.push('\n');
        shown.push_str(&evaluation::render(evaluation, &Mistakes::new(), format));
    }
    shown
}

/// Returns what a person wants to know of a version that was just trained, in one line.
pub(in crate::cli) fn headline(model: &Model) -> String {
    let title = text::version(model.model_version.as_ref());
    let state = if model.active { "is active" } else { "is stored, not active" };
    let labels = model.labels.len();
    let (examples, features) = (whole(n_examples(model)), whole(model.feature_count));
    format!(
        "{HEADING}{title}{HEADING:#} {state}: {labels} labels, learned from {examples} sentences, \
         {features} features\n"
    )
}

/// Returns what to do with a version that was just trained.
pub(in crate::cli) fn hint(model: &Model) -> String {
    let Some(version) = &model.model_version else { return String::new() };
    let name = if model.active {
        visible(&version.name).into_owned()
    } else {
        text::version(Some(version))
    };
    format!("\n{FAINT}Try it: dictum classify --model {name} --explain \"A sentence\"{FAINT:#}\n")
}

/// The key that signed a version; empty: nobody did.
fn signer(model: &Model) -> &str {
    match &model.signature {
        Some(signature) if signature.public_key.is_empty() => "unreadable",
        Some(signature) => &signature.public_key,
        None => "",
    }
}

fn n_examples(model: &Model) -> u64 {
    model.labels.iter().map(|label| label.example_count).sum()
}

fn time(model: &Model) -> String {
    // Fractions of a second are of no use to a person.
    let seconds = |time: &prost_types::Timestamp| prost_types::Timestamp { nanos: 0, ..*time };
    model.create_time.as_ref().map_or_else(String::new, |time| seconds(time).to_string())
}

fn facts(model: &Model) -> Table {
    let mut table = Table::plain(&[Align::Left, Align::Left]);
    let mut fact = |name: &str, value: String| table.row([name.to_owned(), value]);
    fact("trained", if model.create_time.is_some() { time(model) } else { "built in".to_owned() });
    fact("labels", labels(model));
    fact("examples", whole(n_examples(model)));
    fact("features", whole(model.feature_count));
    if model.size_bytes > 0 {
        fact("file", size(model.size_bytes));
    }
    fact("abstains", abstains(model.min_probability));
    if let Some(settings) = &model.settings {
        fact("weighting", weighting(settings).to_owned());
        for chosen in &settings.views {
            let (weight, alpha) = (chosen.weight, chosen.alpha);
            fact("view", format!("{}, weight {weight:.3}, alpha {alpha}", view(chosen)));
        }
        fact("folds", format!("{}, seed {}", settings.folds, settings.seed));
    }
    fact("data digest", model.data_digest.clone());
    if model.signature.is_some() {
        fact("signed by", signer(model).to_owned());
    }
    table
}

fn abstains(min_probability: f64) -> String {
    if min_probability > 0.0 {
        format!("below {}", percent(min_probability))
    } else {
        "only when no word is known".to_owned()
    }
}

fn weighting(settings: &ChosenSettings) -> &'static str {
    match settings.weighting() {
        Weighting::Unspecified => "",
        Weighting::Presence => "presence",
        Weighting::Idf => "idf",
    }
}

fn view(chosen: &ChosenView) -> &'static str {
    match chosen.view() {
        View::Unspecified => "other",
        View::Word1 => "word1",
        View::Word2 => "word2",
        View::Word3 => "word3",
        View::Shape => "shape",
        View::Character => "character",
        View::Lead => "lead",
    }
}

/// How many labels there are, and the first of them.
fn labels(model: &Model) -> String {
    let n_labels = model.labels.len();
    let named = model.labels.iter().take(MAX_LABELS).map(|label| label.label.as_str());
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if n_labels > MAX_LABELS { ", …" } else { "" };
    format!("{n_labels}: {named}{more}")
}
