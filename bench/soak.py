"""The long runs: `python -m bench.soak [NAME…] [--short]`. The same as bench.run, with other defaults."""

import sys

from bench.run import FLEETS, SOAKS, main

if __name__ == "__main__":
    sys.exit(main(SOAKS + FLEETS))
