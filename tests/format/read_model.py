"""Reads models and classifies with them in Python, by the documentation of the format alone.

A stranger's reader: safetensors, numpy, blake3 and xxhash, and what `src/store/format/mod.rs` says.
Run as a program it reads the golden files and the built-in model, classifies, and compares with what
is expected and, where the program is built, with what `dictum classify` answers.
"""
import json
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import blake3
import numpy as np
import safetensors
import safetensors.numpy
import xxhash

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = [ROOT / "tests" / "format" / version for version in ("v1", "v2", "v3")]
BUILT_IN = ROOT / "models" / "news-statements" / "model.safetensors"
PROGRAM = ROOT / "target" / "debug" / "dictum"
# Sums of known tokens are kept in single precision.
TOLERANCE = 1e-6
U64 = (1 << 64) - 1

VIEWS = ["word1", "word2", "word3", "shape", "character", "lead"]
WORD_SEED, SHAPE_SEED, CHARACTER_SEED = 0x5749E3A16B0D44C7, 0xA3D70B5419C6E82F, 0x1F86C95DE2703AB9
LEAD_SEED = 0xC2E4716D903BF85B
MULTIPLIER = 0x9E3779B97F4A7C15
WITHOUT_SPACES = ("CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ",
                  "TIBETAN ")
IGNORED = {0xAD, 0x61C, 0x200E, 0x200F, 0xFEFF, *range(0x202A, 0x202F), *range(0x2060, 0x206A),
           *range(0xFE00, 0xFE10)}


def kind(c):
    """What a character is to the tokeniser."""
    if c == "\u200b":
        return "space"
    if c in "\u200c\u200d":
        return "attached"
    if ord(c) in IGNORED:
        return "ignored"
    if c.isspace():
        return "space"
    if unicodedata.category(c).startswith("M"):
        return "attached"
    if c == "_" or c.isalnum():
        alone = unicodedata.name(c, "").startswith(WITHOUT_SPACES)
        return "alone" if alone else "word"
    return "other"


def tokens_of(sentence):
    """The tokens as they stand in the normalised sentence, not yet folded."""
    tokens, run = [], None
    for c in unicodedata.normalize("NFKC", sentence):
        is_kind = kind(c)
        if is_kind == "ignored":
            continue
        if is_kind == "space":
            run = None
        elif (run, is_kind) in {("word", "word"), ("word", "attached"), ("alone", "attached")}:
            tokens[-1] += c
        else:
            tokens.append(c)
            run = "word" if is_kind == "attached" else is_kind
    return tokens


def shapes_of(tokens):
    """The items of the shape view."""
    items, opens = [], True
    for token in tokens:
        item = token.casefold()
        is_number = any(unicodedata.category(c).startswith("N") for c in token)
        if is_number:
            item = "0"
        elif token[0].isupper() and not opens:
            item = "Aa"
        if not (item == "Aa" and items[-1:] == ["Aa"]):
            items.append(item)
        opens = not is_number and token[0] in '.!?"\u201c'
    return items


def extend(sequence, item):
    return fold((sequence ^ item) * MULTIPLIER)


def fold(product):
    return (product >> 64) ^ (product & U64)


def token_hash(text):
    return xxhash.xxh3_64_intdigest(text.encode())


def token_key(text):
    """By what a token is looked up."""
    text_bytes = text.encode()
    if len(text_bytes) > 16:
        return token_hash(text)
    a, b = (int.from_bytes(text_bytes[part], "little") for part in (slice(8), slice(8, 16)))
    return fold((a ^ 0xD6E8FEB86659FD93) * (b ^ 0xA0761D6478BD642F))


def sequences(seed, items, n):
    """The hashes of the distinct n-grams of items, with a mark at each end where n > 1."""
    if n > 1:
        items = ["<s>", *items, "</s>"]
    hashes = [token_hash(item) for item in items]
    found = set()
    for at in range(len(items) - n + 1):
        sequence = seed
        for item in hashes[at:at + n]:
            sequence = extend(sequence, item)
        found.add(sequence)
    return found


def character_sequences(token):
    """The hashes of the character n-grams of a folded token, each with its number."""
    padded = [ord(c) for c in f" {token[:64]} "]
    found = Counter()
    for n in (2, 3, 4, 5):
        for at in range(len(padded) - n + 1):
            if n == 2 and not any(0xAC00 <= c <= 0xD7A3 for c in padded[at:at + n]):
                continue
            sequence = CHARACTER_SEED
            for item in padded[at:at + n]:
                sequence = extend(sequence, item)
            found[sequence] += 1
    return found


