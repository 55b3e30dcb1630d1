//! One answer: label, probability, sentence, and the reasons when they were asked for.
//!
//! In a pipe it is one line with tabs: the label and its probability, further labels where more than
//! one was asked for, and the sentence last. Where there is no label, its place holds the reason in
//! parentheses.

use serde::Serialize;

use super::json::Json;
use super::text::{percent, visible};
use super::{FAINT, Format, HEADING, Output, explanation};
use crate::cli::error::{CliError, complain};
use crate::cli::sentences::Position;
use crate::proto::{
    AbstainReason, Classification, ClassifyResponse, ItemError, LabelScore, ModelVersion,
};

/// A sentence and what became of it.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    /// Where the sentence was found.
    pub(in crate::cli) position: Position,
    /// The sentence; empty where it could not be read.
    pub(in crate::cli) sentence: String,
    /// The answer, or why there is none.
    pub(in crate::cli) result: Result<ClassifyResponse, ItemError>,
}

/// An answer as JSON: the fields of `ClassifyResponse`, and the sentence.
#[derive(Serialize)]
struct Line<'a> {
    sentence: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    classification: Option<Json<'a, Classification>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<Json<'a, ModelVersion>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Json<'a, ItemError>>,
}

/// Prints an answer with its best `top_k` labels. Why there is none is said on stderr.
pub(in crate::cli) fn print(
    output: &mut Output,
    answer: &Answer,
    top_k: usize,
) -> Result<(), CliError> {
    if let Err(error) = &answer.result {
        // In order with the answers around it, where both go to one terminal.
        output.flush()?;
        complain(&format!("{}: {}", answer.position, error.message));
    }
    let format = output.format();
    if format == Format::Json {
        return output.json(&Line::new(answer));
    }
    let classification = answer.result.iter().find_map(|response| response.classification.as_ref());
    let Some(classification) = classification else { return Ok(()) };
    if format == Format::Plain {
        output.text(&plain(&answer.sentence, classification, top_k))?;
    } else {
        output.text(&pretty(&answer.sentence, classification, top_k))?;
    }
    match &classification.explanation {
        Some(reasons) => output.text(&explanation::table(reasons, format)),
        None => Ok(()),
    }
}

impl<'a> Line<'a> {
    fn new(answer: &'a Answer) -> Self {
        let response = answer.result.as_ref().ok();
        Self {
            sentence: &answer.sentence,
            classification: response.and_then(|r| r.classification.as_ref()).map(Json),
            model_version: response.and_then(|r| r.model_version.as_ref()).map(Json),
            error: answer.result.as_ref().err().map(Json),
        }
    }
}

/// The line for a pipe.
fn plain(sentence: &str, classification: &Classification, top_k: usize) -> String {
    let mut line = String::new();
    for (position, score) in shown(classification, top_k).iter().enumerate() {
        let label = if position == 0 { title(classification) } else { &score.label };
        let probability = four_digits(score.probability);
        line.push_str(&format!("{}\t{probability}\t", visible(label)));
    }
    format!("{line}{}\n", visible(sentence))
}

/// A probability for programs; almost certain is not written as certain.
fn four_digits(probability: f64) -> String {
    let shown = if probability < 1.0 { probability.min(0.9999) } else { probability };
    format!("{shown:.4}")
}

/// The lines for a terminal: the best label before the sentence, further labels below it.
fn pretty(sentence: &str, classification: &Classification, top_k: usize) -> String {
    let labels = classification.scores.iter().map(|score| score.label.as_str());
    let widths = labels.chain([title(classification)]).map(|label| label.chars().count());
    let width = widths.max().unwrap_or_default();
    let mut text = String::new();
    for (position, score) in shown(classification, top_k).iter().enumerate() {
        let probability = percent(score.probability);
        if position > 0 {
            let label = visible(&score.label);
            text.push_str(&format!("{FAINT}{label:width$}  {probability:>7}{FAINT:#}\n"));
            continue;
        }
        let label = visible(title(classification));
        let sentence = match &classification.explanation {
            Some(reasons) => explanation::paint(sentence, reasons),
            None => visible(sentence).into_owned(),
        };
        let label = format!("{HEADING}{label:width$}{HEADING:#}");
        text.push_str(&format!("{label}  {probability:>7}  {sentence}\n"));
    }
    text
}

fn shown(classification: &Classification, top_k: usize) -> &[LabelScore] {
    let scores = &classification.scores;
    if top_k == 0 { scores } else { scores.get(..top_k).unwrap_or(scores) }
}

/// The label, or in parentheses why there is none.
fn title(classification: &Classification) -> &str {
    match classification.abstain_reason() {
        AbstainReason::Unspecified => &classification.label,
        AbstainReason::LowProbability => "(low probability)",
        AbstainReason::NoKnownTokens => "(no known word)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classification(abstain_reason: AbstainReason) -> Classification {
        let label = if abstain_reason == AbstainReason::Unspecified { "denial" } else { "" };
        let score = |label: &str, probability| LabelScore { label: label.to_owned(), probability };
        Classification {
            label: label.to_owned(),
            abstain_reason: abstain_reason.into(),
            scores: vec![score("denial", 0.971_25), score("accusation", 0.028_75)],
            ..Default::default()
        }
    }

    #[test]
    fn in_a_pipe_an_answer_is_one_line_with_the_sentence_last() {
        let answer = classification(AbstainReason::Unspecified);
        assert_eq!(
            plain("It\tdid\u{1b} not.", &answer, 1),
            "denial\t0.9712\tIt did\u{fffd} not.\n"
        );
        assert_eq!(plain("No.", &answer, 0), "denial\t0.9712\taccusation\t0.0288\tNo.\n");
        assert_eq!(plain("No.", &answer, 5), "denial\t0.9712\taccusation\t0.0288\tNo.\n");
    }

    #[test]
    fn almost_certain_is_not_certain() {
        let shown = [1.0, 0.999_98, 0.999_84, 0.00001].map(four_digits);
        assert_eq!(shown, ["1.0000", "0.9999", "0.9998", "0.0000"]);
    }

    #[test]
    fn an_answer_without_label_says_why() {
        let answer = classification(AbstainReason::LowProbability);
        assert_eq!(plain("No.", &answer, 1), "(low probability)\t0.9712\tNo.\n");
        let answer = classification(AbstainReason::NoKnownTokens);
        assert!(pretty("No.", &answer, 1).contains("(no known word)"));
    }

    #[test]
    fn an_item_that_failed_is_json_with_its_error() {
        let result = Err(ItemError { code: 3, reason: "X".to_owned(), message: "no".to_owned() });
        let answer = Answer { position: Position::Line(1), sentence: "a".to_owned(), result };
        let json = serde_json::to_string(&Line::new(&answer)).expect("it can be written");
        let expected = r#"{"sentence":"a","error":{"code":3,"reason":"X","message":"no"}}"#;
        assert_eq!(json, expected);
    }
}
