//! The sentences to classify: as arguments, or one a line from the standard input.

use std::fmt;
use std::io::{self, BufReader, IsTerminal, Stdin};
use std::vec;

use tonic::Code;

use super::error::CliError;
use super::lines::{Line, Lines};
use crate::proto::ItemError;
use crate::train::examples::MAX_TEXT_BYTES;

/// One sentence.
#[derive(Debug)]
pub(super) struct Item {
    /// Where it was found.
    pub(super) position: Position,
    /// The sentence, or why it cannot be read.
    pub(super) sentence: Result<String, ItemError>,
}

/// Where a sentence was found, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Which argument it was.
    Argument(u64),
    /// On which line it stood.
    Line(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(number) => write!(f, "argument {number}"),
            Self::Line(number) => write!(f, "line {number}"),
        }
    }
}

/// Sentences as they come.
#[derive(Debug)]
pub(super) struct Sentences {
    source: Source,
    n_read: u64,
}

#[derive(Debug)]
enum Source {
    Arguments(vec::IntoIter<String>),
    Input(Lines<BufReader<Stdin>>),
}

impl Sentences {
    /// Takes these sentences or, where there are none, the lines of the standard input.
    pub(super) fn new(arguments: Vec<String>) -> Self {
        let source = if arguments.is_empty() {
            Source::Input(Lines::new(BufReader::new(io::stdin()), MAX_TEXT_BYTES))
        } else {
            Source::Arguments(arguments.into_iter())
        };
        Self { source, n_read: 0 }
    }

    /// Whether a person types them.
    pub(super) fn are_typed(&self) -> bool {
        matches!(self.source, Source::Input(_)) && io::stdin().is_terminal()
    }

    /// Whether the next sentence may have to be waited for.
    pub(super) fn may_wait(&self) -> bool {
        match &self.source {
            Source::Arguments(_) => false,
            Source::Input(lines) => !lines.get_ref().buffer().contains(&b'\n'),
        }
    }

    /// Returns the next sentence, or `None` at the end. Blank lines are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Item>, CliError> {
        let line = match &mut self.source {
            Source::Arguments(arguments) => {
                self.n_read += 1;
                arguments.next().map(Line::Text)
            }
            Source::Input(lines) => next_filled(lines, &mut self.n_read)
                .map_err(|source| CliError::Read { name: "standard input".to_owned(), source })?,
        };
        let position = match self.source {
            Source::Arguments(_) => Position::Argument(self.n_read),
            Source::Input(_) => Position::Line(self.n_read),
        };
        Ok(line.map(|line| Item { position, sentence: sentence(line) }))
    }
}

/// Returns the next line that is not blank, and counts all.
fn next_filled(lines: &mut Lines<BufReader<Stdin>>, n_read: &mut u64) -> io::Result<Option<Line>> {
    loop {
        *n_read += 1;
        match lines.next()? {
            Some(Line::Text(text)) if text.trim().is_empty() => {}
            line => return Ok(line),
        }
    }
}

fn sentence(line: Line) -> Result<String, ItemError> {
    let error = |reason: &str, message: String| {
        Err(ItemError { code: Code::InvalidArgument.into(), reason: reason.to_owned(), message })
    };
    match line {
        Line::Text(sentence) => Ok(sentence),
        Line::TooLong => {
            error("SENTENCE_TOO_LONG", format!("sentence has more than {MAX_TEXT_BYTES} bytes"))
        }
        Line::NotText => error("SENTENCE_NOT_UTF8", "sentence is not UTF-8".to_owned()),
    }
}
