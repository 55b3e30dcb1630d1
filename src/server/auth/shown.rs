//! The token that a connection showed last: most connections show one and the same for each of their calls, and
//! its hash is the greater part of what asking for tokens costs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use constant_time_eq::constant_time_eq;

use super::tokens::Tokens;

/// What a connection showed last, if it was good.
#[derive(Default)]
pub(crate) struct Shown(Mutex<Option<Good>>);

struct Good {
    secret: Box<[u8]>,
    /// The tokens it was looked up in, and where it is among them.
    tokens: Arc<Tokens>,
    position: usize,
}

impl Shown {
    /// Finds where a secret is among the tokens; as [`Tokens::position`], which is asked for one that is new.
    pub(super) fn position(&self, tokens: &Arc<Tokens>, secret: &[u8]) -> Option<usize> {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(good) = &*shown
            && Arc::ptr_eq(&good.tokens, tokens)
            && constant_time_eq(&good.secret, secret)
        {
            return Some(good.position);
        }
        let position = tokens.position(secret)?;
        *shown = Some(Good { secret: secret.into(), tokens: Arc::clone(tokens), position });
        Some(position)
    }
}

/// Without the secret.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Role;
    use crate::server::NewToken;

    fn tokens(names: &[&str]) -> (Vec<String>, Arc<Tokens>) {
        let make = |name: &&str| NewToken::make((*name).to_owned(), vec![Role::Train], None);
        let made: Vec<_> = names.iter().map(|name| make(name).expect("random bits")).collect();
        let file: String = made.iter().map(|(_, token)| token.to_string()).collect();
        let tokens = Tokens::parse(Path::new("tokens.toml"), &file).expect("good tokens");
        (made.into_iter().map(|(secret, _)| secret).collect(), Arc::new(tokens))
    }

    #[test]
    fn what_was_shown_is_good_only_for_the_tokens_it_was_found_in() {
        let (secrets, old) = tokens(&["a", "b"]);
        let (_, new) = tokens(&["c"]);
        let shown = Shown::default();
        for _ in 0..2 {
            for (position, secret) in secrets.iter().enumerate() {
                assert_eq!(shown.position(&old, secret.as_bytes()), Some(position));
            }
            assert_eq!(shown.position(&old, b"dictum-guess"), None);
            assert_eq!(shown.position(&new, secrets[1].as_bytes()), None);
        }
        assert!(!format!("{shown:?}").contains("dictum-"));
    }
}
