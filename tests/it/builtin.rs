//! The model the program carries.

use std::ops::ControlFlow;

use dictum::builtin;
use dictum::model::{Options, Scorer};
use dictum::store::format;
use dictum::train::examples::{CsvOptions, Limits, read_csv};
use dictum::train::{Settings, Unobserved, train};

#[test]
fn the_built_in_file_is_what_training_gives() {
    let trained = format::encode(&builtin::train().unwrap()).unwrap();
    assert!(trained == builtin::FILE, "run `cargo run --release --example builtin`");
}

#[test]
fn training_gives_the_same_bytes_on_1_2_and_8_threads() {
    let lines = builtin::TRAINING_CSV.lines();
    let csv: Vec<_> = lines.clone().take(1).chain(lines.skip(1).step_by(6)).collect();
    let (options, limits) = (CsvOptions::default(), Limits::default());
    let watch = |_| ControlFlow::Continue(());
    let dataset = read_csv(csv.join("\n").as_bytes(), &options, &limits, watch).unwrap();
    let bytes = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let trained = pool.install(|| train(&dataset, &Settings::default(), &Unobserved)).unwrap();
        // Otherwise most of what could differ is not there.
        assert!(trained.parts.metadata.settings.refinement.is_some());
        format::encode(&trained.parts).unwrap()
    };
    let one = bytes(1);
    assert!(bytes(2) == one && bytes(8) == one);
}

#[test]
fn probabilities_sum_to_one_from_no_token_to_a_hundred_thousand() {
    let model = builtin::model().unwrap();
    let words = ["denied", "the", "minister", "1907", "Zürich", "qqqx", "accused", ".", "said"];
    for n_tokens in [0, 1, 2, 7, 100, 5_000, 100_000] {
        let sentence: Vec<_> = words.iter().cycle().copied().take(n_tokens).collect();
        let answer = Scorer::default().classify(&model, &sentence.join(" "), &Options::default());
        let total: f64 = answer.probabilities.iter().sum();
        assert_eq!(answer.token_count as usize, n_tokens);
        assert!((total - 1.0).abs() < 1e-9, "{n_tokens}: {total}");
        assert!(answer.probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{n_tokens}");
    }
}
