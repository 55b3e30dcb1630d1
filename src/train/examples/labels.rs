//! Labels get numbers: first in the order in which they come, in the end in the order of their bytes.

use std::collections::HashMap;

/// The labels that came, numbered as they did.
#[derive(Debug, Default)]
pub(super) struct Labels {
    positions: HashMap<String, u16>,
}

impl Labels {
    /// Returns the position of a label, a new one if it has not come before; none if it would be one label too
    /// many. There can be no more than 65,536.
    pub(super) fn position(&mut self, label: &str, limit: usize) -> Option<u16> {
        if let Some(position) = self.positions.get(label) {
            return Some(*position);
        }
        let position = u16::try_from(self.positions.len()).ok()?;
        (usize::from(position) < limit).then(|| {
            self.positions.insert(label.to_owned(), position);
            position
        })
    }

    /// Returns the labels by their positions.
    pub(super) fn names(&self) -> Vec<String> {
        let mut labels: Vec<_> = self.positions.iter().collect();
        labels.sort_unstable_by_key(|(_, position)| **position);
        labels.into_iter().map(|(name, _)| name.clone()).collect()
    }
}

/// How labels are numbered in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::train) struct Renumbering {
    /// The labels that have examples, ascending by their bytes.
    pub(in crate::train) labels: Vec<String>,
    /// The new position of each label by its old one; `None` for those without examples.
    pub(in crate::train) new_positions: Vec<Option<u16>>,
}

impl Renumbering {
    /// Sorts the labels that have examples and drops the others.
    pub(super) fn new(names: &[String], has_examples: impl Fn(usize) -> bool) -> Self {
        let mut used: Vec<(&String, usize)> =
            names.iter().zip(0..).filter(|(_, old)| has_examples(*old)).collect();
        used.sort_unstable();
        let mut new_positions = vec![None; names.len()];
        for ((_, old), new) in used.iter().zip(0..) {
            if let Some(position) = new_positions.get_mut(*old) {
                *position = Some(new);
            }
        }
        Self { labels: used.into_iter().map(|(name, _)| name.clone()).collect(), new_positions }
    }

    /// The new position of a label that has examples.
    pub(in crate::train) fn of(&self, old: u16) -> u16 {
        self.new_positions.get(usize::from(old)).copied().flatten().unwrap_or_default()
    }
}
