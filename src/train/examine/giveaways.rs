//! Giveaways: what decides a label without having its meaning, and so will fail on text from elsewhere: a
//! name, a number, a sign, an opening, a habit of writing that a source or a template left behind.
//!
//! A mark (`marks`) is a giveaway of a label when, of the rows that are looked at,
//!
//! - at least 5 have it, which are at least 10 % of the label's, of an opening or closing 25 %: its words
//!   may mean the label after all;
//! - at least 95 % of the rows that have it stand under the label;
//! - chance does not explain that: the probability that the other rows have it so seldom (Fisher's exact
//!   test) is below 0.01, over the number of marks that were tested (Bonferroni).
//!
//! Other words are no marks: those that decide a label are as a rule what it means. Of marks that stand
//! in much the same rows the most frequent is told.

use std::collections::HashSet;
use std::ops::Range;

use rayon::prelude::*;

use super::marks;
use crate::features::Analysis;
use crate::train::Observer;
use crate::train::exact_tests::{Tally, fisher};
use crate::train::examples::{Dataset, Example, quoted};
use crate::train::sorted::sorted;
use crate::train::weigh::real;

/// Fewest rows that have a giveaway.
const MIN_ROWS: usize = 5;
/// Least share of the label's rows, in percent.
const MIN_SHARE_PERCENT: usize = 10;
/// The same for an opening or closing.
const MIN_EDGE_PERCENT: usize = 25;
/// Least share of the rows that have it under the label, in percent.
const MIN_PURITY_PERCENT: usize = 95;
/// How likely any giveaway of the data may be chance.
const SIGNIFICANCE: f64 = 0.01;
/// Most rows that are looked at, evenly spread: what stands in a tenth of a label's rows shows there too.
const MAX_EXAMPLES: usize = 200_000;
/// Most lines that are named as examples.
const MAX_LINES: usize = 3;
/// Share of words, in percent, above which capital letters do not mark names: German nouns, titles.
const MAX_CAPITALS_PERCENT: usize = 25;
/// Rows that one thread takes in a row.
const CHUNK: usize = 1024;

/// Returns the first line and a message for each giveaway.
pub(super) fn find(dataset: &Dataset, observer: &dyn Observer) -> Vec<(u64, String)> {
    let step = dataset.examples.len().div_ceil(MAX_EXAMPLES).max(1);
    let examples: Vec<&Example> = dataset.examples.iter().step_by(step).collect();
    let with_names = capitals_mark_names(&examples, observer);
    let pairs = pairs(&examples, with_names, observer);
    let mut supports = vec![0; dataset.labels.len()];
    for example in &examples {
        supports[example.label] += 1;
    }
    let rows = Rows { dataset, examples, pairs, supports, with_names };
    let mut covered = HashSet::new();
    let giveaways = rows.giveaways(observer).into_iter();
    giveaways.filter(|found| rows.is_news(found, &mut covered)).map(|g| rows.describe(&g)).collect()
}

/// The rows that are looked at, with their marks.
struct Rows<'a> {
    dataset: &'a Dataset,
    examples: Vec<&'a Example>,
    /// Mark and row, ascending and distinct.
    pairs: Vec<(u64, u32)>,
    /// Rows of each label.
    supports: Vec<usize>,
    with_names: bool,
}

/// A mark that decides a label.
struct Giveaway {
    /// Where its rows stand among the pairs.
    rows: Range<usize>,
    label: usize,
    /// Its rows under the label.
    n_hits: usize,
}

