//! Why the best label won: coloured in the sentence, and as a table.
//!
//! A feature's part is shared out among the words it covers; a word is coloured by what all features
//! give it, relative to the strongest word of the sentence.

use std::ops::Range;

use anstyle::{AnsiColor, Style};

use super::Format;
use super::table::{Align, Table};
use super::text::visible;
use crate::proto::{Contribution, Explanation, Span};

/// Most parts of the sentence in the table; the others are summed up.
const MAX_PARTS: usize = 8;

/// Words above this share of the strongest word's weight are coloured.
const COLOURED: f64 = 0.15;
/// Words above this share stand out.
const STRONG: f64 = 0.5;

const FOR: Style = AnsiColor::Green.on_default();
const AGAINST: Style = AnsiColor::Red.on_default();

/// Returns the sentence with the words coloured that speak for the label or against it.
pub(super) fn paint(sentence: &str, explanation: &Explanation) -> String {
    let words = words(sentence);
    let weights = weigh(&words, &explanation.contributions);
    let strongest = weights.iter().fold(0.0, |strongest: f64, weight| strongest.max(weight.abs()));
    let mut text = String::new();
    let mut end = 0;
    for (word, weight) in words.iter().zip(&weights) {
        text.push_str(&visible(sentence.get(end..word.start).unwrap_or_default()));
        let style = style(*weight, strongest);
        let shown = visible(sentence.get(word.clone()).unwrap_or_default());
        text.push_str(&format!("{style}{shown}{style:#}"));
        end = word.end;
    }
    text.push_str(&visible(sentence.get(end..).unwrap_or_default()));
    text
}

/// Returns the parts of the sentence with the largest effect as a table. Its last row is the sum of the
/// others.
pub(super) fn table(explanation: &Explanation, format: Format) -> String {
    let Explanation { label, against, contributions, .. } = explanation;
    let merged = merge(contributions);
    let (listed, others) = merged.split_at(merged.len().min(MAX_PARTS));
    let rest = explanation.rest_log_odds + sum(others);
    let total = explanation.prior_log_odds + sum(listed) + rest;

    let mut table = Table::titled(&[
        ("log odds", Align::Right),
        ("for", Align::Left),
        ("because of", Align::Left),
    ]);
    let mut row = |log_odds: f64, reason: String| {
        let side = if log_odds < 0.0 { against } else { label };
        let shown = format!("{log_odds:+.2}").replace("-0.00", "+0.00");
        table.row([shown, side.clone(), reason]);
    };
    for (part, log_odds) in listed {
        row(*log_odds, format!("\u{201c}{part}\u{201d}"));
    }
    row(rest, "the rest of the sentence".to_owned());
    row(explanation.prior_log_odds, "before any word is read".to_owned());
    row(total, format!("in all, {label} against {against}"));
    table.render(format).lines().map(|line| format!("    {line}\n")).collect()
}

/// Returns what the same words contribute under different views as one, largest effect first: a person
/// reads words and not views.
fn merge(contributions: &[Contribution]) -> Vec<(&str, f64)> {
    let mut parts: Vec<(&str, f64)> = Vec::new();
    for contribution in contributions {
        // A tilde marks what the characters of a word say.
        let text = contribution.feature.strip_prefix('~').unwrap_or(&contribution.feature);
        match parts.iter_mut().find(|(part, _)| *part == text) {
            Some((_, log_odds)) => *log_odds += contribution.log_odds,
            None => parts.push((text, contribution.log_odds)),
        }
    }
    parts.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
    parts
}

fn sum(parts: &[(&str, f64)]) -> f64 {
    parts.iter().map(|(_, log_odds)| log_odds).sum()
}

fn style(weight: f64, strongest: f64) -> Style {
    let colour = if weight < 0.0 { AGAINST } else { FOR };
    let share = if strongest > 0.0 { weight.abs() / strongest } else { 0.0 };
    if share > STRONG {
        colour.bold().underline()
    } else if share > COLOURED {
        colour
    } else {
        Style::new()
    }
}

