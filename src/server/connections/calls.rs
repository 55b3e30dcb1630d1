//! The calls of a connection, worked on by the task that carries the connection.
//!
//! A task for each call would be woken on another thread, and the connection's again to send the reply:
//! what that costs is more than what most calls do. What is much to do goes to a pool anyway.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::rt::Executor;
use pin_project_lite::pin_project;

/// Replies that are sent together. One at a time costs a system call each; with all at a time the client has
/// nothing to do while they are made, and the server nothing while the client goes on.
const REPLIES_AT_ONCE: usize = 4;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes down the calls that HTTP/2 hands over.
#[derive(Clone, Default)]
pub(super) struct NewCalls(Arc<Mutex<Vec<Call>>>);

impl NewCalls {
    fn take(&self) -> Vec<Call> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for NewCalls {
    fn execute(&self, call: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(call));
    }
}

pin_project! {
    /// HTTP/2 with its calls. Ends with HTTP/2; what is left of the calls is dropped then.
    pub(super) struct WithCalls<H> {
        #[pin]
        http: H,
        new: NewCalls,
        running: FuturesUnordered<Call>,
    }
}

impl<H> WithCalls<H> {
    /// `http` hands its calls to `new`.
    pub(super) fn new(http: H, new: NewCalls) -> Self {
        Self { http, new, running: FuturesUnordered::new() }
    }

    /// HTTP/2 alone.
    pub(super) fn http(self: Pin<&mut Self>) -> Pin<&mut H> {
        self.project().http
    }
}

impl<H: Future> Future for WithCalls<H> {
    type Output = H::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<H::Output> {
        let mut this = self.project();
        loop {
            if let Poll::Ready(ended) = this.http.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            this.running.extend(this.new.take());
            let mut n_ended = 0;
            while n_ended < REPLIES_AT_ONCE
                && let Poll::Ready(Some(())) = this.running.poll_next_unpin(cx)
            {
                n_ended += 1;
            }
            // Their replies are sent now, and not when HTTP/2 is woken for them.
            if n_ended == 0 {
                return Poll::Pending;
            }
        }
    }
}
