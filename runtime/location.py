"""Where in the user's program something happened: asked only when an error or an explanation is written."""

from __future__ import annotations

import os
import sys
import warnings
from types import FrameType
from typing import Any

import numpy as np

from ..ir.graph import Loc

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_OURS = tuple(_HOME + d + os.sep for d in ("ir", "codegen", "runtime", "tracer", "keras"))
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_seen: dict[str, dict[Any, Any]] = {}
_ROOT = {_HOME + "__init__.py", _HOME + "__main__.py"}


def is_ours(file: str) -> bool:
    """Whether the file is part of the package; tests and examples of the checkout are user code."""
    return file.startswith(_OURS) or file in _ROOT


def user_frame(depth: int = 1) -> FrameType | None:
    """The innermost frame that is not ours, or None when there is none (a call from an embedding)."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        file = frame.f_code.co_filename
        if not is_ours(file) and not file.startswith("<frozen") and not file.startswith(_NUMPY):
            return frame
        frame = frame.f_back
    return None


def user_location(depth: int = 1) -> Loc | None:
    """The line of `user_frame`."""
    frame = user_frame(depth + 1)
    return None if frame is None else Loc(frame.f_code.co_filename, frame.f_lineno)


def warn(message: str) -> None:
    """A UserWarning at the user's line, shown once for each line."""
    loc = user_location(2) or Loc("<unknown>", 0)
    registry = _seen.setdefault(loc.file, {})
    warnings.warn_explicit(message, UserWarning, loc.file, loc.line, registry=registry)


def at() -> str:
    """` [file.py:12]` for the end of a message, or nothing."""
    loc = user_location(2)
    return f" [{os.path.basename(loc.file)}:{loc.line}]" if loc is not None else ""
