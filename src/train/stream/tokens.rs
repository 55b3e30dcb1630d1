//! The texts of tokens by their hashes, one behind the other in one buffer.

use hashbrown::HashTable;

use crate::features::{Analysis, View};

/// The folded text of each token, under the hash of it as a single word.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    places: HashTable<Place>,
    texts: String,
    analysis: Analysis,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    word: u64,
    start: u32,
    end: u32,
}

impl Tokens {
    /// The text of a token, if it is there.
    pub(super) fn get(&self, word: u64) -> Option<&str> {
        let place = self.places.find(word, |place| place.word == word)?;
        self.texts.get(place.start as usize..place.end as usize)
    }

    /// Takes in a token that occurs in a sentence, unless it is there. It is found again by its hash.
    pub(super) fn learn(&mut self, word: u64, sentence: &str) {
        if self.get(word).is_some() {
            return;
        }
        self.analysis.find_tokens(sentence);
        let (mut at, mut found) = (0, None);
        View::Word1.for_each(&self.analysis, |hash, _| {
            if hash == word && found.is_none() {
                found = Some(at);
            }
            at += 1;
        });
        let Some(token) = found.and_then(|at: usize| self.analysis.tokens().get(at)) else {
            return;
        };
        let start = self.texts.len();
        self.texts.push_str(self.analysis.folded(token));
        self.place(word, start);
    }

    /// Adds the tokens of others.
    #[cfg(test)]
    pub(super) fn merge(&mut self, other: &Self) {
        for place in &other.places {
            if let (Some(text), None) = (other.get(place.word), self.get(place.word)) {
                let start = self.texts.len();
                self.texts.push_str(text);
                self.place(place.word, start);
            }
        }
    }

    /// Forgets all but some tokens.
    pub(super) fn keep_only(&mut self, words: impl Iterator<Item = u64>) {
        let mut kept = Self::default();
        for word in words {
            if let (Some(text), None) = (self.get(word), kept.get(word)) {
                let start = kept.texts.len();
                kept.texts.push_str(text);
                kept.place(word, start);
            }
        }
        (self.places, self.texts) = (kept.places, kept.texts);
    }

    /// Puts the end of the buffer under a hash.
    fn place(&mut self, word: u64, start: usize) {
        let offset = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let place = Place { word, start: offset(start), end: offset(self.texts.len()) };
        self.places.insert_unique(word, place, |place| place.word);
    }
}