class Table:
    """What a file of version 3 holds: rows in the slots of indexes."""

    def __init__(self, tensors, n_labels):
        self.tensors, self.n_labels = tensors, n_labels

    def slot(self, x, index, numbers):
        """Where a hash or key is in an index, if it is there."""
        pilots = self.tensors[index + ".pilots"]
        if len(pilots) == 0:
            return None
        key = x * int(self.tensors[index + ".seed"][0]) & U64
        bucket = key * len(pilots) >> 64
        multiplier = 0x6A09E667F3BCC909 + 2 * int(pilots[bucket])
        slot = bucket // 1024 * 2048 + (((key ^ 0x9E3779B97F4A7C15) * multiplier & U64) >> 53)
        return slot if int(self.tensors[f"{index}.{numbers}"][slot]) == x else None

    def knows(self, token):
        return self.slot(token_key(token), "tokens", "keys") is not None

    def of_token(self, view, token):
        """The row of a known token in a view that has such rows."""
        slot = self.slot(token_key(token), "tokens", "keys")
        if slot is None or f"tokens.{view}.rows" not in self.tensors:
            return None
        assert int(self.tensors["tokens.hashes"][slot]) == token_hash(token)
        step = float(self.tensors[f"tokens.{view}.step"][0])
        squares = self.tensors[f"tokens.{view}.squares"]
        square = float(squares[slot]) if len(squares) else 0.0
        return 0.0, square, step * self.tensors[f"tokens.{view}.rows"][slot].astype(float)

    def of_feature(self, hash, view):
        """The row of a feature: mass, square, values."""
        for index in ("characters", "ngrams") if view == "character" else ("ngrams",):
            slot = self.slot(hash, index, "hashes")
            if slot is not None:
                return self.row(index, slot)
        return None

    def row(self, index, slot):
        if f"{index}.rows" in self.tensors:
            row = self.tensors[f"{index}.rows"][slot].astype(float)
            mass, *square = row[self.n_labels:]
            return mass, *(square or [0.0]), row[:self.n_labels]
        squares = self.tensors[f"{index}.squares"]
        values = np.zeros(self.n_labels)
        entries = slice(*self.tensors[f"{index}.starts"][slot:slot + 2])
        values[self.tensors[f"{index}.labels"][entries]] = self.tensors[f"{index}.values"][entries]
        square = float(squares[slot]) if len(squares) else 0.0
        return float(self.tensors[f"{index}.masses"][slot]), square, values


class Parts:
    """What a file of version 1 or 2 holds: all features in a list, known tokens as text."""

    def __init__(self, tensors, n_labels):
        self.tensors, self.n_labels = tensors, n_labels
        self.positions = {int(hash): at for at, hash in enumerate(tensors["hashes"])}
        text, ends = tensors["vocabulary"].tobytes(), tensors["vocabulary_ends"].tolist()
        self.vocabulary = {text[start:end].decode() for start, end in zip([0, *ends], ends)}

    def knows(self, token):
        return token in self.vocabulary

    def of_token(self, view, token):
        return None

    def of_feature(self, hash, view):
        at = self.positions.get(hash)
        if at is None:
            return None
        entries = slice(*self.tensors["entry_starts"][at:at + 2])
        values = np.zeros(self.n_labels)
        values[self.tensors["entry_labels"][entries]] = self.tensors["entry_values"][entries]
        squares = self.tensors["squares"]
        square = float(squares[at]) if len(squares) else 0.0
        return float(self.tensors["masses"][at]), square, values


