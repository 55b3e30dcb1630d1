//! The known tokens of a sentence: where their rows are, by how often each view counts them.

use super::index::{Finder, Index};
use super::met::Met;
use crate::features::{Mark, Shape, View};

/// Positions of known tokens. Keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Known {
    finder: Finder,
    /// Each once.
    distinct: Vec<u32>,
    /// Each once that the shape view has as it stands.
    shapes: Vec<u32>,
    /// For each token whether the shape view has it as it stands; empty without that view.
    is_shape: Vec<bool>,
    met: Met,
}

impl Known {
    /// Looks up the keys of tokens. Calls `each` with what number a known one has, and its position.
    pub(super) fn find(&mut self, index: &Index, keys: &[u64], mut each: impl FnMut(u32, u32)) {
        index.find(keys, &mut self.finder);
        self.met.make_room(index.len());
        self.distinct.clear();
        self.distinct.resize(keys.len(), 0);
        let mut n = 0;
        for (nth, position) in self.finder.found() {
            each(nth, position);
            if let Some(to) = self.distinct.get_mut(n) {
                *to = position;
            }
            n += usize::from(self.met.insert(position));
        }
        self.distinct.truncate(n);
        self.distinct.iter().for_each(|position| self.met.forget(*position));
    }

    /// Takes in which tokens the shape view has as they stand.
    pub(super) fn find_shapes(&mut self, n_tokens: usize, shapes: &[Shape]) {
        self.is_shape.clear();
        self.is_shape.resize(n_tokens, false);
        for shape in shapes.iter().filter(|shape| shape.mark == Mark::Word) {
            if let Some(is_shape) = self.is_shape.get_mut(shape.first as usize) {
                *is_shape = true;
            }
        }
        self.shapes.clear();
        for (nth, position) in self.finder.found() {
            let is_shape = self.is_shape.get(nth as usize).is_some_and(|is_shape| *is_shape);
            self.shapes.extend((is_shape && self.met.insert(position)).then_some(position));
        }
        self.shapes.iter().for_each(|position| self.met.forget(*position));
    }

    /// Whether the shape view has a token as it stands.
    pub(super) fn is_shape(&self, nth: usize) -> bool {
        self.is_shape.get(nth).is_some_and(|is_shape| *is_shape)
    }

    /// Leaves in `unknown` which tokens are not known.
    pub(super) fn unknown(&self, unknown: &mut Vec<usize>) {
        self.finder.unknown(unknown);
    }

    /// The positions of the tokens that a view counts, as often as it does: characters each time, words once,
    /// shapes once if they stand as they are.
    pub(super) fn counted(&self, view: View) -> &[u32] {
        match view {
            View::Character => self.finder.positions(),
            View::Word1 => &self.distinct,
            View::Shape => &self.shapes,
            View::Word2 | View::Word3 => &[],
        }
    }
}
