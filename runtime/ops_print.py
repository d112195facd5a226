"""`pb.print`: prints tensors when the program runs, eagerly and compiled alike."""

from __future__ import annotations

import builtins
import logging
import pprint
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.opdef import get
from ..ir.print_text import value_text
from . import nest
from .convert import as_tensor, is_tensor
from .dispatch import apply
from .elementwise import tracing
from .errors import fail
from .tensor import Tensor

_MARK = "\ue000"
Piece = str | tuple[Tensor, str]  # text, or a tensor and the style in which it is shown (`ir/print_text.py`)


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
    pieces: list[Piece] = []
    for i, x in enumerate(inputs):
        pieces += [sep if i else "", *_pieces(x)]
    pieces.append(end)
    if tracing():
        if stream not in (sys.stderr, sys.stdout):
            fail(ValueError, "pb.print inside a compiled function writes to sys.stderr or sys.stdout only")
        print_pieces(pieces, "stdout" if stream is sys.stdout else "stderr", 3 if summarize is None else summarize)
        return
    limit = 3 if summarize is None else summarize
    _write("".join(p if isinstance(p, str) else value_text(p[0]._data, p[1], limit) for p in pieces), stream)


def print_pieces(pieces: Sequence[Piece], stream: str, summarize: int) -> None:
    """Records that the pieces are printed when the program runs; `stream` is "stdout" or "stderr"."""
    tensors, attrs = text_attrs(pieces)
    apply(get("print"), tensors, {**attrs, "stream": stream, "summarize": int(summarize)})


def text_attrs(pieces: Sequence[Piece]) -> tuple[list[Tensor], dict[str, Any]]:
    """The tensors among the pieces, and the attributes `segments` and `styles` of an op that makes text of them."""
    tensors: list[Tensor] = []
    segments, styles = [""], []
    for p in pieces:
        if isinstance(p, str):
            segments[-1] += p
        else:
            tensors.append(p[0])
            styles.append(p[1])
            segments.append("")
    attrs: dict[str, Any] = {"segments": tuple(segments)}
    return tensors, attrs | ({"styles": tuple(styles)} if any(styles) else {})


def _pieces(x: Any) -> list[Piece]:
    """The text of one argument, with the tensors in it."""
    made = getattr(x, "pieces", None)
    if made is not None and isinstance(x, str):  # an f-string that shows tensors of a trace
        return list(made)
    tensors: list[Tensor] = []
    texts = _template(x, tensors).split(_MARK)
    out: list[Piece] = [texts[0]]
    for t, text in zip(tensors, texts[1:], strict=True):
        out += [(t, ""), text]
    return out


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
