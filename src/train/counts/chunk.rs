//! The rows of some examples.

/// The cells of some examples, one example behind the other: so few pieces of memory are given back soon.
#[derive(Debug)]
pub(super) struct Chunk<C> {
    pub(super) cells: Vec<C>,
    /// Where each example's cells end.
    pub(super) ends: Vec<usize>,
}

impl<C> Default for Chunk<C> {
    fn default() -> Self {
        Self { cells: Vec::new(), ends: Vec::new() }
    }
}

impl<C> Chunk<C> {
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = C>) {
        self.cells.extend(row);
        self.ends.push(self.cells.len());
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[C]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let row = self.cells.get(start..*end).unwrap_or_default();
            start = *end;
            row
        })
    }
}
