//! A socket that is read along, and what is known of the connection it carries.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::frames::Frames;
use crate::server::admission::LastCaller;
use crate::server::auth::Shown;
use crate::server::metrics::figures::Level;

/// Read at once from a client that has to be sifted.
const SIFTED_BYTES: usize = 8 * 1024;

/// What is known of a connection, by those who carry it and those who answer on it.
#[derive(Debug)]
pub(crate) struct State {
    accepted: Instant,
    has_begun: AtomicBool,
    is_flooding: AtomicBool,
    is_leaving: AtomicBool,
    /// Parts of replies that are handed over and not taken by the client.
    untaken: Level,
    /// How often one was taken, or the first handed over.
    moves: AtomicU64,
    /// The token it showed last.
    pub(crate) shown: Shown,
    /// Who called last.
    pub(crate) last_caller: LastCaller,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            accepted: Instant::now(),
            has_begun: AtomicBool::new(false),
            is_flooding: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            untaken: Level::default(),
            moves: AtomicU64::new(0),
            shown: Shown::default(),
            last_caller: LastCaller::default(),
        }
    }

    /// When it was accepted.
    pub(super) fn accepted(&self) -> Instant {
        self.accepted
    }

    /// Whether the client has said what it must say first.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Whether it sent more than it may of what asks for nothing.
    pub(super) fn is_flooding(&self) -> bool {
        self.is_flooding.load(Ordering::Relaxed)
    }

    /// The client is about to be told to go away.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// A part of a reply is handed over.
    pub(crate) fn hand_over(&self) {
        if self.untaken.up() == 1 {
            self.moved();
        }
    }

    /// It was taken, or is not wanted any more.
    pub(crate) fn taken(&self) {
        self.untaken.down();
        self.moved();
    }

    fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }
}

/// How long nothing was taken of what there is, by who looks now and then: calls read no clock for it.
#[derive(Debug)]
pub(super) struct Stall {
    moves: u64,
    since: Instant,
}

impl Stall {
    /// The first look.
    pub(super) fn new(state: &State) -> Self {
        Self { moves: state.moves.load(Ordering::Relaxed), since: Instant::now() }
    }

    /// Looks again; returns for how long nothing has moved, as far as it was looked at.
    pub(super) fn look(&mut self, state: &State) -> Duration {
        let moves = state.moves.load(Ordering::Relaxed);
        if state.untaken.get() == 0 || moves != self.moves {
            *self = Self { moves, since: Instant::now() };
        }
        self.since.elapsed()
    }
}

/// A socket that is read along.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    frames: Frames,
    /// What was read and sifted, and is not passed on yet.
    sifted: Vec<u8>,
    state: Arc<State>,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, state: Arc<State>) -> Self {
        Self { stream, frames: Frames::new(), sifted: Vec::new(), state }
    }

    /// What follows from something that was received.
    fn received(&mut self, may_go_on: bool) -> io::Result<()> {
        if !may_go_on {
            self.state.is_flooding.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        if self.frames.has_begun() && !self.state.has_begun() {
            self.state.has_begun.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n_bytes)) = written {
            self.frames.sent(n_bytes);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state.is_leaving.load(Ordering::Relaxed) {
            return self.poll_sifted(cx, buffer);
        }
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let received = buffer.filled().get(filled..).unwrap_or_default();
        if received.is_empty() {
            return read;
        }
        let may_go_on = self.frames.received(received);
        self.received(may_go_on)?;
        read
    }
}

impl<S: AsyncRead + Unpin> Socket<S> {
    fn poll_sifted(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.sifted.is_empty() {
            let mut bytes = [0; SIFTED_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let may_go_on = self.frames.sift(read.filled(), &mut self.sifted);
            self.received(may_go_on)?;
        }
        let n = self.sifted.len().min(buffer.remaining());
        buffer.put_slice(self.sifted.get(..n).unwrap_or_default());
        self.sifted.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written)
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
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn a_connection_stalls_when_nothing_is_taken() {
        const WHILE: Duration = Duration::from_millis(30);
        let state = State::new();
        let mut stall = Stall::new(&state);
        sleep(2 * WHILE).await;
        assert!(stall.look(&state) < WHILE, "there is nothing to take");
        state.hand_over();
        assert!(stall.look(&state) < WHILE);
        sleep(WHILE).await;
        state.hand_over();
        sleep(WHILE).await;
        assert!(stall.look(&state) >= 2 * WHILE);
        state.taken();
        assert!(stall.look(&state) < WHILE);
        sleep(2 * WHILE).await;
        assert!(stall.look(&state) >= WHILE, "the other one is still there");
        state.taken();
        assert!(stall.look(&state) < WHILE);
    }
}
