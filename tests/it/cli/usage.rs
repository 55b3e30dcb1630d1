//! Right use is explained, and wrong use is told from failure by its exit code.

use super::command::Home;

#[test]
fn help_goes_to_stdout_and_shows_examples() {
    for args in [&["--help"][..], &["train", "--help"], &["models", "--help"], &["help", "serve"]] {
        let help = Home::new().run(args).done();
        assert!(help.contains("Usage: dictum"), "{help}");
        assert!(help.contains("Examples:\n  dictum "), "{help}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = Home::new().run(&["--version"]).done();
    assert_eq!(version, format!("dictum {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_use_ends_with_2_and_says_so_on_stderr() {
    for args in [
        &[][..],
        &["nonsense"],
        &["train"],
        &["train", "x.csv", "--folds", "1"],
        &["train", "x.csv", "--alpha", "0"],
        &["train", "x.csv", "--views", "words"],
        &["train", "x.csv", "--delimiter", "ab"],
        &["train", "x.csv", "--model", "../x"],
        &["train", "x.csv", "--threads", "0"],
        &["classify", "--min-probability", "NaN", "x"],
        &["classify", "--model", "mine@x", "x"],
        &["classify", "--models", "m", "--server", "http://127.0.0.1:1", "x"],
        &["evaluate"],
        &["models"],
        &["models", "activate", "mine"],
        &["health", "--server", "ftp://127.0.0.1:1"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--max-jobs", "0"],
    ] {
        let ran = Home::new().run(args);
        assert_eq!((ran.exit_code, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn the_built_in_model_cannot_be_trained_over() {
    let home = Home::new();
    let csv = home.file("a.csv", "text,label\n");
    let complaint = home.run(&["train", &csv, "--model", "news-statements"]).complaint(2);
    assert!(complaint.contains("built-in model"), "{complaint}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let home = Home::new();
    let complaint = home.run(&["train", "missing.csv"]).complaint(1);
    assert!(complaint.starts_with("cannot read missing.csv: "), "{complaint}");
    let complaint = home.run(&["train", "."]).complaint(1);
    assert!(complaint.starts_with(".: "), "{complaint}");
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let home = Home::new();
    // Nobody listens on port 1.
    for args in [&["health"][..], &["models", "list"], &["classify", "A sentence."]] {
        let ran = home.run(&[args, &["--server", "127.0.0.1:1"]].concat());
        let complaint = ran.complaint(1);
        assert!(complaint.starts_with("cannot reach http://127.0.0.1:1: "), "{complaint}");
        assert!(complaint.ends_with("; is it running? `dictum serve` starts one"), "{complaint}");
    }
}

#[test]
fn the_environment_sets_what_is_not_typed() {
    let home = Home::with_model();
    let classify = |args: &[&str], env: Option<(&str, &str)>| {
        let output = home.command(args).envs(env).output().expect("the program runs");
        String::from_utf8(output.stdout).expect("text on stdout")
    };
    let sentence = "Why was I charged twice?";
    let by_environment = classify(&["classify", sentence], Some(("DICTUM_MODEL", "mine")));
    assert!(by_environment.starts_with("charge\t"), "{by_environment}");
    let typed = classify(
        &["classify", "--model", "mine", sentence],
        Some(("DICTUM_MODEL", "news-statements")),
    );
    assert_eq!(typed, by_environment);
    let folder = home.models();
    let folder = folder.to_str().expect("a plain path");
    let place = &["classify", "--models", folder, "--model", "mine", sentence];
    let typed = classify(place, Some(("DICTUM_SERVER", "127.0.0.1:1")));
    assert_eq!(typed, by_environment, "a folder that is typed wins over a server that is not");
}
