//! Rows in another script than the others: another language, or text that was damaged on its way.

use std::collections::BTreeMap;

use rayon::prelude::*;
use unicode_script::{Script, UnicodeScript};

use crate::train::Observer;
use crate::train::examples::Dataset;

/// Share of the rows, in percent, that must have the same script before another one stands out.
const MAJORITY_PERCENT: usize = 90;

/// Returns line and message of each row whose script is not that of the others, where there is one.
pub(super) fn find(dataset: &Dataset, observer: &dyn Observer) -> Vec<(u64, String)> {
    let scripts: Vec<_> = dataset
        .examples
        .par_iter()
        .take_any_while(|_| !observer.is_cancelled())
        .map(|example| dominant(&example.text))
        .collect();
    let mut counts = BTreeMap::new();
    for script in scripts.iter().flatten() {
        counts.entry(script.short_name()).or_insert((0, *script)).0 += 1;
    }
    let total: usize = counts.values().map(|(n, _)| n).sum();
    let is_majority = |n: usize| n * 100 >= total * MAJORITY_PERCENT;
    let Some((_, common)) = counts.into_values().find(|(n, _)| is_majority(*n)) else {
        return Vec::new();
    };
    let rows = dataset.examples.iter().zip(scripts);
    rows.filter_map(|(example, script)| {
        let other = script.filter(|script| *script != common)?;
        let (other, common) = (other.full_name(), common.full_name());
        Some((example.line, format!("in {other} script, most rows are in {common}")))
    })
    .collect()
}

/// The script of most letters; `None` where there is no letter. Han and kana count as one: Japanese is
/// written in both.
fn dominant(text: &str) -> Option<Script> {
    let mut counts: Vec<(Script, usize)> = Vec::new();
    for c in text.chars() {
        let script = script_of(c);
        if matches!(script, Script::Common | Script::Inherited | Script::Unknown) {
            continue;
        }
        let is_kana = matches!(script, Script::Hiragana | Script::Katakana | Script::Bopomofo);
        let script = if is_kana { Script::Han } else { script };
        match counts.iter_mut().find(|(known, _)| *known == script) {
            Some((_, n)) => *n += 1,
            None => counts.push((script, 1)),
        }
    }
    // Of equals the one that comes first in the text.
    let most = counts.iter().map(|(_, n)| *n).max()?;
    counts.into_iter().find(|(_, n)| *n == most).map(|(script, _)| script)
}

/// The script of a character; that of ASCII without a search.
fn script_of(c: char) -> Script {
    match c {
        'a'..='z' | 'A'..='Z' => Script::Latin,
        c if c.is_ascii() => Script::Common,
        c => c.script(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Unobserved;
    use crate::train::examples::DatasetBuilder;

    fn found(rows: &[&str]) -> Vec<(u64, String)> {
        let mut builder = DatasetBuilder::default();
        for (line, (text, label)) in (2..).zip(rows.iter().zip(["a", "b"].into_iter().cycle())) {
            builder.push(line, text, label).unwrap();
        }
        find(&builder.finish(), &Unobserved)
    }

    fn latin(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("sentence {i}")).collect()
    }

    #[test]
    fn a_row_in_another_script_than_nine_in_ten_is_named() {
        let rows = latin(18);
        let mut rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        rows.extend(["Где моя карта, please?", "1234 !?"]);
        let message = "in Cyrillic script, most rows are in Latin".to_owned();
        assert_eq!(found(&rows), [(20, message)]);
    }

    #[test]
    fn where_scripts_are_mixed_no_row_stands_out() {
        assert_eq!(found(&["one", "two", "three", "четыре"]), []);
        assert_eq!(found(&[]), []);
    }

    #[test]
    fn ascii_has_the_scripts_that_the_tables_give_it() {
        let differs = |c: &char| script_of(*c) != c.script();
        assert_eq!((0..=127u8).map(char::from).find(differs), None);
    }

    #[test]
    fn japanese_is_one_script() {
        assert_eq!(found(&["カードはどこ", "支払い拒否", "ありがとう"]), []);
    }
}
