//! `dictum train` and `dictum evaluate`.

use std::process::Stdio;

use super::command::{Home, Ran, cards_csv};

#[test]
fn a_trained_model_answers_and_is_described() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let text = home.run(&["train", &csv, "--model", "mine"]).done();
    assert!(text.starts_with("mine@1 is active: 2 labels, learned from 40 sentences"), "{text}");
    assert!(text.contains("\naccuracy "), "{text}");
    let answer = home.run(&["classify", "--model", "mine", "Why was I charged twice?"]).done();
    assert!(answer.starts_with("charge\t"), "{answer}");
}

#[test]
fn a_training_in_a_pipe_says_nothing_on_stderr() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let ran = home.run(&["train", &csv]);
    assert_eq!((ran.exit_code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn json_has_the_names_of_the_contract() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let json = home.run(&["train", &csv, "--json", "--seed", "7", "--views", "word1,word2"]).json();
    let at = |path: &str| json.pointer(path).cloned().unwrap_or_default();
    assert_eq!(at("/model/model_version/name"), "default");
    assert_eq!(at("/model/model_version/version"), 1);
    assert_eq!(at("/model/active"), true);
    assert_eq!(at("/model/labels/0/example_count"), 20);
    assert_eq!(at("/model/settings/seed"), 7);
    assert_eq!(at("/model/settings/views/1/view"), "VIEW_WORD2");
    assert_eq!(at("/model/settings/views/2"), serde_json::Value::Null);
    assert_eq!(at("/model/evaluation/method"), "EVALUATION_METHOD_OUT_OF_FOLD");
    assert_eq!(at("/model/evaluation/labels/0/support"), 20);
    assert_eq!(at("/data_report/used_count"), 40);
}

#[test]
fn sentences_beyond_the_sample_are_counted_in_one_pass() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let one_pass = ["--alpha", "0.3", "--weighting", "presence", "--sample-rows", "10"];
    let train = [&["train", &csv, "--json", "--no-feature-weights"], &one_pass[..]].concat();
    let [json, _] = ["1", "3"].map(|n| home.run(&[&train, &["--threads", n][..]].concat()).json());
    let at = |path: &str| json.pointer(path).cloned().unwrap_or_default();
    assert_eq!(at("/model/labels/0/example_count"), 20);
    assert_eq!(at("/data_report/used_count"), 40);
    assert_eq!(at("/model/evaluation/example_count"), 10);
    assert_eq!(at("/model/evaluation/sampled_from"), 40);
    let shown = home.run(&["models", "show", "default"]).done();
    assert!(shown.contains("10 sentences, a sample of the 40 that were counted"), "{shown}");
    let answer = home.run(&["classify", "--model", "default", "Why was I charged twice?"]).done();
    assert!(answer.starts_with("charge\t"), "{answer}");
    let file = |version| home.models().join("default").join(version).join("model.safetensors");
    let files = ["1", "2"].map(|version| std::fs::read(file(version)).expect("a stored model"));
    assert!(files[0] == files[1], "another number of threads, another model");
    let idf = home.run(&["train", &csv, "--weighting", "idf", "--sample-rows", "10"]);
    assert!(idf.complaint(1).contains("idf needs all rows in memory"));
}

#[test]
fn a_flood_of_distinct_words_is_counted_in_the_memory_that_is_given() {
    let home = Home::new();
    let word = |row: u32, at: u32| format!(" w{:x}", (row * 16 + at).wrapping_mul(0x9e37_79b1));
    let row = |row: u32| {
        let label = ["charge", "card"][row as usize % 2];
        let words: String = (0..16).map(|at| word(row, at)).collect();
        format!("the {label}{words},{label}\n")
    };
    let csv: String =
        std::iter::once("text,label\n".to_owned()).chain((0..30_000).map(row)).collect();
    let csv = home.file("flood.csv", &csv);
    let few = ["--memory-mib", "16", "--no-feature-weights", "--views", "word1,word2", "--json"];
    let json = home.run(&[&["train", &csv], &few[..]].concat()).json();
    let at =
        |path: &str| json.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or_default();
    assert_eq!(at("/data_report/used_count"), 30_000);
    // 480,000 words and as many pairs do not fit into a quarter of 16 MiB.
    let n_features = at("/model/feature_count");
    assert!(n_features < 200_000, "{n_features} features");
    let answer = home.run(&["classify", "--model", "default", "the card"]).done();
    assert!(answer.starts_with("card\t"), "{answer}");
}

