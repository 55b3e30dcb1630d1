"""Real clients against the real program: every RPC by grpcio through reflection, then every console
block of README.md, with grpcurl and the command itself.

Run by .ci/run after the build; needs requirements.txt, jq, and port 50051 of this machine.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import calls

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target" / "debug" / "dictum"
ADDRESS = "127.0.0.1:50051"


def start_server(models):
    """Starts the server and waits until it says SERVING."""
    environment = {**os.environ, "DICTUM_MODELS": str(models)}
    log = open(models / "server.log", "wb")
    server = subprocess.Popen([PROGRAM, "serve"], env=environment, stderr=log, stdout=log)
    calls.wait_until_serving(ADDRESS)
    return server


def console_blocks(text):
    """Yields (command, expected output) of every ```console block."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.splitlines()
            last = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            yield "\n".join(lines[: last + 1]), "\n".join(lines[last + 1:])


def matches(expected, got):
    """Whether the output is the expected one; a line `…` stands for any number of lines."""
    parts = [re.escape(part.strip("\n")) for part in re.split(r"^ *…$", expected, flags=re.M)]
    return re.fullmatch(r"(?:.*\n)?".join(parts) if len(parts) == 1 else r"[\s\S]*?".join(parts),
                        got.strip("\n")) is not None


def run_readme(folder, models):
    environment = {**os.environ, "DICTUM_MODELS": str(models),
                   "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    failures = n = 0
    for command, expected in console_blocks((ROOT / "README.md").read_text(encoding="utf8")):
        n += 1
        result = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        if not matches(expected, result.stdout):
            failures += 1
            print(f"README: $ {command}\n--- expected\n{expected}\n--- got\n{result.stdout}")
    return n, failures


def check_log(log):
    """Every line of the server's output is a log record, in JSON since it is not a terminal."""
    lines = log.read_text(encoding="utf8").splitlines()
    strays = [line for line in lines if not line.startswith("{")]
    print("\n".join(f"not a log record: {line}" for line in strays))
    return bool(strays)


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models = folder / "models"
        models.mkdir()
        server = start_server(models)
        try:
            n_calls = calls.call_everything(ADDRESS)
            n_lines, failures = run_readme(folder, models)
        finally:
            server.terminate()
            code = server.wait(timeout=40)
        failures += check_log(models / "server.log") + (code != 0)
    print(f"{n_calls + n_lines - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
