//! Calls made by hand over HTTP/2, for what a proper client does not send or does not show.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, SendStream};
use http::{HeaderMap, Method, Request};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;

use crate::support::PATIENCE;

/// A call whose request goes on.
pub(crate) struct RawCall {
    request: SendStream<Bytes>,
    response: ResponseFuture,
}

/// Opens a call on a connection of its own.
pub(crate) async fn call(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> RawCall {
    let socket = TcpStream::connect(address).await.expect("a connection");
    let (client, connection) = h2::client::handshake(socket).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut client = client.ready().await.expect("room for a call");
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("a request");
    let (response, request) = client.send_request(request, false).expect("sent");
    RawCall { request, response }
}

impl RawCall {
    /// Sends one message with its frame.
    pub(crate) fn send(&mut self, message: &[u8], is_last: bool) {
        self.send_framed(0, message, is_last);
    }

    /// Sends one message that is compressed.
    pub(crate) fn send_compressed(&mut self, message: &[u8], is_last: bool) {
        self.send_framed(1, message, is_last);
    }

    fn send_framed(&mut self, flag: u8, message: &[u8], is_last: bool) {
        let length = u32::try_from(message.len()).expect("a short message");
        let mut frame = vec![flag];
        frame.extend(length.to_be_bytes());
        frame.extend(message);
        // A server that has refused the call already closes the stream; its status says all.
        drop(self.request.send_data(frame.into(), is_last));
    }

    /// Waits for the beginning of a reply, then calls the call off.
    pub(crate) async fn cancel_when_it_answers(mut self) {
        let first = async {
            let mut body = self.response.await.expect("a response").into_body();
            body.data().await.expect("a message").expect("no error")
        };
        timeout(PATIENCE, first).await.expect("a message in time");
        self.request.send_reset(Reason::CANCEL);
    }

    /// Waits for the beginning of the first message, with its frame, and leaves the call.
    pub(crate) async fn first_message(self) -> Bytes {
        let first = async {
            let mut body = self.response.await.expect("a response").into_body();
            body.data().await.expect("a message").expect("no error")
        };
        let message = timeout(PATIENCE, first).await.expect("a message in time");
        drop(self.request);
        message
    }

    /// Waits for the status, whatever comes before it.
    pub(crate) async fn status(self) -> Status {
        let status = async {
            let (head, mut body) = self.response.await.expect("a response").into_parts();
            if let Some(status) = Status::from_header_map(&head.headers) {
                return status;
            }
            while let Some(data) = body.data().await {
                let n = data.expect("data").len();
                body.flow_control().release_capacity(n).expect("room");
            }
            let trailers: Option<HeaderMap> = body.trailers().await.expect("an end");
            Status::from_header_map(&trailers.expect("trailers")).expect("a status")
        };
        // The request must stay open meanwhile: dropped, it would be broken off.
        let status = timeout(PATIENCE, status).await.expect("a status in time");
        drop(self.request);
        status
    }
}
