//! Who may call what: every method of the contract with every kind of credential, over every transport.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dictum::config::{ClientCertificates, Role, ServeConfig};
use dictum::proto::FILE_DESCRIPTOR_SET;
use dictum::server::NewToken;
use prost::Message;
use prost_types::FileDescriptorSet;
use tempfile::TempDir;
use tonic::client::Grpc;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use crate::certificates::{Authority, write};
use crate::support::{new_folder, spawn_server_over};

/// What each method needs; written down here once more, so that nothing changes by accident.
const NEEDS: [(&str, &[Role]); 11] = [
    ("Classify", &[Role::Classify]),
    ("BatchClassify", &[Role::Classify]),
    ("StreamClassify", &[Role::Classify]),
    ("ClassifyText", &[Role::Classify]),
    ("TrainModel", &[Role::Train]),
    ("EvaluateModel", &[Role::Train]),
    ("ListModels", &Role::ALL),
    ("GetModel", &Role::ALL),
    ("ActivateModel", &[Role::Admin]),
    ("DeleteModel", &[Role::Admin]),
    ("VerifyModel", &[Role::Admin]),
];

/// Every method of the contract: its path, and the roles of which one is needed.
fn methods() -> Vec<(String, &'static [Role])> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors").file;
    let mut methods = Vec::new();
    for file in files.iter().filter(|file| file.package() == "dictum.v1") {
        for service in &file.service {
            for method in &service.method {
                let needs = NEEDS.iter().find(|(name, _)| *name == method.name());
                let (_, roles) = needs.unwrap_or_else(|| panic!("who may call {}?", method.name()));
                let path = format!("/dictum.v1.{}/{}", service.name(), method.name());
                methods.push((path, *roles));
            }
        }
    }
    assert_eq!(methods.len(), NEEDS.len());
    methods
}

/// How a call ends that says nothing: with an error about that, if it is let in.
async fn call(channel: &Channel, path: &str, token: Option<&str>) -> Status {
    let mut client = Grpc::new(channel.clone());
    if client.ready().await.is_err() {
        return Status::unavailable("the server ended the connection");
    }
    let mut request = Request::new(tokio_stream::once(()));
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().expect("plain text");
        request.metadata_mut().insert("authorization", value);
    }
    let path = path.parse().expect("a path");
    match client.streaming(request, path, ProstCodec::<(), ()>::default()).await {
        Ok(replies) => match replies.into_inner().message().await {
            Ok(_) => Status::ok(""),
            Err(status) => status,
        },
        Err(status) => status,
    }
}

/// Code and reason, where the call was not let in.
fn refusal(status: &Status) -> Option<(Code, String)> {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    let is_refusal = status.code() == Code::Unauthenticated || reason == "ROLE_MISSING";
    is_refusal.then(|| (status.code(), reason))
}

/// Tokens in a file, by what they are good for.
struct Tokens {
    secrets: BTreeMap<&'static str, String>,
    file: String,
}

fn tokens() -> Tokens {
    let mut tokens = Tokens { secrets: BTreeMap::new(), file: String::new() };
    let hour = Duration::from_secs(3_600);
    let (past, future) = (SystemTime::now() - hour, SystemTime::now() + hour);
    for (name, roles, expires) in [
        ("classify", &[Role::Classify][..], None),
        ("train", &[Role::Train], Some(future)),
        ("admin", &[Role::Admin], None),
        ("nothing", &[], None),
        ("expired", &Role::ALL, Some(past)),
    ] {
        let (secret, token) =
            NewToken::make(name.to_owned(), roles.to_vec(), expires).expect("random bits");
        tokens.file.push_str(&token.to_string());
        tokens.secrets.insert(name, secret);
    }
    tokens.secrets.insert("unknown", "dictum-0123456789".to_owned());
    tokens
}

