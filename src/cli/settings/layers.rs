//! Values from several places become one checked configuration.
//!
//! Each value is checked by itself first, so that what is wrong is said of the place it is from.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;
use toml::de::DeTable;

use super::table::Setting;
use super::{Given, table};
use crate::cli::args::models_folder;
use crate::cli::error::CliError;
use crate::cli::keys;
use crate::config::ServeConfig;

/// How alike a name must be to be taken for the one that was meant, from 0 to 1.
const ALIKE: f64 = 0.8;

/// A value, and where it is from.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) key: String,
    pub(super) value: toml::Value,
    pub(super) origin: Origin,
}

/// Where a value is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A flag, with its hyphens.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// A line of the file.
    Line(PathBuf, usize),
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::Line(path, line) => write!(f, "{}: line {line}", path.display()),
        }
    }
}

/// The settings in force.
#[derive(Debug)]
pub(in crate::cli) struct Effective {
    /// What the server is told.
    pub(in crate::cli) config: ServeConfig,
    values: Table,
    origins: BTreeMap<String, Origin>,
}

impl Effective {
    /// Reads the file, if there is one, and puts over it what is given otherwise.
    pub(in crate::cli) fn read(given: &Given, file: Option<&Path>) -> Result<Self, CliError> {
        let of_file = file.map(read_file).transpose()?.unwrap_or_default();
        let mut values = defaults();
        let mut origins = BTreeMap::new();
        for Value { key, value, origin } in of_file.into_iter().chain(given.0.iter().cloned()) {
            check(&key, &value, &origin)?;
            values.insert(key.clone(), value);
            origins.insert(key, origin);
        }
        let config = values.clone().try_into();
        let mut config: ServeConfig = config.map_err(|e: toml::de::Error| CliError::Config {
            place: "settings".to_owned(),
            problem: e.message().to_owned(),
        })?;
        config.models = models_folder(Some(config.models).filter(|m| !m.as_os_str().is_empty()))?;
        config.check()?;
        config.signatures =
            keys::signatures(config.trusted_keys.as_ref(), config.signing_key.as_ref())?;
        Ok(Self { config, values, origins })
    }
}

impl Effective {
    /// Which settings another one has different values for.
    pub(super) fn changes(&self, other: &Self) -> impl Iterator<Item = &'static Setting> {
        table::all().filter(|setting| self.values.get(setting.key) != other.values.get(setting.key))
    }
}

/// A file with the same settings, each with where it is from.
impl Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in table::all() {
            let line = match self.values.get(setting.key) {
                Some(value) => format!("{} = {value}", setting.key),
                None => format!("# {} is not set", setting.key),
            };
            match self.origins.get(setting.key) {
                Some(origin) => writeln!(f, "{line:<50} # {origin}")?,
                None => writeln!(f, "{line}")?,
            }
        }
        Ok(())
    }
}

/// The value of every setting that has a default.
pub(super) fn defaults() -> Table {
    // Without a home folder it stays empty, and must be given.
    let models = models_folder(None).unwrap_or_default();
    Table::try_from(ServeConfig::new(models)).unwrap_or_default()
}

/// Checks a value without regard to the others.
fn check(key: &str, value: &toml::Value, origin: &Origin) -> Result<(), CliError> {
    let mut alone = defaults();
    alone.insert(key.to_owned(), value.clone());
    alone.try_into::<ServeConfig>().map(drop).map_err(|error| {
        let place = match origin {
            Origin::Flag(_) | Origin::Variable(_) => origin.to_string(),
            Origin::Line(..) => format!("{origin}: {key}"),
        };
        CliError::Config { place, problem: error.message().trim_end().to_owned() }
    })
}

/// Reads a TOML file.
fn read_file(path: &Path) -> Result<Vec<Value>, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|source| CliError::Read { name: path.display().to_string(), source })?;
    let origin = |start: usize| {
        let before = text.get(..start).unwrap_or_default();
        Origin::Line(path.to_owned(), before.matches('\n').count() + 1)
    };
    let unusable = |error: toml::de::Error| CliError::Config {
        place: origin(error.span().map_or(0, |span| span.start)).to_string(),
        problem: error.message().to_owned(),
    };
    let keys = DeTable::parse(&text).map_err(unusable)?;
    let mut values: Table = toml::from_str(&text).map_err(unusable)?;
    let mut found = Vec::new();
    for key in keys.get_ref().keys() {
        let origin = origin(key.span().start);
        let key = key.get_ref().as_ref();
        if table::all().all(|setting| setting.key != key) {
            return Err(CliError::Config { place: origin.to_string(), problem: unknown(key) });
        }
        if let Some(value) = values.remove(key) {
            found.push(Value { key: key.to_owned(), value, origin });
        }
    }
    Ok(found)
}

fn unknown(key: &str) -> String {
    let likeness = |name: &&str| strsim::jaro_winkler(name, key);
    let nearest = table::all()
        .map(|setting| setting.key)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|name| likeness(name) >= ALIKE);
    match nearest {
        Some(name) => format!("unknown key `{key}`, did you mean `{name}`?"),
        None => format!("unknown key `{key}`; `dictum serve --help` lists all"),
    }
}
