"""Sets Dictum's speed in process against scikit-learn's and fastText's, in one run.

Usage: python3 benches/peers.py DATA.csv [ROUNDS]     (columns: text, label; default: 3 rounds)
       python3 benches/peers.py --train DATA.csv [COPIES]   (training, default: 16 copies of the rows)
       python3 benches/peers.py --serve DATA.csv PORT (scikit-learn behind grpcio, for benches/grpc.rs)

Makes a virtual environment in target/ and installs the peers there. The programs take turns, each
on one core; rates are rows a second of processor time, the best of the rounds.
"""
import csv
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / "target" / "peers"
PACKAGES = ["scikit-learn", "fasttext-wheel", "grpcio"]


def enter_environment():
    """Runs this script again with the peers installed, unless it is what runs again."""
    if "DICTUM_PEERS" in os.environ:
        return
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(ENVIRONMENT, with_pip=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
    os.environ["DICTUM_PEERS"] = "1"
    os.execv(python, [str(python), *sys.argv])


def read(path):
    csv.field_size_limit(10**9)
    with open(path, encoding="utf8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [r[0].replace("\n", " ") for r in rows], [r[1].replace(" ", "_") for r in rows]


def rate(n_rows, work):
    """Rows a second, of at least a second's work."""
    start, n_passes = time.process_time(), 0
    while n_passes == 0 or time.process_time() - start < 1:
        work()
        n_passes += 1
    return n_rows * n_passes / (time.process_time() - start)


def scikit_learn(texts, labels):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    vectorizer = CountVectorizer(ngram_range=(1, 2))
    model = MultinomialNB(alpha=0.3).fit(vectorizer.fit_transform(texts), labels)
    return lambda some: model.predict_proba(vectorizer.transform(some)), model.classes_


def fasttext_test(path, **settings):
    import fasttext

    model = fasttext.train_supervised(path, epoch=5, dim=10, thread=1, verbose=0, **settings)
    return lambda: model.test(path)


def dictum(path):
    """Rates by name, as the benchmark prints them."""
    command = ["cargo", "bench", "--quiet", "--bench", "in_process", "--", path]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    rates = {name: float(value) for name, value in re.findall(r"^(.+): (\d+) rows/s$", out, re.M)}
    return rates, out


def compare(path, n_rounds):
    texts, labels = read(path)
    predict, _ = scikit_learn(texts, labels)
    best, report = {}, ""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf8") as file:
        file.write("\n".join(f"__label__{label} {text}" for text, label in zip(texts, labels)))
        file.flush()
        pairs = fasttext_test(file.name, wordNgrams=2)
        subwords = fasttext_test(file.name, wordNgrams=3, minn=3, maxn=5)
        for _ in range(n_rounds):
            rates, report = dictum(path)
            rates["scikit-learn, batch"] = rate(len(texts), lambda: predict(texts))
            single = texts[:200]
            rates["scikit-learn, single"] = rate(
                len(single), lambda: [predict([text]) for text in single]
            )
            rates["fastText test, pairs"] = rate(len(texts), pairs)
            rates["fastText test, triples and subwords"] = rate(len(texts), subwords)
            for name, value in rates.items():
                best[name] = max(value, best.get(name, 0))
    print(report)
    for name, value in best.items():
        against = " ".join(f"{best[ours] / value:8.2f}" for ours in ("all views", "words and pairs"))
        print(f"{name:<40}{value:>12,.0f} rows/s   all views, words and pairs against it: {against}")


def compare_training(path, n_copies):
    """Rows a second by the clock, all on as many cores as there are."""
    import fasttext

    command = ["cargo", "bench", "--quiet", "--bench", "training", "--", path, str(n_copies)]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    ours = {name: float(value) for name, value in re.findall(r"^(.+): (\d+) rows/s", out, re.M)}
    texts, labels = read(path)
    # As Dictum's rows that all differ: a copy's number stands before each text.
    texts = [f"copy {copy}: {text}" for copy in range(n_copies) for text in texts]
    labels = labels * n_copies
    peers = {"scikit-learn": clock(len(texts), lambda: scikit_learn(texts, labels))}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf8") as file:
        file.write("\n".join(f"__label__{label} {text}" for text, label in zip(texts, labels)))
        file.flush()
        settings = {"wordNgrams": 2, "epoch": 5, "dim": 10, "thread": 2, "verbose": 0}
        peers["fastText, 5 epochs, pairs, 2 threads"] = clock(
            len(texts), lambda: fasttext.train_supervised(file.name, **settings)
        )
    print(out)
    for name, value in peers.items():
        against = ", ".join(f"{what} {rate / value:.1f}" for what, rate in ours.items())
        print(f"{name:<40}{value:>12,.0f} rows/s   against it: {against}")


def clock(n_rows, work):
    start = time.perf_counter()
    work()
    return n_rows / (time.perf_counter() - start)


def serve(path, port):
    """`peer.v1.Classifier/Classify`, the sentence being field 1 of request and label field 1 of reply.

    The messages are a string each, so that they are taken apart and put together by hand.
    """
    from concurrent import futures

    import grpc

    predict, classes = scikit_learn(*read(path))

    def classify(sentence, _context):
        label = str(classes[predict([sentence])[0].argmax()]).encode()
        return b"\n" + bytes([len(label)]) + label

    handler = grpc.unary_unary_rpc_method_handler(
        classify, request_deserializer=lambda message: message[2:].decode()
    )
    server = grpc.server(futures.ThreadPoolExecutor(8))
    methods = {"Classify": handler}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("peer.v1.Classifier", methods)]
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print(f"serving on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    enter_environment()
    if sys.argv[1] == "--train":
        compare_training(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 16)
    elif sys.argv[1] == "--serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        compare(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