/// What is expected of a credential: the roles it has, or why it is refused.
fn expectation(credential: &str) -> Result<Vec<Role>, &'static str> {
    match credential {
        "classify" => Ok(vec![Role::Classify]),
        "train" => Ok(vec![Role::Train]),
        "admin" => Ok(vec![Role::Admin]),
        "nothing" => Ok(Vec::new()),
        "expired" => Err("TOKEN_EXPIRED"),
        "unknown" => Err("TOKEN_INVALID"),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn assert_as_expected(status: &Status, needs: &[Role], has: &Result<Vec<Role>, &str>, what: &str) {
    let expected = match has {
        Ok(roles) if roles.iter().any(|role| needs.contains(role)) => None,
        Ok(_) => Some((Code::PermissionDenied, "ROLE_MISSING".to_owned())),
        Err(reason) => Some((Code::Unauthenticated, (*reason).to_owned())),
    };
    assert_eq!(refusal(status), expected, "{what}: {status:?}");
    assert_ne!(status.code(), Code::Unimplemented, "{what}");
}

/// Every method with every token and with none.
async fn try_all(channel: &Channel, tokens: &Tokens, transport: &str) -> usize {
    let mut n = 0;
    for (path, needs) in methods() {
        let status = call(channel, &path, None).await;
        let none = Err("CREDENTIALS_MISSING");
        assert_as_expected(&status, needs, &none, &format!("{transport} {path} without"));
        for (credential, secret) in &tokens.secrets {
            let status = call(channel, &path, Some(secret)).await;
            let what = format!("{transport} {path} {credential}");
            assert_as_expected(&status, needs, &expectation(credential), &what);
        }
        n += 1 + tokens.secrets.len();
    }
    let health = call(channel, "/grpc.health.v1.Health/Check", None).await;
    assert_eq!(refusal(&health), None, "health is open: {health:?}");
    let unknown = call(channel, "/dictum.v1.ModelService/Nothing", None).await;
    assert_eq!(unknown.code(), Code::Unauthenticated, "nobody learns what there is");
    let unknown = call(channel, "/x.Y/Z", Some(&tokens.secrets["admin"])).await;
    assert_eq!(unknown.code(), Code::Unimplemented);
    n
}

fn tls_config(config: &mut ServeConfig, folder: &Path, authority: &Authority) {
    let pair = authority.issue(&["127.0.0.1"]);
    config.tls.tls_certificate = Some(write(folder, "server.pem", &pair.certificate));
    config.tls.tls_key = Some(write(folder, "server.key", &pair.key));
}

#[tokio::test]
async fn every_method_asks_every_credential_over_every_transport() {
    let (files, authority, tokens) =
        (TempDir::new().expect("a folder"), Authority::new(), tokens());
    let mut n = 0;
    for transport in ["plain", "TLS", "mTLS"] {
        let folder = new_folder();
        let mut config = ServeConfig::new(folder.path().to_owned());
        config.access.tokens = Some(write(files.path(), "tokens.toml", &tokens.file));
        let mut client = None;
        if transport != "plain" {
            tls_config(&mut config, files.path(), &authority);
            client = Some(authority.client(None));
        }
        if transport == "mTLS" {
            config.tls.tls_client_ca = Some(write(files.path(), "ca.pem", &authority.pem));
            config.tls.tls_client_certificates = ClientCertificates::Optional;
        }
        let server = spawn_server_over(folder, config, client).await;
        n += try_all(&server.channel().await, &tokens, transport).await;
        server.stop().await;
    }
    assert_eq!(n, 3 * 7 * NEEDS.len(), "{n} combinations");
}

async fn connect(address: std::net::SocketAddr, tls: ClientTlsConfig) -> Option<Channel> {
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("an address");
    let channel = endpoint.tls_config(tls).expect("good files").connect().await.ok()?;
    // With TLS 1.3 a client learns of its refusal when it first reads.
    let status = call(&channel, "/grpc.health.v1.Health/Check", None).await;
    (status.code() == Code::Ok).then_some(channel)
}

#[tokio::test]
async fn certificates_have_the_roles_of_their_names() {
    let (files, authority, folder) =
        (TempDir::new().expect("a folder"), Authority::new(), new_folder());
    let mut config = ServeConfig::new(folder.path().to_owned());
    tls_config(&mut config, files.path(), &authority);
    config.tls.tls_client_ca = Some(write(files.path(), "ca.pem", &authority.pem));
    config.access.client_roles = BTreeMap::from([
        ("spiffe://news/classify".to_owned(), vec![Role::Classify]),
        ("train.news".to_owned(), vec![Role::Train]),
        ("admin.news".to_owned(), vec![Role::Admin]),
    ]);
    let nobody = authority.issue(&["nobody.news"]);
    let server = spawn_server_over(folder, config, Some(authority.client(Some(&nobody)))).await;
    for (names, roles) in [
        (&["spiffe://news/classify"][..], vec![Role::Classify]),
        (&["train.news"], vec![Role::Train]),
        (&["other.news", "admin.news", "train.news"], vec![Role::Train, Role::Admin]),
        (&["nobody.news"], vec![]),
    ] {
        let client = authority.client(Some(&authority.issue(names)));
        let channel = connect(server.address, client).await.expect("a known client");
        let has = Ok(roles);
        for (path, needs) in methods() {
            let status = call(&channel, &path, None).await;
            assert_as_expected(&status, needs, &has, &format!("{path} {names:?}"));
        }
    }
    let stranger = Authority::new();
    let strange = authority.client(Some(&stranger.issue(&["admin.news"])));
    assert!(connect(server.address, strange).await.is_none(), "of another authority");
    let old = authority.client(Some(&authority.issue_until(&["admin.news"], 2001)));
    assert!(connect(server.address, old).await.is_none(), "expired");
    assert!(connect(server.address, authority.client(None)).await.is_none(), "without");
    let deceived = stranger.client(Some(&nobody));
    assert!(
        connect(server.address, deceived).await.is_none(),
        "the client does not trust the server"
    );
    server.stop().await;
}

#[tokio::test]
async fn tokens_come_and_go_while_the_server_runs() {
    let (files, folder) = (TempDir::new().expect("a folder"), new_folder());
    let (old, new) = (tokens(), tokens());
    let mut config = ServeConfig::new(folder.path().to_owned());
    config.access.tokens = Some(write(files.path(), "tokens.toml", &old.file));
    let (told, config) = tokio::sync::watch::channel(config);
    let server = spawn_server_over(folder, config, None).await;
    let channel = server.channel().await;
    let path = "/dictum.v1.ModelService/ListModels";
    let is_known = async |tokens: &Tokens| {
        refusal(&call(&channel, path, Some(&tokens.secrets["admin"])).await).is_none()
    };
    assert!(is_known(&old).await && !is_known(&new).await);
    // A file that is no use changes nothing; one that is, within a second.
    write(files.path(), "tokens.toml", "[[token]]\nname = 'half'\n");
    told.send_modify(|_| {});
    write(files.path(), "tokens.toml", &format!("{}{}", old.file, new.file));
    while !is_known(&new).await {
        assert!(is_known(&old).await);
    }
    write(files.path(), "tokens.toml", &new.file);
    while is_known(&old).await {
        assert!(is_known(&new).await);
    }
    server.stop().await;
}

#[tokio::test]
async fn reflection_is_a_setting() {
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    for (setting, is_there) in [(None, true), (Some(true), true), (Some(false), false)] {
        let folder = new_folder();
        let mut config = ServeConfig::new(folder.path().to_owned());
        config.access.reflection = setting;
        let server = spawn_server_over(folder, config, None).await;
        let status = call(&server.channel().await, path, None).await;
        assert_eq!(status.code() != Code::Unimplemented, is_there, "{setting:?}: {status:?}");
        server.stop().await;
    }
}
