"""`GradientTape`: records the ops that touch watched tensors and differentiates them, with TensorFlow's semantics.

While a tape is in its `with` block the dispatcher shows it every op. It keeps the ones of which some operand is
watched, and watches their results that can carry a gradient. What cuts a path (an integer result, `stop_gradient`, a
value that left for NumPy) is noted with the user's line, so that `explain` can say why a gradient is None. `gradient`
is a reverse sweep (`backward.py`) over plain arrays, or over tensors where an outer tape or a trace must see it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np

from ..ir.opdef import get
from . import direct, nest
from .backward import Record, sweep
from .context import context, pop, push
from .dispatch import apply
from .errors import fail
from .explain import Cut, explain_path
from .live import Moves, dismiss, enlist
from .location import user_location, warn
from .numpy_methods import NumpyMethods
from .seeds import can_carry, seed, zeros_of
from .tensor import Tensor, wrap
from .variable import Variable

_STOP = get("stop_gradient")


class UnconnectedGradients(enum.Enum):
    """What `gradient` gives for a source that the target does not depend on."""

    NONE = "none"
    ZERO = "zero"


_NO_ZEROS = UnconnectedGradients.NONE


class GradientTape:
    """Records operations for automatic differentiation.

    Args:
      persistent: allows several calls of `gradient`; the record is kept until the tape is dropped.
      watch_accessed_variables: whether trainable variables are watched when they are read.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watch_accessed = watch_accessed_variables
        self._recording = False
        self._records: list[Record] | None = None  # None: nothing recorded yet, or released
        self._watched: dict[int, Any] = {}
        self._roots: set[int] | None = set()  # of what is watched, that which no op made; None: no longer known
        self._variables: dict[int, Variable] = {}
        self._cuts: dict[Any, Cut] = {}
        self._moves: Moves | None = None
        self._asked: dict[int, Any] = {}  # what `watch` was called with: the tensor that was meant, by the handle's id

    # ------------------------------------------------------------ recording
    def __enter__(self) -> GradientTape:
        """Starts to record; `with` ends it."""
        self._push()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._recording:
            self._pop()

    def _push(self) -> None:
        if self._recording:
            fail(
                ValueError,
                "Tape is still recording. This can happen if you try to re-enter an already-active tape: use "
                "a new GradientTape for the inner block",
            )
        if self._records is None:  # everything else is empty
            self._records, self._variables = [], {}
            enlist(self)
        push(self)
        self._recording = True

    def _pop(self) -> None:
        pop(self)
        self._recording = False

    def _clear(self) -> None:
        self._records, self._roots, self._moves = None, set(), None
        self._watched, self._cuts, self._asked = {}, {}, {}
        dismiss(self)

    def record(self, op: Any, attrs: Any, xs: Any, outs: Any) -> None:
        """Called by the dispatcher after each op."""
        watched = self._watched
        for x in xs:
            if id(x) in watched:
                break
        else:
            if not (self._watch_accessed and len(xs) == 1 and isinstance(xs[0], Variable) and xs[0]._trainable):
                return
            watched[id(xs[0])] = xs[0]
            self._root(id(xs[0]))
        if isinstance(xs[0], Variable):
            self._variables[xs[0]._number] = xs[0]
        if op is not _STOP and getattr(op, "differentiable", True):
            kept = False
            for o in outs:
                if can_carry(o):
                    watched[id(o)] = o
                    kept = True
            if kept:
                self._records.append((op, attrs, xs, outs))  # type: ignore[union-attr]
                return
        self._note_cut(getattr(op, "name", str(op)), xs, outs)

    def _root(self, key: int) -> None:
        if self._roots is not None:
            self._roots.add(key)

    def _note_cut(self, name: str, xs: Any, outs: Any) -> None:
        what = name if not outs or can_carry(outs[0]) else f"{name} (its result is {outs[0].dtype.name})"
        loc = user_location(3)
        cut = self._cuts.setdefault((what, loc), Cut(what, loc))
        cut.operands.update(id(x) for x in xs if id(x) in self._watched)

    def moved(self, handle: Any, old: Any) -> None:
        """Called when a handle is about to get a new value: what was recorded of it belongs to `old` from now on."""
        if self._records is None:
            return
        self._moves = self._moves or Moves()
        self._moves.add(len(self._records), handle, old)
        self._roots = None
        key = id(handle)
        if self._watched.pop(key, None) is not None:
            self._watched[id(old)] = old
        if self._asked.get(key) is handle:
            self._asked[key] = old
        for cut in self._cuts.values():
            if key in cut.operands:
                cut.operands.add(id(old))

    def note_detour(self, t: Any, what: str) -> None:
        """Called when the value of a tensor leaves for Python or NumPy."""
        unread = isinstance(t, Variable) and t._trainable and self._watch_accessed
        if id(t) in self._watched or unread:
            loc = user_location(3)
            cut = self._cuts.setdefault((what, loc), Cut(f"turned into {what}", loc))
            cut.operands.add(id(t))
            if unread:
                cut.kept[id(t)] = t

    def follows(self, t: Any) -> bool:
        """Whether the tape has a derivative by what the tensor was made of."""
        return id(t) in self._watched or (isinstance(t, Variable) and t._trainable and self._watch_accessed)

    def followed(self) -> list[Any]:
        """The tensors and variables that were watched, and what was made of them."""
        return list(self._watched.values())

    def watch(self, tensor: Any) -> None:
        """Watches a tensor or variable, or each one of a nested structure.

        Raises:
          ValueError: something that is neither. RuntimeError: the tape is not in its `with` block and never was.
        """
        if type(tensor) is Tensor and self._records is not None and can_carry(tensor):
            key = id(tensor)
            self._asked[key] = self._watched[key] = tensor
            self._root(key)
            return
        for t in nest.flatten(tensor):
            if not isinstance(t, (Tensor, Variable)):
                fail(
                    ValueError,
                    f"Passed in object {t!r} of type {type(t).__name__!r}, not pb.Tensor or pb.Variable: "
                    "convert it with pb.constant and use that tensor",
                )
            if self._records is None:
                fail(
                    RuntimeError,
                    "watch() needs a tape that records: call it inside of `with pb.GradientTape() as tape:`",
                )
            if not t.dtype.is_differentiable:
                warn(
                    f"The dtype of the watched tensor must be floating (e.g. pb.float32), got {t.dtype.name}: its "
                    f"gradient will be None; write pb.cast(x, pb.float32) before watching it"
                )
            if isinstance(t, Variable):
                t = t._origin
                self._variables[t._number] = t
            else:
                t = t._resolved()
                self._asked[id(t)] = t
            self._watched[id(t)] = t
            self._root(id(t))

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Inside, nothing is recorded. Raises RuntimeError when the tape does not record."""
        if not self._recording:
            fail(RuntimeError, "stop_recording() needs a tape that records: use it inside of the tape's `with` block")
        self._pop()
        try:
            yield
        finally:
            self._push()

    def reset(self) -> None:
        """Forgets everything recorded and watched so far."""
        recording = self._recording
        if recording:
            self._pop()
        self._clear()
        self._push()

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables watched so far, in the order in which they were made."""
        return tuple(self._variables[k] for k in sorted(self._variables))

    # ------------------------------------------------------------ differentiating
    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
    ) -> Any:
        """The gradient of (the sum of all elements of) the target, in the structure of the sources.

        A source that was written to (`x[i] = v`) after it was watched counts as it was when it was watched.

        Args:
          target, sources: tensors or variables, or nested structures of them.
          output_gradients: the cotangents to start from, one per target. unconnected_gradients: NONE or ZERO.

        Raises:
          RuntimeError: a tape that is not persistent was used before, or never recorded.
          TypeError, ValueError: a target or source that is no tensor; cotangents that do not fit.
          LookupError: an op without a derivative rule.
        """
        zeros = unconnected_gradients is not _NO_ZEROS and UnconnectedGradients(unconnected_gradients) is not _NO_ZEROS
        self._ready("gradient")
        if target is None:
            fail(
                TypeError,
                "Argument `target` should be a list or nested structure of Tensors or Variables to be "
                "differentiated, but received None.",
            )
        alone = type(sources) is Tensor
        flat_sources = [sources] if alone else [_tensor_like(s, "source") for s in nest.flatten(sources)]
        targets = [target] if type(target) is Tensor else [_tensor_like(t, "target") for t in nest.flatten(target)]
        grads = self._differentiate(targets, flat_sources, output_gradients)
        if zeros:
            grads = [zeros_of(s) if g is None else g for g, s in zip(grads, flat_sources, strict=True)]
        self._done()
        return grads[0] if alone else nest.pack_sequence_as(sources, grads)

    def _ready(self, what: str) -> None:
        if self._records is None:
            fail(
                RuntimeError,
                f"{what}: A non-persistent GradientTape can only be used to compute one set of gradients (or "
                "jacobians), and only after it has recorded: use pb.GradientTape(persistent=True) to ask it "
                "several times",
            )
        if self._recording:
            if not self._persistent:
                self._pop()
            else:
                warn(
                    f"Calling GradientTape.{what} on a persistent tape inside its context records the gradient's own "
                    f"ops (slower, more memory). Only do this for higher order derivatives"
                )

    def _done(self) -> None:
        if not self._persistent:
            self._clear()

    def _differentiate(self, targets: list[Any], sources: list[Any], output_gradients: Any) -> list[Tensor | None]:
        raw = not context.recorders and context.trace is None
        cts = None if output_gradients is None else nest.flatten(output_gradients)
        if cts is not None and len(cts) != len(targets):
            fail(ValueError, f"output_gradients has {len(cts)} entries for {len(targets)} targets: give one per target")
        seeds = []
        for i, t in enumerate(targets):
            g = seed(t, None if cts is None else cts[i], cts is None, raw)
            if g is not None:
                seeds.append((id(t), g))
        return self.pull(seeds, sources, raw)

    def pull(self, seeds: list[tuple[int, Any]], sources: list[Any], raw: bool) -> list[Tensor | None]:
        """The cotangents of the sources for cotangents of targets (by identity)."""
        meant, keys = [], set()
        for s in sources:
            s = self._asked.get(id(s), s)
            meant.append(s)
            if can_carry(s):
                keys.add(id(s))
        records = self._records or []
        if self._moves is not None:
            self._moves.settle(records)
        reach: Any = None
        if self._roots is not None and self._roots <= keys and keys <= self._watched.keys():
            reach = self._watched  # every record depends on the sources
        found = sweep(records, seeds, keys, raw, reach)
        out: list[Tensor | None] = []
        for s in meant:
            g = found.get(id(s))
            t = None if g is None else _wrapped(g) if raw else g
            out.append(_array(t) if t is not None and isinstance(s, NumpyMethods) else t)
        return out

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """d target / d source, of shape target.shape + source.shape, in the structure of the sources."""
        from .jacobian import jacobian

        return jacobian(self, target, sources, UnconnectedGradients(unconnected_gradients))

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: UnconnectedGradients | str = UnconnectedGradients.NONE,
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The jacobian of each example of a batch: shape [batch, *target.shape[1:], *source.shape[1:]]."""
        from .jacobian import batch_jacobian

        return batch_jacobian(self, target, source, UnconnectedGradients(unconnected_gradients))

    def explain(self, target: Any, source: Any) -> str:
        """Says in words how the target depends on the source, or why its gradient is None. Keeps the record.

        Needs a tape that still has it: a persistent one, or before `gradient` is called.
        """
        if self._records is None:
            fail(RuntimeError, "explain: the tape has been released: ask before gradient(), or use persistent=True")
        t, s = _tensor_like(target, "target"), _tensor_like(source, "source")
        s = self._asked.get(id(s), s)
        if self._moves is not None:
            self._moves.settle(self._records)
        return explain_path(t, s, self._records, self._watched, list(self._cuts.values()), self._watch_accessed)


def _array(g: Tensor) -> Tensor:
    """The gradient by an array, which is an array too."""
    from .array import array_of

    return array_of(apply(get("identity"), (g,), {}))  # type: ignore[no-any-return]


def _wrapped(g: Any) -> Tensor:
    return Tensor(g) if type(g) is np.ndarray and g.flags.c_contiguous else wrap(g)


def _tensor_like(t: Any, what: str) -> Any:
    if isinstance(t, Variable):
        return t._origin
    if not isinstance(t, Tensor):
        fail(
            TypeError,
            f"A {what} of a gradient must be a pb.Tensor or pb.Variable, got {t!r} of type {type(t).__name__}: "
            "only what pb ops computed inside the tape can be differentiated",
        )
    return t._resolved()


direct.bind(GradientTape)
