//! `dictum models sign`, and what the other subcommands say of a signature.

use std::fs;

use super::command::Home;

const SECRET: &str = include_str!("../../keys/secret.pem");
const PUBLIC: &str = include_str!("../../keys/public.pem");
const KEY: &str = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

#[test]
fn a_version_is_signed_shown_as_signed_and_verified() {
    let home = Home::with_model();
    let (secret, public) = (home.file("secret.pem", SECRET), home.file("public.pem", PUBLIC));
    let before = fs::read(home.models().join("mine/1/model.safetensors")).expect("a model file");
    let listed = home.run(&["models", "list", "mine"]).done();
    assert!(!listed.contains("signed by"), "{listed}");
    let refused = home.run(&["models", "verify", "--trusted-keys", &public]);
    assert_eq!(refused.exit_code, Some(1));
    assert!(refused.stdout.contains("mine@1  broken: ") && refused.stdout.contains("not signed"));

    let text = home.run(&["models", "sign", "mine", "--key", &secret]).done();
    assert_eq!(text, format!("mine@1 is signed by {KEY}\n"));
    let json = home.run(&["models", "sign", "mine@1", "--key", &secret, "--json"]).json();
    assert_eq!((&json["model_version"]["version"], &json["signed_by"]), (&1.into(), &KEY.into()));
    let after = fs::read(home.models().join("mine/1/model.safetensors")).expect("a model file");
    assert_eq!(before, after, "the model's file is as it was");

    let listed = home.run(&["models", "list"]).done();
    assert!(listed.contains("signed by") && listed.contains(&KEY[..10]), "{listed}");
    assert!(home.run(&["models", "show", "mine"]).done().contains(KEY));
    let good = format!("mine@1  good, signed by {KEY}\n");
    assert_eq!(home.run(&["models", "verify"]).done(), good);
    assert_eq!(home.run(&["models", "verify", "--trusted-keys", &public]).done(), good);
    let json = home.run(&["models", "verify", "--json"]).json();
    assert_eq!((&json["signed_by"], json["error"].is_null()), (&KEY.into(), true));
}

#[test]
fn a_signature_that_does_not_fit_is_found_without_trusted_keys_too() {
    let home = Home::with_model();
    let secret = home.file("secret.pem", SECRET);
    home.run(&["models", "sign", "mine@1", "--key", &secret]).done();
    let path = home.models().join("mine/1/signature");
    let mut line = fs::read(&path).expect("a signature");
    line[150] = if line[150] == b'0' { b'1' } else { b'0' };
    fs::write(&path, line).expect("written");
    let ran = home.run(&["models", "verify"]);
    assert_eq!(ran.exit_code, Some(1));
    assert!(ran.stdout.contains(&format!("is not what the key {KEY} signed")), "{ran:?}");
    fs::write(&path, "nonsense").expect("written");
    let ran = home.run(&["models", "verify"]);
    assert!(ran.stdout.contains("not written as signatures are"), "{ran:?}");
}

#[test]
fn what_is_no_key_is_refused_with_its_file_and_nothing_of_it() {
    let home = Home::with_model();
    let public = home.file("public.pem", PUBLIC);
    let complaint = home.run(&["models", "sign", "mine@1", "--key", &public]).complaint(2);
    assert!(complaint.contains("public.pem: not an Ed25519 secret key"), "{complaint}");
    let secret = home.file("secret.pem", SECRET);
    let complaint = home.run(&["models", "verify", "--trusted-keys", &secret]).complaint(2);
    assert!(complaint.contains("secret.pem: not one or more Ed25519 public keys"), "{complaint}");
    assert!(!complaint.contains("MC4C"), "{complaint}");
    let complaint = home.run(&["models", "sign", "mine@1", "--key", "none.pem"]).complaint(1);
    assert!(complaint.starts_with("cannot read none.pem"), "{complaint}");
    let other = PUBLIC.replace("Gb9ECWmE", "Hb9ECWmE");
    let other = home.file("other.pem", other);
    let args = ["serve", "--listen", "127.0.0.1:0", "--signing-key", &secret];
    let complaint = home.run(&[&args[..], &["--trusted-keys", &other]].concat()).complaint(2);
    assert!(complaint.contains("not among the trusted keys"), "{complaint}");
}
