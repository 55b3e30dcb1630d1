//! The unit tests on the simulated file system, run by cargo, with what they counted.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use crate::{Scale, Survived};

/// Lines such as `simulated kill: 214`.
static COUNTS: LazyLock<Vec<(String, usize)>> = LazyLock::new(|| {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--quiet", "--locked", "--lib"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    // Where this program was built, so that nothing is built anew.
    command.arg("--target-dir").args(Path::new(crate::program::PATH).ancestors().nth(2));
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.args(["store::faults::", "--", "--nocapture"]);
    let output = command.output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let counts = text.lines().filter_map(|line| {
        // The dots of the tests that are done stand before it.
        let (_, line) = line.split_once("simulated ")?;
        let (what, n) = line.split_once(": ")?;
        Some((what.to_owned(), n.parse().ok()?))
    });
    counts.collect()
});

fn count(what: &str) -> usize {
    let counts: Vec<_> = COUNTS.iter().filter(|(name, _)| name == what).collect();
    assert!(!counts.is_empty(), "no unit test counts {what}: {COUNTS:?}");
    counts.iter().map(|(_, n)| n).sum()
}

/// Deaths at each step.
pub(crate) fn kill(_scale: Scale) -> Survived {
    let again = count("kill while recovering");
    Survived::new(count("kill") + again, format!("all recover; {again} died twice"))
}

/// Losses of power at each step.
pub(crate) fn loss(_scale: Scale) -> Survived {
    Survived::new(count("loss of power"), "an acknowledged version is always there")
}

/// Failures at each step.
pub(crate) fn errors(_scale: Scale) -> Survived {
    let found = "told, or done; the old state or the new one, whole";
    Survived::new(count("failure") + count("full disk"), found)
}
