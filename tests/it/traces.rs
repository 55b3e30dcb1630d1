//! What a collector of traces is sent, and that one that is not there costs nothing but spans.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dictum::config::ServeConfig;
use dictum::proto::{ClassifyOptions, ClassifyRequest};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use crate::support::{new_folder, spawn_server_with, tiny_csv};

/// A word that is in every input and must be in no span.
const CANARY: &str = "zanzibarcanary";

/// Keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().expect("no panic").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Listens, and gives the settings that send traces there.
    async fn spawn(&self, share: f64) -> impl FnOnce(&mut ServeConfig) + use<> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let service = TraceServiceServer::new(self.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        move |config| {
            config.traces.otlp_endpoint = Some(url.parse().expect("an address"));
            config.traces.trace_share = share.try_into().expect("a share");
        }
    }

    /// All spans it was sent.
    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().expect("no panic");
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The spans of a method of the classifier or of models.
    fn spans_of(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }
}

/// The value of an attribute, as text.
fn attribute(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    let value = found.and_then(|found| found.value.clone()).and_then(|any| any.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{key} is {other:?}"),
    }
}

fn request(model: &str) -> Request<ClassifyRequest> {
    let options = Some(ClassifyOptions { model: model.to_owned(), ..Default::default() });
    Request::new(ClassifyRequest { sentence: format!("The {CANARY} denied it."), options })
}

fn with(
    mut request: Request<ClassifyRequest>,
    headers: &[(&'static str, &str)],
) -> Request<ClassifyRequest> {
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().expect("a header"));
    }
    request
}

const CLASSIFY: &str = "dictum.v1.ClassifierService/Classify";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_a_span_that_continues_its_callers_trace_and_holds_no_text() {
    let collector = Collector::default();
    let server = spawn_server_with(new_folder(), collector.spawn(1.0).await).await;
    let mut client = server.classifier().await;
    let known =
        [("traceparent", SAMPLED), ("x-request-id", "call-7"), ("tracestate", "a=zanzibarcanary")];
    client.classify(with(request(""), &known)).await.expect("an answer");
    client.classify(request(CANARY)).await.expect_err("no such model");
    let csv = tiny_csv(CANARY).replace("denial", &format!("denial {CANARY}"));
    server.train("tiny", &csv, 1_000).await;
    // What waits to be sent is sent at the end.
    server.stop().await;

    let calls = collector.spans_of(CLASSIFY);
    let [answered, refused] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(answered.kind(), SpanKind::Server);
    let of_answered = |key| attribute(&answered.attributes, key);
    assert_eq!(of_answered("rpc.system"), "grpc");
    assert_eq!(of_answered("rpc.service"), "dictum.v1.ClassifierService");
    assert_eq!(of_answered("rpc.method"), "Classify");
    assert_eq!(of_answered("rpc.grpc.status_code"), "0");
    assert_eq!(of_answered("dictum.request_id"), "call-7");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        (hex(&answered.trace_id).as_str(), hex(&answered.parent_span_id).as_str()),
        (TRACE, "b7ad6b7169203331")
    );
    let not_found = i32::from(Code::NotFound).to_string();
    assert_eq!(attribute(&refused.attributes, "rpc.grpc.status_code"), not_found);
    assert!(refused.parent_span_id.is_empty() && hex(&refused.trace_id) != TRACE);

    let trainings = collector.spans_of("dictum.v1.ModelService/TrainModel");
    let [training] = trainings.as_slice() else { panic!("{trainings:?}") };
    let stages: Vec<&str> = training.events.iter().map(|event| event.name.as_str()).collect();
    assert!(stages.starts_with(&["reading"]) && stages.ends_with(&["storing"]), "{stages:?}");

    // Probes of health would be most of all traces.
    assert!(collector.spans().iter().all(|span| span.name.starts_with("dictum.v1.")));
    let sent = collector.0.lock().expect("no panic").clone();
    let resource = sent[0].resource_spans[0].resource.as_ref().expect("a resource");
    assert_eq!(attribute(&resource.attributes, "service.name"), "dictum");
    for request in sent {
        let bytes = request.encode_to_vec();
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_decide_of_their_traces_and_the_share_of_others() {
    let collector = Collector::default();
    let server = spawn_server_with(new_folder(), collector.spawn(0.0).await).await;
    let mut client = server.classifier().await;
    for headers in [&[][..], &[("traceparent", NOT_SAMPLED)], &[("traceparent", "no trace")]] {
        client.classify(with(request(""), headers)).await.expect("an answer");
    }
    client.classify(with(request(""), &[("traceparent", SAMPLED)])).await.expect("an answer");
    server.stop().await;
    assert_eq!(collector.spans_of(CLASSIFY).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_spans_alone() {
    /// More than the queue holds.
    const CALLS: usize = 3_000;
    for silent in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // One that takes the connection and says nothing, or none at all.
        let _listener = silent.then_some(listener);
        let server = spawn_server_with(new_folder(), |config| {
            config.traces.otlp_endpoint = Some(url.parse().expect("an address"));
        })
        .await;
        let mut client = server.classifier().await;
        for _ in 0..CALLS {
            client.classify(request("")).await.expect("an answer");
        }
        let began = Instant::now();
        server.stop().await;
        // Well below the grace: the last sending is given up.
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
