"""Real clients against the real program: every RPC by grpcio through reflection, then every console
block of README.md, with grpcurl and the command itself.

Run by .ci/run after the build; needs requirements.txt, jq, and port 50051 of this machine.
"""
import contextlib
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


@contextlib.contextmanager
def server(models):
    """Serves a folder of models until the block ends, and checks what the server printed."""
    models.mkdir()
    environment = {**os.environ, "DICTUM_MODELS": str(models)}
    log = models.with_suffix(".log")
    with open(log, "wb") as output:
        process = subprocess.Popen([PROGRAM, "serve"], env=environment, stderr=output, stdout=output)
        try:
            calls.wait_until_serving(ADDRESS)
            yield
        finally:
            process.terminate()
            code = process.wait(timeout=40)
    assert code == 0, f"the server ended with {code}"
    # Not on a terminal every line is a log record, which is JSON.
    for line in log.read_text(encoding="utf8").splitlines():
        assert line.startswith("{"), f"not a log record: {line}"


def console_blocks(text):
    """Yields (command, expected output) of every ```console block."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            lines = part.splitlines()
            is_last = (lambda line: line == "END") if "<<'END'" in lines[0] else (
                lambda line: not line.endswith("\\"))
            last = next(i for i, line in enumerate(lines) if is_last(line))
            yield "\n".join(lines[: last + 1]), "\n".join(lines[last + 1:])


def rounded(text):
    """The text with its decimals rounded: the last digits may differ between machines."""
    decimal = r"-?\d+\.\d+(e-?\d+)?"
    return re.sub(decimal, lambda found: f"{float(found[0]):.2f}", text).strip("\n")


def run_readme(folder, models):
    environment = {**os.environ, "DICTUM_MODELS": str(models),
                   "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    failures = n = 0
    for command, expected in console_blocks((ROOT / "README.md").read_text(encoding="utf8")):
        n += 1
        result = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        if rounded(expected) != rounded(result.stdout):
            failures += 1
            print(f"README: $ {command}\n--- expected\n{expected}\n--- got\n{result.stdout}")
    return n, failures


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with server(folder / "calls"):
            n_calls = calls.call_everything(ADDRESS)
        with server(folder / "readme"):
            n_lines, failures = run_readme(folder, folder / "readme")
    print(f"{n_calls + n_lines - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
