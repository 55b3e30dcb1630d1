//! One model as bytes: a safetensors container, readable by any safetensors reader, with a digest over
//! every byte.
//!
//! [`encode`] and [`decode`] are each other's inverse, and the same parts give the same bytes. What
//! [`decode`] lets through has passed [`Parts::check`]. Files and folders are left to
//! [`Repository`](super::Repository).
//!
//! # The bytes
//!
//! All numbers are little-endian.
//!
//! | bytes | content |
//! |---|---|
//! | 0 to 8 | `H`, the length of the header: u64, a multiple of 8, at most 16 MiB |
//! | 8 to 35 | `{"__metadata__":{"blake3":"` |
//! | 35 to 99 | the digest, 64 lower-case hexadecimal digits |
//! | 99 to 8 + `H` | the rest of the header: JSON without spaces, then spaces up to `H` |
//! | 8 + `H` to the end | the tensors, without gaps, in the order of the table below |
//!
//! The digest is BLAKE3 of the whole file with each of its own 64 digits taken as the character `0`.
//! So no bit can change unseen, in the header or behind it. It tells damage; it is no signature.
//!
//! The header is one JSON object: `__metadata__` with the three strings `blake3`, `format_version` (`2`
//! for a model with the view `lead` among its settings, `1` for any other, which older programs read too)
//! and `metadata` (JSON again: [`Metadata`]), then one entry a tensor, as in
//! `"hashes":{"dtype":"U64","shape":[3],"data_offsets":[80,104]}`, offsets counted from 8 + `H`. Keys
//! stand in the order given here; a header with another order, or with anything more, is refused. With `L` labels, `F` features, `E` entries, `T` tokens and `B` bytes of
//! tokens the tensors are
//!
//! | tensor | type | shape | content |
//! |---|---|---|---|
//! | `background` | F64 | views × `L` | [`Parts::background`], views in the order of [`View::ALL`]; in version 1 without the last |
//! | `hashes` | U64 | `F` | [`Parts::hashes`]; how text is hashed: [`crate::features`] |
//! | `offsets` | F64 | `L` | [`Parts::offsets`] |
//! | `vocabulary_ends` | U64 | `T` | for each token, where it ends in `vocabulary`; it begins where the one before ends |
//! | `entry_starts` | U32 | `F` + 1 | [`Parts::entry_starts`] |
//! | `entry_values` | F32 | `E` | [`Parts::entry_values`] |
//! | `masses` | F32 | `F` | [`Parts::masses`] |
//! | `squares` | F32 | `F` or 0 | [`Parts::squares`] |
//! | `entry_labels` | U16 | `E` | [`Parts::entry_labels`] |
//! | `vocabulary` | U8 | `B` | [`Parts::vocabulary`]: the tokens' UTF-8 bytes, one behind the other |
//!
//! # From a sentence to probabilities
//!
//! What follows, with the table above, is all that it takes to classify; `tests/format/read_model.py` does
//! it in Python with the packages `safetensors`, `numpy`, `blake3` and `xxhash`, and is compared with this
//! program. It holds for `features_version` 1 of the metadata. That stays while features are only added:
//! a model without them does not know them, and answers as before.
//!
//! **Tokens.** The sentence in NFKC is cut into tokens: a maximal run of word characters, or one other
//! character that is neither white space nor invisible. A word character is alphabetic or numeric, or
//! `_`. One in the scripts Han, Hiragana, Thai, Lao, Khmer, Myanmar and Tibetan is a token alone.
//! Combining marks (general category M) and the joiners U+200C and U+200D belong to the word before
//! them, or begin one. White space is `White_Space`, U+001C to U+001F and U+200B. Invisible, as if they were
//! not there, are U+00AD, U+061C, U+200E, U+200F, U+202A to U+202E, U+2060 to U+2069, U+FE00 to U+FE0F and
//! U+FEFF. A token is then *folded* by full Unicode case folding. Known tokens are those of `vocabulary`.
//!
//! **Shapes.** The shape view sees one item for each token: `0` for one with a character of general category
//! N; `Aa` for one that begins with an upper-case letter, unless it is the first or stands behind an
//! opener; else the folded token. Several `Aa` in a row are one item. An opener is a token, not `0`,
//! that begins with one of `.!?"` or U+201C.
//!
//! **Hashes** are u64. That of a token, an item or a mark is XXH3-64, seed 0, of its UTF-8. A sequence
//! starts from the seed of its view, and takes in one hash after the other: with `p` the 128-bit product
//! of `sequence XOR hash` and `0x9E3779B97F4A7C15`, it becomes the upper half of `p` XOR the lower half.
//!
//! | view | seed | features of a sentence |
//! |---|---|---|
//! | `word1`, `word2`, `word3` | `0x5749E3A16B0D44C7` | sequences of 1, 2, 3 folded tokens, each once; for 2 and 3 with the mark `<s>` before the first and `</s>` behind the last |
//! | `shape` | `0xA3D70B5419C6E82F` | sequences of 1, 2 and 3 items, each once, with the same marks for 2 and 3 |
//! | `lead` | `0xC2E4716D903BF85B` | each of the first ten folded tokens, once |
//! | `character` | `0x1F86C95DE2703AB9` | for each folded token, sequences of 3, 4 and 5 characters of the token's first 64 with a space before and behind, and of 2 where one is a Hangul syllable (U+AC00 to U+D7A3); a character's number stands in for a hash |
//!
//! **Scores.** A feature that is in `hashes`, at `f`, has the mass `masses[f]`, the square `squares[f]` (0
//! where there are none) and its entries, from `entry_starts[f]` up to `entry_starts[f + 1]`. With
//! `count` 1, or in the character view how often the feature occurs in the token, a view that is among
//! `settings.views` adds to the score of label `k`, which begins with `offsets[k]`,
//!
//! ```text
//! 1 / length · Σ over its features of count · (mass · background[view][k] + value of the entry with label k, if any)
//! ```
//!
//! where `length` is 1 for the weighting `presence`, and for `idf` the root of the sum of `count² · square`
//! (1 where that is 0); the sums of the character view run over all tokens, a token that stands twice
//! counting twice. Probabilities are the softmax of the scores. The label is the first of the highest
//! probability, or none where no token is known or that probability is below `min_probability`.
//!
//! ```python
//! file = open("model.safetensors", "rb").read()
//! assert blake3.blake3(file[:35] + b"0" * 64 + file[99:]).hexdigest() == file[35:99].decode()
//! tensors = safetensors.numpy.load(file)
//! with safetensors.safe_open("model.safetensors", "numpy") as opened:
//!     metadata = json.loads(opened.metadata()["metadata"])
//!
//! def row(feature_hash, view):  # what one known feature of a view adds to each label, length 1
//!     i = np.searchsorted(tensors["hashes"], np.uint64(feature_hash))
//!     entries = slice(*tensors["entry_starts"][i : i + 2])
//!     values = tensors["masses"][i] * tensors["background"][view]
//!     values[tensors["entry_labels"][entries]] += tensors["entry_values"][entries]
//!     return values
//! ```
//!
//! Every released version of the format loads for ever: `tests/format/` holds files of each with the
//! answers they must give. A newer version is refused with a message that names both.

