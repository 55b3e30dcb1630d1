//! `dictum models`: what versions there are, which one answers, and which are broken.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::args::{ModelRef, Place, VersionRef};
use super::client::Client;
use super::error::CliError;
use super::folder::{Checked, Folder};
use super::output::{Format, Json, Output, OutputArgs, model, text};
use crate::proto::{ActivateModelResponse, DeleteModelResponse, ModelVersion};
use crate::store::ModelName;

const EXAMPLES: &str = "\
Examples:
  dictum models list
  dictum models show mine
  dictum models activate mine@2
  dictum models delete mine@1
  dictum models verify

A model has a name and numbered versions. A version never changes; one version of each model is
active and answers. A running server follows within seconds when another version becomes active.";

/// List, show, activate, delete or verify models
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
    /// Read every byte of every version and name those that are damaged; exit code 1 if any is
    Verify {
        /// Only versions of this model
        #[arg(value_name = "NAME")]
        model: Option<ModelName>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        place: Place,
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
        ModelsCommand::Verify { model, output, place } => {
            verify(Output::new(output), &place, model.as_ref())
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
    if output.format() == Format::Json {
        output.json(&Json(&model))?;
    } else {
        output.text(&model::full(&model, output.format()))?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn activate(mut output: Output, place: &Place, version: &VersionRef) -> Result<ExitCode, CliError> {
    let response = match place {
        Place::Folder(models) => Folder::open(models.clone())?.activate(version)?,
        Place::Server(server) => Client::connect(server)?.activate(version)?,
    };
    if output.format() == Format::Json {
        output.json(&Json(&response))?;
    } else {
        output.text(&activated(version, &response))?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn delete(mut output: Output, place: &Place, version: &VersionRef) -> Result<ExitCode, CliError> {
    match place {
        Place::Folder(models) => Folder::open(models.clone())?.delete(version)?,
        Place::Server(server) => Client::connect(server)?.delete(version)?,
    }
    if output.format() == Format::Json {
        output.json(&Json(&DeleteModelResponse {}))?;
    } else {
        output.text(&format!("{version} is deleted\n"))?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A checked version as JSON.
#[derive(Serialize)]
struct Verified<'a> {
    model_version: Json<'a, ModelVersion>,
    /// Null: nothing is wrong.
    error: Option<&'a str>,
}

fn verify(
    mut output: Output,
    place: &Place,
    name: Option<&ModelName>,
) -> Result<ExitCode, CliError> {
    let checked = match place {
        Place::Folder(models) => Folder::open(models.clone())?.verify(name)?,
        Place::Server(server) => Client::connect(server)?.verify(name)?,
    };
    for Checked { version, error } in &checked {
        if output.format() == Format::Json {
            let error = error.as_deref();
            output.json(&Verified { model_version: Json(version), error })?;
            continue;
        }
        let name = match version.version {
            0 => version.name.clone(),
            _ => text::version(Some(version)),
        };
        let verdict = error.as_ref().map_or("good".to_owned(), |error| format!("broken: {error}"));
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
