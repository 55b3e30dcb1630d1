//! Variables of the environment that are likely slips: one that nothing reads would change nothing, and leave
//! a server as open as it was not meant to be.
//!
//! Only what looks like a variable of this program is refused: others may begin with its name too. Kubernetes
//! makes up some for a service that is called `dictum`.

use std::ffi::OsString;

use clap::Command;

use crate::cli::error::CliError;

const PREFIX: &str = "DICTUM_";
/// How alike a name must be to be a slip of another one, from 0 to 1.
const SLIP: f64 = 0.93;

/// Refuses names that are almost those of variables that `command`, or a subcommand, reads.
pub(in crate::cli) fn check(
    names: impl Iterator<Item = OsString>,
    command: &Command,
) -> Result<(), CliError> {
    let known = known(command);
    for name in names.filter_map(|name| name.into_string().ok()) {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if known.contains(&name) {
            continue;
        }
        let likeness = |known: &String| {
            strsim::jaro_winkler(rest, known.strip_prefix(PREFIX).unwrap_or_default())
        };
        let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        if let Some(nearest) = nearest.filter(|known| likeness(known) >= SLIP) {
            let problem = format!("unknown variable, did you mean {nearest}?");
            return Err(CliError::Config { place: name, problem });
        }
    }
    Ok(())
}

fn known(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_env());
    let mut names: Vec<String> = own.map(|name| name.to_string_lossy().into_owned()).collect();
    names.extend(command.get_subcommands().flat_map(known));
    names
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn refused(name: &str) -> Option<String> {
        check([OsString::from(name)].into_iter(), &Cli::command()).err().map(|e| e.to_string())
    }

    #[test]
    fn slips_are_refused_with_the_name_that_was_meant() {
        for (slip, meant) in [
            ("DICTUM_MAX_CALL", "DICTUM_MAX_CALLS"),
            ("DICTUM_TLS_CERTIFICAT", "DICTUM_TLS_CERTIFICATE"),
            ("DICTUM_LISTENS", "DICTUM_LISTEN"),
        ] {
            let expected = format!("{slip}: unknown variable, did you mean {meant}?");
            assert_eq!(refused(slip), Some(expected));
        }
    }

    #[test]
    fn variables_of_this_program_and_of_others_are_not() {
        for known in known(&Cli::command()) {
            assert_eq!(refused(&known), None);
        }
        for other in [
            "PATH",
            "DICTUMS",
            "DICTUM_SERVICE_HOST",
            "DICTUM_SERVICE_PORT",
            "DICTUM_SERVICE_PORT_GRPC",
            "DICTUM_SERVICE_PORT_METRICS",
            "DICTUM_PORT",
            "DICTUM_PORT_50051_TCP",
            "DICTUM_PORT_50051_TCP_ADDR",
            "DICTUM_PORT_50051_TCP_PORT",
            "DICTUM_PORT_50051_TCP_PROTO",
            "DICTUM_IMAGE",
            "DICTUM_HOME",
            "DICTUM_VERSION",
        ] {
            assert_eq!(refused(other), None, "{other}");
        }
    }
}
