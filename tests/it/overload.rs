//! Too much to do: refused at once, with when to try again; the owner's calls are answered.

use std::num::NonZeroU32;
use std::time::Duration;

use dictum::proto::{ClassifyRequest, ListModelsRequest, StreamClassifyRequest};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
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
