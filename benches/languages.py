"""How good Dictum's answers are in other languages and scripts, beside LinearSVC.

Usage: python3 benches/languages.py [LANGUAGE...]

The rows are messages of six desktop programs in translation; the label is the program. They are taken
from Debian packages, which `apt-get download` fetches by name (Debian or a derivative, after
`apt-get update`), and kept as CSV in `target/languages`. At most 1,000 messages a program, split into 5
folds as in `accuracy.py`, whose figures and peers these are. Without languages: those of LANGUAGES.
Needs `cargo build --release`.
"""
import gettext
import re
import subprocess
import sys
import zlib

import accuracy
import peers

LANGUAGES = "ar", "de", "hi", "ja", "ko", "ru", "th", "tr", "zh_CN"
# Package and name of the message catalogue.
PROGRAMS = {"gimp-data": "gimp20", "evolution-common": "evolution", "gnucash-common": "gnucash",
            "audacity-data": "audacity", "vlc-l10n": "vlc", "pidgin-data": "pidgin"}
MOST_ROWS = 1000
FOLDER = peers.ROOT / "target" / "languages"


def fetch():
    """Unpacks the packages where that was not done before."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for package in PROGRAMS:
        if (FOLDER / package).exists():
            continue
        subprocess.run(["apt-get", "-qq", "download", package], cwd=FOLDER, check=True)
        archive, = FOLDER.glob(f"{package}_*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, FOLDER / package], check=True)
        archive.unlink()


def messages(package, language):
    """Translated messages of two characters and more, without key marks and markup."""
    path = FOLDER / package / "usr/share/locale" / language / "LC_MESSAGES" / f"{PROGRAMS[package]}.mo"
    if not path.exists():
        return set()
    with open(path, "rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    found = set()
    for key, text in catalogue.items():
        if key and text != key:
            text = " ".join(re.sub(r"<[^>]*>|\([_&]\w\)|[_&]", "", text).split())
            if len(text) >= 2:
                found.add(text)
    return found


def rows(language):
    """Messages that one program alone has, the same choice each time."""
    by_program = {package: messages(package, language) for package in PROGRAMS}
    for package, found in by_program.items():
        others = set().union(*(texts for other, texts in by_program.items() if other != package))
        chosen = sorted(found - others, key=lambda text: (zlib.crc32(text.encode()), text))
        yield from ((text, package) for text in chosen[:MOST_ROWS])


def main(*languages):
    fetch()
    for language in languages or LANGUAGES:
        accuracy.write(FOLDER / f"{language}.csv", rows(language))
    accuracy.main(FOLDER, *(languages or LANGUAGES))


if __name__ == "__main__":
    if set(sys.argv[1:]) & {"-h", "--help"}:
        sys.exit(__doc__)
    peers.enter_environment()
    main(*sys.argv[1:])
