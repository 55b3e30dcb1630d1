//! Labelled examples, from CSV as it is found in the wild or from messages, checked row by row.
//!
//! What cannot be used is left out and reported by line and reason; duplicates are dropped, the same
//! text under two labels is a conflict and left out.

mod dataset;

pub use dataset::{DataReport, Dataset, DatasetBuilder, Example, Finding, FindingCode};
