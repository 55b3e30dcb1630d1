//! What versions a server has, and which of them answer.

use super::Client;
use crate::cli::args::VersionRef;
use crate::cli::error::CliError;
use crate::cli::folder::Checked;
use crate::proto::{
    ActivateModelRequest, ActivateModelResponse, DeleteModelRequest, GetModelRequest,
    ListModelsRequest, Model, ModelVersion, VerifyModelRequest,
};
use crate::store::ModelName;

/// Versions on a page.
const PAGE_SIZE: u32 = 1_000;

impl Client {
    /// Lists all versions, page by page.
    pub(in crate::cli) fn list(&self, model: Option<&ModelName>) -> Result<Vec<Model>, CliError> {
        let mut request = ListModelsRequest {
            page_size: PAGE_SIZE,
            page_token: String::new(),
            model: model.map(ToString::to_string).unwrap_or_default(),
        };
        let mut models = Vec::new();
        loop {
            let page = self.call(self.models().list_models(request.clone()))?;
            models.extend(page.models);
            if page.next_page_token.is_empty() {
                return Ok(models);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Describes a version.
    pub(in crate::cli) fn show(&self, model: String, version: u64) -> Result<Model, CliError> {
        let request = GetModelRequest { model, version };
        let response = self.call(self.models().get_model(request))?;
        response.model.ok_or_else(|| self.lacks("model"))
    }

    /// Makes a version active.
    pub(in crate::cli) fn activate(
        &self,
        version: &VersionRef,
    ) -> Result<ActivateModelResponse, CliError> {
        let VersionRef { name, version } = version;
        let request = ActivateModelRequest { model: name.to_string(), version: *version };
        self.call(self.models().activate_model(request))
    }

    /// Deletes a version.
    pub(in crate::cli) fn delete(&self, version: &VersionRef) -> Result<(), CliError> {
        let VersionRef { name, version } = version;
        let request = DeleteModelRequest { model: name.to_string(), version: *version };
        self.call(self.models().delete_model(request)).map(drop)
    }

    /// Lets the server read every stored version, or every version of one model.
    pub(in crate::cli) fn verify(
        &self,
        model: Option<&ModelName>,
    ) -> Result<Vec<Checked>, CliError> {
        let listed = self.list(model)?;
        // Version 0 is part of the program.
        let stored = listed.into_iter().filter_map(|model| model.model_version);
        let mut stored: Vec<_> = stored.filter(|version| version.version > 0).collect();
        stored.sort_unstable_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
        stored.into_iter().map(|version| self.check(version)).collect()
    }

    fn check(&self, version: ModelVersion) -> Result<Checked, CliError> {
        let request = VerifyModelRequest { model: version.name.clone(), version: version.version };
        let answer = self.call(self.models().verify_model(request))?;
        let error = Some(answer.problem).filter(|problem| !problem.is_empty());
        let signed_by = answer.signature.unwrap_or_default().public_key;
        Ok(Checked { version, signed_by, error })
    }
}
