//! The page from top to bottom: figures, curves, labels, confusions, n-grams, disputed rows, data,
//! settings. Everything that comes from the data goes through the escaping of the templates.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{Chart, percent, share_range};
use super::learning::{Learning, LearningPoint};
use super::reliability::bins;
use super::telling::Telling;
use super::{Report, ReportError, matrix, real};
use crate::model::{Evaluation, Metadata, Method};
use crate::train::examples::FindingCode;
use crate::train::{Counts, Interval};

const STYLE: &str = include_str!("style.css");
/// Nothing is loaded and nothing runs, whatever a sentence holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// Probability of another label from which on a row is disputed.
const DISPUTED: f64 = 0.9;
/// Share of the sentences that a bin of the reliability diagram needs to have a dot: of fewer it is chance.
const MIN_BIN_SHARE: f64 = 0.002;
/// Most rows of a table.
const MAX_ROWS: usize = 100;
/// Most findings in the data.
const MAX_FINDINGS: usize = 500;
/// Most confusions.
const MAX_CONFUSIONS: usize = 20;
/// Sentences that are shown for each.
const N_SENTENCES: usize = 3;
/// Characters of a sentence that are shown.
const MAX_CHARACTERS: usize = 400;

/// Returns the page.
pub(super) fn page(report: &Report<'_>) -> Result<String, ReportError> {
    let evaluation = report.evaluation;
    let charts = charts(report)?;
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
                (confusions(report))
                h2 id="matrix" { "Confusion matrix" }
                (matrix::heat_map(evaluation))
                @if let Some(training) = report.training { (telling(&training.telling)) }
                (disputed(report))
                (data(report))
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
    let n = evaluation.example_count;
    match evaluation.method {
        Method::OutOfFold => {
            let of_all = report.model.metadata().sampled_from();
            let of_all = of_all.map_or(String::new(), |n_counted| {
                format!(", a sample of the {n_counted} that were counted")
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

fn charts(report: &Report<'_>) -> Result<Markup, ReportError> {
    let learning = report.training.map(|training| &training.learning);
    Ok(html! {
        div.charts {
            figure {
                h2 { "Reliability" }
                (drawn(&reliability(report))?)
                figcaption { "How often the best label is right (up) by its probability (across). On the \
                    thin line probabilities mean what they say. Bars: share of the sentences." }
            }
            figure {
                h2 { "Coverage" }
                (drawn(&coverage(report.evaluation))?)
                figcaption { "Accuracy of the answers (up) when only the surest share of sentences is \
                    answered (across): a dot for each threshold." }
            }
            @match learning {
                Some(Learning::Curve(points)) => figure {
                    h2 { "Learning curve" }
                    (drawn(&growth(points))?)
                    figcaption { span.key { "accuracy" } span.key.two { "macro-F1" }
                        "by number of sentences. Where it still rises, more data will help." }
                }
                Some(Learning::LeftOut(why)) => figure { h2 { "Learning curve" } p { (why) } }
                None => {}
            }
            figure { h2 { "Thresholds" } (thresholds(report.evaluation)) }
        }
    })
}

fn drawn(chart: &Chart<'_>) -> Result<Markup, ReportError> {
    let svg = chart.svg()?;
    Ok(html! { div role="img" aria-label=(chart.summary) { (PreEscaped(svg)) } })
}

fn reliability(report: &Report<'_>) -> Chart<'static> {
    let n_all = real(report.evaluation.example_count).max(1.0);
    let bins = bins(report.judged);
    let is_telling = |n: u64| n > 0 && real(n) >= MIN_BIN_SHARE * n_all;
    let used = bins.iter().filter(|bin| is_telling(bin.n_sentences));
    let bars = bins.iter().zip(0..).map(|(bin, at): (_, i32)| {
        let left = f64::from(at) / 10.0;
        (left + 0.01, left + 0.09, real(bin.n_sentences) / n_all)
    });
    Chart {
        summary: "Reliability diagram: accuracy by probability of the best label",
        x: 0.0..1.0,
        y: 0.0..1.0,
        x_label: percent,
        bars: bars.collect(),
        curves: vec![used.map(|bin| (bin.probability, bin.accuracy)).collect()],
        has_diagonal: true,
    }
}

fn coverage(evaluation: &Evaluation) -> Chart<'static> {
    let points = evaluation.coverage.iter().filter(|point| point.coverage > 0.0);
    let curve: Vec<_> = points.map(|point| (point.coverage, point.accuracy)).collect();
    Chart {
        summary: "Coverage curve: accuracy of the answers by share of sentences answered",
        x: 0.0..1.0,
        y: share_range(curve.iter().map(|point| point.1)),
        x_label: percent,
        curves: vec![curve],
        bars: Vec::new(),
        has_diagonal: false,
    }
}

fn growth(points: &[LearningPoint]) -> Chart<'static> {
    let curve = |of: fn(&LearningPoint) -> f64| -> Vec<(f64, f64)> {
        points.iter().map(|point| (real(point.n_examples), of(point))).collect()
    };
    let curves = vec![curve(|point| point.accuracy), curve(|point| point.macro_f1)];
    let most = points.last().map_or(1.0, |point| real(point.n_examples));
    Chart {
        summary: "Learning curve: accuracy and macro-F1 by number of sentences",
        x: 0.0..most * 1.02,
        y: share_range(curves.iter().flatten().map(|point| point.1)),
        x_label: |n| format!("{n:.0}"),
        curves,
        bars: Vec::new(),
        has_diagonal: false,
    }
}

fn thresholds(evaluation: &Evaluation) -> Markup {
    // Every other step up to 0.8, then every step.
    let is_shown = |at: usize| at.is_multiple_of(4) || at >= 16;
    let points = evaluation.coverage.iter().enumerate().filter(|(at, _)| is_shown(*at));
    html! { table {
        thead { tr { th.n { "min. probability" } th.n { "answered" } th.n { "right" } } }
        tbody { @for (_, point) in points { tr {
            td.n { (format!("{:.2}", point.min_probability)) }
            td.n { (tenths(point.coverage)) }
            td.n { @if point.coverage > 0.0 { (tenths(point.accuracy)) } @else { "–" } }
        } } }
    } }
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
                td.n { (of.support) }
            } } }
        } }
    }
}

