//! Versions: listed, shown, activated, deleted, kept over a restart, shared between servers.

use dictum::proto::{
    ActivateModelRequest, ClassifyOptions, ClassifyRequest, DeleteModelRequest, GetModelRequest,
    ListModelsRequest,
};
use tokio::time::timeout;
use tonic::Code;

use crate::support::{
    PATIENCE, Server, assert_error, new_folder, spawn_server, spawn_server_with, spec, tiny_csv,
};

const DENIAL: &str = "The minister denied it and called the claim false.";

async fn answering(server: &Server, model: &str) -> u64 {
    server.classify(model, DENIAL).await.model_version.expect("who answered").version
}

fn version(model: &str, version: u64) -> ActivateModelRequest {
    ActivateModelRequest { model: model.to_owned(), version }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_kept_version_can_be_made_active_forward_and_back() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    server.train("tiny", &tiny_csv("Again."), 1_000).await;
    assert_eq!(answering(&server, "tiny").await, 2);
    let mut client = server.models().await;
    for (to, from) in [(1, 2), (2, 1), (2, 2), (1, 2)] {
        let reply = client.activate_model(version("tiny", to)).await.expect("activated");
        let reply = reply.into_inner();
        let model = reply.model.expect("a model");
        assert_eq!((reply.previous_version, model.active), (from, true));
        assert_eq!(answering(&server, "tiny").await, to);
    }
    let status = client.activate_model(version("tiny", 3)).await.expect_err("refused");
    assert_error(&status, Code::NotFound, "VERSION_UNKNOWN");
    assert_eq!(answering(&server, "tiny").await, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_can_name_any_kept_version() {
    let server = spawn_server().await;
    for twist in ["One.", "Two.", "Three.", "Four.", "Five.", "Six.", "Seven."] {
        server.train("tiny", &tiny_csv(twist), 1_000).await;
    }
    let mut client = server.classifier().await;
    // More versions than are kept in memory, twice.
    for version in (1..=7).chain(1..=7) {
        let options = ClassifyOptions { model: "tiny".to_owned(), version, ..Default::default() };
        let request = ClassifyRequest { sentence: DENIAL.to_owned(), options: Some(options) };
        let answer = client.classify(request).await.expect("an answer").into_inner();
        assert_eq!(answer.model_version.expect("who answered").version, version);
    }
    assert_eq!(answering(&server, "tiny").await, 7);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_can_be_deleted_unless_it_is_active() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    server.train("tiny", &tiny_csv("Again."), 1_000).await;
    let mut client = server.models().await;
    let delete = |version| DeleteModelRequest { model: "tiny".to_owned(), version };
    let status = client.delete_model(delete(2)).await.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "VERSION_IS_ACTIVE");
    client.delete_model(delete(1)).await.expect("deleted");
    assert_eq!(server.versions("tiny").await, [(2, true)]);
    let request = GetModelRequest { model: "tiny".to_owned(), version: 1 };
    let status = client.get_model(request).await.expect_err("gone");
    assert_error(&status, Code::NotFound, "VERSION_UNKNOWN");
    let status = client.delete_model(delete(1)).await.expect_err("gone");
    assert_error(&status, Code::NotFound, "VERSION_UNKNOWN");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_shown_in_full() {
    let server = spawn_server().await;
    let trained = server.train("tiny", &tiny_csv(""), 1_000).await;
    let mut client = server.models().await;
    let request = GetModelRequest { model: "tiny".to_owned(), version: 0 };
    let shown = client.get_model(request).await.expect("a model").into_inner().model;
    let shown = shown.expect("a model");
    assert_eq!(shown, trained);
    assert!(shown.size_bytes > 0 && shown.feature_count > 0 && shown.create_time.is_some());
    let built_in = client.get_model(GetModelRequest::default()).await.expect("a model");
    let built_in = built_in.into_inner().model.expect("a model");
    assert_eq!(built_in.model_version.expect("a version").version, 0);
    assert!(built_in.active && built_in.evaluation.expect("an evaluation").accuracy > 0.5);
    assert_eq!((built_in.size_bytes, built_in.labels.len()), (0, 5));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_version_once_by_name_newest_first() {
    let server = spawn_server().await;
    for name in ["alpha", "zulu"] {
        for twist in ["One.", "Two.", "Three."] {
            server.train(name, &tiny_csv(twist), 1_000).await;
        }
    }
    let wanted: Vec<_> = [
        ("alpha", 3),
        ("alpha", 2),
        ("alpha", 1),
        ("news-statements", 0),
        ("zulu", 3),
        ("zulu", 2),
        ("zulu", 1),
    ]
    .map(|(name, version)| (name.to_owned(), version))
    .into();
    for page_size in [0, 1, 2, 3, 7, 1_000] {
        assert_eq!(listed(&server, page_size, "").await, wanted, "{page_size}");
    }
    assert_eq!(listed(&server, 2, "zulu").await, wanted[4..]);
    assert_eq!(listed(&server, 2, "nobody").await, []);
    server.stop().await;
}

/// All pages of a list.
async fn listed(server: &Server, page_size: u32, model: &str) -> Vec<(String, u64)> {
    let mut client = server.models().await;
    let mut request =
        ListModelsRequest { page_size, page_token: String::new(), model: model.to_owned() };
    let mut listed = Vec::new();
    loop {
        let page = client.list_models(request.clone()).await.expect("a page").into_inner();
        assert!(page_size == 0 || page.models.len() <= page_size as usize);
        for model in page.models {
            assert_eq!(model.evaluation, None);
            assert!(!model.labels.is_empty());
            let version = model.model_version.expect("a version");
            listed.push((version.name, version.version));
        }
        if page.next_page_token.is_empty() {
            return listed;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_models_versions_and_answers() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    server.train("tiny", &tiny_csv("Again."), 1_000).await;
    server.models().await.activate_model(version("tiny", 1)).await.expect("activated");
    let before = server.classify("tiny", DENIAL).await;
    let folder = server.stop().await;
    let server = spawn_server_with(folder, |config| {
        config.default_model = Some("tiny".parse().expect("a name"));
    })
    .await;
    assert_eq!(server.classify("tiny", DENIAL).await, before);
    assert_eq!(server.classify("", DENIAL).await, before);
    assert_eq!(server.versions("tiny").await, [(2, false), (1, true)]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_model_is_reported_and_does_not_stop_the_others() {
    let server = spawn_server().await;
    server.train("broken", &tiny_csv(""), 1_000).await;
    server.train("whole", &tiny_csv(""), 1_000).await;
    let folder = server.stop().await;
    let version_folder = folder.path().join("broken").join("1");
    for entry in std::fs::read_dir(&version_folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).expect("written");
    }
    let server = spawn_server_with(folder, |_| {}).await;
    assert_eq!(answering(&server, "whole").await, 1);
    assert_eq!(answering(&server, "").await, 0);
    let options = Some(ClassifyOptions { model: "broken".to_owned(), ..Default::default() });
    let request = ClassifyRequest { sentence: DENIAL.to_owned(), options };
    let status = server.classifier().await.classify(request).await.expect_err("broken");
    assert_error(&status, Code::DataLoss, "MODEL_DAMAGED");
    server.train("broken", &tiny_csv(""), 1_000).await;
    assert_eq!(answering(&server, "broken").await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_version_never_becomes_active() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    server.train("tiny", &tiny_csv("Again."), 1_000).await;
    let folder = server.stop().await;
    for entry in std::fs::read_dir(folder.path().join("tiny").join("1")).expect("a folder") {
        std::fs::write(entry.expect("an entry").path(), "nothing").expect("written");
    }
    let server = spawn_server_with(folder, |_| {}).await;
    let status =
        server.models().await.activate_model(version("tiny", 1)).await.expect_err("broken");
    assert_error(&status, Code::DataLoss, "MODEL_DAMAGED");
    assert_eq!(server.versions("tiny").await, [(2, true), (1, false)]);
    assert_eq!(answering(&server, "tiny").await, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_folder_follow_each_other() {
    let folder = new_folder();
    let often = |config: &mut dictum::config::ServeConfig| {
        config.follow_interval = std::time::Duration::from_millis(20);
    };
    let trainer = spawn_server_with(folder.clone(), often).await;
    let follower = spawn_server_with(folder, often).await;
    trainer.train("tiny", &tiny_csv(""), 1_000).await;
    assert_eq!(answering(&follower, "tiny").await, 1);
    trainer.train("tiny", &tiny_csv("Again."), 1_000).await;
    for wanted in [2, 1] {
        trainer.models().await.activate_model(version("tiny", wanted)).await.expect("activated");
        let follows = async { while answering(&follower, "tiny").await != wanted {} };
        timeout(PATIENCE, follows).await.expect("the other server follows");
    }
    trainer.stop().await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swaps_drop_no_request_and_mix_no_answer() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv("One."), 1_000).await;
    server.train("tiny", &tiny_csv("Two."), 1_000).await;
    let mut expected = Vec::new();
    for to in [1, 2] {
        server.models().await.activate_model(version("tiny", to)).await.expect("activated");
        expected.push(server.classify("tiny", DENIAL).await);
    }
    let mut classifier = server.classifier().await;
    let asking = tokio::spawn(async move {
        let mut n_answers = [0, 0];
        while n_answers[0] < 50 || n_answers[1] < 50 {
            let options = ClassifyOptions { model: "tiny".to_owned(), ..Default::default() };
            let request = ClassifyRequest { sentence: DENIAL.to_owned(), options: Some(options) };
            let answer = classifier.classify(request).await.expect("an answer").into_inner();
            let version = answer.model_version.as_ref().expect("who answered").version as usize;
            assert_eq!(answer, expected[version - 1]);
            n_answers[version - 1] += 1;
        }
    });
    let mut client = server.models().await;
    let mut to = 1;
    while !asking.is_finished() {
        client.activate_model(version("tiny", to)).await.expect("activated");
        to = 3 - to;
    }
    asking.await.expect("no request failed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_an_active_version_says_so() {
    let server = spawn_server().await;
    let spec = dictum::proto::TrainingSpec { activate: Some(false), ..spec("tiny") };
    server.try_train(spec, &tiny_csv(""), 1_000).await.expect("a model");
    let options = Some(ClassifyOptions { model: "tiny".to_owned(), ..Default::default() });
    let request = ClassifyRequest { sentence: DENIAL.to_owned(), options };
    let status = server.classifier().await.classify(request).await.expect_err("none active");
    assert_error(&status, Code::FailedPrecondition, "NO_ACTIVE_VERSION");
    server.stop().await;
}