#[test]
fn a_flood_of_labels_is_refused() {
    let home = Home::new();
    let rows = (0..70_000).map(|n| format!("sentence {n},label {n}\n"));
    let csv: String = std::iter::once("text,label\n".to_owned()).chain(rows).collect();
    let csv = home.file("flood.csv", &csv);
    let complaint = home.run(&["train", &csv]).complaint(1);
    assert!(complaint.contains("10000 different labels"), "{complaint}");
    assert!(complaint.contains("line 10002"), "{complaint}");
}

#[test]
fn every_setting_of_the_estimator_can_be_given() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let given = ["--weighting", "presence", "--views", "word1,character", "--folds", "5"];
    let args = [&["train", &csv, "--json", "--alpha", "0.25", "--seed", "9"][..], &given].concat();
    let settings = &home.run(&args).json()["model"]["settings"];
    assert_eq!(settings["weighting"], "WEIGHTING_PRESENCE", "{settings}");
    assert_eq!((&settings["folds"], &settings["seed"]), (&5.into(), &9.into()));
    let views = settings["views"].as_array().expect("a list");
    let names: Vec<_> = views.iter().map(|view| &view["view"]).collect();
    assert_eq!(names, ["VIEW_WORD1", "VIEW_CHARACTER"]);
    assert!(views.iter().all(|view| view["alpha"] == 0.25), "{settings}");
}

#[test]
fn little_data_tells_the_likelier_label_and_claims_little() {
    let home = Home::new();
    let csv = home.file(
        "shop.csv",
        "text,label\nWhere is my parcel?,delivery\nWhen will the order arrive?,delivery\n\
         The courier never came.,delivery\n\"It was left next door, not with me.\",delivery\n\
         I want my money back.,refund\nHow do I return the shoes?,refund\n\
         \"Please refund me, the lamp is broken.\",refund\nYou charged me twice.,refund\n",
    );
    home.run(&["train", &csv, "--model", "shop"]).done();
    for (sentence, label) in [("Where is the parcel?", "delivery"), ("My money back!", "refund")] {
        let answer = home.run(&["classify", "--model", "shop", "--json", sentence]).json();
        let best = &answer["classification"]["scores"][0];
        assert_eq!(best["label"], label, "{answer}");
        let probability = best["probability"].as_f64().expect("a number");
        assert!((0.5..0.9).contains(&probability), "{answer}");
    }
}

#[test]
fn a_small_training_says_what_to_expect() {
    let home = Home::new();
    let csv = home.file(
        "two.csv",
        "text,label\nMy card broke.,card\nCard is lost.,card\n\
                                    Pay me back.,money\nWhere is my pay?,money\n",
    );
    let text = home.run(&["train", &csv]).done();
    let expected =
        "of new sentences to be right; more sentences help, first for card (2), money (2)";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn rows_that_cannot_be_used_are_named_by_line_and_reason() {
    let home = Home::new();
    let faults =
        "one,two,three\n,card\nWhen will it arrive?,\nWhen will the card arrive here?,card\n";
    let csv = home.file("faults.csv", cards_csv() + faults);
    let text = home.run(&["train", &csv]).done();
    assert!(text.contains("left out 4 of 44 rows: "), "{text}");
    for (line, reason) in [
        (42, "wrong number of columns: 3 columns, the header has 2"),
        (43, "empty text"),
        (44, "empty label"),
        (45, "duplicate: same text and label as in line 2"),
    ] {
        assert!(text.contains(&format!("  line  {line}  {reason}\n")), "{line} in {text}");
    }
}

#[test]
fn columns_and_delimiter_are_as_told() {
    let home = Home::new();
    let csv = cards_csv().replace(',', "\t").replace('"', "").replace("text\tlabel", "Frage\tArt");
    let csv = home.file("cards.tsv", csv.replace("\t why", ", why"));
    let complaint = home.run(&["train", &csv]).complaint(1);
    assert!(complaint.contains("\"Frage\""), "it names the columns there are: {complaint}");
    assert!(complaint.contains("--text-column"), "{complaint}");
    let columns = ["--text-column", "Frage", "--label-column", "Art"];
    for delimiter in [&[][..], &["--delimiter", "tab"]] {
        let args = [&["train", &csv][..], &columns, delimiter].concat();
        assert!(home.run(&args).done().contains("from 40 sentences"));
    }
}

#[test]
fn checking_only_trains_and_stores_nothing() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let text = home.run(&["train", &csv, "--validate-only"]).done();
    assert!(text.starts_with("40 of 40 rows can be learned from; nothing was trained\n"), "{text}");
    assert!(!home.models().exists());
    let single = home.file("single.csv", "text,label\na,b\nc,d\n");
    let complaint = home.run(&["train", &single, "--validate-only"]).complaint(1);
    assert!(complaint.contains("label \"b\" has 1 usable example"), "{complaint}");
    assert!(complaint.starts_with(&single), "it names the file: {complaint}");
}

