//! What is refused: each with a canonical code, a reason, and the field at fault.

use dictum::proto::{
    ActivateModelRequest, BatchClassifyRequest, ClassifyOptions, ClassifyRequest,
    ClassifyTextRequest, DeleteModelRequest, GetModelRequest, ListModelsRequest, TrainingSettings,
    TrainingSpec,
};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Server, assert_error, assert_fields, spawn_server, spec, tiny_csv};

const GOOD: &str = "The minister denied it.";

/// Asserts that the server answers as if nothing had happened.
async fn assert_unharmed(server: Server) {
    let answer = server.classify("", GOOD).await;
    assert_eq!(answer.model_version.expect("who answered").name, "news-statements");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sentence_that_is_blank_or_too_long_is_refused() {
    let server = spawn_server().await;
    let mut client = server.classifier().await;
    let long = "a".repeat(65_537);
    for (sentence, reason) in [
        ("", "SENTENCE_BLANK"),
        (" \t\r\n\u{3000}", "SENTENCE_BLANK"),
        (long.as_str(), "SENTENCE_TOO_LONG"),
    ] {
        let request = ClassifyRequest { sentence: sentence.to_owned(), options: None };
        let status = client.classify(request).await.expect_err("refused");
        assert_fields(&status, reason, &["sentence"]);
    }
    let longest = ClassifyRequest { sentence: "a".repeat(65_536), options: None };
    client.classify(longest).await.expect("the limit is inclusive");
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_out_of_range_are_refused() {
    let server = spawn_server().await;
    let mut client = server.classifier().await;
    let mut refusal = async |options: ClassifyOptions| {
        let request = ClassifyRequest { sentence: GOOD.to_owned(), options: Some(options) };
        client.classify(request).await.expect_err("refused")
    };
    for p in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e-9, 1.000_001] {
        let options = ClassifyOptions { min_probability: Some(p), ..Default::default() };
        let status = refusal(options).await;
        assert_fields(&status, "MIN_PROBABILITY_OUT_OF_RANGE", &["options.min_probability"]);
    }
    for name in ["../x", "/etc", "A", "a/b", "a\0", "é", &"a".repeat(300)] {
        let options = ClassifyOptions { model: name.to_owned(), ..Default::default() };
        assert_fields(&refusal(options).await, "MODEL_NAME_MALFORMED", &["options.model"]);
    }
    let unknown = ClassifyOptions { model: "nobody".to_owned(), ..Default::default() };
    assert_error(&refusal(unknown).await, Code::NotFound, "MODEL_UNKNOWN");
    let unknown = ClassifyOptions { version: 9, ..Default::default() };
    assert_error(&refusal(unknown).await, Code::NotFound, "VERSION_UNKNOWN");
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_a_request_is_named_at_once() {
    let server = spawn_server().await;
    let options =
        ClassifyOptions { model: "A".to_owned(), min_probability: Some(2.0), ..Default::default() };
    let request = ClassifyRequest { sentence: String::new(), options: Some(options) };
    let status = server.classifier().await.classify(request).await.expect_err("refused");
    let fields = ["sentence", "options.model", "options.min_probability"];
    assert_fields(&status, "SENTENCE_BLANK", &fields);
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_empty_or_too_large_is_refused() {
    let server = spawn_server().await;
    let mut client = server.classifier().await;
    for (n, reason) in [(0, "BATCH_EMPTY"), (10_001, "BATCH_TOO_LARGE")] {
        let request = BatchClassifyRequest { sentences: vec![GOOD.to_owned(); n], options: None };
        let status = client.batch_classify(request).await.expect_err("refused");
        assert_fields(&status, reason, &["sentences"]);
    }
    let options = Some(ClassifyOptions { top_k: 1, ..Default::default() });
    let request = BatchClassifyRequest { sentences: vec![GOOD.to_owned(); 10_000], options };
    client.batch_classify(request).await.expect("the limit is inclusive");
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bad_sentences_of_a_batch_are_named_and_all_are_counted() {
    let server = spawn_server().await;
    let mut sentences = vec![GOOD.to_owned(); 10_000];
    for sentence in &mut sentences[3..] {
        sentence.clear();
    }
    let request = BatchClassifyRequest { sentences, options: None };
    let status = server.classifier().await.batch_classify(request).await.expect_err("refused");
    let fields: Vec<_> = (3..23).map(|i| format!("sentences[{i}]")).collect();
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    assert_fields(&status, "SENTENCE_BLANK", &fields);
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.metadata["violation_count"], "9997");
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_blank_or_too_long_is_refused() {
    let server = spawn_server().await;
    let mut client = server.classifier().await;
    for (text, reason) in
        [(" \n".to_owned(), "TEXT_BLANK"), ("a ".repeat(524_289), "TEXT_TOO_LONG")]
    {
        let request = ClassifyTextRequest { text, ..Default::default() };
        let status = client.classify_text(request).await.expect_err("refused");
        assert_fields(&status, reason, &["text"]);
    }
    let request =
        ClassifyTextRequest { text: GOOD.to_owned(), offset_encoding: 9, ..Default::default() };
    let status = client.classify_text(request).await.expect_err("refused");
    assert_fields(&status, "OFFSET_ENCODING_UNKNOWN", &["offset_encoding"]);
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_with_a_bad_spec_is_refused_before_its_data() {
    let server = spawn_server().await;
    let with = |settings| TrainingSpec { settings: Some(settings), ..spec("m") };
    let settings = TrainingSettings::default;
    for (bad, reason, field) in [
        (spec("Bad Name"), "MODEL_NAME_MALFORMED", "spec.model"),
        (
            TrainingSpec { delimiter: "|".to_owned(), ..spec("m") },
            "DELIMITER_UNKNOWN",
            "spec.delimiter",
        ),
        (
            TrainingSpec { min_probability: Some(f64::NAN), ..spec("m") },
            "MIN_PROBABILITY_OUT_OF_RANGE",
            "spec.min_probability",
        ),
        (
            TrainingSpec { target_accuracy: Some(0.0), ..spec("m") },
            "TARGET_ACCURACY_OUT_OF_RANGE",
            "spec.target_accuracy",
        ),
        (
            TrainingSpec { target_accuracy: Some(0.9), min_probability: Some(0.5), ..spec("m") },
            "THRESHOLD_GIVEN_TWICE",
            "spec.target_accuracy",
        ),
        (
            with(TrainingSettings { alphas: vec![0.0], ..settings() }),
            "SETTING_OUT_OF_RANGE",
            "spec.settings.alphas",
        ),
        (
            with(TrainingSettings { folds: 51, ..settings() }),
            "SETTING_OUT_OF_RANGE",
            "spec.settings.folds",
        ),
        (
            with(TrainingSettings { weighting: 7, ..settings() }),
            "WEIGHTING_UNKNOWN",
            "spec.settings.weighting",
        ),
        (
            with(TrainingSettings { views: vec![1, 0], ..settings() }),
            "VIEW_UNKNOWN",
            "spec.settings.views[1]",
        ),
    ] {
        let status = server.try_train(bad, &tiny_csv(""), 64).await.expect_err("refused");
        assert_fields(&status, reason, &[field]);
    }
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_that_cannot_be_read_is_refused_with_its_place() {
    let server = spawn_server().await;
    for (csv, reason, line) in [
        (&b""[..], "CSV_EMPTY", None),
        (b"text,label\na,b\nc\xff,d\n", "CSV_NOT_UTF8", Some("3")),
        (b"text,label\na\0,b\n", "CSV_NOT_TEXT", Some("2")),
        (b"text,label\na,b\n\"c,d\n", "CSV_QUOTE_OPEN", Some("3")),
        (b"text,kind\na,b\n", "COLUMN_MISSING", None),
        (b"\x1f\x8b\x08\0\0\0\0\0", "CSV_NOT_TEXT", None),
    ] {
        let status = server.try_train_bytes(spec("m"), csv).await.expect_err("refused");
        assert_fields(&status, reason, &["csv"]);
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(info.metadata.get("line").map(String::as_str), line, "{status:?}");
    }
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_cannot_be_learned_from_is_refused_with_label_and_count() {
    let server = spawn_server().await;
    let one_label = "text,label\na,x\nb,x\n";
    let status = server.try_train(spec("m"), one_label, 64).await.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "TOO_FEW_LABELS");
    let one_example = "text,label\na,x\nb,x\nc,y\n";
    for validate_only in [false, true] {
        let spec = TrainingSpec { validate_only, ..spec("m") };
        let status = server.try_train(spec, one_example, 64).await.expect_err("refused");
        assert_error(&status, Code::FailedPrecondition, "TOO_FEW_EXAMPLES");
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!((info.metadata["label"].as_str(), info.metadata["found"].as_str()), ("y", "1"));
    }
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_model_cannot_be_changed() {
    let server = spawn_server().await;
    let name = "news-statements";
    let status = server.try_train(spec(name), &tiny_csv(""), 64).await.expect_err("refused");
    assert_error(&status, Code::PermissionDenied, "MODEL_BUILT_IN");
    let mut client = server.models().await;
    let request = ActivateModelRequest { model: name.to_owned(), version: 1 };
    let status = client.activate_model(request).await.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "MODEL_BUILT_IN");
    let request = DeleteModelRequest { model: name.to_owned(), version: 1 };
    let status = client.delete_model(request).await.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "MODEL_BUILT_IN");
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_not_there_cannot_be_shown_activated_or_deleted() {
    let server = spawn_server().await;
    let mut client = server.models().await;
    let model = "nobody".to_owned();
    let request = GetModelRequest { model: model.clone(), version: 0 };
    let status = client.get_model(request).await.expect_err("refused");
    assert_error(&status, Code::NotFound, "MODEL_UNKNOWN");
    let request = ActivateModelRequest { model: model.clone(), version: 1 };
    let status = client.activate_model(request).await.expect_err("refused");
    assert_error(&status, Code::NotFound, "MODEL_UNKNOWN");
    let request = DeleteModelRequest { model, version: 1 };
    let status = client.delete_model(request).await.expect_err("refused");
    assert_error(&status, Code::NotFound, "MODEL_UNKNOWN");
    let request = DeleteModelRequest::default();
    let status = client.delete_model(request).await.expect_err("refused");
    assert_fields(&status, "MODEL_MISSING", &["model", "version"]);
    assert_unharmed(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_too_large_or_has_a_foreign_token_is_refused() {
    let server = spawn_server().await;
    let mut client = server.models().await;
    let request = ListModelsRequest { page_size: 1_001, ..Default::default() };
    let status = client.list_models(request).await.expect_err("refused");
    assert_fields(&status, "PAGE_TOO_LARGE", &["page_size"]);
    for token in ["x", "@", "A@1", "a@-1", "a@b"] {
        let request = ListModelsRequest { page_token: token.to_owned(), ..Default::default() };
        let status = client.list_models(request).await.expect_err("refused");
        assert_fields(&status, "PAGE_TOKEN_UNKNOWN", &["page_token"]);
    }
    assert_unharmed(server).await;
}
