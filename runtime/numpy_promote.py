"""Which dtype NumPy computes in: operands of NumPy's functions brought to it, results turned into arrays.

Two rules. Beside a Tensor or Variable NumPy data takes the tensor's dtype, as with the operators of Tensor. Arrays,
ndarrays, NumPy scalars and Python numbers alone follow NumPy's promotion, in which a Python number is weak; so is a
tensor that stands for one: a size that is a symbol, a number that a loop carries. NumPy itself is asked for the dtypes,
so that every ufunc has the loops that it has there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..ir.dims import Dim
from ..ir.dtypes import DType, as_dtype
from ..ir.opdef import get
from .arithmetic import cast
from .array import array_of, is_array
from .convert import as_tensor, is_tensor, make
from .dispatch import apply
from .elementwise import NONE, operands
from .tensor import Tensor
from .weak import Weak


class _Rule(threading.local):
    """Whose rule holds in the function that runs: with `plain` TensorFlow's.

    What an implementation has in between are Tensors either way, so only the arguments tell.
    """

    plain = False


rule = _Rule()
Kind = Any  # a NumPy dtype, or int, float, complex for a weak number
_PYTHON = (int, float, complex)
_WEAK = {"i": int, "u": int, "f": float, "c": complex}


def is_weak(x: Any) -> bool:
    """Whether a tensor stands for a Python number."""
    if not isinstance(x, Tensor):
        return False
    if getattr(x, "_weak", False):
        return True
    static = getattr(x, "static", None)
    return isinstance(static, np.ndarray) and static.ndim == 0 and isinstance(static[()], Dim)


def is_plain(x: Any) -> bool:
    """Whether it is a Tensor or Variable, with TensorFlow's rules for dtypes."""
    return is_tensor(x) and not is_array(x) and not is_weak(x)


def leaves(x: Any) -> Iterator[Any]:
    """What lists, tuples and dicts hold."""
    if isinstance(x, (list, tuple)):
        for v in x:
            yield from leaves(v)
    elif isinstance(x, dict):
        for v in x.values():
            yield from leaves(v)
    else:
        yield x


def holds_plain(x: Any) -> bool:
    """Whether a Tensor or Variable is among the arguments."""
    return any(is_plain(v) for v in leaves(x))


