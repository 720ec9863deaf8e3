"""Measures the figures: `python -m bench.run [NAME…] [--short] [--record]`.

Each figure prints its name, its bound and what was measured; the exit code is 1 if one misses its bound. In a
short form times are shown and do not fail (a shared machine proves nothing in seconds), and what misses is
measured once more before it counts. The long forms write their results to bench/results; the short forms do so
only with --record.
"""

import argparse
import importlib
import sys
import time

from bench.figure import Figure, write

NAMES = (
    "cost",
    "dialects",
    "memory",
    "buckets",
    "budget",
    "kills",
    "pages",
    "beside",
    "mcp",
    "mcp_trouble",
    "shared",
)
SOAKS = ("chunks", "reloads", "keys")
FLEETS = (
    "push",
    "rotations",
    "rates",
    "fleet",
    "fleet_books",
    "fleet_kills",
    "rolling",
    "heal",
    "outages",
    "parted",
    "versions",
    "cancels",
)  # of several gateways; docs/proofs.md says what each is


def show(figure: Figure) -> str:
    """One line: verdict, name, bound, measured."""
    verdict = "    " if figure.bound is None else "ok  " if figure.passed else "MISS"
    bound = "" if figure.bound is None else f"bound {figure.bound} {figure.unit}, "
    return f"{verdict} {figure.name}: {bound}measured {figure.measured} {figure.unit}"


def is_time(figure: Figure) -> bool:
    """Whether the figure depends on how fast the machine is just now."""
    return figure.unit in ("s", "ms", "µs", "×", "1/s")


def count_missed(figures: list[Figure], *, short: bool) -> int:
    """How many figures missed their bounds, times aside in a short form."""
    return sum(not figure.passed and not (short and is_time(figure)) for figure in figures)


def measure(names: tuple[str, ...], *, short: bool, record: bool) -> int:
    """Run these figure modules one after the other; how many figures missed their bounds."""
    missed = 0
    for name in names:
        begun = time.monotonic()
        module = importlib.import_module(f"bench.figures.{name}")
        figures = module.run(short)
        if short and count_missed(figures, short=True):
            print(f"     ({name}: a bound was missed, measuring once more)", flush=True)
            figures = module.run(short)
        for figure in figures:
            print(show(figure), flush=True)
        missed += count_missed(figures, short=short)
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
    every = NAMES + SOAKS + FLEETS
    unknown = [name for name in options.names if name not in every]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(every)}")
    names = tuple(options.names) or (known + SOAKS if options.short else known)
    return 1 if measure(names, short=options.short, record=options.record or not options.short) else 0


if __name__ == "__main__":
    sys.exit(main())
