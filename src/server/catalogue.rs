//! What there is: stored versions and the built-in one, described and listed.

use std::time::{SystemTime, UNIX_EPOCH};

use super::error::CallError;
use super::models::{Models, ServedModel};
use super::request::{Page, Version, page_token};
use super::response;
use super::status::chain;
use crate::builtin;
use crate::proto::{self, ListModelsResponse};
use crate::store::{ModelName, VersionInfo};

/// Describes a version in full.
pub(crate) fn describe(models: &Models, served: &ServedModel) -> Result<proto::Model, CallError> {
    let mut model = response::model(served);
    model.evaluation = Some(response::own_evaluation(served.model.metadata()));
    if served.version != builtin::VERSION {
        let name: ModelName = served
            .name
            .parse()
            .map_err(|_malformed| CallError::Internal("a stored model has no proper name"))?;
        set_stored(&mut model, &models.repository().version(&name, served.version)?);
        model.signature = signature(models, &name, served.version);
    }
    model.active = models.active_version(&served.name) == Some(served.version);
    Ok(model)
}

/// Lists versions by name, the newest first. A model or version that cannot be read is in the list all
/// the same as far as it is known, so that it can be seen, and deleted.
pub(crate) fn list(models: &Models, page: &Page) -> Result<ListModelsResponse, CallError> {
    let mut entries = entries(models, page)?;
    let is_last_page = entries.len() <= page.size;
    entries.truncate(page.size);
    let next = entries.last().filter(|_| !is_last_page);
    let next_page_token = next.map(|e| page_token(&e.name, e.version())).unwrap_or_default();
    let listed = entries.iter().map(|entry| list_entry(models, entry));
    Ok(ListModelsResponse { models: listed.collect(), next_page_token })
}

/// A version in the list; without `stored` the built-in one.
struct Entry {
    name: String,
    stored: Option<(Version, VersionInfo)>,
}

impl Entry {
    fn version(&self) -> u64 {
        self.stored.as_ref().map_or(builtin::VERSION, |(version, _)| version.version)
    }
}

/// The entries of a page, and one more where there is one.
fn entries(models: &Models, page: &Page) -> Result<Vec<Entry>, CallError> {
    let mut entries = Vec::new();
    for name in names(models)? {
        let after = page.after.as_ref();
        if page.model.as_ref().is_some_and(|model| *model != name)
            || after.is_some_and(|after| after.name > name)
        {
            continue;
        }
        let behind =
            |version| after.is_none_or(|after| after.name != name || version < after.version);
        if name.as_str() == builtin::NAME {
            if behind(builtin::VERSION) {
                entries.push(Entry { name: name.to_string(), stored: None });
            }
        } else {
            let versions = versions(models, &name).into_iter().rev();
            entries.extend(versions.filter(|info| behind(info.version)).map(|info| Entry {
                name: name.to_string(),
                stored: Some((Version { name: name.clone(), version: info.version }, info)),
            }));
        }
        if entries.len() > page.size {
            break;
        }
    }
    Ok(entries)
}

/// All names in order, the built-in one among them.
fn names(models: &Models) -> Result<Vec<ModelName>, CallError> {
    let mut names = models.repository().names()?;
    names.extend(builtin::NAME.parse::<ModelName>().ok());
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn versions(models: &Models, name: &ModelName) -> Vec<VersionInfo> {
    models.repository().versions(name).unwrap_or_else(|error| {
        tracing::warn!(model = %name, error = chain(&error), "the versions cannot be listed");
        Vec::new()
    })
}

fn list_entry(models: &Models, entry: &Entry) -> proto::Model {
    let version = entry.version();
    let known = models.summary(&entry.name, entry.stored.as_ref().map(|(stored, _)| stored));
    let mut model = known.unwrap_or_else(|| proto::Model {
        model_version: Some(proto::ModelVersion { name: entry.name.clone(), version }),
        ..proto::Model::default()
    });
    if let Some((stored, info)) = &entry.stored {
        set_stored(&mut model, info);
        model.signature = signature(models, &stored.name, version);
    }
    model.active = models.active_version(&entry.name) == Some(version);
    model
}

fn signature(models: &Models, name: &ModelName, version: u64) -> Option<proto::Signature> {
    response::signature(models.repository().signature(name, version))
}

fn set_stored(model: &mut proto::Model, info: &VersionInfo) {
    model.size_bytes = info.size_bytes;
    model.create_time = Some(timestamp(info.created));
}

fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    prost_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}
