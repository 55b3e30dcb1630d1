//! A sentence with everything that its features are made of.

use super::shapes::{Shape, find_shapes};
use super::tokens::Tokens;
use super::{Span, hash};

/// One token of an [`Analysis`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Hash of the folded text.
    pub hash: u64,
    /// Where the token stands in the sentence.
    pub span: Span,
    /// Where its folded text stands among that of all tokens.
    folded: Span,
}

/// The tokens of a sentence with their hashes, and its shapes. Keeps its buffers from sentence to
/// sentence.
#[derive(Debug, Default, Clone)]
pub struct Analysis {
    found: Tokens,
    tokens: Vec<Token>,
    pub(super) shapes: Vec<Shape>,
}

impl Analysis {
    /// Replaces what was analysed before by `sentence`.
    pub fn analyse(&mut self, sentence: &str) {
        self.find_tokens(sentence);
        find_shapes(sentence, &mut self.found, &mut self.shapes);
    }

    /// Replaces what was analysed before by the tokens of `sentence`; it has no shapes then.
    pub fn find_tokens(&mut self, sentence: &str) {
        self.found.find(sentence);
        self.shapes.clear();
        self.tokens.clear();
        let places = self.found.spans().iter().zip(self.found.folded_spans());
        self.tokens.extend(places.map(|(span, folded)| Token {
            hash: hash::token(self.found.folded_at(*folded)),
            span: *span,
            folded: *folded,
        }));
    }

    /// The tokens in the order of the sentence.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The folded text of one of this analysis' tokens.
    #[must_use]
    pub fn folded(&self, token: &Token) -> &str {
        self.found.folded_at(token.folded)
    }

    /// The hash of an item of the shape sequence.
    pub(super) fn shape_hash(&self, shape: &Shape) -> u64 {
        let of_token = self.tokens.get(shape.first as usize).map_or(0, |token| token.hash);
        shape.mark.hash().unwrap_or(of_token)
    }
}
