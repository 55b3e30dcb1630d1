//! Models as files, versions in a folder, nothing ever half-written.
//!
//! - `name`: which names a model may have.
//! - `format`: one model as bytes, in the safetensors container.
//! - `repository`: numbered versions of named models, and which of them is active.

mod error;
pub mod format;
mod name;
mod repository;

pub use error::StoreError;
pub use name::{ModelName, NameError};
pub use repository::{Repository, VersionInfo};
