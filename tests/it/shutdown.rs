//! The end of a server: bounded, whatever its clients do.

use std::time::{Duration, Instant};

use dictum::proto::StreamClassifyRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;

use crate::connections::{PREFACE, SETTINGS, open_call};
use crate::support::{
    all, assert_error, model_of, new_folder, spawn_server, spawn_server_with, spec, tiny_csv,
    upload,
};

/// Well above what a shutdown takes, well below the default grace period.
const SOON: Duration = Duration::from_secs(10);

async fn silent(address: std::net::SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_and_idle_connections_and_watches_do_not_hold_up_the_end() {
    let server = spawn_server().await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        sockets.push(silent(server.address).await);
    }
    let idle = server.channel().await;
    let request = HealthCheckRequest::default();
    let watch = server.health().await.watch(request).await.expect("a watch").into_inner();
    let ended = server.begin_stop();
    timeout(SOON, ended).await.expect("no grace is needed").expect("no panic").expect("no error");
    all(watch).await.expect("an end without error");
    for mut socket in sockets {
        let read = timeout(SOON, socket.read(&mut [0; 64])).await.expect("closed");
        // The server's preface may be there; behind it the end.
        assert!(read.is_err() || read.is_ok_and(|n| n < 64));
    }
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_goes_on_ends_with_unavailable_when_the_grace_period_is_over() {
    let grace = Duration::from_millis(300);
    let server =
        spawn_server_with(new_folder(), |config| config.timeouts.shutdown_grace = grace).await;
    let (sender, items) = mpsc::channel(1);
    let answers = server.classifier().await.stream_classify(ReceiverStream::new(items)).await;
    let mut answers = answers.expect("a stream").into_inner();
    let item = || StreamClassifyRequest { sentence: "No.".to_owned(), ..Default::default() };
    sender.send(item()).await.expect("room");
    answers.next().await.expect("an answer").expect("no error");

    let began = Instant::now();
    let ended = server.begin_stop();
    sender.send(item()).await.expect("room");
    answers.next().await.expect("an answer").expect("calls go on during the grace period");
    let status = answers.next().await.expect("an end").expect_err("cut off");
    assert_error(&status, Code::Unavailable, "STOPPING");
    assert!(began.elapsed() >= grace);
    ended.await.expect("no panic").expect("no error");
    assert!(began.elapsed() < grace + SOON, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_runs_is_finished_during_the_grace_period() {
    let server = spawn_server().await;
    let (sender, requests) = mpsc::channel(4);
    for request in upload(spec("tiny"), &tiny_csv(""), 1_000_000) {
        sender.send(request).await.expect("room");
    }
    let replies = server.models().await.train_model(ReceiverStream::new(requests)).await;
    let mut replies = replies.expect("a stream").into_inner();
    replies.next().await.expect("progress").expect("no error");
    let ended = server.begin_stop();
    drop(sender);
    let model = model_of(&all(replies).await.expect("a model"));
    assert!(model.active);
    timeout(SOON, ended).await.expect("in time").expect("no panic").expect("no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_accepted_once_the_server_stops() {
    let server = spawn_server().await;
    let address = server.address;
    server.stop().await;
    TcpStream::connect(address).await.expect_err("the port is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_stays_silent_is_closed_and_one_that_talks_is_not() {
    let server = spawn_server_with(new_folder(), |config| {
        config.timeouts.first_byte = Duration::from_millis(100);
    })
    .await;
    let mut socket = silent(server.address).await;
    let mut client = server.health().await;
    client.check(HealthCheckRequest::default()).await.expect("an answer");
    let mut received = Vec::new();
    let read = timeout(SOON, socket.read_to_end(&mut received)).await.expect("closed in time");
    assert!(read.is_err() || received.len() < 64);
    client.check(HealthCheckRequest::default()).await.expect("the connection is still there");
    server.stop().await;
}

/// Reads until all of these bytes have come.
async fn read_until(socket: &mut TcpStream, received: &mut Vec<u8>, what: &[u8]) {
    let read = async {
        while !received.windows(what.len()).any(|bytes| bytes == what) {
            assert!(socket.read_buf(received).await.expect("no error") > 0, "{received:?}");
        }
    };
    timeout(SOON, read).await.expect("in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_comes_too_late_does_not_end_those_that_are_taken() {
    let server = spawn_server().await;
    let mut client = silent(server.address).await;
    client.write_all(&[PREFACE, SETTINGS, &open_call(1)].concat()).await.expect("sent");
    let mut received = Vec::new();
    // The acknowledged settings: the server has read all of it.
    read_until(&mut client, &mut received, b"\0\0\0\x04\x01\0\0\0\0").await;
    let ended = server.begin_stop();
    // GOAWAY, and behind it a PING, with whose answer the server knows the last call that it takes.
    let ping = b"\0\0\x08\x06\0\0\0\0\0";
    read_until(&mut client, &mut received, ping).await;
    let at = received.windows(ping.len()).position(|bytes| bytes == ping).expect("it was read");
    while received.len() < at + 17 {
        client.read_buf(&mut received).await.expect("no error");
    }
    let pong = [&b"\0\0\x08\x06\x01\0\0\0\0"[..], &received[at + 9..at + 17]].concat();
    // A client that was about to call: a stream and room for its reply.
    let room = b"\0\0\x04\x08\0\0\0\0\x03\0\0\x10\0";
    client.write_all(&[&pong[..], &open_call(3), room].concat()).await.expect("sent");
    // The call that was taken goes on to its end.
    let message = b"\0\0\x0a\0\x01\0\0\0\x01\0\0\0\0\x05\x12\x03No.";
    client.write_all(message).await.expect("sent");
    timeout(SOON, client.read_to_end(&mut received)).await.expect("an end").expect("no reset");
    let has = |what: &[u8]| received.windows(what.len()).any(|bytes| bytes == what);
    assert!(has(b"\x01\x05\0\0\0\x01"), "the trailers of the call: {received:?}");
    let goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0";
    assert!(has(goaway), "it names the call and no error: {received:?}");
    timeout(SOON, ended).await.expect("in time").expect("no panic").expect("no error");
}
