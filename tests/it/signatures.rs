//! Signed models: a server that was given public keys answers with nothing else.

use std::fs;
use std::path::Path;

use dictum::config::ServeConfig;
use dictum::proto::{ActivateModelRequest, ClassifyOptions, ClassifyRequest, TrainingSpec};
use dictum::store::{ModelName, Repository, Signatures, Signer, TrustedKeys};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::support::{
    PATIENCE, Server, assert_error, model_of, new_folder, spawn_server, spawn_server_with, spec,
    tiny_csv,
};

const SENTENCE: &str = "The minister denied it and called the claim false.";
const KEY: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

fn signer() -> Signer {
    Signer::from_pem(include_str!("../keys/secret.pem")).expect("a key")
}

fn trusting(signer: Option<Signer>) -> impl FnOnce(&mut ServeConfig) {
    let keys = TrustedKeys::from_pem(include_str!("../keys/public.pem")).expect("a key");
    |config| config.signatures = Signatures::try_new(Some(keys), signer).expect("one key")
}

fn name() -> ModelName {
    "tiny".parse().expect("a name")
}

/// Signs a version as somebody does who has the folder and the key.
fn sign(folder: &Path, version: u64) {
    let repository = Repository::open(folder).expect("a folder of models");
    repository.sign(&name(), version, &signer()).expect("signed");
}

async fn classify(server: &Server, version: u64) -> Result<u64, Status> {
    let options = ClassifyOptions { model: "tiny".to_owned(), version, ..Default::default() };
    let request = ClassifyRequest { sentence: SENTENCE.to_owned(), options: Some(options) };
    let answer = server.classifier().await.classify(request).await?.into_inner();
    Ok(answer.model_version.expect("who answered").version)
}

async fn activate(server: &Server, version: u64) -> Result<(), Status> {
    let request = ActivateModelRequest { model: "tiny".to_owned(), version };
    server.models().await.activate_model(request).await.map(drop)
}

#[track_caller]
fn assert_untrusted(result: Result<impl std::fmt::Debug, Status>, why: &str) {
    let status = result.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "MODEL_UNTRUSTED");
    assert!(status.message().contains(why), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unsigned_models_do_not_answer_until_they_are_signed() {
    let server = spawn_server().await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    let folder = server.stop().await;
    let server = spawn_server_with(folder.clone(), trusting(None)).await;
    // At start, by its number, and when it is activated.
    assert_untrusted(classify(&server, 0).await, "not signed");
    assert_untrusted(classify(&server, 1).await, "not signed");
    assert_untrusted(activate(&server, 1).await, "not signed");
    sign(folder.path(), 1);
    activate(&server, 1).await.expect("it is signed now");
    assert_eq!(classify(&server, 0).await.expect("an answer"), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn training_without_a_signing_key_stores_and_does_not_activate() {
    let server = spawn_server_with(new_folder(), trusting(None)).await;
    let refused = server.try_train(spec("tiny"), &tiny_csv(""), 1_000).await;
    let status = refused.expect_err("refused");
    assert_error(&status, Code::FailedPrecondition, "SIGNING_KEY_MISSING");
    assert_eq!(server.versions("tiny").await, []);

    let store_only = TrainingSpec { activate: Some(false), ..spec("tiny") };
    let trained = server.try_train(store_only, &tiny_csv(""), 1_000).await.expect("stored");
    assert_eq!(model_of(&trained).signature, None);
    assert_untrusted(classify(&server, 1).await, "not signed");
    let folder = server.stop().await;
    sign(folder.path(), 1);
    let server = spawn_server_with(folder, trusting(None)).await;
    assert_eq!(classify(&server, 1).await.expect("an answer"), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_signing_key_signs_what_it_trains() {
    let server = spawn_server_with(new_folder(), trusting(Some(signer()))).await;
    let trained = server.train("tiny", &tiny_csv(""), 1_000).await;
    assert_eq!(trained.signature.expect("it is signed").public_key, KEY);
    let server = spawn_server_with(server.stop().await, trusting(None)).await;
    assert_eq!(classify(&server, 0).await.expect("an answer"), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_version_that_becomes_active_elsewhere_leaves_the_old_one_answering() {
    let folder = new_folder();
    let change = |config: &mut ServeConfig| {
        trusting(Some(signer()))(config);
        config.follow_interval = std::time::Duration::from_millis(50);
    };
    let server = spawn_server_with(folder.clone(), change).await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    let careless = spawn_server_with(folder.clone(), |_| {}).await;
    careless.train("tiny", &tiny_csv("Again."), 1_000).await;
    assert_eq!(classify(&careless, 0).await.expect("an answer"), 2);
    // It has seen the pointer move when it says so of the version.
    assert_untrusted(classify(&server, 2).await, "not signed");
    assert_eq!(classify(&server, 0).await.expect("an answer"), 1);
    // Signed and activated, it is followed.
    sign(folder.path(), 2);
    activate(&server, 2).await.expect("it is signed now");
    let follows = async { while classify(&server, 0).await.expect("an answer") != 2 {} };
    timeout(PATIENCE, follows).await.expect("it follows in time");
    careless.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_does_not_serve_another_file_number_or_name() {
    let server = spawn_server_with(new_folder(), trusting(Some(signer()))).await;
    server.train("tiny", &tiny_csv(""), 1_000).await;
    server.train("tiny", &tiny_csv("Again."), 1_000).await;
    let folder = server.stop().await;
    let at = |path: &str| folder.path().join(path);
    // Version 3 is the signed version 1; version 2 has the file of version 1 under its own signature.
    fs::create_dir(at("tiny/3")).expect("a folder");
    for file in ["model.safetensors", "signature"] {
        fs::copy(at("tiny/1").join(file), at("tiny/3").join(file)).expect("a copy");
    }
    fs::copy(at("tiny/1/model.safetensors"), at("tiny/2/model.safetensors")).expect("a copy");
    let server = spawn_server_with(folder.clone(), trusting(None)).await;
    for version in [0, 2, 3] {
        assert_untrusted(classify(&server, version).await, "is not what the key");
    }
    assert_eq!(classify(&server, 1).await.expect("an answer"), 1);
    server.stop().await;
}
