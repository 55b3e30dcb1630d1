//! One model as bytes: a safetensors container, readable by any safetensors reader, with a digest over
//! every byte.
//!
//! The file is the table that scoring reads: loading is copying and checking. [`encode`] and [`decode`] are each
//! other's inverse, and the same model gives the same bytes. What [`decode`] lets through has passed
//! [`Model::from_arrays`]. Files and folders are left to [`Repository`](super::Repository).
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
//! | 8 + `H` to the end | the tensors, without gaps: those of wider numbers first, so that each is aligned, and of one width by name |
//!
//! The digest is BLAKE3 of the whole file with each of its own 64 digits taken as the character `0`.
//! So no bit can change unseen, in the header or behind it. It tells damage; it is no signature.
//!
//! The header is one JSON object: `__metadata__` with the four strings `blake3`, `format_version` (`3`), `metadata`
//! (JSON again: [`Metadata`]) and `n_features` (decimal), then one entry a tensor, in the order of the tensors, as in
//! `"offsets":{"dtype":"F64","shape":[3],"data_offsets":[80,104]}`, offsets counted from 8 + `H`. A header with
//! another order, or with anything more, is refused. With `L` labels the tensors are
//!
//! | tensor | type | shape | content |
//! |---|---|---|---|
//! | `offsets` | F64 | `L` | what each label scores before any feature |
//! | `background` | F64 | 6 × `L` | what one unit of a feature's mass adds to each label, a row for each of `word1`, `word2`, `word3`, `shape`, `character`, `lead` |
//! | `tokens.keys` | U64 | slots | keys of the known tokens, an index |
//! | `tokens.hashes` | U64 | slots | the hash of the token in each slot |
//! | `tokens.VIEW.rows` | I32 | slots × `L` | what the token adds to each label in this view, all told, as a number of steps of at most 2^25 either way |
//! | `tokens.VIEW.step` | F64 | 1 | the step: a power of two |
//! | `tokens.VIEW.squares` | F32 | slots or 0 | what the token adds to the squared length of this view |
//! | `ngrams.hashes` | U64 | slots | hashes of features, an index |
//! | `characters.hashes` | U64 | slots | hashes of the character n-grams of known tokens, an index |
//! | `INDEX.seed` | U64 | 1 | for each index, `tokens`, `ngrams` and `characters`: see below |
//! | `INDEX.pilots` | U16 | slots / 2 | the same |
//!
//! `VIEW` is each view with a weight above 0 that has rows of tokens: `character`, and up to 8 labels also
//! `word1`, `shape` and `lead`; none where slots × `L` is above 2^26. There are squares with the weighting `idf` alone. Of `ngrams` and `characters` up to 8
//! labels there is
//!
//! | tensor | type | shape | content |
//! |---|---|---|---|
//! | `ngrams.rows` | F32 | slots × (`L` + 1 or 2) | a value for each label; the mass; with squares, the square |
//!
//! and of more labels, with `E` entries,
//!
//! | tensor | type | shape | content |
//! |---|---|---|---|
//! | `ngrams.masses` | F32 | slots | the masses |
//! | `ngrams.squares` | F32 | slots or 0 | the squares |
//! | `ngrams.starts` | U32 | slots + 1 | where the entries of each row begin, ascending from 0; the last is `E` |
//! | `ngrams.labels` | U16 | `E` | the labels of the entries, ascending within a row |
//! | `ngrams.values` | F32 | `E` | the values of the entries |
//!
//! # Indexes
//!
//! An index finds the slot of a u64 that is among its keys or hashes by a perfect hash function: slots stand in
//! blocks of 2048, each with 1024 pilots. With `n` pilots, `mul` a product modulo 2^64 and `spread(x, n)` the upper
//! 64 bits of the 128-bit product `x * n`,
//!
//! ```text
//! key    = mul(x, seed)
//! bucket = spread(key, n)
//! mixed  = mul(key XOR 0x9E3779B97F4A7C15, 0x6A09E667F3BCC909 + 2 * pilots[bucket])
//! slot   = bucket / 1024 * 2048 + (mixed >> 53)
//! ```
//!
//! `x` is there if the number in that slot is `x`. A free slot holds a number whose slot is another, and a row
//! that nobody asks for. Where there are no slots, nothing is found.
//!
//! # From a sentence to probabilities
//!
//! What follows, with the tables above, is all that it takes to classify; `tests/format/read_model.py` does
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
//! U+FEFF. A token is then *folded* by full Unicode case folding. Known tokens are those
//! whose key is in `tokens.keys`. The key of a token of up to 16 bytes of UTF-8 is found from these, filled up with
//! zeros, as two little-endian u64 `a` and `b`: of the 128-bit product of `a XOR 0xD6E8FEB86659FD93` and
//! `b XOR 0xA0761D6478BD642F` the upper half XOR the lower half. That of a longer one is its hash.
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
//! **Scores.** Each view among `settings.views` with a weight above 0 has a sum: a value for each label, a mass
//! and a square, which begin with 0. The row of a feature adds its values, its mass and its square to that of its
//! view:
//!
//! - A known token adds what its row of `tokens.VIEW` says, steps times the numbers, and no mass: to `character` each
//!   time it occurs, to `word1` once, to `lead` once if it is among the first ten, to `shape` once if it is an item
//!   other than `0` and `Aa`. Its own character n-grams, and its feature of a single token in a view that has rows of
//!   tokens, are told by that.
//! - Another token adds its character n-grams each time it occurs: those that are in `characters`, or if not there
//!   in `ngrams`. An n-gram that occurs `c` times in the token counts `c` times, its square `c²` times.
//! - All other features, each once, are looked up in `ngrams`.
//!
//! With that a view adds to the score of label `k`, which begins with `offsets[k]`,
//!
//! ```text
//! 1 / length · (value[k] + mass · background[view][k])
//! ```
//!
//! where `length` is 1 for the weighting `presence`, and for `idf` the root of the square (1 where that is 0). Scores
//! are told but for a number that is the same for all labels. Probabilities are the softmax of the scores. The label
//! is the first of the highest probability, or none where no token is known or that probability is below
//! `min_probability`.
//!
//! ```python
//! file = open("model.safetensors", "rb").read()
//! assert blake3.blake3(file[:35] + b"0" * 64 + file[99:]).hexdigest() == file[35:99].decode()
//! tensors = safetensors.numpy.load(file)
//! with safetensors.safe_open("model.safetensors", "numpy") as opened:
//!     metadata = json.loads(opened.metadata()["metadata"])
//!
//! def slot(x, index, numbers):  # index: "tokens", "ngrams" or "characters"; numbers: "keys" or "hashes"
//!     pilots = tensors[index + ".pilots"]
//!     if len(pilots) == 0:
//!         return None
//!     key = x * int(tensors[index + ".seed"][0]) % 2**64
//!     bucket = key * len(pilots) >> 64
//!     multiplier = 0x6A09E667F3BCC909 + 2 * int(pilots[bucket])
//!     at = bucket // 1024 * 2048 + ((key ^ 0x9E3779B97F4A7C15) * multiplier % 2**64 >> 53)
//!     return at if tensors[index + "." + numbers][at] == x else None
//! ```
//!
//! # Older versions
//!
//! Every released version of the format loads for ever: `tests/format/` holds files of each with the
//! answers they must give. A newer version is refused with a message that names both.
//!
//! Versions 1 and 2, which are no longer written, hold the [`Parts`](crate::model::Parts) that a table is built of.
//! Version 2 is that of models with the view `lead` among their settings; in 1 the background has no row for it.
//! Their header has no `n_features`. With `F` features, `E` entries, `T` tokens and `B` bytes of tokens their tensors
//! are
//!
//! | tensor | type | shape | content |
//! |---|---|---|---|
//! | `background`, `offsets` | F64 | as above | |
//! | `hashes` | U64 | `F` | the hashes of the features, ascending |
//! | `vocabulary_ends` | U64 | `T` | for each known token, where it ends in `vocabulary`; it begins where the one before ends |
//! | `entry_starts` | U32 | `F` + 1 | where the entries of each feature begin, ascending from 0; the last is `E` |
//! | `entry_values` | F32 | `E` | the values of the entries |
//! | `masses` | F32 | `F` | the masses |
//! | `squares` | F32 | `F` or 0 | the squares |
//! | `entry_labels` | U16 | `E` | the labels of the entries |
//! | `vocabulary` | U8 | `B` | the tokens' UTF-8 bytes, one behind the other |
//!
//! There all features are looked up in `hashes`, also single tokens and the character n-grams of each token.

