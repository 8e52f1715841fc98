"""``python -m bench.estimators [--only NAME …]``."""

from __future__ import annotations

import argparse
import sys

from bench.estimators.cases import cases
from bench.estimators.table import PAGE, page
from bench.estimators.trial import attempt


def main() -> int:
    """Tries all and writes the page; or tries those that were named, and writes nothing."""
    parser = argparse.ArgumentParser(prog="python -m bench.estimators")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="try these alone, and write nothing")
    words = parser.parse_args()
    outcomes = []
    for case in cases():
        if words.only and case.name not in words.only:
            continue
        outcome = attempt(case)
        outcomes.append(outcome)
        print(f"{outcome.kind}: {outcome.name}: {outcome.result} {outcome.largest} {outcome.why}", flush=True)
    if not words.only:
        PAGE.write_text(page(outcomes), encoding="utf-8")
        print(f"{PAGE} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
