//! A model as the arrays that a file holds, and back: they are those of its table, so that loading is copying
//! and checking.

use super::arrays::{Array, Arrays};
use super::rows::Rows;
use super::table::{InTokens, Table};
use super::token_rows::TokenRows;
use super::{Metadata, Model, PartsError};
use crate::features::View;

/// Prefixes of the names of arrays.
const NGRAMS: &str = "ngrams";
const CHARACTERS: &str = "characters";

impl Model {
    /// The arrays of the model. With metadata and number of features they are all there is to it.
    #[must_use]
    pub fn arrays(&self) -> Vec<Array<'_>> {
        self.table.arrays()
    }

    /// Makes a model of the arrays of one, which are taken out, after checking everything that scoring relies on.
    ///
    /// # Errors
    ///
    /// Names the array that is at fault: not there, of another type or shape, out of range, a row that is not
    /// found where it stands.
    pub fn from_arrays(
        metadata: Metadata,
        n_features: usize,
        arrays: &mut Arrays<'_>,
    ) -> Result<Self, PartsError> {
        metadata.check()?;
        let table = Table::from_arrays(&metadata, arrays)?;
        let model = Self { metadata, n_features, table };
        model.check()?;
        Ok(model)
    }

    /// Checks what is in the table.
    pub(super) fn check(&self) -> Result<(), PartsError> {
        let (at_least, at_most) = self.table.check()?;
        if (at_least..=at_most).contains(&self.n_features) {
            return Ok(());
        }
        let problem = format!("{}, there are {at_least} to {at_most}", self.n_features);
        Err(PartsError::new("n_features", problem))
    }
}

