//! The contract can be asked for, in both versions of the protocol.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorProto;
use tokio_stream::{StreamExt, once};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::spawn_server;

const SERVICES: [&str; 5] = [
    "dictum.v1.ClassifierService",
    "dictum.v1.ModelService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_list_all_services() {
    let server = spawn_server().await;
    let channel = server.channel().await;

    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let list = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { message_request: Some(list), ..Default::default() };
    let mut replies = client.server_reflection_info(once(request)).await.expect("v1").into_inner();
    let reply = replies.next().await.expect("a reply").expect("no error");
    let listed = match reply.message_response {
        Some(v1::server_reflection_response::MessageResponse::ListServicesResponse(list)) => list,
        other => panic!("not a list: {other:?}"),
    };
    let names: BTreeSet<_> = listed.service.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(SERVICES));

    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let list = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let request =
        v1alpha::ServerReflectionRequest { message_request: Some(list), ..Default::default() };
    let replies = client.server_reflection_info(once(request)).await;
    let reply = replies.expect("v1alpha").into_inner().next().await.expect("a reply");
    let listed = match reply.expect("no error").message_response {
        Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(l)) => l,
        other => panic!("not a list: {other:?}"),
    };
    let names: BTreeSet<_> = listed.service.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(SERVICES));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_types_of_error_details_are_described() {
    let server = spawn_server().await;
    let channel = server.channel().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    for symbol in ["google.rpc.BadRequest", "google.rpc.ErrorInfo", "dictum.v1.ItemError"] {
        let wanted =
            v1::server_reflection_request::MessageRequest::FileContainingSymbol(symbol.to_owned());
        let request =
            v1::ServerReflectionRequest { message_request: Some(wanted), ..Default::default() };
        let replies = client.server_reflection_info(once(request)).await.expect("an answer");
        let reply = replies.into_inner().next().await.expect("a reply").expect("no error");
        let files = match reply.message_response {
            Some(v1::server_reflection_response::MessageResponse::FileDescriptorResponse(f)) => f,
            other => panic!("no description of {symbol}: {other:?}"),
        };
        let file = FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice());
        let (package, name) = symbol.rsplit_once('.').expect("a package");
        let file = file.expect("a description");
        assert_eq!(file.package(), package);
        assert!(file.message_type.iter().any(|message| message.name() == name), "{symbol}");
    }
    server.stop().await;
}
