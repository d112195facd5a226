"""Checks and rules that the type inference of many ops shares: dtypes, broadcasting, axes, and the text of errors.

Sizes may be symbols. Only what is proven equal counts as equal: two sizes that may or may not fit raise
`SymbolicShapes`, which names the symbols, so that a tracer can try again with those sizes known. Errors name the op,
the operand types that were found and what to write instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from .dims import Dim, DimLike, is_static, symbols_of
from .dtypes import DType
from .errors import ShapeMismatch, TypeMismatch
from .types import Shape, TensorType

KINDS = {
    "float": ("f", "a floating-point dtype"),
    "number": ("fiu", "a numeric dtype"),
    "int": ("iu", "an integer dtype"),
    "bits": ("iub", "an integer dtype or bool"),
    "bool": ("b", "bool"),
    "any": ("fiubc", "a dtype other than string"),
}


class SymbolicShapes(ShapeMismatch):
    """Symbolic sizes that would have to be equal and are not proven to be.

    Attributes:
      symbols: the names of the sizes concerned; with these known (`substitute`), inference has an answer.
    """

    def __init__(self, message: str, symbols: frozenset[str]) -> None:
        super().__init__(message)
        self.symbols = symbols


def describe(types: Sequence[TensorType]) -> str:
    """`f32[2, 3] and i32[4]`, for error texts."""
    words = [str(t) for t in types]
    return " and ".join(words) if len(words) < 3 else ", ".join(words[:-1]) + " and " + words[-1]


def bad_shape(op: str, types: Sequence[TensorType], why: str) -> NoReturn:
    """Raises ShapeMismatch: `op`: found these operands, because `why`."""
    raise ShapeMismatch(f"{op}: found {describe(types)}; {why}")


def bad_type(op: str, types: Sequence[TensorType], why: str) -> NoReturn:
    """Raises TypeMismatch: `op`: found these operands, because `why`."""
    raise TypeMismatch(f"{op}: found {describe(types)}; {why}")


def count(op: str, types: Sequence[TensorType], least: int, most: int | None = None) -> None:
    """Raises TypeMismatch unless the number of operands lies in the range (by default exactly `least`)."""
    most = least if most is None else most
    if not least <= len(types) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise TypeMismatch(f"{op} takes {wanted} operands, found {len(types)}")


def kind(op: str, types: Sequence[TensorType], which: str) -> None:
    """Raises TypeMismatch unless every operand's dtype is of the named kind (a key of `KINDS`)."""
    letters, words = KINDS[which]
    for t in types:
        if t.dtype.kind not in letters:
            bad_type(op, types, f"{op} needs {words}, not {t.dtype.name}: write pb.cast(x, ...) first")


def same_dtype(op: str, types: Sequence[TensorType]) -> DType:
    """The dtype that all operands have. Raises TypeMismatch when they differ."""
    for t in types:
        if t.dtype is not types[0].dtype:
            bad_type(
                op, types, f"the dtypes {types[0].dtype.name} and {t.dtype.name} differ: convert one with pb.cast"
            )
    return types[0].dtype


def scalar_index(op: str, types: Sequence[TensorType], which: Sequence[int]) -> None:
    """Raises unless the operands numbered `which` are i32 or i64 scalars."""
    for i in which:
        if types[i].shape or types[i].dtype.short not in ("i32", "i64"):
            bad_type(op, types, f"operand {i} must be an i32 or i64 scalar")


def same_size(a: DimLike, b: DimLike) -> bool | None:
    """Whether two sizes are equal; None when that depends on symbols."""
    if a == b:
        return True
    return False if isinstance(a - b, int) else None


def same_shape(a: Shape, b: Shape) -> bool | None:
    """Whether two shapes are equal; None when that depends on symbols."""
    if len(a) != len(b):
        return False
    answers = [same_size(x, y) for x, y in zip(a, b, strict=True)]
    return False if False in answers else None if None in answers else True


def equal_shapes(op: str, types: Sequence[TensorType], a: Shape, b: Shape, why: str) -> None:
    """Raises ShapeMismatch when the shapes differ, SymbolicShapes when they may."""
    answer = same_shape(a, b)
    if answer is False:
        bad_shape(op, types, why)
    if answer is None:
        unknown(op, types, [*a, *b])


def unknown(op: str, types: Sequence[TensorType], dims: Sequence[DimLike]) -> NoReturn:
    """Raises SymbolicShapes about the sizes."""
    names = frozenset().union(*(symbols_of(d) for d in dims))
    sizes = ", ".join(sorted(names))
    raise SymbolicShapes(
        f"{op}: found {describe(types)}; whether the sizes fit depends on {sizes}: give the sizes in the signature as "
        "numbers, or one name to sizes that are equal",
        names,
    )


def broadcast(op: str, types: Sequence[TensorType], shapes: Sequence[Shape] | None = None) -> Shape:
    """The shape that all operands broadcast to, by NumPy's rule (or those of the given `shapes`)."""
    shapes = [t.shape for t in types] if shapes is None else shapes
    first = shapes[0]
    if all(s == first for s in shapes):
        return first
    out: list[DimLike] = []
    for k in range(1, max(map(len, shapes)) + 1):
        size: DimLike = 1
        for s in shapes:
            if k <= len(s):
                size = _joined(op, types, size, s[-k])
        out.append(size)
    return tuple(reversed(out))


def _joined(op: str, types: Sequence[TensorType], a: DimLike, b: DimLike) -> DimLike:
    if b == 1 or a == b:
        return a
    if a == 1:
        return b
    if is_static(a) and is_static(b):
        bad_shape(op, types, f"the sizes {a} and {b} do not broadcast: make them equal, or one of them 1 (pb.reshape)")
    unknown(op, types, [a, b])


def check_axes(op: str, types: Sequence[TensorType], axes: Any, rank: int) -> tuple[int, ...]:
    """`axes` as they are, when they are sorted, distinct and within the rank. Raises ShapeMismatch."""
    found = tuple(int(a) for a in axes)
    if any(not 0 <= a < rank for a in found):
        bad_shape(op, types, f"axes {list(found)} do not exist in a tensor of rank {rank}: use 0 to {rank - 1}")
    if list(found) != sorted(set(found)):
        bad_shape(op, types, f"axes {list(found)} must be sorted and distinct")
    return found


def check_axis(op: str, types: Sequence[TensorType], axis: int, rank: int) -> int:
    """`axis` itself, when it lies within the rank. Raises ShapeMismatch."""
    if not 0 <= axis < rank:
        bad_shape(op, types, f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis


def check_attr_shape(op: str, shape: Any) -> Shape:
    """The shape in an attribute. Raises ShapeMismatch for a negative size."""
    sizes: Shape = tuple(shape)
    for d in sizes:
        if not isinstance(d, Dim) and d < 0:
            raise ShapeMismatch(f"{op}: the size {d} in the shape {list(sizes)} is negative")
    return sizes
