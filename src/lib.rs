//! Dictum learns to sort sentences under labels from a labelled CSV and serves the result over gRPC.
//!
//! The folders are the stages of two flows:
//!
//! ```text
//! training   CSV → train/examples → features → train/counts → train/select, pool, estimate → model → store
//! serving    request → server/request (checks) → model (features → score) → server/response
//! ```
//!
//! In reading order:
//!
//! - [`features`]: a sentence becomes hashed n-grams. Pure; the same code for training and serving.
//! - [`model`]: the immutable classifier: labels, tables, scores, reasons.
//! - [`train`]: labelled examples become a model and an honest evaluation.
//! - [`store`]: models as files, versions in a folder, nothing ever half-written.

pub mod features;
pub mod model;
pub mod train;
pub mod store;

pub mod proto;
