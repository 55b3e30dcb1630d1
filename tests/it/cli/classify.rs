//! `dictum classify`.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::command::Home;

const DENIAL: &str = "We had nothing to do with it, the minister said.";

#[test]
fn the_built_in_model_answers_at_once() {
    let answer = Home::new().run(&["classify", DENIAL]).done();
    let columns: Vec<_> = answer.trim_end().split('\t').collect();
    assert_eq!((columns[0], columns[2]), ("denial", DENIAL), "{answer}");
    assert!(columns[1].parse::<f64>().is_ok_and(|p| (0.5..=1.0).contains(&p)), "{answer}");
}

#[test]
fn json_has_the_sentence_the_classification_and_who_gave_it() {
    let sentence = "Why was I charged twice?";
    let args = ["classify", "--json", "--model", "mine", sentence];
    let json = Home::with_model().run(&args).json();
    assert_eq!(json["sentence"], sentence);
    assert_eq!(json["model_version"], serde_json::json!({"name": "mine", "version": 1}));
    let classification = &json["classification"];
    assert_eq!(classification["label"], "charge");
    assert_eq!(classification["abstain_reason"], "ABSTAIN_REASON_UNSPECIFIED");
    assert_eq!(classification["token_count"], 6);
    let scores = classification["scores"].as_array().expect("scores");
    let sum: f64 = scores.iter().filter_map(|score| score["probability"].as_f64()).sum();
    assert_eq!(scores.len(), 2, "all labels unless told otherwise");
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    assert!(classification.get("explanation").is_none());
}

#[test]
fn as_many_labels_are_shown_as_asked_for() {
    let home = Home::with_model();
    let classify = |top_k: &str, more: &[&str]| {
        let args = ["classify", "--model", "mine", "--top-k", top_k, "A card."];
        home.run(&[&args, more].concat())
    };
    let n_columns = |top_k| classify(top_k, &[]).done().split('\t').count();
    assert_eq!((n_columns("1"), n_columns("2"), n_columns("0"), n_columns("99")), (3, 5, 5, 5));
    let json = classify("1", &["--json"]).json();
    assert_eq!(json["classification"]["scores"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_answer_may_have_no_label() {
    let home = Home::with_model();
    let classify = |args: &[&str]| home.run(&[&["classify", "--model", "mine"], args].concat());
    let answer = classify(&["Zyzzyva qwxk"]).done();
    assert!(answer.starts_with("(no known word)\t"), "{answer}");
    let json = classify(&["--json", "--min-probability", "1", "A card charged."]).json();
    assert_eq!(json["classification"]["label"], "");
    assert_eq!(json["classification"]["abstain_reason"], "ABSTAIN_REASON_LOW_PROBABILITY");
}

#[test]
fn reasons_add_up_to_the_difference_and_a_pipe_gets_no_colours() {
    let home = Home::with_model();
    let args = ["classify", "--explain", "--model", "mine", "Why was I charged twice?"];
    let text = home.run(&args).done();
    assert!(!text.contains('\u{1b}'), "{text}");
    let numbers = text.lines().skip(2).map(|row| {
        let number = row.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
        number.unwrap_or_else(|| panic!("{row}"))
    });
    let numbers: Vec<f64> = numbers.collect();
    let (total, parts) = numbers.split_last().expect("rows");
    // Each of some ten numbers is rounded to two digits.
    assert!((parts.iter().sum::<f64>() - total).abs() < 0.1, "{text}");
    assert!(text.contains("“charged”"), "{text}");
    let json = home.run(&[&args[..], &["--json"]].concat()).json();
    assert_eq!(json["classification"]["explanation"]["label"], "charge");
    assert_eq!(json["classification"]["explanation"]["against"], "card");
    assert!(json["classification"]["explanation"]["contributions"][0]["log_odds"].is_number());
}

#[test]
fn every_line_of_the_input_is_answered_in_order() {
    let home = Home::with_model();
    let input = "When will the card arrive?\r\n\n   \nI was charged twice.\nWhen will it arrive?";
    let answers = home.run_with_input(&["classify", "--model", "mine"], input).done();
    let rows: Vec<Vec<&str>> = answers.lines().map(|line| line.split('\t').collect()).collect();
    let shown: Vec<_> = rows.iter().map(|row| (row[0], row[2])).collect();
    let expected = [
        ("card", "When will the card arrive?"),
        ("charge", "I was charged twice."),
        ("card", "When will it arrive?"),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn an_answer_comes_before_the_next_line_is_written() {
    let home = Home::with_model();
    let mut child = home
        .command(&["classify", "--model", "mine"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for (sentence, label) in [("I was charged twice.", "charge"), ("Will my card arrive?", "card")]
    {
        writeln!(stdin, "{sentence}").expect("the program reads");
        let answer = answers.next().expect("an answer").expect("text");
        assert!(answer.starts_with(label), "{answer}");
    }
    drop(stdin);
    assert!(answers.next().is_none());
    assert!(child.wait().expect("the program ends").success());
}

#[test]
fn a_bad_line_is_reported_and_the_others_are_answered() {
    let home = Home::with_model();
    let mut input = b"A card.\n\xff\xfe\n".to_vec();
    input.extend(vec![b'x'; 70_000]);
    input.extend(b"\nA charge.\n");
    let args = ["classify", "--model", "mine"];
    let ran = home.run_with_input(&args, &input);
    assert_eq!(ran.exit_code, Some(1));
    assert_eq!(ran.stdout.lines().count(), 2, "{ran:?}");
    let expected = "error: line 2: sentence is not UTF-8\n\
                    error: line 3: sentence has more than 65536 bytes\n";
    assert_eq!(ran.stderr, expected);
    let ran = home.run_with_input(&[&args[..], &["--json"]].concat(), &input);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 4, "an answer or an error for every line");
    assert_eq!(lines[1]["error"]["code"], 3);
    assert_eq!(lines[2]["error"]["reason"], "SENTENCE_TOO_LONG");
}

#[test]
fn a_blank_argument_is_an_error() {
    let args = ["classify", "--model", "mine", " "];
    let complaint = Home::with_model().run(&args).complaint(1);
    assert_eq!(complaint, "argument 1: sentence is blank");
}

#[test]
fn nothing_in_a_sentence_steers_the_terminal() {
    let args = ["classify", "--model", "mine", "He said\u{1b}[2J no."];
    let answer = Home::with_model().run(&args).done();
    assert!(answer.ends_with("\tHe said\u{fffd}[2J no.\n"), "{answer:?}");
}

#[test]
fn an_unknown_model_is_named_with_what_to_do() {
    let home = Home::with_model();
    let complaint = home.run(&["classify", "--model", "other", "x"]).complaint(1);
    assert_eq!(complaint, "no model other; `dictum models list` shows what there is");
    let complaint = home.run(&["classify", "--model", "mine@9", "x"]).complaint(1);
    assert!(complaint.starts_with("model mine has no version 9"), "{complaint}");
}
