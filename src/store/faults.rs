//! The guarantees of the store, tried with a fault at every single step of every operation.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use super::{
    ModelName, Repository, Retention, Signer, StoreError, folder,
    simulated::{Fault, SimulatedFiles},
};
use crate::model::arbitrary;

/// More steps than any operation has.
const MANY: usize = 200;
/// How many ways to lose power are tried at a step: all lost, all kept, and some by chance.
const LOSSES: usize = 12;

/// What is done to the repository, and the repository it starts from.
struct Case {
    what: &'static str,
    /// How many versions there are; the first of them is active, unless there is none.
    n_versions: u32,
    retention: Retention,
    operation: Operation,
}

/// What is done.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Publish,
    Activate(u64),
    Delete(u64),
    Sign(u64),
}

const CASES: [Case; 7] = [
    Case::new("publish the first version", 0, Operation::Publish),
    Case::new("publish another version", 2, Operation::Publish),
    Case {
        retention: Retention { keep_versions: Some(1), keep_age: None },
        ..Case::new("publish with retention", 4, Operation::Publish)
    },
    Case::new("activate", 3, Operation::Activate(2)),
    Case::new("sign", 3, Operation::Sign(2)),
    Case::new("delete", 3, Operation::Delete(2)),
    Case::new("delete the newest", 3, Operation::Delete(3)),
];

impl Case {
    const fn new(what: &'static str, n_versions: u32, operation: Operation) -> Self {
        let retention = Retention { keep_versions: None, keep_age: None };
        Self { what, n_versions, retention, operation }
    }

    /// Returns the files the case starts from, with everything synced.
    fn start(&self) -> SimulatedFiles {
        let files = SimulatedFiles::default();
        let repository = open(&files).unwrap();
        for seed in 1..=self.n_versions {
            repository.publish(&name(), &arbitrary::model(seed)).unwrap();
        }
        if self.n_versions > 0 {
            repository.activate(&name(), 1).unwrap();
        }
        files.lose_power(|_| 0);
        files
    }

    /// Opens the repository and does the operation, as one process would.
    fn run(&self, files: &SimulatedFiles) -> Result<(), StoreError> {
        let repository = open(files)?.with_retention(self.retention);
        match self.operation {
            Operation::Publish => {
                let model = arbitrary::model(self.n_versions + 1);
                repository.publish(&name(), &model).map(|_| ())
            }
            Operation::Activate(version) => repository.activate(&name(), version).map(|_| ()),
            Operation::Delete(version) => repository.delete(&name(), version),
            Operation::Sign(version) => repository.sign(&name(), version, &signer()),
        }
    }

    /// Runs the case with a fault at each of its steps. See [`at_every_step`].
    fn at_every_step(
        &self,
        fault: fn(usize) -> Fault,
        after: impl FnMut(&SimulatedFiles, bool),
    ) -> usize {
        at_every_step(&self.start(), fault, |files| self.run(files), after)
    }

    /// Checks that the repository is as it was or as the operation makes it, and the latter for
    /// certain if the operation was done.
    fn check(&self, files: &SimulatedFiles, is_done: bool) {
        let what = self.what;
        let repository = open(files).unwrap();
        assert!(leftovers(files).is_empty(), "{what}: {:?}", leftovers(files));
        let found = contents(&repository);
        let (old, new) = (self.before(), self.after());
        assert!(
            found == new || !is_done && found == old || self.is_between(&found),
            "{what}: {found:?}"
        );
        self.check_that_work_goes_on(&repository, &found);
    }

    /// The next version is stored under a number that no version ever had.
    fn check_that_work_goes_on(&self, repository: &Repository, found: &Contents) {
        let next = repository.publish(&name(), &arbitrary::model(99)).unwrap();
        let highest_before =
            found.versions.last().copied().unwrap_or(0).max(self.n_versions.into());
        assert_eq!(next, highest_before + 1, "{}", self.what);
        assert_eq!(repository.load(&name(), next).unwrap(), arbitrary::model(99));
    }

    fn before(&self) -> Contents {
        let versions: Vec<_> = (1..=self.n_versions.into()).collect();
        Contents { active: versions.first().copied(), versions, signed: Vec::new() }
    }