impl Rows<'_> {
    /// Returns what fulfils the rule, the most frequent first.
    fn giveaways(&self, observer: &dyn Observer) -> Vec<Giveaway> {
        let mut runs = Vec::new();
        let mut start = 0;
        for run in observer.wanted(self.pairs.chunk_by(|a, b| a.0 == b.0)) {
            let range = start..start + run.len();
            start = range.end;
            if run.len() >= MIN_ROWS {
                runs.push(range);
            }
        }
        let n_tests = runs.len();
        let mut found: Vec<_> = runs
            .into_par_iter()
            .take_any_while(|_| !observer.is_cancelled())
            .map(|rows| self.most_frequent_label(rows))
            .filter(|giveaway| self.fulfils(giveaway, n_tests))
            .collect();
        found.sort_by_key(|giveaway| (std::cmp::Reverse(giveaway.n_hits), giveaway.rows.start));
        found
    }

    fn most_frequent_label(&self, rows: Range<usize>) -> Giveaway {
        let mut labels: Vec<usize> = self.of(&rows).map(|example| example.label).collect();
        labels.sort_unstable();
        let most = labels.chunk_by(|a, b| a == b).max_by_key(|equal| equal.len());
        let most = most.unwrap_or_default();
        Giveaway { rows, label: most.first().copied().unwrap_or_default(), n_hits: most.len() }
    }

    fn fulfils(&self, giveaway: &Giveaway, n_tests: usize) -> bool {
        let (n_rows, n_hits) = (giveaway.rows.len(), giveaway.n_hits);
        let support = self.supports[giveaway.label];
        let is_edge = marks::is_edge(self.pairs[giveaway.rows.start].0);
        let min_share = if is_edge { MIN_EDGE_PERCENT } else { MIN_SHARE_PERCENT };
        if n_hits < MIN_ROWS
            || n_hits * 100 < support * min_share
            || n_hits * 100 < n_rows * MIN_PURITY_PERCENT
        {
            return false;
        }
        let tally = |right: usize, of: usize| Tally { right: right as u64, of: of as u64 };
        let others = tally(n_rows - n_hits, self.examples.len() - support);
        fisher(others, tally(n_hits, support)) * real(n_tests) < SIGNIFICANCE
    }

    /// Whether most of its rows have no giveaway yet; then they have.
    fn is_news(&self, giveaway: &Giveaway, covered: &mut HashSet<u32>) -> bool {
        let rows = &self.pairs[giveaway.rows.clone()];
        let n_known = rows.iter().filter(|(_, row)| covered.contains(row)).count();
        let is_news = 2 * n_known < rows.len();
        if is_news {
            covered.extend(rows.iter().map(|(_, row)| row));
        }
        is_news
    }

    fn describe(&self, giveaway: &Giveaway) -> (u64, String) {
        let label = giveaway.label;
        let hits = || self.of(&giveaway.rows).filter(|example| example.label == label);
        let lines: Vec<String> = hits().take(MAX_LINES).map(|e| e.line.to_string()).collect();
        let name = quoted(self.dataset.labels.get(label).map_or("", String::as_str));
        let percent = giveaway.n_hits * 100 / self.supports[label].max(1);
        let message = format!(
            "{} decides the label {name}: {} of the {} rows with it, {percent} % of the label, for \
             example lines {}",
            self.write(giveaway),
            giveaway.n_hits,
            giveaway.rows.len(),
            lines.join(", ")
        );
        (hits().next().map_or(0, |example| example.line), message)
    }

    /// The mark as its first row has it.
    fn write(&self, giveaway: &Giveaway) -> String {
        let wanted = self.pairs[giveaway.rows.start].0;
        let mut written = String::new();
        for example in self.of(&giveaway.rows).take(1) {
            let mut analysis = Analysis::default();
            marks::for_each(&mut analysis, &example.text, self.with_names, |key, write| {
                if key == wanted {
                    written = write();
                }
            });
        }
        written
    }

    /// The rows of a range of pairs.
    fn of(&self, rows: &Range<usize>) -> impl Iterator<Item = &Example> {
        let pairs = &self.pairs[rows.clone()];
        pairs.iter().map(|(_, row)| self.examples[*row as usize])
    }
}

