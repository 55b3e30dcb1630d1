//! Labels get numbers: first in the order in which they come, in the end in the order of their bytes.

use std::collections::HashMap;

use super::LimitExceeded;
use super::dataset::Example;

/// The labels that came, numbered as they did.
#[derive(Debug, Default)]
pub(super) struct Labels {
    positions: HashMap<String, usize>,
}

impl Labels {
    /// Returns the position of a label, a new one if it has not come before.
    ///
    /// # Errors
    ///
    /// It would be one label too many.
    pub(super) fn position(&mut self, label: &str, limit: usize) -> Result<usize, LimitExceeded> {
        if let Some(position) = self.positions.get(label) {
            return Ok(*position);
        }
        let position = self.positions.len();
        if position >= limit {
            return Err(LimitExceeded::Labels { limit });
        }
        self.positions.insert(label.to_owned(), position);
        Ok(position)
    }

    /// Returns the labels by their positions.
    pub(super) fn into_names(self) -> Vec<String> {
        let mut labels: Vec<(String, usize)> = self.positions.into_iter().collect();
        labels.sort_unstable_by_key(|(_, position)| *position);
        labels.into_iter().map(|(name, _)| name).collect()
    }
}

/// Sorts the names of the labels that examples have, drops the others, and renumbers the examples.
pub(super) fn sort(names: Vec<String>, examples: &mut [Example]) -> Vec<String> {
    let mut occurs = vec![false; names.len()];
    for example in &*examples {
        occurs[example.label] = true;
    }
    let mut sorted: Vec<(String, usize)> =
        names.into_iter().zip(0..).filter(|(_, old)| occurs[*old]).collect();
    sorted.sort_unstable();
    let mut new_positions = vec![0; occurs.len()];
    for (new, (_, old)) in sorted.iter().enumerate() {
        new_positions[*old] = new;
    }
    for example in examples {
        example.label = new_positions[example.label];
    }
    sorted.into_iter().map(|(name, _)| name).collect()
}
