"""The edge of the server, tried: prints one line of figures for each promise, and fails if one is not kept.

    python3 tests/edge/run.py [--long] [--program target/release/dictum] [--only PATTERN]

Short by default (about three minutes); `--long` runs 50 shutdowns, and attacks for 30 s each, in turns with
their control. What a busy machine can miss is printed as SLOW, and fails the long run alone. Needs
requirements.txt and Linux. Everything is on loopback and ends by itself.
"""
import argparse
import re
import sys
import time

from checks import CHECKS
from suite import ROOT, Suite


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--program", default=ROOT / "target" / "debug" / "dictum")
    parser.add_argument("--only", default="", metavar="PATTERN", help="checks whose names this is found in")
    args = parser.parse_args()
    suite = Suite(args.program, args.long)
    n_failed = 0
    for name, check in CHECKS.items():
        if not re.search(args.only, name):
            continue
        began = time.monotonic()
        try:
            figures, is_good, *fast = check(suite)
        except Exception as error:  # One check that breaks must not hide the others.
            figures, is_good, fast = f"{type(error).__name__}: {error}", False, []
        n_failed += not is_good or (args.long and not all(fast))
        verdict = "NOT KEPT" if not is_good else "kept" if all(fast) else "SLOW"
        print(f"| {name} | {figures} | {verdict} | "
              f"{time.monotonic() - began:.0f} s |", flush=True)
    sys.exit(1 if n_failed else 0)


if __name__ == "__main__":
    main()
