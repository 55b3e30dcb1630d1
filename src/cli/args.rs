//! What several subcommands are told alike: where models are, which one is meant, which file to read.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::{fmt, fs, io};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use directories::ProjectDirs;
use tonic::transport::Uri;

use super::access::{AccessArgs, Remote};
use super::error::CliError;
use crate::config::Days;
use crate::store::{ModelName, NameError, Retention};

/// Where models are: in a folder of this machine, or behind a server.
///
/// What is typed wins over the environment; without either it is the user's own folder.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// `None`: the user's own folder.
    Folder(Option<PathBuf>),
    /// A running server.
    Server(Remote),
}

#[derive(Debug, Args)]
struct PlaceArgs {
    /// Folder of the models; made when the first one is stored [default: in the user's data folder]
    #[arg(long, value_name = "DIR", env = "DICTUM_MODELS", hide_env_values = true)]
    models: Option<PathBuf>,
    /// Ask a running server instead, such as 127.0.0.1:50051
    #[arg(long, value_name = "URL", env = "DICTUM_SERVER", hide_env_values = true)]
    server: Option<ServerUrl>,
    #[command(flatten)]
    access: AccessArgs,
}

impl FromArgMatches for Place {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let PlaceArgs { models, server, access } = PlaceArgs::from_arg_matches(matches)?;
        let is_typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        match server {
            Some(_) if is_typed("models") && is_typed("server") => Err(clap::Error::raw(
                ErrorKind::ArgumentConflict,
                "--models is for a folder of this machine, --server for a server: give one of them\n",
            )),
            Some(url) if is_typed("server") || !is_typed("models") => {
                Ok(Self::Server(Remote { url, access }))
            }
            _ => Ok(Self::Folder(models)),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Place {
    fn augment_args(command: Command) -> Command {
        PlaceArgs::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        PlaceArgs::augment_args_for_update(command)
    }
}

/// Returns the folder that was given, or the user's own.
pub(super) fn models_folder(given: Option<PathBuf>) -> Result<PathBuf, CliError> {
    let own = || ProjectDirs::from("", "", "dictum").map(|dirs| dirs.data_dir().join("models"));
    given.or_else(own).ok_or(CliError::NoModelsFolder)
}

/// The address of a server: `http://HOST:PORT`, or `https://HOST:PORT` for TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerUrl(Uri);

impl ServerUrl {
    /// Where a server listens on this machine unless told otherwise.
    pub(super) const LOCAL: &str = "http://127.0.0.1:50051";

    /// The address for connecting.
    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path of `/` is not part of what was typed.
        f.write_str(self.0.to_string().trim_end_matches('/'))
    }
}

/// The text is not the address of a server.
#[derive(Debug, thiserror::Error)]
#[error("expected http://HOST:PORT or https://HOST:PORT, such as {}", ServerUrl::LOCAL)]
pub(super) struct UrlError;

impl FromStr for ServerUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = text.parse().map_err(|_invalid| UrlError)?;
        let has_port = uri.port_u16().is_some();
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if matches!(uri.scheme_str(), Some("http" | "https")) && has_port && is_bare {
            Ok(Self(uri))
        } else {
            Err(UrlError)
        }
    }
}

/// Which model is meant, and which version of it: `NAME` or `NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelRef {
    /// Name of the model.
    pub(super) name: ModelName,
    /// `None`: the active version.
    pub(super) version: Option<u64>,
}

impl ModelRef {
    /// Name and version as the contract wants them: empty and 0 where not given.
    pub(super) fn in_proto(model: Option<&Self>) -> (String, u64) {
        let name = model.map(|model| model.name.to_string()).unwrap_or_default();
        (name, model.and_then(|model| model.version).unwrap_or_default())
    }
}

/// The text names no model.
#[derive(Debug, thiserror::Error)]
pub(super) enum ModelRefError {
    /// The part before `@`.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The part behind `@`.
    #[error("a version is a whole number, as in NAME@3")]
    Version,
    /// There is no `@`.
    #[error("the version is missing, as in NAME@3")]
    NoVersion,
}

impl FromStr for ModelRef {
    type Err = ModelRefError;

    fn from_str(text: &str) -> Result<Self, ModelRefError> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let version = version.map(str::parse).transpose();
        let version = version.map_err(|_not_a_number| ModelRefError::Version)?;
        Ok(Self { name: name.parse()?, version })
    }
}

/// One version of a model: `NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VersionRef {
    /// Name of the model.
    pub(super) name: ModelName,
    /// Its version.
    pub(super) version: u64,
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl FromStr for VersionRef {
    type Err = ModelRefError;

    fn from_str(text: &str) -> Result<Self, ModelRefError> {
        let ModelRef { name, version } = text.parse()?;
        Ok(Self { name, version: version.ok_or(ModelRefError::NoVersion)? })
    }
}

/// How to find text and label in a CSV.
#[derive(Debug, Clone, Args)]
pub(super) struct CsvArgs {
    /// Column with the sentences
    #[arg(long, value_name = "NAME", default_value = "text", env = "DICTUM_TEXT_COLUMN")]
    #[arg(hide_env_values = true)]
    pub(super) text_column: String,
    /// Column with their labels
    #[arg(long, value_name = "NAME", default_value = "label", env = "DICTUM_LABEL_COLUMN")]
    #[arg(hide_env_values = true)]
    pub(super) label_column: String,
    /// What stands between columns: ',', ';' or 'tab' [default: found from the header row]
    #[arg(long, value_name = "CHARACTER", env = "DICTUM_DELIMITER", hide_env_values = true)]
    pub(super) delimiter: Option<Delimiter>,
}

