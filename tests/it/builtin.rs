//! The model the program carries.

use dictum::builtin;
use dictum::model::{Options, Scorer};
use dictum::store::format;

#[test]
fn the_built_in_file_is_what_training_gives() {
    let trained = format::encode(&builtin::train().unwrap()).unwrap();
    assert!(trained == builtin::FILE, "run `cargo run --release --example builtin`");
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
