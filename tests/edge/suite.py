"""What the checks of the suite have in common: the servers, what they wrote, and where they send traces."""
import concurrent.futures
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import grpc

from program import Program, on

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Collector:
    """Takes traces over OTLP, and keeps them as they came."""

    METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

    def __init__(self):
        self.received = []
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers([self])
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def service(self, details):
        if details.method == self.METHOD:
            return grpc.unary_unary_rpc_method_handler(self._export)
        return None

    def _export(self, request, _context):
        self.received.append(request)
        return b""

    def count(self, word):
        return sum(request.count(word.encode()) for request in self.received)


class Suite:
    """How thorough to be, and what every server wrote."""

    def __init__(self, path, is_long):
        self.path, self.is_long, self.written = path, is_long, []
        self.collector = Collector()

    def server(self, *settings, is_measured=False, over_tls=False, cores=None):
        """A server that is watched, on some processors or all. One whose times are measured writes down what it
        does by itself, and sends few traces: the collector is slow."""
        suite, folder = self, tempfile.TemporaryDirectory()
        traces = ("--otlp-endpoint", self.collector.url, "--trace-share", "0.01" if is_measured else "1")
        ca = None
        if over_tls:
            ca = certificate(Path(folder.name))
            settings += ("--tls-certificate", ca, "--tls-key", ca.with_suffix(".key"))

        class Watched(Program):
            def __exit__(self, *end):
                super().__exit__(*end)
                suite.written.append(self.written())
                folder.cleanup()

        logs = {"log_level": "info"} if is_measured else {}
        server = Watched(self.path, Path(folder.name) / "models", *traces, *map(str, settings), cores=cores, **logs)
        server.ca = ca
        return server

    def seconds(self, short, long):
        return long if self.is_long else short


def certificate(folder):
    """A certificate for this machine that vouches for itself; its key is beside it."""
    path = folder / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
         "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext",
         "basicConstraints=critical,CA:FALSE", "-keyout", path.with_suffix(".key"), "-out", path],
        check=True, stderr=subprocess.DEVNULL)
    return path


def run(script, *args, cores=None):
    command = [*on(cores), sys.executable, HERE / script, *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process):
    return json.loads(process.communicate(timeout=120)[0])
