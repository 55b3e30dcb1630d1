//! Which names a model may have: safe as a folder name on every platform, and in a shell.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Longest name in bytes.
const MAX_BYTES: usize = 64;

/// A checked model name: `[a-z0-9][a-z0-9._-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ModelName(String);

/// The text is not a model name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a model name has 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit"
)]
pub struct NameError;

impl ModelName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let inner = |b: u8| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-');
        let first_is_good = text.bytes().next().is_some_and(alphanumeric);
        if first_is_good && text.len() <= MAX_BYTES && text.bytes().all(inner) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError)
        }
    }
}

impl TryFrom<String> for ModelName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for bad in [
            "",
            "..",
            "../x",
            "/x",
            "a/b",
            "a\\b",
            "a\0",
            ".hidden",
            "-x",
            "A",
            "é",
            &"a".repeat(65),
        ] {
            assert_eq!(bad.parse::<ModelName>(), Err(NameError), "{bad:?}");
        }
    }

    #[test]
    fn plain_names_pass() {
        for good in ["a", "news-statements", "v1.2_x", "0", &"a".repeat(64)] {
            assert_eq!(good.parse::<ModelName>().map(|n| n.to_string()), Ok(good.to_owned()));
        }
    }
}