/// A judged sentence of the data.
struct Row<'a> {
    line: u64,
    text: &'a str,
    right: &'a str,
    given: &'a str,
    probability: f64,
}

/// Returns what was given a wrong label, the most certain first.
fn mistakes<'a>(report: &Report<'a>) -> Vec<Row<'a>> {
    let (dataset, known) = (report.dataset, report.model.labels());
    let judged = dataset.examples.iter().zip(report.judged);
    let row = |(example, judged): (&'a crate::train::examples::Example, &crate::train::Judged)| {
        let row = Row {
            line: example.line,
            text: &example.text,
            right: dataset.labels.get(example.label)?,
            given: known.get(judged.given)?,
            probability: judged.probability,
        };
        (!judged.is_right()).then_some(row)
    };
    let mut rows: Vec<_> = judged.filter_map(row).collect();
    rows.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    rows
}

fn confusions(report: &Report<'_>) -> Markup {
    let mut cells: Vec<_> = report.evaluation.confusion.iter().collect();
    cells.retain(|cell| cell.label != cell.predicted);
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
    cells.truncate(MAX_CONFUSIONS);
    let rows = mistakes(report);
    let of = |label: &str, given: &str| {
        let wanted = |row: &&Row<'_>| row.right == label && row.given == given;
        rows.iter().filter(wanted).take(N_SENTENCES).collect::<Vec<_>>()
    };
    html! { @if !cells.is_empty() {
        h2 id="confusions" { "Most often confused" }
        div.scroll { table {
            thead { tr {
                th { "right label" } th { "given label" } th.n { "sentences" } th { "for example" }
            } }
            tbody { @for cell in cells { tr {
                th scope="row" { (name(&cell.label)) }
                td { (name(&cell.predicted)) }
                td.n { (cell.count) }
                td.text { @for row in of(&cell.label, &cell.predicted) {
                    p { (excerpt(row.text)) " " span.faint { "line " (row.line) } }
                } }
            } } }
        } }
    } }
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
                        (ngram.text) " " span.faint { (ngram.n_sentences) }
                    }
                }
                @if of.ngrams.is_empty() { span.faint { "none" } }
            }
        } } } } }
    }
}

