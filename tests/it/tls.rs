//! TLS: certificates change under load, and handshakes that go nowhere harm nobody.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dictum::config::ServeConfig;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::certificates::{Authority, Pair, write};
use crate::support::{PATIENCE, Server, new_folder, spawn_server_over};

/// A client that trusts an authority.
fn connector(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.pem.as_bytes());
    roots.add(certificate.expect("a certificate")).expect("an authority");
    let builder = ClientConfig::builder_with_protocol_versions(versions);
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn shake(
    connector: &TlsConnector,
    address: SocketAddr,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    connector.connect(ServerName::from(address.ip()), stream).await
}

fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let certificates = stream.get_ref().1.peer_certificates().expect("certificates");
    certificates.first().expect("one").to_vec()
}

fn der(pair: &Pair) -> Vec<u8> {
    CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate").to_vec()
}

fn write_pair(folder: &Path, pair: &Pair) {
    write(folder, "server.pem", &pair.certificate);
    write(folder, "server.key", &pair.key);
}

/// A server whose certificate is in a folder, and what tells it to look there at once.
async fn spawn(
    files: &Path,
    authority: &Authority,
    change: impl FnOnce(&mut ServeConfig),
) -> (Server, tokio::sync::watch::Sender<ServeConfig>) {
    write_pair(files, &authority.issue(&["127.0.0.1"]));
    let folder = new_folder();
    let mut config = ServeConfig::new(folder.path().to_owned());
    config.tls.tls_certificate = Some(files.join("server.pem"));
    config.tls.tls_key = Some(files.join("server.key"));
    change(&mut config);
    let (told, config) = tokio::sync::watch::channel(config);
    (spawn_server_over(folder, config, Some(authority.client(None))).await, told)
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken_and_http_2_is_agreed_on() {
    let (files, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let (server, _told) = spawn(files.path(), &authority, |_| {}).await;
    for version in [&TLS12, &TLS13] {
        let stream = shake(&connector(&authority, &[version]), server.address).await.expect("TLS");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
    server.classify("", "He denied it.").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_certificates_change_under_load_without_a_failed_handshake() {
    const N: usize = 100;
    let (files, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let (server, told) = spawn(files.path(), &authority, |_| {}).await;
    let (stop, shaken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = connector(&authority, &[&TLS12, &TLS13]);
    let load: Vec<_> = (0..2)
        .map(|_| {
            let (stop, shaken, client) = (Arc::clone(&stop), Arc::clone(&shaken), client.clone());
            let address = server.address;
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    shake(&client, address).await.expect("a handshake");
                    shaken.fetch_add(1, Ordering::Relaxed);
                    // Closed connections keep their ports for a minute: not too many of them.
                    sleep(Duration::from_millis(5)).await;
                }
            })
        })
        .collect();
    // A call on one connection goes on through all of it.
    let mut classifier = server.classifier().await;
    for n in 0..N {
        let (pair, other) = (authority.issue(&["127.0.0.1"]), authority.issue(&["127.0.0.1"]));
        if n % 10 == 0 {
            // A certificate without its key, and half of a file.
            write(files.path(), "server.pem", &other.certificate);
            told.send_modify(|_| {});
            shake(&client, server.address).await.expect("the old pair");
            write(files.path(), "server.key", &pair.key[..pair.key.len() / 2]);
            told.send_modify(|_| {});
            shake(&client, server.address).await.expect("the old pair");
        }
        write_pair(files.path(), &pair);
        told.send_modify(|_| {});
        let changed = Instant::now();
        while shown(&shake(&client, server.address).await.expect("a handshake")) != der(&pair) {
            assert!(changed.elapsed() < Duration::from_secs(5), "rotation {n}");
            sleep(Duration::from_millis(2)).await;
        }
        let request = dictum::proto::ClassifyRequest {
            sentence: "He denied it.".to_owned(),
            ..Default::default()
        };
        classifier.classify(request).await.expect("an answer on the old connection");
    }
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.expect("no failed handshake");
    }
    println!("{N} rotations, {} handshakes beside them", shaken.load(Ordering::Relaxed));
    server.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_found_without_being_told() {
    let (files, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let (server, _told) = spawn(files.path(), &authority, |_| {}).await;
    let client = connector(&authority, &[&TLS13]);
    let pair = authority.issue(&["127.0.0.1"]);
    write_pair(files.path(), &pair);
    let changed = Instant::now();
    while shown(&shake(&client, server.address).await.expect("a handshake")) != der(&pair) {
        assert!(changed.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(10)).await;
    }
    println!("a new certificate is served {:?} after it was written", changed.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn half_handshakes_are_closed_and_nobody_waits_for_them() {
    let (files, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let limit = Duration::from_secs(2);
    let (server, _told) =
        spawn(files.path(), &authority, |config| config.timeouts.first_byte = limit).await;
    let opened = Instant::now();
    let mut halves = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(server.address).await.expect("a connection");
        // The beginning of a ClientHello.
        stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await.expect("sent");
        halves.push(stream);
    }
    let began = Instant::now();
    server.classify("", "He denied it.").await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for mut stream in halves {
        let mut rest = Vec::new();
        // Closed or reset: both is an end.
        let end = stream.read_to_end(&mut rest);
        drop(tokio::time::timeout(PATIENCE, end).await.expect("an end"));
    }
    assert!(opened.elapsed() < limit + Duration::from_secs(3), "{:?}", opened.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn plain_text_is_not_understood_and_harms_nobody() {
    let (files, authority) = (TempDir::new().expect("a folder"), Authority::new());
    let (server, _told) = spawn(files.path(), &authority, |_| {}).await;
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
    let mut rest = Vec::new();
    drop(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("an end"));
    server.classify("", "He denied it.").await;
    server.stop().await;
}
