//! Models as files, versions in a folder, nothing ever half-written.
//!
//! - `name`: which names a model may have.
//! - [`format`](mod@format): one model as bytes, in the safetensors container, documented in full.
//! - `repository`: numbered versions of named models, and which of them is active.
//! - `storage`: what a place for versions does, a folder or a bucket.
//! - `folder`, `writer`: one model's folder, read and written.
//! - `retention`: which versions are kept. `training`: one trainer at a time.
//! - `remote`: versions in object storage, if the feature `object-storage` is on.
//! - [`signature`]: who vouches for a version.
//! - `watch`: word of changes.
//! - `files`: the file operations all this is made of.
//!
//! # What a folder of models guarantees
//!
//! Through a kill at any moment, a failing or full disk, and a loss of power:
//!
//! 1. A version is there whole, or it is not there.
//! 2. A version never changes, and its number is never given to another.
//! 3. Once [`Repository::publish`] has returned a number, that version survives.
//! 4. The pointer names the old active version or the new one; once [`Repository::activate`] has returned, the
//!    new one.
//! 5. The active version cannot be deleted; retention spares the previously active and the newest one too.
//! 6. An operation that fails says why, and leaves the old state or the new one; what answers goes on.
//! 7. What a dead writer left is removed when the repository is opened, and before the next change.
//! 8. One writer at a time to a model; a second one waits two seconds, then is told so, and a second
//!    trainer at once. A lock dies with its process. Readers need no lock.
//! 9. A file that differs from what was written is refused with a reason, down to a single bit.
//! 10. Nothing outside the folder is read or written: names are checked, links refused.
//! 11. Where trusted keys are given, a version that none of them signed is not loaded.
//!
//! `cargo test --test faults` does each of these faults to the real program and prints a table of them;
//! `cargo test --release --test faults -- --long` does as many as that the figures mean something. Files
//! are synced, and after each rename the folder; outside Unix folders cannot be, so there 3 and 4 rest
//! through a loss of power (not through a kill) on the file system's journal. On a network mount they rest
//! on what its server makes of `fsync`, and 8 on its support of `flock`. Guarantee 9 is about damage: a digest
//! is no signature.
//!
//! In a bucket the same holds, with three differences: no lock is held, changes stand one behind the other by
//! conditional puts, and a writer that does not get through in two seconds is told so; two may train at a
//! time, and both versions are there; what a dead writer left is removed by the first publication a day later.

mod error;
mod files;
mod folder;
pub mod format;
mod name;
#[cfg(feature = "object-storage")]
mod remote;
mod repository;
mod retention;
pub mod signature;
mod storage;
mod training;
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
pub use training::TrainingClaim;
pub use watch::Watch;
