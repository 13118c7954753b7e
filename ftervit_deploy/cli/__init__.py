"""The command line: one small file per command, options in, one call out."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (`sys.argv[1:]` by default); returns the exit status, see `app.main`."""
    try:
        from . import app
    except KeyboardInterrupt:
        return 2
    return app.main(sys.argv[1:] if arguments is None else arguments)