    fn after(&self) -> Contents {
        let mut contents = self.before();
        match self.operation {
            Operation::Publish => contents.versions.push(u64::from(self.n_versions) + 1),
            Operation::Activate(version) => contents.active = Some(version),
            Operation::Delete(version) => contents.versions.retain(|v| *v != version),
            Operation::Sign(version) => contents.signed.push(version),
        }
        if self.retention.keep_versions.is_some() {
            contents.versions = vec![1, u64::from(self.n_versions) + 1];
        }
        contents
    }

    /// Retention may have let go some of the old versions, after the new one was stored.
    fn is_between(&self, found: &Contents) -> bool {
        let (old, new) = (self.before(), self.after());
        self.retention.keep_versions.is_some()
            && found.active == new.active
            && new.versions.iter().all(|v| found.versions.contains(v))
            && found.versions.iter().all(|v| old.versions.contains(v) || new.versions.contains(v))
    }
}

/// Does something with a fault at each of its steps, until a run meets none. After each run hands over the
/// files, and whether the run ended well. Returns how many steps there are.
fn at_every_step(
    start: &SimulatedFiles,
    fault: fn(usize) -> Fault,
    run: impl Fn(&SimulatedFiles) -> Result<(), StoreError>,
    mut after: impl FnMut(&SimulatedFiles, bool),
) -> usize {
    for step in 0..MANY {
        let files = start.copy();
        files.inject(fault(step));
        let done = run(&files);
        let has_failed = files.restart();
        after(&files, done.is_ok());
        if !has_failed {
            done.expect("nothing failed");
            return step;
        }
    }
    panic!("there is no end to it")
}

/// Hands over what survives a loss of power, one way after the other.
fn at_every_loss(files: &SimulatedFiles, mut after: impl FnMut(&SimulatedFiles)) {
    for loss in 0..LOSSES {
        let survivor = files.copy();
        survivor.lose_power(choices(loss));
        after(&survivor);
    }
}

/// What a repository holds, once every version has been read and found to be the one that was
/// published under its number.
#[derive(Debug, PartialEq, Eq)]
struct Contents {
    versions: Vec<u64>,
    active: Option<u64>,
    /// Those with a signature, which fits.
    signed: Vec<u64>,
}

fn contents(repository: &Repository) -> Contents {
    let versions = match repository.versions(&name()) {
        Ok(versions) => versions.into_iter().map(|v| v.version).collect(),
        Err(StoreError::UnknownModel { .. }) => Vec::new(),
        Err(e) => panic!("{e}"),
    };
    for version in &versions {
        let seed = u32::try_from(*version).unwrap();
        assert_eq!(repository.load(&name(), *version).unwrap(), arbitrary::model(seed));
    }
    let active = repository.active(&name()).unwrap();
    assert!(active.is_none_or(|active| versions.contains(&active)), "the pointer points nowhere");
    let mut signed = versions.clone();
    signed.retain(|v| repository.checked_signature(&name(), *v).unwrap().is_some());
    Contents { versions, active, signed }
}

fn signer() -> Signer {
    Signer::from_pem(include_str!("../../tests/keys/secret.pem")).unwrap()
}

/// Says how often a fault was survived, for the table of `tests/faults`.
fn count(fault: &str, n: usize) {
    println!("simulated {fault}: {n}");
}

fn name() -> ModelName {
    "topics".parse().unwrap()
}

fn open(files: &SimulatedFiles) -> Result<Repository, StoreError> {
    Repository::open_with(Arc::new(files.clone()), PathBuf::from("/data/models"))
}

fn leftovers(files: &SimulatedFiles) -> Vec<PathBuf> {
    let is_leftover = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(folder::TEMPORARY))
    };
    files.paths().into_iter().filter(is_leftover).collect()
}

/// Choices for [`SimulatedFiles::lose_power`]: the least that can survive, the most, then by chance.
fn choices(loss: usize) -> impl FnMut(usize) -> usize {
    let mut random = loss as u64;
    move |n| match loss {
        0 => 0,
        1 => n - 1,
        _ => {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(random >> 33).unwrap() % n
        }
    }
}

#[test]
fn a_kill_at_any_step_leaves_the_old_state_or_the_new_one() {
    let mut n = 0;
    for case in &CASES {
        let n_steps = case.at_every_step(Fault::Kill, |files, is_done| case.check(files, is_done));
        assert!(n_steps >= 6, "{}: only {n_steps} steps", case.what);
        n += n_steps;
    }
    count("kill", n);
}

#[test]
fn a_single_failure_at_any_step_leaves_the_old_state_or_the_new_one() {
    let mut n = 0;
    for case in &CASES {
        n += case.at_every_step(Fault::Once, |files, is_done| case.check(files, is_done));
    }
    count("failure", n);
}

