//! The reply of a call: it may end before its handler does, and its status is completed.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};

use super::Ongoing;
use super::record::{CallRecord, Untaken};
use super::request_id::REQUEST_ID;
use crate::server::codes::{MESSAGE_TOO_LARGE, REPLY_TOO_LARGE};
use crate::server::status;

/// The reply of a handler. A status among the headers is the whole reply.
pub(super) fn begin<O>(response: Response<O>, mut ongoing: Ongoing) -> Response<Outgoing<O>> {
    let (mut parts, body) = response.into_parts();
    complete(&mut parts.headers, MESSAGE_TOO_LARGE, &mut ongoing.record);
    // HTTP/2 does not ask for the body before its client has room for it.
    let untaken = ongoing.record.hand_over();
    let (body, ongoing) = (Some(body), Some(ongoing));
    Response::from_parts(parts, Outgoing { body, ongoing, has_begun: false, untaken })
}

/// The reply to a call whose handler has none.
pub(super) fn refuse<O>(status: &Status, mut ongoing: Ongoing) -> Response<Outgoing<O>> {
    let mut response = status.clone().into_http();
    complete(response.headers_mut(), MESSAGE_TOO_LARGE, &mut ongoing.record);
    response
}

pin_project! {
    /// A reply that may end before its handler does.
    pub(crate) struct Outgoing<O> {
        // `None` once the reply has ended.
        #[pin]
        body: Option<O>,
        // `None` where the headers are the whole reply.
        ongoing: Option<Ongoing>,
        has_begun: bool,
        // What the client was given last, until it is asked for more.
        untaken: Option<Untaken>,
    }
}

impl<O> Default for Outgoing<O> {
    fn default() -> Self {
        Self { body: None, ongoing: None, has_begun: false, untaken: None }
    }
}

impl<O: Body<Data = Bytes>> Body for Outgoing<O> {
    type Data = Bytes;
    type Error = O::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, O::Error>>> {
        let mut this = self.project();
        *this.untaken = None;
        let (Some(body), Some(ongoing)) = (this.body.as_mut().as_pin_mut(), this.ongoing.as_mut())
        else {
            return Poll::Ready(None);
        };
        // A stream that is never idle still has its deadline. A single reply that is ready gets out.
        let overdue = if *this.has_begun { ongoing.overdue() } else { None };
        let status = match overdue {
            Some(status) => status,
            None => match ongoing.work(|| body.poll_frame(cx)) {
                Ok(Poll::Ready(frame)) => {
                    *this.has_begun = true;
                    *this.untaken = ongoing.record.hand_over();
                    let complete = |frame| with_complete_trailers(frame, &mut ongoing.record);
                    return Poll::Ready(frame.map(|frame| frame.map(complete)));
                }
                Ok(Poll::Pending) => match ongoing.poll_end(cx) {
                    Poll::Ready(status) => status,
                    Poll::Pending => return Poll::Pending,
                },
                Err(status) => status,
            },
        };
        this.body.set(None);
        let mut trailers = trailers(&status);
        complete(&mut trailers, REPLY_TOO_LARGE, &mut ongoing.record);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // Not the body's: trailers of ours may take its place.
        SizeHint::default()
    }
}

fn with_complete_trailers(frame: Frame<Bytes>, record: &mut CallRecord) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            // Requests fail before the reply begins, or pass through a handler of ours.
            complete(&mut trailers, REPLY_TOO_LARGE, record);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Takes down the status among these headers or trailers, if there is one. An error that a library made
/// is completed, and every error says which call it is about.
fn complete(headers: &mut HeaderMap, too_large: &'static str, record: &mut CallRecord) {
    let Some(code) = headers.get(Status::GRPC_STATUS) else { return };
    let mut code = Code::from_bytes(code.as_bytes());
    if code != Code::Ok {
        if !headers.contains_key(Status::GRPC_STATUS_DETAILS)
            && let Some(status) = Status::from_header_map(headers)
        {
            let status = status::complete(&status, too_large);
            code = status.code();
            headers.extend(trailers(&status));
        }
        if let Some(id) = record.request_id() {
            headers.insert(REQUEST_ID, id);
        }
    }
    record.answered(code);
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if let Err(unfit) = status.add_header(&mut trailers) {
        tracing::error!(error = %unfit, "a status cannot be written");
    }
    trailers
}
