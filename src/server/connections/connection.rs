//! One connection: what is read and written along it, and when it has to end.

use std::convert::Infallible;
use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::Peer;
use super::calls::{NewCalls, WithCalls};
use super::farewell::linger;
use super::socket::{Socket, Stall, State};
use super::woken::WhenWoken;
use crate::config::Timeouts;
use crate::server::metrics::Metrics;
use crate::server::metrics::connections::Cut;
use crate::server::tls::Stream;

/// A connection lives for its age, more or less by a tenth, so that not all reconnect at once.
const AGE_SPREAD: f64 = 0.1;
/// How long a connection that floods stays open, unread, so that its client cannot go on with the next one at
/// once: two thousand new ones a second cost half a core.
const FLOOD_PAUSE: Duration = Duration::from_millis(100);

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) state: Arc<State>,
    /// Ends it at once.
    pub(super) end: CancellationToken,
    pub(super) draining: CancellationToken,
    pub(super) timeouts: Timeouts,
    pub(super) metrics: Arc<Metrics>,
}

/// What a connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// To take no more calls, and to end after those it has.
    GoAway,
    /// To end.
    End,
}

/// How a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// By what one side said, which the client may still have to read.
    Said,
    /// Without another word.
    Cut,
    /// The same, for a flood.
    Flood,
}

impl Connection {
    /// Carries its calls until it ends.
    pub(super) async fn carry(
        self,
        stream: Stream,
        http: (http2::Builder<NewCalls>, NewCalls),
        service: OfPeer<impl Answers>,
    ) {
        let mut socket = Socket::new(stream, Arc::clone(&self.state));
        let ending = self.carry_calls(&mut socket, http, service).await;
        tokio::select! {
            () = self.end.cancelled() => {}
            () = async {
                match ending {
                    Ending::Said => linger(socket).await,
                    Ending::Flood => sleep(FLOOD_PAUSE).await,
                    Ending::Cut => {}
                }
            } => {}
        }
    }

    async fn carry_calls(
        &self,
        socket: &mut Socket<Stream>,
        (http, calls): (http2::Builder<NewCalls>, NewCalls),
        service: OfPeer<impl Answers>,
    ) -> Ending {
        let http = http.serve_connection(TokioIo::new(socket), service);
        let mut http = pin!(WithCalls::new(http, calls));
        let mut order = pin!(WhenWoken::new(self.order(false)));
        loop {
            tokio::select! {
                // What comes in and goes out wakes this task all the time; orders are rare.
                biased;
                next = order.as_mut() => match next {
                    Order::GoAway => {
                        self.state.leave();
                        http.as_mut().http().graceful_shutdown();
                        order.set(WhenWoken::new(self.order(true)));
                    }
                    Order::End => return Ending::Cut,
                },
                ended = http.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    if !self.state.is_flooding() {
                        return Ending::Said;
                    }
                    self.metrics.connections.cut(Cut::Flood);
                    return Ending::Flood;
                }
            }
        }
    }

    /// Waits for the next order.
    async fn order(&self, is_leaving: bool) -> Order {
        let Timeouts { connection_age, first_byte, untaken_reply, .. } = self.timeouts;
        let old = self.state.accepted() + spread(connection_age);
        let mut look = pin!(sleep_until(self.state.accepted() + first_byte));
        let mut stall = Stall::new(&self.state);
        loop {
            tokio::select! {
                () = self.end.cancelled() => return Order::End,
                () = self.draining.cancelled(), if !is_leaving => {
                    // HTTP/2 would wait for the client to begin before it tells it to go.
                    return if self.state.has_begun() { Order::GoAway } else { Order::End };
                }
                () = sleep_until(old), if !is_leaving => return Order::GoAway,
                () = look.as_mut() => {
                    if let Some(cut) = self.fault(&mut stall, untaken_reply) {
                        self.metrics.connections.cut(cut);
                        return Order::End;
                    }
                    look.as_mut().reset(Instant::now() + untaken_reply / 4);
                }
            }
        }
    }

    /// Why the connection has to end, once its client has had time to begin.
    fn fault(&self, stall: &mut Stall, untaken_reply: Duration) -> Option<Cut> {
        if !self.state.has_begun() {
            Some(Cut::Silence)
        } else if stall.look(&self.state) >= untaken_reply {
            Some(Cut::Stall)
        } else {
            None
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.open.down();
    }
}

/// A time, more or less by [`AGE_SPREAD`].
fn spread(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1_000;
    let share = f64::from(u16::try_from(random).unwrap_or_default()) / 1_000.0;
    time.mul_f64(1.0 - AGE_SPREAD + 2.0 * AGE_SPREAD * share)
}

/// What answers the requests of connections: it never fails, and HTTP/2 can send its replies.
pub(crate) trait Answers:
    Service<
        Request<Incoming>,
        Response = Response<<Self as Answers>::Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
    /// The body of a reply.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;
}

impl<S, B> Answers for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Body = B;
}

/// The services as one peer reaches them.
#[derive(Debug, Clone)]
pub(super) struct OfPeer<S> {
    pub(super) service: S,
    pub(super) peer: Peer,
}

impl<S> hyper::service::Service<Request<Incoming>> for OfPeer<S>
where
    S: Service<Request<Incoming>> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, mut request: Request<Incoming>) -> S::Future {
        request.extensions_mut().insert(self.peer.clone());
        // The services are always ready.
        self.service.clone().call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spread_around_what_is_set() {
        let ages: Vec<_> =
            (0..100).map(|_| spread(Duration::from_secs(100)).as_secs_f64()).collect();
        assert!(ages.iter().all(|age| (90.0..=110.0).contains(age)), "{ages:?}");
        assert!(ages.iter().any(|age| *age < 99.0) && ages.iter().any(|age| *age > 101.0));
    }
}
