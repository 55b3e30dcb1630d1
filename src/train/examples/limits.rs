//! How much labelled data is taken in before it is refused, so that no input, however hostile, takes
//! more memory or time than its owner allows.

use crate::model::MAX_LABELS;

/// How much labelled data is taken in. All limits are inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of CSV read, 4 GiB by default.
    pub max_bytes: u64,
    /// Most bytes of one CSV row with its quotes and line end, 1 MiB by default. A row takes about
    /// ten times as much memory while it is read: one of nothing but commas has as many fields.
    pub max_record_bytes: u64,
    /// Most rows, unusable ones included, 20 million by default.
    pub max_rows: u64,
    /// Most distinct labels, [`MAX_LABELS`] by default.
    pub max_labels: usize,
    /// Most memory, 1.5 GiB by default: for collected examples, as estimated from the length of the
    /// texts and what is kept for each row besides; or for a training, which keeps less of more
    /// rows (see [`crate::train::stream`]).
    pub max_memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 4 << 30,
            max_record_bytes: 1 << 20,
            max_rows: 20_000_000,
            max_labels: MAX_LABELS,
            max_memory_bytes: 3 << 29,
        }
    }
}

/// The limit that labelled data went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitExceeded {
    /// [`Limits::max_bytes`].
    #[error("the data has more than {limit} bytes")]
    Bytes {
        /// How many are allowed.
        limit: u64,
    },
    /// [`Limits::max_rows`].
    #[error("the data has more than {limit} rows")]
    Rows {
        /// How many are allowed.
        limit: u64,
    },
    /// [`Limits::max_labels`].
    #[error("the data has more than {limit} different labels, the first too many in line {line}")]
    Labels {
        /// How many are allowed.
        limit: usize,
        /// Line of the first label that is one too many, or the number of its example.
        line: u64,
    },
    /// [`Limits::max_memory_bytes`].
    #[error("the examples take more than {limit} bytes of memory")]
    Memory {
        /// How many are allowed.
        limit: u64,
    },
}
