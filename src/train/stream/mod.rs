//! Rows as they come: kept while they are few; from then on each is counted and forgotten, but for a
//! sample. So memory is bounded whatever the length of the input.
//!
//! [`collect`] takes in rows from a reader and gives a [`Dataset`]. Where it holds a sample only, what a
//! training leaves open is chosen and judged on the sample, by tables that have counted everything else.
//!
//! In the order of the flow:
//!
//! - `batch`: rows on their way to the counters.
//! - `scatter`: their features, by partition.
//! - `partition`, `table`, `tokens`: the counts; `counts`: all of them, growing side by side.
//! - `characters`: the character n-grams' counts, from the tokens'.
//! - `counted`: the sums in the end.
//! - `sample`: the rows that are kept.

mod batch;
mod characters;
mod counted;
mod counts;
mod partition;
mod sample;
mod scatter;
mod table;
#[cfg(test)]
mod tests;
mod tokens;

pub use counted::Counted;
pub(super) use counted::CountedView;

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rayon::ThreadPool;

use self::batch::Batch;
use self::counts::Counts;
use self::sample::{Sample, Size};
use super::examples::{
    Dataset, Example, Fate, FindingCode, Intake, LimitExceeded, Limits, Rows, TextKey, Texts,
};
use crate::features::View;
use crate::train::Observer;

/// Rows of a sample where no number is given.
const SAMPLE_ROWS: usize = 20_000;
/// Memory that choosing and judging take for a byte of text, all views in use.
const SEARCH_BYTES_PER_BYTE: u64 = 100;
/// Share of the memory that the counts may take: one in so many bytes.
const COUNTS_SHARE: u64 = 4;
/// Most bytes of text of a batch: one in so many bytes that the counts may take. The larger a batch is, the
/// more of its features find their place in the tables still in the processor's cache.
const BATCH_SHARE: u64 = 32;
/// Bounds of the most bytes of a batch.
const MIN_BATCH_BYTES: usize = 1 << 16;
const MAX_BATCH_BYTES: usize = 16 << 20;
/// Bytes of the first batch: few, so that counting begins soon and its features stay in the cache as well.
const FIRST_BATCH_BYTES: usize = 1 << 20;
/// Later batches have a share of the text before them, one byte in so many: tables have grown as well.
const GROWTH_SHARE: usize = 8;
/// Batches on their way.
const BATCHES_UNDERWAY: usize = 2;

/// How rows are collected.
#[derive(Debug, Clone, PartialEq)]
pub struct Collecting {
    /// How much is taken in, and how much memory it may take.
    pub limits: Limits,
    /// The views that are counted.
    pub views: Vec<View>,
    /// Rows beyond this number are counted and not kept. `None`: as many as fit into memory, and if
    /// there are more, 20,000.
    pub sample_rows: Option<NonZeroUsize>,
    /// Seed of the sample.
    pub seed: u64,
}