/// Returns the places of words: runs of letters and digits, and single other characters but white space.
fn words(sentence: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut is_in_word = false;
    for (start, c) in sentence.char_indices() {
        let end = start + c.len_utf8();
        match words.last_mut() {
            Some(word) if is_in_word && c.is_alphanumeric() => word.end = end,
            _ if !c.is_whitespace() => words.push(start..end),
            _ => {}
        }
        is_in_word = c.is_alphanumeric();
    }
    words
}

/// Returns the weight of each word.
fn weigh(words: &[Range<usize>], contributions: &[Contribution]) -> Vec<f64> {
    let mut weights = vec![0.0; words.len()];
    for contribution in contributions {
        let covered: Vec<_> =
            contribution.spans.iter().flat_map(|span| under(span, words)).collect();
        for word in &covered {
            if let Some(weight) = weights.get_mut(*word) {
                *weight += contribution.log_odds / real(covered.len());
            }
        }
    }
    weights
}

/// Returns the positions of the words that a span touches.
fn under(span: &Span, words: &[Range<usize>]) -> Range<usize> {
    let [start, end] = [span.start, span.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
    words.partition_point(|word| word.end <= start)..words.partition_point(|word| word.start < end)
}

/// Returns a number of words as a divisor.
fn real(n_words: usize) -> f64 {
    u32::try_from(n_words).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contribution(log_odds: f64, spans: &[(u32, u32)]) -> Contribution {
        let spans = spans.iter().map(|&(start, end)| Span { start, end }).collect();
        Contribution { feature: log_odds.to_string(), log_odds, spans }
    }

    fn example(contributions: Vec<Contribution>) -> Explanation {
        Explanation {
            label: "denial".to_owned(),
            against: "accusation".to_owned(),
            prior_log_odds: 0.25,
            contributions,
            rest_log_odds: -1.0,
        }
    }

    #[test]
    fn the_sentence_stays_as_it_is_but_for_colours() {
        let sentence = "  «Nous n’avons rien fait», 日本 said it\u{301}.  ";
        let all = u32::try_from(sentence.len()).expect("it is short");
        let reasons = example(vec![contribution(2.0, &[(0, all)]), contribution(-1.0, &[(3, 4)])]);
        let painted = paint(sentence, &reasons);
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), sentence);
    }

    #[test]
    fn a_feature_is_shared_out_among_its_words() {
        let words = words("We did not.");
        let weights =
            weigh(&words, &[contribution(2.0, &[(3, 10)]), contribution(-3.0, &[(3, 6)])]);
        assert_eq!(weights, [0.0, -2.0, 1.0, 0.0]);
    }

    #[test]
    fn spans_out_of_the_sentence_do_no_harm() {
        let reasons = example(vec![contribution(2.0, &[(2, 1), (7, 90), (u32::MAX, 0)])]);
        assert!(paint("é o", &reasons).contains('é'));
    }

    #[test]
    fn strong_words_stand_out_and_weak_ones_are_left_alone() {
        assert_eq!(style(1.0, 1.0), FOR.bold().underline());
        assert_eq!(style(-0.3, 1.0), AGAINST);
        assert_eq!(style(0.1, 1.0), Style::new());
        assert_eq!(style(0.0, 0.0), Style::new());
    }

    #[test]
    fn what_the_same_words_contribute_is_one_row() {
        let feature = |feature: &str, log_odds| Contribution {
            feature: feature.to_owned(),
            log_odds,
            spans: Vec::new(),
        };
        let features = [feature("not", 1.0), feature("~not", 0.5), feature("did not", -2.0)];
        assert_eq!(merge(&features), [("did not", -2.0), ("not", 1.5)]);
    }

    #[test]
    fn the_rows_add_up_to_the_last_one() {
        let contributions = (0..10).map(|n| contribution(f64::from(n), &[])).collect();
        let table = table(&example(contributions), Format::Plain);
        let table = anstream::adapter::strip_str(&table).to_string();
        let numbers = table.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
        let numbers: Vec<f64> = numbers.collect();
        let (total, parts) = numbers.split_last().expect("there are rows");
        assert_eq!(parts.len(), MAX_PARTS + 2);
        assert!((parts.iter().sum::<f64>() - total).abs() < 1e-9, "{table}");
        assert!((total - 44.25).abs() < 1e-9, "{table}");
    }
}
