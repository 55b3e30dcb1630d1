//! The command and its server over TLS with tokens, settings that are read again, and compressed messages.

use std::fs;
use std::io::Write;
use std::sync::Arc;

use dictum::proto::{BatchClassifyRequest, ClassifyRequest, StreamClassifyRequest};
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use serde_json::Value;
use tonic::Code;

use super::command::Home;
use super::serve::Server;
use crate::certificates::Authority;
use crate::raw;

/// Files of a server with a certificate and tokens; returns the token that may classify.
fn secure(home: &Home) -> (String, Vec<String>) {
    let authority = Authority::new();
    let pair = authority.issue(&["127.0.0.1"]);
    home.file("ca.pem", &authority.pem);
    home.file("server.pem", &pair.certificate);
    home.file("server.key", &pair.key);
    let made = home.run(&["token", "news", "--role", "classify", "--json"]).json();
    home.file("tokens.toml", made["entry"].as_str().expect("text"));
    let token = made["token"].as_str().expect("text").to_owned();
    let args =
        ["--tls-certificate", "server.pem", "--tls-key", "server.key", "--tokens", "tokens.toml"];
    (token, args.map(str::to_owned).to_vec())
}

#[test]
fn the_command_speaks_tls_and_shows_its_token() {
    let home = Home::new();
    let (token, args) = secure(&home);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let server = Server::start_over(&home, &args, &["--ca", "ca.pem"]);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let complaint = server.run(&home, &["classify", "He denied it."]).complaint(1);
    assert!(complaint.ends_with("(UNAUTHENTICATED)"), "{complaint}");
    let answer = server.run(&home, &["classify", "He denied it.", "--token", &token]).done();
    assert!(answer.starts_with("denial\t"), "{answer}");
    let complaint = server.run(&home, &["models", "activate", "a@1", "--token", &token]);
    let complaint = complaint.complaint(1);
    assert!(complaint.ends_with("the role admin is needed (PERMISSION_DENIED)"), "{complaint}");
    let untrusted = home.run(&["health", "--server", &server.url]);
    assert_eq!(untrusted.exit_code, Some(1), "{untrusted:?}");
    let plain = home.run(&["health", "--server", &server.url.replace("https", "http")]);
    assert_eq!(plain.exit_code, Some(1), "{plain:?}");
    let (exit_code, _, log) = server.stop();
    assert_eq!(exit_code, Some(0));
    assert!(!log.concat().contains(&token), "the token is in the log");
}

#[test]
fn a_token_is_shown_once_and_its_file_has_its_hash_alone() {
    let ran =
        Home::new().run(&["token", "ci", "--role", "train", "--role", "admin", "--days", "9"]);
    assert_eq!(ran.exit_code, Some(0), "{ran:?}");
    let secret = ran.stderr.trim_end().strip_prefix("token: ").expect("the token on stderr");
    assert!(secret.len() >= 64 && !ran.stdout.contains(secret), "{ran:?}");
    let entry: toml::Table = toml::from_str(&ran.stdout).expect("TOML on stdout");
    let token = &entry["token"][0];
    assert_eq!(token["roles"], toml::Value::from(vec!["train", "admin"]));
    let hash = blake3::hash(secret.as_bytes()).to_hex();
    assert_eq!(token["hash"].as_str(), Some(&*format!("blake3:{hash}")));
    assert!(token["expires"].is_datetime());
}

#[test]
fn files_that_cannot_be_used_are_named_before_anything_is_served() {
    let home = Home::new();
    let (_, args) = secure(&home);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let check = || home.run(&[&["serve", "--check"][..], &args].concat());
    let shown = check().done();
    assert!(shown.contains("tls_certificate = \"server.pem\""), "{shown}");
    let other = Authority::new().issue(&["127.0.0.1"]);
    for (name, bad, expected) in [
        ("server.key", other.key.as_str(), "server.pem and server.key cannot be used"),
        ("server.key", "", "server.key: no private key in PEM form"),
        ("server.pem", "nothing", "server.pem: no certificate in PEM form"),
        ("tokens.toml", "token = 1\n", "tokens.toml: line 1: "),
    ] {
        let good = home.read(name);
        home.file(name, bad);
        let complaint = check().complaint(2);
        assert!(complaint.contains(expected), "{complaint}");
        home.file(name, good);
    }
    let complaint = home.run(&["serve", "--check", "--tls-key", "server.key"]).complaint(2);
    assert_eq!(complaint, "tls_key needs tls_certificate");
    let exposed = [&["serve", "--check", "--listen", "0.0.0.0:0"][..], &args[..4]].concat();
    let complaint = home.run(&exposed).complaint(2);
    assert!(complaint.contains("nobody would have to prove who they are"), "{complaint}");
}

