//! The parts of a model from the tensors of format versions 1 and 2, which are read and no longer written.

use super::{LEAD, WITHOUT_LEAD};
use crate::features::View;
use crate::model::{Arrays, Metadata, Parts, PartsError};

/// Takes the parts out of the arrays of a file.
pub(super) fn parts(
    version: u32,
    metadata: Metadata,
    arrays: &mut Arrays<'_>,
) -> Result<Parts, PartsError> {
    let n_labels = metadata.labels.len();
    let has_lead = metadata.settings.views.iter().any(|chosen| chosen.view == View::Lead);
    let (wanted, n_views) =
        if has_lead { (LEAD, View::ALL.len()) } else { (WITHOUT_LEAD, View::Lead.index()) };
    if version != wanted {
        let problem = format!("{version}, with these views it is {wanted}");
        return Err(PartsError::new("format_version", problem));
    }
    let mut background = arrays.take("background", &[n_views, n_labels])?;
    // Views that the version does not know are not used.
    background.resize(View::ALL.len() * n_labels, 0.0);
    Ok(Parts {
        metadata,
        offsets: arrays.take_list("offsets")?,
        background,
        hashes: arrays.take_list("hashes")?,
        masses: arrays.take_list("masses")?,
        squares: arrays.take_list("squares")?,
        entry_starts: arrays.take_list("entry_starts")?,
        entry_labels: arrays.take_list("entry_labels")?,
        entry_values: arrays.take_list("entry_values")?,
        vocabulary: vocabulary(arrays)?,
    })
}

fn vocabulary(arrays: &mut Arrays<'_>) -> Result<Vec<String>, PartsError> {
    let text = String::from_utf8(arrays.take_list("vocabulary")?)
        .map_err(|e| PartsError::new("vocabulary", e.to_string()))?;
    let ends: Vec<u64> = arrays.take_list("vocabulary_ends")?;
    let mut tokens = Vec::with_capacity(ends.len());
    let mut start = 0;
    for end in ends {
        let token = usize::try_from(end).ok().and_then(|end| text.get(start..end));
        let Some(token) = token else {
            let problem = "does not cut the vocabulary into tokens";
            return Err(PartsError::new("vocabulary_ends", problem));
        };
        start += token.len();
        tokens.push(token.to_owned());
    }
    if start != text.len() {
        let problem = "does not reach the end of the vocabulary";
        return Err(PartsError::new("vocabulary_ends", problem));
    }
    Ok(tokens)
}