def under_rule_of(inputs: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The function under the rule that the inputs ask for, its result as they ask for it."""
    saved, rule.plain = rule.plain, holds_plain(inputs)
    try:
        return finished(function(*args, **kwargs), rule.plain, inputs)
    finally:
        rule.plain = saved


def kind_of(x: Any) -> Kind:
    """The dtype with which an operand takes part in promotion."""
    if is_tensor(x):
        weak = _WEAK.get(x.dtype.kind) if is_weak(x) else None
        return x.dtype.np if weak is None else weak
    if isinstance(x, Weak):
        return np.dtype(bool) if x.kind is bool else x.kind
    if isinstance(x, (np.ndarray, np.generic)):
        return x.dtype
    if isinstance(x, bool):
        return np.dtype(bool)
    for kind in _PYTHON:
        if isinstance(x, kind):
            return kind
    return np.asarray(x).dtype


@lru_cache(4096)
def loop_of(ufunc: np.ufunc, kinds: tuple[Kind, ...]) -> tuple[np.dtype[Any], ...]:
    """The dtypes of a ufunc's operands and results. Raises TypeError, as NumPy does, when there is no such loop."""
    if all(isinstance(k, type) for k in kinds):
        kinds = tuple(np.dtype(k) for k in kinds)
    return ufunc.resolve_dtypes((*kinds, *(None,) * ufunc.nout))


@lru_cache(4096)
def joined(kinds: tuple[Kind, ...]) -> np.dtype[Any]:
    """`np.result_type` of kinds."""
    if all(isinstance(k, type) for k in kinds):
        return np.result_type(*kinds)
    return np.result_type(*[k(0) if isinstance(k, type) else k for k in kinds])


def tensor(x: Any, dtype: Any = None) -> Tensor:
    """Anything as a tensor: of its own dtype, NumPy's default for Python numbers, or of the dtype given."""
    if is_tensor(x):
        t = as_tensor(x)
    elif isinstance(x, (list, tuple)) and any(is_tensor(v) for v in leaves(x)):
        t = _packed(x)
    elif isinstance(x, Dim):
        t = as_tensor(x)
    elif isinstance(x, Weak):
        return x.as_tensor(as_dtype(dtype or np.dtype(x.kind)))
    else:
        return make(_data(x, dtype))
    return t if dtype is None else cast(t, as_dtype(dtype))


def _data(x: Any, dtype: Any) -> np.ndarray[Any, Any]:
    if isinstance(dtype, DType):
        dtype = dtype.np
    if isinstance(x, (np.ndarray, np.generic)):
        with np.errstate(all="ignore"):
            return np.array(x, dtype, order="C")
    data = np.array(x, dtype, order="C")
    if data.dtype == object:
        raise TypeError(f"{x!r} of type {type(x).__name__} is no array of numbers")
    return data


def _packed(x: Sequence[Any]) -> Tensor:
    """A list with tensors in it, as a stack. As in np.array, a Python number has its default dtype here."""
    from .ops_shape import stack

    if any(is_plain(v) for v in leaves(x)):
        return stack([_packed(v) if isinstance(v, (list, tuple)) and holds_plain(v) else v for v in x])
    rows = [tensor(v) for v in x]
    want = as_dtype(np.result_type(*[r.dtype.np for r in rows]))
    return stack([cast(r, want) for r in rows])


def to(x: Any, dtype: np.dtype[Any]) -> Tensor:
    """An operand as a tensor of the dtype. Raises OverflowError for a Python integer that it cannot hold."""
    return tensor(x, dtype)


def promoted(what: str, *xs: Any) -> list[Tensor]:
    """Operands as tensors of one dtype."""
    if rule.plain:
        return operands(what, *xs)
    want = joined(tuple(kind_of(x) for x in xs))
    return [to(x, want) for x in xs]


def strong(what: str, *xs: Any) -> list[Tensor]:
    """As `promoted`, of a function that makes arrays of its operands: a Python number has its default dtype."""
    return promoted(what, *(xs if rule.plain else [x if is_tensor(x) else tensor(x) for x in xs]))


def _number_or_tensor(x: Any) -> Any:
    """Lists become tensors; numbers stay, because as such they are weak."""
    if is_tensor(x) or isinstance(x, (np.ndarray, np.generic, Weak, *_PYTHON)):
        return x
    return tensor(x)


def for_loop(ufunc: np.ufunc, xs: Sequence[Any], dtype: Any = None) -> tuple[list[Tensor], tuple[np.dtype[Any], ...]]:
    """The operands in the dtypes in which NumPy would compute, and the dtypes of the results."""
    xs = [_number_or_tensor(x) for x in xs]
    if dtype is not None:
        xs = [tensor(x, dtype) for x in xs]
    elif rule.plain:
        xs = operands(ufunc.__name__, *xs)
    loop = loop_of(ufunc, tuple(kind_of(x) for x in xs))
    return [to(x, d) for x, d in zip(xs, loop, strict=False)], loop[len(xs) :]


def finished(result: Any, plain: bool, inputs: Any) -> Any:
    """The tensors of a result as arrays, or as Tensors where one took part; never one of the arguments themselves."""
    if isinstance(result, Tensor):
        given = any(result is x for x in leaves(inputs))
        if not plain and is_array(result) and not given:
            return result
        if given or (is_array(result) if plain else is_weak(result)):
            result = apply(get("identity"), (result,), NONE)
        return result if plain else array_of(result)
    if isinstance(result, (list, tuple)):
        values = [finished(r, plain, inputs) for r in result]
        return type(result)(*values) if hasattr(result, "_fields") else type(result)(values)
    return result
