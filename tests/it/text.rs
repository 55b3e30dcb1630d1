//! Articles: sentences, and offsets as the caller counts them.

use std::collections::BTreeSet;

use dictum::proto::{
    ClassifyOptions, ClassifyTextRequest, ClassifyTextResponse, OffsetEncoding, Span,
};

use crate::support::{Server, spawn_server};

const ARTICLE: &str = "Minister denies fraud 🎻\n\nMr. Ökonom of the U.S. denied it — 3.5 million 𝄞 \
    euros. “We denied it… twice,” she said.";

async fn classified(server: &Server, encoding: OffsetEncoding) -> ClassifyTextResponse {
    let request = ClassifyTextRequest {
        text: ARTICLE.to_owned(),
        options: Some(ClassifyOptions { explain: true, ..Default::default() }),
        offset_encoding: encoding.into(),
        language: "en".to_owned(),
    };
    server.classifier().await.classify_text(request).await.expect("an answer").into_inner()
}

/// Cuts a span out of the article, as a client would that counts in this encoding.
fn cut(encoding: OffsetEncoding, span: &Span) -> String {
    let range = span.start as usize..span.end as usize;
    match encoding {
        OffsetEncoding::Unspecified | OffsetEncoding::Utf8 => ARTICLE[range].to_owned(),
        OffsetEncoding::Utf16 => {
            let units: Vec<u16> = ARTICLE.encode_utf16().collect();
            String::from_utf16(&units[range]).expect("whole characters")
        }
        OffsetEncoding::Utf32 => ARTICLE.chars().skip(range.start).take(range.len()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_right_in_every_encoding() {
    let server = spawn_server().await;
    for encoding in [
        OffsetEncoding::Unspecified,
        OffsetEncoding::Utf8,
        OffsetEncoding::Utf16,
        OffsetEncoding::Utf32,
    ] {
        let answer = classified(&server, encoding).await;
        assert_eq!(answer.sentences.len(), 3);
        for sentence in &answer.sentences {
            let span = sentence.span.as_ref().expect("a span");
            assert_eq!(cut(encoding, span), sentence.sentence);
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_point_into_the_whole_text_in_every_encoding() {
    let server = spawn_server().await;
    for encoding in [OffsetEncoding::Utf8, OffsetEncoding::Utf16, OffsetEncoding::Utf32] {
        let answer = classified(&server, encoding).await;
        let mut found = BTreeSet::new();
        for sentence in answer.sentences {
            let classification = sentence.classification.expect("a classification");
            let explanation = classification.explanation.expect("an explanation");
            let denied = explanation.contributions.iter().filter(|c| c.feature == "denied");
            for span in denied.flat_map(|c| &c.spans) {
                assert_eq!(cut(encoding, span), "denied");
                found.insert(span.start);
            }
        }
        assert_eq!(found.len(), 2, "{encoding:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_the_largest_size_is_answered() {
    let server = spawn_server().await;
    let line =
        "The mayor denied the claim, and the union of dock workers asked for a new inquiry. ";
    let mut text = line.repeat(1_048_576 / line.len());
    let n_sentences = 1_048_576 / line.len() + 1;
    text.push_str(&"x".repeat(1_048_576 - text.len()));
    let options = Some(ClassifyOptions { top_k: 1, ..Default::default() });
    let request = ClassifyTextRequest { text, options, ..Default::default() };
    let answer = server.classifier().await.classify_text(request).await.expect("an answer");
    assert_eq!(answer.into_inner().sentences.len(), n_sentences);
    server.stop().await;
}
