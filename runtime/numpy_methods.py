"""What an `Array` has beyond a Tensor: NumPy's operators, methods and attributes, with NumPy's promotion of dtypes.

An operator calls the ufunc of its name; beside a Tensor or Variable it is the Tensor's operator. A method calls the
function of its name. Views and writing are in `array_handles`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from ..ir.dtypes import int64
from .location import at, warn
from .operators import Operators
from .tensor_shape import TensorShape, known_shape


class Sizes(tuple[Any, ...]):
    """A shape as NumPy has it, a tuple; with the methods of TensorShape. A symbolic size is an integer tensor."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(TensorShape([d if isinstance(d, int) else None for d in self]), name)


def compute(ufunc: Any, *xs: Any) -> Any:
    """A ufunc on Arrays, ndarrays and numbers, as an Array."""
    from .array import array_of
    from .numpy_promote import rule
    from .numpy_protocol import call_ufunc

    saved, rule.plain = rule.plain, False
    try:
        result = call_ufunc(ufunc, *xs)
    finally:
        rule.plain = saved
    return tuple(map(array_of, result)) if type(result) is tuple else array_of(result)


def invoke(function: Any, *args: Any, **kwargs: Any) -> Any:
    """A NumPy function on Arrays."""
    from .numpy_protocol import array_function

    return array_function(function, args, kwargs)


def _plain(x: Any) -> bool:
    from .numpy_promote import is_plain

    return is_plain(x)


