//! Kill -9 at random moments.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::folder::{Folder, MODEL, State};
use crate::program::{self, PATIENCE, Server};
use crate::{Scale, Survived};

/// Versions that a training keeps besides those that answer or did.
const KEPT: &str = "3";

/// Counts what was found after a kill.
#[derive(Debug, Default)]
struct Tally {
    n: usize,
    n_killed: usize,
    n_new: usize,
    n_leftovers: usize,
}

impl Tally {
    fn count(&mut self, is_killed: bool, n_leftovers: usize, is_new: bool) {
        self.n += 1;
        self.n_killed += usize::from(is_killed);
        self.n_leftovers += usize::from(n_leftovers > 0);
        self.n_new += usize::from(is_new);
    }

    /// Whether to go on: as often as is wanted, and until one has died in time.
    fn goes_on(&self, wanted: usize) -> bool {
        self.n < wanted || (self.n_killed == 0 && self.n < 10 * wanted)
    }

    fn survived(&self) -> Survived {
        let Self { n, n_killed, n_new, n_leftovers } = self;
        let n_old = n - n_new;
        assert!(*n_killed > 0, "nothing was killed in time");
        let found = format!(
            "{n_killed} died in time; old whole {n_old}, new whole {n_new}; {n_leftovers} left something, \
             0 after start"
        );
        Survived::new(*n, found)
    }
}