#[test]
fn a_version_that_is_not_activated_waits() {
    let home = Home::with_model();
    let csv = home.file("cards.csv", cards_csv());
    let text = home.run(&["train", &csv, "--model", "mine", "--no-activate"]).done();
    assert!(text.starts_with("mine@2 is stored, not active"), "{text}");
    let json = home.run(&["classify", "--json", "--model", "mine", "A card."]).json();
    assert_eq!(json["model_version"]["version"], 1);
}

#[test]
fn a_csv_comes_through_a_pipe_too() {
    let home = Home::new();
    let text = home.run_with_input(&["train", "-"], cards_csv()).done();
    assert!(text.starts_with("default@1 is active"), "{text}");
    let complaint = home.run_with_input(&["train", "-"], "").complaint(1);
    assert!(complaint.starts_with("standard input: "), "{complaint}");
}

#[test]
fn the_same_data_and_settings_give_the_same_model_on_any_number_of_threads() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let train = |threads: &str, name: &str| {
        home.run(&["train", &csv, "--threads", threads, "--model", name]).done()
    };
    let text = train("1", "a");
    assert_eq!(train("4", "b").replace("b@1", "a@1"), text);
    let file = |name: &str| {
        let path = home.models().join(name).join("1").join("model.safetensors");
        std::fs::read(path).expect("a stored model")
    };
    assert!(file("a") == file("b"));
}

#[test]
fn an_evaluation_shows_what_is_confused() {
    let home = Home::with_model();
    let test = "text,label\nWhy was I charged twice?,charge\nWhen will the card arrive?,card\n\
                When will it arrive at home?,charge\nI was charged twice.,unheard_of\n";
    let csv = home.file("test.csv", test);
    let text = home.run(&["evaluate", &csv, "--model", "mine"]).done();
    assert!(text.starts_with("mine@1\n"), "{text}");
    let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    assert!(rows.iter().any(|row| row.starts_with(&["accuracy", "0.500"])), "{text}");
    let confused = ["charge", "card", "1", "4", "When", "will", "it", "arrive", "at", "home?"];
    assert!(rows.iter().any(|row| *row == confused), "{text}");
    assert!(text.contains("4 sentences, 1 of them under a label that the model does not know"));
    let json = home.run(&["evaluate", &csv, "--model", "mine@1", "--json"]).json();
    assert_eq!(json["evaluation"]["accuracy"], 0.5);
    assert_eq!(json["evaluation"]["method"], "EVALUATION_METHOD_GIVEN_EXAMPLES");
    assert_eq!(json["model_version"]["name"], "mine");
    assert_eq!(json["data_report"]["row_count"], 4);
}

#[test]
fn data_without_a_usable_row_cannot_be_judged_by() {
    let home = Home::with_model();
    let csv = home.file("empty.csv", "text,label\n,\n");
    let complaint = home.run(&["evaluate", &csv, "--model", "mine"]).complaint(1);
    assert_eq!(complaint, format!("{csv}: no row can be used"));
}

