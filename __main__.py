"""The command line's door: `python -m pullback`."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; gives the exit code."""
    from .tracer.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
