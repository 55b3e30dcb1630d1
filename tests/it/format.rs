//! Model files of every released version of the format load for ever, and answer as they did.
//!
//! `tests/format/v1` was made by Dictum 0.1.0 from the CSV beside it: `presence` and `idf` with these
//! weightings, `shapes` with the shape view, idf and a threshold of 0.52. Files there are added, never
//! written anew.

use std::fs;
use std::path::{Path, PathBuf};

use dictum::model::{Model, Options, Outcome, Scorer};
use dictum::store::{FormatError, Repository, StoreError, format};
use serde_json::Value;

/// Sums may be taken in another order, or of tokens in single precision.
const TOLERANCE: f64 = 1e-6;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/v1").join(file)
}

fn model(name: &str) -> Model {
    let file = fs::read(golden(&format!("{name}.safetensors"))).expect("a golden file");
    Model::try_new(&format::decode(&file).expect("a model file")).expect("a model")
}

#[test]
fn every_golden_file_answers_as_it_did() {
    let expected = fs::read(golden("expected.json")).expect("the answers");
    let cases: Vec<Value> = serde_json::from_slice(&expected).expect("JSON");
    assert!(cases.len() > 20);
    let mut scorer = Scorer::default();
    for case in cases {
        let text = |key: &str| case[key].as_str().expect("text").to_owned();
        let model = model(&text("model"));
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
}

#[test]
fn golden_files_are_written_again_as_they_are() {
    for name in ["presence", "idf", "shapes"] {
        let file = fs::read(golden(&format!("{name}.safetensors"))).expect("a golden file");
        let parts = format::decode(&file).expect("a model file");
        assert!(format::encode(&parts) == Ok(file), "{name}");
    }
}

#[test]
fn a_file_of_a_newer_format_is_refused_with_a_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::read(golden("idf.safetensors")).expect("a golden file");
    let version = br#""format_version":"1""#;
    let at = file.windows(version.len()).position(|w| w == version).expect("its version");
    let mut newer = file;
    newer[at + version.len() - 2] = b'2';
    let path = folder.path().join("topics/1");
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("model.safetensors"), newer).expect("written");

    let repository = Repository::open(folder.path()).expect("opened");
    let name = "topics".parse().expect("a name");
    let Err(StoreError::Corrupt { problem, .. }) = repository.load(&name, 1) else {
        panic!("a newer file was loaded");
    };
    assert!(matches!(problem, FormatError::Version { .. }), "{problem:?}");
    assert_eq!(problem.to_string(), "format version 2, this program reads up to version 1");
}
