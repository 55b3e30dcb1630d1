//! How well a model does: a row a label, the figures for the whole, and what it takes for what.

use std::collections::BTreeMap;

use super::table::{Align, Table};
use super::text::{count, whole};
use super::{FAINT, Format, HEADING};
use crate::proto::{ConfusionCell, Evaluation, EvaluationMethod, LabelEvaluation};

/// Most confusions that are shown.
const MAX_CONFUSIONS: usize = 10;

/// Lines of a CSV whose sentences were given a wrong label, by right label and given label.
pub(in crate::cli) type Mistakes = BTreeMap<(String, String), Vec<u64>>;

/// Returns an evaluation as text. `mistakes` may lack cells.
pub(in crate::cli) fn render(
    evaluation: &Evaluation,
    mistakes: &Mistakes,
    format: Format,
) -> String {
    let mut text = labels(&evaluation.labels).render(format);
    text.push('\n');
    text.push_str(&figures(evaluation).render(format));
    text.push_str(&format!("{FAINT}{}{FAINT:#}\n", method(evaluation)));
    let confused = confusions(&evaluation.confusion);
    if !confused.is_empty() {
        text.push_str(&format!("\n{HEADING}most often confused{HEADING:#}\n"));
        text.push_str(&confusion_table(&confused, mistakes).render(format));
    }
    text
}

fn labels(labels: &[LabelEvaluation]) -> Table {
    let mut table = Table::titled(&[
        ("label", Align::Left),
        ("precision", Align::Right),
        ("recall", Align::Right),
        ("F1", Align::Right),
        ("support", Align::Right),
    ]);
    for of in labels {
        let [precision, recall, f1] = [of.precision, of.recall, of.f1].map(figure);
        table.row([of.label.clone(), precision, recall, f1, whole(of.support)]);
    }
    table
}

fn figures(evaluation: &Evaluation) -> Table {
    let mut table = Table::plain(&[Align::Left, Align::Right, Align::Left]);
    for (name, value, meaning) in [
        ("accuracy", evaluation.accuracy, "share of sentences whose best label is right"),
        ("macro-F1", evaluation.macro_f1, "mean of the labels' F1"),
        ("log loss", evaluation.log_loss, "in nats, 0 is perfect"),
        (
            "calibration error",
            evaluation.expected_calibration_error,
            "how far probabilities are from how often they are right",
        ),
    ] {
        table.row([name.to_owned(), figure(value), meaning.to_owned()]);
    }
    table
}

fn method(evaluation: &Evaluation) -> String {
    let mut sentences = count(evaluation.example_count, "sentence");
    let n_known: u64 = evaluation.labels.iter().map(|label| label.support).sum();
    let n_unknown = evaluation.example_count.saturating_sub(n_known);
    if n_unknown > 0 {
        let n_unknown = whole(n_unknown);
        sentences += &format!(", {n_unknown} of them under a label that the model does not know");
    }
    match evaluation.method() {
        EvaluationMethod::OutOfFold => {
            format!("{sentences}, each judged by tables and weights that had not seen it")
        }
        EvaluationMethod::GivenExamples | EvaluationMethod::Unspecified => sentences,
    }
}

/// Returns the largest cells off the diagonal, largest first.
fn confusions(cells: &[ConfusionCell]) -> Vec<&ConfusionCell> {
    let mut confused: Vec<_> =
        cells.iter().filter(|cell| cell.label != cell.predicted && cell.count > 0).collect();
    confused.sort_by_key(|cell| std::cmp::Reverse(cell.count));
    confused.truncate(MAX_CONFUSIONS);
    confused
}

fn confusion_table(cells: &[&ConfusionCell], mistakes: &Mistakes) -> Table {
    let mut table = Table::titled(&[
        ("right label", Align::Left),
        ("given label", Align::Left),
        ("sentences", Align::Right),
        (if mistakes.is_empty() { "" } else { "for example in line" }, Align::Left),
    ]);
    for cell in cells {
        let lines = mistakes.get(&(cell.label.clone(), cell.predicted.clone()));
        let lines = lines.into_iter().flatten().map(u64::to_string).collect::<Vec<_>>().join(", ");
        table.row([cell.label.clone(), cell.predicted.clone(), whole(cell.count), lines]);
    }
    table
}

fn figure(value: f64) -> String {
    format!("{value:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(label: &str, predicted: &str, count: u64) -> ConfusionCell {
        ConfusionCell { label: label.to_owned(), predicted: predicted.to_owned(), count }
    }

    fn example() -> Evaluation {
        Evaluation {
            example_count: 1_234,
            accuracy: 0.894_4,
            labels: vec![LabelEvaluation {
                label: "denial".to_owned(),
                support: 1_234,
                ..Default::default()
            }],
            confusion: vec![cell("a", "a", 90), cell("a", "b", 2), cell("b", "a", 7)],
            ..Default::default()
        }
    }

    #[test]
    fn the_largest_confusions_come_first_and_what_is_right_is_none() {
        let shown = example();
        let shown: Vec<_> = confusions(&shown.confusion).iter().map(|cell| cell.count).collect();
        assert_eq!(shown, [7, 2]);
    }

    #[test]
    fn confusions_name_lines_where_they_are_known() {
        let lines = Mistakes::from([(("b".to_owned(), "a".to_owned()), vec![17, 45])]);
        let text = render(&example(), &lines, Format::Plain);
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.contains("b            a                    7  17, 45\n"), "{text}");
        assert!(text.contains("accuracy           0.894"), "{text}");
        assert!(text.contains("\n1,234 sentences\n"), "{text}");
    }
}
