//! How well a model does: a row a label, the figures for the whole, and what it takes for what.

use std::collections::BTreeMap;

use super::table::{Align, Table};
use super::text::{count, excerpt, percent, visible, whole};
use super::{FAINT, Format, HEADING};
use crate::proto::{self, ConfusionCell, Evaluation, EvaluationMethod, LabelEvaluation};
use crate::train::{Counts, Interval};

/// Most confusions that are shown.
const MAX_CONFUSIONS: usize = 10;

/// From this width on, the interval of the accuracy is put into words.
const WIDE_INTERVAL: f64 = 0.1;
/// A label with fewer sentences is named as one that wants more.
const FEW_SENTENCES: u64 = 50;
/// Most labels that are named so.
const MAX_FEW: usize = 3;

/// Characters of a sentence that are shown.
const EXCERPT: usize = 72;

/// Sentences of a CSV that were given a wrong label, by right label and given label.
pub(in crate::cli) type Mistakes = BTreeMap<(String, String), Vec<Mistake>>;

/// A sentence that was given a wrong label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Mistake {
    /// Its line in the CSV.
    pub(in crate::cli) line: u64,
    /// The sentence.
    pub(in crate::cli) text: String,
}

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
    if let Some(sentence) = expectation(evaluation) {
        text.push_str(&format!("{sentence}\n"));
    }
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
    let mut table = Table::plain(&[Align::Left, Align::Right, Align::Left, Align::Left]);
    let intervals = counts(evaluation).map(|counts| counts.intervals());
    for (name, value, interval, meaning) in [
        (
            "accuracy",
            evaluation.accuracy,
            intervals.map(|i| i.accuracy),
            "share of sentences whose best label is right",
        ),
        ("macro-F1", evaluation.macro_f1, intervals.map(|i| i.macro_f1), "mean of the labels' F1"),
        ("log loss", evaluation.log_loss, None, "in nats, 0 is perfect"),
        (
            "calibration error",
            evaluation.expected_calibration_error,
            None,
            "how far probabilities are from how often they are right",
        ),
    ] {
        let interval = interval.map_or_else(String::new, range);
        table.row([name.to_owned(), figure(value), interval, meaning.to_owned()]);
    }
    table
}

/// What the intervals are drawn from; `None` where the confusions are not known.
fn counts(evaluation: &Evaluation) -> Option<Counts> {
    let labels = evaluation.labels.iter().map(|of| (of.label.as_str(), of.precision));
    let cells = evaluation.confusion.iter();
    let cells = cells.map(|cell| (cell.label.as_str(), cell.predicted.as_str(), cell.count));
    let counts = Counts::new(evaluation.example_count, labels, cells);
    (!evaluation.confusion.is_empty()).then_some(counts)
}

fn range(interval: Interval) -> String {
    format!("[{}, {}]", figure(interval.low), figure(interval.high))
}

fn method(evaluation: &Evaluation) -> String {
    let mut sentences = count(evaluation.example_count, "sentence");
    let n_known: u64 = evaluation.labels.iter().map(|label| label.support).sum();
    let n_unknown = evaluation.example_count.saturating_sub(n_known);
    if n_unknown > 0 {
        let n_unknown = whole(n_unknown);
        sentences += &format!(", {n_unknown} of them under a label that the model does not know");
    }
    if evaluation.sampled_from > 0 {
        let n_counted = whole(evaluation.sampled_from);
        sentences += &format!(", a sample of the {n_counted} that were counted");
    }
    match evaluation.method() {
        EvaluationMethod::OutOfFold => {
            sentences += ", each judged by tables and weights that had not seen it";
        }
        EvaluationMethod::GivenExamples | EvaluationMethod::Unspecified => {}
    }
    if !evaluation.confusion.is_empty() {
        sentences += "; in brackets: 95 % intervals";
    }
    sentences
}

