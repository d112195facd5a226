"""The Python state that a construct carries or merges: variables, attributes, contents of containers, as nested values.

A value is taken apart into leaves. Tensors become values of the IR; Python numbers stay Python numbers as long as they
are the same on every way and become tensors where they differ; everything else has to be the same on every way. What
does not fit is an error that names the variable, both types and the user's line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from ..ir import dtypes
from ..ir.dtypes import DType
from ..ir.errors import ShapeMismatch, TypeMismatch
from ..ir.types import TensorType
from ..runtime.arrays import as_array
from ..runtime.convert import as_tensor
from ..runtime.location import at
from ..runtime.tensor import Tensor
from .number import Number
from .structure import Structure, flatten

Values = dict[str, Any]
PlaceKey = tuple[str, tuple[str, ...]]


class Sentinel:
    """A mark in place of a value."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


UNDEFINED = Sentinel("<undefined>")
NOT_RETURNED = Sentinel("<not returned>")


def is_flag(name: str) -> bool:
    """Whether the variable is one of the rewriting's flags."""
    return name.startswith(("ag_returned", "ag_stop_", "ag_skip_"))


def taken_apart(value: Any) -> tuple[Structure, list[Any]]:
    """Structure and leaves of a value; tensors, variables and arrays are leaves."""
    return flatten(value, lambda x: isinstance(x, (Tensor, np.ndarray, Sentinel)) or hasattr(x, "_as_tensor"))


def is_number(x: Any) -> bool:
    """Whether a leaf is a Python or NumPy number or array, which can become a tensor."""
    return isinstance(x, (bool, int, float, complex, np.generic, np.ndarray, Number))


def same(x: Any, y: Any) -> bool:
    """Whether two leaves that are no tensors are one for all that Python can tell."""
    if x is y:
        return True
    for n, other in ((x, y), (y, x)):
        if isinstance(n, Number) and n.lifted and not isinstance(other, Tensor):
            n.needed("a branch or a loop changes the number")
    if type(x) is not type(y) or isinstance(x, Tensor):
        return False
    if isinstance(x, np.ndarray):
        return x.dtype == y.dtype and np.array_equal(x, y)
    if not isinstance(x, (bool, int, float, complex, str, bytes, np.generic, range, frozenset, set)):
        return False
    return bool(x == y) and repr(x) == repr(y)  # 0.0 is not -0.0


def common_dtype(x: Any, y: Any) -> DType | None:
    """The dtype in which two leaves can meet, of which not both are tensors; None when there is none."""
    for a, b in ((x, y), (y, x)):
        if isinstance(a, Tensor):
            return a.dtype if fits(b, a.dtype) else None
    kinds = [as_array_dtype(v) for v in (x, y)]
    if kinds[0] is kinds[1]:
        return kinds[0]
    order = [dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64, dtypes.complex128]
    if all(k in order for k in kinds):
        return max(kinds, key=order.index)
    return None


def as_array_dtype(x: Any) -> DType:
    """The dtype that a number takes as a tensor."""
    if isinstance(x, Number):
        x = x.kind(0)
    return dtypes.as_dtype(as_array(x).dtype)


def fits(x: Any, dtype: DType) -> bool:
    """Whether a Python number may become a tensor of the dtype without losing its kind."""
    if isinstance(x, Tensor):
        return x.dtype is dtype
    found = as_array_dtype(x)
    if isinstance(x, Number):
        x = x.kind(0)
    if isinstance(x, (np.ndarray, np.generic, bool)):
        return found is dtype
    if dtype.is_floating or dtype.is_complex:
        return found.is_integer or (found.is_floating and not isinstance(x, complex)) or dtype.is_complex
    return dtype.is_integer and found.is_integer


def converted(x: Any, dtype: DType) -> Tensor:
    """A leaf as a tensor of the dtype, made in the block that is being filled."""
    return as_tensor(x, dtype)


def describe(x: Any) -> str:
    """A leaf as errors show it."""
    if isinstance(x, Tensor):
        loc = getattr(x, "loc", None)
        return f"a tensor {x.type}" + (f" (made at {loc})" if loc else "")
    if x is UNDEFINED:
        return "undefined"
    if isinstance(x, Number):
        return f"a Python {x.kind.__name__} that a loop changes"
    if any(isinstance(leaf, Number) for leaf in taken_apart(x)[1]):
        return f"a {type(x).__name__} with a number that a loop changes"
    return f"{x!r} of type {type(x).__name__}" if x is not None else "None"


