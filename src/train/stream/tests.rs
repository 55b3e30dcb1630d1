//! Counting rows as they come gives what counting them all at once gives.

use proptest::prelude::*;
use rayon::ThreadPoolBuilder;

use super::*;
use crate::model::{Model, Weighting};
use crate::train::counts::{Matrix, vocabulary};
use crate::train::examples::DatasetBuilder;
use crate::train::weigh::{Pattern, Weighed};
use crate::train::{Settings, Unobserved, train};

type Row = (String, &'static str);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = "([ab]{1,2}|The|Ann|7|\u{e9}t\u{e9}|[.]){1,6}( ([ab]{1,2}|Ann|7|the)){0,6}";
    prop::collection::vec((text, prop::sample::select(vec!["x", "y", "z"])), 1..60)
}

fn collecting(sample_rows: usize) -> Collecting {
    Collecting {
        limits: Limits::default(),
        views: View::ALL.to_vec(),
        sample_rows: NonZeroUsize::new(sample_rows),
        seed: 1,
    }
}

fn collected(collecting: &Collecting, n_threads: usize, rows: &[Row]) -> Dataset {
    let pool = ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    collect(collecting, &pool, &Unobserved, |rows_in| {
        rows.iter().zip(2..).try_for_each(|((text, label), line)| rows_in.push(line, text, label))
    })
    .unwrap()
}

fn whole(rows: &[Row]) -> Dataset {
    let mut builder = DatasetBuilder::default();
    for ((text, label), line) in rows.iter().zip(2..) {
        builder.push(line, text, label).unwrap();
    }
    builder.finish()
}

/// The counts as training in memory has them.
fn in_memory(dataset: &Dataset, view: View) -> Option<CountedView> {
    let labels: Vec<u16> =
        dataset.examples.iter().map(|e| u16::try_from(e.label).unwrap()).collect();
    let matrix = Matrix::count(dataset, view, &Unobserved);
    let pattern = Pattern::new(&matrix, &labels, &Unobserved);
    let weighed = Weighed::new(&matrix, Weighting::Presence, &Unobserved);
    let sums = pattern.sums(&weighed, 0..labels.len(), &Unobserved);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers")]
    let sums = sums.iter().map(|sum| *sum as u32).collect();
    (matrix.n_features() > 0).then(|| CountedView {
        view,
        hashes: matrix.hashes.clone(),
        starts: pattern.starts,
        labels: pattern.labels,
        sums,
    })
}

proptest! {
    #[test]
    fn counts_are_those_of_the_rows_in_memory(rows in rows(), sample_rows in 1usize..20) {
        let dataset = collected(&collecting(sample_rows), 2, &rows);
        let whole = whole(&rows);
        prop_assert_eq!(&dataset.labels, &whole.labels);
        prop_assert_eq!(&dataset.report, &whole.report);
        prop_assert_eq!(&dataset.digest, &whole.digest);
        let Some(counted) = dataset.counted else {
            prop_assert_eq!(dataset.examples, whole.examples);
            return Ok(());
        };
        prop_assert!(dataset.examples.iter().all(|e| whole.examples.contains(e)));
        prop_assert!(dataset.examples.len() <= sample_rows);
        for view in View::ALL {
            let expected = in_memory(&whole, view);
            prop_assert_eq!(counted.view(view), expected.as_ref());
        }
        prop_assert_eq!(counted.vocabulary, vocabulary(&whole, &Unobserved));
        prop_assert_eq!(counted.n_dropped, 0);
    }

    #[test]
    fn rows_in_any_order_give_the_same_sample_and_counts(
        (rows, shuffled) in rows().prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let [one, other] = [rows, shuffled].map(|rows| collected(&collecting(5), 2, &rows));
        let texts = |dataset: &Dataset| {
            let mut texts: Vec<_> = dataset.examples.iter().map(|e| e.text.to_string()).collect();
            texts.sort();
            texts
        };
        prop_assert_eq!(texts(&one), texts(&other));
        prop_assert_eq!(one.counted, other.counted);
    }

    #[test]
    fn counts_of_any_parts_merge_into_those_of_the_whole(
        rows in rows(),
        parts in prop::collection::vec(0usize..4, 60),
        order in Just([0usize, 1, 2, 3]).prop_shuffle(),
    ) {
        let counts = |wanted: &dyn Fn(usize) -> bool| {
            let mut batch = Batch::default();
            for (at, (text, label)) in rows.iter().enumerate().filter(|(at, _)| wanted(*at)) {
                let label = u16::from(label.as_bytes()[0] - b'x');
                batch.push(text, u32::try_from(at + 2).unwrap(), label, false);
            }
            let mut counts = Counts::new(&View::ALL, 1 << 30);
            counts.add(&batch, &Unobserved);
            counts
        };
        let labels = ["x", "y", "z"].map(String::from).to_vec();
        let numbers = super::super::examples::Renumbering {
            labels,
            new_positions: vec![Some(0), Some(1), Some(2)],
        };
        let whole = counts(&|_| true).finish(&numbers, Vec::new(), &Unobserved);
        let mut merged = Counts::new(&View::ALL, 1 << 30);
        for part in order {
            merged.merge(counts(&|at| parts[at] == part));
        }
        prop_assert_eq!(merged.finish(&numbers, Vec::new(), &Unobserved), whole);
    }
}

