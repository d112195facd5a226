"""NumPy's functions that give views: of an Array they are views here too, of anything else values.

`np.transpose(A)`, `np.reshape(A, shape)`, `np.flip(A)` and `np.split(A, n)` show the array that they were given: what
is written to the result is written to `A`. What NumPy gives read-only (diagonals, `np.broadcast_to`) is a value here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from . import numpy_join, numpy_more, numpy_shape
from .array import is_array
from .convert import static_value
from .numpy_protocol import FUNCTIONS
from .ops_shape import axis_argument, known_sizes

F = TypeVar("F", bound=Callable[..., Any])


def _view(*functions: Any) -> Callable[[F], F]:
    """Enters a function that gives a view of an Array."""

    def enter(view: F) -> F:
        for f in functions:
            FUNCTIONS[f] = _for_arrays(FUNCTIONS[f], view)
        return view

    return enter


def _for_arrays(value: Callable[..., Any], view: Callable[..., Any]) -> Callable[..., Any]:
    def choose(a: Any, *args: Any, **kwargs: Any) -> Any:
        return view(a, *args, **kwargs) if is_array(a) and a.ndim else value(a, *args, **kwargs)

    choose.__name__, choose.__doc__ = value.__name__, value.__doc__
    choose.__wrapped__ = value  # type: ignore[attr-defined]
    return choose


@_view(np.reshape)
def _reshape(a: Any, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    return a.reshape(newshape if shape is None else shape, order=order, copy=copy)


@_view(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    return a.reshape(-1, order=order)


@_view(np.transpose, np.permute_dims)
def _transpose(a: Any, axes: Any = None) -> Any:
    return a.transpose() if axes is None else a.transpose(static_value(axes, "The argument `axes`"))


@_view(np.swapaxes)
def _swapaxes(a: Any, axis1: Any, axis2: Any) -> Any:
    return a.swapaxes(axis_argument(axis1, a.ndim, "axis1"), axis_argument(axis2, a.ndim, "axis2"))


@_view(np.matrix_transpose, np.linalg.matrix_transpose)
def _matrix_transpose(x: Any) -> Any:
    return x.swapaxes(x.ndim - 2, x.ndim - 1)


@_view(np.moveaxis)
def _moveaxis(a: Any, source: Any, destination: Any) -> Any:
    return a.transpose(numpy_shape.moved(a.ndim, source, destination))


@_view(np.expand_dims)
def _expand_dims(a: Any, axis: Any) -> Any:
    return a.reshape(numpy_shape.expanded(a, axis))


@_view(np.squeeze)
def _squeeze(a: Any, axis: Any = None) -> Any:
    dims = numpy_shape.squeezed(a, axis)
    return a.reshape(dims) if dims else numpy_shape.squeeze(a, axis)


@_view(np.flip)
def _flip(m: Any, axis: Any = None) -> Any:
    axes = range(m.ndim) if axis is None else numpy_shape.axis_numbers(axis, m.ndim)
    return m[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(m.ndim))]


@_view(np.fliplr)
def _fliplr(m: Any) -> Any:
    return _flip(m, 1)


@_view(np.flipud)
def _flipud(m: Any) -> Any:
    return _flip(m, 0)


@_view(np.rot90)
def _rot90(m: Any, k: Any = 1, axes: Any = (0, 1)) -> Any:
    i, j = numpy_shape.axis_numbers(axes, m.ndim, "axes")
    turns = static_value(k, "The argument `k`") % 4
    if turns % 2:
        return _flip(m, j).swapaxes(i, j) if turns == 1 else _flip(m.swapaxes(i, j), j)
    return _flip(m, (i, j)) if turns else m[...]


@_view(np.rollaxis)
def _rollaxis(a: Any, axis: Any, start: Any = 0) -> Any:
    return a.transpose(numpy_shape.rolled(a.ndim, axis, start))


@_view(np.unstack)
def _unstack(x: Any, /, *, axis: Any = 0) -> Any:
    k = axis_argument(axis, x.ndim)
    return tuple(x[(slice(None),) * k + (i,)] for i in range(known_sizes(x, "np.unstack")[k]))


@_view(np.real)
def _real(val: Any) -> Any:
    return numpy_more.real(val) if val.dtype.is_complex else val[...]


def _pieces(name: str, equal: bool, a: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    k = axis_argument(axis, a.ndim)
    ends = numpy_join.pieces(name, equal, a, indices_or_sections, k)
    return [a[(slice(None),) * k + (slice(i, j),)] for i, j in ends]


@_view(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    return _pieces("np.split", True, ary, indices_or_sections, axis)


@_view(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> Any:
    return _pieces("np.array_split", False, ary, indices_or_sections, axis)


@_view(np.hsplit)
def _hsplit(ary: Any, indices_or_sections: Any) -> Any:
    return _split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@_view(np.vsplit)
def _vsplit(ary: Any, indices_or_sections: Any) -> Any:
    return _split(ary, indices_or_sections, 0)
