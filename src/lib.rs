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
//! - `simd`: hot loops for the vector instructions that the machine has.
//! - [`model`]: the immutable classifier: labels, tables, scores, reasons.
//! - [`train`]: labelled examples become a model and an honest evaluation.
//! - [`report`]: a training or an evaluation as a page for people.
//! - [`store`]: models as files, versions in a folder, nothing ever half-written.
//! - [`builtin`]: the model the program carries.
//! - [`config`]: what the server may be told, checked.
//! - [`telemetry`]: logs and panics become records on stderr.
//! - [`server`]: the only folder that knows gRPC and async.
//! - [`cli`]: the command, one thin file per subcommand.
//!
//! A part may use only what stands above it in that list, and `features` nothing of ours
//! (`tests/it/architecture.rs` keeps this true). Wire types stop at [`server`].

pub mod builtin;
pub mod cli;
pub mod config;
pub mod features;
pub mod model;
pub mod report;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod train;

pub mod proto;
mod simd;
