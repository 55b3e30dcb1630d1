//! What was taken for what: a row for each right label, a column for each given one.

use std::collections::HashMap;

use maud::{Markup, html};

use super::real;
use super::words::whole;
use crate::model::Evaluation;

/// Most labels for which every cell is shown; of more, those with the most mistakes.
const MAX_LABELS: usize = 150;

/// Returns the matrix as a table whose cells are coloured by their share of the row.
pub(super) fn heat_map(evaluation: &Evaluation) -> Markup {
    let shown = shown(evaluation);
    let counts: HashMap<_, _> = evaluation
        .confusion
        .iter()
        .map(|cell| ((cell.label.as_str(), cell.predicted.as_str()), cell.count))
        .collect();
    let supports: HashMap<_, _> =
        evaluation.labels.iter().map(|of| (of.label.as_str(), of.support)).collect();
    let n_left_out = evaluation.labels.len() - shown.len();
    html! {
        @if n_left_out > 0 {
            p.note { "Shown are the " (shown.len()) " labels with the most mistakes; " (n_left_out)
                " others are left out." }
        }
        div.scroll.fit {
            table.matrix {
                thead { tr {
                    th.corner { "right ↓ given →" }
                    @for label in &shown { th.given title=(label) { span { (label) } } }
                } }
                tbody { @for right in &shown { tr {
                    th.right scope="row" title=(right) { (right) }
                    @let support = supports.get(right).copied().unwrap_or_default();
                    @for given in &shown {
                        (cell(right, given, counts.get(&(*right, *given)).copied(), support))
                    }
                } } }
            }
        }
    }
}

fn cell(right: &str, given: &str, count: Option<u64>, support: u64) -> Markup {
    let Some(count) = count else { return html! { td {} } };
    // The root lets a few mistakes among many sentences be seen.
    let strength = (real(count) / real(support.max(1))).sqrt() * 100.0;
    let class = if right == given { "hit" } else { "miss" };
    let title = format!("{right} → {given}: {count} of {support}");
    html! {
        td class=(class) style=(format!("--s:{strength:.0}%")) title=(title) { (whole(count)) }
    }
}

/// Returns the labels that are shown, in label order.
fn shown(evaluation: &Evaluation) -> Vec<&str> {
    let labels: Vec<&str> = evaluation.labels.iter().map(|of| of.label.as_str()).collect();
    if labels.len() <= MAX_LABELS {
        return labels;
    }
    let mut n_mistakes: HashMap<&str, u64> = HashMap::new();
    for cell in evaluation.confusion.iter().filter(|cell| cell.label != cell.predicted) {
        *n_mistakes.entry(&cell.label).or_default() += cell.count;
        *n_mistakes.entry(&cell.predicted).or_default() += cell.count;
    }
    let mut worst = labels;
    worst
        .sort_by_key(|label| std::cmp::Reverse(n_mistakes.get(label).copied().unwrap_or_default()));
    worst.truncate(MAX_LABELS);
    worst.sort_unstable();
    worst
}
