//! `dictum models`.

use std::fs;

use super::command::{Home, cards_csv};

/// A home with versions 1 and 2 of `mine`, of which 2 is active.
fn two_versions() -> Home {
    let home = Home::with_model();
    let csv = home.file("cards.csv", cards_csv());
    home.run(&["train", &csv, "--model", "mine", "--seed", "2"]).done();
    home
}

/// Versions in the order of the list, those that are active with a star.
fn listed(home: &Home) -> Vec<String> {
    let models = home.run(&["models", "list", "--json"]).json_lines();
    let shown = |model: &serde_json::Value| {
        let star = if model["active"] == true { "*" } else { "" };
        let version = &model["model_version"];
        format!("{}@{}{star}", version["name"].as_str().unwrap_or_default(), version["version"])
    };
    models.iter().map(shown).collect()
}

#[test]
fn a_new_folder_has_the_built_in_model_alone() {
    let home = Home::new();
    assert_eq!(listed(&home), ["news-statements@0*"]);
    assert!(!home.models().exists(), "looking makes no folder");
}

#[test]
fn versions_are_listed_by_name_the_newest_first() {
    let home = two_versions();
    assert_eq!(listed(&home), ["mine@2*", "mine@1", "news-statements@0*"]);
    let table = home.run(&["models", "list", "mine"]).done();
    let rows: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{table}");
    assert_eq!(rows[1][..3], ["mine", "2", "active"]);
    assert_eq!(rows[2][..2], ["mine", "1"]);
}

#[test]
fn an_old_version_can_answer_again() {
    let home = two_versions();
    let text = home.run(&["models", "activate", "mine@1"]).done();
    assert_eq!(text, "mine@1 is active; before it was version 2\n");
    assert_eq!(listed(&home), ["mine@2", "mine@1*", "news-statements@0*"]);
    let json = home.run(&["models", "activate", "mine@2", "--json"]).json();
    assert_eq!(json["previous_version"], 1);
    assert_eq!(json["model"]["model_version"]["version"], 2);
}

#[test]
fn only_a_version_that_is_not_active_can_be_deleted() {
    let home = two_versions();
    let complaint = home.run(&["models", "delete", "mine@2"]).complaint(1);
    assert!(complaint.starts_with("version 2 of model mine is active"), "{complaint}");
    assert!(complaint.contains("models activate"), "{complaint}");
    assert_eq!(home.run(&["models", "delete", "mine@1"]).done(), "mine@1 is deleted\n");
    assert_eq!(listed(&home), ["mine@2*", "news-statements@0*"]);
    let complaint = home.run(&["models", "delete", "mine@1"]).complaint(1);
    assert!(complaint.contains("no version 1"), "{complaint}");
}

#[test]
fn only_as_many_versions_are_kept_as_wanted_and_those_that_answer_or_did() {
    let home = two_versions();
    home.run(&["models", "activate", "mine@1"]).done();
    let csv = home.file("cards.csv", cards_csv());
    let train = ["train", &csv, "--model", "mine", "--no-activate"];
    home.run(&train).done();
    assert_eq!(listed(&home).len(), 4, "all are kept unless something is said");
    home.run(&[&train[..], &["--keep-versions", "1"]].concat()).done();
    assert_eq!(listed(&home), ["mine@4", "mine@2", "mine@1*", "news-statements@0*"]);
    home.run(&[&train[..], &["--keep-versions", "1", "--keep-days", "1"]].concat()).done();
    assert_eq!(listed(&home).len(), 5, "none is a day old");
    let ran = home.run(&[&train[..], &["--keep-days=-1"]].concat());
    assert!(ran.exit_code == Some(2) && ran.stderr.contains("days from 0 to 36500"), "{ran:?}");
}

#[test]
fn a_version_is_shown_in_full() {
    let home = two_versions();
    let text = home.run(&["models", "show", "mine@1"]).done();
    assert!(text.starts_with("mine@1\n"), "{text}");
    assert!(text.contains("labels       2: card, charge\n"), "{text}");
    assert!(text.contains("\naccuracy "), "{text}");
    let json = home.run(&["models", "show", "mine", "--json"]).json();
    assert_eq!(json["model_version"]["version"], 2);
    assert_eq!(json["settings"]["seed"], 2);
    let size = fs::metadata(home.models().join("mine/2/model.safetensors")).expect("a file").len();
    assert_eq!(json["size_bytes"], size);
    assert_eq!(json["evaluation"]["method"], "EVALUATION_METHOD_OUT_OF_FOLD");
}

#[test]
fn a_damaged_file_is_found_and_never_becomes_active() {
    let home = two_versions();
    assert_eq!(home.run(&["models", "verify"]).done(), "mine@1  good\nmine@2  good\n");
    home.damage("mine/1/model.safetensors");
    let ran = home.run(&["models", "verify"]);
    assert_eq!(ran.exit_code, Some(1));
    assert!(ran.stdout.starts_with("mine@1  broken: "), "{ran:?}");
    assert!(ran.stdout.ends_with("mine@2  good\n"), "{ran:?}");
    let ran = home.run(&["models", "verify", "--json"]);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines[0]["error"].is_string() && lines[1]["error"].is_null(), "{lines:?}");

    let complaint = home.run(&["models", "activate", "mine@1"]).complaint(1);
    assert!(complaint.contains("model.safetensors"), "it names the file: {complaint}");
    assert_eq!(listed(&home)[0], "mine@2*");
}
