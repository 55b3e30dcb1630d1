//! What can go wrong with any call goes wrong alike with every method.

use std::time::Duration;

use dictum::proto::FILE_DESCRIPTOR_SET;
use prost_reflect::DescriptorPool;
use tonic::{Code, Status};

use crate::raw;
use crate::support::{Server, assert_error, new_folder, spawn_server_with};

/// Every method of the contract, as a path.
fn methods() -> Vec<String> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let services = pool.services().filter(|s| s.full_name().starts_with("dictum.v1."));
    services
        .flat_map(|service| {
            let path = |m: prost_reflect::MethodDescriptor| {
                format!("/{}/{}", service.full_name(), m.name())
            };
            service.methods().map(path).collect::<Vec<_>>()
        })
        .collect()
}

/// What a client does, and what it gets.
struct Case {
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// `None`: nothing is sent, and the call stays open.
    message: Option<Vec<u8>>,
    expected: (Code, &'static str),
}

fn cases() -> [Case; 4] {
    [
        Case {
            name: "a message that is none",
            headers: &[],
            message: Some(vec![0xff; 7]),
            expected: (Code::Internal, "INTERNAL"),
        },
        Case {
            name: "a message over the limit",
            headers: &[],
            message: Some(vec![0; 5_000]),
            expected: (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        },
        Case {
            name: "a deadline that passes",
            headers: &[("grpc-timeout", "20m")],
            message: None,
            expected: (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        },
        Case {
            name: "silence",
            headers: &[],
            message: None,
            expected: (Code::Aborted, "STREAM_IDLE"),
        },
    ]
}

async fn status_of(server: &Server, method: &str, case: &Case) -> Status {
    let mut call = raw::call(server.address, method, case.headers).await;
    if let Some(message) = &case.message {
        call.send(message, true);
    }
    call.status().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_go_wrong_with_any_call_goes_wrong_alike_with_every_method() {
    let server = spawn_server_with(new_folder(), |config| {
        config.limits.max_message_bytes = 4_096;
        config.limits.max_classify_message_bytes = 4_096;
        config.timeouts.stream_idle = Duration::from_millis(200);
    })
    .await;
    let methods = methods();
    assert_eq!(methods.len(), 11);
    for method in &methods {
        for case in cases() {
            let status = status_of(&server, method, &case).await;
            assert_eq!(status.code(), case.expected.0, "{method}, {}: {status:?}", case.name);
            assert_error(&status, case.expected.0, case.expected.1);
            // Nothing of the inside: no path of a file, no place in the code.
            let shown = format!("{} {:?}", status.message(), status.details());
            for inside in [".rs", "src/", "/tmp", "/root", "panicked"] {
                assert!(!shown.contains(inside), "{method}, {}: {shown}", case.name);
            }
            assert!(status.metadata().contains_key("x-request-id"), "{method}, {}", case.name);
        }
    }
    server.stop().await;
}
