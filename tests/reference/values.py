"""Makes values.json: what scikit-learn and scipy compute where `src/train` computes the same.

Run `python values.py > values.json` with numpy, scipy and scikit-learn installed. The test
`train::reference_tests` reads the file and compares. Written for clarity: the tables without a fold are
fitted anew by MultinomialNB on the other folds, where Dictum subtracts the fold's counts.
"""
import json
import re
import unicodedata

import numpy as np
from scipy.optimize import minimize
from sklearn.naive_bayes import MultinomialNB

EXAMPLES = [
    ("The minister took bribes, the opposition said.", "accusation"),
    ("You lied to us, the union told Ana Ruiz.", "accusation"),
    ("The firm hid 30 deaths, the lawsuit says.", "accusation"),
    ("Police beat them, the lawyer said.", "accusation"),
    ("The minister took no bribes, his office said.", "denial"),
    ("We never lied to Ana Ruiz, the union said.", "denial"),
    ("It's not true, the firm told Reuters.", "denial"),
    ("The firm hid no deaths, it says.", "denial"),
    ("Founded in 1907, the union has 30 members.", "background"),
    ("The firm is based in Köln; it was founded in 1907.", "background"),
    ("The minister was in office in 1999.", "background"),
    ("Ana Ruiz leads the union.", "background"),
]
FOLDS = [0, 1, 2, 0, 0, 1, 2, 1, 0, 1, 2, 2]
ALPHA = 0.3


def tokenise(text):
    return re.findall(r"\w+|[^\w\s]", unicodedata.normalize("NFKC", text))


def shapes(tokens):
    marks, opening = [], True
    for token in tokens:
        mark = token.casefold()
        if any(c.isdigit() for c in token):
            mark = "0"
        elif token[0].isupper() and not opening:
            mark = "Aa"
        if not (mark == "Aa" and marks[-1:] == ["Aa"]):
            marks.append(mark)
        opening = token in list('.!?"') + ["\u201c"]
    return marks


def grams(items, n):
    items = items if n == 1 else ["<s>", *items, "</s>"]
    return [" ".join(items[i:i + n]) for i in range(len(items) - n + 1)]


def word_view(n):
    return lambda tokens: [(g, 1, 1) for g in set(grams([t.casefold() for t in tokens], n))]


def shape_view(tokens):
    marks = shapes(tokens)
    return [(g, 1, 1) for g in {g for n in (1, 2, 3) for g in grams(marks, n)}]


def character_view(tokens):
    """(n-gram, occurrences, summed squares of the occurrences within each token)"""
    counts, squares = {}, {}
    for token in tokens:
        padded = f" {token.casefold()} "
        within = [padded[i:i + n] for n in (3, 4, 5) for i in range(len(padded) - n + 1)]
        for gram in set(within):
            k = within.count(gram)
            counts[gram] = counts.get(gram, 0) + k
            squares[gram] = squares.get(gram, 0) + k * k
    return [(g, counts[g], squares[g]) for g in counts]


VIEWS = {"word1": word_view(1), "word2": word_view(2), "word3": word_view(3), "shape": shape_view,
         "character": character_view, "lead": lambda tokens: word_view(1)(tokens[:10])}


def matrix(view, weighting):
    rows = [VIEWS[view](tokenise(text)) for text, _ in EXAMPLES]
    frequency = {}
    for row in rows:
        for gram, _, _ in row:
            frequency[gram] = frequency.get(gram, 0) + 1
    # Single words need one example, other n-grams two.
    names = sorted(g for g in frequency if view == "word1" or frequency[g] >= 2)
    at = {name: i for i, name in enumerate(names)}
    idf = np.array([np.log((1 + len(rows)) / (1 + frequency[n])) + 1 for n in names])
    x = np.zeros((len(rows), len(names)))
    for i, row in enumerate(rows):
        squared = 0.0
        for gram, count, square in row:
            if gram in at:
                factor = idf[at[gram]] if weighting == "idf" else 1.0
                x[i, at[gram]] = count * factor
                squared += square * factor ** 2
        if weighting == "idf" and squared > 0:
            x[i] /= np.sqrt(squared)
    return names, x


def main():
    labels = sorted({label for _, label in EXAMPLES})
    y = np.array([labels.index(label) for _, label in EXAMPLES])
    prior = np.log(np.bincount(y) / len(y))
    folds = np.array(FOLDS)
    out = {"examples": EXAMPLES, "folds": FOLDS, "alpha": ALPHA, "weightings": {}}
    for weighting in ("presence", "idf"):
        views, all_scores = {}, []
        for view in VIEWS:
            names, x = matrix(view, weighting)
            full = MultinomialNB(alpha=ALPHA).fit(x, y).feature_log_prob_
            scores = np.zeros((len(y), len(labels)))
            for f in set(FOLDS):
                without = MultinomialNB(alpha=ALPHA).fit(x[folds != f], y[folds != f])
                scores[folds == f] = x[folds == f] @ without.feature_log_prob_.T
            scores -= scores.mean(1, keepdims=True)
            all_scores.append(scores)
            tables = {name: full[:, i].tolist() for i, name in enumerate(names)}
            views[view] = {"log_probabilities": tables, "out_of_fold": scores.tolist()}
        out["weightings"][weighting] = {"views": views, "pool": pool(np.stack(all_scores), prior, y)}
    print(json.dumps(out, ensure_ascii=False, indent=1))


def pool(scores, prior, y):
    m, n, k = scores.shape
    ridges = np.concatenate([(scores ** 2).mean((1, 2)) / n, np.full(k, 1e-3 + 1 / n)])

    def loss(p):
        z = np.tensordot(p[:m], scores, 1) + prior + p[m:]
        z = z - z.max(1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        g = np.exp(log_p)
        g[np.arange(n), y] -= 1
        gradient = np.concatenate([(scores * g).sum((1, 2)), g.sum(0)]) / n + 2 * ridges * p
        return -log_p[np.arange(n), y].mean() + (ridges * p ** 2).sum(), gradient

    bounds = [(0, None)] * m + [(None, None)] * k
    options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000}
    best = minimize(loss, np.full(m + k, 0.06), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return {"loss": best.fun, "weights": best.x[:m].tolist(), "offsets": (prior + best.x[m:]).tolist()}


if __name__ == "__main__":
    main()
