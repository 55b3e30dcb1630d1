"""Checks of what a call may cost: memory, time after its deadline, a panic, and the layers around all of them."""
import random
import re
import socket
import subprocess
import threading
import time
import zlib

import grpc
import h2.config
import h2.connection
import h2.events

import attack
import program
from program import CANARY
from suite import ROOT

MIB = 1 << 20
MODELS = "/dictum.v1.ModelService/"
OK, RESOURCE_EXHAUSTED, INTERNAL, DEADLINE_EXCEEDED = 0, 8, 13, 4


class Call:
    """A call by hand, for what a proper client does not send: its headers are all given, its messages as
    they are framed."""

    def __init__(self, address, path, *headers):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.connection.increment_flow_control_window(1 << 24)
        self.stream = self.connection.get_next_available_stream_id()
        self.status = None
        self.connection.send_headers(self.stream, [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("content-type", "application/grpc"), ("te", "trailers"), *headers])
        self._flush()

    def send(self, data, is_last):
        """Sends as the server makes room; returns early when it has answered."""
        at = 0
        while at < len(data) and self.status is None:
            room = min(self.connection.local_flow_control_window(self.stream),
                       self.connection.max_outbound_frame_size)
            if room == 0:
                self._receive()
                continue
            self.connection.send_data(self.stream, data[at:at + room])
            at += room
            self._flush()
        if is_last and self.status is None:
            self.connection.end_stream(self.stream)
            self._flush()

    def wait(self):
        """The gRPC status."""
        while self.status is None:
            self._receive()
        self.socket.close()
        return self.status

    def _flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def _receive(self):
        data = self.socket.recv(65_536)
        assert data, "the server ended the connection"
        for event in self.connection.receive_data(data):
            if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                self.status = next((int(value) for name, value in event.headers if name == "grpc-status"),
                                   self.status)
            elif isinstance(event, h2.events.DataReceived):
                self.connection.acknowledge_received_data(event.flow_controlled_length, self.stream)
        self._flush()