#[test]
fn a_reader_that_stops_reading_ends_the_program_quietly() {
    let home = Home::with_model();
    let csv = home.file("cards.csv", cards_csv());
    let mut command = home.command(&["evaluate", &csv, "--model", "mine"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let ran = Ran::from(command.output().expect("the program runs"));
    assert_eq!((ran.exit_code, ran.stderr.as_str()), (Some(0), ""));
}

/// Rows that are easy to tell apart, and some with faults.
fn faulty_csv() -> String {
    let cards = cards_csv();
    let mut rows: Vec<String> = cards.lines().map(str::to_owned).collect();
    for day in ["Monday", "Tuesday", "Thursday", "Friday", "Saturday", "Sunday"] {
        rows.push(format!("When will my card arrive on {day}?,card"));
        rows.push(format!("I was charged twice on {day} and why?,charge"));
    }
    rows.push("When will the card arrive here?,card".to_owned()); // line 54: as line 2
    rows.push("The same words.,card".to_owned());
    rows.push("The same words.,charge".to_owned());
    rows.push("When will the new card arrive on Sunday?,charge".to_owned());
    rows.push("one,two,three".to_owned());
    rows.push("when will the new card arrive here,card".to_owned());
    rows.push("Когда придёт карта?,card".to_owned());
    rows.push("When will the bank card arrive tomorrow?,card".to_owned());
    rows.join("\n") + "\n"
}

/// The cards with labels dealt out in another way than the sentences suggest.
fn corrupted_csv() -> String {
    let rows = cards_csv();
    let mut lines = rows.lines();
    let mut csv = format!("{}\n", lines.next().expect("a header"));
    for (row, line) in lines.enumerate() {
        let (text, _) = line.rsplit_once(',').expect("two columns");
        let label = ["card", "card", "charge", "card", "charge", "charge", "charge"][row % 7];
        csv.push_str(&format!("{text},{label}\n"));
    }
    csv
}

#[test]
fn a_model_that_is_significantly_worse_is_stored_and_does_not_answer() {
    let home = Home::with_model();
    let csv = home.file("corrupted.csv", corrupted_csv());
    let text = home.run(&["train", &csv, "--model", "mine"]).done();
    assert!(text.starts_with("mine@2 is stored, not active"), "{text}");
    let why =
        "\nnot activated: significantly worse than version 1, which goes on answering: right on ";
    assert!(text.contains(why), "{text}");
    let json = home.run(&["train", &csv, "--model", "mine", "--force", "--json"]).json();
    assert_eq!(json["activation"]["decision"], "ACTIVATION_DECISION_FORCED");
    assert_eq!(json["activation"]["comparison"]["active_version"], 1);
    assert_eq!(json["activation"]["comparison"]["is_worse"], true);
    assert_eq!(json["model"]["active"], true);
    let back = home.file("cards.csv", cards_csv());
    let text = home.run(&["train", &back, "--model", "mine"]).done();
    assert!(text.starts_with("mine@4 is active"), "{text}");
    assert!(text.contains("\nnot significantly worse than version 3: right on "), "{text}");
}

#[test]
fn a_wish_for_accuracy_becomes_the_models_threshold() {
    let home = Home::new();
    let csv = home.file("corrupted.csv", faulty_csv());
    let json = home.run(&["train", &csv, "--target-accuracy", "1", "--json"]).json();
    let threshold = &json["threshold"];
    assert_eq!(threshold["accuracy"], 1.0, "{json}");
    assert!(threshold["coverage"].as_f64().is_some_and(|coverage| coverage < 1.0), "{json}");
    assert_eq!(threshold["min_probability"], json["model"]["min_probability"]);
    let text = home.run(&["train", &csv, "--target-accuracy", "0.5"]).done();
    let line = "\nabstains below probability 0.0000: answers 100.0 % of the sentences, 98.2 % of these right\n";
    assert!(text.contains(line), "{text}");
    let both = ["train", &csv, "--target-accuracy", "0.9", "--min-probability", "0.5"];
    assert_eq!(home.run(&both).exit_code, Some(2));
}