def label(name: str) -> str:
    """A variable as errors name it."""
    if name == "ag_value":
        return "the returned value"
    if name.endswith("[...]"):
        return f"what is in '{name.removesuffix('[...]')}'"
    return f"'{name}'"


def bad_types(name: str, where: str, x: Any, y: Any, ways: tuple[str, str], advice: str) -> NoReturn:
    """The error for leaves that cannot meet."""
    text = f"{label(name)} is {describe(x)} {ways[0]} and {describe(y)} {ways[1]} of {where}: {advice}{at()}"
    both = isinstance(x, Tensor) and isinstance(y, Tensor)
    if both and x.dtype is y.dtype:
        raise ShapeMismatch(text)
    raise TypeMismatch(text)


def variables(here: Mapping[str, Any]) -> Values:
    """A copy of a function's variables without the drivers of its constructs, which would hold on to themselves."""
    return {n: v for n, v in here.items() if not (n.startswith("ag_") and n[3:].isdigit())}


class Place:
    """State that is no variable: an attribute ("attr"), or the contents of a list, dict or set ("items"; "own" if the
    function made it itself, and so nobody else sees what it does there)."""

    def __init__(self, kind: str, path: tuple[str, ...], base: Any) -> None:
        self.kind, self.path, self.base = kind, path, base
        self.key = ".".join(path) + ("" if kind == "attr" else "[...]")

    def get(self) -> Any:
        """The present value; of a container a copy."""
        if self.kind == "attr":
            return getattr(self.base, self.path[-1], UNDEFINED)
        return type(self.base)(self.base)

    def set(self, value: Any) -> None:
        """Puts a value back."""
        if self.kind == "attr":
            if value is not UNDEFINED:
                setattr(self.base, self.path[-1], value)
            elif hasattr(self.base, self.path[-1]):
                delattr(self.base, self.path[-1])
        elif isinstance(self.base, list):
            self.base[:] = value
        else:
            self.base.clear()
            self.base.update(value)


def find_places(keys: Sequence[PlaceKey], here: Mapping[str, Any]) -> list[Place]:
    """The places that exist when a construct begins. A path that leads nowhere yet is no state of it."""
    found: list[Place] = []
    for kind, path in keys:
        base = here.get(path[0], UNDEFINED)
        for name in path[1:-1] if kind == "attr" else path[1:]:
            base = getattr(base, name, UNDEFINED)
        if base is UNDEFINED or isinstance(base, Tensor) or hasattr(base, "_as_tensor"):
            continue
        if kind == "attr" or type(base) in (list, dict, set):
            found.append(Place(kind, path, base))
    return found


def snapshot(places: Sequence[Place]) -> Values:
    """The present values of places."""
    return {p.key: p.get() for p in places}


def restore(places: Sequence[Place], values: Mapping[str, Any]) -> None:
    """Puts values back, where they are not there already."""
    for p in places:
        if not unchanged(p.get(), values[p.key]):
            p.set(values[p.key])


def holds_tensor(value: Any) -> bool:
    """Whether a tensor is among the leaves."""
    return any(isinstance(x, Tensor) for x in taken_apart(value)[1])


def managed(places: Sequence[Place], start: Values, *ends: Values) -> list[Place]:
    """The places in which tensors are, or come to be, and what changed of the function's own. Others changed as Python
    changes them, once, while tracing."""

    def concerned(p: Place) -> bool:
        if p.kind == "own" and any(not unchanged(v[p.key], start[p.key]) for v in ends):
            return True
        return any(holds_tensor(v[p.key]) for v in (start, *ends))

    return [p for p in places if concerned(p)]


def unchanged(x: Any, y: Any) -> bool:
    """Whether a value consists of the same objects as another one."""
    if x is y:
        return True
    sx, lx = taken_apart(x)
    sy, ly = taken_apart(y)
    return sx == sy and all(a is b or same(a, b) for a, b in zip(lx, ly, strict=True))


def placeholder(t: TensorType) -> Tensor:
    """Zeros in place of a value that is never looked at."""
    from ..runtime.convert import make

    zero = make(np.zeros((), t.dtype.np))
    if not t.shape:
        return zero
    from ..runtime.dispatch import call

    result: Tensor = call("broadcast_to", zero, shape=t.shape)
    return result