/// Collects the rows that `read` takes in. Counts on the pool, while the calling thread reads. What it gives
/// is worth nothing once the observer has cancelled.
///
/// # Errors
///
/// What `read` gives.
pub fn collect<E>(
    collecting: &Collecting,
    pool: &ThreadPool,
    observer: &dyn Observer,
    read: impl FnOnce(&mut Collector) -> Result<(), E>,
) -> Result<Dataset, E> {
    let (to_count, batches) = sync_channel(BATCHES_UNDERWAY);
    let (to_reuse, empty) = sync_channel(2 * BATCHES_UNDERWAY);
    let counts = Counts::new(&collecting.views, collecting.counts_bytes());
    thread::scope(|scope| {
        let counter = scope.spawn(move || count(counts, pool, observer, (batches, &to_reuse)));
        let mut collector = Collector::new(collecting, to_count, empty);
        read(&mut collector)?;
        let rest = collector.close();
        match counter.join() {
            Ok(counts) => Ok(pool.install(|| rest.dataset(counts, observer))),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Counts batches until no more come. No thread of the pool waits for them.
fn count(
    mut counts: Counts,
    pool: &ThreadPool,
    observer: &dyn Observer,
    (batches, to_reuse): (Receiver<Batch>, &SyncSender<Batch>),
) -> Counts {
    for mut batch in observer.wanted(batches) {
        pool.install(|| counts.add(&batch, observer));
        batch.clear();
        // Where there is no room for it, it is not needed.
        to_reuse.try_send(batch).ok();
    }
    counts
}

impl Collecting {
    /// How much is kept before counting begins.
    fn whole(&self) -> Size {
        let bytes = self.limits.max_memory_bytes / SEARCH_BYTES_PER_BYTE;
        Size {
            rows: self.sample_rows.map_or(usize::MAX, NonZeroUsize::get),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        }
    }

    /// How much is kept of more.
    fn sample(&self) -> Size {
        let rows = self.sample_rows.map_or(SAMPLE_ROWS, NonZeroUsize::get);
        // Counts and sample share the memory.
        Size { rows, bytes: self.whole().bytes / 2 }
    }

    fn counts_bytes(&self) -> u64 {
        self.limits.max_memory_bytes / COUNTS_SHARE
    }

    /// Most bytes of text of a batch. The features of a batch take some ten times as much memory.
    fn batch_bytes(&self) -> usize {
        let bytes = usize::try_from(self.counts_bytes() / BATCH_SHARE).unwrap_or(usize::MAX);
        bytes.clamp(MIN_BATCH_BYTES, MAX_BATCH_BYTES)
    }
}

/// Takes in rows.
#[derive(Debug)]
pub struct Collector {
    intake: Intake,
    sample: Sample,
    texts: Texts,
    whole: Size,
    sampled: Size,
    is_counting: bool,
    batch: Batch,
    /// How many bytes make a batch.
    batch_bytes: usize,
    counted_bytes: usize,
    max_batch_bytes: usize,
    to_count: SyncSender<Batch>,
    empty: Receiver<Batch>,
}

impl Collector {
    fn new(collecting: &Collecting, to_count: SyncSender<Batch>, empty: Receiver<Batch>) -> Self {
        Self {
            intake: Intake::new(collecting.limits.clone()),
            sample: Sample::new(collecting.seed),
            texts: Texts::default(),
            whole: collecting.whole(),
            sampled: collecting.sample(),
            is_counting: false,
            batch: Batch::default(),
            batch_bytes: FIRST_BATCH_BYTES.min(collecting.batch_bytes()),
            counted_bytes: 0,
            max_batch_bytes: collecting.batch_bytes(),
            to_count,
            empty,
        }
    }

    /// Keeps an example, or counts it as well once there are too many.
    fn add(&mut self, key: TextKey, text: &str, label: u16, at: u64) {
        if self.is_counting {
            self.count(text, line(at), label, false);
        }
        if !self.sample.wants(key) {
            return;
        }
        let text = self.texts.keep(text);
        self.sample.push(key, Example { text, label: label.into(), line: at });
        if !self.is_counting && self.sample.exceeds(self.whole) {
            self.begin_counting();
        }
        // Shrinking sorts, so it waits until it is worth it.
        let Size { rows, bytes } = self.sampled;
        if self.is_counting && self.sample.exceeds(Size { rows: 2 * rows, bytes: 2 * bytes }) {
            self.sample.shrink(self.sampled);
        }
    }

    fn begin_counting(&mut self) {
        self.is_counting = true;
        let sample = std::mem::replace(&mut self.sample, Sample::new(0));
        for kept in sample.rows() {
            if !self.intake.is_in_conflict(kept.key) {
                let label = u16::try_from(kept.example.label).unwrap_or(u16::MAX);
                self.count(&kept.example.text, line(kept.example.line), label, false);
            }
        }
        self.sample = sample;
        self.sample.shrink(self.sampled);
    }

    fn count(&mut self, text: &str, line: u32, label: u16, is_withdrawn: bool) {
        self.counted_bytes = self.counted_bytes.saturating_add(text.len());
        self.batch.push(text, line, label, is_withdrawn);
        if self.batch.is_full(self.batch_bytes) {
            self.send();
            self.batch_bytes =
                (self.counted_bytes / GROWTH_SHARE).clamp(self.batch_bytes, self.max_batch_bytes);
        }
    }

    fn send(&mut self) {
        let empty = self.empty.try_recv().unwrap_or_default();
        let full = std::mem::replace(&mut self.batch, empty);
        // The other side is gone only if it panicked, which `collect` finds out.
        self.to_count.send(full).ok();
    }

    /// Sends what is left and closes the way to the counters.
    fn close(mut self) -> Rest {
        if !self.batch.is_empty() {
            self.send();
        }
        if self.is_counting {
            self.sample.shrink(self.sampled);
        }
        Rest { intake: self.intake, sample: self.sample, is_counting: self.is_counting }
    }
}

/// What there is besides the counts.
struct Rest {
    intake: Intake,
    sample: Sample,
    is_counting: bool,
}

impl Rest {
    fn dataset(self, counts: Counts, observer: &dyn Observer) -> Dataset {
        let Self { intake, sample, is_counting } = self;
        let numbers = intake.renumbering();
        let counted = is_counting.then(|| {
            let label_counts = intake.label_counts(&numbers);
            Box::new(counts.finish(&numbers, label_counts, observer))
        });
        let kept = sample.into_rows();
        let kept = kept.into_iter().filter(|kept| !intake.is_in_conflict(kept.key));
        let examples = kept.map(|kept| kept.example).collect();
        Dataset { counted, ..Dataset::of(intake, examples) }
    }
}

impl Rows for Collector {
    fn push(&mut self, line: u64, text: &str, label: &str) -> Result<(), LimitExceeded> {
        match self.intake.take(line, text, label)? {
            Fate::LeftOut => {}
            Fate::Example { key, text, label } => self.add(key, text, label, line),
            Fate::Withdrawn { text, first_line, first_label } => {
                if self.is_counting {
                    self.count(text, first_line, first_label, true);
                }
            }
        }
        Ok(())
    }

    fn reject(
        &mut self,
        line: u64,
        code: FindingCode,
        message: String,
    ) -> Result<(), LimitExceeded> {
        self.intake.reject(line, code, message)
    }
}

fn line(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
