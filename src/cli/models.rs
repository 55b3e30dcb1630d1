//! `dictum models`: what versions there are, which one answers, and which are broken.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::args::{ModelRef, Place, VersionRef};
use super::client::Client;
use super::error::CliError;
use super::folder::{Checked, Folder};
use super::keys;
use super::output::{Format, Json, Output, OutputArgs, model, text};
use crate::proto::{ActivateModelResponse, DeleteModelResponse, ModelVersion};
use crate::store::{ModelName, Signatures, Signer};

const EXAMPLES: &str = "\
Examples:
  dictum models list
  dictum models show mine
  dictum models activate mine@2
  dictum models delete mine@1
  dictum models verify
  dictum models sign mine@2 --key signing-key.pem

A model has a name and numbered versions. A version never changes; one version of each model is
active and answers. A running server follows within seconds when another version becomes active.";

const KEYS: &str = "\
To make a key, and the public key for `dictum serve --trusted-keys`:
  openssl genpkey -algorithm ed25519 -out signing-key.pem
  openssl pkey -in signing-key.pem -pubout -out trusted-keys.pem

The file of the model stays as it is; the signature stands beside it, and holds for this name and
version alone.";

/// List, show, activate, delete, verify or sign models
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// List versions, the newest first
    List {
        /// Only versions of this model
        #[arg(value_name = "NAME")]
        model: Option<ModelName>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        place: Place,
    },
    /// Show everything that is known about a version, and how well it does
    Show {
        /// Which model, and which version of it if not the active one [default: the built-in
        /// news-statements; with --server, the server's default model]
        #[arg(value_name = "NAME[@VERSION]")]
        model: Option<ModelRef>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        place: Place,
    },
    /// Let a version answer: a new one, or an old one again
    Activate {
        /// Which version
        #[arg(value_name = "NAME@VERSION")]
        version: VersionRef,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        place: Place,
    },
    /// Delete a version that is not active, for good
    Delete {
        /// Which version
        #[arg(value_name = "NAME@VERSION")]
        version: VersionRef,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        place: Place,
    },
    /// Sign a version, so that servers with --trusted-keys let it answer
    #[command(after_help = KEYS)]
    Sign {
        /// Which model, and which version of it if not the active one
        #[arg(value_name = "NAME[@VERSION]")]
        model: ModelRef,
        /// PEM file with the secret key
        #[arg(long, value_name = "FILE", env = "DICTUM_SIGNING_KEY", hide_env_values = true)]
        key: PathBuf,
        #[command(flatten)]
        output: OutputArgs,
        /// Folder of the models [default: in the user's data folder]
        #[arg(long, value_name = "DIR", env = "DICTUM_MODELS", hide_env_values = true)]
        models: Option<PathBuf>,
    },
    /// Read every byte of every version and name those that are damaged; exit code 1 if any is
    Verify {
        /// Only versions of this model
        #[arg(value_name = "NAME")]
        model: Option<ModelName>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        place: Place,
        /// PEM file with public keys, one of which must have signed each version; a server asks for
        /// those it was given
        #[arg(long, value_name = "FILE", conflicts_with = "server")]
        trusted_keys: Option<PathBuf>,
    },
}

/// Runs the subcommand.
pub(super) fn run(args: ModelsArgs) -> Result<ExitCode, CliError> {
    match args.command {
        ModelsCommand::List { model, output, place } => {
            list(Output::new(output), &place, model.as_ref())
        }
        ModelsCommand::Show { model, output, place } => {
            show(Output::new(output), &place, model.as_ref())
        }
        ModelsCommand::Activate { version, output, place } => {
            activate(Output::new(output), &place, &version)
        }
        ModelsCommand::Delete { version, output, place } => {
            delete(Output::new(output), &place, &version)
        }
        ModelsCommand::Sign { model, key, output, models } => {
            let signer = keys::signing_key(&key)?;
            sign(Output::new(output), &Folder::open(models)?, &model, &signer)
        }
        ModelsCommand::Verify { model, output, place, trusted_keys } => {
            let signatures = keys::signatures(trusted_keys.as_ref(), None)?;
            verify(Output::new(output), &check(&place, model.as_ref(), signatures)?)
        }
    }
}

