//! Calls by method and code, and how long they took.

use std::fmt;
use std::time::Duration;

use tonic::Code;

use super::figures::{Count, Times, Writer};
use crate::server::codes::reason_of_code;
use crate::server::methods::{Method, N_METHODS};

const N_CODES: usize = 17;

/// From a tenth of a millisecond to ten seconds; streams are mostly longer.
const SECONDS: [f64; 11] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1.0, 2.5, 10.0];

/// Why a call was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    /// Too many run on the whole server.
    Calls,
    /// Too many of the same caller run.
    Caller,
    /// It waited too long for a thread.
    Queue,
    /// Too many batches and texts wait for the pool.
    Batches,
    /// Too many trainings and evaluations run.
    Jobs,
}

const SHED: [(Shed, &str); 5] = [
    (Shed::Calls, "calls"),
    (Shed::Caller, "caller"),
    (Shed::Queue, "queue"),
    (Shed::Batches, "batches"),
    (Shed::Jobs, "jobs"),
];

/// All calls of the server's life.
#[derive(Debug)]
pub(crate) struct Calls {
    methods: [OfMethod; N_METHODS],
    shed: [Count; SHED.len()],
}

#[derive(Debug)]
struct OfMethod {
    begun: Count,
    ended: [Count; N_CODES],
    seconds: Times<{ SECONDS.len() }>,
}

impl Default for Calls {
    fn default() -> Self {
        let of_method = |_| OfMethod {
            begun: Count::default(),
            ended: Default::default(),
            seconds: Times::new(&SECONDS),
        };
        Self { methods: std::array::from_fn(of_method), shed: Default::default() }
    }
}

impl Calls {
    /// A call has arrived.
    pub(crate) fn begin(&self, method: Method) {
        if let Some(of_method) = self.methods.get(method.index()) {
            of_method.begun.add(1);
        }
    }

    /// It has ended.
    pub(crate) fn end(&self, method: Method, code: Code, time: Duration) {
        let Some(of_method) = self.methods.get(method.index()) else { return };
        let code = usize::try_from(i32::from(code)).ok();
        if let Some(count) = code.and_then(|code| of_method.ended.get(code)) {
            count.add(1);
        }
        of_method.seconds.add(time);
    }

    /// A call was refused.
    pub(crate) fn shed(&self, why: Shed) {
        if let Some((_, count)) =
            SHED.iter().zip(&self.shed).find(|((reason, _), _)| *reason == why)
        {
            count.add(1);
        }
    }

    /// Writes what was counted.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let of_methods = || Method::all().zip(&self.methods);
        writer.counters(
            ("dictum_calls", "Calls that have ended, by method and gRPC code"),
            of_methods().flat_map(|(method, of_method)| {
                let codes = of_method.ended.iter().zip(0..);
                codes.map(move |(count, code)| {
                    let code = reason_of_code(Code::from_i32(code));
                    ([("method", method.name()), ("code", code)], count.get())
                })
            }),
        )?;
        writer.gauges(
            ("dictum_calls_in_flight", "Calls that have begun and not ended, streams among them"),
            of_methods().map(|(method, of_method)| {
                // In this order, so that the difference is never below zero.
                let ended: u64 = of_method.ended.iter().map(Count::get).sum();
                ([("method", method.name())], of_method.begun.get().saturating_sub(ended))
            }),
        )?;
        writer.times(
            ("dictum_call_seconds", "From a call's arrival to the end of its reply"),
            of_methods()
                .map(|(method, of_method)| ([("method", method.name())], &of_method.seconds)),
        )?;
        let shed = SHED.iter().zip(&self.shed);
        writer.counters(
            (
                "dictum_calls_shed",
                "Calls refused because of too much work, by what there was too much of",
            ),
            shed.map(|((_, name), count)| ([("limit", *name)], count.get())),
        )
    }
}