#[test]
fn a_hangup_reads_the_settings_again() {
    let home = Home::new();
    let config = home.file("dictum.toml", "log_level = 'info'\nmax_jobs = 2\n");
    let server = Server::start(&home, &["--config", &config]);
    let wait_for = |text: &str| server.wait_for_record(text);
    home.file("dictum.toml", "log_level = 'info'\nmax_jbos = 2\n");
    server.signal("HUP");
    wait_for("did you mean `max_jobs`?");
    home.file("dictum.toml", "log_level = 'debug'\nmax_jobs = 3\n");
    server.signal("HUP");
    wait_for("\"setting\":\"max_jobs\"");
    server.run(&home, &["health"]).done();
    let (exit_code, _, log) = server.stop();
    assert_eq!(exit_code, Some(0));
    let records: Vec<Value> =
        log.iter().map(|line| serde_json::from_str(line).expect("a record")).collect();
    let message_of = |setting| {
        let record = records.iter().find(|record| record["setting"] == setting);
        record.map(|record| record["message"].clone())
    };
    assert_eq!(message_of("log_level"), Some("the new value is in force".into()));
    assert_eq!(message_of("max_jobs"), Some("the new value needs a restart".into()));
    assert!(records.iter().any(|record| record["level"] == "DEBUG"), "{log:?}");
}

/// The most memory the process ever had, in KiB.
fn peak_kib(process_id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process_id}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A megabyte of zeros many times over, compressed.
fn zeros(n_mib: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..n_mib {
        encoder.write_all(&[0; 1024 * 1024]).expect("memory");
    }
    encoder.finish().expect("memory")
}

#[test]
fn what_is_too_large_once_it_is_unpacked_is_refused_without_being_unpacked() {
    const N_CALLS: u64 = 8;
    let home = Home::new();
    let server = Server::start(&home, &["--gzip"]);
    let address = server.url.trim_start_matches("http://").parse().expect("an address");
    let bomb = Arc::new(zeros(512));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let before = peak_kib(server.process_id());
    let calls: Vec<_> = (0..N_CALLS)
        .map(|_| {
            let bomb = Arc::clone(&bomb);
            runtime.spawn(async move {
                let path = "/dictum.v1.ClassifierService/BatchClassify";
                let mut call = raw::call(address, path, &[("grpc-encoding", "gzip")]).await;
                call.send_compressed(&bomb, true);
                call.status().await
            })
        })
        .collect();
    for call in calls {
        let status = runtime.block_on(call).expect("no panic");
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    }
    let grown = peak_kib(server.process_id()).saturating_sub(before) / N_CALLS;
    println!("{} bytes for 512 MiB: the server grew by {grown} KiB a call", bomb.len());
    assert!(grown < 8 * 1024, "{grown} KiB a call");
    server.stop();
}

#[test]
fn only_what_is_worth_it_is_compressed() {
    let home = Home::new();
    let server = Server::start(&home, &["--gzip"]);
    let address = server.url.trim_start_matches("http://").parse().expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let sentence = "The minister denied it.".to_owned();
    let one = ClassifyRequest { sentence: sentence.clone(), options: None }.encode_to_vec();
    let item = StreamClassifyRequest { sentence: sentence.clone(), ..Default::default() };
    let batch = |n| {
        BatchClassifyRequest { sentences: vec![sentence.clone(); n], options: None }.encode_to_vec()
    };
    for (method, request, is_compressed) in [
        ("Classify", one, false),
        ("StreamClassify", item.encode_to_vec(), false),
        ("BatchClassify", batch(2), false),
        ("BatchClassify", batch(200), true),
    ] {
        let first = runtime.block_on(async {
            let path = format!("/dictum.v1.ClassifierService/{method}");
            let mut call = raw::call(address, &path, &[("grpc-accept-encoding", "gzip")]).await;
            call.send(&request, true);
            call.first_message().await
        });
        assert_eq!(first[0] == 1, is_compressed, "{method}, {} bytes", request.len());
    }
    server.stop();
}

#[test]
fn without_the_setting_nothing_compressed_is_taken() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let address = server.url.trim_start_matches("http://").parse().expect("an address");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let status = runtime.block_on(async {
        let path = "/dictum.v1.ClassifierService/Classify";
        let mut call = raw::call(address, path, &[("grpc-encoding", "gzip")]).await;
        call.send_compressed(&zeros(1), true);
        call.status().await
    });
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    server.stop();
}
