//! Labels with so few examples that they can hardly be learned, and not be judged.

use crate::train::Observer;
use crate::train::examples::{Dataset, quoted};

/// Examples that a label should have: one for each of the ten folds.
const ENOUGH: usize = 10;

/// Returns the line of the first example and a message for each label with too few.
pub(super) fn find(dataset: &Dataset, _: &dyn Observer) -> Vec<(u64, String)> {
    let mut found: Vec<(Option<u64>, usize)> = vec![(None, 0); dataset.labels.len()];
    for example in &dataset.examples {
        if let Some((first, n)) = found.get_mut(example.label) {
            first.get_or_insert(example.line);
            *n += 1;
        }
    }
    let few = dataset.labels.iter().zip(found).filter(|(_, (_, n))| *n < ENOUGH);
    few.filter_map(|(label, (first, n))| {
        let (label, s) = (quoted(label), if n == 1 { "" } else { "s" });
        let message = format!("label {label} has {n} example{s}, at least {ENOUGH} are better");
        Some((first?, message))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Unobserved;
    use crate::train::examples::DatasetBuilder;

    #[test]
    fn a_label_of_fewer_than_ten_examples_is_named_where_it_begins() {
        let mut builder = DatasetBuilder::default();
        for line in 2..31 {
            let label = match line {
                2..12 => "enough",
                12..21 => "nine",
                21 => "one",
                _ => "more",
            };
            let text = if line == 13 { "canary 12".to_owned() } else { format!("canary {line}") };
            builder.push(line, &text, label).unwrap();
        }
        let message = |label, n| format!("label \"{label}\" has {n}, at least 10 are better");
        let found = find(&builder.finish(), &Unobserved);
        let expected = [
            (22, message("more", "9 examples")),
            (12, message("nine", "8 examples")),
            (21, message("one", "1 example")),
        ];
        assert_eq!(found, expected);
    }
}
