"""Element types: one object serves the IR, the generated code and the public `pb.float32`.

A `DType` knows its TensorFlow name (`float32`), its short IR name (`f32`) and its NumPy dtype. `bfloat16` exists only
where the optional package ml_dtypes is installed; it is looked up when first asked for, so that importing stays cheap.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import TypeMismatch


class DType:
    """An element type. Compare with `==`: equal to its own name, NumPy dtype and NumPy scalar type as well."""

    __slots__ = ("_np", "is_bool", "is_complex", "is_floating", "is_integer", "is_unsigned", "kind", "name", "short")

    def __init__(self, name: str, short: str, kind: str, np_dtype: Any) -> None:
        self.name, self.short, self.kind = name, short, kind
        self._np: np.dtype[Any] | None = None if np_dtype is None else np.dtype(np_dtype)
        self.is_floating = kind == "f"
        self.is_integer = kind in "iu"
        self.is_unsigned = kind == "u"
        self.is_bool = kind == "b"
        self.is_complex = kind == "c"

    @property
    def np(self) -> np.dtype[Any]:
        """The NumPy dtype. Raises ImportError for bfloat16 without ml_dtypes."""
        if self._np is None:
            try:
                import ml_dtypes
            except ImportError as e:
                raise ImportError("bfloat16 needs the package ml_dtypes: pip install 'pullback[bfloat16]'") from e
            self._np = np.dtype(ml_dtypes.bfloat16)
            _BY_NP[self._np] = self
        return self._np

    @property
    def as_numpy_dtype(self) -> Any:
        """The NumPy scalar type, as in TensorFlow."""
        return self.np.type

    dtype = np  # where NumPy asks for a dtype (np.dtype, np.finfo, np.issubdtype), this is what it takes

    @property
    def type(self) -> Any:
        """The NumPy scalar type, as `np.dtype` calls it."""
        return self.np.type

    @property
    def itemsize(self) -> int:
        """Bytes per element, as `np.dtype` calls it."""
        return self.size

    @property
    def as_datatype_enum(self) -> int:
        """TensorFlow's number of this type."""
        return _ENUM[self.name]

    @property
    def size(self) -> int:
        """Bytes per element."""
        return 2 if self.name == "bfloat16" else self.np.itemsize

    @property
    def min(self) -> Any:
        """The smallest finite value."""
        return np.finfo(self.np).min if self.is_floating else np.iinfo(self.np).min

    @property
    def max(self) -> Any:
        """The largest finite value."""
        return np.finfo(self.np).max if self.is_floating else np.iinfo(self.np).max

    @property
    def is_differentiable(self) -> bool:
        """Whether values of this type can carry a gradient."""
        return self.kind in "fc"

    @property
    def is_numeric(self) -> bool:
        """Whether arithmetic is defined (bool and string are not numeric)."""
        return self.kind in "fiuc"

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor of the other type may stand where this one is asked for: equality here."""
        return self == as_dtype(other)

    @property
    def base_dtype(self) -> DType:
        """This type itself; reference types do not exist here."""
        return self

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if other is None or isinstance(other, DType):
            return False
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> Any:
        return as_dtype, (self.name,)


float16 = DType("float16", "f16", "f", np.float16)
bfloat16 = DType("bfloat16", "bf16", "f", None)
float32 = DType("float32", "f32", "f", np.float32)
float64 = DType("float64", "f64", "f", np.float64)
int8 = DType("int8", "i8", "i", np.int8)
int16 = DType("int16", "i16", "i", np.int16)
int32 = DType("int32", "i32", "i", np.int32)
int64 = DType("int64", "i64", "i", np.int64)
uint8 = DType("uint8", "u8", "u", np.uint8)
uint16 = DType("uint16", "u16", "u", np.uint16)
uint32 = DType("uint32", "u32", "u", np.uint32)
uint64 = DType("uint64", "u64", "u", np.uint64)
bool_ = DType("bool", "bool", "b", np.bool_)
complex64 = DType("complex64", "c64", "c", np.complex64)
complex128 = DType("complex128", "c128", "c", np.complex128)
string = DType("string", "string", "s", np.object_)

ALL: tuple[DType, ...] = (
    float16, bfloat16, float32, float64, int8, int16, int32, int64, uint8, uint16, uint32, uint64, bool_,
    complex64, complex128, string,
)  # fmt: skip
_ENUM = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": 7, "complex64": 8, "int64": 9,
    "bool": 10, "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip
_BY_NAME = {d.name: d for d in ALL} | {d.short: d for d in ALL} | {"half": float16, "double": float64, "float": float32}
_BY_NP: dict[Any, DType] = {d._np: d for d in ALL if d._np is not None}
_BY_PY: dict[Any, DType] = {float: float32, int: int32, bool: bool_, complex: complex128, str: string, bytes: string}


def as_dtype(x: Any) -> DType:
    """The `DType` that `x` names: a DType, a TensorFlow or IR name, a NumPy dtype or scalar type, a Python type.

    Raises:
      TypeError: when nothing of that name exists here.
    """
    if type(x) is DType:
        return x
    d = _BY_NP.get(x) if isinstance(x, np.dtype) else _BY_NAME.get(x) if isinstance(x, str) else _BY_PY.get(x)
    if d is not None:
        return d
    try:
        n = np.dtype(x)
    except TypeError:
        n = None
    if n is not None:
        d = _BY_NP.get(n) or _BY_NP.get(n.newbyteorder("="))
        if d is None and n.name == "bfloat16":
            d = _BY_NAME["bfloat16"]
        if d is None and n.kind in "US":
            d = string
    if d is None:
        raise TypeMismatch(f"Cannot convert {x!r} to a dtype; use one such as pb.float32, 'float32' or np.float32")
    return d