mod tensors;
#[cfg(test)]
mod tests;

use std::ops::Range;

use safetensors::tensor::{Metadata as Tensors, SafeTensors, TensorInfo};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::error::FormatError;
use crate::features::View;
use crate::model::{Metadata, Parts};

/// The newest version that this program reads and writes.
pub const FORMAT_VERSION: u32 = 2;
/// The version before that: without the lead view.
const WITHOUT_LEAD: u32 = 1;

/// Longest header in bytes. A longer one is refused before it is read.
pub const MAX_HEADER_BYTES: usize = 16 << 20;

/// What every file begins with, behind the length of its header.
const PREFIX: &str = r#"{"__metadata__":{"blake3":""#;
/// Length of the header's length in bytes. The header's length is a multiple of it.
pub const LENGTH_BYTES: usize = size_of::<u64>();
/// Length of the digest in hexadecimal digits.
const DIGEST_LEN: usize = 2 * blake3::OUT_LEN;
/// Where the digest stands in the file.
const DIGEST: Range<usize> = LENGTH_BYTES + PREFIX.len()..LENGTH_BYTES + PREFIX.len() + DIGEST_LEN;
/// What stands there while the digest is made.
const BLANK: [u8; DIGEST_LEN] = [b'0'; DIGEST_LEN];

