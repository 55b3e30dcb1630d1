//! Reads along what a connection receives, as far as it costs the server something and asks for nothing:
//! a flood of resets, pings, settings or empty frames ends the connection.
//!
//! h2 has limits of its own for streams that it has not handed over yet, for header blocks and for frames
//! it keeps; what passes below them is counted here, by frame and without looking into it.
//!
//! Once the client is told to go away, it also takes out what h2 would take amiss, see [`Frames::sift`].

use std::time::Duration;

use tokio::time::Instant;

/// The client's first bytes, before any frame.
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
/// `ACK` of settings and of pings, `END_STREAM` of data.
const FLAG_1: u8 = 0x1;
/// A stream's number, without the bit that is reserved.
const STREAM_BITS: u32 = u32::MAX >> 1;

/// Half a reset is earned with each call, so that calling off every second one costs nothing.
const RESETS: Allowance = Allowance { most: 2_000.0, per_second: 200.0, per_earning: 0.5 };
/// Clients that measure the bandwidth send a ping for each thing they receive, which earns it; without that, one in
/// some seconds. A flood is read on to the end of the allowance at once, while others wait for the thread.
const OTHERS: Allowance = Allowance { most: 200.0, per_second: 100.0, per_earning: 1.0 };

/// Bytes of the shortest reply of a stream, for which a ping is earned. Twice those of the answer to a ping, so
/// that pings do not earn pings.
const LEAST_REPLY_BYTES: f64 = 34.0;

/// What h2 sends in the ping behind its first `GOAWAY`. With the answer it has heard of all streams that it
/// takes; those that come later it ignores, and says so in its second `GOAWAY`.
const LAST_PING: &[u8] = b"\x0b\x7b\xa2\xf0\x8b\x9b\xfe\x54";

/// How much is left of what a connection may spend.
#[derive(Debug)]
struct Budget {
    allowance: Allowance,
    left: f64,
}

#[derive(Debug, Clone, Copy)]
struct Allowance {
    most: f64,
    per_second: f64,
    per_earning: f64,
}

impl Budget {
    fn new(allowance: Allowance) -> Self {
        Self { allowance, left: allowance.most }
    }

    fn refill(&mut self, time: Duration) {
        self.earn(time.as_secs_f64() * self.allowance.per_second);
    }

    fn earn(&mut self, n: f64) {
        self.left = (self.left + n).min(self.allowance.most);
    }

