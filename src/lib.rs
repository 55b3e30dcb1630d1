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
//! - [`server`]: the only folder that knows gRPC and async.
//! - [`cli`]: one thin file per subcommand.
//! - [`config`]: what was typed becomes one checked [`config::Config`].
//! - [`telemetry`]: logs.
//!
//! A part may use only what stands above it in that list, and `features` nothing of ours
//! (`tests/it/architecture.rs` keeps this true). Wire types stop at [`server`].

pub mod features;
pub mod model;
pub mod train;
pub mod store;
pub mod server;
pub mod cli;
pub mod config;
pub mod telemetry;

pub mod proto;
