"""What makes two calls the same to the compiler: the key of a call's arguments.

Tensors and ndarrays count by dtype and shape, Python numbers and strings by type and value (1, 1.0 and True differ),
containers by structure, every other object by identity. Identity is held weakly: when such an object dies, the traces
made for it are dropped, so that no trace keeps an object alive and no new object meets an old one's trace.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..ir.dtypes import _BY_NP as BY_NUMPY
from ..ir.types import TensorType
from ..runtime.array import Array as OurArray
from ..runtime.array import Cell, array_of, is_array
from ..runtime.context import slow_mode
from ..runtime.convert import convert_to_tensor
from ..runtime.location import at
from ..runtime.tensor import Tensor
from ..runtime.weak import Weak
from .spec import TensorSpec
from .structure import describe, rebuild, sorted_keys
from .symbolic import SymbolicTensor

ARRAY = "array"  # in a key, before an array that follows NumPy's rules
FLOAT = "float"  # before a Python float that is a value of the program
CELL = "cell"  # behind that, before an ndarray of no dimensions, which is written to where a scalar is not
Handler = Callable[[Any, "CallKey"], None]


class FloatArgument(Tensor):
    """A Python float on its way to a program that takes it as a double. `lift`: the attempt, while that is traced."""

    __slots__ = ("lift",)

    def __init__(self, data: np.ndarray[Any, Any], lift: Any) -> None:
        super().__init__(data)
        self.lift = lift

    @property
    def owners(self) -> frozenset[Any]:
        """Of the number that stands for it."""
        return frozenset((self.lift,))


class SymbolicFloat(SymbolicTensor):
    """The same in a trace, made of the number of an enclosing function. `owners`: that number's."""

    __slots__ = ("owners",)
    owners: frozenset[Any]

    def __init__(self, number: Any) -> None:
        t = number.tensor
        super().__init__(t.value, t.trace, None, t.loc)
        self.home = t.home
        self.owners = number.owners


class CallKey:
    """The key of a call while it is put together.

    Attributes:
      items: becomes the key. leaves: the tensors, in order. objects: what the key names by identity.
      sources: the ndarrays that leaves were made of, by the leaf's number: what is written to them, the caller sees.
    """

    __slots__ = ("items", "leaves", "objects", "sources")

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.leaves: list[Any] = []
        self.objects: list[Any] = []
        self.sources: dict[int, Any] = {}

    def add(self, x: Any) -> None:
        """Adds an argument."""
        (_HANDLERS.get(type(x)) or _handler_for(x))(x, self)


def _tensor(x: Any, key: CallKey) -> None:
    data = x._data
    key.items.append((data.dtype.num, data.shape))
    key.leaves.append(x)


def _symbolic(x: Any, key: CallKey) -> None:
    key.items.append((x.dtype.np.num, x.type.shape))
    key.leaves.append(x)


def _spec(x: Any, key: CallKey) -> None:
    if x.dims is None:
        raise ValueError(f"{x!r}: the number of dimensions must be known here; write [None] * rank{at()}")
    key.items.append((x.dtype.np.num, x.dims))
    key.leaves.append(x)


def _array(x: Any, key: CallKey) -> None:
    if not is_leaf(x):
        _object(x, key)
        return
    if isinstance(x, np.ndarray):
        key.sources[len(key.leaves)] = x
        known = BY_NUMPY.get(x.dtype)
        if known is not None and not slow_mode.count:
            key.items += (ARRAY, (known.np.num, x.shape)) if x.ndim else (ARRAY, CELL, (known.np.num, ()))
            key.leaves.append((OurArray if x.ndim else Cell)(np.array(x, known.np, order="C")))
            return
    found = convert_to_tensor(x)
    _numpy(found if isinstance(found, SymbolicTensor) or found._data is not x else Tensor(x.copy()), key)


def _numpy(x: Any, key: CallKey) -> None:
    """An array: other rules hold for it than for a Tensor."""
    t = x._resolved()
    if t is not x:
        key.sources[len(key.leaves)] = x
    key.items.append(ARRAY)
    key.items.append((t.dtype.np.num, t.type.shape))
    key.leaves.append(t if is_array(t) else array_of(t))


def _value(x: Any, key: CallKey) -> None:
    key.items.append((type(x), x))


def _float(x: Any, key: CallKey) -> None:
    key.items.append((float, float_key(x)))


def float_key(x: float) -> Any:
    """What tells a float from others: nan is one value, and 0.0 is not -0.0."""
    return x if x and x == x else repr(math.copysign(1.0, x) if x == x else x)


def _float_argument(x: Any, key: CallKey) -> None:
    key.items.append(FLOAT)
    key.items.append((x.dtype.np.num, ()))
    key.leaves.append(x)


def _complex(x: Any, key: CallKey) -> None:
    key.items.append((complex, repr(x)))


