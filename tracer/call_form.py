"""The form of a call as a native entry sees it: which values it has, which of them are tensors, what else is fixed.

The values are numbered as in `codegen.entry_structure`: positional arguments, keyword arguments in the order in which
the call names them, then the items of the containers that are opened. The tensors are listed in the order of the
trace's parameters, which follows the Python signature and the sorted keys of dicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..codegen.entry_spec import NUMBERS
from ..codegen.entry_structure import Nest, Opened
from ..codegen.layout import SCALARS
from ..runtime.array import Array as OurArray
from ..runtime.tensor import Tensor
from .arguments import FloatArgument
from .signature import Signature
from .structure import Structure, sorted_keys

_CONSTANTS = (bool, int, float, str, bytes, type(None))
_KINDS: dict[type, str] = {Tensor: "arg", OurArray: "array", np.ndarray: "ndarray"}
_BY_VALUE = (int, float, str, bytes)
CAST_SIZE = 4096  # elements; NumPy converts longer arrays faster than the entry's plain loop
_NOT_OPENED = ("__iter__", "__len__", "__getitem__")


class Unfit(Exception):
    """A call that no native entry can serve."""


class _Given:
    """Stands for an argument of the call while it is bound to the signature."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


def constant_key(x: Any) -> Any:
    """What native calls compare of an argument that is no tensor: exact numbers and texts by value, a float by its
    bits, others by identity."""
    return (type(x), x.hex() if type(x) is float else x) if type(x) in _BY_VALUE else id(x)


def kind_of(x: Any) -> str | None:
    """How native calls take a value as a tensor; None for what they tell by identity, if at all."""
    if isinstance(x, np.generic):
        return "scalar" if x.dtype.char in SCALARS and type(x) is x.dtype.type else None
    return _KINDS.get(type(x))


class CallForm:
    """One form of calls.

    Attributes:
      nargs, keywords: how many positional arguments, the names of others. opened: the containers.
      leaves: number and kind of the values that are tensors. same: number of a constant's value and of the object.
      objects: what `opened` and `same` refer to. variables: those that the trace uses, and so may be told by identity
      without being kept alive by that. key: what tells this form from others, but for dtypes and shapes.
    """

    def __init__(self, nargs: int, keywords: Sequence[str] = (), variables: Sequence[Any] = ()) -> None:
        self.variables = variables
        self.nargs, self.keywords = nargs, tuple(keywords)
        self.opened: list[Opened] = []
        self.leaves: list[tuple[int, str]] = []
        self.same: list[tuple[int, int]] = []
        self.objects: list[Any] = []
        self.key: list[Any] = [nargs, self.keywords]
        self._values = nargs + len(keywords)

    def add_object(self, x: Any) -> int:
        """The number of an object that the entry refers to."""
        self.objects.append(x)
        return len(self.objects) - 1

    def add(self, index: int, x: Any, given: Any, leaves: Iterator[Any]) -> None:
        """Adds value `index`, which is `x`, and its items. `given`: what the input signature made of it. `leaves`: the
        trace's tensors, with what they were made of.

        Raises:
          Unfit: where the compiled code would not see the very elements of `x`.
        """
        kind = (converted(x, given) if given is not x else None) or kind_of(x)
        if kind is not None:
            self._leaf(index, kind, x, given, next(leaves, (None, None)))
        elif given is x and (type(x) in _CONSTANTS or any(x is v for v in self.variables)):
            self.same.append((index, self.add_object(x)))
            self.key.append((index, constant_key(x)))
        else:
            self._open(index, x, given, leaves)

    def _leaf(self, index: int, kind: str, x: Any, given: Any, expected: tuple[Any, Any]) -> None:
        leaf, source = expected
        if kind in ("number", "cast", "float"):
            fits = leaf is given
        elif isinstance(x, (np.ndarray, np.generic)):
            fits = leaf is not None and (source is x or source is None)
            fits = fits and (x.dtype, x.shape) == (leaf._data.dtype, leaf._data.shape)
        else:
            fits = leaf is x
        if not fits:
            raise Unfit
        self.leaves.append((index, kind))
        self.key.append((index, kind))

    def _open(self, index: int, x: Any, given: Any, leaves: Iterator[Any]) -> None:
        kind = _container(x)
        keys = list(x) if kind == "dict" else []
        if kind is None or type(given) is not type(x) or not all(type(k) in _CONSTANTS for k in keys):
            raise Unfit
        first = self._values
        self._values += len(x)
        places = tuple(self.add_object(k) for k in keys)
        self.opened.append(Opened(kind, index, self.add_object(type(x)), len(x), places))
        self.key.append((index, type(x), len(x), *map(constant_key, keys)))
        if kind == "dict":
            where = {k: first + i for i, k in enumerate(keys)}
            for k in sorted_keys(x):
                self.add(where[k], x[k], given[k], leaves)
        else:
            for i, (item, other) in enumerate(zip(x, given, strict=True)):
                self.add(first + i, item, other, leaves)


