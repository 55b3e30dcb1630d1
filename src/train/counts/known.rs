//! What a model would know of an example that learned without the example's fold.

use super::{Cell, Matrix, min_examples};
use crate::train::Observer;
use crate::train::observer::BLOCK;
use crate::train::stream::CountedView;

impl Matrix {
    /// Finds out which features would be none if an example's fold had not been counted. Examples are
    /// judged without these: a model knows as much of a sentence that it has not seen. Of a sample it is
    /// asked how often they were counted in the whole.
    pub(in crate::train) fn forget_own_folds(
        &mut self,
        folds: &[Vec<usize>],
        whole: Option<&CountedView>,
        observer: &dyn Observer,
    ) {
        let total = match whole {
            Some(whole) => {
                let positions = whole.positions(&self.hashes);
                positions.into_iter().map(|at| whole.count(at as usize)).collect()
            }
            None => {
                let mut total = observer.zeros(self.n_features());
                let blocks = observer.wanted(self.cells.chunks(BLOCK));
                blocks.for_each(|cells| count_features(cells, &mut total));
                total
            }
        };
        let mut within: Vec<usize> = observer.zeros(self.n_features());
        for fold in folds {
            observer.for_each(&mut within, |n| *n = 0);
            for example in observer.wanted(fold) {
                count_features(self.row(*example), &mut within);
            }
            for example in observer.wanted(fold) {
                let start = self.starts.get(*example).copied().unwrap_or_default();
                for at in start..start + self.row(*example).len() {
                    let feature = self.cells.get(at).map_or(0, |cell| cell.feature as usize);
                    let outside = total
                        .get(feature)
                        .zip(within.get(feature))
                        .map_or(0, |(t, w)| t.saturating_sub(*w));
                    if let Some(known) = self.known.get_mut(at) {
                        *known = outside >= min_examples(self.view);
                    }
                }
            }
        }
    }
}

/// Adds to each feature's count the cells that have it.
fn count_features(cells: &[Cell], counts: &mut [usize]) {
    for cell in cells {
        if let Some(count) = counts.get_mut(cell.feature as usize) {
            *count += 1;
        }
    }
}