/// Rows of a few frequent words and many rare ones.
fn many(n: u32) -> Vec<Row> {
    (0..n)
        .map(|i| {
            let label = ["x", "y"][usize::from(i % 3 == 0)];
            let word = ["good", "bad", "fine"][i as usize % 3];
            (format!("{word} {} w{i} w{}", i % 50, i.wrapping_mul(7_919)), label)
        })
        .collect()
}

#[test]
fn a_full_table_drops_what_is_rare_on_any_number_of_threads_alike() {
    let rows = many(30_000);
    let mut small = collecting(500);
    small.limits.max_memory_bytes = 16 << 20;
    let [one, other] = [1, 3].map(|n_threads| collected(&small, n_threads, &rows));
    assert_eq!(one, other);
    let counted = one.counted.as_ref().unwrap();
    assert!(counted.n_dropped > 10_000, "{}", counted.n_dropped);
    assert!(counted.vocabulary.len() < 30_000, "{}", counted.vocabulary.len());
    assert!(counted.vocabulary.binary_search(&"good".to_owned()).is_ok());
    let settings = Settings { refinement: false, ..Settings::default() };
    let parts = train(&one, &settings, &Unobserved).unwrap().parts;
    assert_eq!(parts.metadata.label_counts, [20_000, 10_000]);
    assert_eq!(parts.metadata.evaluation.example_count, one.examples.len() as u64);
    assert!(Model::try_new(&parts).is_ok());
}

#[test]
fn a_model_of_a_sample_with_all_rows_counted_is_close_to_that_of_all_rows() {
    let rows = many(3_000);
    let settings = Settings {
        alphas: vec![0.3],
        weighting: Some(Weighting::Presence),
        refinement: false,
        ..Settings::default()
    };
    let parts = |dataset: &Dataset| train(dataset, &settings, &Unobserved).unwrap().parts;
    let (sampled, whole) = (parts(&collected(&collecting(1_000), 2, &rows)), parts(&whole(&rows)));
    assert_eq!(sampled.hashes, whole.hashes);
    assert_eq!(sampled.vocabulary, whole.vocabulary);
    assert_eq!(sampled.entry_labels, whole.entry_labels);
    assert_eq!(sampled.metadata.label_counts, whole.metadata.label_counts);
    let idf = Settings { weighting: Some(Weighting::Idf), ..settings };
    let refused = train(&collected(&collecting(1_000), 2, &rows), &idf, &Unobserved);
    assert!(matches!(
        refused,
        Err(crate::train::TrainError::BadSetting { setting: "weighting", .. })
    ));
}