def _container(x: Any) -> str | None:
    """As which kind of container a value can be opened."""
    cls = type(x)
    if cls is tuple or cls is list or cls is dict:
        return str(cls.__name__)
    named = isinstance(x, tuple) and hasattr(cls, "_fields") and cls.__base__ is tuple
    plain = named and all(getattr(cls, name) is getattr(tuple, name) for name in _NOT_OPENED)
    return "tuple" if plain and len(x) else None


def converted(x: Any, given: Any) -> str | None:
    """How native calls convert `x` to a declared tensor, as the input signature did; None where they do not."""
    if type(given) is FloatArgument and type(x) is float:
        return "float"
    if type(given) is not Tensor:
        return None
    data, kind = given._data, type(x)
    wide = kind is np.ndarray and x.dtype == np.float64 and x.shape == data.shape
    if wide and x.ndim and data.dtype == np.float32 and data.size <= CAST_SIZE:
        return "cast"
    char = data.dtype.char
    if data.shape != () or char not in NUMBERS or np.dtype(char) != data.dtype:
        return None
    return "number" if kind is int or (char in "fd" and (wide or kind in (float, np.float64))) else None


def form_of(
    signature: Signature,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    given: Sequence[Any],
    leaves: Sequence[Any],
    sources: Mapping[int, Any],
    variables: Sequence[Any] = (),
    skipped: int = 0,
) -> CallForm | None:
    """The form of a call; None where a native entry would not see what the trace was given.

    Args:
      skipped: arguments in front that the signature does not have. given: the canonical values, with what the input
        signature made of them. leaves, sources: the trace's tensors, and the ndarrays they were made of.
    """
    form = CallForm(skipped + len(args), tuple(kwargs), variables)
    actual = [*args, *kwargs.values()]
    rest = iter([(leaf, sources.get(i)) for i, leaf in enumerate(leaves)])
    marks = [_Given(i) for i in range(len(actual))]
    bound = signature.bind(tuple(marks[: len(args)]), dict(zip(kwargs, marks[len(args) :], strict=True)))
    try:
        for slot, value in _slots(bound, given):
            if slot is None:
                if not isinstance(value, _CONSTANTS):
                    return None  # a default
            else:
                form.add(skipped + slot.index, actual[slot.index], value, rest)
    except Unfit:
        return None
    return form if next(rest, None) is None else None


def form_of_tensors(
    args: Sequence[Any],
    given: Sequence[Any],
    leaves: Sequence[Any],
    kwargs: Mapping[str, Any] = {},
    names: Sequence[str] = (),
) -> CallForm | None:
    """The form of a call with just the trace's tensors, perhaps in containers; None as for `form_of`.

    Args:
      given: the arguments with the tensors that were made of them. kwargs: those by name, in the trace's order.
      names: in the call's order.
    """
    form, rest = CallForm(len(args), names), iter([(x, None) for x in leaves])
    places = [*range(len(args)), *(len(args) + names.index(k) for k in kwargs)]
    try:
        for place, x, made in zip(places, [*args, *kwargs.values()], given, strict=True):
            form.add(place, x, made, rest)
    except Unfit:
        return None
    return form if next(rest, None) is None else None


def _slots(bound: Sequence[Any], given: Sequence[Any]) -> Iterator[tuple[_Given | None, Any]]:
    """Each argument of the call, or None for a default, with its canonical value; in the order of the trace's
    parameters: `**kwargs` come sorted."""
    for slot, value in zip(bound, given, strict=True):
        if isinstance(slot, _Given):
            yield slot, value
        elif isinstance(slot, tuple) and any(isinstance(s, _Given) for s in slot):
            yield from zip(slot, value, strict=True)
        elif isinstance(slot, dict) and any(isinstance(s, _Given) for s in slot.values()):
            yield from ((slot[k], value[k]) for k in sorted_keys(slot))
        elif not isinstance(slot, (tuple, dict)) or slot:  # else no further arguments
            yield None, value


def nest_of(structure: Structure, form: CallForm) -> Nest | None:
    """How native code builds a result of this structure; None where only Python can."""
    counter = iter(range(structure.size))
    try:
        return _nest(structure, counter, form)
    except Unfit:
        return None


def _nest(s: Structure, counter: Iterator[int], form: CallForm) -> Nest:
    if s.kind == "leaf":
        return Nest("leaf", next(counter))
    if s.kind == "none":
        return Nest("none")
    exact = {"list": list, "tuple": tuple, "dict": dict}.get(s.kind)
    if exact is None or s.type is not exact:
        raise Unfit
    items = [_nest(c, counter, form) for c in s.children]
    if s.kind != "dict":
        return Nest(s.kind, items=tuple(items))
    found = dict(zip(s.keys, items, strict=True))
    if not all(type(k) in _CONSTANTS for k in s.order):
        raise Unfit
    keys = tuple(form.add_object(k) for k in s.order)
    return Nest("dict", items=tuple(found[k] for k in s.order), keys=keys, like=form.add_object(dict.fromkeys(s.order)))
