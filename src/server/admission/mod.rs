//! Which calls are taken when there is too much to do. The others are refused at once, so that those that
//! are taken are answered in time; nothing is queued without bound.
//!
//! Three limits hold for calls that compute: how many there are on the whole server, how many of one
//! caller, and how long they have waited for a thread. The last is the one that adapts itself: a
//! short queue is the price of bursts, a queue that does not drain is overload, and from then on what has waited longer than the limit is refused. Health, reflection and the
//! administration of models are always answered.

mod callers;
mod queue;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::Status;
use tower_layer::Layer;
use tower_service::Service;

use super::methods::{Kind, Method};
use super::metrics::Metrics;
use super::metrics::calls::Shed;
use super::metrics::figures::Level;
use super::status;
pub(crate) use callers::LastCaller;
use callers::{Caller, Callers, Share};
use queue::Queue;

/// How much work is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkLimits {
    /// Calls that run at the same time.
    pub(crate) calls: u64,
    /// Calls of one caller that run at the same time.
    pub(crate) calls_per_caller: u64,
    /// How long a call waits for a thread while there is more to do than can be done.
    pub(crate) wait: Duration,
}

/// Puts [`Admission`] before the services.
#[derive(Debug, Clone)]
pub(crate) struct AdmissionLayer(Arc<Gate>);

/// What all calls pass.
#[derive(Debug)]
struct Gate {
    limits: WorkLimits,
    running: Level,
    callers: Callers,
    queue: Queue,
    metrics: Arc<Metrics>,
}

impl AdmissionLayer {
    /// Takes calls up to these limits.
    pub(crate) fn new(limits: WorkLimits, metrics: Arc<Metrics>) -> Self {
        let queue = Queue::new(limits.wait);
        let (running, callers) = (Level::default(), Callers::default());
        Self(Arc::new(Gate { limits, running, callers, queue, metrics }))
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admission<S>;

    fn layer(&self, inner: S) -> Admission<S> {
        Admission { inner, gate: Arc::clone(&self.0) }
    }
}

impl Gate {
    /// Takes a call, or says why not.
    fn admit<I>(self: &Arc<Self>, request: &Request<I>) -> Result<Ticket, Shed> {
        let mut ticket = Ticket { gate: Arc::clone(self), share: None, arrived: None };
        if self.running.up() > self.limits.calls {
            return Err(Shed::Calls);
        }
        if let Some((caller, last)) = Caller::of(request) {
            let share = self.callers.share(caller, last, self.limits.calls_per_caller);
            ticket.share = Some(share.ok_or(Shed::Caller)?);
        }
        let now = Instant::now();
        self.queue.enter(now);
        ticket.arrived = Some(now);
        Ok(ticket)
    }

    fn refusal(&self, why: Shed) -> Status {
        self.metrics.calls.shed(why);
        let WorkLimits { calls, calls_per_caller, wait } = self.limits;
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match why {
            Shed::Caller => {
                let text = format!("you have {calls_per_caller} calls running, no more are taken");
                status::overload("TOO_MANY_CALLS_OF_CALLER", &text, calls_per_caller)
            }
            Shed::Queue => {
                let text =
                    format!("the server is overloaded, the call has waited over {millis} ms");
                status::overload("OVERLOADED", &text, millis)
            }
            Shed::Calls | Shed::Batches | Shed::Jobs => {
                let text = format!("{calls} calls are running, no more are taken");
                status::overload("TOO_MANY_CALLS", &text, calls)
            }
        }
    }
}

/// A call that was taken; given back when it is dropped.
#[derive(Debug)]
struct Ticket {
    gate: Arc<Gate>,
    share: Option<Share>,
    /// While it waits to begin.
    arrived: Option<Instant>,
}

impl Ticket {
    /// Whether the call may begin; it must not when it has waited for too long.
    fn begin(&mut self) -> bool {
        let Some(arrived) = self.arrived.take() else { return true };
        self.gate.queue.leave(arrived, Instant::now())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // A call that ends before it has begun leaves the queue too.
        self.begin();
        self.gate.running.down();
    }
}

/// The services behind the gate.
#[derive(Debug, Clone)]
pub(crate) struct Admission<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S, I, O> Service<Request<I>> for Admission<S>
where
    S: Service<Request<I>, Response = Response<O>, Error = Infallible>,
    O: Body<Data = Bytes>,
{
    type Response = Response<Admitted<O>>;
    type Error = Infallible;
    type Future = Entering<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let entry = match Method::of(request.uri().path()).kind() {
            Kind::Admin => Ok(None),
            Kind::Work => self.gate.admit(&request).map(Some),
        };
        match entry {
            Ok(ticket) => {
                Entering { handler: Some(self.inner.call(request)), ticket, refusal: None }
            }
            Err(why) => {
                Entering { handler: None, ticket: None, refusal: Some(self.gate.refusal(why)) }
            }
        }
    }
}

pin_project! {
    /// A call at the gate, and behind it until its reply begins.
    pub(crate) struct Entering<F> {
        // `None` where the call was not taken.
        #[pin]
        handler: Option<F>,
        // `None` where none is needed. Moves on to the reply's body.
        ticket: Option<Ticket>,
        refusal: Option<Status>,
    }
}

impl<F, O> Future for Entering<F>
where
    F: Future<Output = Result<Response<O>, Infallible>>,
{
    type Output = Result<Response<Admitted<O>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(ticket) = this.ticket
            && !ticket.begin()
        {
            *this.refusal = Some(ticket.gate.refusal(Shed::Queue));
            this.handler.set(None);
        }
        let Some(handler) = this.handler.as_pin_mut() else {
            let refusal = this.refusal.take().unwrap_or_else(|| Status::unknown("refused"));
            return Poll::Ready(Ok(refusal.into_http()));
        };
        let ticket = this.ticket;
        handler.poll(cx).map(|response| {
            let admit = |body| Admitted { body: Some(body), _ticket: ticket.take() };
            response.map(|response| response.map(admit))
        })
    }
}

pin_project! {
    /// A reply with what its call holds.
    pub(crate) struct Admitted<O> {
        // `None` where the headers are the whole reply.
        #[pin]
        body: Option<O>,
        _ticket: Option<Ticket>,
    }
}

impl<O> Default for Admitted<O> {
    fn default() -> Self {
        Self { body: None, _ticket: None }
    }
}

impl<O: Body<Data = Bytes>> Body for Admitted<O> {
    type Data = Bytes;
    type Error = O::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, O::Error>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
