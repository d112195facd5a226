"""`tensor.ref()`: a hashable stand-in for an object that has elementwise equality."""

from __future__ import annotations

from typing import Any


class Reference:
    """Equal to another reference of the very same object; keeps the object alive."""

    __slots__ = ("_object",)

    def __init__(self, object: Any) -> None:
        self._object = object

    def deref(self) -> Any:
        """The object."""
        return self._object

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reference):
            raise TypeError(f"Cannot compare a reference with {other!r}; compare with the reference of a tensor")
        return self._object is other._object

    def __hash__(self) -> int:
        return id(self._object)

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._object!r}>"
