"""The real program, started, watched and stopped; and a client that knows just enough of the contract."""
import json
import os
import re
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import grpc

# A word in every input of the suite. It must be nowhere in what the server writes.
CANARY = "qzcanaryzq"
SERVICE = "/dictum.v1.ClassifierService/"


def on(cores):
    """What stands before a command that may use these processors alone."""
    return ["taskset", "-c", ",".join(map(str, cores))] if cores else []


class Program:
    """A server on free ports with a folder of its own, which writes down every call, or only what it does by itself."""

    def __init__(self, path, folder, *settings, cores=None, log_level="info,dictum::access=debug"):
        self.folder = Path(folder)
        self.lines = []
        self.scrapes = []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DICTUM_")}
        self.process = subprocess.Popen(
            [*on(cores), path, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--models",
             str(self.folder), "--log-format", "json", "--log-level", log_level, *settings],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.address = self._logged("listening", "address")
        self.metrics = self._logged("metrics", "address")
        self._logged("serving", "level")

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def _logged(self, message, field, patience=60):
        """Waits for a record and returns one of its fields."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            for line in list(self.lines):
                record = json.loads(line)
                if record.get("message") == message:
                    return record[field]
            assert self.process.poll() is None, "".join(self.lines)
            time.sleep(0.02)
        raise TimeoutError(message)

    def memory(self):
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def peak_memory(self):
        """The most resident memory in MiB, since `memory_from_here`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def memory_from_here(self):
        """Resident memory in MiB; forgets the peak before."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.memory()

    def cpu(self):
        """Seconds of processor time."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def training_cpu(self):
        """Seconds of processor time of the threads that train, which end with their jobs or stay."""
        total = 0
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                if (thread / "comm").read_text().startswith(("dictum-train", "dictum-job")):
                    total += int((thread / "schedstat").read_text().split()[0])
            except OSError:
                pass  # It has ended.
        return total / 1e9

    def scrape(self):
        text = urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=10).read().decode()
        self.scrapes.append(text)
        return text

    def metric(self, name, **labels):
        """The sum of the series of a name with these labels."""
        total = 0.0
        for line in self.scrape().splitlines():
            if line.split("{")[0].split(" ")[0] == name and all(
                    f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def calls(self, method):
        """How many calls of a method its log tells of; complete once it has stopped."""
        self.reader.join(timeout=10)
        return sum(record.get("message") == "call" and record["method"].endswith("/" + method)
                   for record in map(json.loads, self.lines))

    def stop(self, patience=60):
        """SIGTERM; returns the seconds it took and the exit code."""
        began = time.monotonic()
        self.process.terminate()
        code = self.process.wait(timeout=patience)
        return time.monotonic() - began, code

    def written(self):
        """Everything it has written so far."""
        return "".join(self.lines) + "".join(self.scrapes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.scrape()
            self.process.kill()
            self.process.wait()


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, payload):
    """A length-delimited field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def one(sentence):
    """A ClassifyRequest; of a stream too, where the sentence is the second field."""
    return field(1, sentence.encode())


def item(sentence):
    """A StreamClassifyRequest for one label of the answer."""
    return field(2, sentence.encode()) + field(3, varint(3 << 3) + varint(1))


def batch(sentence, n):
    """A BatchClassifyRequest of n equal sentences."""
    return field(1, sentence.encode()) * n


def channel(address, *options, ca=None):
    """A channel, over TLS where there is a certificate to trust."""
    # A subchannel of its own: grpcio shares connections between channels that look alike.
    options = [("grpc.use_local_subchannel_pool", 1), *options]
    if ca:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(Path(ca).read_bytes()), options)
    return grpc.insecure_channel(address, options=options)


def unary(channel, method="Classify", service=SERVICE):
    return channel.unary_unary(service + method)


def stream(channel, method="StreamClassify", service=SERVICE):
    return channel.stream_stream(service + method)


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(len(times) * share))]
