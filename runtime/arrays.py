"""From Python and NumPy data to arrays of our own, by TensorFlow's rules for constants.

Python ints become int32 (int64 when they need it), floats float32, complex numbers complex128; NumPy data keeps its
dtype. Where a dtype is asked for, a conversion that loses the kind (float to int, text to number) is refused;
integers wrap into the small integer types as in TensorFlow.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..ir import dtypes
from ..ir.dtypes import DType, as_dtype
from ..ir.quiet import Quiet
from .errors import BadInteger, DtypeMismatch, fail
from .location import at
from .tensor_shape import TensorShape

Array = np.ndarray[Any, Any]


def as_array(value: Any, dtype: DType | None = None) -> Array:
    """`value`, which holds no tensor, as an array of our own. Errors as `as_tensor`."""
    kind = type(value)
    if kind is float or kind is int or kind is bool or kind is complex:
        return _from_number(value, dtype)
    if isinstance(value, (np.ndarray, np.generic)):
        return _from_numpy(np.asarray(value), dtype, value)
    if isinstance(value, (list, tuple, range)):
        return _from_sequence(value, dtype)
    if isinstance(value, (str, bytes)):
        return _from_strings(value, dtype)
    if isinstance(value, (int, float, complex)):
        return _from_number(value, dtype)
    if isinstance(value, TensorShape):
        return _from_sequence(value.as_list(), dtype or dtypes.int32)
    if isinstance(value, DType):
        return np.array(value.as_datatype_enum, (dtype or dtypes.int32).np)
    for protocol in ("__array__", "__array_interface__", "__index__"):
        if hasattr(value, protocol) and not isinstance(value, type):
            array = np.asarray(value if protocol != "__index__" else value.__index__())
            return _from_numpy(array, dtype, value)
    return _unsupported(value)


def _unsupported(value: Any) -> NoReturn:
    fail(
        ValueError,
        f"Attempt to convert a value ({value!r}) with an unsupported type ({type(value)}) to a Tensor: "
        "give numbers, lists of numbers, NumPy arrays or tensors",
    )


def _mismatch(value: Any, found: str, dtype: DType) -> NoReturn:
    text = repr(value)
    text = text if len(text) < 60 else text[:57] + "..."
    fail(
        DtypeMismatch,
        f"Cannot convert {text} ({found}) to a Tensor of dtype {dtype.name}: convert it first, "
        f"as in pb.cast({text}, pb.{dtype.name})",
    )


def compatible(want: DType, found: DType) -> bool:
    """Whether TensorFlow converts data of one dtype into another when a constant is made."""
    if want is found or (want.is_integer and found.is_integer):
        return True
    if want.is_floating:
        return found.is_floating or found.is_integer
    return want.is_complex and (found.is_complex or found.is_floating or found.is_integer)


def _from_number(value: Any, dtype: DType | None) -> Array:
    if isinstance(value, bool):
        if dtype is None or dtype.is_bool or dtype.is_numeric:
            return np.array(value, np.bool_ if dtype is None else dtype.np)
        _mismatch(value, "a bool", dtype)
    if isinstance(value, int):
        return _from_ints(value, dtype)
    if isinstance(value, float):
        if dtype is not None and not (dtype.is_floating or dtype.is_complex):
            _mismatch(value, "a float", dtype)
        with Quiet():
            return np.array(value, np.float32 if dtype is None else dtype.np)
    if dtype is not None and not dtype.is_complex:
        _mismatch(value, "a complex number", dtype)
    return np.array(value, np.complex128 if dtype is None else dtype.np)


def _from_ints(value: Any, dtype: DType | None) -> Array:
    """Integers (a number or an int64, uint64 or object array of them)."""
    if dtype is not None and not dtype.is_numeric:
        _mismatch(value, "an integer", dtype)
    try:
        wide: Array = np.array(value, np.uint64 if dtype is dtypes.uint64 else np.int64)
    except OverflowError:
        if dtype is not None and (dtype.is_floating or dtype.is_complex):
            return np.array(value, np.float64).astype(dtype.np)
        fail(
            BadInteger,
            f"Can't convert Python sequence with out-of-range integer to Tensor: {value!r} does not fit "
            f"into {dtype.name if dtype else 'int64'}",
        )
    if dtype is None:
        return wide.astype(np.int32) if _fits(wide, np.int32) else wide
    if dtype is dtypes.int32 and not _fits(wide, np.int32):
        fail(
            BadInteger,
            f"Can't convert Python sequence with out-of-range integer to Tensor: {value!r} does not fit "
            "into int32; ask for dtype=pb.int64",
        )
    with Quiet():
        return wide.astype(dtype.np)


def _fits(a: Array, kind: Any) -> bool:
    info = np.iinfo(kind)
    return not a.size or bool(info.min <= a.min() and a.max() <= info.max)


def _from_numpy(array: Array, dtype: DType | None, value: Any) -> Array:
    if array.dtype == object:
        return _from_sequence(array.tolist(), dtype) if array.ndim else as_array(array[()], dtype)
    if array.dtype.kind in "SU":
        return _from_strings(array, dtype)
    try:
        found = as_dtype(array.dtype)
    except TypeError:
        _unsupported(value)
    if dtype is None or dtype is found:
        return np.array(array, found.np, order="C")
    if not compatible(dtype, found):
        _mismatch(value, f"NumPy data of dtype {found.name}", dtype)
    with Quiet():
        return np.array(array, dtype.np, order="C")


def _from_strings(value: Any, dtype: DType | None) -> Array:
    if dtype is not None and dtype is not dtypes.string:
        _mismatch(value, "text", dtype)
    flat = np.array(value, dtype=object)
    out = np.empty(flat.shape, object)
    for i, s in np.ndenumerate(flat):
        out[i] = s.encode() if isinstance(s, str) else bytes(s)
    return out


def leaf_types(value: Any) -> set[type]:
    """The types of what nested lists hold."""
    found = set(map(type, value))
    for kind in [k for k in found if issubclass(k, (list, tuple, range))]:
        found.remove(kind)
        for item in value:
            if type(item) is kind:
                found |= leaf_types(item)
    return found


def _from_sequence(value: Any, dtype: DType | None) -> Array:
    found = leaf_types(value)
    if any(issubclass(k, (np.ndarray, np.generic)) or hasattr(k, "__array__") for k in found):
        return _from_numpy_list(value, found, dtype)
    if found & {str, bytes}:
        if not found <= {str, bytes}:
            fail(ValueError, f"Can't convert Python sequence with mixed types to Tensor: {_names(found)}")
        return _from_strings(_rectangular(value, object), dtype)
    if not found:
        return _rectangular(value, (dtype or dtypes.float32).np)
    for k in found:
        if not issubclass(k, (int, float, complex)):
            return _foreign(value, k, found, dtype)
    if bool in found and len(found) > 1:
        fail(ValueError, f"Can't convert Python sequence with mixed types to Tensor: {_names(found)}; cast the bools")
    return _from_numbers(value, found, dtype)


def _foreign(value: Any, kind: type, found: set[type], dtype: DType | None) -> Array:
    if hasattr(kind, "__index__"):
        return _from_numpy(_rectangular(value, np.int64), dtype or dtypes.int32, value)
    example = next(x for x in _leaves(value) if type(x) is kind)
    return _unsupported(example)


def _leaves(value: Any) -> Any:
    for item in value:
        if isinstance(item, (list, tuple, range)):
            yield from _leaves(item)
        else:
            yield item


def _from_numbers(value: Any, found: set[type], dtype: DType | None) -> Array:
    if any(issubclass(k, complex) for k in found):
        if dtype is not None and not dtype.is_complex:
            _mismatch(value, "complex numbers", dtype)
        return _rectangular(value, np.complex128 if dtype is None else dtype.np)
    if any(issubclass(k, float) for k in found):
        if dtype is not None and not (dtype.is_floating or dtype.is_complex):
            _mismatch(value, "floats", dtype)
        with Quiet():
            return _rectangular(value, np.float32 if dtype is None else dtype.np)
    if found == {bool}:
        if dtype is not None and not (dtype.is_bool or dtype.is_numeric):
            _mismatch(value, "bools", dtype)
        return _rectangular(value, np.bool_ if dtype is None else dtype.np)
    return _from_ints(_rectangular(value, object), dtype)


def _rectangular(value: Any, kind: Any) -> Array:
    try:
        array: Array = np.array(value, dtype=kind)
    except (ValueError, TypeError) as e:
        raise ValueError(
            f"Can't convert non-rectangular Python sequence to Tensor: the inner lists differ in length{at()}"
        ) from e
    if array.dtype == object and any(isinstance(x, (list, tuple, range)) for x in array.flat):
        fail(ValueError, "Can't convert non-rectangular Python sequence to Tensor: the inner lists differ in length")
    return array


def _from_numpy_list(value: Any, found: set[type], dtype: DType | None) -> Array:
    kinds = [
        np.asarray(x).dtype
        for x in _leaves(value)
        if isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "__array__")
    ]
    try:
        array = np.array(value, dtype=np.result_type(*kinds) if len(set(kinds)) > 1 else kinds[0])
    except (ValueError, TypeError) as e:
        raise ValueError(f"Can't convert this Python sequence of arrays to a Tensor: {e}{at()}") from e
    return _from_numpy(array, dtype, value)


def _names(found: set[type]) -> str:
    return " and ".join(sorted(k.__name__ for k in found))
