//! Whether the lead is worth a view of its own. Its words are among the single words already: it is left out at
//! once where it can hardly tell more than they do, and later where it does not.

use super::counts::Matrix;
use super::few::FEW_EXAMPLES;
use super::select::{Problem, Selection};
use crate::features::{LEAD_TOKENS, View};

/// Different words, by leads, that most examples must have: texts of several sentences, as in news of four
/// classes, where most have them. The built-in statements, single sentences of which one in thirteen has them, gained
/// as much out of fold; on sentences written by others they lost.
const MIN_LEADS: usize = 3;
/// The share of the pooled log loss that the lead must take away. In news of four classes it is 0.009; in reviews,
/// text messages and questions to a bank below 0.001.
const MIN_GAIN: f64 = 0.005;

/// Whether a lead could tell more than single words do: there are examples enough to vouch for that, and most are
/// texts of several sentences.
pub(super) fn could_tell_more(words: &Matrix) -> bool {
    let n_examples = words.starts.len().saturating_sub(1);
    let lengths = words.starts.windows(2).filter_map(|at| Some(at.last()? - at.first()?));
    let n_long = lengths.filter(|n_words| *n_words > MIN_LEADS * LEAD_TOKENS).count();
    n_examples >= FEW_EXAMPLES && 2 * n_long > n_examples
}

impl<'a> Problem<'a> {
    /// Leaves the lead out of what was chosen unless it makes the pooled scores of some examples better.
    pub(super) fn drop_idle_lead(
        &self,
        mut selection: Selection<'a>,
        examples: &[usize],
    ) -> Selection<'a> {
        let has_others = selection.views.len() > 1;
        let lead = selection.views.pop_if(|last| has_others && last.view == View::Lead);
        let Some(lead) = lead else { return selection };
        let pool = self.scores(&selection.views).fit_anew(examples);
        if selection.pool.loss < (1.0 - MIN_GAIN) * pool.loss {
            selection.views.push(lead);
        } else {
            selection.pool = pool;
        }
        selection
    }
}

#[cfg(test)]
mod tests {
    use crate::features::View;
    use crate::train::examples::DatasetBuilder;
    use crate::train::{Settings, Unobserved, train};

    /// The views of a model of 400 rows with words and lead.
    fn views(text: impl Fn(u32) -> String) -> Vec<View> {
        let mut builder = DatasetBuilder::default();
        for nth in 0..400 {
            builder.push(u64::from(nth) + 2, &text(nth), ["x", "y"][nth as usize % 2]).unwrap();
        }
        let views = vec![View::Word1, View::Lead];
        let settings = Settings { views, refinement: false, ..Settings::default() };
        let trained = train(&builder.finish(), &settings, &Unobserved).unwrap();
        trained.parts.metadata.settings.views.iter().map(|chosen| chosen.view).collect()
    }

    /// So many different words, others for other rows.
    fn words(n: u32, nth: u32) -> String {
        (0..n).map(|at| format!(" w{}", (at * 31 + nth * 17) % 300)).collect()
    }

    #[test]
    fn it_stays_where_it_matters_what_is_said_first() {
        let halves = |nth: u32| match nth % 2 {
            0 => format!("good {} bad {nth}", words(35, nth)),
            _ => format!("bad {} good {nth}", words(35, nth)),
        };
        assert_eq!(views(halves), [View::Word1, View::Lead]);
    }

    #[test]
    fn it_goes_where_it_does_not_matter() {
        let last = |nth: u32| {
            let word = if nth.is_multiple_of(7) { "so" } else { ["good", "bad"][nth as usize % 2] };
            format!("{} {word} {nth}", words(35, nth))
        };
        assert_eq!(views(last), [View::Word1]);
    }

    #[test]
    fn it_is_not_looked_at_where_texts_are_hardly_longer() {
        let order = |nth: u32| match nth % 2 {
            0 => format!("good {} bad {nth}", words(20, nth)),
            _ => format!("bad {} good {nth}", words(20, nth)),
        };
        assert_eq!(views(order), [View::Word1]);
    }
}
