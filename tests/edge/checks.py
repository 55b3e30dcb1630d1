"""What is promised of the edge, each as a check that gives its figures and whether they are good."""
import asyncio
import itertools
import json
import os
import socket
import struct
import threading
import time

import grpc
import hpack

import attack
import limits
import program
from program import CANARY
from suite import result, run

GRACE = 2.0
# The first is for who would be on another machine: who offers load, and who attacks.
CORES = sorted(os.sched_getaffinity(0))


def shutdown(suite):
    """SIGTERM while everything goes on that could hold it up."""
    n = 50 if suite.is_long else 5
    worst, lost = 0.0, 0
    for _ in range(n):
        with suite.server("--shutdown-grace-seconds", str(GRACE)) as server:
            held, stop = [], threading.Event()
            host, port = server.address.rsplit(":", 1)
            sockets = [socket.create_connection((host, int(port))) for _ in range(50)]
            idle, busy, channel = (program.channel(server.address) for _ in range(3))
            idle.unary_unary("/grpc.health.v1.Health/Check")(b"")
            for _ in range(20):
                held.append(program.stream(channel)(open_requests([program.item(CANARY)], stop)))
            held.append(channel.unary_stream("/grpc.health.v1.Health/Watch")(b""))
            rows = f"text,label\nThe {CANARY} is here,yes\nNo {CANARY},no\n".encode()
            upload = [program.field(2, rows)]
            held.append(program.stream(channel, "TrainModel", "/dictum.v1.ModelService/")(
                open_requests(upload, stop)))
            for call in held[:21]:
                next(call)
            answered, failed = [], []
            callers = [threading.Thread(target=call_until, args=(busy, stop, answered, failed))
                       for _ in range(4)]
            for caller in callers:
                caller.start()
            time.sleep(0.2)
            took, code = server.stop(patience=GRACE + 10)
            stop.set()
            for caller in callers:
                caller.join()
            # A call that the server has taken may not be lost, nor may any end unexplained.
            lost += server.calls("Classify") - len(answered) + sum(code != "UNAVAILABLE" for code in failed)
            worst = max(worst, took)
            assert code == 0, f"exit code {code}"
            for thing in (*sockets, idle, busy, channel):
                thing.close()
    return (f"{n} runs: longest {worst:.2f} s with {GRACE:g} s of grace, exit 0, {lost} calls lost",
            worst <= GRACE + 0.5 and lost == 0)


def open_requests(first, stop):
    yield from first
    stop.wait(60)


def call_until(channel, stop, answered, failed):
    classify = program.unary(channel)
    while not stop.is_set():
        try:
            classify(program.one(CANARY), timeout=10)
            answered.append(None)
        except grpc.RpcError as error:
            failed.append(error.code().name)
            time.sleep(0.01)


def deadlines(suite):
    """Calls that cannot be done in time, by a client that leaves the deadline to the server."""
    codes = {}
    with suite.server() as server:
        # As long as fits into the first window of a stream: a job for the pool.
        text = program.field(1, f"{CANARY} denied it, the minister said. ".encode() * 1_400)
        calls = [("ClassifyText", text), ("StreamClassify", None), ("Classify", None)]
        host, port = server.address.rsplit(":", 1)
        deadlines = itertools.cycle(range(1, 51))
        n = 1_000
        for start in range(0, n, 20):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                # Room for every reply: what waits for its client is not the server's to end.
                room = attack.frame(attack.SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 24))
                room += attack.frame(attack.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 26))
                connection.sendall(attack.PREFACE + room)
                for k in range(20):
                    method, payload = calls[0 if k == 0 else 1 + k % 2]
                    send_call(connection, 2 * k + 1, method, payload, next(deadlines))
                for status in statuses(connection, 20):
                    codes[status] = codes.get(status, 0) + 1
        time.sleep(0.05)
        before = server.cpu()
        time.sleep(0.5)
        busy = server.cpu() - before
    names = {0: "OK", 1: "CANCELLED", 4: "DEADLINE_EXCEEDED", 8: "RESOURCE_EXHAUSTED"}
    shown = ", ".join(f"{count} {names.get(code, code)}" for code, count in sorted(codes.items()))
    late = codes.get(4, 0)
    return (f"{n} calls: {shown}; 50 ms later {busy / 0.5:.0%} of a core",
            set(codes) <= {0, 4, 8} and late >= n * 0.9 and busy <= 0.05)


