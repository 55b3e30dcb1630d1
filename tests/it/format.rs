//! Model files of every released version of the format load for ever, and answer as they did.
//!
//! `tests/format/v1` was made by Dictum 0.1.0 from the CSV beside it: `presence` and `idf` with these
//! weightings, `shapes` with the shape view, idf and a threshold of 0.52. `tests/format/v2` has models with the
//! lead view: `lead` by presence beside pairs of words, `all` by idf beside all other views. `tests/format/v3` has
//! tables: `few` that of the model `all`, `many` of twelve labels by presence, from the CSV beside it; the answers
//! are those that 0.1.0 gave with the parts of both. Files there are added, never written anew.

use std::fs;
use std::path::Path;

use dictum::model::{Model, Options, Outcome, Scorer};
use dictum::store::{FormatError, Repository, StoreError, format};
use serde_json::Value;

/// Sums may be taken in another order, or of tokens in single precision.
const TOLERANCE: f64 = 1e-6;

/// The models of each version.
const MODELS: [(&str, &[&str]); 3] =
    [("v1", &["presence", "idf", "shapes"]), ("v2", &["lead", "all"]), ("v3", &["few", "many"])];

fn golden(version: &str, file: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format").join(version);
    fs::read(folder.join(file)).expect("a golden file")
}

fn model(version: &str, name: &str) -> Model {
    let file = golden(version, &format!("{name}.safetensors"));
    format::decode(&file).expect("a model file")
}

#[test]
fn every_golden_file_answers_as_it_did() {
    for (version, models) in MODELS {
        let expected = golden(version, "expected.json");
        let cases: Vec<Value> = serde_json::from_slice(&expected).expect("JSON");
        assert!(cases.len() >= 9 * models.len());
        cases.iter().for_each(|case| assert_answers(version, case));
    }
}

fn assert_answers(version: &str, case: &Value) {
    let text = |key: &str| case[key].as_str().expect("text").to_owned();
    let model = model(version, &text("model"));
    let mut scorer = Scorer::default();
    let answer = scorer.classify(&model, &text("sentence"), &Options::default());
    let label = match answer.outcome {
        Outcome::Label(position) => model.labels()[position].clone(),
        Outcome::Abstained(_) => String::new(),
    };
    assert_eq!(label, text("label"), "{case}");
    assert_eq!(answer.token_count, case["token_count"], "{case}");
    assert_eq!(answer.unknown_token_count, case["unknown_token_count"], "{case}");
    for (label, probability) in model.labels().iter().zip(&answer.probabilities) {
        let wanted = case["probabilities"][label].as_f64().expect("a probability");
        assert!((probability - wanted).abs() < TOLERANCE, "{label} {probability}: {case}");
    }
}

#[test]
fn golden_files_are_written_again_as_they_are_from_version_3_on() {
    for (version, name) in MODELS.iter().flat_map(|(v, names)| names.iter().map(move |n| (*v, n))) {
        let model = model(version, name);
        let written = format::encode(&model).expect("written");
        if version == "v3" {
            assert!(written == golden(version, &format!("{name}.safetensors")), "{name}");
        }
        assert!(format::decode(&written) == Ok(model), "{name}");
    }
}

#[test]
fn a_file_of_a_newer_format_is_refused_with_a_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = golden("v3", "few.safetensors");
    let version = br#""format_version":"3""#;
    let at = file.windows(version.len()).position(|w| w == version).expect("its version");
    let mut newer = file;
    newer[at + version.len() - 2] = b'4';
    let path = folder.path().join("topics/1");
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("model.safetensors"), newer).expect("written");

    let repository = Repository::open(folder.path()).expect("opened");
    let name = "topics".parse().expect("a name");
    let Err(StoreError::Corrupt { problem, .. }) = repository.load(&name, 1) else {
        panic!("a newer file was loaded");
    };
    assert!(matches!(problem, FormatError::Version { .. }), "{problem:?}");
    assert_eq!(problem.to_string(), "format version 4, this program reads up to version 3");
}
