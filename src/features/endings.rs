//! The n-grams of a sentence in one walk over its items, repeats included: for counting, which looks for
//! repeats where it puts them.

use super::{Analysis, View, hash};

/// The n-grams that end with one item of a sequence, or with the mark behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// The hash of the item alone; marks are none.
    pub single: Option<u64>,
    /// The hash of the item with the one before it, or with the mark before the first.
    pub pair: u64,
    /// The hash of the item with the two before it, where there are two.
    pub triple: Option<u64>,
}

/// Calls `each` with the n-grams of one to three items of a view's sequence, ending by ending: of tokens,
/// or of shapes for the shape view.
#[inline]
pub fn for_each_ending(view: View, analysis: &Analysis, each: impl FnMut(Ending)) {
    if view == View::Shape {
        walk(view.seed(), analysis.shapes.iter().map(|shape| analysis.shape_hash(shape)), each);
    } else {
        walk(view.seed(), analysis.tokens().iter().map(|token| token.hash), each);
    }
}

#[inline]
fn walk(seed: u64, items: impl Iterator<Item = u64>, mut each: impl FnMut(Ending)) {
    let [start, end] = View::BOUNDARIES;
    let mut one = hash::extend(seed, start);
    let mut two = None;
    for item in items {
        let pair = hash::extend(one, item);
        one = hash::extend(seed, item);
        each(Ending { single: Some(one), pair, triple: two.map(|two| hash::extend(two, item)) });
        two = Some(pair);
    }
    let triple = two.map(|two| hash::extend(two, end));
    each(Ending { single: None, pair: hash::extend(one, end), triple });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_those_of_the_views(sentence in "([ab政ÉA.1]| |the |A |1 |\\PC){0,60}") {
            let mut analysis = Analysis::default();
            analysis.analyse(&sentence);
            for (sequence, views) in [
                (View::Word1, &[View::Word1, View::Word2, View::Word3][..]),
                (View::Shape, &[View::Shape]),
            ] {
                let (mut got, mut wanted) = (Vec::new(), Vec::new());
                for_each_ending(sequence, &analysis, |ending| {
                    got.extend(ending.single.into_iter().chain([ending.pair]).chain(ending.triple));
                });
                for view in views {
                    view.for_each(&analysis, |hash, _| wanted.push(hash));
                }
                got.sort_unstable();
                wanted.sort_unstable();
                prop_assert_eq!(got, wanted, "{:?}", sentence);
            }
        }
    }
}
