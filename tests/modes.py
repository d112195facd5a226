"""Ways to run a function that several tests try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pullback as pb


@contextmanager
def eagerly() -> Iterator[None]:
    """Functions run as Python inside."""
    pb.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        pb.config.run_functions_eagerly(False)