impl CsvArgs {
    /// The delimiter as a server wants it; empty: found from the header row.
    pub(super) fn delimiter_text(&self) -> String {
        self.delimiter.map(|delimiter| char::from(delimiter.byte).to_string()).unwrap_or_default()
    }
}

/// Where to write a page for people.
#[derive(Debug, Clone, Args)]
pub(super) struct ReportArgs {
    /// Write a page with all figures, charts and disputed rows: one HTML file that needs nothing
    /// else. It shows sentences of the CSV
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

impl ReportArgs {
    /// Whether a page is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.report.is_some()
    }

    /// Refuses what could not be done in the end, before work that may take long.
    pub(super) fn check(&self, place: &Place) -> Result<(), CliError> {
        let Some(path) = &self.report else { return Ok(()) };
        if matches!(place, Place::Server(_)) {
            return Err(CliError::ReportOfServer);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let refuse =
            |kind: io::ErrorKind| Err(CliError::Report { path: path.clone(), source: kind.into() });
        if path.is_dir() {
            refuse(io::ErrorKind::IsADirectory)
        } else if folder.is_some_and(|folder| !folder.is_dir()) {
            refuse(io::ErrorKind::NotFound)
        } else {
            Ok(())
        }
    }

    /// Writes the page, if there is one.
    pub(super) fn write(&self, page: Option<&str>) -> Result<(), CliError> {
        let (Some(path), Some(page)) = (&self.report, page) else { return Ok(()) };
        fs::write(path, page).map_err(|source| CliError::Report { path: path.clone(), source })
    }
}

/// What stands between columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delimiter {
    byte: u8,
}

/// The text is no delimiter.
#[derive(Debug, thiserror::Error)]
#[error("expected ',', ';' or 'tab'")]
pub(super) struct DelimiterError;

impl FromStr for Delimiter {
    type Err = DelimiterError;

    fn from_str(text: &str) -> Result<Self, DelimiterError> {
        let byte = match text {
            "," | "comma" => b',',
            ";" | "semicolon" => b';',
            "\t" | "\\t" | "tab" => b'\t',
            _ => return Err(DelimiterError),
        };
        Ok(Self { byte })
    }
}

/// Which versions are kept when another is stored.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Kept versions (on a server its own settings hold)")]
pub(super) struct RetentionArgs {
    /// Keep this many of the newest versions of the model; the active and the one active before it are
    /// always kept [default: all]
    #[arg(long, value_name = "N")]
    #[arg(env = "DICTUM_KEEP_VERSIONS", hide_env_values = true, hide_short_help = true)]
    keep_versions: Option<NonZeroUsize>,
    /// Keep versions that are not older than this; one that either rule keeps is kept [default: any age]
    #[arg(long, value_name = "DAYS")]
    #[arg(env = "DICTUM_KEEP_DAYS", hide_env_values = true, hide_short_help = true)]
    keep_days: Option<Days>,
}

impl RetentionArgs {
    /// The rules.
    pub(super) fn retention(self) -> Retention {
        Retention {
            keep_versions: self.keep_versions.map(NonZeroUsize::get),
            keep_age: self.keep_days.map(Days::time),
        }
    }
}

/// Reads a share: a number in [0, 1].
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Ok(_) | Err(_) => Err("expected a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Probe {
        #[command(flatten)]
        place: Place,
    }

    fn place(args: &[&str]) -> Result<Place, clap::Error> {
        Probe::try_parse_from([&["probe"], args].concat()).map(|probe| probe.place)
    }

    #[test]
    fn a_folder_and_a_server_at_once_are_refused() {
        let error = place(&["--models", "m", "--server", "localhost:1"]).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
    }

    #[test]
    fn without_a_server_models_are_in_a_folder() {
        assert!(matches!(place(&[]), Ok(Place::Folder(None))));
        assert!(matches!(place(&["--models", "m"]), Ok(Place::Folder(Some(_)))));
        assert!(matches!(place(&["--server", "localhost:1"]), Ok(Place::Server(_))));
    }

    #[test]
    fn a_server_is_http_or_https_with_a_port_and_nothing_else() {
        let address = |text: &str| text.parse::<ServerUrl>().map(|url| url.to_string()).ok();
        assert_eq!(address("localhost:50051").as_deref(), Some("http://localhost:50051"));
        assert_eq!(address("https://localhost:1").as_deref(), Some("https://localhost:1"));
        assert_eq!(address("http://[::1]:1/").as_deref(), Some("http://[::1]:1"));
        for bad in ["", "http://", "localhost", "ftp://localhost:1", "http://h:1/path", "h:x"] {
            assert_eq!(address(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_model_is_named_with_or_without_a_version() {
        let parse = |text: &str| text.parse::<ModelRef>().map(|m| (m.name.to_string(), m.version));
        assert_eq!(parse("mine").ok(), Some(("mine".to_owned(), None)));
        assert_eq!(parse("mine@12").ok(), Some(("mine".to_owned(), Some(12))));
        for bad in ["", "@1", "mine@", "mine@x", "mine@-1", "Mine", "a@1@2"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!("mine".parse::<VersionRef>().is_err());
    }

    #[test]
    fn shares_are_finite_and_within_0_and_1() {
        assert_eq!(share("0.5"), Ok(0.5));
        for bad in ["-0.1", "1.1", "NaN", "inf", "x", ""] {
            assert!(share(bad).is_err(), "{bad:?}");
        }
    }
}