class Model:
    """A model file, read and checked."""

    def __init__(self, path):
        file = Path(path).read_bytes()
        digest = blake3.blake3(file[:35] + b"0" * 64 + file[99:]).hexdigest()
        assert digest == file[35:99].decode(), f"{path} is damaged"
        with safetensors.safe_open(path, "numpy") as opened:
            strings = opened.metadata()
        self.metadata = json.loads(strings["metadata"])
        assert self.metadata["features_version"] == 1
        self.tensors = safetensors.numpy.load(file)
        self.labels = self.metadata["labels"]
        views = self.metadata["settings"]["views"]
        self.views = [view["view"] for view in views if view["weight"] > 0]
        version = strings["format_version"]
        if version in ("1", "2"):
            has_lead = any(view["view"] == "lead" for view in views)
            assert version == ("2" if has_lead else "1"), version
        else:
            assert version == "3", version
        rows = Table if version == "3" else Parts
        self.rows = rows(self.tensors, len(self.labels))

    def found(self, view, tokens, shapes):
        """The rows that a view finds, each with how often it counts."""
        rows = self.rows
        if view == "character":
            for token in tokens:
                row = rows.of_token(view, token)
                if row is not None:
                    yield row, 1
                    continue
                for hash, times in character_sequences(token).items():
                    yield rows.of_feature(hash, view), times
            return
        seed, items, lengths = {
            "word1": (WORD_SEED, tokens, [1]),
            "word2": (WORD_SEED, tokens, [2]),
            "word3": (WORD_SEED, tokens, [3]),
            "shape": (SHAPE_SEED, shapes, [1, 2, 3]),
            "lead": (LEAD_SEED, tokens[:10], [1]),
        }[view]
        for item in set(items) if 1 in lengths else ():
            is_mark = view == "shape" and item in ("0", "Aa")
            row = None if is_mark else rows.of_token(view, item)
            yield row or rows.of_feature(extend(seed, token_hash(item)), view), 1
        for n in lengths:
            for hash in sequences(seed, items, n) if n > 1 else ():
                yield rows.of_feature(hash, view), 1

    def sums(self, view, tokens, shapes):
        """What a view adds up to: mass, squared length, values."""
        sums = (0.0, 0.0, np.zeros(len(self.labels)))
        for row, times in self.found(view, tokens, shapes):
            if row is not None:
                factors = (times, times ** 2, times)
                sums = tuple(sum + factor * of for sum, factor, of in zip(sums, factors, row))
        return sums

    def classify(self, sentence):
        """The label, empty where the model abstains; and the probability of each label."""
        raw = tokens_of(sentence)
        tokens, shapes = [token.casefold() for token in raw], shapes_of(raw)
        scores = self.tensors["offsets"].copy()
        for view in self.views:
            mass, square, values = self.sums(view, tokens, shapes)
            is_idf = self.metadata["settings"]["weighting"] == "idf"
            length = np.sqrt(square) if is_idf and square > 0 else 1
            background = self.tensors["background"][VIEWS.index(view)]
            scores += (values + mass * background) / length
        probabilities = np.exp(scores - scores.max())
        probabilities /= probabilities.sum()
        n_unknown = sum(not self.rows.knows(token) for token in tokens)
        best = int(probabilities.argmax())
        abstains = n_unknown == len(tokens) or probabilities[best] < self.metadata["min_probability"]
        return {
            "label": "" if abstains else self.labels[best],
            "token_count": len(tokens),
            "unknown_token_count": n_unknown,
            "probabilities": dict(zip(self.labels, probabilities.tolist())),
        }


def assert_same(what, found, expected):
    for key in ("label", "token_count", "unknown_token_count"):
        assert found[key] == expected[key], f"{what}: {key} {found[key]}, not {expected[key]}"
    for label, probability in expected["probabilities"].items():
        difference = abs(found["probabilities"][label] - probability)
        assert difference < TOLERANCE, f"{what}: {label} differs by {difference}"


def answers_of_program(sentences):
    """What the program says with its built-in model."""
    command = [PROGRAM, "classify", "--json", "--top-k", "0"]
    ran = subprocess.run(command, input="\n".join(sentences), text=True, capture_output=True,
                         check=True, env={"DICTUM_MODELS": str(ROOT / "target" / "no-models")})
    for line in ran.stdout.splitlines():
        answer = json.loads(line)["classification"]
        scores = {score["label"]: score["probability"] for score in answer.pop("scores")}
        yield {**answer, "probabilities": scores}


def main():
    expected = [case for folder in GOLDEN
                for case in json.loads((folder / "expected.json").read_text(encoding="utf8"))]
    models = {path.stem: Model(path) for folder in GOLDEN for path in folder.glob("*.safetensors")}
    assert set(models) == {case["model"] for case in expected} and len(models) > 1, models
    for case in expected:
        found = models[case["model"]].classify(case["sentence"])
        assert_same(f"{case['model']}: {case['sentence']}", found, case)
    n = len(expected)
    if PROGRAM.exists():
        built_in = Model(BUILT_IN)
        sentences = list(dict.fromkeys(case["sentence"] for case in expected)) + [
            "We had nothing to do with it, the minister said.", "Snow fell on the old bridge."]
        for sentence, answer in zip(sentences, answers_of_program(sentences), strict=True):
            assert_same(f"built in: {sentence}", built_in.classify(sentence), answer)
            n += 1
    print(f"{n} classifications recomputed from {len(models) + 1} model files")


if __name__ == "__main__":
    sys.exit(main())
