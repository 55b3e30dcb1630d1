//! Connections: accepted up to a limit, carried over HTTP/2, and ended when they stay silent, take nothing,
//! flood, grow old, or at the end of a shutdown.
//!
//! `connection`: one of them. `socket`, `frames`: what is read along it; `calls`: what it carries. `silent`: those
//! that go first. `refusal`, `farewell`: what a client is told whose connection is not taken, or ends.

mod calls;
mod connection;
mod farewell;
mod frames;
mod refusal;
mod silent;
mod socket;
mod woken;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::metrics::Metrics;
use super::metrics::connections::Cut;
use super::shutdown::Phases;
use super::tls::{Names, Stream, Tls};
use crate::config::{Limits, ServeConfig, Timeouts};
use calls::NewCalls;
use connection::{Answers, Connection, OfPeer};
use refusal::Refusals;
use silent::Silent;
pub(crate) use socket::State;

/// What a connection may have in flight before it is read: bounds its memory, and is what h2 measures
/// many tiny messages against.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How much of a reply is buffered for a client that does not take it.
const MAX_SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Streams that may fail by themselves before the connection does.
const MAX_ERROR_RESETS: usize = 256;

/// How long to wait when no connection can be accepted, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are accepted and have not had the processor yet. Further ones wait to be accepted: those that
/// are open would wait behind all that come.
const MAX_NEW: usize = 8;

/// Who is at the other end; every request of the connection knows it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// What its certificate says.
    pub(crate) names: Names,
    /// Its connection.
    pub(crate) connection: Arc<State>,
}

/// The connections of a listener.
pub(crate) struct Connections {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    timeouts: Timeouts,
    phases: Phases,
    metrics: Arc<Metrics>,
    silent: Silent,
    refusals: Refusals,
    new: Arc<Semaphore>,
}

impl Connections {
    /// Accepts from `listener`, and speaks TLS where it is given.
    pub(crate) fn new(
        (listener, tls): (TcpListener, Option<Arc<Tls>>),
        config: &ServeConfig,
        phases: Phases,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (limits, timeouts) = (config.limits.clone(), config.timeouts.clone());
        let (silent, refusals) = (Silent::default(), Refusals::new(limits.max_connections));
        let new = Arc::new(Semaphore::new(MAX_NEW));
        Self { listener, tls, limits, timeouts, phases, metrics, silent, refusals, new }
    }

    /// Serves until the shutdown has begun and every connection has ended.
    pub(crate) async fn serve(mut self, service: impl Answers) {
        let mut open = JoinSet::new();
        let draining = self.phases.draining.clone();
        loop {
            tokio::select! {
                accepted = self.accept() => match accepted {
                    Ok((stream, address, place)) => {
                        if !self.has_room(open.len()) {
                            // Over TLS nothing can be said.
                            if self.tls.is_none() {
                                self.refusals.tell(stream);
                            }
                            continue;
                        }
                        let connection = self.begin(&stream);
                        let names = Names::default();
                        let stream = self.open(stream, &names);
                        let state = Arc::clone(&connection.state);
                        let peer = Peer { address, names, connection: state };
                        let service = OfPeer { service: service.clone(), peer };
                        let carried = connection.carry(stream, self.http(), service);
                        open.spawn(async {
                            drop(place);
                            carried.await;
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_ended) = open.join_next() => {}
                () = draining.cancelled() => break,
            }
        }
        // Nobody connects any more.
        drop(self.listener);
        while open.join_next().await.is_some() {}
    }

    /// The next connection, and its place among the new ones.
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let new = Arc::clone(&self.new);
        let place = new.acquire_owned().await.map_err(io::Error::other)?;
        let (stream, address) = self.listener.accept().await?;
        Ok((stream, address, place))
    }

    fn open(&self, stream: TcpStream, names: &Names) -> Stream {
        match &self.tls {
            Some(tls) => Stream::Handshake(Box::new(tls.accept(stream)), Arc::clone(names)),
            None => Stream::Plain(stream),
        }
    }

    fn http(&self) -> (http2::Builder<NewCalls>, NewCalls) {
        let calls = NewCalls::default();
        let mut http = http2::Builder::new(calls.clone());
        http.timer(TokioTimer::new())
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .max_concurrent_streams(self.limits.max_concurrent_streams.get())
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
            .max_local_error_reset_streams(MAX_ERROR_RESETS)
            .keep_alive_interval(self.timeouts.keepalive_interval)
            .keep_alive_timeout(self.timeouts.keepalive_timeout);
        (http, calls)
    }

    /// Whether there is room for one more connection, in place of one that stays silent if it must be.
    fn has_room(&mut self, n_open: usize) -> bool {
        self.metrics.connections.accepted.add(1);
        if n_open < self.limits.max_connections.get() {
            return true;
        }
        self.metrics.connections.cut(Cut::Limit);
        self.silent.end_oldest()
    }

    fn begin(&mut self, stream: &TcpStream) -> Connection {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
        self.metrics.connections.open.up();
        let (state, end) = (Arc::new(State::new()), self.phases.closing.child_token());
        self.silent.push(&state, end.clone());
        Connection {
            state,
            end,
            draining: self.phases.draining.clone(),
            timeouts: self.timeouts.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }
}
