//! The layer around every call, unary or streaming. It sees to what handlers and tonic leave open:
//!
//! - a panic becomes INTERNAL, and the server lives;
//! - a deadline that passes becomes `DEADLINE_EXCEEDED`, in the middle of a stream too, and what the
//!   handler was doing is dropped;
//! - calls that outlive the grace period of a shutdown become UNAVAILABLE;
//! - statuses made by the library carry an `ErrorInfo`, and `RESOURCE_EXHAUSTED` for messages too large;
//! - a request stream that the client breaks off is an error and not its end: tonic shows a
//!   handler no difference, and a training would take half of the data for all of it.
//!
//! Further layers (authorisation, limits, metrics) belong inside this one.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use super::codes::{MESSAGE_TOO_LARGE, REPLY_TOO_LARGE};
use super::deadline::CallEnd;
use super::status;

/// Puts [`Edge`] around the services.
#[derive(Debug, Clone)]
pub(crate) struct EdgeLayer {
    abort: CancellationToken,
}

impl EdgeLayer {
    /// All calls end when `abort` is cancelled.
    pub(crate) fn new(abort: CancellationToken) -> Self {
        Self { abort }
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, abort: self.abort.clone() }
    }
}

/// The services with the layer around them.
#[derive(Debug, Clone)]
pub(crate) struct Edge<S> {
    inner: S,
    abort: CancellationToken,
}

impl<S, I, O> Service<Request<I>> for Edge<S>
where
    S: Service<Request<Incoming<I>>, Response = Response<O>, Error = Infallible>,
    O: Body<Data = Bytes>,
{
    type Response = Response<Outgoing<O>>;
    type Error = Infallible;
    type Future = Call<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let end = CallEnd::new(request.headers(), self.abort.clone());
        Call { handler: self.inner.call(request.map(|body| Incoming { body })), end: Some(end) }
    }
}

pin_project! {
    /// A call until its reply begins.
    pub(crate) struct Call<F> {
        #[pin]
        handler: F,
        // Moves on to the reply's body.
        end: Option<CallEnd>,
    }
}

impl<F, O> Future for Call<F>
where
    F: Future<Output = Result<Response<O>, Infallible>>,
    O: Body<Data = Bytes>,
{
    type Output = Result<Response<Outgoing<O>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match catch_unwind(AssertUnwindSafe(|| this.handler.poll(cx))) {
            Ok(Poll::Ready(Ok(response))) => begin(response, this.end.take()),
            Ok(Poll::Pending) => match this.end.as_mut().map(|end| end.poll(cx)) {
                Some(Poll::Ready(status)) => status.into_http(),
                Some(Poll::Pending) | None => return Poll::Pending,
            },
            Err(panic) => panicked(panic).into_http(),
        };
        Poll::Ready(Ok(response))
    }
}

/// The reply of a handler. A status among the headers is the whole reply.
fn begin<O>(response: Response<O>, end: Option<CallEnd>) -> Response<Outgoing<O>> {
    let (mut parts, body) = response.into_parts();
    complete(&mut parts.headers, MESSAGE_TOO_LARGE);
    Response::from_parts(parts, Outgoing { body: Some(body), end, has_begun: false })
}

pin_project! {
    /// A reply that may end before its handler does.
    pub(crate) struct Outgoing<O> {
        // `None` once the reply has ended.
        #[pin]
        body: Option<O>,
        end: Option<CallEnd>,
        has_begun: bool,
    }
}

impl<O> Default for Outgoing<O> {
    fn default() -> Self {
        Self { body: None, end: None, has_begun: false }
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
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        // A stream that is never idle still has its deadline. A single reply that is ready gets out.
        let overdue = if *this.has_begun { this.end.as_ref().and_then(CallEnd::now) } else { None };
        let status = match overdue {
            Some(status) => status,
            None => match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
                Ok(Poll::Ready(frame)) => {
                    *this.has_begun = true;
                    return Poll::Ready(frame.map(|frame| frame.map(with_complete_trailers)));
                }
                Ok(Poll::Pending) => match this.end.as_mut().map(|end| end.poll(cx)) {
                    Some(Poll::Ready(status)) => status,
                    Some(Poll::Pending) | None => return Poll::Pending,
                },
                Err(panic) => panicked(panic),
            },
        };
        this.body.set(None);
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // Not the body's: trailers of ours may take its place.
        SizeHint::default()
    }
}

