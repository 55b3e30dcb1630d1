//! Connections that are too many, say nothing, flood, take nothing, or grow old.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use dictum::proto::{BatchClassifyRequest, ClassifyRequest};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{PATIENCE, Server, new_folder, spawn_server_with};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

async fn socket(server: &Server) -> TcpStream {
    TcpStream::connect(server.address).await.expect("a connection")
}

/// Reads until the server ends the connection.
async fn end_of(mut socket: TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    let read = timeout(PATIENCE, socket.read_to_end(&mut received)).await;
    drop(read.expect("the server ends the connection"));
    received
}

async fn is_answered(server: &Server) {
    let request = ClassifyRequest { sentence: "No.".to_owned(), options: None };
    let answer = async { server.classifier().await.classify(request).await };
    timeout(PATIENCE, answer).await.expect("in time").expect("an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_takes_the_place_of_a_silent_one_or_is_told_why_not() {
    let server = spawn_server_with(new_folder(), |config| {
        config.limits.max_connections = NonZeroUsize::new(3).expect("three");
    })
    .await;
    let silent = [socket(&server).await, socket(&server).await, socket(&server).await];
    is_answered(&server).await;
    drop(silent);
    // Connections that have begun are not ended.
    let mut talking = Vec::new();
    let fill = async {
        // Until the server has seen that the others have gone, there is no room.
        while talking.len() < 3 {
            let uri = format!("http://{}", server.address);
            let channel = Endpoint::from_shared(uri).expect("an address").connect_lazy();
            let mut client = HealthClient::new(channel);
            if client.check(HealthCheckRequest::default()).await.is_ok() {
                talking.push(client);
            }
        }
    };
    timeout(PATIENCE, fill).await.expect("room for three");
    let received = end_of(socket(&server).await).await;
    let text = b"too many connections: 3 are open (max_connections)";
    assert!(received.ends_with(text), "{received:?}");
    // As a client shows it.
    let refused = h2::client::handshake(socket(&server).await).await;
    let (_client, connection) = refused.expect("SETTINGS");
    let error = timeout(PATIENCE, connection).await.expect("an end").expect_err("too many");
    assert_eq!(error.reason(), Some(h2::Reason::ENHANCE_YOUR_CALM));
    assert!(error.to_string().contains("3 are open (max_connections)"), "{error}");
    for client in &mut talking {
        client.check(HealthCheckRequest::default()).await.expect("still there");
    }
    drop(talking);
    server.stop().await;
}

/// The head of a call of `StreamClassify`, whose request goes on. Names and values are written out, so that
/// it can be sent as it is on any stream.
pub(crate) fn open_call(stream: u8) -> Vec<u8> {
    let path = "/dictum.v1.ClassifierService/StreamClassify";
    // POST and http stand in the static table, as do the names of the path, authority and content type.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (&b"\x04"[..], path),
        (b"\x01", "localhost"),
        (b"\x0f\x10", "application/grpc"),
        (b"\0\x02te", "trailers"),
    ] {
        block.extend_from_slice(name);
        block.push(u8::try_from(value.len()).expect("a short value"));
        block.extend_from_slice(value.as_bytes());
    }
    let length = u8::try_from(block.len()).expect("a short block");
    [&[0, 0, length, 1, 4, 0, 0, 0, stream][..], &block].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_calls_on_a_connection_is_announced_and_kept() {
    let server = spawn_server_with(new_folder(), |config| {
        config.limits.max_concurrent_streams = NonZeroU32::new(2).expect("two");
    })
    .await;
    let mut client = socket(&server).await;
    let calls = [open_call(1), open_call(3), open_call(5)].concat();
    client.write_all(&[PREFACE, SETTINGS, &calls].concat()).await.expect("sent");
    // SETTINGS_MAX_CONCURRENT_STREAMS is 2; RST_STREAM of stream 5 with REFUSED_STREAM.
    let (announced, refused) = (b"\0\x03\0\0\0\x02", b"\0\0\x04\x03\0\0\0\0\x05\0\0\0\x07");
    let mut received = Vec::new();
    let has = |received: &[u8], what: &[u8]| received.windows(what.len()).any(|w| w == what);
    let read = async {
        while !has(&received, refused) {
            assert!(client.read_buf(&mut received).await.expect("no error") > 0, "{received:?}");
        }
    };
    timeout(PATIENCE, read).await.expect("the third call is refused");
    assert!(has(&received, announced), "{received:?}");
    assert!(!has(&received, b"\0\0\x04\x03\0\0\0\0\x03"), "the others go on: {received:?}");
    drop(client);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_preface_is_silence() {
    let server = spawn_server_with(new_folder(), |config| {
        config.timeouts.first_byte = Duration::from_millis(100);
    })
    .await;
    let mut half = socket(&server).await;
    half.write_all(&PREFACE[..10]).await.expect("sent");
    end_of(half).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pings_ends_its_connection_and_no_other() {
    let server = spawn_server_with(new_folder(), |_| {}).await;
    let mut flood = socket(&server).await;
    flood.write_all(&[PREFACE, SETTINGS].concat()).await.expect("sent");
    let pings = b"\0\0\x08\x06\0\0\0\0\0pingping".repeat(1_000);
    let sent = async {
        let mut n = 0;
        // Nothing is read, so that the answers pile up too.
        while flood.write_all(&pings).await.is_ok() {
            n += 1_000;
        }
        n
    };
    let sent: u32 = timeout(PATIENCE, sent).await.expect("the server ends the connection");
    assert!(sent >= 1_000, "{sent}");
    is_answered(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_of_its_replies_is_cut_off() {
    let server = spawn_server_with(new_folder(), |config| {
        config.timeouts.untaken_reply = Duration::from_millis(400);
        config.timeouts.first_byte = Duration::from_millis(100);
    })
    .await;
    let socket = socket(&server).await;
    // Room for nothing, not even for one reply.
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(0)
        .handshake::<_, bytes::Bytes>(socket)
        .await
        .expect("HTTP/2");
    let ended = tokio::spawn(connection);
    let mut client = client.ready().await.expect("room");
    let sentences = vec!["The minister denied it.".to_owned(); 50];
    let message = BatchClassifyRequest { sentences, options: None }.encode_to_vec();
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    let request = http::Request::post(format!(
        "http://{}/dictum.v1.ClassifierService/BatchClassify",
        server.address
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .body(())
    .expect("a request");
    let (response, mut body) = client.send_request(request, false).expect("sent");
    let framed = [&[0][..], &length, &message].concat();
    body.send_data(framed.into(), true).expect("sent");
    let response = response.await.expect("headers");
    drop(timeout(PATIENCE, ended).await.expect("the server ends the connection"));
    drop(response);
    is_answered(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_told_to_go_and_no_call_is_lost() {
    let server = spawn_server_with(new_folder(), |config| {
        config.timeouts.connection_age = Duration::from_millis(100);
    })
    .await;
    // A channel connects again by itself.
    let mut client = server.classifier().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        let request = ClassifyRequest { sentence: "No.".to_owned(), options: None };
        match client.classify(request.clone()).await {
            // The client found its connection gone before the call was taken: the status is its own.
            Err(untaken) if std::error::Error::source(&untaken).is_some() => {
                client.classify(request).await.expect("an answer");
            }
            answer => drop(answer.expect("an answer")),
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn load_balancers_have_time_to_see_that_the_server_stops() {
    let pause = Duration::from_millis(300);
    let server =
        spawn_server_with(new_folder(), |config| config.timeouts.shutdown_pause = pause).await;
    let address = server.address;
    let mut health = server.health().await;
    let mut classifier = server.classifier().await;
    let began = Instant::now();
    let ended = server.begin_stop();
    while health.check(HealthCheckRequest::default()).await.expect("a state").get_ref().status == 1
    {
        assert!(began.elapsed() < pause, "said in time");
    }
    TcpStream::connect(address).await.expect("connections are taken during the pause");
    let request = ClassifyRequest { sentence: "No.".to_owned(), options: None };
    classifier.classify(request).await.expect("calls are answered during the pause");
    ended.await.expect("no panic").expect("no error");
    assert!(began.elapsed() >= pause);
}
