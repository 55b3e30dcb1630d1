"""How good Dictum is where there are many labels, a label with two examples, or very many rows.

Usage: python3 benches/shapes.py FOLDER [labels|rare|rows]

- labels: banking77 of the FOLDER with every label split in two by whether the sentence has the word "my".
- rare: ag7600 with 2,000 training rows of three labels and 2 of the fourth, judged on 4,000 others; which
  label is the rare one goes round.
- rows: messages of six desktop programs in all their translations (see languages.py), told apart by program;
  1,000,000 distinct ones to train on, 20,000 others to judge on. LinearSVC, which would take long, is left out.

Figures and peers are those of accuracy.py. Needs `cargo build --release`.
"""
import random
import sys
import zlib
from pathlib import Path

import accuracy
import languages
import peers

N_ROWS, N_JUDGED = 1_000_000, 20_000


def labels(folder):
    """One pair of training and test rows; labels that the training rows do not have twice are left out."""
    split = [[(text, f"{label}, {'' if 'my' in text.lower().split() else 'not '}mine")
              for text, label in accuracy.rows_of(folder / f"banking77_{part}.csv")]
             for part in ("train", "test")]
    found = [label for _, label in split[0]]
    known = {label for label in found if found.count(label) > 1}
    yield [[row for row in rows if row[1] in known] for rows in split]


def rare(folder):
    rows = sorted(set(accuracy.rows_of(folder / "ag7600.csv")))
    random.Random(1).shuffle(rows)
    for rare_label in sorted({label for _, label in rows}):
        few = [row for row in rows if row[1] == rare_label]
        others = [row for row in rows if row[1] != rare_label]
        yield few[:2] + others[:2000], few[2:1002] + others[2000:5000]


def rows(_folder):
    """Of a message that several programs have, the program is that of the first."""
    languages.fetch()
    program_of = {}
    for package in languages.PROGRAMS:
        catalogues = languages.FOLDER / package / "usr/share/locale"
        for language in sorted(path.name for path in catalogues.iterdir()):
            for text in sorted(languages.messages(package, language)):
                program_of.setdefault(text, package)
    order = sorted(program_of, key=lambda text: (zlib.crc32(text.encode()), text))
    chosen = [(text, program_of[text]) for text in order[:N_ROWS + N_JUDGED]]
    yield chosen[N_JUDGED:], chosen[:N_JUDGED]


def main(folder, *names):
    for name in names or ("labels", "rare", "rows"):
        for train, test in globals()[name](Path(folder)):
            given, probabilities = zip(*accuracy.dictum(train, test))
            right = [label for _, label in test]
            print(f"{name}: {len(train)} rows, {len(set(label for _, label in train))} labels; "
                  f"accuracy {accuracy.accuracy(given, right):.4f}, "
                  f"macro-F1 {accuracy.macro_f1(given, right):.4f}, lowest F1 {min(accuracy.f1s(given, right)):.4f}, "
                  f"ECE {accuracy.calibration_error(given, right, probabilities):.4f}", flush=True)
            left_out = ("LinearSVC",) if name == "rows" else ()
            for peer, answers in accuracy.scikit_learn(train, test, left_out).items():
                print(f"  {peer} accuracy {accuracy.accuracy(answers, right):.4f}, "
                      f"macro-F1 {accuracy.macro_f1(answers, right):.4f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    peers.enter_environment()
    main(*sys.argv[1:])
