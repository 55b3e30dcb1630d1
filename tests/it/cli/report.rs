//! `--report` of `dictum train` and `dictum evaluate`.

use super::command::{Home, cards_csv};

/// What every page must be: whole, and without anything that is loaded or run.
fn assert_self_contained(page: &str) {
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    // The name of SVG, and links within the page.
    let outside = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "").replace("href=\"#", "");
    for reference in ["http:", "https:", "src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!outside.contains(reference), "{reference}");
    }
    assert!(page.contains("name=\"viewport\""));
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn the_page_of_a_training_has_its_figures_and_charts() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv() + "one,two,three\n");
    let json =
        home.run(&["train", &csv, "--model", "mine", "--json", "--report", "mine.html"]).json();
    let page = home.read("mine.html");
    assert_self_contained(&page);
    let evaluation = &json["model"]["evaluation"];
    for figure in ["accuracy", "macro_f1", "log_loss", "expected_calibration_error"] {
        let figure = evaluation[figure].as_f64().expect("a number");
        assert!(page.contains(&format!("<b>{figure:.3}</b>")), "{figure}");
    }
    for part in [
        "<h1>mine@1</h1>",
        "Learning curve: accuracy and macro-F1",
        "Reliability diagram",
        "Coverage curve",
        "Most telling n-grams",
        "Disputed rows",
        "40 of 41 rows were used",
        "wrong column count",
        json["model"]["data_digest"].as_str().expect("a digest"),
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<svg ").count(), 3);
    // The words that tell the labels apart.
    let chips: Vec<&str> = page.split("class=\"chip\"").skip(1).collect();
    for word in ["charged", "arrive"] {
        let is_shown = |chip: &&str| chip.split('<').next().is_some_and(|c| c.contains(word));
        assert!(chips.iter().any(is_shown), "{word}");
    }
}

#[test]
fn the_page_of_an_evaluation_escapes_what_the_data_holds() {
    let home = Home::with_model();
    let test = "text,label\nWhy was I charged twice <script>alert(1)</script>?,card\n\
                Why was I charged <b>twice</b>?,<script>label</script>\n\
                When will the card arrive?,card\n";
    let csv = home.file("test.csv", test);
    home.run(&["evaluate", &csv, "--model", "mine", "--report", "test.html"]).done();
    let page = home.read("test.html");
    assert_self_contained(&page);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<b>twice"), "{page}");
    assert!(page.contains("<b>0.333</b>"), "one of three is right: {page}");
    assert!(!page.contains("Learning curve"), "only a training has one");
}

#[test]
fn a_label_is_escaped_wherever_it_stands() {
    let home = Home::new();
    let csv =
        home.file("hostile.csv", cards_csv().replace(",card\n", ",<script>\"x\"&amp;</script>\n"));
    home.run(&["train", &csv, "--report", "page.html"]).done();
    let page = home.read("page.html");
    assert_self_contained(&page);
    assert!(page.contains("&lt;script&gt;&quot;x&quot;&amp;amp;&lt;/script&gt;"), "{page}");
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_any_work() {
    let home = Home::new();
    let csv = home.file("cards.csv", cards_csv());
    let complaint = home.run(&["train", &csv, "--report", "nowhere/page.html"]).complaint(1);
    assert!(complaint.starts_with("cannot write nowhere/page.html"), "{complaint}");
    assert!(!home.models().exists());
    let server = ["train", &csv, "--server", "127.0.0.1:1", "--report", "page.html"];
    let complaint = home.run(&server).complaint(2);
    assert!(complaint.contains("not on a server"), "{complaint}");
}