/// Writes a model as the bytes of a file.
///
/// # Errors
///
/// [`FormatError::Parts`] for parts that no model could be made of, [`FormatError::Metadata`] for
/// metadata with a number that is not finite, [`FormatError::Container`] for more metadata than
/// fits the header.
pub fn encode(parts: &Parts) -> Result<Vec<u8>, FormatError> {
    parts.check()?;
    let blank: String = BLANK.iter().copied().map(char::from).collect();
    let mut file = start(parts, &metadata_json(&parts.metadata)?, &blank)?;
    tensors::write(parts, &mut file);
    let digest = digest(&file)?;
    let place = file.get_mut(DIGEST).ok_or_else(too_short)?;
    place.copy_from_slice(digest.as_bytes());
    Ok(file)
}

/// Reads a model from the bytes of a file.
///
/// # Errors
///
/// Says what is wrong with the bytes; a file that differs from what [`encode`] wrote by as little as a
/// bit is refused.
pub fn decode(file: &[u8]) -> Result<Parts, FormatError> {
    let container = Container::open(file)?;
    if file.get(DIGEST) != Some(digest(file)?.as_bytes()) {
        return Err(FormatError::Digest);
    }
    let metadata = container.metadata("metadata")?;
    let parts = container.parts(metadata)?;
    parts.check()?;
    // Readers differ in what they make of a key that occurs twice, or of a tensor nobody asked for.
    if !file.starts_with(&start(&parts, metadata, container.metadata("blake3")?)?) {
        return Err(FormatError::Container("the header is not as it is written".to_owned()));
    }
    Ok(parts)
}

/// What the header of a file says of the model in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// Labels, settings, evaluation.
    pub metadata: Metadata,
    /// Number of features.
    pub n_features: usize,
}

/// Returns where the header ends, from the first [`LENGTH_BYTES`] of a file.
///
/// # Errors
///
/// [`FormatError::Container`] if there are fewer bytes, or the header is longer than allowed.
pub fn header_end(first: &[u8]) -> Result<usize, FormatError> {
    let claimed = first.first_chunk().copied().map(u64::from_le_bytes).ok_or_else(too_short)?;
    match usize::try_from(claimed) {
        Ok(len) if len <= MAX_HEADER_BYTES => Ok(LENGTH_BYTES + len),
        _ => Err(header_too_long(claimed)),
    }
}

/// Reads what a file says of itself from the bytes up to the end of its header. The digest is not
/// checked: it covers the rest too.
///
/// # Errors
///
/// Says what is wrong with the header.
pub fn describe(start: &[u8]) -> Result<Description, FormatError> {
    let header = start.get(LENGTH_BYTES..header_end(start)?).ok_or_else(too_short)?;
    let header =
        serde_json::from_slice(header).map_err(|e| FormatError::Container(e.to_string()))?;
    let container = Container::new(header, &[])?;
    Ok(Description {
        metadata: metadata_of(container.metadata("metadata")?)?,
        n_features: container.n_features()?,
    })
}

/// Returns the digest of a file that has room for it, as hexadecimal digits.
fn digest(file: &[u8]) -> Result<String, FormatError> {
    let before = file.get(..DIGEST.start).ok_or_else(too_short)?;
    let behind = file.get(DIGEST.end..).ok_or_else(too_short)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&BLANK).update(behind);
    Ok(hasher.finalize().to_hex().to_string())
}

fn too_short() -> FormatError {
    FormatError::Container("the file is too short".to_owned())
}

