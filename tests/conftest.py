"""Options of the test suite."""

from __future__ import annotations

import os
import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the results in tests/golden from this run")


def pytest_configure() -> None:
    """A shell's job in the background is born deaf to Ctrl-C, and so are the processes that it starts.

    Without the cache on disk every test compiles what it tests; tests of the cache set a folder of their own.
    """
    os.environ["PULLBACK_CACHE"] = "0"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))
