"""Sets Dictum's accuracy against scikit-learn's on the same splits, in one table.

Usage: python3 benches/accuracy.py FOLDER [NAME...]

FOLDER holds CSV files with the columns text and label: NAME_train.csv with NAME_test.csv is trained
on the one and judged on the other, NAME.csv alone is judged in 5 folds, identical texts in one fold. Test
rows are never used for choosing. Without names: all sets of the folder. Needs `cargo build --release`.
Prints accuracy, macro-F1, the lowest F1 of a label (that of spam, for SMS) and expected calibration error
(10 equal bins) of Dictum, and the accuracy of multinomial and complement naive Bayes (words and pairs)
and of LinearSVC on tf-idf of words and characters, all with scikit-learn's own settings.
"""
import collections
import csv
import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import peers

N_FOLDS = 5
PROGRAM = peers.ROOT / "target" / "release" / "dictum"


def rows_of(path):
    csv.field_size_limit(10**9)
    with open(path, encoding="utf8", newline="") as file:
        return [(" ".join(row["text"].split()), row["label"]) for row in csv.DictReader(file)]


def splits(folder, name):
    """Pairs of training rows and test rows."""
    if (folder / f"{name}_train.csv").exists():
        return [(rows_of(folder / f"{name}_train.csv"), rows_of(folder / f"{name}_test.csv"))]
    rows = rows_of(folder / f"{name}.csv")
    fold = [zlib.crc32(text.encode()) % N_FOLDS for text, _ in rows]
    return [([r for r, g in zip(rows, fold) if g != f], [r for r, g in zip(rows, fold) if g == f])
            for f in range(N_FOLDS)]


def write(path, rows):
    with open(path, "w", encoding="utf8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def classified(train, test, *options):
    """The labels' scores for each test row, best first, by the command itself."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "train.csv"
        write(data, train)
        models = ["--models", f"{folder}/models", "--model", "m"]
        subprocess.run([PROGRAM, "train", data, *models], check=True, stdout=subprocess.DEVNULL)
        lines = "".join(f"{text}\n" for text, _ in test)
        command = [PROGRAM, "classify", *models, "--json", *options]
        out = subprocess.run(command, check=True, input=lines, stdout=subprocess.PIPE, text=True)
    assert len(out.stdout.splitlines()) == len(test), "a test row without a sentence"
    return [json.loads(line)["classification"]["scores"] for line in out.stdout.splitlines()]


def dictum(train, test):
    """Best label and its probability for each test row."""
    return [(best["label"], best["probability"])
            for best, in classified(train, test, "--top-k", "1")]


def scikit_learn(train, test, left_out=()):
    """Predicted labels of each peer that is not left out."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.naive_bayes import ComplementNB, MultinomialNB
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    tf_idf = make_union(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
                        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True))
    peer_models = {
        "MultinomialNB": make_pipeline(CountVectorizer(ngram_range=(1, 2)), MultinomialNB()),
        "ComplementNB": make_pipeline(CountVectorizer(ngram_range=(1, 2)), ComplementNB()),
        "LinearSVC": make_pipeline(tf_idf, LinearSVC()),
    }
    (texts, labels), test_texts = zip(*train), [text for text, _ in test]
    return {name: model.fit(texts, labels).predict(test_texts)
            for name, model in peer_models.items() if name not in left_out}


def accuracy(given, right):
    return sum(g == r for g, r in zip(given, right)) / len(right)


def f1s(given, right):
    hits = collections.Counter(r for g, r in zip(given, right) if g == r)
    totals = collections.Counter(given) + collections.Counter(right)
    return [2 * hits[label] / totals[label] for label in sorted(set(right))]


def macro_f1(given, right):
    return sum(f1s(given, right)) / len(set(right))


def calibration_error(given, right, probabilities):
    gaps = collections.Counter()
    for g, r, p in zip(given, right, probabilities):
        gaps[min(int(p * 10), 9)] += p - (g == r)
    return sum(abs(gap) for gap in gaps.values()) / len(right)


def judge(folder, name):
    right, answers, by_peer = [], [], collections.defaultdict(list)
    for train, test in splits(folder, name):
        right += [label for _, label in test]
        answers += dictum(train, test)
        for peer, given in scikit_learn(train, test).items():
            by_peer[peer] += list(given)
    given, probabilities = zip(*answers)
    figures = [accuracy(given, right), macro_f1(given, right), min(f1s(given, right)),
               calibration_error(given, right, probabilities)]
    return figures + [accuracy(by_peer[peer], right) for peer in sorted(by_peer)]


def main(folder, *names):
    folder = Path(folder)
    found = sorted({path.stem.removesuffix("_train").removesuffix("_test")
                    for path in folder.glob("*.csv")})
    columns = ["accuracy", "macro-F1", "lowest F1", "ECE", "ComplementNB", "LinearSVC", "MultinomialNB"]
    print(f"{'set':14}" + "".join(f"{column:>15}" for column in columns), flush=True)
    for name in names or found:
        print(f"{name:14}" + "".join(f"{value:15.4f}" for value in judge(folder, name)), flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    peers.enter_environment()
    main(*sys.argv[1:])
