//! A progress bar on stderr where that is a terminal, and nothing where it is not.

use std::ops::ControlFlow;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::text::whole;
use crate::proto::{TrainingProgress, TrainingStage};
use crate::train::{Observer, Stage, examples};

/// Steps of the bar.
const STEPS: f64 = 1_000.0;
/// Share of the bar for reading the data, ahead of what is done with them.
const READING: f64 = 0.1;
/// How often the bar is drawn while nothing is heard.
const TICK: Duration = Duration::from_millis(100);

/// Shows how far long work is; gone without a trace when it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    n_bytes: Option<u64>,
}

impl Progress {
    /// Begins to show work on an input of this length.
    pub(super) fn new(n_bytes: Option<u64>) -> Self {
        // Not drawn where stderr is no terminal.
        let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg:28} {bar:30.green} {percent:>3} %");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
        bar.enable_steady_tick(TICK);
        Self { bar, n_bytes }
    }

    /// Hears how far the reading is. Never ends it.
    pub(super) fn read(&self, progress: examples::Progress) -> ControlFlow<()> {
        let fraction = self.n_bytes.map_or(0.0, |all| share(progress.byte_count, all));
        self.show(format!("reading, {} rows", whole(progress.row_count)), READING * fraction);
        ControlFlow::Continue(())
    }

    /// Shows what a server says of its training.
    pub(super) fn hear(&self, progress: &TrainingProgress) {
        let doing = match progress.stage() {
            TrainingStage::Unspecified => "waiting".to_owned(),
            TrainingStage::Reading => format!("reading, {} rows", whole(progress.row_count)),
            TrainingStage::Counting => doing(Stage::Counting).to_owned(),
            TrainingStage::Selecting => doing(Stage::Selecting).to_owned(),
            TrainingStage::Pooling => doing(Stage::Pooling).to_owned(),
            TrainingStage::Storing => doing(Stage::Storing).to_owned(),
        };
        self.show(doing, progress.fraction);
    }

    /// Shows work of unknown length.
    pub(super) fn say(&self, doing: &'static str) {
        self.bar.set_message(doing);
    }

    /// What hears of the trainings for a learning curve.
    pub(super) fn of_curve(&self) -> impl Observer {
        Curve(self)
    }

    fn show(&self, doing: String, fraction: f64) {
        self.bar.set_message(doing);
        self.bar.set_position(steps(fraction));
    }
}

impl Observer for Progress {
    fn progress(&self, stage: Stage, fraction: f64) {
        self.show(doing(stage).to_owned(), READING + (1.0 - READING) * fraction);
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Shows several trainings as one piece of work.
struct Curve<'a>(&'a Progress);

impl Observer for Curve<'_> {
    fn progress(&self, _stage: Stage, fraction: f64) {
        self.0.show("learning curve".to_owned(), fraction);
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn doing(stage: Stage) -> &'static str {
    match stage {
        Stage::Reading => "reading",
        Stage::Counting => "counting features",
        Stage::Selecting => "choosing smoothing",
        Stage::Pooling => "weighing views, judging",
        Stage::Storing => "storing",
    }
}

/// Returns how many steps of the bar a share is.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the length of the bar; NaN becomes 0"
)]
fn steps(fraction: f64) -> u64 {
    (fraction.clamp(0.0, 1.0) * STEPS) as u64
}

/// Returns a part as a share, to three digits.
fn share(part: u64, all: u64) -> f64 {
    let permille = u128::from(part) * 1_000 / u128::from(all.max(1));
    f64::from(u16::try_from(permille.min(1_000)).unwrap_or(1_000)) / 1_000.0
}
