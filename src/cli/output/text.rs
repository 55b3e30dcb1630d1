//! Numbers, sizes and times for people, and text that is safe to print.

use std::borrow::Cow;

use crate::proto;
pub(in crate::cli) use crate::report::whole;

/// Returns text in which nothing can move the cursor, change colours or turn the direction of writing.
pub(in crate::cli) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let replace = |c: char| match c {
        '\t' | '\n' | '\r' => ' ',
        c if is_unsafe(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(replace).collect())
}

/// Returns the beginning of a text, with `…` where something is left out.
pub(super) fn excerpt(text: &str, n_characters: usize) -> String {
    let mut excerpt: String = text.chars().take(n_characters).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a whole number with what it counts, which gets an `s` unless it is one.
pub(in crate::cli) fn count(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", whole(n))
}

/// Returns a number of bytes in the unit that fits it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS.get(unit).unwrap_or(&""))
}

/// Returns a share as a percentage. What is not everything or nothing never looks like it.
pub(in crate::cli) fn percent(share: f64) -> String {
    let text = format!("{:.1}", share * 100.0);
    match text.as_str() {
        "100.0" if share < 1.0 => ">99.9 %".to_owned(),
        "0.0" if share > 0.0 => "<0.1 %".to_owned(),
        _ => format!("{text} %"),
    }
}

/// Returns a model with its version.
pub(in crate::cli) fn version(version: Option<&proto::ModelVersion>) -> String {
    version.map_or_else(String::new, |v| visible(&format!("{}@{}", v.name, v.version)).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_printed_can_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[2J\u{202e}b\u{9b}c\r\n"), "a\u{fffd}[2J\u{fffd}b\u{fffd}c  ");
        assert!(matches!(visible("naïve 日本 👍"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_is_counted_gets_an_s() {
        assert_eq!((count(1, "row"), count(2, "row")), ("1 row".into(), "2 rows".into()));
    }

    #[test]
    fn sizes_use_the_unit_that_fits() {
        let shown: Vec<_> =
            [0, 1023, 1024, 1_048_575, 1_048_576, 1 << 30, u64::MAX].map(size).into();
        let expected =
            ["0 B", "1023 B", "1.0 KiB", "1023.9 KiB", "1.0 MiB", "1.0 GiB", "16777215.9 TiB"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn almost_certain_is_not_certain() {
        let shown: Vec<_> = [1.0, 0.9999, 0.5, 0.0001, 0.0].map(percent).into();
        assert_eq!(shown, ["100.0 %", ">99.9 %", "50.0 %", "<0.1 %", "0.0 %"]);
    }
}