mod parts;
mod tensors;
#[cfg(test)]
mod tests;

use std::ops::Range;

use safetensors::tensor::{Metadata as Tensors, SafeTensors, TensorInfo};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::error::FormatError;
use crate::model::{Metadata, Model, PartsError};

/// The version that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 3;
/// The versions before that, of models with the lead view and without it.
const LEAD: u32 = 2;
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
/// [`FormatError::Metadata`] for metadata with a number that is not finite, [`FormatError::Container`] for more
/// metadata than fits the header.
pub fn encode(model: &Model) -> Result<Vec<u8>, FormatError> {
    let metadata = metadata_json(model.metadata())?;
    let blank: String = BLANK.iter().copied().map(char::from).collect();
    let entries = Entries {
        blake3: &blank,
        format_version: FORMAT_VERSION.to_string(),
        metadata: &metadata,
        n_features: Some(model.n_features().to_string()),
    };
    let mut arrays = model.arrays();
    tensors::sort(&mut arrays);
    let shapes = arrays
        .iter()
        .map(|array| (array.name.as_str(), tensors::dtype(&array.numbers), array.shape.as_slice()));
    let tensors = tensors::layout(shapes);
    let mut file = start(entries, &tensors)?;
    file.reserve_exact(tensors.last().map_or(0, |(_, last)| last.data_offsets.1));
    for array in &arrays {
        tensors::write(&array.numbers, &mut file);
    }
    let digest = digest(&file)?;
    let place = file.get_mut(DIGEST).ok_or_else(too_short)?;
    place.copy_from_slice(digest.as_bytes());
    Ok(file)
}