def _operators(name: str, ufunc: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`__name__` and `__rname__`."""
    of_tensors, reflected_of_tensors = (getattr(Operators, f"__{p}{name}__", None) for p in ("", "r"))

    def forward(self: Any, other: Any) -> Any:
        if of_tensors is not None and _plain(other):
            return of_tensors(self, other)
        return NotImplemented if other is None else compute(ufunc, self, other)

    def reflected(self: Any, other: Any) -> Any:
        if reflected_of_tensors is not None and _plain(other):
            return reflected_of_tensors(self, other)
        return NotImplemented if other is None else compute(ufunc, other, self)

    return forward, reflected


def _comparison(name: str, ufunc: Any) -> Callable[..., Any]:
    return _operators(name, ufunc)[0]


def method_of(function: Any) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return invoke(function, self, *args, **kwargs)

    method.__name__ = function.__name__
    method.__doc__ = f"As `np.{function.__name__}`."
    return method


_POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal, 1: np.positive}


class NumpyMethods(Operators):
    """Mixed in before Tensor, eager or symbolic."""

    __slots__ = ()

    # ------------------------------------------------------------ what it is
    @property
    def shape(self: Any) -> Any:
        """The sizes, as a tuple."""
        dims = self.type.shape
        if all(type(d) is int for d in dims):
            return Sizes(dims)
        from .dispatch import call

        return Sizes(d if type(d) is int else call("dim", self, axis=k, dtype=int64) for k, d in enumerate(dims))

    def get_shape(self: Any) -> TensorShape:
        """The shape, as a TensorShape."""
        return known_shape(self.type.shape)

    @property
    def size(self) -> Any:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self: Any) -> int:
        """Bytes of an element."""
        return int(self.dtype.size)

    @property
    def nbytes(self) -> Any:
        """Bytes of all elements."""
        return self.size * self.itemsize

    @property
    def mT(self) -> Any:
        """The last two dimensions exchanged."""
        return invoke(np.swapaxes, self, -1, -2)

    @property
    def real(self) -> Any:
        """The real part."""
        return invoke(np.real, self)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return invoke(np.imag, self)

    @property
    def flat(self) -> Any:
        """All elements in a row."""
        return invoke(np.ravel, self)

    # ------------------------------------------------------------ operators
    __add__, __radd__ = _operators("add", np.add)
    __sub__, __rsub__ = _operators("sub", np.subtract)
    __mul__, __rmul__ = _operators("mul", np.multiply)
    __truediv__, __rtruediv__ = _operators("truediv", np.true_divide)
    __floordiv__, __rfloordiv__ = _operators("floordiv", np.floor_divide)
    __mod__, __rmod__ = _operators("mod", np.remainder)
    __divmod__, __rdivmod__ = _operators("divmod", np.divmod)
    __matmul__, __rmatmul__ = _operators("matmul", np.matmul)
    __and__, __rand__ = _operators("and", np.bitwise_and)
    __or__, __ror__ = _operators("or", np.bitwise_or)
    __xor__, __rxor__ = _operators("xor", np.bitwise_xor)
    __lshift__, __rlshift__ = _operators("lshift", np.left_shift)
    __rshift__, __rrshift__ = _operators("rshift", np.right_shift)
    _pow, __rpow__ = _operators("pow", np.power)
    __lt__, __le__ = _comparison("lt", np.less), _comparison("le", np.less_equal)
    __gt__, __ge__ = _comparison("gt", np.greater), _comparison("ge", np.greater_equal)
    __eq__, __ne__ = _comparison("eq", np.equal), _comparison("ne", np.not_equal)

    def __hash__(self) -> int:  # type: ignore[override]  # a class with an `__eq__` of its own has none
        raise TypeError("an array is unhashable, because == compares elements: use A.ref() as the key")

    def __pow__(self: Any, other: Any) -> Any:
        if type(other) in (int, float) and other in _POWERS and (other == 2 or self.dtype.is_differentiable):
            return compute(_POWERS[other], self)  # as NumPy does it
        return self._pow(other)

    def __neg__(self) -> Any:
        return compute(np.negative, self)

    def __pos__(self) -> Any:
        return compute(np.positive, self)

    def __abs__(self) -> Any:
        return compute(np.absolute, self)

    def __invert__(self) -> Any:
        return compute(np.invert, self)

    def __iter__(self: Any) -> Any:
        dims = self.type.shape
        if not dims or type(dims[0]) is not int:
            return super().__iter__()  # type: ignore[misc]
        return (self[i] for i in range(dims[0]))

    def __round__(self: Any, ndigits: Any = None) -> Any:
        return invoke(np.round, self, ndigits or 0) if ndigits is not None else invoke(np.round, self).astype(int)

    def __contains__(self, value: Any) -> bool:
        return bool(invoke(np.any, self == value))

    # ------------------------------------------------------------ out to NumPy
    def __array__(self: Any, dtype: Any = None, copy: Any = None) -> Any:
        from .numpy_protocol import is_followed

        if is_followed(self):
            warn(
                "an array that a GradientTape follows is handed to code that pullback does not see (np.asarray, "
                "SciPy, a C extension): no gradient flows through it; say pb.stop_gradient(x) if that is what you mean"
            )
        return super().__array__(dtype, copy)  # type: ignore[misc]

    def tolist(self: Any) -> Any:
        """The value as Python numbers in nested lists; while tracing, what is not known stays an array."""
        value = self._constant_value()
        if value is not None:
            return value.tolist()
        return [row.tolist() for row in self] if self.ndim else self

    def item(self: Any, *place: Any) -> Any:
        """An element, or the only one, as a Python number; while tracing, as an array of no dimensions."""
        value = self._constant_value()
        if value is not None and value.dtype != object:
            return value.item(*place)
        flat = invoke(np.ravel, self)
        if place:
            return self[place] if len(place) > 1 else flat[place[0]]
        if flat.type.shape != (1,):
            raise ValueError(f"can only convert an array of size 1 to a Python scalar{at()}")
        return flat[0]

    def view(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available."""
        raise TypeError(f"ndarray.view reads the same bytes as another type, which pullback does not: use astype{at()}")

    # ------------------------------------------------------------ methods
    sum, prod, mean, std, var = map(method_of, (np.sum, np.prod, np.mean, np.std, np.var))
    max, min, argmax, argmin, ptp = map(method_of, (np.max, np.min, np.argmax, np.argmin, np.ptp))
    any, all, cumsum, cumprod = map(method_of, (np.any, np.all, np.cumsum, np.cumprod))
    dot, clip, round, take, repeat = map(method_of, (np.dot, np.clip, np.round, np.take, np.repeat))
    diagonal, nonzero, searchsorted = map(method_of, (np.diagonal, np.nonzero, np.searchsorted))
    argsort, squeeze = map(method_of, (np.argsort, np.squeeze))

    def sort(self: Any, axis: Any = -1, kind: Any = None, order: Any = None) -> None:
        """Sorts in place."""
        self[...] = invoke(np.sort, self, axis)

    def conj(self: Any) -> Any:
        """The complex conjugate."""
        return compute(np.conjugate, self) if self.dtype.is_complex else _copied(self)

    conjugate = conj

    def astype(
        self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: Any = True
    ) -> Any:
        """The same numbers in another dtype."""
        from .numpy_create import asarray, dtype_of

        if self.dtype is dtype_of(dtype):
            return _copied(self) if copy or not self.ndim else self
        return asarray(self, dtype)


def _copied(x: Any) -> Any:
    from .arithmetic import identity
    from .array import array_of

    return array_of(identity(x))
