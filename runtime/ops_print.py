"""`pb.print`: prints tensors when the program runs, eagerly and compiled alike."""

from __future__ import annotations

import builtins
import logging
import pprint
import sys
from typing import Any

import numpy as np

from ..ir.opdef import get
from ..ir.print_text import array_text
from . import nest
from .convert import as_tensor, is_tensor
from .dispatch import apply
from .elementwise import tracing
from .errors import fail
from .tensor import Tensor

_MARK = "\ue000"


def print(*inputs: Any, **kwargs: Any) -> None:
    """Prints its arguments, tensors (also inside lists, tuples and dicts) by their values.

    Args:
      output_stream: sys.stderr (the default), sys.stdout, a logging level, or "file://path" (appended to).
      summarize: how many elements at both ends of each dimension are shown (3), -1 for all. sep, end: as in Python.

    Raises:
      ValueError: an unknown stream or keyword.
    """
    stream = kwargs.pop("output_stream", sys.stderr)
    summarize, sep, end = kwargs.pop("summarize", 3), kwargs.pop("sep", " "), kwargs.pop("end", "\n")
    kwargs.pop("name", None)
    if kwargs:
        fail(ValueError, f"Unrecognized keyword arguments for pb.print: {sorted(kwargs)}")
    tensors: list[Tensor] = []
    template = sep.join(_template(x, tensors) for x in inputs) + end
    segments = template.split(_MARK)
    if tracing():
        if stream not in (sys.stderr, sys.stdout):
            fail(ValueError, "pb.print inside a compiled function writes to sys.stderr or sys.stdout only")
        name = "stdout" if stream is sys.stdout else "stderr"
        apply(get("print"), tensors, {"segments": tuple(segments), "stream": name, "summarize": int(summarize or 3)})
        return
    parts = [segments[0]]
    for t, text in zip(tensors, segments[1:], strict=True):
        parts += [array_text(t._data, 3 if summarize is None else summarize), text]
    _write("".join(parts), stream)


def _template(x: Any, tensors: list[Tensor]) -> str:
    """The text of one argument, with a mark for each tensor."""
    if isinstance(x, str):
        return x
    if is_tensor(x):
        tensors.append(as_tensor(x))
        return _MARK
    marks: list[Any] = []
    for leaf in nest.flatten(x):
        if is_tensor(leaf):
            tensors.append(as_tensor(leaf))
            marks.append(_Text(_MARK))
        else:
            marks.append(_Text(str(leaf)) if isinstance(leaf, np.generic) else leaf)
    return pprint.pformat(nest.pack_sequence_as(x, marks))


class _Text:
    """Text that stands as it is while a structure is made into text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _write(text: str, stream: Any) -> None:
    levels = {logging.INFO, logging.WARNING, logging.ERROR}
    if isinstance(stream, str) and stream.startswith("file://"):
        with open(stream[7:], "a") as f:
            f.write(text)
    elif stream in levels:
        logging.getLogger("pullback").log(stream, text.rstrip("\n"))
    elif hasattr(stream, "write"):
        builtins.print(text, end="", file=stream, flush=True)
    else:
        fail(ValueError, f"Unsupported output stream, logging level, or file: {stream!r}")
