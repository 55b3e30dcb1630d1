//! Finds the tokens of any text, character by character of its NFKC form.

use super::characters::{Characters, Facts, Kind, fold};
use super::shapes::Class;
use super::tokens::Place;
use super::{Span, normalise};

/// Hands over the tokens of a sentence, and adds their folded texts to `folded`.
pub(super) fn find(
    sentence: &str,
    characters: &Characters,
    folded: &mut String,
    mut found: impl FnMut(Place),
) {
    let mut open = Open::default();
    normalise::for_each_char(sentence, characters, |facts, place| {
        if facts.kind == Kind::Ignored {
            return;
        }
        if !open.run.goes_on_with(facts.kind) {
            open.end(folded).into_iter().for_each(&mut found);
            open = Open::begin(facts, place, folded);
        }
        open.run = open.run.then(facts.kind);
        if open.run != Run::None {
            open.take_in(facts, place, folded);
        }
    });
    open.end(folded).into_iter().for_each(found);
}

/// The token that is being read; its folded text stands at the end of the buffer.
#[derive(Debug, Default)]
struct Open {
    run: Run,
    span: Span,
    folded_start: usize,
    /// Of the first character.
    class: Option<Class>,
    has_digit: bool,
}

impl Open {
    fn begin(first: Facts, place: Span, folded: &str) -> Self {
        let class =
            if first.is_uppercase { Class::Capitalised } else { Class::of_other(first.character) };
        Self { span: place, folded_start: folded.len(), class: Some(class), ..Self::default() }
    }

    fn take_in(&mut self, facts: Facts, place: Span, folded: &mut String) {
        match facts.folded {
            Some(c) => folded.push(c),
            None => folded.push_str(&fold(facts.character)),
        }
        self.has_digit |= facts.is_numeric;
        self.span.end = place.end;
    }

    /// The token, if there is one.
    fn end(&self, folded: &str) -> Option<Place> {
        let class = self.class.filter(|_| self.run != Run::None)?;
        let class = if self.has_digit { Class::Number } else { class };
        let start = normalise::offset(self.folded_start);
        let folded = Span { start, end: normalise::offset(folded.len()) };
        Some(Place { span: self.span, folded, class })
    }
}

/// What kind of token is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Run {
    #[default]
    None,
    Word,
    Alone,
    Other,
}

impl Run {
    fn goes_on_with(self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Word, Kind::Word | Kind::Attached) | (Self::Alone, Kind::Attached)
        )
    }

    fn then(self, kind: Kind) -> Self {
        match kind {
            Kind::Word => Self::Word,
            Kind::Attached if self == Self::Alone => Self::Alone,
            Kind::Attached => Self::Word,
            Kind::Alone => Self::Alone,
            Kind::Other => Self::Other,
            Kind::Space | Kind::Ignored => Self::None,
        }
    }
}