/// Returns the metadata as JSON from which the same metadata can be read.
fn metadata_json(metadata: &Metadata) -> Result<String, FormatError> {
    let wrong = |e: serde_json::Error| FormatError::Metadata(e.to_string());
    let json = serde_json::to_string(metadata).map_err(wrong)?;
    // JSON has no word for numbers that are not finite; serde_json writes them as null.
    if serde_json::from_str::<Metadata>(&json).is_ok_and(|read| read == *metadata) {
        Ok(json)
    } else {
        Err(FormatError::Metadata("a number is not finite".to_owned()))
    }
}

/// Returns the lowest version that has all views of a model.
fn version_of(metadata: &Metadata) -> u32 {
    let has_lead = metadata.settings.views.iter().any(|chosen| chosen.view == View::Lead);
    if has_lead { FORMAT_VERSION } else { WITHOUT_LEAD }
}

/// Returns the number of views in the background of a version.
fn n_views(version: u32) -> usize {
    if version == WITHOUT_LEAD { View::Lead.index() } else { View::ALL.len() }
}

/// Returns what stands before the tensors: the header's length and the header.
fn start(parts: &Parts, metadata: &str, blake3: &str) -> Result<Vec<u8>, FormatError> {
    let format_version = version_of(&parts.metadata).to_string();
    let header = Header {
        entries: Entries { blake3, format_version: &format_version, metadata },
        tensors: &tensors::layout(parts),
    };
    let mut json =
        serde_json::to_vec(&header).map_err(|e| FormatError::Container(e.to_string()))?;
    json.resize(json.len().next_multiple_of(LENGTH_BYTES), b' ');
    if json.len() > MAX_HEADER_BYTES {
        return Err(header_too_long(json.len()));
    }
    let len = u64::try_from(json.len()).map_err(|e| FormatError::Container(e.to_string()))?;
    Ok([len.to_le_bytes().as_slice(), &json].concat())
}

fn metadata_of(json: &str) -> Result<Metadata, FormatError> {
    serde_json::from_str(json).map_err(|e| FormatError::Metadata(e.to_string()))
}

fn header_too_long(len: impl std::fmt::Display) -> FormatError {
    FormatError::Container(format!("a header of {len} bytes, allowed are {MAX_HEADER_BYTES}"))
}

/// The header. Written by hand because safetensors' own keeps the metadata in random order.
struct Header<'a> {
    entries: Entries<'a>,
    tensors: &'a [(&'static str, TensorInfo)],
}

/// The strings beside the tensors, in the order in which they are written.
#[derive(Serialize)]
struct Entries<'a> {
    blake3: &'a str,
    format_version: &'a str,
    metadata: &'a str,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.tensors.len()))?;
        map.serialize_entry("__metadata__", &self.entries)?;
        for (name, info) in self.tensors {
            map.serialize_entry(name, info)?;
        }
        map.end()
    }
}

/// A file whose header is read and whose format version is one that this program knows.
struct Container<'a> {
    version: u32,
    header: Tensors,
    /// What stands behind the header.
    data: &'a [u8],
}

impl<'a> Container<'a> {
    fn open(file: &'a [u8]) -> Result<Self, FormatError> {
        let end = header_end(file)?;
        let (_, header) =
            SafeTensors::read_metadata(file).map_err(|e| FormatError::Container(e.to_string()))?;
        Self::new(header, file.get(end..).unwrap_or_default())
    }

    fn new(header: Tensors, data: &'a [u8]) -> Result<Self, FormatError> {
        let container = Self { version: FORMAT_VERSION, header, data };
        let found = container.metadata("format_version")?;
        match (WITHOUT_LEAD..=FORMAT_VERSION).find(|version| version.to_string() == found) {
            Some(version) => Ok(Self { version, ..container }),
            None => {
                let found = found.to_owned();
                Err(FormatError::Version { found, supported: FORMAT_VERSION })
            }
        }
    }

    /// Returns one of the strings beside the tensors.
    fn metadata(&self, key: &str) -> Result<&str, FormatError> {
        let entries = self.header.metadata().as_ref();
        let missing = || FormatError::Container(format!("the header has no {key}"));
        entries.and_then(|e| e.get(key)).map(String::as_str).ok_or_else(missing)
    }
}