def bomb(limit):
    """At most so many bytes of gzip that become a thousand times as many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    # From one full flush to the next nothing depends on what came before: the same bytes again and again.
    piece = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    n = (limit - len(head)) // len(piece)
    return head + piece * n, (n + 1) * MIB


def zeros(suite):
    """Eight calls at once, each with a message that is small only as long as it is packed."""
    n_calls = 8
    packed, unpacked = bomb(4 * MIB - 64)
    message = b"\1" + len(packed).to_bytes(4) + packed
    found = []
    with suite.server("--gzip") as server:
        def call():
            started = time.monotonic()
            one = Call(server.address, program.SERVICE + "BatchClassify", ("grpc-encoding", "gzip"))
            one.send(message, True)
            found.append((one.wait(), time.monotonic() - started))

        call()
        before = server.memory_from_here()
        cpu = server.cpu()
        callers = [threading.Thread(target=call) for _ in range(n_calls)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        grown = (server.peak_memory() - before) / n_calls
        cpu = (server.cpu() - cpu) / n_calls
    codes = {code for code, _ in found}
    return (f"{len(packed) / MIB:.1f} MiB that become {unpacked / MIB / 1024:.1f} GiB: status {codes}, memory "
            f"+ {grown:.1f} MiB a call, {cpu * 1e3:.0f} ms of processor a call",
            codes == {RESOURCE_EXHAUSTED} and len(found) == n_calls + 1 and grown <= 8)


def rows(n):
    """A CSV that takes long to learn from."""
    draw = random.Random(7)
    words = [f"{CANARY}{n}" for n in range(20_000)]
    lines = [f"{' '.join(draw.choices(words, k=15))},label{draw.randrange(20)}\n" for _ in range(n)]
    return ("text,label\n" + "".join(lines)).encode()


def training_deadlines(suite):
    """Deadlines, and clients that leave, at every point of a training: at each the work has to end, too.

    The time is that of the training's threads. What they still get to do depends on who else has the
    machine, so how long they went on is told beside it."""
    csv = rows(suite.seconds(20_000, 60_000))
    codes, ends = [], []
    with suite.server() as server:
        def timed():
            began = time.monotonic()
            train(server, csv).wait()
            return time.monotonic() - began

        # The first one takes longer.
        whole = min(timed(), timed())
        n = suite.seconds(4, 20)
        for k in range(n):
            seconds = 0.05 + (whole - 0.05) * k / n
            for leaves in (False, True):
                began = time.monotonic()
                call = train(server, csv, None if leaves else seconds)
                time.sleep(max(0.0, began + seconds - time.monotonic()))
                if leaves:
                    call.socket.close()
                ends.append(work_after(server))
                codes += [] if leaves else [call.wait()]
    late, busy = (max(figures) for figures in zip(*ends))
    return (f"{n} deadlines and {n} clients that left, over {whole:.1f} s: status {set(codes)}, afterwards work for "
            f"{late * 1e3:.0f} ms with {busy * 1e3:.0f} ms of processor at most",
            # The last may be done before its time.
            set(codes) <= {OK, DEADLINE_EXCEEDED} and codes.count(DEADLINE_EXCEEDED) >= 0.75 * n,
            late <= 0.05)


def train(server, csv, seconds=None):
    """A training whose data has been sent."""
    headers = () if seconds is None else (("grpc-timeout", f"{int(seconds * 1e3)}m"),)
    call = Call(server.address, MODELS + "TrainModel", *headers)
    for at in range(0, len(csv), MIB):
        call.send(attack.message(program.field(2, csv[at:at + MIB])), at + MIB >= len(csv))
    return call


def work_after(server):
    """For how long, from now on, threads that train do something, and how much: in seconds."""
    began = last = time.monotonic()
    first = before = server.training_cpu()
    busy = 0.0
    while time.monotonic() - last < 0.3:
        time.sleep(0.005)
        now = server.training_cpu()
        if now - before > 0.0005:
            last, busy = time.monotonic(), now - first
        before = now
    return last - began, busy


def panics(suite):
    """A sentence that panics, which builds for tests have."""
    n, sentence = 10, "\x01panic\x01"
    codes = []
    with suite.server() as server, program.channel(server.address) as channel:
        def code(call):
            try:
                call()
                codes.append(OK)
            except grpc.RpcError as error:
                codes.append(error.code().value[0])

        classify = program.unary(channel)
        code(lambda: classify(program.one(sentence), timeout=10))
        if codes == [OK]:
            return "not in this build: run it with a build for tests", True
        batch = program.batch("No.", 200) + program.one(sentence)
        for _ in range(n):
            code(lambda: classify(program.one(sentence), timeout=10))
            code(lambda: program.unary(channel, "BatchClassify")(batch, timeout=10))
            code(lambda: program.unary(channel, "ClassifyText")(program.one(sentence), timeout=10))
            code(lambda: list(program.stream(channel)(iter([program.item(sentence)]), timeout=10)))
            classify(program.one(CANARY), timeout=10)
        counted = server.metric("dictum_panics_total")
    return (f"{codes.count(INTERNAL)} of {len(codes)} INTERNAL, {counted:.0f} counted, the server lives",
            set(codes) == {INTERNAL} and counted == len(codes))


def layers(suite):
    """The server with all layers in use beside a bare service, in one process; takes an optimised build."""
    if not suite.is_long:
        return "measured by --long alone", True
    command = ["taskset", "-c", "0", "cargo", "bench", "--locked", "--quiet", "--bench", "layers"]
    printed = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    shares = dict(re.findall(r"(?m)^(.*): .* requests/s, ([0-9.]+) of", printed))
    return "; ".join(printed.splitlines()), True, float(shares["all layers"]) >= 0.95
