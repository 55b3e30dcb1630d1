//! The known tokens of a sentence: where their rows are, by how often each view counts them.

use super::index::Index;
use super::met::Met;
use crate::features::{Mark, Shape, View, lead};

/// Slots of the tokens of a sentence; all that are unknown share the one behind the last. Keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Known {
    keys: Vec<u64>,
    slots: Vec<u32>,
    /// Each once.
    distinct: Vec<u32>,
    /// Each once that the shape view has as it stands.
    shapes: Vec<u32>,
    /// Each once of the lead.
    leads: Vec<u32>,
    /// For each token whether the shape view has it as it stands; empty without that view.
    is_shape: Vec<bool>,
    met: Met,
}

impl Known {
    /// Looks up the keys of tokens. Leaves the hashes of those that are known in `hashes`, and in `unknown`
    /// which are not.
    pub(super) fn find(
        &mut self,
        index: &Index<u64>,
        keys: impl ExactSizeIterator<Item = u64>,
        hashes: &mut [u64],
        unknown: &mut Vec<usize>,
    ) {
        // One thing after the other for all tokens, so that little is waited for.
        self.keys.clear();
        self.keys.extend(keys);
        self.slots.resize(self.keys.len(), 0);
        let n_unknown = index.look_up_all(&self.keys, &mut self.slots, hashes);
        unknown.clear();
        if n_unknown > 0 {
            let slots = self.slots.iter().enumerate();
            let missing = slots.filter(|(_, slot)| **slot as usize == index.n_slots());
            unknown.extend(missing.map(|(nth, _)| nth));
        }
        self.distinct.clone_from(&self.slots);
        self.met.make_room(index.n_slots() + 1);
        let n = self.met.drop_repeats(&mut self.distinct);
        self.distinct.truncate(n);
    }

    /// Takes in which tokens the shape view has as they stand.
    pub(super) fn find_shapes(&mut self, shapes: &[Shape]) {
        self.is_shape.clear();
        self.is_shape.resize(self.slots.len(), false);
        for shape in shapes.iter().filter(|shape| shape.mark == Mark::Word) {
            if let Some(is_shape) = self.is_shape.get_mut(shape.first as usize) {
                *is_shape = true;
            }
        }
        self.shapes.clear();
        for (slot, is_shape) in self.slots.iter().zip(&self.is_shape) {
            self.shapes.extend(is_shape.then_some(*slot));
        }
        let n = self.met.drop_repeats(&mut self.shapes);
        self.shapes.truncate(n);
    }

    /// Takes in which tokens the lead has.
    pub(super) fn find_lead(&mut self) {
        self.leads.clear();
        self.leads.extend(lead(&self.slots));
        let n = self.met.drop_repeats(&mut self.leads);
        self.leads.truncate(n);
    }

    /// Whether the shape view has a token as it stands.
    pub(super) fn is_shape(&self, nth: usize) -> bool {
        self.is_shape.get(nth).is_some_and(|is_shape| *is_shape)
    }

    /// The slots of the tokens that a view counts, as often as it does: characters each time, words once,
    /// those of the lead once, shapes once if they stand as they are.
    pub(super) fn counted(&self, view: View) -> &[u32] {
        match view {
            View::Character => &self.slots,
            View::Word1 => &self.distinct,
            View::Shape => &self.shapes,
            View::Lead => &self.leads,
            View::Word2 | View::Word3 => &[],
        }
    }
}
