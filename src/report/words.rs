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
