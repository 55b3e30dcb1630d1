//! What versions there are, which is active, which are broken.

use super::{Folder, built_in_name};
use crate::builtin;
use crate::cli::args::{ModelRef, VersionRef};
use crate::cli::error::{CliError, chain};
use crate::proto::{self, ActivateModelResponse, ModelVersion};
use crate::server::models::ServedModel;
use crate::server::request::{self, Version};
use crate::server::response;
use crate::store::{ModelName, Signer, StoreError, VersionInfo};

/// A version, or a model as a whole (version 0), and what is wrong with it.
#[derive(Debug)]
pub(in crate::cli) struct Checked {
    /// What was checked.
    pub(in crate::cli) version: ModelVersion,
    /// The public key whose signature fits it; empty: none.
    pub(in crate::cli) signed_by: String,
    /// What is wrong; `None`: nothing.
    pub(in crate::cli) error: Option<String>,
}

impl Folder {
    /// Lists versions by name, the newest first, the built-in model among them. Of each file the header
    /// is read, as a server does.
    pub(in crate::cli) fn list(
        &self,
        model: Option<&ModelName>,
    ) -> Result<Vec<proto::Model>, CliError> {
        let is_wanted = |name: &ModelName| model.is_none_or(|model| model == name);
        let built_in = built_in_name()?;
        let mut names = self.repository.names()?;
        names.push(built_in.clone());
        names.sort_unstable();
        names.dedup();
        let mut models = Vec::new();
        for name in names.iter().filter(|name| is_wanted(name)) {
            models.extend(self.stored(name)?);
            if *name == built_in {
                let is_hidden = models.iter().any(|model| model.active && named(model, name));
                let model = builtin::model()?;
                let served = ServedModel::new(name.to_string(), builtin::VERSION, model);
                models.push(proto::Model { active: !is_hidden, ..response::model(&served) });
            }
        }
        match model {
            Some(name) if models.is_empty() => {
                Err(StoreError::UnknownModel { name: name.clone() }.into())
            }
            _ => Ok(models),
        }
    }

    /// Describes a version.
    pub(in crate::cli) fn show(&self, name: &str, version: u64) -> Result<proto::Model, CliError> {
        self.describe(&self.resolve(&request::target("model", name, version)?)?)
    }

    /// Makes a version active. It is loaded first, so that a broken one never becomes active.
    pub(in crate::cli) fn activate(
        &self,
        version: &VersionRef,
    ) -> Result<ActivateModelResponse, CliError> {
        let VersionRef { name, version } = version;
        let model = self.load(name, *version)?;
        let previous = self.repository.activate(name, *version)?;
        let served = ServedModel::new(name.to_string(), *version, model);
        Ok(ActivateModelResponse {
            model: Some(self.describe(&served)?),
            previous_version: previous.unwrap_or_default(),
        })
    }

    /// Deletes a version.
    pub(in crate::cli) fn delete(&self, version: &VersionRef) -> Result<(), CliError> {
        Ok(self.repository.delete(&version.name, version.version)?)
    }

    /// Signs a version, the active one where none is named, and returns which it was.
    pub(in crate::cli) fn sign(
        &self,
        model: &ModelRef,
        signer: &Signer,
    ) -> Result<VersionRef, CliError> {
        let name = model.name.clone();
        let version = match model.version {
            Some(version) => version,
            None => self.repository.load_active(&name)?.0,
        };
        self.repository.sign(&name, version, signer)?;
        Ok(VersionRef { name, version })
    }

    /// Reads every version there is, or every version of one model, as a server would.
    pub(in crate::cli) fn verify(
        &self,
        model: Option<&ModelName>,
    ) -> Result<Vec<Checked>, CliError> {
        let names = match model {
            Some(name) => vec![name.clone()],
            None => self.repository.names()?,
        };
        let mut checked = Vec::new();
        for name in names {
            match self.repository.versions(&name) {
                Ok(versions) => {
                    let versions = versions.iter().map(|info| self.check(&name, info.version));
                    checked.extend(versions);
                }
                Err(StoreError::UnknownModel { name }) => {
                    return Err(StoreError::UnknownModel { name }.into());
                }
                Err(error) => checked.push(Checked::new(&name, 0, Err(error.into()))),
            }
        }
        Ok(checked)
    }

    fn check(&self, name: &ModelName, version: u64) -> Checked {
        let signed_by = || {
            self.load(name, version)?;
            let signature = self.repository.checked_signature(name, version)?;
            Ok(signature.map(|signature| signature.key.to_string()).unwrap_or_default())
        };
        Checked::new(name, version, signed_by())
    }

    fn stored(&self, name: &ModelName) -> Result<Vec<proto::Model>, CliError> {
        let versions = match self.repository.versions(name) {
            Err(StoreError::UnknownModel { .. }) => Vec::new(),
            versions => versions?,
        };
        let describe = |info: &VersionInfo| {
            let version = Version { name: name.clone(), version: info.version };
            let mut model = match self.repository.describe(name, info.version) {
                Ok(description) => response::described(&version, &description),
                // What is wrong with it, `verify` tells.
                Err(_) => proto::Model {
                    model_version: Some(id(name, info.version)),
                    ..Default::default()
                },
            };
            self.set_stored(&mut model, name, info);
            model
        };
        Ok(versions.iter().rev().map(describe).collect())
    }
}

impl Checked {
    fn new(name: &ModelName, version: u64, checked: Result<String, CliError>) -> Self {
        let (signed_by, error) = match checked {
            Ok(signed_by) => (signed_by, None),
            Err(error) => (String::new(), Some(chain(&error))),
        };
        Self { version: id(name, version), signed_by, error }
    }
}

fn id(name: &ModelName, version: u64) -> ModelVersion {
    ModelVersion { name: name.to_string(), version }
}

fn named(model: &proto::Model, name: &ModelName) -> bool {
    model.model_version.as_ref().is_some_and(|version| version.name == name.as_str())
}