pin_project! {
    /// A request whose breaking off is an error.
    pub(crate) struct Incoming<I> {
        #[pin]
        body: I,
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
        self.project().body.poll_frame(cx).map_err(|error| {
            let status = Status::from_error(error.into());
            // The one code that tonic would take for the end of the stream.
            if status.code() == Code::Cancelled {
                Status::aborted("the client broke off the request")
            } else {
                status
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn with_complete_trailers(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            // Requests fail before the reply begins, or pass through a handler of ours.
            complete(&mut trailers, REPLY_TOO_LARGE);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

/// Completes the status among these headers or trailers, if there is one that a library made.
fn complete(headers: &mut HeaderMap, too_large: &'static str) {
    let is_error = headers.get(Status::GRPC_STATUS).is_some_and(|code| code != "0");
    if !is_error || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return;
    }
    if let Some(status) = Status::from_header_map(headers) {
        headers.extend(trailers(&status::complete(&status, too_large)));
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if let Err(unfit) = status.add_header(&mut trailers) {
        tracing::error!(error = %unfit, "a status cannot be written");
    }
    trailers
}

/// The panic itself is logged by the process's panic hook; its message may quote the request.
fn panicked(panic: Box<dyn Any + Send>) -> Status {
    drop(panic);
    status::of_server(Code::Internal, "INTERNAL", "internal error, see the server's log")
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use tonic_types::StatusExt;

    use super::*;

    /// Gives its frames; panics where there is none.
    struct Frames(VecDeque<Result<Frame<Bytes>, Status>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            let frame = self.0.pop_front().expect("on purpose");
            Poll::Ready(Some(frame))
        }
    }

    /// A handler, as the layer sees it.
    #[derive(Clone)]
    struct Handler<F>(F);

    impl<F, R> Service<Request<Incoming<Frames>>> for Handler<F>
    where
        F: FnMut(Request<Incoming<Frames>>) -> R,
        R: Future<Output = Result<Response<Frames>, Infallible>>,
    {
        type Response = Response<Frames>;
        type Error = Infallible;
        type Future = R;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Incoming<Frames>>) -> R {
            (self.0)(request)
        }
    }

    fn request(frames: impl Into<VecDeque<Result<Frame<Bytes>, Status>>>) -> Request<Frames> {
        Request::new(Frames(frames.into()))
    }

    async fn wait_for_ever<T>(_held: Arc<T>) -> Result<Response<Frames>, Infallible> {
        std::future::pending().await
    }

    async fn next_frame<B: Body<Data = Bytes> + Unpin>(
        body: &mut B,
    ) -> Option<Result<Frame<Bytes>, B::Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_is_internal() {
        let handler = Handler(async |_| panic!("on purpose"));
        let mut edge = EdgeLayer::new(CancellationToken::new()).layer(handler);
        let Ok(response) = edge.call(request([])).await;
        let status = Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("on purpose"));
        assert_eq!(status.get_details_error_info().expect("an ErrorInfo").reason, "INTERNAL");
    }

    #[tokio::test]
    async fn a_panic_in_a_stream_is_internal_behind_what_came_before() {
        let handler = Handler(async |_| {
            let first = Ok(Frame::data(Bytes::from_static(b"first")));
            Ok(Response::new(Frames([first].into())))
        });
        let mut edge = EdgeLayer::new(CancellationToken::new()).layer(handler);
        let Ok(response) = edge.call(request([])).await;
        let mut body = Box::pin(response.into_body());
        let first = next_frame(&mut body).await.expect("a frame").expect("no error");
        assert_eq!(first.into_data().expect("data"), "first");
        let last = next_frame(&mut body).await.expect("a frame").expect("no error");
        let trailers = last.into_trailers().expect("trailers");
        let status = Status::from_header_map(&trailers).expect("a status");
        assert_eq!(status.code(), Code::Internal);
        assert!(next_frame(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn a_request_that_is_broken_off_is_an_error_and_not_an_end() {
        let handler = Handler(async |request: Request<Incoming<Frames>>| {
            let mut body = Box::pin(request.into_body());
            let frame = next_frame(&mut body).await.expect("a frame");
            assert_eq!(frame.expect_err("broken off").code(), Code::Aborted);
            Ok(Response::new(Frames(VecDeque::new())))
        });
        let mut edge = EdgeLayer::new(CancellationToken::new()).layer(handler);
        let Ok(response) = edge.call(request([Err(Status::cancelled("reset"))])).await;
        assert!(Status::from_header_map(response.headers()).is_none(), "the assertion held");
    }

    #[tokio::test]
    async fn a_handler_that_waits_is_dropped_when_its_deadline_passes() {
        let (dropped, was_dropped) = tokio::sync::oneshot::channel::<()>();
        let dropped = Arc::new(dropped);
        let handler = Handler(move |_| wait_for_ever(Arc::clone(&dropped)));
        let mut edge = EdgeLayer::new(CancellationToken::new()).layer(handler);
        let mut request = request([]);
        request.headers_mut().insert("grpc-timeout", "20m".parse().expect("a value"));
        let Ok(response) = edge.call(request).await;
        let status = Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(status.code(), Code::DeadlineExceeded);
        drop(edge);
        was_dropped.await.expect_err("the handler is gone");
    }

    #[tokio::test]
    async fn statuses_of_the_library_are_completed() {
        let handler = Handler(async |_| {
            let status = Status::out_of_range("decoded message length too large");
            Ok(status.into_http::<()>().map(|()| Frames(VecDeque::new())))
        });
        let mut edge = EdgeLayer::new(CancellationToken::new()).layer(handler);
        let Ok(response) = edge.call(request([])).await;
        let status = Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(status.code(), Code::ResourceExhausted);
        let info = status.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(info.reason, "MESSAGE_TOO_LARGE");
    }
}
