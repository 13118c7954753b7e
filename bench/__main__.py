"""`python -m bench`: measures what the README promises and prints it with the machine stated.

This process stays small and imports nothing heavy: a child's peak memory starts at its parent's.
"""

from __future__ import annotations

import argparse
import sys

from . import chip, commands, host, scalar, training
from .table import report

MODULES = (commands, chip, scalar, host, training)
"""Each has `groups()`: the figures of one subject."""


def main() -> int:
    """Measure, print, return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    return report((group for module in MODULES for group in module.groups()), as_json)


if __name__ == "__main__":
    sys.exit(main())
