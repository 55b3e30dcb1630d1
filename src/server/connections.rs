//! Connections as they are accepted: with `TCP_NODELAY`, encrypted where there is a certificate, closed
//! when they stay silent, and closed for good at the end of a shutdown, whatever they wait for.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::metrics::Metrics;
use super::metrics::connections::Cut;
use super::shutdown::Phases;
use super::tls::{self, Names, Tls};

/// How long to wait when no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Cancelled = Pin<Box<WaitForCancellationFutureOwned>>;

/// The connections that a listener accepts.
#[derive(Debug)]
pub(crate) struct Connections {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    first_byte: Duration,
    phases: Phases,
    metrics: Arc<Metrics>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Connections {
    /// Accepts from `listener`; a connection has `first_byte` for its handshake and to send something.
    pub(crate) fn new(
        listener: TcpListener,
        tls: Option<Arc<Tls>>,
        first_byte: Duration,
        phases: Phases,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { listener, tls, first_byte, phases, metrics, pause: None }
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr) -> Connection {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
        self.metrics.connections.accepted.add(1);
        self.metrics.connections.open.up();
        let peer = Peer { address, names: Names::default() };
        let stream = match &self.tls {
            Some(tls) => {
                tls::Stream::Handshake(Box::new(tls.accept(stream)), Arc::clone(&peer.names))
            }
            None => tls::Stream::Plain(stream),
        };
        Connection {
            stream,
            peer,
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
                Ok((stream, address)) => {
                    return Poll::Ready(Some(Ok(self.admit(stream, address))));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

/// Who is at the other end; every request of the connection knows it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// What its certificate says.
    pub(crate) names: Names,
}

/// One connection.
pub(crate) struct Connection {
    stream: tls::Stream,
    peer: Peer,
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

impl Connection {
    /// What became of reading or writing; an error if the peer has been silent for too long.
    fn unless_silent<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match (&done, &mut self.silence) {
            (Poll::Pending, Some(silence)) => {
                ready!(silence.poll_end(cx));
                self.metrics.connections.cut(Cut::Silence);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            _ => done,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
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
        self.unless_silent(cx, read)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A handshake may wait in here.
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.unless_silent(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.unless_silent(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.unless_silent(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

fn cancelled(token: &CancellationToken) -> Cancelled {
    Box::pin(token.clone().cancelled_owned())
}
