"""`v[1:3].assign(x)`: a part of a variable that can be written through.

TensorFlow gives the tensor of `v[key]` methods `assign`, `assign_add` and `assign_sub`; so does this subclass of
Tensor. While a function is traced the tensor is a symbolic one, and the subclass is made of that class.
"""

from __future__ import annotations

from typing import Any

from ..ir.opdef import get
from .context import context, paused, slow_mode
from .convert import as_tensor
from .dispatch import apply_unrecorded, record
from .indexing import getitem, write_item
from .tensor import Tensor
from .variable import Variable

_IDENTITY = get("identity")


class _Writable:
    """The methods of a written part; the tensor's class is the other base."""

    __slots__ = ()

    _variable: Variable
    _key: Any

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Any:
        """Replaces this part of the variable (the value is broadcast to it). Gives the variable back."""
        v = self._variable
        with paused():
            new = write_item(v._read_unrecorded(), self._key, as_tensor(value, v.dtype))
        return v.assign(new, read_value=read_value)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Adds to this part of the variable."""
        return self._update("add", delta, read_value)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Subtracts from this part of the variable."""
        return self._update("sub", delta, read_value)

    def _update(self, op: str, delta: Any, read_value: bool) -> Any:
        v = self._variable
        with paused():
            part = getitem(v._read_unrecorded(), self._key)
            return self.assign(apply_unrecorded(get(op), (part, as_tensor(delta, v.dtype)), {}), read_value=read_value)


class VariableSlice(_Writable, Tensor):
    """An eager part of a variable."""

    __slots__ = ("_key", "_variable")


_classes: dict[type, type] = {Tensor: VariableSlice}


def _class_for(base: type) -> type:
    found = _classes.get(base)
    if found is None:
        found = type("VariableSlice", (_Writable, base), {"__slots__": ("_key", "_variable")})
        _classes[base] = found
    return found


def read_slice(v: Variable, key: Any) -> Tensor:
    """`v[key]`: a tensor that can be assigned to."""
    t = getitem(v._as_tensor(), key)
    cls: Any = _class_for(type(t))
    new: Any = cls.__new__(cls)
    for base in type(t).__mro__:
        for slot in getattr(base, "__slots__", ()):
            if slot != "__weakref__" and not (slot == "_data" and type(t) is not Tensor):
                setattr(new, slot, getattr(t, slot))
    new._variable, new._key = v._origin, key
    if slow_mode.count and context.recorders:  # tapes follow the new handle
        record(_IDENTITY, {}, (t,), (new,))
    return new  # type: ignore[no-any-return]
