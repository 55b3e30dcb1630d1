//! Training and evaluation over the wire.

use std::collections::BTreeMap;

use dictum::proto::evaluate_model_request::Payload as EvaluatePayload;
use dictum::proto::train_model_request::Payload;
use dictum::proto::train_model_response::Update;
use dictum::proto::{
    ActivationDecision, EvaluateModelRequest, EvaluationMethod, EvaluationSpec, Example, Examples,
    Finding, FindingCode, Model, TrainModelRequest, TrainModelResponse, TrainingSpec,
    TrainingStage,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{StreamExt, iter};
use tonic::{Code, Streaming};

use crate::raw;
use crate::support::{
    PATIENCE, Server, all, assert_error, assert_fields, model_of, spawn_server, spec, tiny_csv,
    upload,
};

const TRAIN: &str = "/dictum.v1.ModelService/TrainModel";
const DENIAL: &str = "The minister denied it and called the claim false.";

/// A training that has begun and waits for more data.
async fn training_under_way(
    server: &Server,
    name: &str,
) -> (mpsc::Sender<TrainModelRequest>, Streaming<TrainModelResponse>) {
    let (sender, requests) = mpsc::channel(4);
    for request in upload(spec(name), &tiny_csv(""), 1_000_000) {
        sender.send(request).await.expect("room");
    }
    let replies = server.models().await.train_model(ReceiverStream::new(requests)).await;
    let mut replies = replies.expect("a stream").into_inner();
    let reply = timeout(PATIENCE, replies.next()).await.expect("progress in time");
    let update = reply.expect("a reply").expect("no error").update;
    match update {
        Some(Update::Progress(p)) => assert_eq!(p.stage(), TrainingStage::Reading),
        other => panic!("progress, not {other:?}"),
    }
    (sender, replies)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_in_pieces_of_any_size_gives_the_same_model() {
    let server = spawn_server().await;
    let mut digests = Vec::new();
    for (version, piece) in [(1, 1), (2, 7), (3, 65_536)] {
        let model = server.train("tiny", &tiny_csv(""), piece).await;
        let got = model.model_version.expect("a version");
        assert_eq!((got.name.as_str(), got.version), ("tiny", version));
        assert!(model.active);
        let labels: BTreeMap<_, _> =
            model.labels.iter().map(|l| (l.label.as_str(), l.example_count)).collect();
        assert_eq!(labels, BTreeMap::from([("accusation", 6), ("denial", 6)]));
        let evaluation = model.evaluation.expect("an evaluation");
        assert_eq!(evaluation.method(), EvaluationMethod::OutOfFold);
        let interval = evaluation.accuracy_interval.expect("an interval");
        assert!((interval.low..=interval.high).contains(&evaluation.accuracy), "{interval:?}");
        digests.push(model.data_digest);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
    let answer = server.classify("tiny", DENIAL).await;
    assert_eq!(answer.model_version.expect("who answered").version, 3);
    assert_eq!(answer.classification.expect("a classification").label, "denial");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn examples_as_messages_give_the_same_model_as_their_csv() {
    let server = spawn_server().await;
    let csv = "text,label\nNo.,denial\n\"No, never.\",denial\nYou lied.,accusation\nYou stole.,accusation\n";
    let by_csv = server.train("by-csv", csv, 10).await;
    let example = |sentence: &str, label: &str| Example {
        sentence: sentence.to_owned(),
        label: label.to_owned(),
    };
    let messages = [
        Payload::Spec(spec("by-message")),
        Payload::Examples(Examples {
            examples: vec![example("No.", "denial"), example("No, never.", "denial")],
        }),
        Payload::Examples(Examples { examples: Vec::new() }),
        Payload::Examples(Examples {
            examples: vec![example("You lied.", "accusation"), example("You stole.", "accusation")],
        }),
    ];
    let requests = messages.map(|payload| TrainModelRequest { payload: Some(payload) });
    let replies = server.models().await.train_model(iter(requests)).await.expect("a stream");
    let by_message = model_of(&all(replies.into_inner()).await.expect("a model"));
    assert_eq!(by_message.data_digest, by_csv.data_digest);
    assert_eq!(by_message.settings, by_csv.settings);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentences_that_share_nothing_can_be_trained_on() {
    let server = spawn_server().await;
    let model = server.train("apart", "text,label\na,x\nbb,x\n犬,y\n7,y\n", 10).await;
    assert_eq!(model.labels.len(), 2);
    server.classify("apart", "a").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_without_a_spec_trains_the_default_name() {
    let server = spawn_server().await;
    let payload = Some(Payload::Csv(tiny_csv("").into_bytes()));
    let requests = iter([TrainModelRequest { payload }]);
    let replies = server.models().await.train_model(requests).await.expect("a stream");
    let model = model_of(&all(replies.into_inner()).await.expect("a model"));
    assert_eq!(model.model_version.expect("a version").name, "default");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_never_falls_and_the_result_comes_last_and_once() {
    let server = spawn_server().await;
    let replies = server.try_train(spec("tiny"), &tiny_csv(""), 64).await.expect("a model");
    let (last, before) = replies.split_last().expect("replies");
    assert!(matches!(last.update, Some(Update::Model(_))));
    assert_eq!(last.data_report.as_ref().expect("a report").used_count, 12);
    let mut reached = (0, 0.0);
    for reply in before {
        assert_eq!(reply.data_report, None);
        let Some(Update::Progress(progress)) = &reply.update else {
            panic!("progress before the result, not {reply:?}");
        };
        assert!((progress.stage, progress.fraction) >= reached, "{progress:?} after {reached:?}");
        reached = (progress.stage, progress.fraction);
    }
    assert!(reached.0 > TrainingStage::Reading as i32, "more than reading was told of");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_single_rows_are_reported_by_line_and_counted() {
    let server = spawn_server().await;
    let mut csv = tiny_csv("");
    let first_line = csv.lines().count() as u64 + 1;
    for _ in 0..30 {
        csv.push_str("a,b,c\n");
    }
    csv.push_str(" ,denial\n");
    let replies = server.try_train(spec("tiny"), &csv, 100).await.expect("a model");
    let report = replies.last().and_then(|r| r.data_report.clone()).expect("a report");
    assert_eq!((report.row_count, report.used_count), (43, 12));
    let counts: Vec<_> = report.counts.iter().map(|c| (c.code(), c.count)).collect();
    let of_rows = [(FindingCode::WrongColumnCount, 30), (FindingCode::EmptyText, 1)];
    // The rows that are used are few, and made by a template.
    let of_labels = [(FindingCode::FewExamples, 2), (FindingCode::Giveaway, 2)];
    assert_eq!(counts, [of_rows, of_labels].concat());
    assert_eq!(report.findings.len(), 20);
    let of_columns = |f: &&Finding| f.code() == FindingCode::WrongColumnCount;
    assert_eq!(report.findings.iter().find(of_columns).map(|f| f.line), Some(first_line));
    assert_eq!(report.findings.last().map(|f| f.code()), Some(FindingCode::EmptyText));
    let all_findings = TrainingSpec { all_findings: true, ..spec("tiny") };
    let replies = server.try_train(all_findings, &csv, 100).await.expect("a model");
    let report = replies.last().and_then(|r| r.data_report.clone()).expect("a report");
    assert_eq!(report.findings.len(), 35);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_reports_and_stores_nothing() {
    let server = spawn_server().await;
    let spec = TrainingSpec { validate_only: true, ..spec("tiny") };
    let replies = server.try_train(spec, &tiny_csv(""), 64).await.expect("a report");
    let last = replies.last().expect("a reply");
    assert_eq!(last.update, None);
    assert_eq!(last.data_report.as_ref().expect("a report").used_count, 12);
    assert_eq!(server.versions("tiny").await, []);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_activated_waits() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    let spec = TrainingSpec { activate: Some(false), ..spec("tiny") };
    let replies = server.try_train(spec, &tiny_csv("Again."), 1_000).await.expect("a model");
    assert!(!model_of(&replies).active);
    assert_eq!(server.versions("tiny").await, [(2, false), (1, true)]);
    let answer = server.classify("tiny", DENIAL).await;
    assert_eq!(answer.model_version.expect("who answered").version, 1);
    server.stop().await;
}

/// The tiny CSV with the labels of two halves of its rows exchanged, whatever they say.
fn corrupted_csv() -> String {
    let label = |row: usize| ["denial", "accusation"][row / 2 % 2];
    let mut csv = "text,label\n".to_owned();
    for (row, who) in ["minister", "mayor", "coach", "bank", "union", "lawyer"].iter().enumerate() {
        let [denial, accusation] = [label(row), label(row + 1)];
        csv.push_str(&format!("\"The {who} denied it, and called the claim false.\",{denial}\n"));
        csv.push_str(&format!("Residents accused the {who} of fraud.,{accusation}\n"));
    }
    csv
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_significantly_worse_does_not_answer_unless_forced() {
    let server = spawn_server().await;
    let first = server.try_train(spec("tiny"), &tiny_csv(""), 1_000).await.expect("a model");
    let activation = |replies: &[TrainModelResponse]| {
        replies.last().and_then(|reply| reply.activation.clone()).expect("a decision")
    };
    assert_eq!(activation(&first).decision(), ActivationDecision::First);
    let before = server.classify("tiny", DENIAL).await;

    let worse = server.try_train(spec("tiny"), &corrupted_csv(), 1_000).await.expect("a model");
    let refused = activation(&worse);
    assert_eq!(refused.decision(), ActivationDecision::Refused, "{refused:?}");
    assert!(refused.message.contains("significantly worse than version 1"), "{refused:?}");
    let comparison = refused.comparison.expect("they were compared");
    let active = comparison.active_tally.expect("counts");
    assert_eq!((comparison.active_version, active.example_count), (1, 12));
    assert!(comparison.is_worse && comparison.worse_p_value < 0.05);
    let rows = comparison.same_rows.expect("other data");
    let n_rows = rows.both_right_count
        + rows.only_new_right_count
        + rows.only_active_right_count
        + rows.both_wrong_count;
    assert_eq!(n_rows, 12);
    assert_eq!(server.versions("tiny").await, [(2, false), (1, true)]);
    assert_eq!(server.classify("tiny", DENIAL).await, before);

    let forced = TrainingSpec { force: true, ..spec("tiny") };
    let forced = server.try_train(forced, &corrupted_csv(), 1_000).await.expect("a model");
    assert_eq!(activation(&forced).decision(), ActivationDecision::Forced);
    assert_eq!(server.versions("tiny").await[0], (3, true));
    let back = server.try_train(spec("tiny"), &tiny_csv(""), 1_000).await.expect("a model");
    assert_eq!(activation(&back).decision(), ActivationDecision::NotWorse);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_other_labels_is_not_compared() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    let csv = "text,label\na,x\nbb,x\nc,y\nd,y\n";
    let replies = server.try_train(spec("tiny"), csv, 1_000).await.expect("a model");
    let activation = replies.last().and_then(|r| r.activation.clone()).expect("a decision");
    assert_eq!(activation.decision(), ActivationDecision::NotCompared);
    assert_eq!(activation.comparison, None);
    assert!(model_of(&replies).active);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accuracy_that_cannot_be_reached_publishes_nothing() {
    let server = spawn_server().await;
    let wish = TrainingSpec { target_accuracy: Some(1.0), ..spec("tiny") };
    let status = server.try_train(wish.clone(), &corrupted_csv(), 1_000).await;
    let status = status.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "TARGET_ACCURACY_NOT_REACHED");
    assert_eq!(server.versions("tiny").await, []);
    let replies = server.try_train(wish, &tiny_csv(""), 1_000).await.expect("a model");
    let threshold = replies.last().and_then(|r| r.threshold).expect("what it costs");
    assert_eq!((threshold.min_probability, threshold.coverage), (0.0, 1.0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_fails_leaves_the_active_model() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    let before = server.classify("tiny", DENIAL).await;
    let status = server.try_train(spec("tiny"), "text,label\na,b\n", 5).await.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "TOO_FEW_LABELS");
    assert_eq!(server.classify("tiny", DENIAL).await, before);
    assert_eq!(server.versions("tiny").await, [(1, true)]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_training_of_a_model_is_aborted_and_the_first_goes_on() {
    let server = spawn_server().await;
    let (sender, replies) = training_under_way(&server, "tiny").await;
    let status = server.try_train(spec("tiny"), &tiny_csv(""), 1_000).await.expect_err("refused");
    assert_error(&status, Code::Aborted, "TRAINING_RUNNING");
    server.train("other", &tiny_csv(""), 1_000).await;
    drop(sender);
    let model = model_of(&all(replies).await.expect("a model"));
    assert_eq!(model.model_version.expect("a version").version, 1);
    server.train("tiny", &tiny_csv(""), 1_000).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_trainings_than_allowed_are_refused_at_once() {
    let server = spawn_server().await;
    let mut under_way = Vec::new();
    for name in ["a", "b", "c", "d"] {
        under_way.push(training_under_way(&server, name).await);
    }
    let status = server.try_train(spec("e"), &tiny_csv(""), 1_000).await.expect_err("refused");
    assert_error(&status, Code::ResourceExhausted, "TOO_MANY_JOBS");
    for (sender, replies) in under_way {
        drop(sender);
        all(replies).await.expect("a model");
    }
    server.train("e", &tiny_csv(""), 1_000).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_is_called_off_publishes_nothing() {
    let server = spawn_server().await;
    for round in 1..=10 {
        // All rows are there, only the end of the stream is not: what was read could be learned from.
        let mut call = raw::call(server.address, TRAIN, &[]).await;
        for request in upload(spec("tiny"), &tiny_csv(""), 1_000_000) {
            call.send(&request.encode_to_vec(), false);
        }
        call.cancel_when_it_answers().await;
        let model = timeout(PATIENCE, train_when_free(&server, "tiny")).await;
        let version = model.expect("the claim is given up").model_version.expect("a version");
        assert_eq!(version.version, round);
    }
    server.stop().await;
}

/// Trains a model as soon as the server has noticed that the training before was called off.
async fn train_when_free(server: &Server, name: &str) -> Model {
    loop {
        match server.try_train(spec(name), &tiny_csv(""), 1_000).await {
            Ok(replies) => return model_of(&replies),
            Err(status) => assert_error(&status, Code::Aborted, "TRAINING_RUNNING"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_out_of_order_is_refused() {
    let server = spawn_server().await;
    let csv = || Payload::Csv(tiny_csv("").into_bytes());
    let examples = || Payload::Examples(Examples { examples: vec![Example::default()] });
    for (payloads, reason, field) in [
        (vec![Some(csv()), Some(examples())], "PAYLOAD_MIXED", "payload"),
        (vec![Some(examples()), Some(csv())], "PAYLOAD_MIXED", "payload"),
        (vec![Some(csv()), Some(Payload::Spec(spec("x")))], "SPEC_NOT_FIRST", "spec"),
        (
            vec![Some(Payload::Spec(spec("x"))), Some(Payload::Spec(spec("x")))],
            "SPEC_NOT_FIRST",
            "spec",
        ),
        (vec![None], "PAYLOAD_MISSING", "payload"),
        (vec![Some(csv()), None], "PAYLOAD_MISSING", "payload"),
    ] {
        let requests = iter(payloads.into_iter().map(|payload| TrainModelRequest { payload }));
        let replies = server.models().await.train_model(requests).await.expect("a stream");
        let status = all(replies.into_inner()).await.expect_err("refused");
        assert_fields(&status, reason, &[field]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_judged_on_given_examples_unknown_labels_counting_as_wrong() {
    let server = spawn_server().await;
    let model = server.train("tiny", &tiny_csv(""), 1_000).await;
    let csv = "label;sentence\ndenial;The minister denied it.\naccusation;They accused the bank \
        of fraud.\nrumour;Nobody knows.\n";
    let spec = EvaluationSpec {
        model: "tiny".to_owned(),
        text_column: "sentence".to_owned(),
        ..Default::default()
    };
    let pieces = csv.as_bytes().chunks(11).map(|c| EvaluatePayload::Csv(c.to_vec()));
    let payloads: Vec<_> = std::iter::once(EvaluatePayload::Spec(spec)).chain(pieces).collect();
    let requests = payloads.into_iter().map(|p| EvaluateModelRequest { payload: Some(p) });
    let judged = server.models().await.evaluate_model(iter(requests.collect::<Vec<_>>())).await;
    let judged = judged.expect("a judgement").into_inner();
    let evaluation = judged.evaluation.expect("an evaluation");
    assert_eq!(evaluation.method(), EvaluationMethod::GivenExamples);
    assert_eq!(evaluation.example_count, 3);
    assert!((evaluation.accuracy - 2.0 / 3.0).abs() < 1e-12, "{}", evaluation.accuracy);
    // Wilson's interval of 2 in 3.
    let interval = evaluation.accuracy_interval.expect("an interval");
    assert!((interval.low - 0.207_7).abs() < 1e-4, "{interval:?}");
    assert!((interval.high - 0.938_5).abs() < 1e-4, "{interval:?}");
    assert_eq!(judged.model_version.expect("who was judged").version, 1);
    assert_eq!(judged.data_report.expect("a report").used_count, 3);
    assert_eq!(judged.settings, model.settings, "as it was trained");
    assert_eq!(judged.training_data_digest, model.data_digest);
    assert_ne!(judged.training_data_digest, evaluation.data_digest, "other sentences");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_of_an_unknown_model_is_refused() {
    let server = spawn_server().await;
    let spec = EvaluationSpec { model: "nobody".to_owned(), ..Default::default() };
    let requests = iter([EvaluateModelRequest { payload: Some(EvaluatePayload::Spec(spec)) }]);
    let status = server.models().await.evaluate_model(requests).await.expect_err("refused");
    assert_error(&status, Code::NotFound, "MODEL_UNKNOWN");
    server.stop().await;
}
