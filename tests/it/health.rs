//! Health by the specification, and what reflection says of it.

use tokio_stream::StreamExt;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::{all, assert_error, spawn_server};

fn about(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_and_its_services_say_that_they_serve() {
    let server = spawn_server().await;
    let mut client = server.health().await;
    for service in ["", "dictum.v1.ClassifierService", "dictum.v1.ModelService"] {
        let state = client.check(about(service)).await.expect("a state").into_inner();
        assert_eq!(state.status(), ServingStatus::Serving, "{service}");
    }
    let status = client.check(about("dictum.v1.Nobody")).await.expect_err("unknown");
    assert_error(&status, Code::NotFound, "SERVICE_UNKNOWN");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_an_unknown_service_stays_open_until_the_server_stops() {
    let server = spawn_server().await;
    let watch = server.health().await.watch(about("dictum.v1.Nobody")).await;
    let mut states = watch.expect("a watch and no error").into_inner();
    let first = states.next().await.expect("a message").expect("a state");
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let ended = server.begin_stop();
    assert!(states.next().await.is_none(), "nothing more, and no error");
    ended.await.expect("no panic").expect("no error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_says_that_the_server_stops_and_ends() {
    let server = spawn_server().await;
    let mut client = server.health().await;
    let mut states = client.watch(about("")).await.expect("a watch").into_inner();
    let first = states.next().await.expect("a message").expect("a state");
    assert_eq!(first.status(), ServingStatus::Serving);
    let ended = server.begin_stop();
    let rest = all(states).await.expect("an end without error");
    assert_eq!(rest.iter().map(|s| s.status()).collect::<Vec<_>>(), [ServingStatus::NotServing]);
    ended.await.expect("no panic").expect("no error");
}
