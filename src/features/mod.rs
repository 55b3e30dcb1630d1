//! A sentence becomes features: tokens, and n-grams of them as fixed 64-bit hashes.
//!
//! Pure: no I/O, no locks, no failure on any UTF-8 string. Training and serving both go through
//! [`Analysis`], so a feature means the same on both sides.
//!
//! - `normalise`: NFKC and what becomes of each character's place in the sentence.
//! - `characters`: what there is to know about each character.
//! - `tokens`: runs of word characters, single marks. `unicode`: how they are found in any text, `ascii`: in
//!   ASCII, many characters at a time.
//! - `shapes`: what stands for names and numbers.
//! - `analysis`: all that is known of a sentence.
//! - [`hash`]: the hash of a token and of a sequence, part of the model file's format.
//! - `views`: the families of n-grams.
//! - `sequence`: items in a row and the hashes of their n-grams.
//! - `ngrams`: those of a sentence, each once in its view. `repeats`: how.
//! - `endings`: all of them, in one walk.
//! - `index`: from a hash to a position.

mod analysis;
mod ascii;
mod characters;
mod endings;
pub mod hash;
mod index;
mod ngrams;
mod normalise;
mod repeats;
mod sequence;
mod shapes;
mod tokens;
mod unicode;
mod views;

pub use analysis::{Analysis, Token};
pub use endings::{Ending, for_each_ending};
pub use index::HashIndex;
pub use ngrams::Ngrams;
pub use sequence::Items;
pub use shapes::{Mark, Shape, find_shapes};
pub use tokens::Tokens;
#[cfg(test)]
pub(crate) use views::character_sequence;
pub use views::{Gram, LEAD_TOKENS, View, for_each_character_ngram, lead};

/// Version of the tokeniser, the views and the hashes. A model trained under another version
/// cannot be served; it is part of the model file. It stays while features are only added: what a model
/// does not know changes none of its answers.
pub const FEATURES_VERSION: u32 = 1;

/// A part of the sentence, in UTF-8 bytes, end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Byte behind the last.
    pub end: u32,
}
