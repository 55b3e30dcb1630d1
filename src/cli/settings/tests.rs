//! What wins over what, and that every setting arrives.

use std::path::Path;
use std::time::Duration;

use clap::Parser;

use super::*;
use crate::cli::error::CliError;
use crate::config::Timeouts;

#[derive(Debug, Parser)]
struct Probe {
    #[command(flatten)]
    given: Given,
}

fn typed(args: &[&str]) -> Given {
    Probe::try_parse_from([&["probe"], args].concat()).expect("right use").given
}

fn read(args: &[&str], file: &str) -> Result<Effective, CliError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("dictum.toml");
    std::fs::write(&path, file).expect("a file in it");
    Effective::read(&typed(args), Some(&path))
}

/// What is wrong, without the temporary folder.
fn problem(args: &[&str], file: &str) -> String {
    match read(args, file) {
        Err(error @ CliError::Config { .. }) => {
            let text = error.to_string();
            text.split_once("dictum.toml: ").map_or(text.clone(), |(_, rest)| rest.to_owned())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_typed_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "listen = '127.0.0.1:1'\nmax_jobs = 2\nshutdown_grace_seconds = 5\n";
    let config = read(&["--max-jobs", "3", "--models", "m"], file).expect("good settings").config;
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.limits.max_jobs.get(), 3);
    assert_eq!(config.timeouts.shutdown_grace, Duration::from_secs(5));
    assert_eq!(config.timeouts.first_byte, Timeouts::default().first_byte);
    assert_eq!(config.models, Path::new("m"));
}

/// A value for a setting that is not its default.
fn sample(setting: &Setting) -> String {
    let sample = match (setting.key, setting.kind) {
        ("listen", _) => "127.0.0.1:9",
        ("metrics_listen", _) => "127.0.0.1:9",
        ("log_format", _) => "json",
        ("otlp_endpoint", _) => "http://127.0.0.1:9",
        ("trace_share", _) => "0.5",
        ("trusted_keys", _) => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/public.pem"),
        ("signing_key", _) => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/secret.pem"),
        ("tls_client_certificates", _) => "optional",
        ("max_job_memory_bytes", _) => "99999999",
        (_, Kind::Text(_)) => "sample",
        (_, Kind::Number("BYTES")) => "9999",
        (_, Kind::Number(_)) => "9",
        (_, Kind::Switch) => "true",
        (_, Kind::Table) => "{ \"*\" = [\"classify\"] }",
    };
    sample.to_owned()
}

#[test]
fn every_setting_is_a_flag_and_a_key_and_reaches_the_server() {
    let with_flag = || table::all().filter(|setting| setting.kind != Kind::Table);
    let flags: Vec<String> =
        with_flag().map(|setting| format!("--{}={}", setting.flag(), sample(setting))).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let line = |setting: &Setting| match setting.kind {
        Kind::Text(_) => format!("{} = '{}'\n", setting.key, sample(setting)),
        Kind::Number(_) | Kind::Switch | Kind::Table => {
            format!("{} = {}\n", setting.key, sample(setting))
        }
    };
    let file: String = table::all().map(line).collect();
    let roles: String = table::all().filter(|s| s.kind == Kind::Table).map(line).collect();
    for effective in [read(&flags, &roles), read(&[], &file)] {
        let config = effective.expect("good settings").config;
        assert!(!format!("{config:?}").contains("None"), "a field without a setting: {config:?}");
        let arrived = toml::Table::try_from(config).expect("a table");
        for setting in table::all() {
            let arrived = arrived.get(setting.key).map(ToString::to_string).unwrap_or_default();
            // A whole number of days is a decimal once it is read.
            let arrived = arrived.trim_end_matches(".0").trim_matches('"');
            assert_eq!(arrived, sample(setting), "{}", setting.key);
        }
        assert_eq!(arrived.len(), table::all().count(), "a field without a setting");
    }
}

#[test]
fn the_settings_in_force_are_shown_as_a_file_that_gives_the_same() {
    let file = "max_jobs = 2\n\nkeepalive_timeout_seconds = 0.5\n";
    let effective = read(&["--models", "m"], file).expect("good settings");
    let shown = effective.to_string();
    let has = |words: &[&str]| shown.lines().any(|line| words.iter().all(|w| line.contains(w)));
    assert!(has(&["models = \"m\"", "# --models"]), "{shown}");
    assert!(has(&["keepalive_timeout_seconds = 0.5", "dictum.toml: line 3"]), "{shown}");
    assert!(has(&["# default_model is not set"]), "{shown}");
    let again = read(&[], &shown).expect("good settings");
    assert_eq!(format!("{:?}", again.config), format!("{:?}", effective.config));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
    let unknown = |file| problem(&[], file);
    assert_eq!(
        unknown("models = 'm'\nlisten_on = '127.0.0.1:1'\n"),
        "line 2: unknown key `listen_on`, did you mean `listen`?"
    );
    assert_eq!(
        unknown("max_mesage_bytes = 5"),
        "line 1: unknown key `max_mesage_bytes`, did you mean `max_message_bytes`?"
    );
    assert!(unknown("[zzz]\n").ends_with("`dictum serve --help` lists all"));
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let problem = problem(&[], "max_jobs = 1\nmodels =\n");
    assert!(problem.starts_with("line 2: "), "{problem}");
}

#[test]
fn values_out_of_range_are_refused_in_the_file_and_when_typed() {
    for (key, bad, expected) in [
        ("max_message_bytes", "5", "1024"),
        ("shutdown_grace_seconds", "-1", "0.001"),
        ("shutdown_grace_seconds", "nan", "0.001"),
        ("shutdown_grace_seconds", "86401", "86400"),
        ("max_jobs", "0", "nonzero"),
        ("max_upload_bytes", "0", "nonzero"),
        ("max_upload_rows", "-1", "nonzero"),
        ("max_job_memory_bytes", "16777215", "16777216"),
        ("max_jobs", "-1", "nonzero"),
        ("max_message_bytes", "1073741825", "1073741824"),
        ("default_model", "'../x'", "a model name"),
        ("log_format", "'xml'", "`text` or `json`"),
        ("otlp_endpoint", "'otel:4317'", "http://HOST:PORT"),
        ("trace_share", "1.5", "from 0 to 1"),
        ("listen", "'nowhere'", "socket address"),
    ] {
        let in_file = problem(&[], &format!("\n{key} = {bad}\n"));
        let place = format!("line 2: {key}: ");
        assert!(in_file.starts_with(&place) && in_file.contains(expected), "{in_file}");
        let flag = format!("--{}", key.replace('_', "-"));
        let typed = problem(&[&flag, bad.trim_matches('\'')], "");
        assert!(typed.starts_with(&format!("{flag}: ")) && typed.contains(expected), "{typed}");
    }
    assert!(problem(&[], "max_jobs = 'two'").contains("nonzero"));
    assert!(Probe::try_parse_from(["probe", "--max-jobs", "x"]).is_err());
    assert!(Probe::try_parse_from(["probe", "--insecure=perhaps"]).is_err());
}

#[test]
fn other_machines_may_call_without_tls_only_on_purpose() {
    let open = ["--listen", "0.0.0.0:1"];
    assert!(matches!(read(&open, ""), Err(CliError::Settings(_))));
    assert!(read(&[&open[..], &["--insecure"]].concat(), "").is_ok());
    assert!(read(&open, "insecure = true").is_ok());
    assert!(matches!(read(&open, "insecure = false"), Err(CliError::Settings(_))));
}
