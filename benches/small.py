"""How well Dictum does on little data, and how well it knows that.

Usage: python3 benches/small.py DATA.csv ROWS LABELS [SAMPLES]

Draws SAMPLES (10) stratified samples of ROWS rows under LABELS labels, trains on each and judges on
rows that are left (at most 1,500). Prints means: accuracy, log loss beside that of an answer by the
labels' shares alone, calibration error and how often the log loss was worse than that. Needs
`cargo build --release`.
"""
import collections
import math
import random
import sys

import accuracy


def sample(rows, n_rows, n_labels, seed):
    """Training rows with every label's share of them, at least 2 a label, and rows to judge on."""
    draw = random.Random(seed)
    labels = draw.sample(sorted({label for _, label in rows}), n_labels)
    rows = [row for row in dict(rows).items() if row[1] in labels]
    draw.shuffle(rows)
    shares = collections.Counter(label for _, label in rows)
    wanted = {label: max(2, round(n_rows * n / len(rows))) for label, n in shares.items()}
    train, test = [], []
    for text, label in rows:
        if wanted[label] > 0:
            wanted[label] -= 1
            train.append((text, label))
        else:
            test.append((text, label))
    return train, test[:1500]


def probabilities(train, test):
    """For each test row the probabilities of the labels."""
    return [{score["label"]: score["probability"] for score in scores}
            for scores in accuracy.classified(train, test)]


def judge(train, test):
    answers, right = probabilities(train, test), [label for _, label in test]
    given = [max(answer, key=answer.get) for answer in answers]
    losses = [-math.log(max(answer[label], 1e-300)) for answer, label in zip(answers, right)]
    counts = collections.Counter(label for _, label in train)
    by_share = [-math.log(counts[label] / len(train)) for label in right]
    tops = [answer[label] for answer, label in zip(answers, given)]
    mean_loss, mean_by_share = sum(losses) / len(losses), sum(by_share) / len(by_share)
    return (accuracy.accuracy(given, right), mean_loss, mean_by_share,
            accuracy.calibration_error(given, right, tops), float(mean_loss > mean_by_share))


def main(path, n_rows, n_labels, n_samples=10):
    rows = accuracy.rows_of(path)
    figures = [judge(*sample(rows, int(n_rows), int(n_labels), seed))
               for seed in range(int(n_samples))]
    names = "accuracy", "log loss", "by shares", "ECE", "worse"
    means = [sum(column) / len(column) for column in zip(*figures)]
    print("  ".join(f"{name} {mean:.3f}" for name, mean in zip(names, means)))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
