//! The map of `src/lib.rs`, kept true: who may use whom, and which crates stay where.

#![allow(clippy::unwrap_used, reason = "a test's own files are there")]

use std::fs;
use std::path::{Path, PathBuf};

/// Each part with the parts it may use.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("features", &[]),
    ("simd", &[]),
    ("model", &["features", "simd"]),
    ("train", &["features", "model", "simd"]),
    ("report", &["features", "model", "train"]),
    ("store", &["features", "model"]),
    ("builtin", &["model", "store", "train"]),
    ("config", &["store"]),
    ("telemetry", &[]),
    ("server", &["builtin", "config", "model", "proto", "store", "telemetry", "train", "features"]),
    (
        "cli",
        &[
            "builtin",
            "config",
            "features",
            "model",
            "proto",
            "report",
            "server",
            "store",
            "telemetry",
            "train",
        ],
    ),
    ("proto", &[]),
];

/// Each crate with the only places that may name it.
const STAYS_IN: [(&str, &[&str]); 14] = [
    ("linfa", &["train/estimate.rs"]),
    ("linfa_bayes", &["train/estimate.rs"]),
    ("ndarray", &["train/estimate.rs"]),
    ("safetensors", &["store/format"]),
    ("object_store", &["store/remote"]),
    ("tonic", &["server", "cli", "proto.rs"]),
    ("prost", &["server", "cli", "proto.rs"]),
    ("maud", &["report"]),
    ("plotters", &["report/chart.rs"]),
    ("prometheus_client", &["server/metrics"]),
    ("opentelemetry", &["server/traces"]),
    ("opentelemetry_sdk", &["server/traces"]),
    ("opentelemetry_otlp", &["server/traces"]),
    ("clap", &["cli", "main.rs"]),
];

fn sources() -> Vec<(String, String)> {
    fn visit(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    visit(&root, &mut found);
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (name(path), code_of(&fs::read_to_string(path).unwrap()))).collect()
}

/// The text without comments.
fn code_of(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

fn part_of(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

#[test]
fn every_part_uses_only_what_the_map_allows() {
    let files = sources();
    assert!(files.len() > 30, "the sources were not found");
    for (file, code) in &files {
        let Some((_, allowed)) = MAY_USE.iter().find(|(part, _)| *part == part_of(file)) else {
            continue;
        };
        for (other, _) in MAY_USE {
            let is_used = code.contains(&format!("crate::{other}::"))
                || code.contains(&format!("crate::{other};"))
                || code.contains(&format!("crate::{{{other}"));
            let is_allowed = other == part_of(file) || allowed.contains(&other);
            assert!(!is_used || is_allowed, "src/{file} uses {other}");
        }
    }
}

#[test]
fn crates_stay_where_they_belong() {
    for (file, code) in sources() {
        for (name, places) in STAYS_IN {
            let is_named = code.lines().any(|line| {
                line.contains(&format!("{name}::")) && !line.contains(&format!("_{name}::"))
            });
            let is_allowed = places.iter().any(|place| file.starts_with(place));
            assert!(!is_named || is_allowed, "src/{file} names {name}");
        }
    }
}