fn list(mut output: Output, place: &Place, name: Option<&ModelName>) -> Result<ExitCode, CliError> {
    let models = match place {
        Place::Folder(models) => Folder::open(models.clone())?.list(name)?,
        Place::Server(server) => Client::connect(server)?.list(name)?,
    };
    if output.format() == Format::Json {
        for model in &models {
            output.json(&Json(model))?;
        }
    } else {
        output.text(&model::list(&models, output.format()))?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn show(mut output: Output, place: &Place, model: Option<&ModelRef>) -> Result<ExitCode, CliError> {
    let (name, version) = ModelRef::in_proto(model);
    let model = match place {
        Place::Folder(models) => Folder::open(models.clone())?.show(&name, version)?,
        Place::Server(server) => Client::connect(server)?.show(name, version)?,
    };
    output.result(&Json(&model), |format| model::full(&model, format))?;
    Ok(ExitCode::SUCCESS)
}

fn activate(mut output: Output, place: &Place, version: &VersionRef) -> Result<ExitCode, CliError> {
    let response = match place {
        Place::Folder(models) => Folder::open(models.clone())?.activate(version)?,
        Place::Server(server) => Client::connect(server)?.activate(version)?,
    };
    output.result(&Json(&response), |_| activated(version, &response))?;
    Ok(ExitCode::SUCCESS)
}

fn delete(mut output: Output, place: &Place, version: &VersionRef) -> Result<ExitCode, CliError> {
    match place {
        Place::Folder(models) => Folder::open(models.clone())?.delete(version)?,
        Place::Server(server) => Client::connect(server)?.delete(version)?,
    }
    output.result(&Json(&DeleteModelResponse {}), |_| format!("{version} is deleted\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A signed version as JSON.
#[derive(Serialize)]
struct Signed<'a> {
    model_version: Json<'a, ModelVersion>,
    signed_by: String,
}

fn sign(
    mut output: Output,
    folder: &Folder,
    model: &ModelRef,
    signer: &Signer,
) -> Result<ExitCode, CliError> {
    let version = folder.sign(model, signer)?;
    let signed_by = signer.key().to_string();
    let text = format!("{version} is signed by {signed_by}\n");
    let VersionRef { name, version } = version;
    let version = ModelVersion { name: name.to_string(), version };
    output.result(&Signed { model_version: Json(&version), signed_by }, |_| text)?;
    Ok(ExitCode::SUCCESS)
}

/// A checked version as JSON.
#[derive(Serialize)]
struct Verified<'a> {
    model_version: Json<'a, ModelVersion>,
    /// Public key; null: nobody, or something is wrong.
    signed_by: Option<&'a str>,
    /// Null: nothing is wrong.
    error: Option<&'a str>,
}

fn check(
    place: &Place,
    name: Option<&ModelName>,
    signatures: Signatures,
) -> Result<Vec<Checked>, CliError> {
    match place {
        Place::Folder(models) => {
            Folder::open(models.clone())?.with_signatures(signatures).verify(name)
        }
        Place::Server(server) => Client::connect(server)?.verify(name),
    }
}

fn verify(mut output: Output, checked: &[Checked]) -> Result<ExitCode, CliError> {
    for Checked { version, signed_by, error } in checked {
        let signed_by = Some(signed_by.as_str()).filter(|key| !key.is_empty());
        if output.format() == Format::Json {
            let error = error.as_deref();
            output.json(&Verified { model_version: Json(version), signed_by, error })?;
            continue;
        }
        let name = match version.version {
            0 => version.name.clone(),
            _ => text::version(Some(version)),
        };
        let verdict = match (error, signed_by) {
            (Some(error), _) => format!("broken: {error}"),
            (None, Some(key)) => format!("good, signed by {key}"),
            (None, None) => "good".to_owned(),
        };
        output.text(&format!("{name}  {}\n", text::visible(&verdict)))?;
    }
    if checked.is_empty() && output.format() != Format::Json {
        output.text("there are no stored models\n")?;
    }
    output.flush()?;
    let is_good = checked.iter().all(|checked| checked.error.is_none());
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn activated(version: &VersionRef, response: &ActivateModelResponse) -> String {
    match response.previous_version {
        0 => format!("{version} is active\n"),
        previous if previous == version.version => format!("{version} is active, as before\n"),
        previous => format!("{version} is active; before it was version {previous}\n"),
    }
}
