//! Tokens: secrets that callers show, of which the server knows hashes alone.
//!
//! The file is TOML, one table a token, made by `dictum token`. Several may be good at once, so that a new
//! one can be handed out before the old one ends.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use prost_types::Timestamp;
use serde::{Deserialize, Deserializer, de::Error};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use toml::value::Datetime;

use crate::config::{Role, Roles};

/// Why the tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random bits.
    #[error("the system gives no random bits")]
    Random,
    /// The file does not say what it should.
    #[error("{path}: line {line}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

/// A token as the server knows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Token {
    /// Whose it is.
    #[serde(deserialize_with = "name")]
    pub(super) name: Arc<str>,
    /// What it is good for.
    #[serde(deserialize_with = "roles")]
    pub(super) roles: Roles,
    /// From when on it is good for nothing.
    #[serde(default, deserialize_with = "time")]
    expires: Option<SystemTime>,
    #[serde(deserialize_with = "hash")]
    hash: blake3::Hash,
}

impl Token {
    /// Whether it has ended.
    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// All tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<Token>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Token>,
}

impl Tokens {
    /// Finds the token with this secret. How long it takes says nothing about any of them: hashes are
    /// compared, each with every one, in constant time.
    pub(super) fn position(&self, secret: &[u8]) -> Option<usize> {
        let hash = blake3::hash(secret);
        let mut found = None;
        for (position, token) in self.0.iter().enumerate() {
            // `blake3::Hash` compares in constant time.
            if token.hash == hash {
                found = Some(position);
            }
        }
        found
    }

    /// The token at a position.
    pub(super) fn get(&self, position: usize) -> Option<&Token> {
        self.0.get(position)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads a file.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, TokensError> {
        let file: Result<File, _> = toml::from_str(text);
        file.map(|file| Self(file.token)).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            TokensError::Content {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                // What the parser quotes of the file does not belong into a log.
                problem: error.message().trim_end().to_owned(),
            }
        })
    }
}

/// The text of a file with tokens.
pub(super) fn read(path: &Path) -> Result<String, TokensError> {
    fs::read_to_string(path).map_err(|source| TokensError::Read { path: path.to_owned(), source })
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}

fn roles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Roles, D::Error> {
    let roles = Vec::<Role>::deserialize(deserializer)?;
    Ok(Roles::from(roles.as_slice()))
}

fn hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<blake3::Hash, D::Error> {
    let text = String::deserialize(deserializer)?;
    let hex = text.strip_prefix(HASH_PREFIX);
    let hash = hex.and_then(|hex| blake3::Hash::from_hex(hex).ok());
    hash.ok_or_else(|| D::Error::custom("expected blake3: and 64 hexadecimal digits"))
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    let written = Datetime::deserialize(deserializer)?.to_string();
    let time: Option<Timestamp> = written.parse().ok();
    let time = time.and_then(|time| SystemTime::try_from(time).ok());
    time.map(Some).ok_or_else(|| D::Error::custom("expected a date, such as 2027-01-31"))
}

/// What every secret begins with, so that it is known for what it is wherever it turns up.
const SECRET_PREFIX: &str = "dictum-";

const HASH_PREFIX: &str = "blake3:";

/// A token that was just made.
#[derive(Debug)]
pub struct NewToken {
    /// Whose it is to be.
    pub name: String,
    /// What it is to be good for.
    pub roles: Vec<Role>,
    /// From when on it is good for nothing.
    pub expires: Option<SystemTime>,
    /// The hash of its secret.
    pub hash: blake3::Hash,
}

impl NewToken {
    /// Makes a token of 256 random bits; returns its secret beside it.
    ///
    /// # Errors
    ///
    /// When the system gives no random bits.
    pub fn make(
        name: String,
        roles: Vec<Role>,
        expires: Option<SystemTime>,
    ) -> Result<(String, Self), TokensError> {
        let mut bits = [0; blake3::OUT_LEN];
        aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut bits)
            .map_err(|_no_reason_is_given| TokensError::Random)?;
        let secret = format!("{SECRET_PREFIX}{}", blake3::Hash::from_bytes(bits).to_hex());
        let hash = blake3::hash(secret.as_bytes());
        Ok((secret, Self { name, roles, expires, hash }))
    }
}

/// Its table in the file.
impl fmt::Display for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles = self.roles.iter().map(|role| format!("\"{}\"", role.name()));
        writeln!(f, "[[token]]")?;
        writeln!(f, "name = {}", toml::Value::from(self.name.as_str()))?;
        writeln!(f, "roles = [{}]", roles.collect::<Vec<_>>().join(", "))?;
        if let Some(expires) = self.expires {
            // To the second.
            let seconds = Timestamp { nanos: 0, ..Timestamp::from(expires) };
            writeln!(f, "expires = {seconds}")?;
        }
        writeln!(f, "hash = \"{HASH_PREFIX}{}\"", self.hash.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<Tokens, String> {
        Tokens::parse(Path::new("tokens.toml"), text).map_err(|error| error.to_string())
    }

    fn entry(name: &str, secret: &str) -> NewToken {
        NewToken {
            name: name.to_owned(),
            roles: vec![Role::Classify, Role::Train],
            expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
            hash: blake3::hash(secret.as_bytes()),
        }
    }

    fn find<'a>(tokens: &'a Tokens, secret: &[u8]) -> Option<&'a Token> {
        tokens.position(secret).and_then(|position| tokens.get(position))
    }

    #[test]
    fn what_is_made_can_be_read() {
        let text = format!("{}\n{}", entry("one \"two\"", "secret"), entry("other", "else"));
        let tokens = parse(&text).expect("good tokens");
        let token = find(&tokens, b"secret").expect("it is there");
        assert_eq!(&*token.name, "one \"two\"");
        assert!(token.roles.has(Role::Train) && !token.roles.has(Role::Admin));
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(!token.is_expired(at(1_799_999_999)) && token.is_expired(at(1_800_000_000)));
        assert!(find(&tokens, b"secre").is_none() && find(&tokens, b"").is_none());
        assert!(!text.contains("secret"));
    }

    #[test]
    fn a_date_alone_is_its_first_moment_in_utc() {
        let hash = blake3::hash(b"x").to_hex();
        let text =
            format!("[[token]]\nname='a'\nroles=[]\nhash='blake3:{hash}'\nexpires = 1970-01-02\n");
        let tokens = parse(&text).expect("good tokens");
        let token = find(&tokens, b"x").expect("it is there");
        let day = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        assert!(token.is_expired(day) && !token.is_expired(day - Duration::from_secs(1)));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let good = entry("a", "b").to_string();
        for (bad, line, problem) in [
            (good.replace("hash = \"blake3:", "hash = \"md5:"), 5, "expected blake3:"),
            (good.replace("\"train\"", "\"root\""), 3, "unknown variant `root`"),
            (good.replace("name", "nmae"), 2, "unknown field `nmae`"),
            (good.replace("expires = ", "expires = 9"), 4, ""),
            ("[[tokens]]\n".to_owned(), 1, "unknown field `tokens`"),
        ] {
            let error = parse(&bad).expect_err("refused");
            assert!(error.starts_with(&format!("tokens.toml: line {line}: ")), "{error}");
            assert!(error.contains(problem), "{error}");
        }
        assert_eq!(parse("").expect("no tokens").len(), 0);
    }
}