/// Starts the program, and kills it after a time. Returns whether it was done before.
fn killed(models: &Path, args: &[&str], after: Duration) -> bool {
    let child = program::command(models, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the program runs");
    program::pause(after);
    end(&mut child)
}

fn end(child: &mut Child) -> bool {
    child.kill().ok();
    child.wait().expect("it ends").success()
}

/// Moments within runs of about this length, which becomes shorter where runs turn out to be.
struct Moments(Duration);

impl Moments {
    fn next(&self, folder: &mut Folder) -> Duration {
        self.0.mul_f64(folder.random.below(1_100) as f64 / 1_000.0)
    }

    fn learn(&mut self, is_done: bool) {
        if is_done {
            self.0 = self.0.mul_f64(0.8);
        }
    }
}

fn duration(models: &Path, args: &[&str]) -> Duration {
    let started = Instant::now();
    program::done(models, args);
    started.elapsed()
}

/// Trainings with retention: every other one is killed a moment after it began to write.
pub(crate) fn train(scale: Scale) -> Survived {
    let mut folder = Folder::new();
    let (csv, models) = (folder.csv(), folder.models());
    let args = ["train", &csv, "--model", MODEL, "--keep-versions", KEPT];
    let length = duration(&models, &args);
    let mut moments = Moments(length);
    let mut tally = Tally::default();
    while tally.goes_on(scale.pick(8, 200)) {
        let before = folder.after_start();
        let is_done = if tally.n % 2 == 0 {
            let after = moments.next(&mut folder);
            let is_done = killed(&models, &args, after);
            moments.learn(is_done);
            is_done
        } else {
            killed_while_writing(&mut folder, &args, length)
        };
        let (n_leftovers, found) = (folder.leftovers().len(), folder.state());
        let is_new = check_training(&mut folder, &before, is_done);
        tally.count(!is_done, n_leftovers, is_new && found != before);
    }
    tally.survived()
}

fn killed_while_writing(folder: &mut Folder, args: &[&str], length: Duration) -> bool {
    let child = program::command(&folder.models(), args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.expect("the program runs");
    let started = Instant::now();
    while folder.leftovers().is_empty() && started.elapsed() < length * 2 {
        if child.try_wait().expect("a state").is_some() {
            break;
        }
    }
    program::pause(Duration::from_micros(folder.random.below(3_000)));
    end(&mut child)
}

/// A training adds one version, which is active or not yet; then it lets old ones go. Returns whether the
/// version is there.
fn check_training(folder: &mut Folder, before: &State, is_done: bool) -> bool {
    let next = folder.highest() + 1;
    let found = folder.after_start();
    let added: Vec<_> = found.versions.difference(&before.versions).copied().collect();
    assert!(added.is_empty() || added == [next], "{before:?} {found:?}");
    let is_new = added == [next];
    assert!(is_new || !is_done, "an acknowledged version is lost: {before:?} {found:?}");
    let is_active = found.active == Some(next);
    assert!(is_active || found.active == before.active, "{before:?} {found:?}");
    assert!(is_active || !is_done, "an acknowledged activation is lost: {before:?} {found:?}");
    is_new
}

/// Activations forth and back.
pub(crate) fn activate(scale: Scale) -> Survived {
    let mut folder = Folder::new();
    let mut tally = Tally::default();
    let mut moments = Moments(duration(&folder.models(), &["models", "activate", "mine@1"]));
    while tally.goes_on(scale.pick(6, 120)) {
        let before = folder.after_start();
        let to = if before.active == Some(1) { 2 } else { 1 };
        let made = State { active: Some(to), ..before.clone() };
        let after = moments.next(&mut folder);
        let is_done =
            killed(&folder.models(), &["models", "activate", &format!("{MODEL}@{to}")], after);
        moments.learn(is_done);
        let n_leftovers = folder.leftovers().len();
        let is_new = folder.check(&before, &made, is_done);
        tally.count(!is_done, n_leftovers, is_new);
    }
    tally.survived()
}

/// Deletions of the newest version, which is published again.
pub(crate) fn delete(scale: Scale) -> Survived {
    let mut folder = Folder::new();
    let mut tally = Tally::default();
    let mut moments = Moments(duration(&folder.models(), &["models", "list"]));
    while tally.goes_on(scale.pick(6, 120)) {
        let published =
            folder.repository().publish(&crate::folder::name(), &crate::folder::model());
        let version = published.expect("published");
        let before = folder.after_start();
        let mut made = before.clone();
        made.versions.remove(&version);
        let after = moments.next(&mut folder);
        let is_done =
            killed(&folder.models(), &["models", "delete", &format!("{MODEL}@{version}")], after);
        moments.learn(is_done);
        let n_leftovers = folder.leftovers().len();
        let is_new = folder.check(&before, &made, is_done);
        tally.count(!is_done, n_leftovers, is_new);
    }
    tally.survived()
}

/// Starts that find much to sweep.
pub(crate) fn sweep(scale: Scale) -> Survived {
    let mut folder = Folder::new();
    let mut tally = Tally::default();
    let mut moments = Moments(duration(&folder.models(), &["models", "list"]));
    while tally.goes_on(scale.pick(4, 40)) {
        let before = folder.after_start();
        for n in 0..40 {
            let leftover = folder.models().join(MODEL).join(format!(".dictum-tmp-{n}"));
            std::fs::create_dir(&leftover).expect("a folder");
            std::fs::write(leftover.join("model.safetensors"), "half").expect("a file");
        }
        let after = moments.next(&mut folder);
        let is_done = killed(&folder.models(), &["models", "list"], after);
        moments.learn(is_done);
        let n_leftovers = folder.leftovers().len();
        folder.check(&before, &before, true);
        tally.count(!is_done, n_leftovers, false);
    }
    tally.survived()
}

/// A server that is killed while a client lets it train.
pub(crate) fn server(scale: Scale) -> Survived {
    let mut folder = Folder::new();
    let mut tally = Tally::default();
    let (csv, models) = (folder.csv(), folder.models());
    let mut moments = None;
    while tally.goes_on(scale.pick(2, 20)) {
        let before = folder.after_start();
        let mut server = Server::start(&models);
        let url = server.url();
        let args = ["train", &csv, "--model", MODEL, "--server", &url];
        let Some(moments) = &mut moments else {
            moments = Some(Moments(duration(&models, &args)));
            continue;
        };
        let client =
            program::command(&models, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut client = client.expect("the program runs");
        program::pause(moments.next(&mut folder));
        server.kill();
        let is_done = ended(&mut client);
        moments.learn(is_done);
        let n_leftovers = folder.leftovers().len();
        let is_new = check_training(&mut folder, &before, is_done);
        tally.count(!is_done, n_leftovers, is_new);
    }
    tally.survived()
}

fn ended(client: &mut Child) -> bool {
    let started = Instant::now();
    loop {
        if let Some(status) = client.try_wait().expect("a state") {
            return status.success();
        }
        assert!(started.elapsed() < PATIENCE, "the client does not end");
        program::pause(Duration::from_millis(2));
    }
}
