//! How much labelled data a call may bring, and how long that may take.

use std::num::NonZeroU64;
use std::time::Duration;

use dictum::proto::evaluate_model_request::Payload as EvaluatePayload;
use dictum::proto::train_model_request::Payload;
use dictum::proto::{EvaluateModelRequest, EvaluationSpec, Example, Examples, TrainModelRequest};
use tokio::time::interval;
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{StreamExt, iter};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Server, all, assert_error, new_folder, spawn_server_with, tiny_csv};

/// How a training, and how an evaluation, on these messages fail.
async fn failures(server: &Server, payloads: &[Payload]) -> [Status; 2] {
    let trained = payloads.iter().cloned();
    let trained = trained.map(|payload| TrainModelRequest { payload: Some(payload) });
    let trained: Vec<_> = trained.collect();
    let training = server.models().await.train_model(iter(trained)).await.expect("a stream");
    let training = all(training.into_inner()).await.expect_err("too much to train on");
    let judged: Vec<_> = payloads.iter().map(|payload| evaluation(payload.clone())).collect();
    let evaluation = server.models().await.evaluate_model(iter(judged)).await;
    [training, evaluation.expect_err("too much to judge by")]
}

fn evaluation(payload: Payload) -> EvaluateModelRequest {
    let payload = match payload {
        Payload::Csv(bytes) => EvaluatePayload::Csv(bytes),
        Payload::Examples(examples) => EvaluatePayload::Examples(examples),
        Payload::Spec(_) => EvaluatePayload::Spec(EvaluationSpec::default()),
    };
    EvaluateModelRequest { payload: Some(payload) }
}

fn limit_of(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    info.metadata.get(key).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn more_data_than_an_upload_may_have_is_refused_with_the_limit() {
    let csv = tiny_csv("");
    let n_rows = 12;
    let example =
        |i| Example { sentence: format!("He denied it {i} times."), label: "denial".to_owned() };
    let examples = Examples { examples: (0..n_rows).map(example).collect() };
    let uploads = [[Payload::Csv(csv.clone().into_bytes())], [Payload::Examples(examples)]];
    for (reason, limit) in [("DATA_TOO_LARGE", 100_u64), ("DATA_TOO_MANY_ROWS", n_rows - 1)] {
        let server = spawn_server_with(new_folder(), |config| {
            let limit = NonZeroU64::new(limit).expect("not zero");
            if reason == "DATA_TOO_LARGE" {
                config.limits.max_upload_bytes = limit;
            } else {
                config.limits.max_upload_rows = limit;
            }
        })
        .await;
        for upload in &uploads {
            for status in failures(&server, upload).await {
                assert_error(&status, Code::ResourceExhausted, reason);
                assert_eq!(limit_of(&status, "limit"), limit.to_string());
            }
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_little_memory_a_training_counts_and_an_evaluation_is_refused() {
    let server = spawn_server_with(new_folder(), |config| {
        config.limits.max_job_memory_bytes = 200_000;
    })
    .await;
    let mut csv = tiny_csv("");
    for i in 0..3_000 {
        csv.push_str(&format!("The bank denied it {i} times.,denial\n"));
    }
    server.train("counted", &csv, 10_000).await;
    assert_eq!(server.versions("counted").await, [(1, true)]);
    let payload = evaluation(Payload::Csv(csv.into_bytes()));
    let status = server.models().await.evaluate_model(iter([payload])).await.expect_err("too much");
    assert_error(&status, Code::ResourceExhausted, "DATA_TOO_LARGE");
    assert_eq!(limit_of(&status, "limit"), "200000");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_takes_too_long_is_ended_with_the_limit() {
    let server = spawn_server_with(new_folder(), |config| {
        config.timeouts.upload = Duration::from_millis(200);
    })
    .await;
    // Never idle, and never at its end.
    let pieces = || {
        let ticks = IntervalStream::new(interval(Duration::from_millis(20)));
        ticks.map(|_tick| Payload::Csv(b"text,label\n".to_vec()))
    };
    let requests = pieces().map(|payload| TrainModelRequest { payload: Some(payload) });
    let replies = server.models().await.train_model(requests).await.expect("a stream");
    let training = all(replies.into_inner()).await.expect_err("too slow");
    let requests = pieces().map(evaluation);
    let judging = server.models().await.evaluate_model(requests).await.expect_err("too slow");
    for status in [training, judging] {
        assert_error(&status, Code::Aborted, "UPLOAD_TOO_SLOW");
        assert_eq!(limit_of(&status, "limit_seconds"), "0.2");
    }
    server.stop().await;
}