/// Returns mark and row, ascending and distinct.
fn pairs(examples: &[&Example], with_names: bool, observer: &dyn Observer) -> Vec<(u64, u32)> {
    let numbered: Vec<(u32, &Example)> = (0..).zip(examples.iter().copied()).collect();
    let chunks: Vec<Vec<(u64, u32)>> = numbered
        .par_chunks(CHUNK)
        .take_any_while(|_| !observer.is_cancelled())
        .map(|rows| {
            let mut analysis = Analysis::default();
            let mut pairs = Vec::new();
            for (row, example) in rows {
                marks::for_each(&mut analysis, &example.text, with_names, |key, _| {
                    pairs.push((key, *row));
                });
            }
            pairs.sort_unstable();
            pairs.dedup();
            pairs
        })
        .collect();
    sorted(&chunks, |run, kept| kept.extend_from_slice(run), observer)
}

fn capitals_mark_names(examples: &[&Example], observer: &dyn Observer) -> bool {
    let (n_words, n_capitals) = examples
        .par_chunks(CHUNK)
        .take_any_while(|_| !observer.is_cancelled())
        .flat_map_iter(|examples| {
            let mut analysis = Analysis::default();
            examples.iter().map(move |e| marks::count_capitals(&mut analysis, &e.text))
        })
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    n_capitals * 100 <= n_words * MAX_CAPITALS_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Unobserved;
    use crate::train::examples::DatasetBuilder;

    const OPENINGS: [&str; 3] = ["so tell me", "well now then", "hello to you"];
    const CLOSINGS: [&str; 3] = ["as i said", "for a week", "or so then"];

    /// Thirty rows of each of two labels, on lines 2 to 61, each changed by `change`.
    fn found(change: impl Fn(usize, String) -> String) -> Vec<(u64, String)> {
        let mut builder = DatasetBuilder::default();
        for row in 0..60 {
            let (opening, closing) = (OPENINGS[row / 2 % 3], CLOSINGS[row / 6 % 3]);
            let thing = ["card", "bill", "loan", "form", "book", "lamp", "coat"][row / 2 % 7];
            let (text, label) = match row % 2 {
                0 => (format!("{opening} the {thing} never came {closing}."), "late"),
                _ => (format!("{opening} i want the {thing} refunded {closing}."), "refund"),
            };
            builder.push(row as u64 + 2, &change(row, text), label).unwrap();
        }
        let dataset = builder.finish();
        assert_eq!(dataset.examples.len(), 60, "no row repeats another");
        find(&dataset, &Unobserved)
    }

    #[test]
    fn a_source_mark_under_one_label_is_named_once_with_lines() {
        let found = found(|row, text| match row % 2 {
            0 if row >= 20 => format!("{text} [Via Acme]"),
            _ => text,
        });
        let why = "decides the label \"late\": 20 of the 20 rows with it, 66 % of the label, for \
                   example lines 22, 24, 26";
        let [(22, message)] = found.as_slice() else { panic!("{found:?}") };
        assert!(message.ends_with(why), "{message}");
    }

    #[test]
    fn words_that_mean_the_label_and_marks_of_both_labels_are_none() {
        assert_eq!(found(|_, text| text), []);
        let both = |row, text| if row < 20 { format!("{text} [Via Acme]") } else { text };
        assert_eq!(found(both), []);
    }

    #[test]
    fn what_few_rows_have_may_be_chance() {
        let few = |row: usize, text| match row {
            0 | 12 | 24 | 36 | 48 => format!("{text} [Via Acme]"),
            _ => text,
        };
        assert_eq!(found(few), []);
    }

    #[test]
    fn a_habit_of_writing_is_told_in_words() {
        let found = found(|row, text| if row % 2 == 1 { text.to_uppercase() } else { text });
        let is_told = |habit: &str| found.iter().any(|(_, message)| message.starts_with(habit));
        assert!(is_told("capital letters only") && is_told("no capital letter"), "{found:?}");
    }
}
