//! Is the new model worse than the one that answers now? What the gate of activation asks.
//!
//! Only judgements by rows that a model did not learn from say how good it is. Of the new model there
//! are such judgements for every row of its data: those out of fold. Of the active model there are two
//! kinds, and neither is enough alone:
//!
//! - *Its own judgement out of fold*, stored at its training. It is as honest as that of the new one, but on
//!   other rows, which may have been easier: fewer labels, shorter sentences.
//! - *On the same rows.* The active model classifies the new data. The comparison is paired, but it favours
//!   the active model wherever the new data holds rows it was trained on, as it does when a CSV has grown
//!   by a few rows: it knows their labels by heart, the new model is judged on them out of fold. A
//!   model file does not hold its sentences, so these rows cannot be told from the others. And
//!   where labels are wrong at random, both models are wrong alike: a model that learned nothing is no
//!   worse there than one that knows better. So a defeat here, or a draw, says nothing; a victory
//!   does.
//!
//! The new model therefore counts as worse if it is significantly less often right out of fold than the
//! active one was (Fisher's exact test), unless it is significantly better than the active one on the
//! same rows (`McNemar`'s exact test): then its data is harder, and it copes with it better. More rows of the same
//! kind are not refused, since the new model does no worse out of fold; new labels and other kinds of
//! sentences are not, since the active model fails on them; mislabelled or lost rows are. What can be
//! refused wrongly is data that got harder by a few rows only while the active model knows all others: there
//! activation has to be forced.
//!
//! Where both models were trained on the same data, every row has been seen. The comparison on the same
//! rows is left out; both judgements out of fold are on the same rows then, and decide alone. They
//! are taken as independent, which makes the test only slower to refuse.
//!
//! All rows count, also those of labels that the active model does not know: it is wrong there, and
//! the question is which of the two should answer. Models without a common label have different tasks and
//! are not compared. Abstaining plays no part.

use super::exact_tests::{Tally, fisher, mcnemar};
use super::examples::Dataset;
use super::{Observer, TrainError, Trained, judge};
use crate::model::{Evaluation, Model};

/// One-sided level of both tests: below it a difference is significant.
pub const SIGNIFICANCE: f64 = 0.05;

/// A new model against the active one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// How often the new model is right out of fold.
    pub new: Tally,
    /// How often the active model was right out of fold, on its own training data.
    pub active: Tally,
    /// How likely the new model is right so seldom or more seldom if both are equally good: Fisher's
    /// exact test, one-sided.
    pub worse_p_value: f64,
    /// Both on the rows of the new data; `None` where the active model was trained on the same data.
    pub same_rows: Option<SameRows>,
}

/// Two models on the same rows: the new one judged out of fold, the active one, which may have seen them,
/// directly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SameRows {
    /// Rows on which both are right.
    pub both_right: u64,
    /// Rows on which only the new model is right.
    pub only_new_right: u64,
    /// Rows on which only the active model is right.
    pub only_active_right: u64,
    /// Rows on which both are wrong.
    pub both_wrong: u64,
    /// How likely the new model wins so many rows or more over the active one if both are equally good:
    /// `McNemar`'s exact test, one-sided.
    pub better_p_value: f64,
}

impl Comparison {
    /// Whether the new model is significantly worse.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.worse_p_value < SIGNIFICANCE && !self.is_better_on_same_rows()
    }

    /// Whether the new model is significantly better on the same rows.
    #[must_use]
    pub fn is_better_on_same_rows(&self) -> bool {
        self.same_rows.is_some_and(|rows| rows.better_p_value < SIGNIFICANCE)
    }
}

/// Compares a model that was just trained on a dataset with the active one. `None` where they have no
/// label in common.
///
/// # Errors
///
/// [`TrainError::Cancelled`].
pub fn compare(
    active: &Model,
    trained: &Trained,
    dataset: &Dataset,
    observer: &dyn Observer,
) -> Result<Option<Comparison>, TrainError> {
    if !dataset.labels.iter().any(|label| active.labels().binary_search(label).is_ok()) {
        return Ok(None);
    }
    let new = tally(&trained.parts.metadata.evaluation);
    let of_active = tally(&active.metadata().evaluation);
    let same_rows = if active.metadata().data_digest == dataset.digest {
        None
    } else {
        let judged = judge(active, dataset, observer)?;
        let pairs = trained.judged.iter().zip(&judged);
        Some(SameRows::count(pairs.map(|(new, active)| (new.is_right(), active.is_right()))))
    };
    let worse_p_value = fisher(new, of_active);
    Ok(Some(Comparison { new, active: of_active, worse_p_value, same_rows }))
}

