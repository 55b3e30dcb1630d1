//! The settings of `dictum serve`: what is typed, over the environment, over the file, over the defaults.
//!
//! - `table`: every setting with its help.
//! - `layers`: the layers become one checked configuration that knows where each value is from.
//! - `reload`: the same again while the server runs.
//! - `variables`: slips in the environment.

mod layers;
mod reload;
mod table;
pub(super) mod variables;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

pub(super) use layers::Effective;
use layers::{Origin, Value, defaults};
pub(super) use reload::Reload;
use table::{GROUPS, Kind, Setting};

/// The settings that were typed, or are in the environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Given(Vec<Value>);

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        let defaults = defaults();
        let mut command = command;
        for (heading, settings) in GROUPS {
            for setting in settings.iter().filter(|setting| setting.kind != Kind::Table) {
                let default = defaults.get(setting.key);
                let argument = argument(setting, default).help_heading(*heading);
                command = command.arg(argument.hide_short_help(heading.is_some()));
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument(setting: &Setting, default: Option<&toml::Value>) -> Arg {
    let kind = setting.kind;
    let shown = match default {
        Some(toml::Value::String(text)) => Some(text.clone()),
        Some(toml::Value::Boolean(_)) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let help = match shown {
        Some(default) if !setting.help.contains("[default: ") => {
            format!("{} [default: {default}]", setting.help)
        }
        Some(_) | None => setting.help.to_owned(),
    };
    let argument = Arg::new(setting.key)
        .long(setting.flag())
        .env(setting.variable())
        .hide_env_values(true)
        .help(help)
        .value_parser(move |text: &str| kind.read(text));
    match kind {
        Kind::Text(name) | Kind::Number(name) => {
            argument.value_name(name).allow_hyphen_values(true)
        }
        Kind::Table => argument,
        Kind::Switch => argument
            .value_name("true|false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let with_flag = table::all().filter(|setting| setting.kind != Kind::Table);
        let given = with_flag.filter_map(|setting| {
            let value = matches.get_one::<toml::Value>(setting.key)?.clone();
            let is_typed = matches.value_source(setting.key) == Some(ValueSource::CommandLine);
            let origin = if is_typed {
                Origin::Flag(format!("--{}", setting.flag()))
            } else {
                Origin::Variable(setting.variable())
            };
            Some(Value { key: setting.key.to_owned(), value, origin })
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
