use std::path::Path;

use super::*;
use crate::model::Options;
use crate::server::workers::classify;
use crate::train::examples::DatasetBuilder;
use crate::train::{Settings, Unobserved, train};

fn models(folder: &Path) -> Arc<Models> {
    Arc::new(Models::open(&ServeConfig::new(folder.to_owned())).expect("an empty folder"))
}

fn started(folder: &Path) -> Arc<Models> {
    let models = models(folder);
    let built_in = model("built in");
    models.start(Arc::new(built_in));
    models
}

/// A model that knows one word for each of its labels.
fn model(twist: &str) -> Model {
    Model::try_new(&parts(twist)).expect("a model")
}

fn parts(twist: &str) -> Parts {
    let mut examples = DatasetBuilder::default();
    for (line, n) in (1..).zip(0..4) {
        examples.push(2 * line, &format!("never {n} {twist}"), "denial").expect("room");
        examples.push(2 * line + 1, &format!("thief {n} {twist}"), "accusation").expect("room");
    }
    train(&examples.finish(), &Settings::default(), &Unobserved).expect("parts").parts
}

fn target(name: &str, version: u64) -> Target {
    Target { name: Some(name.parse().expect("a name")), version }
}

fn version(name: &str, version: u64) -> Version {
    Version { name: name.parse().expect("a name"), version }
}

#[tokio::test]
async fn nothing_answers_before_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = models(folder.path());
    let refused = models.resolve(&Target::default()).await;
    assert!(matches!(refused, Err(CallError::Starting)), "{refused:?}");
}

#[tokio::test]
async fn a_request_keeps_its_version_while_others_get_the_new_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    let name = "tiny".parse().expect("a name");
    models.publish(&name, &parts("one"), true).expect("published");
    let held = models.resolve(&target("tiny", 0)).await.expect("version 1");
    models.publish(&name, &parts("two"), true).expect("published");
    let new = models.resolve(&target("tiny", 0)).await.expect("version 2");
    assert_eq!((held.version, new.version), (1, 2));
    let n =
        classify(&held.model, "never", &Options::default(), |answer| answer.probabilities.len());
    assert_eq!(n, 2);
}

#[tokio::test]
async fn a_model_that_was_swapped_out_is_freed_once_nobody_holds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    let name = "tiny".parse().expect("a name");
    models.publish(&name, &parts("0"), true).expect("published");
    let held = models.resolve(&target("tiny", 0)).await.expect("version 1");
    let weak = Arc::downgrade(&held);
    for twist in ["1", "2", "3", "4", "5"] {
        models.publish(&name, &parts(twist), true).expect("published");
        // Back and forth, so that a version is swapped out more than once.
        let current = models.active_version("tiny").expect("a version");
        models.activate(&version("tiny", 1)).expect("activated");
        models.activate(&version("tiny", current)).expect("activated");
    }
    models.follow();
    assert!(weak.upgrade().is_some(), "a request holds it");
    drop(held);
    // Forgotten by the cache, as if others had been used since then.
    models.memory.forget(&version("tiny", 1));
    models.activate(&version("tiny", 2)).expect("activated");
    models.follow();
    assert!(weak.upgrade().is_none(), "nobody holds it");
}

#[tokio::test]
async fn versions_named_by_requests_stay_in_memory_up_to_a_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    let name: ModelName = "tiny".parse().expect("a name");
    let model = model("one");
    for _ in 0..20 {
        models.repository().publish(&name, &model).expect("published");
    }
    for number in 1..=20 {
        assert_eq!(models.resolve(&target("tiny", number)).await.expect("it").version, number);
    }
    assert_eq!(models.memory.versions().len(), 8);
    let before = models.resolve(&target("tiny", 20)).await.expect("version 20");
    let again = models.resolve(&target("tiny", 20)).await.expect("version 20");
    assert!(Arc::ptr_eq(&before, &again), "not read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_read_once_for_all_who_wait_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    let name: ModelName = "tiny".parse().expect("a name");
    models.repository().publish(&name, &model("one")).expect("published");
    let asking: Vec<_> = (0..200)
        .map(|_| {
            let models = Arc::clone(&models);
            tokio::spawn(async move { models.resolve(&target("tiny", 1)).await })
        })
        .collect();
    let mut served = Vec::new();
    for asked in asking {
        served.push(asked.await.expect("no panic").expect("version 1"));
    }
    assert!(served.iter().all(|one| Arc::ptr_eq(one, &served[0])), "one load for all");
}

#[tokio::test]
async fn a_version_that_another_process_deleted_is_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    let name: ModelName = "tiny".parse().expect("a name");
    for twist in ["one", "two"] {
        models.repository().publish(&name, &model(twist)).expect("published");
    }
    models.resolve(&target("tiny", 1)).await.expect("version 1");
    Repository::open(folder.path()).expect("opened").delete(&name, 1).expect("deleted");
    models.follow();
    let gone = models.resolve(&target("tiny", 1)).await;
    assert!(matches!(gone, Err(CallError::Store(StoreError::UnknownVersion { .. }))), "{gone:?}");
}

#[tokio::test]
async fn all_models_load_at_the_start_and_a_broken_one_stops_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = Repository::open(folder.path()).expect("opened");
    let model = model("one");
    for name in ["a", "b", "broken", "c", "d"] {
        let name = name.parse().expect("a name");
        repository.publish(&name, &model).expect("published");
        repository.activate(&name, 1).expect("activated");
    }
    std::fs::write(folder.path().join("broken/1/model.safetensors"), "nothing").expect("written");
    let models = started(folder.path());
    let answering: Vec<_> =
        models.answering().iter().map(|s| (s.name.clone(), s.version)).collect();
    let wanted = [("a", 1), ("b", 1), ("c", 1), ("d", 1), (builtin::NAME, 0)];
    assert_eq!(answering, wanted.map(|(name, version)| (name.to_owned(), version)));
    let broken = models.resolve(&target("broken", 0)).await;
    assert!(matches!(broken, Err(CallError::Damaged { .. })), "{broken:?}");
    let Verdict::Bad(problem) = models.verify(&version("broken", 1)).expect("read") else {
        panic!("it is damaged");
    };
    assert!(problem.starts_with("not a model file"), "{problem}");
}

#[tokio::test]
async fn what_was_loaded_too_late_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    let name: ModelName = "tiny".parse().expect("a name");
    models.publish(&name, &parts("one"), true).expect("published");
    let late = models.resolve(&target("tiny", 1)).await.expect("version 1");
    models.publish(&name, &parts("two"), true).expect("published");
    models.catch_up(&[late]);
    assert_eq!(models.active_version("tiny"), Some(2));
}

#[tokio::test]
async fn a_folder_that_has_gone_leaves_its_models_answering() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    models.publish(&"tiny".parse().expect("a name"), &parts("one"), true).expect("published");
    folder.close().expect("removed");
    models.follow();
    assert_eq!(models.resolve(&target("tiny", 0)).await.expect("version 1").version, 1);
}

#[tokio::test]
async fn a_version_that_answers_is_not_swapped_for_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = started(folder.path());
    let name: ModelName = "tiny".parse().expect("a name");
    let published = models.publish(&name, &parts("one"), true).expect("published");
    let swaps = models.swaps();
    let again = ServedModel::new("tiny".to_owned(), 1, Arc::clone(&published.model));
    models.catch_up(&[Arc::new(again)]);
    let serving = models.resolve(&target("tiny", 0)).await.expect("version 1");
    assert!(Arc::ptr_eq(&serving, &published), "what was counted of its answers is lost");
    assert_eq!(models.swaps(), swaps);
}