def send_call(connection, stream, method, payload, millis):
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    block = encoder.encode([
        (":method", "POST"), (":scheme", "http"), (":path", program.SERVICE + method),
        (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers"),
        ("grpc-timeout", f"{millis}m")])
    connection.sendall(attack.frame(attack.HEADERS, attack.END_HEADERS, stream, block))
    if payload is None:
        return
    body = attack.message(payload)
    assert len(body) < 65_535, "more than the first window of a stream"
    for at in range(0, len(body), 16_000):
        connection.sendall(attack.frame(attack.DATA, 0, stream, body[at:at + 16_000]))
    connection.sendall(attack.frame(attack.DATA, attack.END_STREAM, stream))


def statuses(connection, n):
    """The gRPC statuses of the first n streams that end."""
    decoder, received, found = hpack.Decoder(), b"", 0
    while found < n:
        data = connection.recv(65_536)
        assert data, "the server ended the connection"
        received += data
        while len(received) >= 9:
            length = int.from_bytes(received[:3], "big")
            if len(received) < 9 + length:
                break
            kind, payload, received = received[3], received[9:9 + length], received[9 + length:]
            if kind == attack.HEADERS:
                for name, value in decoder.decode(payload):
                    if name == "grpc-status":
                        found += 1
                        yield int(value)


def overload(suite):
    """Three times what the server can do. Client and server have processors of their own: whoever offers three
    times as much also works three times as much, and it is not to be the server's that it takes.

    How fast a shared processor is changes within seconds, by a quarter and more. So the loads take turns, and
    what was answered under each is added up."""
    n_turns, seconds = suite.seconds(3, 10), 2
    with suite.server(is_measured=True, cores=CORES[1:]) as server:
        def offer(rate):
            return result(run("offer.py", server.address, rate, seconds, cores=CORES[:1]))

        offer(0)
        before, grown, turns = server.memory(), 0.0, []
        for _ in range(n_turns):
            closed = offer(0)
            peak = rate_of(closed)
            turns.append((closed, offer(0.7 * peak), offer(3 * peak)))
            grown = max(grown, server.memory() - before)
    closed, normal, much = map(together, zip(*turns))
    peak, goodput = rate_of(closed), rate_of(much)
    usual, loaded = (program.percentile(r["answered"], 0.99) for r in (normal, much))
    refused = program.percentile(much["refused"] or [0.0], 0.99)
    offered = much["offered"] / much["offering"] / peak
    figures = (f"peak {peak:.0f}/s; at {offered:.1f} times: {goodput / peak:.0%} of it, p99 of accepted "
               f"{loaded:.0f} ms ({loaded / usual:.1f} x that at 70 %), of refusals {refused:.0f} ms, "
               f"{len(much['refused'])} refused, memory + {grown:.0f} MiB, others {set(much['others']) or 0}")
    return figures, not much["others"] and grown <= 128, goodput >= 0.9 * peak, loaded <= 2 * usual


def together(offers):
    """What several offers gave, as if it had been one."""
    return {name: sum((offer[name] for offer in offers), start=type(offers[0][name])()) for name in offers[0]}


def rate_of(offer):
    return len(offer["answered"]) / offer["seconds"]


def attacked(name, over_tls=False):
    """What others see of a server that is attacked. The attacker has a processor of its own: it fills its own
    buffers, and that is not to be the others' that it takes. What is left of that is measured while it spends
    itself on a sink that does nothing, the control: more is the server's doing. Calm, attack and control take
    turns: the machine changes too."""
    def check(suite):
        n_turns, seconds = suite.seconds(1, 3), suite.seconds(2, 10)
        short = ("--first-byte-timeout-seconds", "2", "--untaken-reply-timeout-seconds", "2")
        with suite.server(*short, is_measured=True, over_tls=over_tls, cores=CORES[1:]) as server:
            others(server, 1)
            before = server.memory()
            turns = [attack_once(server, name, seconds) for _ in range(n_turns)]
        calm, attack, control = map(together, zip(*turns))
        usual, beside, p99 = (program.percentile(r["times"], 0.99) for r in (calm, control, attack))
        grown = max(attack["memory"]) - before
        figures = (f"others' p99 {p99:.1f} ms ({p99 / usual:.1f} x; control {beside:.1f} ms, "
                   f"{beside / usual:.1f} x), errors {set(attack['errors']) or 0}, memory + {grown:.0f} MiB, "
                   f"{attack['cpu'] / (n_turns * (seconds + 1)):.0%} of a core; {attack['sent']} sent, "
                   f"ended {attack['ended']} times")
        return (figures, not attack["errors"] and grown <= 64 and attack["ended"] > 0,
                p99 <= max(3 * usual, 1.2 * beside))
    return check


def attack_once(server, name, seconds):
    """What others see before an attack, during one, and beside one on a sink."""
    calm = others(server, seconds)
    memory, cpu = [server.memory()], server.cpu()
    attacker = run("attack.py", name, server.address, seconds + 1, cores=CORES[:1])
    time.sleep(0.5)
    during = others(server, seconds, lambda: memory.append(server.memory()))
    attacker = result(attacker)
    during |= attacker | {"memory": memory, "cpu": server.cpu() - cpu}
    # It takes of each connection what the server took.
    sink = run("sink.py", seconds + 5, 1 + attacker["bytes"] // max(1, attacker["ended"]), cores=CORES[1:])
    decoy = run("attack.py", name, json.loads(sink.stdout.readline()), seconds + 1, cores=CORES[:1])
    time.sleep(0.5)
    control = others(server, seconds)
    decoy.communicate(timeout=120)
    sink.communicate(timeout=120)
    return calm, during, control


def others(server, seconds, meanwhile=lambda: None):
    """What a client sees that makes a hundred calls a second."""
    client = run("client.py", server.address, seconds, 100, server.ca or "", cores=CORES[1:])
    while client.poll() is None:
        meanwhile()
        time.sleep(0.1)
    return json.loads(client.stdout.read())


def tiny_messages(suite):
    """No attack: many tiny messages, and a reader that takes its time."""
    n = 100_000
    with suite.server() as server:
        with program.channel(server.address) as channel:
            texts = itertools.cycle([f"No {CANARY}.", "He denied it.", "x", f"The {CANARY} bank was fined."])
            requests = (program.item(next(texts)) for _ in range(n))
            read = 0
            for _ in program.stream(channel)(requests):
                read += 1
                if read % 1_000 == 0:
                    time.sleep(0.02)
        many = asyncio.run(many_streams(server.address, 200, 500))
    return f"{read} of {n} on one stream, {many} of 100000 on 200 streams", read == n and many == 100_000


async def many_streams(address, n_streams, n_items):
    async with grpc.aio.insecure_channel(address) as channel:
        async def one_stream():
            async def requests():
                for _ in range(n_items):
                    yield program.item(f"No {CANARY}.")
            read = 0
            async for _ in channel.stream_stream(program.SERVICE + "StreamClassify")(requests()):
                read += 1
                if read % 100 == 0:
                    await asyncio.sleep(0.01)
            return read
        # As many at a time as a connection carries.
        return sum(await asyncio.gather(*(one_stream() for _ in range(n_streams))))


def canary(suite):
    """Last: what all servers of the suite have written, and what they have sent to the collector."""
    written = "".join(suite.written)
    hits = written.count(CANARY) + suite.collector.count(CANARY)
    n_spans = suite.collector.count("rpc.method")
    return (f"{hits} hits in {len(written.splitlines())} lines of logs and metrics, and in {n_spans} spans",
            hits == 0 and len(written) > 10_000 and n_spans > 100)


CHECKS = {
    "SIGTERM with idle, 50 silent, 20 streams, a Watch, a training": shutdown,
    "1,000 calls with deadlines of 1 to 50 ms": deadlines,
    "a deadline in a running training": limits.training_deadlines,
    "three times the capacity": overload,
    "rapid reset": attacked("rapid_reset"),
    "CONTINUATION flood": attacked("continuation"),
    "empty DATA": attacked("empty_data"),
    "PING flood": attacked("ping"),
    "answers to no PING": attacked("ping_answer"),
    "zero windows": attacked("zero_window"),
    "2,000 silent connections": attacked("silent"),
    "2,000 half prefaces": attacked("half_preface"),
    "2,000 half TLS handshakes": attacked("half_handshake", over_tls=True),
    "4 MiB of gzip zeros, a thousandfold": limits.zeros,
    "panics in a handler, a stream, a pool job": limits.panics,
    "100,000 tiny messages, 200 streams x 500": tiny_messages,
    "the cost of all layers": limits.layers,
    "a canary in every input": canary,
}
