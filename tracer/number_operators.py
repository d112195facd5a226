"""Python's operators of a number that is not known while tracing: each asks `binary` or `compare` by its name."""

from __future__ import annotations

from typing import Any

from ..runtime.weak import Weak


class Operators(Weak):
    """The base of `Number`, which says what the operators give."""

    __slots__ = ()

    @staticmethod
    def binary(name: str, x: Any, y: Any) -> Any:
        """The result of an operator, or NotImplemented; one of `x` and `y` is a number of this class."""
        raise NotImplementedError

    def compare(self, name: str, other: Any) -> Any:
        """The truth value of a comparison, or NotImplemented."""
        raise NotImplementedError

    def __add__(self, other: Any) -> Any:
        return self.binary("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.binary("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self.binary("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.binary("sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return self.binary("mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.binary("mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.binary("div", other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self.binary("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self.binary("floordiv", other, self)

    def __mod__(self, other: Any) -> Any:
        return self.binary("mod", self, other)

    def __rmod__(self, other: Any) -> Any:
        return self.binary("mod", other, self)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        return self.binary("pow", self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.binary("pow", other, self)

    def __and__(self, other: Any) -> Any:
        return self.binary("and", self, other)

    def __rand__(self, other: Any) -> Any:
        return self.binary("and", other, self)

    def __or__(self, other: Any) -> Any:
        return self.binary("or", self, other)

    def __ror__(self, other: Any) -> Any:
        return self.binary("or", other, self)

    def __xor__(self, other: Any) -> Any:
        return self.binary("xor", self, other)

    def __rxor__(self, other: Any) -> Any:
        return self.binary("xor", other, self)

    def __lshift__(self, other: Any) -> Any:
        return self * 2**other if _shift(other) else NotImplemented

    def __rshift__(self, other: Any) -> Any:
        return self // 2**other if _shift(other) else NotImplemented

    def __lt__(self, other: Any) -> Any:
        return self.compare("lt", other)

    def __le__(self, other: Any) -> Any:
        return self.compare("le", other)

    def __gt__(self, other: Any) -> Any:
        return self.compare("gt", other)

    def __ge__(self, other: Any) -> Any:
        return self.compare("ge", other)

    def __eq__(self, other: Any) -> Any:
        return self.compare("eq", other)

    def __ne__(self, other: Any) -> Any:
        return self.compare("ne", other)


def _shift(k: Any) -> bool:
    return type(k) is int and 0 <= k < 62
