//! Some rows on their way from the reader to the counters.

/// Most rows of a batch; it ends earlier where texts are long.
const MAX_ROWS: usize = 1 << 18;

/// Some rows, their texts one behind the other.
#[derive(Debug, Default)]
pub(super) struct Batch {
    texts: String,
    rows: Vec<Row>,
}

/// A row without its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Where its text ends.
    end: u32,
    /// The line of its text's first row. Tells rows apart.
    pub(super) line: u32,
    pub(super) label: u16,
    /// Whether it is taken out of the counts again.
    pub(super) is_withdrawn: bool,
}

impl Batch {
    pub(super) fn push(&mut self, text: &str, line: u32, label: u16, is_withdrawn: bool) {
        self.texts.push_str(text);
        // A text has at most 64 KiB, so a batch is full long before 4 GiB.
        let end = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.rows.push(Row { end, line, label, is_withdrawn });
    }

    /// Whether there are enough rows, or so many bytes of text.
    pub(super) fn is_full(&self, bytes: usize) -> bool {
        self.rows.len() >= MAX_ROWS || self.texts.len() >= bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.rows.clear();
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn text(&self, row: usize) -> &str {
        let end = |row: &Row| row.end as usize;
        let start = row.checked_sub(1).and_then(|before| self.rows.get(before)).map_or(0, end);
        let end = self.rows.get(row).map_or(start, end);
        self.texts.get(start..end).unwrap_or_default()
    }
}
