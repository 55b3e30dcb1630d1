//! The curves of the page, and the table of thresholds.

use maud::{Markup, PreEscaped, html};

use super::chart::{Chart, percent, share_range};
use super::learning::{Learning, LearningPoint};
use super::reliability::bins;
use super::words::{apart, tenths};
use super::{Report, ReportError, real};
use crate::model::Evaluation;

/// Share of the sentences that a bin of the reliability diagram needs to have a dot: of fewer it is chance.
const MIN_BIN_SHARE: f64 = 0.002;

pub(super) fn charts(report: &Report<'_>) -> Result<Markup, ReportError> {
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
        x_label: |n| apart(&format!("{n:.0}")),
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
