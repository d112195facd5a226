"""What the tests of native entries share: whether there are any here, and which calls miss them."""

from __future__ import annotations

from typing import Any

import pytest

from pullback.codegen.layout import layout
from pullback.tracer.function import Function

native = pytest.mark.skipif(layout() is None, reason="no native entries here")


def slow_calls(f: Function, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Counts the calls that reach Python."""
    seen: list[Any] = []
    original = Function._slow_call

    def counted(self: Function, *args: Any, **kwargs: Any) -> Any:
        if self is f:
            seen.append(args)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Function, "_slow_call", counted)
    return seen