/// Reads a model from the bytes of a file. Runs on the current rayon pool.
///
/// # Errors
///
/// Says what is wrong with the bytes; a file that differs from what [`encode`] wrote by as little as a
/// bit is refused.
pub fn decode(file: &[u8]) -> Result<Model, FormatError> {
    let container = Container::open(file)?;
    if file.get(DIGEST) != Some(digest(file)?.as_bytes()) {
        return Err(FormatError::Digest);
    }
    // Readers differ in what they make of a key that occurs twice.
    if !file.starts_with(&container.start()?) {
        return Err(FormatError::Container("the header is not as it is written".to_owned()));
    }
    let metadata = metadata_of(container.metadata("metadata")?)?;
    let mut arrays = container.arrays()?;
    let model = if container.version == FORMAT_VERSION {
        Model::from_arrays(metadata, container.n_features()?, &mut arrays)?
    } else {
        Model::try_new(&parts::parts(container.version, metadata, &mut arrays)?)?
    };
    arrays.end()?;
    Ok(model)
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
    hasher.update(before).update(&BLANK).update_rayon(behind);
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

/// Returns what stands before the tensors: the header's length and the header.
fn start(entries: Entries<'_>, tensors: &[(&str, TensorInfo)]) -> Result<Vec<u8>, FormatError> {
    let header = Header { entries, tensors };
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
    tensors: &'a [(&'a str, TensorInfo)],
}

/// The strings beside the tensors, in the order in which they are written.
#[derive(Serialize)]
struct Entries<'a> {
    blake3: &'a str,
    format_version: String,
    metadata: &'a str,
    /// From version 3 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    n_features: Option<String>,
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

    /// Returns what a file with these strings and tensors begins with when it is written.
    fn start(&self) -> Result<Vec<u8>, FormatError> {
        let tensors = self.header.tensors();
        let shapes =
            tensors.iter().map(|(name, info)| (name.as_str(), info.dtype, info.shape.as_slice()));
        let n_features = (self.version == FORMAT_VERSION).then(|| self.n_features()).transpose()?;
        let entries = Entries {
            blake3: self.metadata("blake3")?,
            format_version: self.version.to_string(),
            metadata: self.metadata("metadata")?,
            n_features: n_features.map(|n| n.to_string()),
        };
        start(entries, &tensors::layout(shapes))
    }

    /// Returns the number of features, which the header tells.
    fn n_features(&self) -> Result<usize, FormatError> {
        if self.version == FORMAT_VERSION {
            let found = self.metadata("n_features")?;
            return found.parse().map_err(|_not_a_number| {
                FormatError::Container(format!("n_features is {found:?}"))
            });
        }
        let hashes = self.header.info("hashes");
        let hashes = hashes.ok_or_else(|| PartsError::new("hashes", "is missing"))?;
        Ok(hashes.shape.iter().product())
    }

    /// Returns one of the strings beside the tensors.
    fn metadata(&self, key: &str) -> Result<&str, FormatError> {
        let entries = self.header.metadata().as_ref();
        let missing = || FormatError::Container(format!("the header has no {key}"));
        entries.and_then(|e| e.get(key)).map(String::as_str).ok_or_else(missing)
    }
}
