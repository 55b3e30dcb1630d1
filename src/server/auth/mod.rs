//! Who may call what: a layer on the path of every call, streams too, that lets nothing pass that is not
//! permitted.
//!
//! - `authority`: tokens and certificates become roles, and roles permit methods.
//! - `tokens`: the file with the hashes of tokens. `shown`: the last that a connection showed.
//!
//! Which role a method needs stands in `methods`. Without tokens and authorities for clients everything is
//! permitted, at the cost of one look at a flag.

mod authority;
mod shown;
mod tokens;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio_util::either::Either;
use tower_layer::Layer;
use tower_service::Service;

pub(crate) use authority::{Authority, Identity};
pub(crate) use shown::Shown;
pub use tokens::{NewToken, TokensError};

/// Puts [`Guard`] before the services.
#[derive(Debug, Clone)]
pub(crate) struct AuthLayer(pub(crate) Arc<Authority>);

impl<S> Layer<S> for AuthLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { inner, authority: Arc::clone(&self.0) }
    }
}

/// The services behind the authority.
#[derive(Debug, Clone)]
pub(crate) struct Guard<S> {
    inner: S,
    authority: Arc<Authority>,
}

impl<S, I, O> Service<Request<I>> for Guard<S>
where
    S: Service<Request<I>, Response = Response<O>, Error = Infallible>,
    O: Default,
{
    type Response = Response<O>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<O>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<I>) -> Self::Future {
        match self.authority.permit(&request) {
            Ok(identity) => {
                if let Some(identity) = identity {
                    request.extensions_mut().insert(identity);
                }
                Either::Left(self.inner.call(request))
            }
            Err(refusal) => Either::Right(ready(Ok(refusal.into_http()))),
        }
    }
}
