"""Builders: what derivative rules and expansions are written against.

A rule calls ops by name on its builder (`b.cos(x)`, `b.reduce_sum(g, axes=(0,), keepdims=False)`) and uses Python
operators on operands. Three builders run the same rule: `IRBuilder` (operands are `Expr`, a value with operators),
`RawBuilder` (operands are NumPy arrays), and the eager one in `runtime` (operands are Tensors, which may themselves be
recorded). All have `apply`, `const`, `shape`, `dtype`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dtypes import DType, as_dtype, int64
from .graph import Attrs, Block, Function, Loc, Op, Value
from .opdef import OpDef, find, get
from .sizes import is_named
from .types import Shape, TensorType


class BaseBuilder:
    """Shared part of all builders. Subclasses give `apply`, `const`, `shape`, `dtype`, and the ops as methods."""

    def apply(self, op: OpDef, operands: Sequence[Any], attrs: Attrs) -> Any:
        """The op on the operands: one operand back, or a tuple when the op has several results."""
        raise NotImplementedError

    def const(self, value: Any, dtype: DType) -> Any:
        """A constant operand (scalar or array) of the dtype."""
        raise NotImplementedError

    def shape(self, x: Any) -> Shape:
        """The shape of an operand."""
        raise NotImplementedError

    def dtype(self, x: Any) -> DType:
        """The dtype of an operand."""
        raise NotImplementedError

    def full(self, shape: Shape, value: Any, dtype: DType) -> Any:
        """An operand filled with one value."""
        c = self.const(value, dtype)
        return self.apply(get("broadcast_to"), (c,), {"shape": tuple(shape)}) if shape else c

    def zeros_like(self, x: Any) -> Any:
        """Zeros of the shape and dtype of `x`."""
        return self.full(self.shape(x), 0, self.dtype(x))


class Builder(BaseBuilder):
    """A builder that has the ops of the table as methods, each from when it is first asked for."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        op = find(name)
        if op is None:
            raise AttributeError(f"there is no op {name!r}")

        def call(self: Builder, *xs: Any, **attrs: Any) -> Any:
            return self.apply(op, xs, attrs)

        setattr(Builder, name, call)  # from now on an ordinary method: eager gradients come here often
        return lambda *xs, **attrs: self.apply(op, xs, attrs)


class RawBuilder(Builder):
    """Runs rules on NumPy arrays: the fast path of an eager gradient that no outer tape records.

    Rules also use operators on the arrays, which can warn: run a backward pass inside `quiet.Quiet()`.
    """

    def apply(self, op: OpDef, operands: Sequence[Any], attrs: Attrs) -> Any:
        """The op's NumPy meaning, at once."""
        return op.eager(attrs, *operands)

    def const(self, value: Any, dtype: DType) -> Any:
        """An array of the dtype."""
        return np.asarray(value, dtype.np)

    def shape(self, x: Any) -> Shape:
        """The array's shape."""
        return tuple(x.shape)

    def dtype(self, x: Any) -> DType:
        """The array's dtype."""
        return as_dtype(x.dtype)


RAW = RawBuilder()


class IRBuilder(Builder):
    """Appends ops to a block. `loc` is the line that new ops get; `apply` takes and returns `Expr`s."""

    def __init__(self, block: Block, loc: Loc | None = None) -> None:
        self.block = block
        self.loc = loc

    def emit(
        self, op: OpDef, operands: Sequence[Value], attrs: Attrs | None = None, regions: Sequence[Block] = ()
    ) -> list[Value]:
        """Appends an op on plain values and returns its result values."""
        attrs = attrs if attrs is not None else {}
        types = op.infer(attrs, [v.type for v in operands], regions)
        new = Op(op, operands, attrs, regions, types, self.loc)
        self.block.ops.append(new)
        return new.results

    def apply(self, op: OpDef, operands: Sequence[Any], attrs: Attrs) -> Any:
        """Appends the op; Python numbers among the operands take the dtype of the first value beside them."""
        like = next((x for x in operands if isinstance(x, (Expr, Value))), None)
        values = [self._value(x, like) for x in operands]
        results = tuple(Expr(self, v) for v in self.emit(op, values, attrs))
        return results[0] if len(results) == 1 else results

    def _value(self, x: Any, like: Any) -> Value:
        if isinstance(x, Expr):
            return x.value
        if isinstance(x, Value):
            return x
        dtype = as_dtype(np.asarray(x).dtype) if like is None else self.dtype(like)
        c = self.const(x, dtype).value
        assert isinstance(c, Value)
        return c

    def const(self, value: Any, dtype: DType) -> Any:
        """A `constant` op; of a size with a name, its value."""
        if is_named(value):
            known = dtype if dtype.is_integer else int64
            size = self.apply(get("size_value"), (), {"size": value, "dtype": known})
            return size if known is dtype else self.apply(get("cast"), (size,), {"dtype": dtype})
        array = np.array(value, dtype.np)
        array.setflags(write=False)
        return Expr(self, self.emit(get("constant"), (), {"value": array})[0])

    def expr(self, value: Value) -> Expr:
        """The value with operators."""
        return Expr(self, value)

    def shape(self, x: Any) -> Shape:
        """The shape in the value's type."""
        return (x.value if isinstance(x, Expr) else x).type.shape

    def dtype(self, x: Any) -> DType:
        """The dtype in the value's type."""
        return (x.value if isinstance(x, Expr) else x).type.dtype

    def ret(self, values: Sequence[Any]) -> None:
        """Ends a function: `return values`."""
        self.emit(get("return"), [v.value if isinstance(v, Expr) else v for v in values])


def _binary(name: str, swap: bool = False) -> Callable[[Any, Any], Any]:
    def method(self: Expr, other: Any) -> Any:
        xs = (other, self) if swap else (self, other)
        return self.builder.apply(get(name), xs, {})

    return method


class Expr:
    """An IR value that a builder's rules can write arithmetic with."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: IRBuilder, value: Value) -> None:
        self.builder = builder
        self.value = value

    @property
    def type(self) -> TensorType:
        """The type of the value."""
        return self.value.type

    __add__, __radd__ = _binary("add"), _binary("add", True)
    __sub__, __rsub__ = _binary("sub"), _binary("sub", True)
    __mul__, __rmul__ = _binary("mul"), _binary("mul", True)
    __truediv__, __rtruediv__ = _binary("div"), _binary("div", True)
    __gt__, __ge__ = _binary("gt"), _binary("ge")
    __lt__, __le__ = _binary("lt"), _binary("le")

    def __neg__(self) -> Any:
        return self.builder.apply(get("neg"), (self,), {})


def new_function(name: str, param_types: Sequence[TensorType], names: Sequence[str] = ()) -> tuple[Function, IRBuilder]:
    """An empty function and a builder at its end; finish it with `builder.ret(...)`."""
    body = Block(Value(t, names[i] if i < len(names) else "") for i, t in enumerate(param_types))
    return Function(name, body), IRBuilder(body)


