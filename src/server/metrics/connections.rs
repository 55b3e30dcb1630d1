//! Connections: how many there are, and how the others ended.

use std::fmt;

use super::figures::{Count, Level, NO_LABELS, Writer};

/// Why the server ended a connection, or did not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// There were too many.
    Limit,
    /// Nothing useful came in time.
    Silence,
    /// Nothing of what was sent was taken.
    Stall,
    /// It sent frames that cost much and ask for nothing.
    Flood,
}

const CUTS: [(Cut, &str); 4] = [
    (Cut::Limit, "limit"),
    (Cut::Silence, "silence"),
    (Cut::Stall, "stall"),
    (Cut::Flood, "flood"),
];

/// All connections of the server's life.
#[derive(Debug, Default)]
pub(crate) struct ConnectionFigures {
    /// Those that are open.
    pub(crate) open: Level,
    /// All that were accepted.
    pub(crate) accepted: Count,
    cut: [Count; CUTS.len()],
}

impl ConnectionFigures {
    /// A connection was ended by the server.
    pub(crate) fn cut(&self, why: Cut) {
        if let Some((_, count)) = CUTS.iter().zip(&self.cut).find(|((cut, _), _)| *cut == why) {
            count.add(1);
        }
    }

    /// Writes what was counted.
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.gauges(
            ("dictum_connections", "Connections that are open"),
            [(NO_LABELS, self.open.get())],
        )?;
        writer.counters(
            ("dictum_connections_accepted", "Connections that were accepted"),
            [(NO_LABELS, self.accepted.get())],
        )?;
        let cut = CUTS.iter().zip(&self.cut);
        writer.counters(
            ("dictum_connections_cut", "Connections that the server ended, by why"),
            cut.map(|((_, name), count)| ([("reason", *name)], count.get())),
        )
    }
}
