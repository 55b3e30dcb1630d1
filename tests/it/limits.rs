//! What is over a limit is refused with the right code, and the connection lives on.

use std::time::Duration;

use dictum::proto::train_model_request::Payload;
use dictum::proto::{
    BatchClassifyRequest, ClassifyOptions, ClassifyRequest, StreamClassifyRequest,
    TrainModelRequest,
};
use prost::Message;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_stream::{StreamExt, iter};
use tonic::Code;
use tonic_types::StatusExt;

use crate::raw;
use crate::support::{PATIENCE, all, assert_error, spawn_server, spec, tiny_csv, upload};

const MIB: usize = 1024 * 1024;
const GOOD: &str = "The minister denied it.";

const CLASSIFY: &str = "/dictum.v1.ClassifierService/Classify";
const STREAM_CLASSIFY: &str = "/dictum.v1.ClassifierService/StreamClassify";
const TRAIN: &str = "/dictum.v1.ModelService/TrainModel";
const EVALUATE: &str = "/dictum.v1.ModelService/EvaluateModel";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_is_resource_exhausted_and_the_connection_lives() {
    let server = spawn_server().await;
    let mut client = server.classifier().await;
    let good = || ClassifyRequest { sentence: GOOD.to_owned(), options: None };

    let request = ClassifyRequest { sentence: "a".repeat(MIB), options: None };
    let status = client.classify(request).await.expect_err("over 1 MiB");
    assert_error(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let metadata = status.get_details_error_info().expect("an ErrorInfo").metadata;
    assert_eq!((metadata["value"].as_str(), metadata["limit"].as_str()), ("1048580", "1048576"));
    client.classify(good()).await.expect("the connection lives");

    let sentences = vec!["a".repeat(MIB); 4];
    let status = client.batch_classify(BatchClassifyRequest { sentences, options: None }).await;
    let status = status.expect_err("over 4 MiB");
    assert_error(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    client.classify(good()).await.expect("the connection lives");

    let item = |sentence: String| StreamClassifyRequest { sentence, ..Default::default() };
    let items = iter([item(GOOD.to_owned()), item("a".repeat(4 * MIB))]);
    let mut answers = client.stream_classify(items).await.expect("a stream").into_inner();
    answers.next().await.expect("an answer").expect("to the first item");
    let status = answers.next().await.expect("an end").expect_err("over 4 MiB");
    assert_error(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    client.classify(good()).await.expect("the connection lives");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_of_an_upload_over_the_limit_is_resource_exhausted() {
    let server = spawn_server().await;
    let payload = Some(Payload::Csv(vec![b'a'; 4 * MIB + 1]));
    let requests = iter([TrainModelRequest { payload }]);
    let replies = server.models().await.train_model(requests).await.expect("a stream");
    let status = all(replies.into_inner()).await.expect_err("over 4 MiB");
    assert_error(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    server.train("default", &tiny_csv(""), 1_000).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_over_the_limit_is_resource_exhausted() {
    let server = spawn_server().await;
    let mut csv = "text,label\n".to_owned();
    for i in 0..40 {
        csv.push_str(&format!(
            "word{i},a label with a long name {i}\nterm{i},a label with a long name {i}\n"
        ));
    }
    server.train("wide", &csv, 1_000).await;
    let ask = |top_k| BatchClassifyRequest {
        sentences: vec![GOOD.to_owned(); 10_000],
        options: Some(ClassifyOptions { model: "wide".to_owned(), top_k, ..Default::default() }),
    };
    let mut client = server.classifier().await;
    let status = client.batch_classify(ask(0)).await.expect_err("over 4 MiB");
    assert_error(&status, Code::ResourceExhausted, "REPLY_TOO_LARGE");
    client.batch_classify(ask(1)).await.expect("with one label each it fits");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_is_deadline_exceeded_in_unary_calls_and_streams() {
    let server = spawn_server().await;
    for path in [CLASSIFY, STREAM_CLASSIFY, TRAIN, EVALUATE] {
        // Nothing is sent, so that all of them wait.
        let call = raw::call(server.address, path, &[("grpc-timeout", "30m")]).await;
        assert_error(&call.status().await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_whose_deadline_passes_gives_up_its_claim() {
    let server = spawn_server().await;
    let mut call = raw::call(server.address, TRAIN, &[("grpc-timeout", "50m")]).await;
    // All rows, but not the end of the stream.
    for request in upload(spec("default"), &tiny_csv(""), 1_000_000) {
        call.send(&request.encode_to_vec(), false);
    }
    assert_error(&call.status().await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let train = async {
        while server.try_train(Default::default(), &tiny_csv(""), 1_000).await.is_err() {}
    };
    timeout(PATIENCE, train).await.expect("the claim is given up");
    assert_eq!(server.versions("default").await, [(1, true)]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_of_ours_is_refused_with_an_error_info() {
    let server = spawn_server().await;
    let mut call = raw::call(server.address, "/dictum.v1.ClassifierService/Nothing", &[]).await;
    call.send(&[], true);
    assert_error(&call.status().await, Code::Unimplemented, "UNIMPLEMENTED");
    let mut call = raw::call(server.address, "/nobody.v1.Nothing/Nothing", &[]).await;
    call.send(&[], true);
    assert_error(&call.status().await, Code::Unimplemented, "UNIMPLEMENTED");
    // Field 1, sentence: not UTF-8.
    let mut call = raw::call(server.address, CLASSIFY, &[]).await;
    call.send(&[0x0a, 0x02, 0xff, 0xfe], true);
    assert_error(&call.status().await, Code::Internal, "INTERNAL");
    server.classify("", GOOD).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_tiny_messages_on_one_stream_reach_a_slow_reader() {
    const N: usize = 100_000;
    let server = spawn_server().await;
    let (count, mut sent) = watch::channel(0);
    let items = iter(0..N).map(move |i| {
        count.send_replace(i);
        let options = Some(ClassifyOptions { top_k: 1, ..Default::default() });
        StreamClassifyRequest { id: i.to_string(), sentence: "No.".to_owned(), options }
    });
    let mut client = server.classifier().await;
    let mut answers = client.stream_classify(items).await.expect("a stream").into_inner();
    for i in 0..N {
        if i % 10_000 == 0 {
            // Until the sender stands still, because nobody takes its messages any more.
            while timeout(Duration::from_millis(20), sent.changed()).await.is_ok_and(|s| s.is_ok())
            {
            }
        }
        let answer = answers.next().await.expect("an answer").expect("no error");
        assert_eq!(answer.id, i.to_string());
    }
    assert!(answers.next().await.is_none());
    server.stop().await;
}
