//! Labels that the judgement out of fold disputes: the model, which did not see the row, is all but
//! sure of another one.

use crate::train::evaluate::Judged;
use crate::train::examples::{Dataset, quoted};

/// Least probability of another label.
const MIN_OTHER: f64 = 0.9;
/// Greatest probability of the row's own.
const MAX_OWN: f64 = 0.05;

/// Returns line and message of each row whose label is disputed. `judged` has one judgement a row.
pub(in crate::train) fn suspects(dataset: &Dataset, judged: &[Judged]) -> Vec<(u64, String)> {
    let name = |label: usize| dataset.labels.get(label).map_or("", String::as_str);
    let rows = dataset.examples.iter().zip(judged).filter(|(_, judged)| is_disputed(judged));
    rows.map(|(example, judged)| {
        let (own, other) = (quoted(name(example.label)), quoted(name(judged.given)));
        // Rounded down: what is not certain must not look so.
        let percent = (judged.probability * 100.0).floor();
        let message = format!("labelled {own}, looks like {other} (probability {percent} %)");
        (example.line, message)
    })
    .collect()
}

fn is_disputed(judged: &Judged) -> bool {
    let of_own = (-judged.loss).exp();
    !judged.is_right() && judged.probability >= MIN_OTHER && of_own <= MAX_OWN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::examples::DatasetBuilder;

    #[test]
    fn only_what_is_almost_surely_another_label_is_suspected() {
        let mut builder = DatasetBuilder::default();
        let judgements = [[0.96, 0.04], [0.07, 0.93], [0.07, 0.93], [0.03, 0.97], [0.04, 0.95]];
        let mut judged = Vec::new();
        for (line, probabilities) in (2..).zip(judgements) {
            let right = usize::from(line == 3);
            builder.push(line, &format!("canary {line}"), ["card", "charge"][right]).unwrap();
            judged.push(Judged::new(&probabilities, Some(right)));
        }
        let found = suspects(&builder.finish(), &judged);
        let message = |p| format!("labelled \"card\", looks like \"charge\" (probability {p} %)");
        assert_eq!(found, [(5, message(97)), (6, message(95))]);
    }
}
