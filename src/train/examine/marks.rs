//! What a row carries beside its meaning: names, numbers, signs, how it opens and closes, habits of
//! writing.

use crate::features::{Analysis, Token, hash};

/// Tokens of an opening or closing.
const N_EDGE: usize = 3;
/// Where the key of a mark starts.
const SEED: u64 = 0x9b05_688c_2b3e_6c1f;
/// The bit of a mark's key that says whether it is an opening or closing.
const EDGE_BIT: u64 = 1;

/// What a row may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A capitalised word that does not open a sentence.
    Name,
    /// A token with a digit.
    Number,
    /// A token without letters and digits.
    Sign,
    /// The first words.
    Opening,
    /// The last words.
    Closing,
    /// A habit of writing.
    Habit,
}

/// A habit of writing, and how to tell it from the text.
type Habit = (&'static str, fn(&str) -> bool);

const HABITS: [Habit; 7] = [
    ("no capital letter", |text| {
        text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
    }),
    ("capital letters only", |text| {
        text.chars().filter(|c| c.is_uppercase()).count() > 1
            && !text.chars().any(char::is_lowercase)
    }),
    ("no sign at the end", |text| text.ends_with(char::is_alphanumeric)),
    ("two spaces in a row", |text| text.contains("  ")),
    ("a line break", |text| text.contains('\n')),
    ("a web address", |text| text.contains("://") || text.contains("www.")),
    ("markup", |text| {
        ["&lt;", "&amp;", "&quot;", "&#", "</", "<br"].iter().any(|tag| text.contains(tag))
    }),
];

/// Whether a key is that of an opening or closing.
pub(super) fn is_edge(key: u64) -> bool {
    key & EDGE_BIT != 0
}

/// Calls `each` with the key of every mark of a row, repeats included, and with a function that
/// writes it. `with_names`: whether a capital letter marks a name.
pub(super) fn for_each(
    analysis: &mut Analysis,
    text: &str,
    with_names: bool,
    mut each: impl FnMut(u64, &dyn Fn() -> String),
) {
    analysis.analyse(text);
    let tokens = analysis.tokens();
    let mut before = None;
    for token in tokens {
        let raw = raw(text, token);
        let kind = kind(raw).or_else(|| (with_names && is_name(raw, before)).then_some(Kind::Name));
        if let Some(kind) = kind {
            each(key(kind, [token.hash]), &|| format!("\"{raw}\""));
        }
        before = Some(raw);
    }
    // Of a shorter row this would be all there is.
    if tokens.len() > 2 * N_EDGE {
        let (opening, closing) = (&tokens[..N_EDGE], &tokens[tokens.len() - N_EDGE..]);
        for (kind, edge, name) in
            [(Kind::Opening, opening, "opening"), (Kind::Closing, closing, "closing")]
        {
            let hashes = edge.iter().map(|token| token.hash);
            each(key(kind, hashes), &|| format!("the {name} \"{}\"", between(text, edge)));
        }
    }
    for (position, (name, has)) in (0..).zip(HABITS) {
        if has(text) {
            each(key(Kind::Habit, [position]), &|| name.to_owned());
        }
    }
}

/// Counts words that do not open a sentence, and those of them that are capitalised.
pub(super) fn count_capitals(analysis: &mut Analysis, text: &str) -> (usize, usize) {
    analysis.analyse(text);
    let (mut n_words, mut n_capitals) = (0, 0);
    let mut before = None;
    for token in analysis.tokens() {
        let raw = raw(text, token);
        if kind(raw).is_none() && before.is_some_and(|before| !ends_sentence(before)) {
            n_words += 1;
            n_capitals += usize::from(is_name(raw, before));
        }
        before = Some(raw);
    }
    (n_words, n_capitals)
}

fn key(kind: Kind, hashes: impl IntoIterator<Item = u64>) -> u64 {
    let key = hashes.into_iter().fold(hash::extend(SEED, kind as u64), hash::extend);
    let is_edge = matches!(kind, Kind::Opening | Kind::Closing);
    (key & !EDGE_BIT) | if is_edge { EDGE_BIT } else { 0 }
}

fn kind(raw: &str) -> Option<Kind> {
    if raw.chars().any(char::is_numeric) {
        Some(Kind::Number)
    } else if !raw.chars().any(char::is_alphabetic) {
        Some(Kind::Sign)
    } else {
        None
    }
}

/// Whether a word is capitalised though no sentence begins with it. One letter is no name.
fn is_name(raw: &str, before: Option<&str>) -> bool {
    let mut letters = raw.chars();
    letters.next().is_some_and(char::is_uppercase)
        && letters.next().is_some()
        && before.is_some_and(|before| !ends_sentence(before))
}

/// Whether a word after this token may be capitalised for its place alone.
fn ends_sentence(token: &str) -> bool {
    matches!(
        token,
        "." | "!" | "?" | "…" | ":" | "-" | "–" | "—" | "\"" | "'" | "“" | "‘" | "«" | "„"
    )
}

fn raw<'a>(text: &'a str, token: &Token) -> &'a str {
    text.get(token.span.start as usize..token.span.end as usize).unwrap_or_default()
}

fn between<'a>(text: &'a str, tokens: &[Token]) -> &'a str {
    let (first, last) = (tokens.first(), tokens.last());
    let range = first.zip(last).map(|(first, last)| first.span.start..last.span.end);
    range.and_then(|r| text.get(r.start as usize..r.end as usize)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(text: &str) -> Vec<String> {
        let mut marks = Vec::new();
        for_each(&mut Analysis::default(), text, true, |_, write| marks.push(write()));
        marks
    }

    #[test]
    fn names_numbers_signs_edges_and_habits_are_marks_and_other_words_are_not() {
        let found = marks("Rain fell (Reuters) on Kyiv today. Nobody saw it in 2019");
        let expected = [
            "\"(\"",
            "\"Reuters\"",
            "\")\"",
            "\"Kyiv\"",
            "\".\"",
            "\"2019\"",
            "the opening \"Rain fell (\"",
            "the closing \"it in 2019\"",
            "no sign at the end",
        ];
        assert_eq!(found, expected);
        assert_eq!(marks("it rains"), ["no capital letter", "no sign at the end"]);
        assert_eq!(marks("IT RAINS, I say."), ["\"RAINS\"", "\",\"", "\".\""]);
    }

    #[test]
    fn an_opening_and_the_same_closing_are_two_marks() {
        let mut keys = Vec::new();
        let text = "one two three four one two three";
        for_each(&mut Analysis::default(), text, true, |key, _| keys.push(key));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 4);
    }
}
