"""`and`, `or`, `not`, conditional expressions, chained comparisons and `assert`, on Python values and on tensors.

The rewritten expression evaluates exactly what the original does, in its order: `a and b` is
`join(and_(a) and give(b))`. For a tensor, the part whose evaluation depends on it is evaluated into a region and
becomes a branch of an IR `if`; when it is cheap and cannot fail, a plain logical operation.
"""

from __future__ import annotations

from typing import Any

from ..ir.elementwise import Elementwise
from ..ir.opdef import get
from ..runtime.arithmetic import logical_and, logical_not
from ..runtime.convert import as_tensor
from ..runtime.dispatch import apply
from ..runtime.location import user_location
from ..runtime.ops_print import text_attrs
from .control_branch import Merge, fill, make_if
from .control_region import Frame, Region, current_trace, frames, pop, push
from .control_test import condition, is_tensor
from .control_text import ready, shown
from .number import Number, kind_of, owners_of
from .symbolic import SymbolicTensor

_SPECULATED = frozenset(("constant", "cast", "identity"))
_MAY_FAIL = frozenset(("div", "floordiv", "mod", "pow"))
MAX_SPECULATED = 8


class Pending(Frame):
    """An expression of which a part is being evaluated.

    Attributes:
      kind: "and", "or", "if" or "assert". test: the first operand's truth. value: the result, for Python values.
      given: results of evaluated parts, `regions` what they were evaluated into. kept: the middle of a comparison.
    """

    def __init__(self, kind: str, test: bool | SymbolicTensor, value: Any = None, kept: Any = None) -> None:
        self.kind, self.test, self.value, self.kept = kind, test, value, kept
        self.number: Number | None = None  # the test, where it is a Python number
        self.given: list[Any] = []
        self.regions: list[Region] = []

    def begin(self) -> bool:
        """For a tensor: opens a region for the next part."""
        assert not isinstance(self.test, bool)
        self.regions.append(Region(self.test.trace).open())
        return True


class Kept(Frame):
    """The middle operand of a comparison that is being evaluated."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _top() -> Any:
    return frames.open[-1]


def and_(x: Any) -> bool:
    """`x and ...`: whether the second operand is evaluated."""
    return _first("and", x, None)


def or_(x: Any) -> bool:
    """`x or ...`: whether the second operand is evaluated."""
    return _first("or", x, None)


def _first(kind: str, x: Any, kept: Any) -> bool:
    test = condition(x)
    p = Pending(kind, test, x, kept)
    p.number = x if isinstance(x, Number) else None
    push(p)
    if isinstance(test, bool):
        return test is (kind == "and")
    return p.begin()


def keep(x: Any) -> Any:
    """Remembers the middle operand of `a < x < b`."""
    push(Kept(x))
    return x


def kept() -> Any:
    """The operand that was kept."""
    return next(f for f in reversed(frames.open) if isinstance(f, Pending)).kept


def chain(x: Any) -> bool:
    """`x`, the first comparison of a chain: whether the next one is evaluated."""
    middle = _top()
    pop(middle)
    return _first("and", x, middle.value)


def then(test: Any) -> bool:
    """`... if test else ...`: whether the first value is evaluated."""
    p = Pending("if", condition(test, fold=True))
    p.number = test if isinstance(test, Number) else None
    push(p)
    return p.test if isinstance(p.test, bool) else p.begin()


def other() -> bool:
    """Whether the second value of a conditional expression is evaluated."""
    p: Pending = _top()
    return not p.test if isinstance(p.test, bool) else p.begin()


def give(x: Any) -> None:
    """Hands over the value of a part."""
    p = _top()
    if isinstance(p, Region):
        p.close()
        p = _top()
    if isinstance(p.test, bool):
        p.value = x
    else:
        p.given.append(x)


def assert_(test: Any) -> bool:
    """`assert test, message`: whether the message is evaluated now (for a Python value Python sees to it)."""
    c = condition(test)
    p = Pending("assert", c, c)
    push(p)
    return not isinstance(c, bool)


def not_(x: Any) -> Any:
    """`not x`."""
    if isinstance(x, Number):
        return x.logical_not()
    if current_trace() is not None and is_tensor(x):
        c = condition(x)
        return (not c) if isinstance(c, bool) else logical_not(c)
    return not x


def join(*parts: Any) -> Any:
    """The value of the expression whose parts were evaluated before."""
    p: Pending = _top()
    pop(p)
    test = p.test
    if isinstance(test, bool):
        return p.value
    if p.kind == "assert":
        head, message = f"assertion failed at {user_location()}", p.given[0]
        tensors, attrs = text_attrs([] if message is None else [": ", *ready(shown(message))])
        apply(get("assert"), [test, *tensors], {"message": head, "summarize": 3, **attrs})
        return True
    if p.kind == "if":
        return _merged(test, (p.regions[0], p.regions[1]), p.given[0], p.given[1], p.number)
    if p.kind == "and" and _is_scalar_bool(p.given[0]):
        return and_values(test, p.regions[0], p.given[0])
    if p.kind == "and" and p.number is not None and kind_of(p.given[0]) is bool:
        second: Any = p.given[0].tensor if isinstance(p.given[0], Number) else p.given[0]
        return Number(and_values(test, p.regions[0], second), bool, None, owners_of(p.number, p.given[0]))
    return _short_circuit(p, test)


def _short_circuit(p: Pending, test: SymbolicTensor) -> Any:
    region, value = p.regions[0], p.given[0]
    empty = Region(test.trace).open()
    empty.close()
    first = test if _is_scalar_bool(value) or isinstance(value, bool) else p.value
    if p.number is not None and kind_of(value) is not None:
        first = p.number
    if p.kind == "and":
        return _merged(test, (region, empty), value, first, p.number)
    return _merged(test, (empty, region), first, value, p.number)


def _is_scalar_bool(x: Any) -> bool:
    return isinstance(x, SymbolicTensor) and x.dtype.is_bool and not x.type.shape


def _merged(test: SymbolicTensor, regions: tuple[Region, Region], x: Any, y: Any, number: Number | None = None) -> Any:
    merge = Merge(regions, number)
    value = merge.value("the value of the expression", x, y)
    return fill(value, make_if(test, regions, merge))


def and_values(first: Any, region: Region, second: bool | SymbolicTensor) -> Any:
    """`first and second`, the ops of `second` being in a region: a logical operation if they are cheap and safe."""
    if isinstance(second, bool):
        return first if second else logical_and(first, as_tensor(False))
    if not region.assigned and cheap(region):
        first.trace.builder.block.ops.extend(region.block.ops)
        for op in region.block.ops:
            for r in op.results:
                first.trace.closed.pop(r, None)
        return logical_and(first, second)
    empty = Region(first.trace).open()
    empty.close()
    return _merged(first, (region, empty), second, as_tensor(False))


def cheap(region: Region) -> bool:
    """Whether the ops may run although they are not asked for: few, elementwise on scalars, unable to fail."""
    ops = region.block.ops
    return len(ops) <= MAX_SPECULATED and all(
        (op.kind.name in _SPECULATED or isinstance(op.kind, Elementwise))
        and op.kind.name not in _MAY_FAIL
        and all(not r.type.shape for r in op.results)
        for op in ops
    )


__all__ = ["and_", "assert_", "chain", "give", "join", "keep", "kept", "not_", "or_", "other", "then"]
