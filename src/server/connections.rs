//! Connections as they are accepted: with `TCP_NODELAY`, closed when they stay silent, and closed for good
//! at the end of a shutdown, whatever they wait for.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::metrics::Metrics;
use super::metrics::connections::Cut;
use super::shutdown::Phases;

/// How long to wait when no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Cancelled = Pin<Box<WaitForCancellationFutureOwned>>;

/// The connections that a listener accepts.
#[derive(Debug)]
pub(crate) struct Connections {
    listener: TcpListener,
    first_byte: Duration,
    phases: Phases,
    metrics: Arc<Metrics>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Connections {
    /// Accepts from `listener`; a connection has `first_byte` to send something.
    pub(crate) fn new(
        listener: TcpListener,
        first_byte: Duration,
        phases: Phases,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { listener, first_byte, phases, metrics, pause: None }
    }

    fn admit(&self, stream: TcpStream) -> Connection {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
        self.metrics.connections.accepted.add(1);
        self.metrics.connections.open.up();
        Connection {
            stream,
            metrics: Arc::clone(&self.metrics),
            silence: Some(Silence {
                timeout: Box::pin(sleep(self.first_byte)),
                draining: cancelled(&self.phases.draining),
            }),
            closing: cancelled(&self.phases.closing),
        }
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, _)) => return Poll::Ready(Some(Ok(self.admit(stream)))),
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Until the first byte.
    silence: Option<Silence>,
    closing: Cancelled,
    metrics: Arc<Metrics>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.open.down();
    }
}

/// What ends a connection that has not said anything.
#[derive(Debug)]
struct Silence {
    timeout: Pin<Box<Sleep>>,
    draining: Cancelled,
}

impl Silence {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timeout.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        self.draining.as_mut().poll(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.closing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > filled {
            self.silence = None;
        }
        match (&read, &mut self.silence) {
            (Poll::Pending, Some(silence)) => {
                ready!(silence.poll_end(cx));
                self.metrics.connections.cut(Cut::Silence);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            _ => read,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

fn cancelled(token: &CancellationToken) -> Cancelled {
    Box::pin(token.clone().cancelled_owned())
}
