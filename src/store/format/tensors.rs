//! The arrays of a model as tensors and back: names, types, shapes and order.
//!
//! Tensors stand by descending width of their numbers, so that each is aligned in the file, then by
//! name. Byte order is little-endian.

use std::iter::repeat_n;

use safetensors::tensor::{Dtype, TensorInfo};

use super::{Container, metadata_of, n_views, version_of};
use crate::features::View;
use crate::model::{Metadata, Parts};
use crate::store::error::FormatError;

/// Returns the tensors' names, types, shapes and places.
pub(super) fn layout(parts: &Parts) -> [(&'static str, TensorInfo); 10] {
    let (n_views, n_labels) = background_shape(&parts.metadata);
    let n_vocabulary_bytes = parts.vocabulary.iter().map(String::len).sum();
    let mut end = 0;
    let mut tensor = |name, dtype: Dtype, shape: &[usize]| {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name, TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (start, end) })
    };
    [
        tensor("background", Dtype::F64, &[n_views, n_labels]),
        tensor("hashes", Dtype::U64, &[parts.hashes.len()]),
        tensor("offsets", Dtype::F64, &[parts.offsets.len()]),
        tensor("vocabulary_ends", Dtype::U64, &[parts.vocabulary.len()]),
        tensor("entry_starts", Dtype::U32, &[parts.entry_starts.len()]),
        tensor("entry_values", Dtype::F32, &[parts.entry_values.len()]),
        tensor("masses", Dtype::F32, &[parts.masses.len()]),
        tensor("squares", Dtype::F32, &[parts.squares.len()]),
        tensor("entry_labels", Dtype::U16, &[parts.entry_labels.len()]),
        tensor("vocabulary", Dtype::U8, &[n_vocabulary_bytes]),
    ]
}

fn background_shape(metadata: &Metadata) -> (usize, usize) {
    (n_views(version_of(metadata)), metadata.labels.len())
}

/// Writes the tensors behind what is in the file, in the order of [`layout`].
pub(super) fn write(parts: &Parts, file: &mut Vec<u8>) {
    let n_bytes = layout(parts).last().map_or(0, |(_, last)| last.data_offsets.1);
    let file_len = file.len() + n_bytes;
    file.reserve_exact(n_bytes);
    let (n_views, n_labels) = background_shape(&parts.metadata);
    let background = parts.background.get(..n_views * n_labels).unwrap_or_default();
    write_array(file, background, f64::to_le_bytes);
    write_array(file, &parts.hashes, u64::to_le_bytes);
    write_array(file, &parts.offsets, f64::to_le_bytes);
    let mut end = 0_u64;
    for token in &parts.vocabulary {
        end += token.len() as u64;
        file.extend_from_slice(&end.to_le_bytes());
    }
    write_array(file, &parts.entry_starts, u32::to_le_bytes);
    write_array(file, &parts.entry_values, f32::to_le_bytes);
    write_array(file, &parts.masses, f32::to_le_bytes);
    write_array(file, &parts.squares, f32::to_le_bytes);
    write_array(file, &parts.entry_labels, u16::to_le_bytes);
    for token in &parts.vocabulary {
        file.extend_from_slice(token.as_bytes());
    }
    debug_assert_eq!(file.len(), file_len, "as long as the layout says");
}

fn write_array<T: Copy, const N: usize>(
    file: &mut Vec<u8>,
    values: &[T],
    to_bytes: fn(T) -> [u8; N],
) {
    for value in values {
        file.extend_from_slice(&to_bytes(*value));
    }
}

impl Container<'_> {
    /// Reads all tensors; `metadata` is JSON.
    pub(super) fn parts(&self, metadata: &str) -> Result<Parts, FormatError> {
        let metadata = metadata_of(metadata)?;
        let mut background = self.array("background", Dtype::F64, f64::from_le_bytes)?;
        // Views that the version does not know are not used.
        let n_missing = (View::ALL.len() - n_views(self.version)) * metadata.labels.len();
        background.extend(repeat_n(0.0, n_missing));
        Ok(Parts {
            metadata,
            offsets: self.array("offsets", Dtype::F64, f64::from_le_bytes)?,
            background,
            hashes: self.array("hashes", Dtype::U64, u64::from_le_bytes)?,
            masses: self.array("masses", Dtype::F32, f32::from_le_bytes)?,
            squares: self.array("squares", Dtype::F32, f32::from_le_bytes)?,
            entry_starts: self.array("entry_starts", Dtype::U32, u32::from_le_bytes)?,
            entry_labels: self.array("entry_labels", Dtype::U16, u16::from_le_bytes)?,
            entry_values: self.array("entry_values", Dtype::F32, f32::from_le_bytes)?,
            vocabulary: self.vocabulary()?,
        })
    }

    fn vocabulary(&self) -> Result<Vec<String>, FormatError> {
        let text = std::str::from_utf8(self.bytes("vocabulary", Dtype::U8)?)
            .map_err(|e| wrong("vocabulary", e.to_string()))?;
        let ends = self.array("vocabulary_ends", Dtype::U64, u64::from_le_bytes)?;
        let mut tokens = Vec::with_capacity(ends.len());
        let mut start = 0;
        for end in ends {
            let token = usize::try_from(end).ok().and_then(|end| text.get(start..end));
            let Some(token) = token else {
                return Err(wrong("vocabulary_ends", "does not cut the vocabulary into tokens"));
            };
            start += token.len();
            tokens.push(token.to_owned());
        }
        if start != text.len() {
            return Err(wrong("vocabulary_ends", "does not reach the end of the vocabulary"));
        }
        Ok(tokens)
    }

    fn array<T, const N: usize>(
        &self,
        name: &str,
        dtype: Dtype,
        from_bytes: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, FormatError> {
        let (values, _) = self.bytes(name, dtype)?.as_chunks::<N>();
        Ok(values.iter().copied().map(from_bytes).collect())
    }

    /// Returns the number of features, which the header tells.
    pub(super) fn n_features(&self) -> Result<usize, FormatError> {
        Ok(self.info("hashes", Dtype::U64)?.shape.iter().product())
    }

    fn info(&self, name: &str, dtype: Dtype) -> Result<&TensorInfo, FormatError> {
        match self.header.info(name) {
            None => Err(wrong(name, "is missing")),
            Some(info) if info.dtype != dtype => {
                Err(wrong(name, format!("has type {}, expected {dtype}", info.dtype)))
            }
            Some(info) => Ok(info),
        }
    }

    /// Returns the bytes of a tensor, a whole number of values.
    fn bytes(&self, name: &str, dtype: Dtype) -> Result<&[u8], FormatError> {
        let (start, end) = self.info(name, dtype)?.data_offsets;
        self.data.get(start..end).ok_or_else(|| wrong(name, "lies outside the file"))
    }
}

fn wrong(name: &str, problem: impl Into<String>) -> FormatError {
    FormatError::Tensor { name: name.to_owned(), problem: problem.into() }
}
