//! The arrays of a model as tensors and back: types, order and bytes.

use std::borrow::Cow;
use std::cmp::Reverse;

use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorInfo};

use super::Container;
use crate::model::{Array, Arrays, Numbers};
use crate::store::error::FormatError;

/// Numbers that one thread copies at a time.
const AT_ONCE: usize = 1 << 16;
/// Numbers that there is room for behind those of a tensor: a table puts zeros there.
const ROOM: usize = 256;

/// Returns the type that numbers have in a file.
pub(super) fn dtype(numbers: &Numbers<'_>) -> Dtype {
    match numbers {
        Numbers::F64(_) => Dtype::F64,
        Numbers::U64(_) => Dtype::U64,
        Numbers::F32(_) => Dtype::F32,
        Numbers::I32(_) => Dtype::I32,
        Numbers::U32(_) => Dtype::U32,
        Numbers::U16(_) => Dtype::U16,
        Numbers::U8(_) => Dtype::U8,
    }
}

/// By what tensors are ordered.
fn rank(name: &str, dtype: Dtype) -> (Reverse<usize>, &str) {
    (Reverse(dtype.bitsize()), name)
}

/// Puts arrays in the order of their tensors.
pub(super) fn sort(arrays: &mut [Array<'_>]) {
    arrays.sort_by(|a, b| rank(&a.name, dtype(&a.numbers)).cmp(&rank(&b.name, dtype(&b.numbers))));
}

/// Returns where tensors of these names, types and shapes stand, in their order.
pub(super) fn layout<'a>(
    tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize])>,
) -> Vec<(&'a str, TensorInfo)> {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by(|a, b| rank(a.0, a.1).cmp(&rank(b.0, b.1)));
    let mut end = 0;
    let place = |(name, dtype, shape): (&'a str, Dtype, &[usize])| {
        let start = end;
        end += shape.iter().product::<usize>() * dtype.bitsize() / 8;
        (name, TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (start, end) })
    };
    tensors.into_iter().map(place).collect()
}

/// Writes the numbers of an array behind what is in the file.
pub(super) fn write(numbers: &Numbers<'_>, file: &mut Vec<u8>) {
    match numbers {
        Numbers::F64(numbers) => write_as(file, numbers, f64::to_le_bytes),
        Numbers::U64(numbers) => write_as(file, numbers, u64::to_le_bytes),
        Numbers::F32(numbers) => write_as(file, numbers, f32::to_le_bytes),
        Numbers::I32(numbers) => write_as(file, numbers, i32::to_le_bytes),
        Numbers::U32(numbers) => write_as(file, numbers, u32::to_le_bytes),
        Numbers::U16(numbers) => write_as(file, numbers, u16::to_le_bytes),
        Numbers::U8(numbers) => file.extend_from_slice(numbers),
    }
}

fn write_as<T: Copy, const N: usize>(
    file: &mut Vec<u8>,
    numbers: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
) {
    for number in numbers {
        file.extend_from_slice(&to_bytes(*number));
    }
}

impl<'a> Container<'a> {
    /// The tensors as arrays.
    pub(super) fn arrays(&self) -> Result<Arrays<'a>, FormatError> {
        let mut arrays = Arrays::default();
        for (name, info) in self.header.tensors() {
            let bytes = self.data.get(info.data_offsets.0..info.data_offsets.1);
            let problem = match (bytes, reader(info.dtype)) {
                (Some(bytes), Some(read)) => {
                    let (array, shape) = (name.clone(), info.shape.clone());
                    arrays.add(name, move || Array { name: array, shape, numbers: read(bytes) });
                    continue;
                }
                (None, _) => "lies outside the file".to_owned(),
                (_, None) => format!("has type {}, which no tensor of a model has", info.dtype),
            };
            return Err(FormatError::Tensor { name, problem });
        }
        Ok(arrays)
    }
}

/// What reads the numbers of a type.
#[allow(clippy::wildcard_enum_match_arm, reason = "there are types for all purposes")]
fn reader(dtype: Dtype) -> Option<fn(&[u8]) -> Numbers<'static>> {
    Some(match dtype {
        Dtype::F64 => |bytes| Numbers::F64(read(bytes, f64::from_le_bytes)),
        Dtype::U64 => |bytes| Numbers::U64(read(bytes, u64::from_le_bytes)),
        Dtype::F32 => |bytes| Numbers::F32(read(bytes, f32::from_le_bytes)),
        Dtype::I32 => |bytes| Numbers::I32(read(bytes, i32::from_le_bytes)),
        Dtype::U32 => |bytes| Numbers::U32(read(bytes, u32::from_le_bytes)),
        Dtype::U16 => |bytes| Numbers::U16(read(bytes, u16::from_le_bytes)),
        Dtype::U8 => |bytes| Numbers::U8(read(bytes, u8::from_le_bytes)),
        _ => return None,
    })
}

/// Reads numbers, a part of them on each thread.
fn read<T: Copy + Default + Send + Sync, const N: usize>(
    bytes: &[u8],
    from_bytes: impl Fn([u8; N]) -> T + Sync,
) -> Cow<'static, [T]> {
    let (values, _) = bytes.as_chunks::<N>();
    let mut numbers = vec![T::default(); values.len() + ROOM];
    numbers.truncate(values.len());
    let parts = numbers.par_chunks_mut(AT_ONCE).zip(values.par_chunks(AT_ONCE));
    parts.for_each(|(numbers, values)| {
        let pairs = numbers.iter_mut().zip(values);
        pairs.for_each(|(number, bytes)| *number = from_bytes(*bytes));
    });
    Cow::Owned(numbers)
}
