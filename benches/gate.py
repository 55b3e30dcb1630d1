"""Whether the gate keeps a model that learned wrong labels from answering.

Usage: python3 benches/gate.py FOLDER [NAME [SHARE]]

Trains on NAME_train.csv (banking77) of the folder with the command, then again on a copy in which a SHARE
(0.3) of the labels was dealt out anew among their rows, then on the clean rows once more; in the end on the
wrong labels with --force. Prints what was decided each time, why, and which version answers. Fails where
the decisions are not: first, refused, not worse, forced. Needs `cargo build --release`.
"""
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import accuracy

EXPECTED = ["FIRST", "REFUSED", "NOT_WORSE", "FORCED"]


def with_wrong_labels(rows, share):
    """The rows with the labels of some of them shuffled; the same ones each time."""
    draw = random.Random(1)
    chosen = draw.sample(range(len(rows)), round(share * len(rows)))
    shuffled = draw.sample(chosen, len(chosen))
    labels = dict(zip(chosen, (rows[row][1] for row in shuffled)))
    return [(text, labels.get(row, label)) for row, (text, label) in enumerate(rows)]


def train(rows, models, *more):
    data = Path(models) / "train.csv"
    accuracy.write(data, rows)
    command = [accuracy.PROGRAM, "train", data, "--models", f"{models}/models", "--model", "gate", "--json", *more]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)


def main(folder, name="banking77", share=0.3):
    clean = accuracy.rows_of(Path(folder) / f"{name}_train.csv")
    wrong = with_wrong_labels(clean, float(share))
    n_wrong = sum(a != b for a, b in zip(clean, wrong))
    print(f"{len(clean)} rows; {n_wrong} have another label in the copy")
    decisions = []
    with tempfile.TemporaryDirectory() as models:
        for what, rows, more in [("clean", clean, ()), ("wrong labels", wrong, ()), ("clean", clean, ()),
                                 ("wrong labels, forced", wrong, ("--force",))]:
            reply = train(rows, models, *more)
            activation, version = reply["activation"], reply["model"]["model_version"]["version"]
            decisions.append(activation["decision"].removeprefix("ACTIVATION_DECISION_"))
            answers = "answers" if reply["model"]["active"] else "does not answer"
            print(f"version {version}, {what}: {decisions[-1]}, {answers}; {activation['message']}")
            named = [f["line"] - 2 for f in reply["data_report"]["findings"]
                     if f["code"] == "FINDING_CODE_SUSPECTED_LABEL"]
            n_right = sum(rows[row] != clean[row] for row in named)
            print(f"  {len(named)} labels suspected, {n_right} of them are wrong ones")
    return decisions


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if main(*sys.argv[1:]) != EXPECTED:
        sys.exit(f"expected {EXPECTED}")
