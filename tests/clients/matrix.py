"""Real clients against the real program: every method of the contract and health, by each client, over
plaintext, TLS and mTLS, compressed and not. Prints a table of how many steps were answered as they
should be, and of how many bytes went over the wire: compression that is not there would be seen.

    NODE_PATH=…/node_modules python3 tests/clients/matrix.py [--program target/release/dictum]

Needs requirements.txt, node with @grpc/grpc-js and @grpc/proto-loader, openssl, and the example `tonic-client`
(`cargo build --examples`). Everything is on loopback.
"""
import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import grpc
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from steps import steps

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SERVICES = ("dictum.v1.ClassifierService", "dictum.v1.ModelService", "grpc.health.v1.Health")
SECURITY = ("plaintext", "TLS", "mTLS")


class Server:
    """The program on a free port; `wire` counts what goes to it and from it."""

    def __init__(self, program, folder, security, gzip):
        self.files = []
        settings = {"listen": "127.0.0.1:0", "metrics_listen": "off", "log_format": "json",
                    "models": str(folder / f"{security}-{gzip}"), "gzip": gzip}
        if security != "plaintext":
            settings |= {"tls_certificate": str(folder / "server.pem"), "tls_key": str(folder / "server.key")}
            self.files = [folder / "ca.pem"]
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        if security == "mTLS":
            lines.append(f'tls_client_ca = "{folder / "ca.pem"}"')
            lines.append('client_roles = { "client.example" = ["classify", "train", "admin"] }')
            self.files += [folder / "client.pem", folder / "client.key"]
        config = folder / f"{security}-{gzip}.toml"
        config.write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen([program, "serve", "--config", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        address = None
        for line in self.process.stderr:
            record = json.loads(line)
            address = address or record.get("address")
            if record["message"] == "serving":
                break
        assert address, "the server did not start"
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.wire = Wire(address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        code = self.process.wait(timeout=40)
        assert code == 0, f"the server ended with {code}"


class Wire:
    """Passes bytes on in both directions, and counts them."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.target = (host, int(port))
        self.bytes = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while data := source.recv(65_536):
                self.bytes += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def grpcio(server, is_compressed, wanted):
    options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    compression = grpc.Compression.Gzip if is_compressed else grpc.Compression.NoCompression
    address = server.wire.address
    if server.files:
        ca, certificate, key = ([file.read_bytes() for file in server.files] + [None, None])[:3]
        credentials = grpc.ssl_channel_credentials(ca, key, certificate)
        channel = grpc.secure_channel(address, credentials, options, compression)
    else:
        channel = grpc.insecure_channel(address, options, compression)
    with channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        services = [pool.FindServiceByName(name) for name in SERVICES]
        there_are = {f"/{service.full_name}/{method.name}" for service in services for method in service.methods}
        assert there_are <= {path for path, _ in wanted}, f"no step for all of {there_are}"
        return [call_grpcio(channel, pool, path, requests) for path, requests in wanted]


def call_grpcio(channel, pool, path, requests):
    service, method = path[1:].split("/")
    method = pool.FindServiceByName(service).methods_by_name[method]
    request_class, reply_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    messages = [json_format.ParseDict(request, request_class()) for request in requests]
    kind = (("stream" if method.client_streaming else "unary") + "_"
            + ("stream" if method.server_streaming else "unary"))
    stub = getattr(channel, kind)(path, request_serializer=request_class.SerializeToString,
                                  response_deserializer=reply_class.FromString)
    try:
        replies = stub(iter(messages) if method.client_streaming else messages[0], timeout=60)
        if method.name == "Watch":  # It has no end of its own.
            stream, replies = replies, [next(replies)]
            stream.cancel()
        replies = replies if method.server_streaming else [replies]
        return 0, [json_format.MessageToDict(reply, preserving_proto_field_name=True) for reply in replies]
    except grpc.RpcError as error:
        return error.code().value[0], []


def grpc_js(server, is_compressed, wanted):
    return of_process(["node", HERE / "client.js", ROOT / "proto"], server, is_compressed, wanted)


def tonic(server, is_compressed, wanted):
    return of_process([TONIC], server, is_compressed, wanted)


def of_process(command, server, is_compressed, wanted):
    command = [*command, server.wire.address, "gzip" if is_compressed else "identity", *server.files]
    result = subprocess.run(list(map(str, command)), input=json.dumps(wanted), text=True, timeout=120,
                            stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def grpcurl(server, _, wanted):
    access = ["-plaintext"]
    if server.files:
        flags = ["-cacert", "-cert", "-key"]
        access = [part for flag, file in zip(flags, server.files) for part in (flag, str(file))]
    results = []
    for path, requests in wanted:
        # A watch has no end of its own.
        limit = ["-max-time", "1"] if path.endswith("/Watch") else []
        command = ["grpcurl", *access, *limit, "-max-msg-sz", "67108864", "-d", "@",
                   server.wire.address, path[1:]]
        result = subprocess.run(command, input="\n".join(map(json.dumps, requests)), text=True, timeout=120,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # It ends with 64 and the code, or with 0.
        code = max(result.returncode - 64, 0)
        replies = [snake(reply) for reply in objects(result.stdout)]
        results.append((0 if limit and replies else code, replies))
    return results


def objects(text):
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        found, at = decoder.raw_decode(text, at)
        yield found


def snake(value):
    """Names as the contract has them; grpcurl shows them in camel case."""
    if isinstance(value, dict):
        return {re.sub("([A-Z])", lambda found: "_" + found[1].lower(), key): snake(inner)
                for key, inner in value.items()}
    return [snake(inner) for inner in value] if isinstance(value, list) else value


# It has no codec of its own, so that servers send it nothing compressed.
DOES_NOT_COMPRESS = {"grpcurl"}
CLIENTS = {"grpcio": grpcio, "grpc-js": grpc_js, "grpcurl": grpcurl, "tonic": tonic}
TONIC = ROOT / "target" / "debug" / "examples" / "tonic-client"


def missing():
    """What the clients need and is not there, each with what helps."""
    packages = "npm install @grpc/grpc-js @grpc/proto-loader, and NODE_PATH=…/node_modules"
    needed = {"node": (["node", "--version"], "install Node.js"),
              "grpcurl": (["grpcurl", "-version"], "install grpcurl"),
              "openssl": (["openssl", "version"], "install OpenSSL"),
              str(TONIC): (["test", "-x", TONIC], "cargo build --examples")}
    for package in ("@grpc/grpc-js", "@grpc/proto-loader"):
        needed[package] = (["node", "-e", f"require('{package}')"], packages)
    for name, (command, help) in needed.items():
        try:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            yield f"{name} is not there: {help}"


def certificates(folder):
    """An authority, a server on localhost, and a client."""
    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=folder, check=True, stderr=subprocess.DEVNULL)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    for name, host in (("server", "localhost"), ("client", "client.example")):
        openssl("req", *key, "-subj", f"/CN={host}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "names").write_text(f"subjectAltName=DNS:{host}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", f"{name}.pem")


def try_client(name, server, is_compressed):
    """Returns how many steps were answered as they should be, of how many, and the bytes on the wire."""
    wanted = steps(re.sub("[^a-z]", "", name))
    before = server.wire.bytes
    results = CLIENTS[name](server, is_compressed, [(path, requests) for path, requests, _ in wanted])
    good = 0
    for (path, _, check), (code, replies) in zip(wanted, results, strict=True):
        try:
            is_good = check(code, replies)
        except (KeyError, IndexError, TypeError):
            is_good = False
        good += is_good
        if not is_good:
            print(f"{name} {path}: code {code}, {json.dumps(replies)[:300]}", file=sys.stderr)
    return good, len(wanted), server.wire.bytes - before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "target" / "debug" / "dictum")
    args = parser.parse_args()
    if lacks := list(missing()):
        sys.exit("\n".join(lacks))
    rows, is_good = {}, True
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        certificates(folder)
        for security in SECURITY:
            for gzip in (False, True):
                with Server(args.program, folder, security, gzip) as server:
                    for name in CLIENTS:
                        rows[name, security, gzip] = try_client(name, server, gzip)
    print("| client | transport | identity | gzip |\n|---|---|---|---|")
    for name in CLIENTS:
        for security in SECURITY:
            (plain_good, n, plain), (good, _, packed) = (rows[name, security, gzip] for gzip in (False, True))
            compresses = name not in DOES_NOT_COMPRESS
            is_good &= plain_good == good == n and (packed < plain / 2 or not compresses)
            shown = f"{packed / 1e3:.0f} kB" if compresses else "does not compress"
            print(f"| {name} | {security} | {plain_good}/{n}, {plain / 1e3:.0f} kB | {good}/{n}, {shown} |")
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
