"""One trace for many sizes: the second size of the same rank makes a name of what varied.

The Python function runs as it does for known sizes, with sizes that remember what was decided by them (`ir.sizes`).
The trace then serves all calls that would have decided alike; where Python needed a size as a number, only that one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ir.control import plain_symbol
from ..ir.dim_bounds import LEAST
from ..ir.dims import DimLike, substitute
from ..ir.graph import Block, Function
from ..ir.inline import inline
from ..ir.sizes import Session, dim_of, is_named
from ..ir.types import TensorType

Shape = tuple[Any, ...]
_LETTERS = ("n", "m", "k", "p", "q", "r", "s")


def names_for(old: Sequence[Shape], new: Sequence[Shape]) -> list[Shape]:
    """The new shapes with names in place of sizes that changed; what was equal in both calls gets one name."""
    names: dict[tuple[int, int], str] = {}

    def entry(a: Any, b: Any) -> Any:
        if type(a) is not int or type(b) is not int or a == b or b < LEAST:
            return b
        return names.setdefault((a, b), _LETTERS[len(names)] if len(names) < len(_LETTERS) else f"d{len(names)}")

    return [tuple(entry(a, b) for a, b in zip(s, t, strict=True)) for s, t in zip(old, new, strict=True)]


def has_names(shapes: Sequence[Shape]) -> bool:
    """Whether some size of the shapes has a name."""
    return any(isinstance(d, str) for s in shapes for d in s)


def settle(fn: Function, session: Session | None) -> tuple[Function, Session | None]:
    """Ends a trace with named sizes, in place: they become symbols, or numbers where the trace is for those only.

    Returns:
      The function, and the session, which says what sizes it serves; None for one combination of sizes.
    """
    if session is None:
        return fn, None
    pinned, hints = session.pinned, session.hints
    given = [d for f in fn.callees() for t in f.param_types for d in t.shape if is_named(d)]
    if any(plain_symbol(dim_of(d)) is None for d in given):
        fn = inline(fn)  # what is called with a computed size has no name for that

    def known(n: Any) -> DimLike:
        d = dim_of(n)
        return substitute(d, hints) if pinned else d

    _rewrite(fn, known, set())
    session.close()
    return fn, None if pinned else session


def _rewrite(fn: Function, known: Callable[[Any], DimLike], done: set[int]) -> None:
    if id(fn) in done:
        return
    done.add(id(fn))
    _block(fn.body, known, done)


def _block(block: Block, known: Callable[[Any], DimLike], done: set[int]) -> None:
    for p in block.params:
        p.type = _type(p.type, known)
    for op in block.ops:
        op.attrs = {k: _value(v, known, done) for k, v in op.attrs.items()}
        for r in op.results:
            r.type = _type(r.type, known)
        for region in op.regions:
            _block(region, known, done)
        backward = getattr(op.kind, "backward", None)
        if isinstance(backward, Function):
            _rewrite(backward, known, done)


def _type(t: TensorType, known: Callable[[Any], DimLike]) -> TensorType:
    if not any(is_named(d) for d in t.shape):
        return t
    return type(t)(t.dtype, tuple(known(d) if is_named(d) else d for d in t.shape))


def _value(value: Any, known: Callable[[Any], DimLike], done: set[int]) -> Any:
    if is_named(value):
        return known(value)
    if type(value) in (tuple, list):
        return type(value)(_value(v, known, done) for v in value)
    if isinstance(value, Function):
        _rewrite(value, known, done)
    return value