#[test]
fn a_full_disk_from_any_step_on_leaves_the_old_state_or_the_new_one() {
    let mut n = 0;
    for case in &CASES {
        n += case.at_every_step(Fault::DiskFull, |files, is_done| {
            // What is deleted must stay until it is certain that nothing names it any more.
            let deletes = matches!(case.operation, Operation::Delete(_));
            if !deletes && case.retention == Retention::default() {
                assert!(leftovers(files).is_empty(), "space is given back at once");
            }
            case.check(files, is_done);
        });
    }
    count("full disk", n);
}

#[test]
fn a_loss_of_power_at_any_step_leaves_the_old_state_or_the_new_one() {
    let mut n = 0;
    for case in &CASES {
        case.at_every_step(Fault::Kill, |files, is_done| {
            at_every_loss(files, |survivor| {
                case.check(survivor, is_done);
                n += 1;
            });
        });
    }
    count("loss of power", n);
}

/// What was in the page cache when the first process died is seen, and relied on, by the second.
#[test]
fn work_acknowledged_after_a_kill_survives_a_loss_of_power() {
    for case in &CASES {
        case.at_every_step(Fault::Kill, |files, _| {
            let repository = open(files).unwrap();
            let version = repository.publish(&name(), &arbitrary::model(50)).unwrap();
            repository.activate(&name(), version).unwrap();
            at_every_loss(files, |survivor| {
                let active = open(survivor).unwrap().load_active(&name()).unwrap();
                assert_eq!(active, (version, arbitrary::model(50)), "{}", case.what);
            });
        });
    }
}

#[test]
fn a_second_kill_while_recovering_from_the_first_does_no_harm() {
    let recover = |files: &SimulatedFiles| open(files).map(|_| ());
    let mut n = 0;
    for case in &CASES {
        case.at_every_step(Fault::Kill, |files, is_done| {
            n += at_every_step(files, Fault::Kill, recover, |again, _| {
                at_every_loss(again, |survivor| case.check(survivor, is_done));
            });
        });
    }
    count("kill while recovering", n);
}

/// A version that is seen, but not yet synced, must not be pointed to before it is.
#[test]
fn a_second_kill_while_activating_what_the_first_one_left_does_no_harm() {
    let activate_newest = |files: &SimulatedFiles| {
        let repository = open(files)?;
        let newest = repository.versions(&name())?.last().map_or(0, |newest| newest.version);
        repository.activate(&name(), newest).map(|_| ())
    };
    let case = Case::new("publish, then activate", 1, Operation::Publish);
    case.at_every_step(Fault::Kill, |files, _| {
        at_every_step(files, Fault::Kill, activate_newest, |again, _| {
            at_every_loss(again, |survivor| {
                contents(&open(survivor).unwrap());
            });
        });
    });
}

#[test]
fn a_failing_disk_never_hides_that_a_change_was_not_made() {
    let files = SimulatedFiles::default();
    open(&files).unwrap().publish(&name(), &arbitrary::model(1)).unwrap();
    files.inject(Fault::DiskFull(0));
    let repository = open(&files).unwrap();
    let published = repository.publish(&name(), &arbitrary::model(2));
    assert!(matches!(published, Err(StoreError::Io { .. })), "{published:?}");
    assert!(repository.activate(&name(), 1).is_err());
    assert!(repository.delete(&name(), 1).is_err());
    assert_eq!(repository.load(&name(), 1).unwrap(), arbitrary::model(1), "the old model serves");
}

/// The suite would pass if the simulation forgot nothing: it must find the classic mistake.
#[test]
fn the_simulation_loses_what_was_not_synced() {
    use super::files::Files;
    let files = SimulatedFiles::default();
    files.create_folder("/a".as_ref()).unwrap();
    files.sync_folder("/".as_ref()).unwrap();
    files.write_synced("/a/.dictum-tmp-x".as_ref(), b"x").unwrap();
    files.rename("/a/.dictum-tmp-x".as_ref(), "/a/x".as_ref()).unwrap();
    let mut survivors = BTreeSet::new();
    at_every_loss(&files, |survivor| {
        survivors.insert(survivor.list("/a".as_ref()).unwrap());
    });
    assert_eq!(survivors.len(), 3, "nothing, the temporary name, the new name: {survivors:?}");
}