impl SameRows {
    /// Counts pairs of whether the new model is right and whether the active one is.
    fn count(pairs: impl Iterator<Item = (bool, bool)>) -> Self {
        let mut rows = Self {
            both_right: 0,
            only_new_right: 0,
            only_active_right: 0,
            both_wrong: 0,
            better_p_value: 1.0,
        };
        for pair in pairs {
            match pair {
                (true, true) => rows.both_right += 1,
                (true, false) => rows.only_new_right += 1,
                (false, true) => rows.only_active_right += 1,
                (false, false) => rows.both_wrong += 1,
            }
        }
        rows.better_p_value = mcnemar(rows.only_new_right, rows.only_active_right);
        rows
    }

    /// How often the active model is right on these rows.
    #[must_use]
    pub fn of_active(&self) -> Tally {
        let right = self.both_right + self.only_active_right;
        Tally { right, of: right + self.only_new_right + self.both_wrong }
    }
}

/// The right answers of an evaluation, from the diagonal of its confusions.
fn tally(evaluation: &Evaluation) -> Tally {
    let right = evaluation.confusion.iter().filter(|cell| cell.label == cell.predicted);
    Tally { right: right.map(|cell| cell.count).sum(), of: evaluation.example_count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::hash;
    use crate::train::examples::DatasetBuilder;
    use crate::train::{Settings, Unobserved, train};

    /// Sentences of two labels; about one in `n` of them, at random, stands under the wrong one.
    fn rows(places: &[&str], n: u64) -> Dataset {
        let mut builder = DatasetBuilder::default();
        let mut line = 1;
        for thing in ["card", "new card", "bank card", "second card", "lost card"] {
            for place in places {
                for (text, label) in [
                    (format!("When will the {thing} arrive {place}?"), 0),
                    (format!("I was charged twice for a {thing} {place}, why?"), 1),
                ] {
                    line += 1;
                    let is_wrong = usize::from(hash::token(&text).is_multiple_of(n));
                    builder.push(line, &text, ["card", "charge"][label ^ is_wrong]).unwrap();
                }
            }
        }
        builder.finish()
    }

    fn trained(dataset: &Dataset) -> (Trained, Model) {
        let trained = train(dataset, &Settings::default(), &Unobserved).unwrap();
        let model = Model::try_new(&trained.parts).unwrap();
        (trained, model)
    }

    const PLACES: [&str; 6] = ["here", "at home", "in the post", "abroad", "at work", "today"];

    #[test]
    fn a_model_of_mislabelled_rows_is_worse_and_the_way_back_is_open() {
        let (clean, corrupted) = (rows(&PLACES, u64::MAX), rows(&PLACES, 3));
        let (new_clean, clean_model) = trained(&clean);
        let (new_corrupted, corrupted_model) = trained(&corrupted);
        let against = |active, new, dataset| {
            compare(active, new, dataset, &Unobserved).unwrap().expect("labels in common")
        };
        let worse = against(&clean_model, &new_corrupted, &corrupted);
        assert!(worse.is_worse(), "{worse:?}");
        let better = against(&corrupted_model, &new_clean, &clean);
        assert!(!better.is_worse() && better.worse_p_value > 0.9, "{better:?}");
    }

    #[test]
    fn more_rows_are_not_worse_though_the_active_model_knows_most_by_heart() {
        let (_, active) = trained(&rows(&PLACES[..5], u64::MAX));
        let grown = rows(&PLACES, u64::MAX);
        let compared = compare(&active, &trained(&grown).0, &grown, &Unobserved).unwrap();
        let compared = compared.expect("labels in common");
        assert_eq!(compared.same_rows.map(|rows| rows.of_active().of), Some(60));
        assert!(!compared.is_worse(), "{compared:?}");
    }

    #[test]
    fn on_the_same_data_no_row_is_compared_that_was_seen() {
        let data = rows(&PLACES, u64::MAX);
        let (new, active) = trained(&data);
        let compared = compare(&active, &new, &data, &Unobserved).unwrap();
        let compared = compared.expect("labels in common");
        assert_eq!((compared.same_rows, compared.is_worse()), (None, false));
        assert_eq!(compared.new, compared.active);
    }

    #[test]
    fn models_without_a_common_label_are_not_compared() {
        let (_, active) = trained(&rows(&PLACES, u64::MAX));
        let mut builder = DatasetBuilder::default();
        for (line, (text, label)) in
            [("a b", "x"), ("a c", "x"), ("d e", "y"), ("d f", "y")].into_iter().enumerate()
        {
            builder.push(line as u64, text, label).unwrap();
        }
        let other = builder.finish();
        assert_eq!(compare(&active, &trained(&other).0, &other, &Unobserved), Ok(None));
    }

    #[test]
    fn a_lower_accuracy_is_worse_unless_the_same_rows_excuse_it() {
        let tally = |right| Tally { right, of: 100 };
        let same_rows =
            |better_p_value| Some(SameRows { better_p_value, ..SameRows::count([].into_iter()) });
        let compared = |worse_p_value, same_rows| Comparison {
            new: tally(80),
            active: tally(90),
            worse_p_value,
            same_rows,
        };
        assert!(compared(0.01, same_rows(0.5)).is_worse());
        assert!(!compared(0.01, same_rows(0.01)).is_worse());
        assert!(!compared(0.06, same_rows(0.5)).is_worse());
        assert!(!compared(0.05, None).is_worse());
        assert!(compared(0.049, None).is_worse());
    }

    #[test]
    fn labels_dealt_out_at_random_are_worse_though_the_active_model_fails_on_them_too() {
        let (_, active) = trained(&rows(&PLACES, u64::MAX));
        let noise = rows(&PLACES, 2);
        let compared = compare(&active, &trained(&noise).0, &noise, &Unobserved).unwrap();
        let compared = compared.expect("labels in common");
        let of_active = compared.same_rows.map(|rows| rows.of_active().right);
        assert!(of_active.is_some_and(|right| right < 40), "{compared:?}");
        assert!(compared.is_worse(), "{compared:?}");
    }

    #[test]
    fn harder_data_is_not_worse_if_the_new_model_copes_better() {
        let (_, active) = trained(&rows(&PLACES, u64::MAX));
        let mut builder = DatasetBuilder::default();
        let clean = rows(&PLACES, u64::MAX);
        for example in &clean.examples {
            builder.push(example.line, &example.text, &clean.labels[example.label]).unwrap();
        }
        // A third label, which the active model does not know, with sentences that say little.
        for line in 100..140 {
            let text = format!("Case {} of the {}", line * 7919, ["card", "day"][line % 2]);
            builder.push(line as u64, &text, "other").unwrap();
        }
        for line in 140..150 {
            builder.push(line, &format!("Case {} of the card", line * 7919), "card").unwrap();
        }
        let harder = builder.finish();
        let compared = compare(&active, &trained(&harder).0, &harder, &Unobserved).unwrap();
        let compared = compared.expect("labels in common");
        assert!(compared.worse_p_value < 0.05, "the data is harder: {compared:?}");
        assert!(!compared.is_worse(), "{compared:?}");
    }

    #[test]
    fn pairs_are_counted_by_who_is_right() {
        let pairs = [(true, true), (false, true), (false, true), (true, false), (false, false)];
        let rows = SameRows::count(pairs.into_iter());
        let counts =
            (rows.both_right, rows.only_new_right, rows.only_active_right, rows.both_wrong);
        assert_eq!(counts, (1, 1, 2, 1));
        assert_eq!(rows.of_active(), Tally { right: 3, of: 5 });
        assert!((rows.better_p_value - 0.875).abs() < 1e-12);
    }
}
