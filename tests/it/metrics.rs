//! What a scrape of the metrics gives.

use std::collections::BTreeSet;

use dictum::proto::{BatchClassifyRequest, ClassifyOptions, ClassifyRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Server, spawn_server, tiny_csv};

/// A word that is in every input and must be in no metric.
const CANARY: &str = "zanzibarcanary";

async fn http(server: &Server, request: &str) -> String {
    let mut socket = TcpStream::connect(server.metrics_address).await.expect("a connection");
    socket.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("text");
    answer
}

async fn scrape(server: &Server) -> String {
    let answer = http(server, "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

/// The value of a series that counts something.
fn count(text: &str, series: &str) -> u64 {
    value(text, series).parse().expect("a whole number")
}

/// The value of a series.
fn value<'a>(text: &'a str, series: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
}

/// All series, without their values.
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').expect("a value").0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_series_is_there_at_zero_and_calls_make_none() {
    let server = spawn_server().await;
    let before = scrape(&server).await;
    let classify = "dictum_calls_total{method=\"dictum.v1.ClassifierService/Classify\",code=";
    assert_eq!(count(&before, &format!("{classify}\"OK\"}}")), 0);
    assert_eq!(count(&before, "dictum_calls_shed_total{limit=\"queue\"}"), 0);
    assert_eq!(count(&before, "dictum_model_version{model=\"news-statements\"}"), 0);

    server.classify("", "The minister denied it.").await;
    let mut client = server.classifier().await;
    for n in 0..50 {
        let options = ClassifyOptions { model: format!("m{n}"), ..Default::default() };
        let sentence = format!("{CANARY} {n}");
        let request = ClassifyRequest { sentence, options: Some(options) };
        client.classify(request).await.expect_err("no such model");
    }
    let after = scrape(&server).await;
    assert_eq!(series(&before), series(&after));
    assert_eq!(count(&after, &format!("{classify}\"OK\"}}")), 1);
    assert_eq!(count(&after, &format!("{classify}\"NOT_FOUND\"}}")), 50);
    let seconds = "dictum_call_seconds_count{method=\"dictum.v1.ClassifierService/Classify\"}";
    assert_eq!(count(&after, seconds), 51);
    assert!(series(&after).len() < 900, "{} series", series(&after).len());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_counted_by_version_and_label_and_hold_no_text() {
    let server = spawn_server().await;
    // In every sentence that is trained on, and in both labels.
    let csv = tiny_csv(CANARY).replace("denial", &format!("denial {CANARY}"));
    server.train("tiny", &csv, 1_000).await;
    let options = ClassifyOptions { model: "tiny".to_owned(), ..Default::default() };
    let sentences = vec![format!("{CANARY}unknown {CANARY}unknown"); 100];
    let request = BatchClassifyRequest { sentences, options: Some(options) };
    server.classifier().await.batch_classify(request).await.expect("answers");
    let text = scrape(&server).await;
    let of = |name: &str| count(&text, &format!("{name}{{model=\"tiny\",version=\"1\"}}"));
    assert_eq!(of("dictum_model_sentences_total"), 100);
    assert_eq!(of("dictum_model_tokens_total"), 200);
    assert_eq!(of("dictum_model_unknown_tokens_total"), 200);
    let labels: u64 = text
        .lines()
        .filter(|line| line.starts_with("dictum_model_labels_total{model=\"tiny\""))
        .chain(
            text.lines().filter(|l| l.starts_with("dictum_model_abstentions_total{model=\"tiny")),
        )
        .map(|line| line.rsplit_once(' ').expect("a value").1.parse::<u64>().expect("a number"))
        .sum();
    assert_eq!(labels, 100);
    assert_eq!(count(&text, "dictum_jobs_total{job=\"training\",result=\"done\"}"), 1);
    assert_eq!(count(&text, "dictum_model_swaps_total"), 1);
    let created = value(&text, "dictum_model_created_timestamp_seconds{model=\"tiny\"}");
    assert!(created.parse::<f64>().expect("a number") > 1.7e9);
    assert!(count(&text, "process_resident_memory_bytes") > 1_000_000);
    assert!(!text.contains(CANARY), "{text}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_but_a_scrape_is_turned_away() {
    let server = spawn_server().await;
    let other = http(&server, "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
    let post = http(&server, "POST /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let noise = http(&server, "\u{1}\u{2}\r\n\r\n").await;
    assert!(noise.is_empty() || noise.starts_with("HTTP/1.1 400 "), "{noise}");
    server.stop().await;
}
