//! Figures, labels and sentences as the page writes them.

use maud::{Markup, html};

use crate::train::examples::FindingCode;

/// Characters of a sentence that are shown.
const MAX_CHARACTERS: usize = 400;

/// A percentage for a column of them.
pub(super) fn tenths(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A label that may be broken where its words end.
pub(super) fn name(label: &str) -> Markup {
    html! { @for word in label.split_inclusive(['_', '/', '.']) { (word) wbr; } }
}

pub(super) fn figure(value: f64) -> String {
    format!("{value:.3}")
}

pub(super) fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(MAX_CHARACTERS).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

/// The name of a code in words.
pub(super) fn code_name(code: FindingCode) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.extend(c.to_lowercase());
    }
    name
}

/// Returns a whole number with its thousands apart.
#[must_use]
pub fn whole(n: u64) -> String {
    apart(&n.to_string())
}

/// Returns digits with their thousands apart.
pub(super) fn apart(digits: &str) -> String {
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let shown: Vec<_> = [0, 999, 1_000, 34_112, 1_000_000].map(whole).into();
        assert_eq!(shown, ["0", "999", "1,000", "34,112", "1,000,000"]);
    }
}
