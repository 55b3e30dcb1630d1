//! One sentence, many, and a stream of them.

use dictum::proto::stream_classify_response::Result as ItemResult;
use dictum::proto::{
    AbstainReason, BatchClassifyRequest, ClassifyOptions, ClassifyRequest, StreamClassifyRequest,
    StreamClassifyResponse,
};
use tokio_stream::iter;
use tonic::Code;

use crate::support::{all, spawn_server, tiny_csv};

const DENIAL: &str = "The minister denied it and called the claim false.";

#[tokio::test(flavor = "multi_thread")]
async fn the_built_in_model_answers_at_once() {
    let server = spawn_server().await;
    let answer = server.classify("", "We had nothing to do with it, the minister said.").await;
    let version = answer.model_version.expect("who answered");
    assert_eq!((version.name.as_str(), version.version), ("news-statements", 0));
    let classification = answer.classification.expect("a classification");
    assert_eq!(classification.scores.len(), 5);
    let total: f64 = classification.scores.iter().map(|score| score.probability).sum();
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    assert!(classification.scores.is_sorted_by(|a, b| a.probability >= b.probability));
    assert_eq!(classification.label, classification.scores[0].label);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn top_k_above_the_labels_returns_all_and_below_the_best() {
    let server = spawn_server().await;
    let mut client = server.classifier().await;
    for (top_k, n_labels) in [(0, 5), (1, 1), (3, 3), (5, 5), (1_000, 5), (u32::MAX, 5)] {
        let options = Some(ClassifyOptions { top_k, ..Default::default() });
        let request = ClassifyRequest { sentence: DENIAL.to_owned(), options };
        let answer = client.classify(request).await.expect("an answer").into_inner();
        assert_eq!(answer.classification.expect("one").scores.len(), n_labels, "{top_k}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_abstains_with_its_reason() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    let mut client = server.classifier().await;
    let mut ask = async |sentence: &str, min_probability| {
        let options =
            ClassifyOptions { model: "tiny".to_owned(), min_probability, ..Default::default() };
        let request = ClassifyRequest { sentence: sentence.to_owned(), options: Some(options) };
        let answer = client.classify(request).await.expect("an answer").into_inner();
        answer.classification.expect("a classification")
    };
    let unsure = ask(DENIAL, Some(1.0)).await;
    assert_eq!(unsure.abstain_reason(), AbstainReason::LowProbability);
    assert_eq!((unsure.label.as_str(), unsure.scores.len()), ("", 2));
    let unknown = ask("犬", None).await;
    assert_eq!(unknown.abstain_reason(), AbstainReason::NoKnownTokens);
    assert_eq!((unknown.token_count, unknown.unknown_token_count), (1, 1));
    let sure = ask(DENIAL, Some(0.0)).await;
    assert_eq!(
        (sure.abstain_reason(), sure.label.as_str()),
        (AbstainReason::Unspecified, "denial")
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_adds_up_and_points_into_the_sentence() {
    let server = spawn_server().await;
    let sentence = "Der Minister said: “We denied it.”";
    let options = Some(ClassifyOptions { explain: true, ..Default::default() });
    let request = ClassifyRequest { sentence: sentence.to_owned(), options };
    let answer = server.classifier().await.classify(request).await.expect("an answer").into_inner();
    let classification = answer.classification.expect("a classification");
    let explanation = classification.explanation.expect("an explanation");
    let sum: f64 = explanation.contributions.iter().map(|c| c.log_odds).sum();
    let total = explanation.prior_log_odds + sum + explanation.rest_log_odds;
    let log = |i: usize| classification.scores[i].probability.ln();
    assert!((total - (log(0) - log(1))).abs() < 1e-9);
    assert_eq!(explanation.against, classification.scores[1].label);
    let denied = explanation.contributions.iter().find(|c| c.feature == "denied").expect("denied");
    let span = denied.spans[0];
    assert_eq!(&sentence[span.start as usize..span.end as usize], "denied");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_any_size_gives_the_answers_of_its_sentences_in_order() {
    let server = spawn_server().await;
    let mut client = server.classifier().await;
    for n in [1, 64, 65, 1_000] {
        let sentences: Vec<_> = (0..n).map(|i| format!("The mayor denied claim {i}.")).collect();
        let options = Some(ClassifyOptions { top_k: 2, ..Default::default() });
        let request =
            BatchClassifyRequest { sentences: sentences.clone(), options: options.clone() };
        let batch = client.batch_classify(request).await.expect("answers").into_inner();
        assert_eq!(batch.classifications.len(), n);
        for i in [0, n / 2, n - 1] {
            let request =
                ClassifyRequest { sentence: sentences[i].clone(), options: options.clone() };
            let single = client.classify(request).await.expect("an answer").into_inner();
            assert_eq!(single.classification.as_ref(), batch.classifications.get(i));
            assert_eq!(single.model_version, batch.model_version);
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_in_order_and_a_bad_item_does_not_end_it() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    let item = |id: &str, sentence: &str, model: &str, version| StreamClassifyRequest {
        id: id.to_owned(),
        sentence: sentence.to_owned(),
        options: Some(ClassifyOptions { model: model.to_owned(), version, ..Default::default() }),
    };
    let requests = iter([
        item("a", DENIAL, "", 0),
        item("b", " \t", "", 0),
        item("c", DENIAL, "nobody", 0),
        item("d", DENIAL, "tiny", 7),
        item("e", DENIAL, "../tiny", 0),
        item(&"x".repeat(257), DENIAL, "", 0),
        item("f", DENIAL, "tiny", 1),
        StreamClassifyRequest { id: "g".to_owned(), sentence: DENIAL.to_owned(), options: None },
    ]);
    let answers = server.classifier().await.stream_classify(requests).await.expect("a stream");
    let answers = all(answers.into_inner()).await.expect("no end before all");
    let ids: Vec<_> = answers.iter().map(|answer| answer.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c", "d", "e", "", "f", "g"]);
    let errors: Vec<_> = answers.iter().map(error_of).collect();
    let invalid = Code::InvalidArgument as i32;
    assert_eq!(
        errors,
        [
            None,
            Some((invalid, "SENTENCE_BLANK")),
            Some((Code::NotFound as i32, "MODEL_UNKNOWN")),
            Some((Code::NotFound as i32, "VERSION_UNKNOWN")),
            Some((invalid, "MODEL_NAME_MALFORMED")),
            Some((invalid, "ID_TOO_LONG")),
            None,
            None,
        ]
    );
    let answered_by = |i: usize| answers[i].model_version.clone().expect("who answered").name;
    assert_eq!((answered_by(0).as_str(), answered_by(6).as_str()), ("news-statements", "tiny"));
    server.stop().await;
}

fn error_of(answer: &StreamClassifyResponse) -> Option<(i32, &str)> {
    match answer.result.as_ref().expect("a result") {
        ItemResult::Classification(_) => None,
        ItemResult::Error(error) => Some((error.code, &error.reason)),
    }
}
