//! Small valid [`Parts`] and models of them for tests: any, by chance, or one and the same.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection, prelude::*};

use super::{
    ChosenSettings, ChosenView, ConfusionCell, CoveragePoint, Evaluation, LabelEvaluation,
    Metadata, Method, Model, Parts, Weighting,
};
use crate::features::{FEATURES_VERSION, View};

/// Any small valid parts: 2 to 5 labels or 9 to 11, up to 12 features, up to 6 tokens.
pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let few_or_many = prop_oneof![
        3 => collection::btree_set("\\PC{1,8}", 2..6),
        1 => collection::btree_set("\\PC{1,8}", 9..12),
    ];
    (few_or_many, any::<bool>(), 1..=View::ALL.len())
        .prop_flat_map(|(labels, is_idf, n_views)| {
            let n_labels = labels.len();
            let weighting = if is_idf { Weighting::Idf } else { Weighting::Presence };
            (
                metadata(labels, weighting, n_views),
                collection::vec(-20.0..20.0_f64, n_labels),
                collection::vec(-20.0..20.0_f64, n_views * n_labels).prop_map(
                    move |mut of_used| {
                        of_used.resize(View::ALL.len() * n_labels, 0.0);
                        of_used
                    },
                ),
                collection::btree_map(any::<u64>(), feature(n_labels), 0..12),
                collection::btree_set("\\PC{1,8}", 0..6),
            )
        })
        .prop_map(|(metadata, offsets, background, features, vocabulary)| {
            assemble(metadata, offsets, background, &features, vocabulary)
        })
}

/// The same small valid parts every time; `seed` tells one from another.
pub(crate) fn example(seed: u32) -> Parts {
    let labels = ["claim", "denial"].map(str::to_owned);
    let feature = |mass, label, value| Feature {
        mass,
        square: 0.5,
        entries: BTreeMap::from([(label, value)]),
    };
    let features =
        BTreeMap::from([(seed.into(), feature(1.0, 0, 0.25)), (u64::MAX, feature(2.0, 1, -0.5))]);
    let mut numbers = [0.1, 1.0 / 3.0, f64::from(seed)].into_iter().cycle();
    let mut next = || numbers.next().unwrap_or_default();
    let metadata = describe(labels.to_vec(), Weighting::Idf, &View::ALL, &mut next);
    let vocabulary = ["i", "é", "政府"].map(str::to_owned);
    let background = vec![0.5; View::ALL.len() * 2];
    assemble(metadata, vec![-1.0, -2.0], background, &features, BTreeSet::from(vocabulary))
}

/// The model of [`example`].
pub(crate) fn model(seed: u32) -> Model {
    Model::try_new(&example(seed)).unwrap()
}

/// The same with ten labels, so that rows are lists.
pub(crate) fn model_of_many_labels() -> Model {
    let mut parts = example(1);
    parts.metadata.labels = (0..10).map(|label| format!("label {label}")).collect();
    parts.metadata.label_counts = vec![7; 10];
    parts.offsets = vec![-1.0; 10];
    parts.background = vec![0.5; View::ALL.len() * 10];
    Model::try_new(&parts).unwrap()
}

/// Any small model.
pub(crate) fn models() -> impl Strategy<Value = Model> {
    parts().prop_map(|parts| Model::try_new(&parts).unwrap())
}

/// A model whose metadata no file can hold.
pub(crate) fn unstorable() -> Model {
    let mut parts = example(1);
    parts.metadata.evaluation.log_loss = f64::INFINITY;
    Model::try_new(&parts).unwrap()
}

/// One feature: its mass, its square and its entries by label.
#[derive(Debug)]
struct Feature {
    mass: f32,
    square: f32,
    entries: BTreeMap<u16, f32>,
}

fn feature(n_labels: usize) -> impl Strategy<Value = Feature> {
    let labels = 0..u16::try_from(n_labels).unwrap_or(u16::MAX);
    let entries = collection::btree_map(labels, -9.0..9.0_f32, 0..=n_labels);
    (0.0..9.0_f32, f32::MIN_POSITIVE..9.0_f32, entries)
        .prop_map(|(mass, square, entries)| Feature { mass, square, entries })
}

fn metadata(
    labels: BTreeSet<String>,
    weighting: Weighting,
    n_views: usize,
) -> impl Strategy<Value = Metadata> {
    collection::vec(0.0..=1.0_f64, 24).prop_map(move |numbers| {
        let mut numbers = numbers.into_iter().cycle();
        let labels = labels.iter().cloned().collect();
        describe(labels, weighting, &View::ALL[..n_views], &mut || {
            numbers.next().unwrap_or_default()
        })
    })
}

/// Metadata for these labels, with numbers in [0, 1] as they come.
fn describe(
    labels: Vec<String>,
    weighting: Weighting,
    views: &[View],
    next: &mut impl FnMut() -> f64,
) -> Metadata {
    let evaluations = labels.iter().map(|label| LabelEvaluation {
        label: label.clone(),
        precision: next(),
        recall: next(),
        f1: next(),
        support: 7,
    });
    let evaluation = Evaluation {
        example_count: 14,
        labels: evaluations.collect(),
        accuracy: next(),
        macro_f1: next(),
        log_loss: next(),
        expected_calibration_error: next(),
        confusion: labels
            .iter()
            .map(|l| ConfusionCell { label: l.clone(), predicted: l.clone(), count: 7 })
            .collect(),
        coverage: vec![CoveragePoint {
            min_probability: next(),
            coverage: next(),
            accuracy: next(),
        }],
        method: Method::OutOfFold,
        data_digest: "e".repeat(64),
    };
    let views = views.iter().map(|view| ChosenView { view: *view, alpha: next(), weight: next() });
    let views = views.collect();
    let refinement = (weighting == Weighting::Idf).then(&mut *next);
    let settings = ChosenSettings { weighting, views, folds: 10, seed: u64::MAX, refinement };
    Metadata {
        features_version: FEATURES_VERSION,
        label_counts: vec![7; labels.len()],
        labels,
        settings,
        min_probability: next().min(1.0),
        data_digest: "d".repeat(64),
        evaluation,
    }
}

fn assemble(
    metadata: Metadata,
    offsets: Vec<f64>,
    background: Vec<f64>,
    features: &BTreeMap<u64, Feature>,
    vocabulary: BTreeSet<String>,
) -> Parts {
    let squares = match metadata.settings.weighting {
        Weighting::Presence => Vec::new(),
        Weighting::Idf => features.values().map(|f| f.square).collect(),
    };
    let mut parts = Parts {
        metadata,
        offsets,
        background,
        hashes: features.keys().copied().collect(),
        masses: features.values().map(|f| f.mass).collect(),
        squares,
        entry_starts: vec![0],
        entry_labels: Vec::new(),
        entry_values: Vec::new(),
        vocabulary: vocabulary.into_iter().collect(),
    };
    for feature in features.values() {
        parts.entry_labels.extend(feature.entries.keys());
        parts.entry_values.extend(feature.entries.values());
        parts.entry_starts.push(u32::try_from(parts.entry_labels.len()).unwrap_or(u32::MAX));
    }
    parts
}

proptest! {
    #[test]
    fn arbitrary_parts_are_valid(parts in parts()) {
        prop_assert_eq!(parts.check(), Ok(()));
    }
}

#[test]
fn example_parts_are_valid_and_told_apart_by_their_seed() {
    assert_eq!(example(3).check(), Ok(()));
    assert_ne!(example(3), example(4));
}
