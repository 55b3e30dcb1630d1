"""Calls every RPC of the contract with grpcio, knowing it by reflection alone."""
import base64
import time

import grpc
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

from steps import CSV, encoded


def wait_until_serving(address, seconds=30):
    """Waits until the health service says SERVING."""
    deadline = time.monotonic() + seconds
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while True:
            try:
                request = health_pb2.HealthCheckRequest()
                answer = health.Check(request, wait_for_ready=True, timeout=seconds)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.RpcError:
                pass
            assert time.monotonic() < deadline, "the server does not serve"


class Client:
    """A client that knows the contract from the server's reflection."""

    def __init__(self, channel):
        self.channel = channel
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        self.called = set()

    def call(self, service, method, *requests):
        """Calls a method with requests given as dictionaries; returns a list of dictionaries."""
        descriptor = self.pool.FindServiceByName(f"dictum.v1.{service}").methods_by_name[method]
        request_class = GetMessageClass(descriptor.input_type)
        reply_class = GetMessageClass(descriptor.output_type)
        messages = [json_format.ParseDict(request, request_class()) for request in requests]
        kind = ("stream" if descriptor.client_streaming else "unary") + "_" + (
            "stream" if descriptor.server_streaming else "unary")
        stub = getattr(self.channel, kind)(
            f"/dictum.v1.{service}/{method}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=reply_class.FromString,
        )
        self.called.add((service, method))
        replies = stub(iter(messages) if descriptor.client_streaming else messages[0], timeout=60)
        replies = replies if descriptor.server_streaming else [replies]
        return [json_format.MessageToDict(reply, preserving_proto_field_name=True)
                for reply in replies]

    def methods(self):
        """All methods of the contract."""
        services = [self.pool.FindServiceByName(f"dictum.v1.{name}")
                    for name in ("ClassifierService", "ModelService")]
        return {(service.name, method.name) for service in services for method in service.methods}


def refused(call, code, reason, field=None):
    """Asserts that a call fails with a code, an ErrorInfo reason and a field violation."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, f"{error.code()} {error.details()}"
        details = rpc_status.from_call(error).details
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        assert any(detail.Unpack(info) for detail in details), "no ErrorInfo"
        assert info.domain == "dictum.v1" and (reason is None or info.reason == reason), info
        if field:
            assert any(detail.Unpack(bad) for detail in details), "no BadRequest"
            assert bad.field_violations[0].field == field, bad
        return
    raise AssertionError(f"expected {code}")


def call_everything(address):
    """Calls every RPC and checks what comes back; returns how many methods there are."""
    with grpc.insecure_channel(address) as channel:
        client = Client(channel)
        train_and_classify(client)
        manage(client)
        missing = client.methods() - client.called
        assert not missing, f"not called: {missing}"
        return len(client.called)


def train_and_classify(client):
    data = CSV.encode()
    chunks = [{"csv": base64.b64encode(data[i:i + 7]).decode()} for i in range(0, len(data), 7)]
    spec = {"spec": {"model": "claims"}}
    *progress, last = client.call("ModelService", "TrainModel", spec, *chunks)
    assert progress and all("progress" in reply for reply in progress)
    assert last["model"]["model_version"] == {"name": "claims", "version": "1"}, last
    assert last["data_report"]["used_count"] == "6", last
    client.call("ModelService", "TrainModel", spec, *chunks)

    options = {"model": "claims", "explain": True}
    sentence = "They never took the money."
    [answer] = client.call("ClassifierService", "Classify",
                           {"sentence": sentence, "options": options})
    classification = answer["classification"]
    assert answer["model_version"] == {"name": "claims", "version": "2"}
    assert abs(sum(s["probability"] for s in classification["scores"]) - 1) < 1e-9
    explanation = classification["explanation"]
    total = explanation.get("prior_log_odds", 0) + explanation.get("rest_log_odds", 0) + sum(
        c.get("log_odds", 0) for c in explanation["contributions"])
    assert total >= 0

    [batch] = client.call("ClassifierService", "BatchClassify",
                          {"sentences": [sentence] * 200, "options": options})
    assert batch["classifications"] == [classification] * 200
    items = [{"id": str(i), "sentence": sentence if i != 3 else " "} for i in range(10)]
    replies = client.call("ClassifierService", "StreamClassify", *items)
    assert [reply["id"] for reply in replies] == [str(i) for i in range(10)]
    assert replies[3]["error"]["code"] == 3 and "classification" in replies[4]
    [text] = client.call("ClassifierService", "ClassifyText",
                         {"text": "Mr. Ôno 😀 paid 3.5 euros. We deny it!",
                          "offset_encoding": "OFFSET_ENCODING_UTF32"})
    spans = [(s["span"].get("start", 0), s["span"]["end"]) for s in text["sentences"]]
    assert spans == [(0, 25), (26, 37)], text
    for request, field in [({"sentence": ""}, "sentence"), ({"sentence": "x" * 65_537}, "sentence"),
                           ({"sentence": "x", "options": {"min_probability": "NaN"}},
                            "options.min_probability")]:
        refused(lambda: client.call("ClassifierService", "Classify", request),
                grpc.StatusCode.INVALID_ARGUMENT, None, field)


def manage(client):
    [page] = client.call("ModelService", "ListModels", {"page_size": 1, "model": "claims"})
    assert page["models"][0]["model_version"]["version"] == "2" and page["next_page_token"]
    [model] = client.call("ModelService", "GetModel", {"model": "claims", "version": 1})
    assert model["model"]["evaluation"]["example_count"] == "6"
    [judged] = client.call("ModelService", "EvaluateModel", {"spec": {"model": "claims"}},
                           {"csv": encoded(CSV)})
    assert judged["evaluation"]["example_count"] == "6"
    [verified] = client.call("ModelService", "VerifyModel", {"model": "claims", "version": 1})
    assert verified == {"model_version": {"name": "claims", "version": "1"}}, verified
    refused(lambda: client.call("ModelService", "DeleteModel", {"model": "claims", "version": 2}),
            grpc.StatusCode.FAILED_PRECONDITION, None)
    [active] = client.call("ModelService", "ActivateModel", {"model": "claims", "version": 1})
    assert active["previous_version"] == "2"
    client.call("ModelService", "DeleteModel", {"model": "claims", "version": 2})
    refused(lambda: client.call("ModelService", "GetModel", {"model": "nobody"}),
            grpc.StatusCode.NOT_FOUND, None)
