//! The layer around handlers that panic, wait, and break off.

use std::collections::VecDeque;

use http_body::Frame;
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

/// The layer, around a handler.
fn edge<S>(handler: S) -> Edge<S> {
    let idle = Duration::from_millis(20);
    EdgeLayer::new(CancellationToken::new(), idle, Arc::default(), Traces::default()).layer(handler)
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
    let mut edge = edge(handler);
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
    let mut edge = edge(handler);
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
    let mut edge = edge(handler);
    let Ok(response) = edge.call(request([Err(Status::cancelled("reset"))])).await;
    assert!(Status::from_header_map(response.headers()).is_none(), "the assertion held");
}

#[tokio::test]
async fn a_handler_that_waits_is_dropped_when_its_deadline_passes() {
    let (dropped, was_dropped) = tokio::sync::oneshot::channel::<()>();
    let dropped = Arc::new(dropped);
    let handler = Handler(move |_| wait_for_ever(Arc::clone(&dropped)));
    let mut edge = edge(handler);
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
    let mut edge = edge(handler);
    let Ok(response) = edge.call(request([])).await;
    let status = Status::from_header_map(response.headers()).expect("a status");
    assert_eq!(status.code(), Code::ResourceExhausted);
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_an_error_to_whoever_waits_for_it() {
    /// Never gives anything.
    struct Silence;
    impl Body for Silence {
        type Data = Bytes;
        type Error = Status;
        fn poll_frame(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Pending
        }
    }
    let mut body = Box::pin(Incoming::new(Silence, Duration::from_millis(20)));
    let frame = next_frame(&mut body).await.expect("a frame");
    assert_eq!(frame.expect_err("idle").code(), Code::Aborted);
}
