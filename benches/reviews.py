"""How good Dictum's answers are on single sentences of reviews, in 10 folds, beside scikit-learn's.

Usage: python3 benches/reviews.py [movies|products]

The sentences are those of two sets that naive Bayes and NBSVM have published figures on: Pang and Lee's of films,
and Hu and Liu's of products. They come with the package vaderSentiment 0.5, which pip fetches, and are kept as CSV
in `target/reviews`. The labels are the sign of what some 20 readers rated, not the reviewer's own verdict as in the
published sets; sentences rated 0 are left out. Needs `cargo build --release`.
"""
import io
import subprocess
import sys
import tarfile
import zipfile

import accuracy
import peers

PACKAGE = "vaderSentiment"
VERSION = "0.5"
ARCHIVE = f"{PACKAGE}-{VERSION}/additional_resources/hutto_ICWSM_2014.tar.gz"
FILES = {"movies": "movieReviewSnippets_GroundTruth.txt",
         "products": "amazonReviewSnippets_GroundTruth.txt"}
FOLDER = peers.ROOT / "target" / "reviews"
N_FOLDS = 10


def fetch():
    """Downloads the package where that was not done before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    package = FOLDER / f"{PACKAGE}-{VERSION}.zip"
    if not package.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", PACKAGE]
        subprocess.run([*pip, f"{PACKAGE}=={VERSION}"], cwd=FOLDER, check=True)
    with zipfile.ZipFile(package) as opened:
        return tarfile.open(fileobj=io.BytesIO(opened.read(ARCHIVE)))


def rows(archive, name):
    """Sentences with the sign of their mean rating."""
    member, = (member for member in archive.getmembers() if member.name.endswith(FILES[name]))
    for line in io.TextIOWrapper(archive.extractfile(member), encoding="utf8", errors="replace"):
        _, rating, text = line.rstrip("\n").split("\t")
        if float(rating) != 0 and text.strip():
            yield text.strip(), "positive" if float(rating) > 0 else "negative"


def main(*names):
    with fetch() as archive:
        for name in FILES:
            accuracy.write(FOLDER / f"{name}.csv", rows(archive, name))
    accuracy.N_FOLDS = N_FOLDS
    accuracy.main(FOLDER, *(names or FILES))


if __name__ == "__main__":
    if set(sys.argv[1:]) - set(FILES):
        sys.exit(__doc__)
    peers.enter_environment()
    main(*sys.argv[1:])
