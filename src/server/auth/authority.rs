//! Who a caller is, and whether it may do what it asks for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};
use tonic::{Code, Status};

use super::tokens::{Tokens, TokensError, read};
use crate::config::{Role, Roles, ServeConfig};
use crate::server::connections::Peer;
use crate::server::methods::{Access, Method};
use crate::server::status::{self, chain};

/// Stands for every certificate among the roles of clients.
const ANY_CERTIFICATE: &str = "*";

/// Who makes a call, as far as it was proven; among the extensions of its request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// The name of a token.
    Token(Arc<str>),
    /// The first name in a certificate.
    Certificate(Arc<str>),
}

/// Decides who may do what.
#[derive(Debug)]
pub(crate) struct Authority {
    /// Whether nobody has to prove anything.
    is_open: bool,
    tokens: Option<TokensOfFile>,
    client_roles: ArcSwap<BTreeMap<String, Roles>>,
}

#[derive(Debug)]
struct TokensOfFile {
    path: PathBuf,
    in_use: ArcSwap<Tokens>,
    /// The file as it was last looked at, good or bad; `None`: it could not be read.
    seen: ArcSwap<Option<blake3::Hash>>,
}

/// Why a call is not taken.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// There is neither a token nor a certificate.
    Nothing,
    /// The token is none, or not as it should be sent.
    BadToken,
    /// The token has ended.
    ExpiredToken,
    /// It may do other things.
    NoRole(Role),
    /// It may do nothing.
    NoRoles,
    /// There is no such method.
    NoMethod,
}

impl Authority {
    /// Reads the tokens.
    pub(crate) fn open(config: &ServeConfig) -> Result<Self, TokensError> {
        let tokens = config.access.tokens.as_deref().map(TokensOfFile::open).transpose()?;
        let is_open = tokens.is_none() && config.tls.tls_client_ca.is_none();
        Ok(Self { is_open, tokens, client_roles: ArcSwap::from_pointee(client_roles(config)) })
    }

    /// Uses tokens and roles as they are now.
    pub(crate) fn look(&self, config: &ServeConfig) {
        let roles = client_roles(config);
        if **self.client_roles.load() != roles {
            self.client_roles.store(Arc::new(roles));
        }
        if let Some(tokens) = &self.tokens {
            tokens.look();
        }
    }

    /// Returns who makes the call if it may be made; `None`: nobody has to say.
    pub(crate) fn permit<B>(&self, request: &Request<B>) -> Result<Option<Identity>, Status> {
        if self.is_open {
            return Ok(None);
        }
        let access = Method::of(request.uri().path()).access();
        if access == Access::Everyone {
            return Ok(None);
        }
        let peer = request.extensions().get::<Peer>();
        self.identify(request.headers(), peer)
            .and_then(|(identity, roles)| check(access, roles).map(|()| Some(identity)))
            .map_err(|refusal| refusal.status())
    }

    /// A token that is shown has to be good, whatever certificate there is.
    fn identify(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<(Identity, Roles), Refusal> {
        if let (Some(value), Some(tokens)) = (headers.get(AUTHORIZATION), &self.tokens) {
            let secret = bearer(value.as_bytes()).ok_or(Refusal::BadToken)?;
            let tokens = tokens.in_use.load();
            let position = match peer {
                Some(peer) => peer.connection.shown.position(&tokens, secret),
                None => tokens.position(secret),
            };
            let token = position.and_then(|at| tokens.get(at)).ok_or(Refusal::BadToken)?;
            if token.is_expired(SystemTime::now()) {
                return Err(Refusal::ExpiredToken);
            }
            return Ok((Identity::Token(Arc::clone(&token.name)), token.roles));
        }
        let names = peer.and_then(|peer| peer.names.get()).map(Vec::as_slice).unwrap_or_default();
        let first = names.first().ok_or(Refusal::Nothing)?;
        let roles_of = self.client_roles.load();
        let known = names.iter().map(AsRef::as_ref).chain([ANY_CERTIFICATE]);
        let roles = known.filter_map(|name| roles_of.get(name)).copied();
        let roles = roles.fold(Roles::default(), Roles::union);
        Ok((Identity::Certificate(Arc::clone(first)), roles))
    }
}

fn check(access: Access, roles: Roles) -> Result<(), Refusal> {
    match access {
        Access::Everyone => Ok(()),
        Access::AnyRole if roles.is_empty() => Err(Refusal::NoRoles),
        Access::AnyRole => Ok(()),
        Access::Role(role) if roles.has(role) => Ok(()),
        Access::Role(role) => Err(Refusal::NoRole(role)),
        Access::Nobody => Err(Refusal::NoMethod),
    }
}

/// The secret in `Bearer SECRET`.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, secret) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| secret.trim_ascii())
}

