//! Models as files, versions in a folder, nothing ever half-written.
//!
//! - `name`: which names a model may have.
//! - [`format`](mod@format): one model as bytes, in the safetensors container.
//! - `repository`: numbered versions of named models, and which of them is active.
//! - `folder`, `writer`: one model's folder, read and written.
//! - `retention`: which versions are kept.
//! - [`signature`]: who vouches for a version.
//! - `watch`: word of changes.
//! - `files`: the file operations all this is made of.
//!
//! What [`Repository`] guarantees, through a kill at any moment, a failing disk and a loss of power:
//!
//! 1. A version is there whole, or it is not there.
//! 2. A version never changes, and its number is never given to another.
//! 3. Once [`Repository::publish`] has returned a number, that version survives.
//! 4. The pointer names the old active version or the new one; once [`Repository::activate`] has returned, the
//!    new one.
//! 5. The active version cannot be deleted; retention spares the previously active one too.
//! 6. An operation that fails leaves the old state or the new one.
//! 7. What a dead writer left is removed when the repository is opened, and before the next change.
//! 8. One writer at a time to a model; a second one waits two seconds, then is told so. A lock dies
//!    with its process. Readers need no lock.
//! 9. A file that differs from what was written is refused, down to a single bit.
//! 10. Nothing outside the folder is read or written: names are checked, links refused.
//! 11. Where trusted keys are given, a version that none of them signed is not loaded.

mod error;
mod files;
mod folder;
pub mod format;
mod name;
mod repository;
mod retention;
pub mod signature;
mod watch;
mod writer;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod simulated;

pub use error::{FormatError, StoreError};
pub use name::{ModelName, NameError};
pub use repository::{Repository, VersionInfo};
pub use retention::Retention;
pub use signature::{KeyError, KeyId, Signature, SignatureError, Signatures, Signer, TrustedKeys};
pub use watch::Watch;
