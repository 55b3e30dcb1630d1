//! The request of a call. One that the client breaks off, or leaves idle while it is waited for, is an error
//! and not its end: tonic shows a handler no difference, and a training would take half of the data
//! for all of it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Code, Status};

use crate::server::status;

pin_project! {
    /// A request that ends only when its client says so.
    pub(crate) struct Incoming<I> {
        #[pin]
        body: I,
        patience: Patience,
    }
}

impl<I> Incoming<I> {
    /// Waits at most `idle` for each part.
    pub(super) fn new(body: I, idle: Duration) -> Self {
        Self { body, patience: Patience { idle, since: None, timer: None } }
    }
}

/// How long a client may say nothing while it is waited for.
#[derive(Debug)]
struct Patience {
    idle: Duration,
    /// When the wait began.
    since: Option<Instant>,
    /// Made at the first wait, and let run: what comes in the meantime only moves `since`.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// Whether it is at an end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let end = *self.since.get_or_insert_with(Instant::now) + self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= end {
                return Poll::Ready(status::idle(self.idle));
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl<I> Body for Incoming<I>
where
    I: Body<Data = Bytes>,
    I::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        match this.body.poll_frame(cx) {
            Poll::Ready(frame) => {
                this.patience.since = None;
                Poll::Ready(frame.map(|frame| frame.map_err(|error| broken_off(error.into()))))
            }
            Poll::Pending => this.patience.poll_end(cx).map(|status| Some(Err(status))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken_off(error: Box<dyn std::error::Error + Send + Sync>) -> Status {
    let status = Status::from_error(error);
    // The one code that tonic would take for the end of the stream.
    if status.code() == Code::Cancelled {
        Status::aborted("the client broke off the request")
    } else {
        status
    }
}