def _none(x: Any, key: CallKey) -> None:
    key.items.append(None)


def _all(values: Iterable[Any], key: CallKey) -> None:
    """Adds several; tensors, the common case, without a detour."""
    items, leaves = key.items, key.leaves
    for v in values:
        if type(v) is Tensor:
            data = v._data
            items.append((data.dtype.num, data.shape))
            leaves.append(v)
        else:
            key.add(v)


def _list(x: Any, key: CallKey) -> None:
    key.items.append(("list", len(x)))
    _all(x, key)


def _tuple(x: Any, key: CallKey) -> None:
    key.items.append((type(x), len(x)))
    _all(x, key)


def _dict(x: Any, key: CallKey) -> None:
    keys = sorted_keys(x)
    key.items.append((type(x), *map(_typed, keys)))
    _all([x[k] for k in keys], key)


def _record(x: Any, key: CallKey) -> None:
    structure, items = describe(x)
    assert structure is not None
    key.items.append((type(x), structure.keys))
    for v in items:
        key.add(v)


def _slice(x: Any, key: CallKey) -> None:
    key.items.append(slice)
    for v in (x.start, x.stop, x.step):
        key.add(v)


def _object(x: Any, key: CallKey) -> None:
    if isinstance(x, Weak) and x.lifted:
        x.needed("a container of a compiled function's arguments holds the number")
    key.items.append(("object", id(x)))
    key.objects.append(x)


def _typed(x: Any) -> Any:
    return (type(x), x)


def _handler_for(x: Any) -> Handler:
    """How arguments of the type of `x` are counted."""
    if is_array(x):
        return _numpy
    if isinstance(x, SymbolicTensor):
        return _symbolic
    if isinstance(x, Tensor):
        return _tensor
    if isinstance(x, (np.ndarray, np.generic)):
        return _array
    structure, _ = describe(x)
    if structure is not None:
        return {"list": _list, "tuple": _tuple, "namedtuple": _tuple, "dict": _dict, "record": _record}[structure.kind]
    return _object


_HANDLERS: dict[type, Handler] = {
    FloatArgument: _float_argument, SymbolicFloat: _float_argument, Tensor: _tensor, SymbolicTensor: _symbolic,
    TensorSpec: _spec, np.ndarray: _array, type(None): _none,
    bool: _value, int: _value, str: _value, bytes: _value, float: _float, complex: _complex, range: _value,
    list: _list, tuple: _tuple, dict: _dict, slice: _slice, type(Ellipsis): _value,
}  # fmt: skip


def key_of(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any], CallKey]:
    """The key of canonical argument values, their tensors in order, and all that was found."""
    key = CallKey()
    _all(values, key)
    return tuple(key.items), key.leaves, key


def is_leaf(x: Any) -> bool:
    """Whether an argument is handed to the compiled code: a tensor, an ndarray, a NumPy scalar, a spec."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.dtype.kind in "fiubc" or x.dtype.name == "bfloat16"
    return isinstance(x, (Tensor, TensorSpec))


def replace_leaves(x: Any, new: Iterator[Any]) -> Any:
    """The argument with its tensors replaced by the next ones of an iterator; what holds no tensor stays as it is."""
    if is_leaf(x):
        return next(new)
    structure, items = (None, []) if x is None else describe(x)
    if structure is None or (structure.kind == "record" and not any(leaf_names(v, "") for v in items)):
        return x
    return rebuild(structure, [replace_leaves(v, new) for v in items])


def leaf_names(x: Any, name: str) -> list[str]:
    """A name for each tensor of an argument: `x`, `x_0`, `x_key`."""
    if is_leaf(x):
        return [getattr(x, "name", None) or name if isinstance(x, TensorSpec) else name]
    structure, items = (None, []) if x is None else describe(x)
    if structure is None:
        return []
    keys = structure.keys or range(len(items))
    return [n for k, v in zip(keys, items, strict=True) for n in leaf_names(v, f"{name}_{k}" if name else str(k))]


def type_of_leaf(x: Any) -> TensorType:
    """The IR type of an argument tensor (not of a spec)."""
    if isinstance(x, SymbolicTensor):
        return x.type
    return TensorType(x.dtype, tuple(x._data.shape))


def skeleton(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key without the sizes of tensors: what all shapes of the same ranks have in common."""
    return tuple((k[0], len(k[1])) if is_tensor_item(k) else k for k in key)


def without_arrays(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key of the same call with Tensors in place of arrays."""
    return tuple(k for k in key if not (type(k) is str and k in (ARRAY, CELL)))


def is_tensor_item(item: Any) -> bool:
    """Whether an item of a key stands for a tensor: (dtype number, shape)."""
    return isinstance(item, tuple) and len(item) == 2 and type(item[0]) is int and isinstance(item[1], tuple)
