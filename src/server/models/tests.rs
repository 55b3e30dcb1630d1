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
    let built_in = Model::try_new(&parts("built in")).expect("a model");
    models.start(Arc::new(built_in));
    models
}

/// A model that knows one word for each of its labels.
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
    let answer = classify(&held.model, "never", &Options::default());
    assert_eq!(answer.probabilities.len(), 2);
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
    // Others are used since then: it is not among the recent ones any more.
    for number in [2, 3, 4, 5] {
        models.resolve(&target("tiny", number)).await.expect("a version");
    }
    models.follow();
    assert!(weak.upgrade().is_none(), "nobody holds it");
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
