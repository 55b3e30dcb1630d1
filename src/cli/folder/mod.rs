//! The work done here, on a folder of models: what a server would do, checked by the same code, with
//! the same messages as results.
//!
//! - `sentences`: sentences as they come.
//! - `data`: a CSV to train on or to judge by.
//! - `versions`: what there is, what is active, what is broken.

mod data;
mod sentences;
mod versions;

use std::path::PathBuf;
use std::sync::Arc;

pub(super) use data::{Done, Work};
pub(super) use versions::Checked;

use super::args::models_folder;
use super::error::CliError;
use crate::builtin;
use crate::model::Model;
use crate::proto;
use crate::server::models::ServedModel;
use crate::server::request::Target;
use crate::server::response;
use crate::store::{ModelName, Repository, Retention, Signatures, StoreError, VersionInfo};

/// A folder of models.
#[derive(Debug)]
pub(super) struct Folder {
    repository: Repository,
}

impl Folder {
    /// Opens a folder, or the user's own where none is given. It need not exist.
    pub(super) fn open(models: Option<PathBuf>) -> Result<Self, CliError> {
        Ok(Self { repository: Repository::open(models_folder(models)?)? })
    }

    /// Keeps only these versions when another is stored.
    pub(super) fn with_retention(self, retention: Retention) -> Self {
        Self { repository: self.repository.with_retention(retention) }
    }

    /// Asks for signatures.
    pub(super) fn with_signatures(self, signatures: Signatures) -> Self {
        Self { repository: self.repository.with_signatures(signatures) }
    }

    /// Loads the model meant. Without a name that is the built-in one; a stored model of its name comes
    /// first.
    fn resolve(&self, target: &Target) -> Result<ServedModel, CliError> {
        let name = match &target.name {
            Some(name) => name.clone(),
            None => built_in_name()?,
        };
        let version = match target.version {
            0 => self.repository.active(&name)?,
            version => Some(version),
        };
        let served = |version, model| ServedModel::new(name.to_string(), version, model);
        match version {
            Some(version) => Ok(served(version, self.load(&name, version)?)),
            None if name.as_str() == builtin::NAME => {
                Ok(served(builtin::VERSION, builtin::model()?))
            }
            None => match self.repository.versions(&name) {
                Ok(_) => Err(StoreError::NoActiveVersion { name }.into()),
                Err(error) => Err(error.into()),
            },
        }
    }

    fn load(&self, name: &ModelName, version: u64) -> Result<Arc<Model>, CliError> {
        Ok(Arc::new(self.repository.load(name, version)?))
    }

    /// Describes a version in full.
    fn describe(&self, served: &ServedModel) -> Result<proto::Model, CliError> {
        let mut model = response::model(served);
        model.evaluation = Some(response::own_evaluation(served.model.metadata()));
        model.active = true;
        if served.version != builtin::VERSION {
            let name: ModelName = served.name.parse().map_err(CliError::Name)?;
            let info = self.repository.version(&name, served.version)?;
            self.set_stored(&mut model, &name, &info);
        }
        Ok(model)
    }

    /// Says of a version what the folder shows.
    fn set_stored(&self, model: &mut proto::Model, name: &ModelName, info: &VersionInfo) {
        model.active = info.active;
        model.size_bytes = info.size_bytes;
        model.create_time = Some(info.created.into());
        model.signature = response::signature(self.repository.signature(name, info.version));
    }
}

fn built_in_name() -> Result<ModelName, CliError> {
    builtin::NAME.parse().map_err(CliError::Name)
}
