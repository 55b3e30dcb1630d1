//! Too much to do: refused at once, with when to try again; the owner's calls are answered.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use dictum::proto::stream_classify_response::Result as ItemResult;
use dictum::proto::{
    BatchClassifyRequest, ClassifyRequest, ClassifyTextRequest, ListModelsRequest,
    StreamClassifyRequest,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_types::StatusExt;

use crate::raw;
use crate::support::{PATIENCE, Server, assert_error, new_folder, spawn_server_with};

/// A stream that is open and does nothing.
async fn open_stream(server: &Server) -> mpsc::Sender<StreamClassifyRequest> {
    let (sender, items) = mpsc::channel(1);
    let stream = server.classifier().await.stream_classify(ReceiverStream::new(items)).await;
    let answers = stream.expect("a stream").into_inner();
    // Its end is not waited for: it is open as long as both sides are.
    std::mem::forget(answers);
    sender
}

fn request() -> ClassifyRequest {
    ClassifyRequest { sentence: "The minister denied it.".to_owned(), options: None }
}

async fn assert_refused(server: &Server, reason: &str, limit: &str) {
    let refused = server.classifier().await.classify(request()).await;
    let status = refused.expect_err("there is too much to do");
    assert_error(&status, Code::ResourceExhausted, reason);
    assert_eq!(status.get_details_error_info().expect("an ErrorInfo").metadata["limit"], limit);
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    // The owner still gets in.
    server.health().await.check(HealthCheckRequest::default()).await.expect("health");
    server.models().await.list_models(ListModelsRequest::default()).await.expect("a list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_above_the_limit_of_the_server_is_refused_and_taken_later() {
    let two = NonZeroU32::new(2).expect("two");
    let server = spawn_server_with(new_folder(), |config| config.limits.max_calls = two).await;
    let first = open_stream(&server).await;
    let second = open_stream(&server).await;
    assert_refused(&server, "TOO_MANY_CALLS", "2").await;
    drop(first);
    let again = async { while server.classifier().await.classify(request()).await.is_err() {} };
    timeout(PATIENCE, again).await.expect("a call ends, another is taken");
    drop(second);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_above_the_limit_of_its_caller_is_refused() {
    let server = spawn_server_with(new_folder(), |config| {
        config.limits.max_calls_per_caller = NonZeroU32::MIN;
    })
    .await;
    let held = open_stream(&server).await;
    assert_refused(&server, "TOO_MANY_CALLS_OF_CALLER", "1").await;
    drop(held);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_loses_its_call() {
    let idle = Duration::from_millis(200);
    let server = spawn_server_with(new_folder(), |config| config.timeouts.stream_idle = idle).await;
    for method in [
        "/dictum.v1.ClassifierService/Classify",
        "/dictum.v1.ClassifierService/StreamClassify",
        "/dictum.v1.ModelService/TrainModel",
        "/dictum.v1.ModelService/EvaluateModel",
    ] {
        let status = raw::call(server.address, method, &[]).await.status().await;
        assert_error(&status, Code::Aborted, "STREAM_IDLE");
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(info.metadata["limit_seconds"], "0.2", "{method}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_requests_are_settings_and_are_said_when_hit() {
    let server = spawn_server_with(new_folder(), |config| {
        let limit = |n| NonZeroUsize::new(n).expect("above zero");
        config.limits.max_sentence_bytes = limit(30);
        config.limits.max_text_bytes = limit(50);
        config.limits.max_batch_sentences = limit(3);
    })
    .await;
    let mut client = server.classifier().await;
    let assert_limit = |status: Status, reason: &str, value: &str, limit: &str| {
        assert_error(&status, Code::InvalidArgument, reason);
        let metadata = status.get_details_error_info().expect("an ErrorInfo").metadata;
        assert_eq!((metadata["value"].as_str(), metadata["limit"].as_str()), (value, limit));
    };
    client.classify(request()).await.expect("short enough");
    let sentence = "a".repeat(31);
    let refused =
        client.classify(ClassifyRequest { sentence: sentence.clone(), options: None }).await;
    assert_limit(refused.expect_err("too long"), "SENTENCE_TOO_LONG", "31", "30");
    let sentences = vec!["No.".to_owned(); 4];
    let batch = BatchClassifyRequest { sentences, options: None };
    let refused = client.batch_classify(batch).await;
    assert_limit(refused.expect_err("too many"), "BATCH_TOO_LARGE", "4", "3");
    let text = |text: String| ClassifyTextRequest { text, ..Default::default() };
    let refused = client.classify_text(text("b".repeat(51))).await;
    assert_limit(refused.expect_err("too long"), "TEXT_TOO_LONG", "51", "50");
    let answer = client.classify_text(text("c".repeat(45))).await.expect("cut").into_inner();
    assert_eq!(answer.sentences.len(), 2);
    let item = StreamClassifyRequest { sentence, ..Default::default() };
    let mut answers = client.stream_classify(tokio_stream::iter([item])).await.expect("a stream");
    let answer = answers.get_mut().next().await.expect("an answer").expect("no error");
    assert!(matches!(answer.result, Some(ItemResult::Error(e)) if e.reason == "SENTENCE_TOO_LONG"));
    server.stop().await;
}

/// Only builds for tests have a sentence that panics.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_handler_a_stream_or_a_job_is_internal_and_the_server_lives() {
    let panic = || "\u{1}panic\u{1}".to_owned();
    let server = spawn_server_with(new_folder(), |_| {}).await;
    let mut client = server.classifier().await;
    for _ in 0..20 {
        let refused = client.classify(ClassifyRequest { sentence: panic(), options: None }).await;
        assert_error(&refused.expect_err("a panic"), Code::Internal, "INTERNAL");
        let sentences = [vec!["No.".to_owned(); 200], vec![panic()]].concat();
        let batch = BatchClassifyRequest { sentences, options: None };
        let refused = client.batch_classify(batch).await;
        assert_error(&refused.expect_err("a panic"), Code::Internal, "INTERNAL");
        let text = ClassifyTextRequest { text: format!("No.\n{}", panic()), ..Default::default() };
        let refused = client.classify_text(text).await;
        assert_error(&refused.expect_err("a panic"), Code::Internal, "INTERNAL");
        let item = |sentence| StreamClassifyRequest { sentence, ..Default::default() };
        let (items, stream) = tokio::sync::mpsc::channel(1);
        items.send(item("No.".to_owned())).await.expect("room");
        let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
        let mut answers = client.stream_classify(stream).await.expect("a stream").into_inner();
        answers.next().await.expect("an answer").expect("to the first item");
        items.send(item(panic())).await.expect("room");
        let refused = answers.next().await.expect("an end").expect_err("a panic");
        assert_error(&refused, Code::Internal, "INTERNAL");
        client.classify(request()).await.expect("the server lives");
    }
    server.stop().await;
}
