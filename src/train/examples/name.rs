//! How labels and column names stand in messages: between quotes, harmless and short.

/// Most characters of a name in a message.
const MAX_CHARS: usize = 40;

/// Returns a name between quotes, with what cannot be seen escaped, cut after 40 characters.
pub(in crate::train) fn quoted(name: &str) -> String {
    format!("{:?}", shortened(name))
}

/// Returns the first 40 characters of a name, with `…` behind them where there are more.
pub(super) fn shortened(name: &str) -> String {
    let mut chars = name.chars();
    let mut short: String = chars.by_ref().take(MAX_CHARS).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_escaped_and_cut() {
        assert_eq!(quoted("denial"), "\"denial\"");
        assert_eq!(quoted("\u{1b}[2J\u{202e}"), r#""\u{1b}[2J\u{202e}""#);
        assert_eq!(quoted(&"é".repeat(40)), format!("\"{}\"", "é".repeat(40)));
        assert_eq!(quoted(&"é".repeat(41)), format!("\"{}…\"", "é".repeat(40)));
    }
}