    /// Whether there was something left.
    fn spend(&mut self) -> bool {
        self.left -= 1.0;
        self.left >= 0.0
    }
}

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Frames {
    preface_left: usize,
    head: [u8; HEAD_BYTES],
    head_filled: usize,
    /// How much of an incomplete head has been passed on.
    head_passed: usize,
    payload_left: usize,
    /// The payload is not passed on either.
    is_left_out: bool,
    /// What is missing of the answer to [`LAST_PING`], while it comes in.
    last_pong: Option<&'static [u8]>,
    /// The last stream that was opened, until then that answer.
    last_stream: u32,
    is_late: bool,
    resets: Budget,
    others: Budget,
    refilled: Instant,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            preface_left: PREFACE_BYTES,
            head: [0; HEAD_BYTES],
            head_filled: 0,
            head_passed: 0,
            payload_left: 0,
            is_left_out: false,
            last_pong: None,
            last_stream: 0,
            is_late: false,
            resets: Budget::new(RESETS),
            others: Budget::new(OTHERS),
            refilled: Instant::now(),
        }
    }

    /// Whether the client has said all that it must say first.
    pub(super) fn has_begun(&self) -> bool {
        self.preface_left == 0
    }

    /// So many bytes were sent to the client.
    pub(super) fn sent(&mut self, n_bytes: usize) {
        let n_bytes = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        self.others.earn(OTHERS.per_earning * f64::from(n_bytes) / LEAST_REPLY_BYTES);
    }

    /// Something was received, and passed on as it is. Whether the connection may go on.
    pub(super) fn received(&mut self, bytes: &[u8]) -> bool {
        let may_go_on = self.follow(bytes, |_| {});
        self.head_passed = self.head_filled;
        may_go_on
    }

    /// Something was received from a client that was told to go away; `kept` is passed on. Whether the connection
    /// may go on.
    ///
    /// A client may open streams until it has read that. h2 ignores those that come too late, and so that
    /// the client may send them to another server, but for their window updates: these it takes for
    /// an error of the connection, which ends the calls that it has taken. So they are left out.
    pub(super) fn sift(&mut self, bytes: &[u8], kept: &mut Vec<u8>) -> bool {
        self.follow(bytes, |part| kept.extend_from_slice(part))
    }

    fn follow(&mut self, mut bytes: &[u8], mut keep: impl FnMut(&[u8])) -> bool {
        let preface;
        (preface, bytes) = bytes.split_at(self.preface_left.min(bytes.len()));
        self.preface_left -= preface.len();
        keep(preface);
        while !bytes.is_empty() {
            let payload;
            (payload, bytes) = bytes.split_at(self.payload_left.min(bytes.len()));
            self.payload_left -= payload.len();
            if !self.is_left_out {
                keep(payload);
            }
            self.last_pong = self.last_pong.and_then(|missing| missing.strip_prefix(payload));
            if self.last_pong.is_some_and(<[u8]>::is_empty) {
                (self.is_late, self.last_pong) = (true, None);
            }
            let missing = self.head.get_mut(self.head_filled..).unwrap_or_default();
            let n = missing.len().min(bytes.len());
            for (to, from) in missing.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.head_filled += n;
            bytes = bytes.get(n..).unwrap_or_default();
            if self.head_filled == HEAD_BYTES {
                if !self.frame() {
                    return false;
                }
                if !self.is_left_out {
                    keep(self.head.get(self.head_passed..).unwrap_or_default());
                }
                self.head_passed = 0;
            }
        }
        true
    }

    /// The head of a frame is there.
    fn frame(&mut self) -> bool {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        self.head_filled = 0;
        self.payload_left = length;
        let is_flagged = flags & FLAG_1 != 0;
        let stream = u32::from_be_bytes(stream) & STREAM_BITS;
        self.is_left_out = self.is_late && kind == WINDOW_UPDATE && stream > self.last_stream;
        match kind {
            HEADERS => {
                if !self.is_late {
                    self.last_stream = self.last_stream.max(stream);
                }
                self.resets.earn(RESETS.per_earning);
                true
            }
            RST_STREAM => self.resets.spend() || self.refill_and(|frames| frames.resets.spend()),
            DATA if length > 0 || is_flagged => true,
            SETTINGS if is_flagged => true,
            // Pings of the server are too rare for their answers to be told from those to none.
            DATA | SETTINGS | PING | PRIORITY => {
                self.last_pong = (kind == PING && is_flagged).then_some(LAST_PING);
                self.others.spend() || self.refill_and(|frames| frames.others.spend())
            }
            _ => true,
        }
    }

    /// What time has earned is asked for only when nothing else is left.
    fn refill_and(&mut self, then: impl FnOnce(&mut Self) -> bool) -> bool {
        let now = Instant::now();
        let time = now.duration_since(self.refilled);
        self.refilled = now;
        self.resets.refill(time);
        self.others.refill(time);
        then(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a short payload").to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        bytes.resize(HEAD_BYTES + payload, 0);
        bytes
    }

    fn begun() -> Frames {
        let mut frames = Frames::new();
        assert!(frames.received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n"));
        assert!(!frames.has_begun());
        assert!(frames.received(b"\r\n"));
        assert!(frames.has_begun());
        frames
    }

    /// How many times the frames are taken, up to a limit.
    fn taken(bytes: &[u8], most: usize) -> usize {
        let mut frames = begun();
        (0..most).take_while(|_| frames.received(bytes)).count()
    }

    #[test]
    fn floods_end_and_calls_do_not() {
        let reset = [frame(HEADERS, 4, 40), frame(RST_STREAM, 0, 4)].concat();
        assert!((2_000..10_000).contains(&taken(&reset, 50_000)));
        let pings = [frame(PING, 0, 8), frame(PING, FLAG_1, 8)];
        for flood in pings.into_iter().chain([frame(SETTINGS, 0, 0), frame(DATA, 0, 0)]) {
            assert!((200..1_000).contains(&taken(&flood, 100_000)));
        }
        // The answers to pings earn too little for more of them, replies enough.
        let taken_with = |n_bytes| {
            let mut frames = begun();
            let takes = |_: &i32| {
                frames.sent(n_bytes);
                frames.received(&frame(PING, 0, 8))
            };
            (0..100_000).take_while(takes).count()
        };
        assert!((200..2_000).contains(&taken_with(17)));
        assert_eq!(taken_with(40), 100_000);
        let call = [frame(HEADERS, 4, 40), frame(DATA, 1, 60), frame(SETTINGS, 1, 0)].concat();
        assert_eq!(taken(&call, 100_000), 100_000);
        let half_called_off = [call.clone(), reset].concat();
        assert_eq!(taken(&half_called_off, 100_000), 100_000);
    }

    #[test]
    fn window_updates_of_streams_that_come_too_late_are_left_out() {
        let on = |mut frame: Vec<u8>, stream: u8| {
            frame[8] = stream;
            frame
        };
        let update = |stream| on(frame(WINDOW_UPDATE, 0, 4), stream);
        let call =
            |stream| [on(frame(HEADERS, 4, 40), stream), on(frame(DATA, 1, 7), stream)].concat();
        let mut pong = frame(PING, 1, 8);
        let other_pong = pong.clone();
        pong[HEAD_BYTES..].copy_from_slice(LAST_PING);
        let before = [call(3), update(3), other_pong, call(5), update(5), pong].concat();
        let after = [update(3), update(0), call(7), update(5)].concat();
        let kept = [before.clone(), after.clone(), update(3)].concat();
        let sent = [before, after, update(7), update(7), update(3)].concat();
        for piece in 1..sent.len() {
            for n_passed in 0..call(3).len() {
                let mut frames = begun();
                assert!(frames.received(&sent[..n_passed]));
                let mut passed = sent[..n_passed].to_vec();
                for part in sent[n_passed..].chunks(piece) {
                    assert!(frames.sift(part, &mut passed));
                }
                assert_eq!(passed, kept, "{n_passed} then {piece} bytes at a time");
            }
        }
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let bytes = [frame(DATA, 0, 300), frame(PING, 0, 8), frame(RST_STREAM, 0, 4)].concat();
        for piece in 1..bytes.len() {
            let mut frames = begun();
            for part in bytes.chunks(piece) {
                assert!(frames.received(part));
            }
            let spent = (RESETS.most - frames.resets.left, OTHERS.most - frames.others.left);
            assert!((spent.0 - 1.0).abs() < 1e-9 && (spent.1 - 1.0).abs() < 1e-9, "{spent:?}");
        }
    }
}