impl Table {
    fn arrays(&self) -> Vec<Array<'_>> {
        let shape = vec![View::ALL.len(), self.n_labels()];
        let mut arrays = vec![
            Array::lent("offsets".to_owned(), vec![self.n_labels()], &self.offsets),
            Array::lent("background".to_owned(), shape, &self.background),
        ];
        arrays.extend(self.tokens.arrays());
        arrays.extend(self.ngrams.arrays(NGRAMS));
        arrays.extend(self.characters.arrays(CHARACTERS));
        arrays
    }

    /// Reads it from its arrays. It is to be checked.
    fn from_arrays(metadata: &Metadata, arrays: &mut Arrays<'_>) -> Result<Self, PartsError> {
        let n_labels = metadata.labels.len();
        let is_normalised = metadata.is_normalised();
        let (views, shape) = (metadata.settings.used_views(), (n_labels, is_normalised));
        let tokens = TokenRows::from_arrays(arrays, &views, shape)?;
        Ok(Self {
            offsets: arrays.take("offsets", &[n_labels])?,
            background: arrays.take("background", &[View::ALL.len(), n_labels])?,
            is_normalised,
            ngrams: Rows::from_arrays(arrays, NGRAMS, shape)?,
            characters: Rows::from_arrays(arrays, CHARACTERS, shape)?,
            views,
            in_tokens: InTokens::of(n_labels, tokens.index().n_slots()),
            tokens,
        })
    }

    /// Checks everything that scoring relies on. Returns how many features there are, at least and at most: of
    /// single tokens that are in the rows of their tokens it is not known whether they are features.
    fn check(&self) -> Result<(usize, usize), PartsError> {
        for (name, numbers) in [("offsets", &self.offsets), ("background", &self.background)] {
            if !numbers.iter().all(|number| number.is_finite()) {
                return Err(PartsError::new(name, "a value is not finite"));
            }
        }
        let n_tokens = self.tokens.check()?;
        let n_rows = self.ngrams.check(NGRAMS, self.n_labels())?
            + self.characters.check(CHARACTERS, self.n_labels())?;
        let n_single_views = self.tokens.views().filter(|view| *view != View::Character).count();
        Ok((n_rows, n_rows + n_tokens * n_single_views))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::features::hash;
    use crate::model::{Number, Numbers, arbitrary};

    /// The model again, of its arrays after a change to one of them.
    fn changed(
        model: &Model,
        name: &str,
        change: impl FnOnce(&mut Numbers<'_>),
    ) -> Result<Model, PartsError> {
        let mut arrays = model.arrays();
        let array = arrays.iter_mut().find(|array| array.name == name);
        change(&mut array.unwrap_or_else(|| panic!("{name} is there")).numbers);
        let mut arrays = arrays.into_iter().collect();
        Model::from_arrays(model.metadata.clone(), model.n_features, &mut arrays)
    }

    /// Sets the first number that is not 0.
    fn set<T: Number + Default + PartialEq>(to: T) -> impl FnOnce(&mut Numbers<'_>) {
        move |numbers| {
            let mut list = T::take(numbers.clone()).expect("of this type");
            let of_row = list.iter().position(|number| *number != T::default());
            list[of_row.unwrap_or_default()] = to;
            *numbers = T::give(list);
        }
    }

    proptest! {
        #[test]
        fn a_model_is_its_arrays(model in arbitrary::models()) {
            prop_assert_eq!(changed(&model, "offsets", |_| ()), Ok(model));
        }
    }

    /// What is wrong with a model, few labels or many, whose array is changed.
    fn problem(model: &Model, name: &str, change: impl FnOnce(&mut Numbers<'_>)) {
        let problem = changed(model, name, change).expect_err(name).to_string();
        assert!(problem.starts_with(&format!("{name}: ")), "{problem}");
    }

    #[test]
    fn what_scoring_cannot_do_with_is_named() {
        let few = arbitrary::model(1);
        problem(&few, "offsets", set(f64::NAN));
        problem(&few, "background", set(f64::INFINITY));
        problem(&few, "tokens.keys", set(1_u64));
        problem(&few, "tokens.word1.step", set(0.3_f64));
        problem(&few, "tokens.word1.step", set(-1_f64));
        problem(&few, "tokens.word1.step", set(f64::MAX));
        problem(&few, "tokens.lead.rows", set((1 << 25) + 1));
        problem(&few, "tokens.lead.rows", set(i32::MIN));
        problem(&few, "tokens.lead.squares", set(-1_f32));
        problem(&few, "ngrams.rows", set(f32::NAN));
        problem(&few, "ngrams.hashes", set(2_u64));
        problem(&few, "ngrams.hashes", |numbers| *numbers = Numbers::U64(vec![1; 5].into()));
        let many = arbitrary::model_of_many_labels();
        problem(&many, "ngrams.masses", set(-1_f32));
        problem(&many, "ngrams.squares", set(f32::INFINITY));
        problem(&many, "ngrams.starts", set(u32::MAX));
        problem(&many, "ngrams.labels", set(10_000_u16));
        problem(&many, "ngrams.values", set(f32::NAN));
    }

    #[test]
    fn a_pilot_that_leads_astray_is_found_out() {
        let few = arbitrary::model(1);
        let astray = |numbers: &mut Numbers<'_>| {
            let Numbers::U16(pilots) = numbers else { panic!("pilots") };
            pilots.to_mut().iter_mut().for_each(|pilot| *pilot ^= 1);
        };
        let problem = changed(&few, "ngrams.pilots", astray).expect_err("astray").to_string();
        assert_eq!(problem, "ngrams.hashes: not found where it stands");
    }

    #[test]
    fn sums_that_are_too_large_are_no_model() {
        let mut parts = arbitrary::example(1);
        parts.vocabulary = vec!["a".to_owned()];
        parts.hashes[0] = hash::extend(View::Word1.seed(), hash::token("a"));
        parts.background = [1e39, -1e39].repeat(View::ALL.len());
        let problem = Model::try_new(&parts).expect_err("too large").to_string();
        assert_eq!(problem, "tokens.word1.step: a value is out of range");
    }
}