/// What to expect of a model that learned from so little that its figures say little; `None` where
/// there is enough, or nothing was learned.
fn expectation(evaluation: &Evaluation) -> Option<String> {
    if evaluation.method() != EvaluationMethod::OutOfFold {
        return None;
    }
    let proto::Interval { low, high } = evaluation.accuracy_interval?;
    if high - low < WIDE_INTERVAL {
        return None;
    }
    let mut few: Vec<_> = evaluation.labels.iter().filter(|l| l.support < FEW_SENTENCES).collect();
    few.sort_by_key(|label| label.support);
    let few = few.iter().take(MAX_FEW);
    let few: Vec<_> = few.map(|of| format!("{} ({})", visible(&of.label), of.support)).collect();
    let [low, high] = [low, high].map(percent);
    let first =
        if few.is_empty() { String::new() } else { format!(", first for {}", few.join(", ")) };
    Some(format!("expect {low} to {high} of new sentences to be right; more sentences help{first}"))
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
        (if mistakes.is_empty() { "" } else { "line" }, Align::Right),
        (if mistakes.is_empty() { "" } else { "for example" }, Align::Left),
    ]);
    for cell in cells {
        let mut head = [cell.label.clone(), cell.predicted.clone(), whole(cell.count)];
        let found = mistakes.get(&(cell.label.clone(), cell.predicted.clone()));
        let found = found.map(Vec::as_slice).unwrap_or_default();
        if found.is_empty() {
            let [label, predicted, count] = head;
            table.row([label, predicted, count, String::new(), String::new()]);
            continue;
        }
        for mistake in found {
            // A second sentence of the same confusion stands below the first.
            let [label, predicted, count] = std::mem::take(&mut head);
            let text = excerpt(&mistake.text, EXCERPT);
            table.row([label, predicted, count, mistake.line.to_string(), text]);
        }
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
    fn confusions_show_sentences_where_they_are_known() {
        let mistake = |line, text: &str| Mistake { line, text: text.to_owned() };
        let lines = vec![mistake(17, "It came late."), mistake(45, "Where is\nit?")];
        let lines = Mistakes::from([(("b".to_owned(), "a".to_owned()), lines)]);
        let text = render(&example(), &lines, Format::Plain);
        let text = anstream::adapter::strip_str(&text).to_string();
        let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        let expected = [
            vec!["b", "a", "7", "17", "It", "came", "late."],
            vec!["45", "Where", "is", "it?"],
            vec!["a", "b", "2"],
        ];
        assert!(rows.ends_with(&expected), "{text}");
        assert!(text.contains("accuracy           0.894"), "{text}");
        assert!(text.contains("\n1,234 sentences"), "{text}");
    }

    /// Two labels with `n` sentences each, `n_wrong` of each wrong.
    fn two_labels(n: u64, n_wrong: u64) -> Evaluation {
        let label = |label: &str| LabelEvaluation {
            label: label.to_owned(),
            precision: 0.8,
            support: n,
            ..Default::default()
        };
        let evaluation = Evaluation {
            example_count: 2 * n,
            accuracy: 0.8,
            labels: vec![label("a"), label("b")],
            confusion: vec![
                cell("a", "a", n - n_wrong),
                cell("a", "b", n_wrong),
                cell("b", "a", n_wrong),
                cell("b", "b", n - n_wrong),
            ],
            method: EvaluationMethod::OutOfFold.into(),
            ..Default::default()
        };
        let Interval { low, high } = counts(&evaluation).expect("counts").intervals().accuracy;
        Evaluation { accuracy_interval: Some(proto::Interval { low, high }), ..evaluation }
    }

    #[test]
    fn a_training_on_little_says_what_to_expect_and_one_on_much_does_not() {
        let shown = |evaluation: &Evaluation| render(evaluation, &Mistakes::new(), Format::Plain);
        let expected = "expect 49.0 % to 94.3 % of new sentences to be right; more sentences help, \
                        first for a (5), b (5)\n";
        assert!(shown(&two_labels(5, 1)).contains(expected), "{}", shown(&two_labels(5, 1)));
        // Even where all are right.
        assert!(shown(&two_labels(5, 0)).contains("expect 72.2 % to"));
        assert!(!shown(&two_labels(5_000, 1_000)).contains("expect"));
        let given = EvaluationMethod::GivenExamples.into();
        assert!(!shown(&Evaluation { method: given, ..two_labels(5, 1) }).contains("expect"));
    }

    #[test]
    fn an_interval_holds_the_accuracy() {
        let evaluation = two_labels(50, 10);
        let interval = counts(&evaluation).expect("confusions").intervals().accuracy;
        assert!((0.70..0.76).contains(&interval.low), "{interval:?}");
        assert!((0.84..0.90).contains(&interval.high), "{interval:?}");
        assert!(render(&evaluation, &Mistakes::new(), Format::Plain).contains(&range(interval)));
    }
}
