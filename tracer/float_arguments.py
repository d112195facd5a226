"""Python floats as arguments: the third value of one makes it a value of the program, where it does not shape it.

The first values are compiled in, as TensorFlow does. From the third on, calls share one trace, which takes the float as
a double (`lifted`). Where that fails, each value has a trace of its own as before; `fn.explain()` tells why. Ints are
always compiled in: they are sizes, axes and trip counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..runtime.context import context
from .arguments import FloatArgument, SymbolicFloat, float_key, key_of, skeleton
from .float_uses import shaping_uses
from .lifted import Lift, Lifted, among, lifting
from .lookup import usable
from .signature import Signature
from .trials import Unroll
from .uncompiled import RunEagerly

if TYPE_CHECKING:
    from .function import Function

MAX_VALUES = 2  # of a float that are compiled in
Values = tuple[Any, ...]


class Call(NamedTuple):
    """A call: canonical values, their key, the tensors among them and what those were made of, the trace for it."""

    values: Values
    key: Values
    leaves: list[Any]
    sources: dict[int, Any]
    concrete: Any


class Group:
    """What is known of the calls that are alike but for their floats and sizes, by the number of the parameter.

    Attributes:
      seen: values so far. lifted: those that are values of the program. refused: why others cannot be.
    """

    def __init__(self) -> None:
        self.seen: dict[int, set[Any]] = {}
        self.lifted: set[int] = set()
        self.refused: dict[int, str] = {}


class FloatArguments:
    """The floats among one function's arguments.

    Attributes:
      shaping: why parameters cannot be values of the program, by name; None while nobody asked.
    """

    def __init__(self, signature: Signature) -> None:
        self.names = signature.names
        self._defaults = [p.default for p in signature.parameters]
        self.shaping: dict[str, str] | None = None
        self._groups: dict[Values, Group] = {}
        self._ints: dict[Any, set[int]] = {}
        self._last: frozenset[int] = frozenset()

    def clear(self) -> None:
        """Forgets what was seen."""
        self._groups.clear()
        self._ints.clear()

    # ------------------------------------------------------------ calls
    def ready(self, f: Function, values: Values) -> Call | None:
        """The call for a program that is there, whose floats are those of the last one found: what most calls are."""
        if not self._last or context.trace is not None:
            return None
        places = {i for i in self._last if type(values[i]) is float and values[i] is not self._defaults[i]}
        given = _with_floats(values, dict.fromkeys(places))
        key, leaves, found = key_of(given)
        concrete = f._cache.get(key)
        return Call(given, key, leaves, found.sources, concrete) if concrete is not None and usable(concrete) else None

    def call(self, f: Function, values: Values) -> Call | None:
        """The call with its floats as values of the program; None where they are compiled in."""
        if context.trace is not None or f.input_signature is not None:
            return None
        places = [i for i, v in enumerate(values) if type(v) is float]
        if not places:
            return None
        with f._locked():
            group = self._group(values, places)
            chosen = self._choose(f, group, values, places)
            while chosen:
                found = self._try(f, group, values, chosen)
                if found is not None:
                    return found
                chosen -= group.refused.keys()
        return None

    def _group(self, values: Values, places: Sequence[int]) -> Group:
        bones = skeleton(key_of(_with_floats(values, dict.fromkeys(places)))[0])
        return self._groups.setdefault(bones, Group())

    def _choose(self, f: Function, group: Group, values: Values, places: Sequence[int]) -> set[int]:
        """Which floats of the call are to be values; a new value is taken down. A default is compiled in: the call does
        not hand it over."""
        for i in places:
            if i in group.lifted or i in group.refused:
                continue
            seen = group.seen.setdefault(i, set())
            seen.add(float_key(values[i]))
            if len(seen) > MAX_VALUES:
                why = self._source(f).get(self.names[i])
                if why is None:
                    group.lifted.add(i)
                else:
                    group.refused[i] = why
                del group.seen[i]
        return {i for i in group.lifted.intersection(places) if values[i] is not self._defaults[i]}

    def _source(self, f: Function) -> dict[str, str]:
        """What the function's source says."""
        if self.shaping is None:
            found = shaping_uses(f.python_function) if f._traced is not f.python_function else None
            why = "the function's Python is not rewritten"
            self.shaping = dict.fromkeys(self.names, why) if found is None else found
        return self.shaping

    def _try(self, f: Function, group: Group, values: Values, chosen: set[int]) -> Call | None:
        """The call with these floats as values; None, with the group told why, where one cannot be."""
        lifts = {i: Lift(self.names[i]) for i in chosen}
        given = _with_floats(values, lifts)
        key, leaves, found = key_of(given)
        concrete = f._cache.get(key)
        if concrete is None or not usable(concrete):
            try:
                concrete = f._find(key, given, leaves, found.objects)
            except (Exception, Unroll, RunEagerly) as e:
                _refuse(group, lifts, e)
                return None
        self._last = frozenset(chosen)
        return Call(given, key, leaves, found.sources, concrete)

    # ------------------------------------------------------------ what explain() says
    def note(self, values: Values) -> str:
        """The end of the reason for a trace: what became of floats, and of ints that change, among its arguments."""
        lifted = [n for n, v in zip(self.names, values, strict=True) if type(v) is FloatArgument]
        text = f"; a value of the program from here on: {', '.join(map(repr, lifted))}" if lifted else ""
        places = [i for i, v in enumerate(values) if type(v) is float]
        if places and context.trace is None:
            for i, why in sorted(self._group(values, places).refused.items()):
                text += f"; the value of {self.names[i]!r} shapes the program: {why}"
        return text + "".join(self._of_int(values, i) for i, v in enumerate(values) if type(v) is int)

    def _of_int(self, values: Values, i: int) -> str:
        """The note for an int that took more than two values in calls that are alike otherwise."""
        alike = i, skeleton(key_of((*values[:i], None, *values[i + 1 :]))[0])
        seen = self._ints.setdefault(alike, set())
        seen.add(values[i])
        return f"; each int {self.names[i]!r} has a program of its own (a tensor would not)" if len(seen) > 2 else ""


def _refuse(group: Group, lifts: dict[int, Lift], error: BaseException) -> None:
    """Takes down why an attempt failed: the argument that is to blame, or all of them."""
    to_blame = [i for i, lift in lifts.items() if lift.reason is not None]
    if isinstance(error, Unroll) and error.trial not in lifts.values():
        raise error
    for i in to_blame or lifts:
        why = lifts[i].reason or str(error).partition("\n")[0] or type(error).__name__
        group.refused[i] = why
        group.lifted.discard(i)


def _with_floats(values: Values, lifts: Mapping[int, Lift | None]) -> Values:
    """The values with arguments for the machine in place of the floats of these numbers."""
    return tuple(FloatArgument(np.array(v, np.float64), lifts[i]) if i in lifts else v for i, v in enumerate(values))


def inside(values: Values) -> Values:
    """The values of a call in a trace, in which floats of the function around it are values."""
    if not lifting.count or among(values) is None:
        return values
    return tuple(SymbolicFloat(v) if type(v) is Lifted else v for v in values)