fn client_roles(config: &ServeConfig) -> BTreeMap<String, Roles> {
    let roles = config.access.client_roles.iter();
    roles.map(|(name, roles)| (name.clone(), Roles::from(roles.as_slice()))).collect()
}

impl TokensOfFile {
    fn open(path: &Path) -> Result<Self, TokensError> {
        let text = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            in_use: ArcSwap::from_pointee(Tokens::parse(path, &text)?),
            seen: ArcSwap::from_pointee(Some(blake3::hash(text.as_bytes()))),
        })
    }

    /// Uses the file as it is now, if it has changed and is good.
    fn look(&self) {
        let text = read(&self.path);
        let seen = text.as_ref().ok().map(|text| blake3::hash(text.as_bytes()));
        if **self.seen.load() == seen {
            return;
        }
        self.seen.store(Arc::new(seen));
        match text.and_then(|text| Tokens::parse(&self.path, &text)) {
            Ok(tokens) => {
                tracing::info!(count = tokens.len(), "new tokens are in use");
                self.in_use.store(Arc::new(tokens));
            }
            Err(error) => tracing::warn!(error = chain(&error), "the tokens in use stay in use"),
        }
    }
}

impl Refusal {
    fn status(&self) -> Status {
        let unauthenticated = |reason, text| status::of_server(Code::Unauthenticated, reason, text);
        match self {
            Self::Nothing => {
                unauthenticated("CREDENTIALS_MISSING", "a token or a certificate is needed")
            }
            Self::BadToken => unauthenticated("TOKEN_INVALID", "the token is not known"),
            Self::ExpiredToken => unauthenticated("TOKEN_EXPIRED", "the token has expired"),
            Self::NoRole(role) => {
                let text = format!("the role {} is needed", role.name());
                status::of_server(Code::PermissionDenied, "ROLE_MISSING", &text)
            }
            Self::NoRoles => {
                status::of_server(Code::PermissionDenied, "ROLE_MISSING", "a role is needed")
            }
            Self::NoMethod => {
                status::of_server(Code::Unimplemented, "UNIMPLEMENTED", "there is no such method")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_as_bearer() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bEARER  abc "), Some(&b"abc"[..]));
        for bad in [&b""[..], b"abc", b"Basic abc", b"Bearerabc"] {
            assert_eq!(bearer(bad), None);
        }
    }

    #[test]
    fn without_a_role_nothing_but_what_is_open_to_everyone_is_permitted() {
        let none = Roles::default();
        assert_eq!(check(Access::Everyone, none), Ok(()));
        assert!(check(Access::AnyRole, none).is_err());
        for role in [Role::Classify, Role::Train, Role::Admin] {
            let one = Roles::from(&[role][..]);
            assert_eq!(check(Access::Role(role), one), Ok(()));
            assert_eq!(check(Access::AnyRole, one), Ok(()));
            assert_eq!(check(Access::Role(role), none), Err(Refusal::NoRole(role)));
            assert_eq!(check(Access::Nobody, one), Err(Refusal::NoMethod));
        }
    }
}