fn disputed(report: &Report<'_>) -> Markup {
    let mut rows = mistakes(report);
    rows.retain(|row| row.probability >= DISPUTED);
    let n_disputed = rows.len();
    rows.truncate(MAX_ROWS);
    html! {
        h2 id="disputed" { "Disputed rows" }
        p.note { "Rows whose label the model contradicts with a probability of at least "
            (percent(DISPUTED)) ". Either the row is labelled wrongly, or the model has something to learn." }
        @if n_disputed == 0 { p { "None." } } @else {
            div.scroll { table {
                thead { tr {
                    th.n { "line" } th { "label" } th { "the model says" } th { "sentence" }
                } }
                tbody { @for row in &rows { tr {
                    td.n { (row.line) }
                    td { (name(row.right)) }
                    td { (name(row.given)) " " span.faint { (format!("{:.3}", row.probability)) } }
                    td.text { (excerpt(row.text)) }
                } } }
            } }
            (more(n_disputed, rows.len()))
        }
    }
}

fn data(report: &Report<'_>) -> Markup {
    let found = report.data_report;
    // Rows in the order of their lines; those that are left out are not among them.
    let text_of = |line: u64| {
        let examples = &report.dataset.examples;
        let position = examples.binary_search_by_key(&line, |example| example.line).ok()?;
        examples.get(position).map(|example| excerpt(&example.text))
    };
    html! {
        h2 id="data" { "Data" }
        p { (found.used_count) " of " (found.row_count) " rows were used." }
        @if !found.counts.is_empty() {
            p { @for (code, n) in &found.counts { span.chip { (code_name(*code)) " " span.faint { (n) } } } }
            div.scroll { table {
                thead { tr { th.n { "line" } th { "finding" } th { "what" } } }
                tbody { @for finding in &found.first(MAX_FINDINGS) { tr {
                    td.n { (finding.line) }
                    td { (code_name(finding.code)) }
                    td.text {
                        p { (excerpt(&finding.message)) }
                        @if let Some(text) = text_of(finding.line) { p.faint { (text) } }
                    }
                } } }
            } }
            (more(
                usize::try_from(found.counts.values().sum::<u64>()).unwrap_or(usize::MAX),
                found.findings.len().min(MAX_FINDINGS),
            ))
        }
    }
}

fn more(n_all: usize, n_shown: usize) -> Markup {
    html! { @if n_all > n_shown { p.note { "and " (n_all - n_shown) " more" } } }
}

fn settings(metadata: &Metadata, evaluation: &Evaluation) -> Markup {
    let settings = &metadata.settings;
    let refinement = settings.refinement.map_or_else(
        || "none: every feature has its view's weight".to_owned(),
        |ridge| format!("features have weights of their own, ridge {ridge}"),
    );
    html! {
        h2 id="settings" { "Model and settings" }
        div.scroll { table { tbody {
            (fact("labels", &metadata.labels.len().to_string()))
            (fact("trained on", &format!("{} sentences", metadata.label_counts.iter().sum::<u64>())))
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

/// A percentage for a column of them.
fn tenths(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A label that may be broken where its words end.
fn name(label: &str) -> Markup {
    html! { @for word in label.split_inclusive(['_', '/', '.']) { (word) wbr; } }
}

fn figure(value: f64) -> String {
    format!("{value:.3}")
}

fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(MAX_CHARACTERS).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

/// The name of a code in words.
fn code_name(code: FindingCode) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.extend(c.to_lowercase());
    }
    name
}
