"""Measures the figures: `python -m bench.run [NAME…] [--short] [--record]`.

Each figure prints its name, its bound and what was measured; the exit code is 1 if one misses its bound. The
long forms write their results to bench/results; the short forms do so only with --record.
"""

import argparse
import importlib
import sys
import time

from bench.figure import Figure, write

NAMES = ("cost", "memory", "buckets", "budget", "kills")
SOAKS = ("chunks", "reloads", "keys")


def show(figure: Figure) -> str:
    """One line: verdict, name, bound, measured."""
    verdict = "    " if figure.bound is None else "ok  " if figure.passed else "MISS"
    bound = "" if figure.bound is None else f"bound {figure.bound} {figure.unit}, "
    return f"{verdict} {figure.name}: {bound}measured {figure.measured} {figure.unit}"


def measure(names: tuple[str, ...], *, short: bool, record: bool) -> int:
    """Run these figure modules one after the other; how many figures missed their bounds."""
    missed = 0
    for name in names:
        begun = time.monotonic()
        figures = importlib.import_module(f"bench.figures.{name}").run(short)
        for figure in figures:
            print(show(figure), flush=True)
            missed += not figure.passed
        print(f"     ({name}: {time.monotonic() - begun:.0f} s)", flush=True)
        if record:
            write(name, figures)
    return missed


def main(known: tuple[str, ...] = NAMES) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; default: all")
    parser.add_argument("--short", action="store_true", help="a short form of each")
    parser.add_argument("--record", action="store_true", help="write the short forms' results too")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES + SOAKS]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(NAMES + SOAKS)}")
    names = tuple(options.names) or known
    return 1 if measure(names, short=options.short, record=options.record or not options.short) else 0


if __name__ == "__main__":
    sys.exit(main())
