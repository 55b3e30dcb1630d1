//! A training on wrong labels does not get to answer.

use dictum::builtin::TRAINING_CSV;
use serde_json::Value;

use super::command::Home;

/// Every fourth row of the built-in corpus, as text and label.
fn sample() -> Vec<[String; 2]> {
    let mut reader = csv::Reader::from_reader(TRAINING_CSV.as_bytes());
    let rows = reader.deserialize::<[String; 2]>().map(|row| row.expect("text and label"));
    rows.step_by(4).collect()
}

/// The same rows with the labels of 30 % of them shuffled.
fn with_wrong_labels(rows: &[[String; 2]]) -> Vec<[String; 2]> {
    let mut state = 20_261_125u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits") % n
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, below(at + 1));
    }
    // In random order each row takes the label of the next: a shuffle that spares nobody.
    let chosen = &order[..rows.len() * 3 / 10];
    let mut wrong = rows.to_vec();
    for (at, row) in chosen.iter().enumerate() {
        wrong[*row][1].clone_from(&rows[chosen[(at + 1) % chosen.len()]][1]);
    }
    wrong
}

fn csv_of(rows: &[[String; 2]]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["text", "label"]).expect("memory");
    rows.iter().for_each(|row| writer.write_record(row).expect("memory"));
    writer.into_inner().expect("memory")
}

#[test]
fn a_retraining_with_three_tenths_of_the_labels_shuffled_is_refused_with_its_reason() {
    let (home, clean) = (Home::new(), sample());
    let n_rows = clean.len() as u64;
    let wrong = home.file("wrong.csv", csv_of(&with_wrong_labels(&clean)));
    let clean = home.file("clean.csv", csv_of(&clean));
    let train = |csv: &str, more: &[&str]| {
        let quick = ["--no-feature-weights", "--views", "word1,word2", "--json", "--model", "news"];
        home.run(&[&["train", csv][..], &quick, more].concat()).json()
    };
    let first = train(&clean, &[]);
    let refused = train(&wrong, &[]);
    let at = |path: &str| refused.pointer(path).cloned().unwrap_or_default();
    let count = |path: &str| at(path).as_u64().unwrap_or_default();

    assert_eq!(at("/activation/decision"), "ACTIVATION_DECISION_REFUSED", "{refused}");
    assert_eq!(at("/model/active"), Value::Bool(false));
    let [new, active] =
        ["new_tally", "active_tally"].map(|tally| format!("/activation/comparison/{tally}")).map(
            |tally| ["right_count", "example_count"].map(|what| count(&format!("{tally}/{what}"))),
        );
    assert_eq!((new[1], active[1]), (n_rows, n_rows));
    // A label in five is right by chance: some 24 % are wrong, and can at best be found out.
    assert!(new[0] + n_rows / 8 < active[0], "{new:?} {active:?}");
    assert_eq!(at("/activation/comparison/is_worse"), Value::Bool(true));
    let p_value = at("/activation/comparison/worse_p_value").as_f64().expect("a number");
    assert!((0.0..1e-9).contains(&p_value), "{p_value}");
    let kinds = ["both_right", "only_new_right", "only_active_right", "both_wrong"];
    let same_rows =
        kinds.map(|kind| count(&format!("/activation/comparison/same_rows/{kind}_count")));
    assert_eq!(same_rows.iter().sum::<u64>(), n_rows);
    assert!(same_rows[1] < same_rows[2], "{same_rows:?}");
    let message = at("/activation/message");
    let why =
        "not activated: significantly worse than version 1, which goes on answering: right on ";
    assert!(message.as_str().is_some_and(|message| message.starts_with(why)), "{message}");

    let asked = ["classify", "--model", "news", "--json", "He denied any part in it."];
    let answer = home.run(&asked).json();
    assert_eq!(answer["model_version"], first["model"]["model_version"]);
    let forced = train(&wrong, &["--force"]);
    assert_eq!(forced["activation"]["decision"], "ACTIVATION_DECISION_FORCED");
    assert_eq!(forced["activation"]["comparison"]["is_worse"], Value::Bool(true));
    assert_eq!(home.run(&asked).json()["model_version"], forced["model"]["model_version"]);
}
