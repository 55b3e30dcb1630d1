//! What counting gives in the end: per view the features in the order of their hashes, with their sums by
//! label.

use rayon::prelude::*;

use super::characters;
use super::counts::Counts;
use super::partition::{NGRAM_VIEWS, Partition};
use super::table::Entry;
use crate::features::View;
use crate::train::Observer;
use crate::train::counts::min_examples;
use crate::train::examples::Renumbering;

/// The counts of all rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The views that have features, in the order of [`View::ALL`].
    pub(in crate::train) views: Vec<CountedView>,
    /// The folded text of every token, ascending by bytes.
    pub(in crate::train) vocabulary: Vec<String>,
    /// Number of examples per label.
    pub(in crate::train) label_counts: Vec<u64>,
    /// Pairs of feature and label that were dropped because there were too many.
    pub(in crate::train) n_dropped: usize,
}

impl Counted {
    /// A view, if it has features.
    pub(in crate::train) fn view(&self, view: View) -> Option<&CountedView> {
        self.views.iter().find(|counted| counted.view == view)
    }
}

/// The features of one view with their sums by label, sparse, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::train) struct CountedView {
    pub(in crate::train) view: View,
    /// Hashes of the features, ascending.
    pub(in crate::train) hashes: Vec<u64>,
    /// `n_features + 1`: where each feature's entries begin.
    pub(in crate::train) starts: Vec<u32>,
    /// `n_entries`: the entries' labels, ascending within a feature.
    pub(in crate::train) labels: Vec<u16>,
    /// `n_entries`: the sums.
    pub(in crate::train) sums: Vec<u32>,
}

impl CountedView {
    /// No position.
    pub(in crate::train) const NONE: u32 = u32::MAX;

    fn new(view: View) -> Self {
        Self { view, hashes: Vec::new(), starts: vec![0], labels: Vec::new(), sums: Vec::new() }
    }

    /// Adds features behind those it has, where there are enough examples of them.
    fn extend<M>(&mut self, sorted: &[Entry<M>], is_feature: impl Fn(&[Entry<M>]) -> bool) {
        for entries in sorted.chunk_by(|a, b| a.hash == b.hash) {
            let Some(first) = entries.first().filter(|_| is_feature(entries)) else { continue };
            self.hashes.push(first.hash);
            self.labels.extend(entries.iter().map(|entry| entry.label));
            self.sums.extend(entries.iter().map(|entry| entry.count));
            self.starts.push(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        }
    }

    /// Puts parts one behind the other.
    fn concat(view: View, parts: Vec<Self>) -> Self {
        let mut all = Self::new(view);
        for part in parts {
            let offset = u32::try_from(all.labels.len()).unwrap_or(u32::MAX);
            all.hashes.extend(part.hashes);
            all.labels.extend(part.labels);
            all.sums.extend(part.sums);
            all.starts.extend(part.starts.iter().skip(1).map(|start| start.saturating_add(offset)));
        }
        all
    }

    /// The positions of ascending hashes; [`Self::NONE`] for one that is none of the features.
    pub(in crate::train) fn positions(&self, hashes: &[u64]) -> Vec<u32> {
        let mut features = (0u32..).zip(&self.hashes).peekable();
        let position = |hash: &u64| {
            while features.next_if(|(_, feature)| *feature < hash).is_some() {}
            let found = features.peek().filter(|(_, feature)| *feature == hash);
            found.map_or(Self::NONE, |(position, _)| *position)
        };
        hashes.iter().map(position).collect()
    }

    /// How often a feature was counted, under all labels together.
    pub(in crate::train) fn count(&self, position: usize) -> usize {
        let sums = self.sums.get(self.row(position)).unwrap_or_default();
        sums.iter().map(|sum| *sum as usize).sum()
    }

    /// The entries of a feature, as a range.
    pub(in crate::train) fn row(&self, feature: usize) -> std::ops::Range<usize> {
        let start = |at: usize| self.starts.get(at).map_or(0, |start| *start as usize);
        start(feature)..start(feature + 1)
    }
}

impl Counts {
    /// Ends the counting; labels get their last numbers. Leaves out partitions once the observer has
    /// cancelled.
    pub(super) fn finish(
        self,
        numbers: &Renumbering,
        label_counts: Vec<u64>,
        observer: &dyn Observer,
    ) -> Counted {
        let Self { views, mut partitions, max_pairs, .. } = self;
        let mut counted = Vec::new();
        let has = |view: View| views.contains(&view);
        let label_of = |label: u16| numbers.of(label);
        let mut n_dropped = 0;
        let characters = has(View::Character).then(|| {
            let tables = characters::count(&mut partitions, max_pairs, observer);
            let tables = tables.into_par_iter().filter(|_| !observer.is_cancelled());
            let parts = tables.map(|(table, n)| {
                (
                    sorted_view(
                        View::Character,
                        &table.into_sorted(label_of),
                        characters::is_feature,
                    ),
                    n,
                )
            });
            let (parts, n): (Vec<_>, Vec<usize>) = parts.unzip();
            n_dropped += n.iter().sum::<usize>();
            CountedView::concat(View::Character, parts)
        });
        let mut vocabulary: Vec<String> =
            partitions.par_iter_mut().flat_map_iter(Partition::take_tokens).collect();
        vocabulary.par_sort_unstable();
        n_dropped += partitions.iter().map(|partition| partition.n_dropped).sum::<usize>();
        let wanted = partitions.into_par_iter().filter(|_| !observer.is_cancelled());
        let words = wanted.map(|partition| {
            let words = partition.words.into_sorted(label_of);
            let words = sorted_view(View::Word1, &words, |_| true);
            let ngrams = partition.ngrams.into_iter().zip(NGRAM_VIEWS).map(|(table, view)| {
                let is_feature = |entries: &[Entry<()>]| {
                    entries.iter().map(|entry| entry.count as usize).sum::<usize>()
                        >= min_examples(view)
                };
                sorted_view(view, &table.into_sorted(label_of), is_feature)
            });
            std::iter::once(words).chain(ngrams).collect::<Vec<_>>()
        });
        let mut by_view: Vec<Vec<CountedView>> = vec![Vec::new(); 1 + NGRAM_VIEWS.len()];
        for parts in words.collect::<Vec<_>>() {
            by_view.iter_mut().zip(parts).for_each(|(all, part)| all.push(part));
        }
        let all_views = [View::Word1].into_iter().chain(NGRAM_VIEWS).zip(by_view);
        counted.extend(all_views.map(|(view, parts)| CountedView::concat(view, parts)));
        counted.extend(characters);
        counted.retain(|view| has(view.view) && !view.hashes.is_empty());
        counted.sort_unstable_by_key(|view| view.view);
        Counted { views: counted, vocabulary, label_counts, n_dropped }
    }
}

fn sorted_view<M>(
    view: View,
    sorted: &[Entry<M>],
    is_feature: impl Fn(&[Entry<M>]) -> bool,
) -> CountedView {
    let mut part = CountedView::new(view);
    part.extend(sorted, is_feature);
    part
}

impl Partition {
    /// The texts of the tokens that occur.
    fn take_tokens(&mut self) -> Vec<String> {
        let tokens = std::mem::take(&mut self.tokens);
        let occurring = self.words.entries().filter(|entry| entry.count > 0);
        let mut words: Vec<u64> = occurring.map(|entry| entry.hash).collect();
        words.sort_unstable();
        words.dedup();
        words.into_iter().filter_map(|word| tokens.get(word)).map(str::to_owned).collect()
    }
}
