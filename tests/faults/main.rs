//! The faults a folder of models has to survive, done to the real program, and a table of what came of it.
//!
//! `cargo test --test faults` does a few of each in a minute; with `--release`, and `-- --long` behind it,
//! as many as the guarantees of `src/store/mod.rs` are stated for. A word behind `--` picks the rows that
//! hold it. What this machine does not permit (strace, mounting) is said in the table, and is left to
//! the simulated file system of the unit tests, whose counts are in the table too.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::string_slice,
    reason = "a test says what it expects, and fails where it is not so"
)]

mod damage;
mod disk;
mod folder;
mod kills;
mod names;
mod program;
mod simulated;
mod swaps;
mod syscalls;
mod writers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// How much of everything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// A minute in all.
    Short,
    /// What the guarantees are stated for.
    Long,
}

impl Scale {
    fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// What came of one fault that was survived.
#[derive(Debug)]
struct Survived {
    /// How often it was done.
    n: usize,
    /// What was found, in a line.
    found: String,
}

impl Survived {
    fn new(n: usize, found: impl Into<String>) -> Self {
        Self { n, found: found.into() }
    }
}

type Fault = fn(Scale) -> Survived;

/// Each row of the table. What is not survived panics.
const FAULTS: [(&str, Fault); 19] = [
    ("kill -9 at random moments: train, publish", kills::train),
    ("kill -9 at random moments: activate", kills::activate),
    ("kill -9 at random moments: delete", kills::delete),
    ("kill -9 at random moments: sweep", kills::sweep),
    ("kill -9 at random moments: server that trains", kills::server),
    ("kill at each write, fsync, rename, unlink", syscalls::kill),
    ("the same, simulated, and again while recovering", simulated::kill),
    ("un-synced data lost after each step, simulated", simulated::loss),
    ("ENOSPC, EIO at each write, fsync, rename, unlink", syscalls::errors),
    ("the same, simulated, and full from there on", simulated::errors),
    ("full disk under a server", disk::full),
    ("read-only folder under a server", disk::read_only),
    ("a bit of a model file flipped", damage::bits),
    ("a model file cut short or lengthened", damage::cuts),
    ("tensors of a model file swapped", damage::tensors),
    ("damaged files under a server", damage::server),
    ("swaps under full load", swaps::swaps),
    ("two trainers, two writers", writers::two),
    ("names and links that lead out of the folder", names::refused),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let scale = if args.iter().any(|arg| arg == "--long") { Scale::Long } else { Scale::Short };
    // Words of cargo's own tests; a row has to hold one of them.
    let words: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let is_wanted = |row: &str| words.is_empty() || words.iter().any(|word| row.contains(*word));
    let mut is_good = true;
    println!("{:<50} {:>7}  {:>6}  outcome", "fault", "times", "s");
    for (name, fault) in FAULTS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let started = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| fault(scale)));
        is_good &= done.is_ok();
        let Survived { n, found } =
            done.unwrap_or_else(|_said| Survived::new(0, "NOT SURVIVED, see above"));
        println!("{name:<50} {n:>7}  {:>6.1}  {found}", started.elapsed().as_secs_f64());
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
