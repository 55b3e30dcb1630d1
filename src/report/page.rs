//! The page from top to bottom: figures, curves, labels, confusions, n-grams, disputed rows, data,
//! settings. Everything that comes from the data goes through the escaping of the templates.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::percent;
use super::telling::Telling;
use super::words::{figure, name, whole};
use super::{Report, ReportError, curves, matrix, sentences};
use crate::model::{Evaluation, Metadata, Method};
use crate::train::{Counts, Interval};

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded and nothing runs, whatever a sentence holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Returns the page.
pub(super) fn page(report: &Report<'_>) -> Result<String, ReportError> {
    let evaluation = report.evaluation;
    let charts = curves::charts(report)?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (report.title) " · Dictum" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (report.title) }
                p.faint { (method(evaluation, report)) }
                (contents(report.training.is_some()))
                (headline(evaluation))
                (charts)
                (labels(evaluation))
                h2 id="matrix" { "Confusion matrix" }
                (matrix::heat_map(evaluation))
                (sentences::confusions(report))
                @if let Some(training) = report.training { (telling(&training.telling)) }
                (sentences::disputed(report))
                (sentences::data(report))
                (settings(report.model.metadata(), evaluation))
            }
        }
    };
    Ok(page.into_string())
}

fn contents(is_training: bool) -> Markup {
    html! { nav {
        a href="#labels" { "Labels" }
        a href="#matrix" { "Confusions" }
        @if is_training { a href="#ngrams" { "N-grams" } }
        a href="#disputed" { "Disputed rows" }
        a href="#data" { "Data" }
        a href="#settings" { "Settings" }
    } }
}

fn method(evaluation: &Evaluation, report: &Report<'_>) -> String {
    let n = whole(evaluation.example_count);
    match evaluation.method {
        Method::OutOfFold => {
            let of_all = report.model.metadata().sampled_from();
            let of_all = of_all.map_or(String::new(), |n_counted| {
                format!(", a sample of the {} that were counted", whole(n_counted))
            });
            format!(
                "{n} sentences{of_all}, each judged by tables and weights that had not seen it."
            )
        }
        Method::GivenExamples => format!(
            "{n} sentences given for evaluation. The figures mean something only if the model was not \
             trained on them."
        ),
    }
}

fn headline(evaluation: &Evaluation) -> Markup {
    let labels = evaluation.labels.iter().map(|of| (of.label.as_str(), of.precision));
    let cells = evaluation.confusion.iter();
    let cells = cells.map(|cell| (cell.label.as_str(), cell.predicted.as_str(), cell.count));
    let intervals = Counts::new(evaluation.example_count, labels, cells).intervals();
    let range = |i: Interval| format!("95 % interval {:.3} to {:.3}", i.low, i.high);
    let error = evaluation.expected_calibration_error;
    html! {
        div.cards {
            (card("Accuracy", evaluation.accuracy, &range(intervals.accuracy)))
            (card("Macro-F1", evaluation.macro_f1, &range(intervals.macro_f1)))
            (card("Log loss", evaluation.log_loss, "in nats, 0 is perfect"))
            (card("Calibration error", error, "probabilities against how often they are right"))
        }
        p.note { "Intervals: Wilson's for the accuracy, for the macro-F1 percentiles of 1,000 bootstrap samples of the judged sentences." }
    }
}

fn card(name: &str, value: f64, meaning: &str) -> Markup {
    html! { div.card { span { (name) } b { (figure(value)) } span { (meaning) } } }
}

fn labels(evaluation: &Evaluation) -> Markup {
    html! {
        h2 id="labels" { "Labels" }
        div.scroll { table {
            thead { tr {
                th { "label" } th.n { "precision" } th.n { "recall" } th.n { "F1" } th.n { "sentences" }
            } }
            tbody { @for of in &evaluation.labels { tr {
                th scope="row" { (name(&of.label)) }
                td.n { (figure(of.precision)) }
                td.n { (figure(of.recall)) }
                td.n { (figure(of.f1))
                    span.meter style=(format!("--s:{:.0}%", of.f1 * 100.0)) {} }
                td.n { (whole(of.support)) }
            } } }
        } }
    }
}

fn telling(telling: &[Telling]) -> Markup {
    html! {
        h2 id="ngrams" { "Most telling n-grams" }
        p.note { "What speaks most for a label against the one it speaks for next, and often: n-grams \
            in at least 3 sentences; behind each the number of sentences it occurs in. " code { "<s>" } " and "
            code { "</s>" } " are the ends of a sentence, " code { "Aa" } " is a name, " code { "0" }
            " a number." }
        div.scroll { table { tbody { @for of in telling { tr {
            th scope="row" { (name(&of.label)) }
            td.text {
                @for ngram in &of.ngrams {
                    span.chip title=(format!("{:+.2} nats", ngram.log_odds)) {
                        (ngram.text) " " span.faint { (whole(ngram.n_sentences.into())) }
                    }
                }
                @if of.ngrams.is_empty() { span.faint { "none" } }
            }
        } } } } }
    }
}

fn settings(metadata: &Metadata, evaluation: &Evaluation) -> Markup {
    let settings = &metadata.settings;
    let refinement = settings.refinement.map_or_else(
        || "none: every feature has its view's weight".to_owned(),
        |ridge| format!("features have weights of their own, ridge {ridge}"),
    );
    let n_trained = whole(metadata.label_counts.iter().sum());
    html! {
        h2 id="settings" { "Model and settings" }
        div.scroll { table { tbody {
            (fact("labels", &metadata.labels.len().to_string()))
            (fact("trained on", &format!("{n_trained} sentences")))
            (fact("weighting", &format!("{:?}", settings.weighting).to_lowercase()))
            @for of in &settings.views {
                (fact(
                    &format!("view {}", of.view.name()),
                    &format!("weight {:.3}, smoothing {}", of.weight, of.alpha),
                ))
            }
            (fact("refinement", &refinement))
            (fact("folds", &format!("{}, seed {}", settings.folds, settings.seed)))
            (fact("abstains below", &percent(metadata.min_probability)))
            (fact("digest of the training data", &metadata.data_digest))
            (fact("digest of the judged data", &evaluation.data_digest))
        } } }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { tr { th scope="row" { (name) } td.text { (value) } } }
}
