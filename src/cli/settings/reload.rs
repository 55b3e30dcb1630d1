//! Settings that are read again while the server runs.

use std::path::PathBuf;

use tokio::sync::watch;

use super::{Effective, Given};
use crate::cli::error::chain;
use crate::config::ServeConfig;
use crate::telemetry::LevelSwitch;

/// What it takes to read the settings again and to pass them on.
pub(in crate::cli) struct Reload {
    /// What was typed, and the environment.
    pub(in crate::cli) given: Given,
    /// The file.
    pub(in crate::cli) file: Option<PathBuf>,
    /// What is in force.
    pub(in crate::cli) effective: Effective,
    /// Tells the server.
    pub(in crate::cli) server: watch::Sender<ServeConfig>,
    /// Changes what is logged.
    pub(in crate::cli) level: LevelSwitch,
}

impl Reload {
    /// Reads the settings, and says what became of each that has changed. Those that are wrong change
    /// nothing. The server looks at its other files too.
    pub(in crate::cli) fn run(&mut self) {
        let new = match Effective::read(&self.given, self.file.as_deref()) {
            Ok(new) => new,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the settings in force stay in force");
                return;
            }
        };
        tracing::info!("the settings are read again");
        for setting in self.effective.changes(&new) {
            if setting.is_live {
                tracing::info!(setting = setting.key, "the new value is in force");
            } else {
                tracing::warn!(setting = setting.key, "the new value needs a restart");
            }
        }
        if let Err(error) = self.level.set(&new.config.log_level) {
            tracing::warn!(error = chain(&error), "what is logged stays as it is");
        }
        // The server listens as long as it runs.
        self.server.send_replace(new.config.clone());
        self.effective = new;
    }
}
