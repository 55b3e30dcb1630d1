//! The model the program carries.

use dictum::builtin;
use dictum::model::{Options, Scorer};
use dictum::store::format;

#[test]
fn the_built_in_file_is_what_training_gives_on_any_number_of_threads() {
    for n_threads in [1, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let trained = pool.install(|| format::encode(&builtin::train().unwrap())).unwrap();
        let anew = "run `cargo run --release --example builtin`";
        assert!(trained == builtin::FILE, "{n_threads} threads: {anew}");
    }
    // Otherwise the longest part of training would not have been tried.
    let model = builtin::model().unwrap();
    assert!(model.metadata().settings.refinement.is_some());
}

#[test]
fn probabilities_sum_to_one_from_no_token_to_a_hundred_thousand() {
    let model = builtin::model().unwrap();
    let words = ["denied", "the", "minister", "1907", "Zürich", "qqqx", "accused", ".", "said"];
    for n_tokens in [0, 1, 2, 7, 100, 5_000, 100_000] {
        let sentence: Vec<_> = words.iter().cycle().copied().take(n_tokens).collect();
        let mut scorer = Scorer::default();
        let answer = scorer.classify(&model, &sentence.join(" "), &Options::default());
        let total: f64 = answer.probabilities.iter().sum();
        assert_eq!(answer.token_count as usize, n_tokens);
        assert!((total - 1.0).abs() < 1e-9, "{n_tokens}: {total}");
        assert!(answer.probabilities.iter().all(|p| (0.0..=1.0).contains(p)), "{n_tokens}");
    }
}
