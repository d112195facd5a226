"""The operators that Tensor and Variable share: each one calls the op of its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import arithmetic, indexing, numpy_protocol
    from .arithmetic import run_add, run_ge, run_gt, run_le, run_lt, run_mul, run_neg, run_pow, run_sub
    from .tensor import Tensor


class Operators:
    """Arithmetic, comparison, logic and indexing. `==` with None is False."""

    __slots__ = ()

    def __add__(self, other: Any) -> Tensor:
        return run_add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return run_add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return run_sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return run_sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return run_mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return run_mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return arithmetic.truediv(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return arithmetic.truediv(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return arithmetic.floordiv(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return arithmetic.floordiv(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return arithmetic.mod(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return arithmetic.mod(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return run_pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return run_pow(other, self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return arithmetic.floordiv(self, other), arithmetic.mod(self, other)

    def __matmul__(self, other: Any) -> Tensor:
        return arithmetic.matmul_operator(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return arithmetic.matmul_operator(other, self)

    def __neg__(self) -> Tensor:
        return run_neg(self)

    def __pos__(self) -> Tensor:
        return arithmetic.identity(self)

    def __abs__(self) -> Tensor:
        return arithmetic.abs(self)

    def __invert__(self) -> Tensor:
        return arithmetic.invert(self)

    def __and__(self, other: Any) -> Tensor:
        return arithmetic.logic("and", self, other)

    def __rand__(self, other: Any) -> Tensor:
        return arithmetic.logic("and", other, self)

    def __or__(self, other: Any) -> Tensor:
        return arithmetic.logic("or", self, other)

    def __ror__(self, other: Any) -> Tensor:
        return arithmetic.logic("or", other, self)

    def __xor__(self, other: Any) -> Tensor:
        return arithmetic.logic("xor", self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return arithmetic.logic("xor", other, self)

    def __lt__(self, other: Any) -> Tensor:
        return run_lt(self, other)

    def __le__(self, other: Any) -> Tensor:
        return run_le(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return run_gt(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return run_ge(self, other)

    def __eq__(self, other: object) -> Any:
        return arithmetic.equals(self, other)

    def __ne__(self, other: object) -> Any:
        return arithmetic.differs(self, other)

    __hash__ = None  # type: ignore[assignment]  # subclasses say what to use instead

    def __getitem__(self, key: Any) -> Tensor:
        return indexing.getitem(self, key)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return numpy_protocol.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return numpy_protocol.array_function(func, args, kwargs)


def bind(**names: Any) -> None:
    """Sets the names that the operators use; their modules need Tensor, which needs this class."""
    globals().update(names)
