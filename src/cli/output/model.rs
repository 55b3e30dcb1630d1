//! Versions of models: as a list, or one in full.

use super::evaluation::{self, Mistakes};
use super::table::{Align, Table};
use super::text::{percent, size, version, visible, whole};
use super::{Format, HEADING};
use crate::proto::{ChosenSettings, Model, View, Weighting};

/// Returns versions as a list.
pub(in crate::cli) fn list(models: &[Model], format: Format) -> String {
    let mut table = Table::titled(&[
        ("model", Align::Left),
        ("version", Align::Right),
        ("state", Align::Left),
        ("size", Align::Right),
        ("trained", Align::Left),
    ]);
    for model in models {
        let id = model.model_version.as_ref();
        let (name, number) = id.map_or(("", 0), |v| (v.name.as_str(), v.version));
        let (size, trained) = match number {
            // Version 0 is part of the program.
            0 => (String::new(), "built in".to_owned()),
            _ => (size(model.size_bytes), time(model)),
        };
        let state = if model.active { "active" } else { "" };
        table.row([name.to_owned(), number.to_string(), state.to_owned(), size, trained]);
    }
    table.render(format)
}

/// Returns everything that is known about a version.
pub(in crate::cli) fn full(model: &Model, format: Format) -> String {
    let title = version(model.model_version.as_ref());
    let state = if model.active { " is active" } else { "" };
    let mut text = format!("{HEADING}{title}{HEADING:#}{state}\n");
    text.push_str(&facts(model).render(format));
    if let Some(evaluation) = &model.evaluation {
        text.push('\n');
        text.push_str(&evaluation::render(evaluation, &Mistakes::new(), format));
    }
    text
}

/// Returns what a person wants to know of a version that was just trained, in one line.
pub(in crate::cli) fn headline(model: &Model) -> String {
    let title = version(model.model_version.as_ref());
    let state = if model.active { "is active" } else { "is stored, not active" };
    let labels = model.labels.len();
    let (examples, features) = (whole(n_examples(model)), whole(model.feature_count));
    format!(
        "{HEADING}{title}{HEADING:#} {state}: {labels} labels, learned from {examples} sentences, \
         {features} features\n"
    )
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
    fact("trained", time(model));
    let labels: Vec<_> = model.labels.iter().map(|l| visible(&l.label).into_owned()).collect();
    fact("labels", format!("{}: {}", labels.len(), labels.join(", ")));
    fact("examples", whole(n_examples(model)));
    fact("features", whole(model.feature_count));
    if model.size_bytes > 0 {
        fact("file", size(model.size_bytes));
    }
    fact("abstains", abstains(model.min_probability));
    if let Some(settings) = &model.settings {
        fact("weighting", weighting(settings).to_owned());
        fact("views", views(settings));
        fact("folds", format!("{}, seed {}", settings.folds, settings.seed));
    }
    fact("data digest", model.data_digest.clone());
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

fn views(settings: &ChosenSettings) -> String {
    let view = |chosen: &crate::proto::ChosenView| {
        let name = match chosen.view() {
            View::Unspecified => "other",
            View::Word1 => "word1",
            View::Word2 => "word2",
            View::Word3 => "word3",
            View::Shape => "shape",
            View::Character => "character",
        };
        format!("{name} (weight {:.3}, alpha {})", chosen.weight, chosen.alpha)
    };
    settings.views.iter().map(view).collect::<Vec<_>>().join(", ")
}
