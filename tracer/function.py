"""`pb.function`: a Python function that is traced once for each kind of arguments, compiled, and called natively.

A call goes: canonical arguments -> key -> ConcreteFunction -> compiled code. The key is looked up in a dict; what it
holds is in `arguments.py`. Sizes that may vary (`input_signature` with None, `reduce_retracing`) are symbols of the
trace; such traces are found by matching shapes, and the key is then remembered like any other. For calls with plain
tensors a native entry is put in front of all this.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any

from ..codegen.callable import NativeCallable, reset
from ..runtime.context import context
from ..runtime.location import user_location
from . import scopes
from .arguments import ARRAY, FloatArgument, is_tensor_item, key_of, skeleton, without_arrays
from .build import Pattern, build
from .checkpointing import marks
from .concrete import ConcreteFunction
from .control import entry
from .entry import EntryChain
from .execute import CodeOptions
from .explain import History
from .float_arguments import Call, FloatArguments, inside
from .input_signature import InputSignature
from .lookup import fits, usable, weakly
from .many_sizes import has_names, names_for
from .methods import MethodTable
from .numpy_mode import mentions_numpy, run_python, trace_arrays
from .signature import Signature, copy_identity, name_of
from .uncompiled import RunEagerly, Uncompiled
from .unsuitable import refuse

MAX_WASTED = 2
MAX_KEYS = 4096  # remembered keys of traces with symbolic sizes
Key = tuple[Any, ...]


class Function(NativeCallable):
    """A compiled function; made by `pb.function`. Call it as the Python function.

    Attributes:
      python_function: the function as written. input_signature: the declared specs, or None.
    """

    _skipped = 0  # arguments in front that are not the Python function's

    def __init__(
        self,
        python_function: Callable[..., Any],
        input_signature: Any = None,
        reduce_retracing: bool = False,
        name: str | None = None,
        skip: int = 0,
        autograph: bool = True,
        checkpoint: int | str | None = None,
        check_bounds: bool | None = None,
        fp_contract: bool = False,
    ) -> None:
        refuse(python_function)
        self.python_function = python_function
        self._ir_name = name or name_of(python_function)
        self._traced = entry(python_function) if autograph else python_function
        self._options = {
            "input_signature": input_signature,
            "reduce_retracing": reduce_retracing,
            "autograph": autograph,
            "checkpoint": checkpoint,
            "check_bounds": check_bounds,
            "fp_contract": fp_contract,
        }
        self._marks = marks(checkpoint)
        self._signature = Signature(python_function, self._ir_name, skip)
        # the declared types of a method leave `self` out: they belong to the functions of its instances
        self._unbound = input_signature is not None and not skip and self._signature.names[:1] == ["self"]
        known = input_signature is not None and not self._unbound
        self._declared = InputSignature(input_signature, self._signature) if known else None
        self._reduce = reduce_retracing
        self._check_bounds, self._fp_contract = check_bounds, fp_contract
        self._cache: dict[Key, ConcreteFunction] = {}
        self._general: dict[Key, list[ConcreteFunction]] = {}
        self._patterns: dict[Key, list[Pattern]] = {}
        self._wasted: dict[Key, int] = {}  # traces for many sizes that came out as traces for one
        self._concretes: list[ConcreteFunction] = []
        self._objects: dict[Key, list[Any]] = {}
        self._history = History(self._ir_name)
        self._may_create = True
        self._floats = FloatArguments(self._signature)
        self._lock = threading.RLock()
        self._methods: MethodTable | None = None
        self._chain = EntryChain()
        self._uses_numpy = mentions_numpy(python_function)
        copy_identity(python_function, self)

    # ------------------------------------------------------------ calling
    def _python(self, *args: Any, **kwargs: Any) -> Any:
        return run_python(self._traced, self._ir_name, args, kwargs)

    def _slow_call(self, *args: Any, **kwargs: Any) -> Any:
        if scopes.functions_run_eagerly():
            return self._python(*args, **kwargs)
        if self._unbound and args:
            return self.__get__(args[0])(*args[1:], **kwargs)
        values = self._signature.bind(args, kwargs)
        if self._declared is not None:
            values = self._declared.conform(values)
        values = inside(values)
        call = self._floats.ready(self, values) or self._of_values(values, True)
        result = call.concrete.call_flat(call.leaves, call.sources)
        if context.trace is None and not context.recorders:
            self._chain.add(self, call, args, kwargs)
        return result

    def _of_values(self, values: tuple[Any, ...], lift: bool = False) -> Call:
        """A call with its trace. `lift`: floats that took several values may be values of the program."""
        key, leaves, found = key_of(values)
        concrete = self._cache.get(key)
        if concrete is None or not usable(concrete):
            lifted = self._floats.call(self, values) if lift else None
            if lifted is not None:
                return lifted
            concrete = self._find(key, values, leaves, found.objects)
        return Call(values, key, leaves, found.sources, concrete)

    def _find(self, key: Key, values: tuple[Any, ...], leaves: Sequence[Any], objects: list[Any]) -> ConcreteFunction:
        """The trace for a key that is not in the cache: one with symbolic sizes that fits, or a new one."""
        with self._locked():
            concrete = self._cache.get(key)
            if concrete is not None and usable(concrete):
                return concrete
            concrete = self._for_tensors(key)
            if concrete is not None:
                self._cache[key] = concrete
                return concrete
            bones = skeleton(key)
            concrete = self._fitting(bones, leaves)
            if concrete is None:
                concrete = self._make(key, bones, values, leaves)
            while len(self._cache) >= MAX_KEYS:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = concrete
            if concrete.for_arrays and ARRAY in key:
                self._cache.setdefault(without_arrays(key), concrete)
            if objects and key not in self._objects:
                self._watch(key, objects)
        return concrete

    def _for_tensors(self, key: Key) -> ConcreteFunction | None:
        """A trace made for Tensors that serves arrays as well: one that did nothing for which they have other rules."""
        concrete = self._cache.get(without_arrays(key)) if ARRAY in key else None
        return concrete if concrete is not None and concrete.for_arrays and usable(concrete) else None

    def _fitting(self, bones: Key, leaves: Sequence[Any]) -> ConcreteFunction | None:
        for concrete in self._general.get(bones, ()):
            if usable(concrete) and fits(concrete, leaves):
                return concrete
        return None

    def _make(self, key: Key, bones: Key, values: tuple[Any, ...], leaves: Sequence[Any]) -> ConcreteFunction:
        patterns, generalised = self._choose_patterns(key, bones)
        line = user_location()
        concrete: ConcreteFunction = self._build(values, leaves, patterns, ARRAY in key)
        self._may_create = False
        more = "; sizes that varied are symbols from here on" if generalised else ""
        if has_names(patterns) and concrete.session is None:
            self._wasted[bones] = self._wasted.get(bones, 0) + 1
            more = f"; a size is needed as a number{concrete.needed}"
        more += self._floats.note(values)
        record = self._history.add(line, values, self._signature.names, more)
        concrete.line, concrete.reason = line, record.reason
        record.loops = concrete.loops
        self._concretes.append(concrete)
        if concrete.is_symbolic and concrete.scope is None:
            self._general.setdefault(bones, []).append(concrete)
        return concrete

    def _build(
        self, values: tuple[Any, ...], leaves: Sequence[Any], patterns: list[Pattern], arrays: bool
    ) -> Any:
        """Traces. ndarrays are Tensors, as in TensorFlow, until the function does something with NumPy."""

        def trace(as_arrays: bool) -> ConcreteFunction:
            about = self._traced, self._ir_name, self._signature
            new = build(*about, values, leaves, patterns, self._may_create, as_arrays, self._marks)
            checks = scopes.checks_bounds() if self._check_bounds is None else self._check_bounds
            new.full.options = CodeOptions(checks, self._fp_contract, new.session is not None)
            return new

        try:
            if not arrays:
                return trace(False)
            concrete, self._uses_numpy = trace_arrays(trace, self._uses_numpy)
            return concrete
        except RunEagerly as e:
            if context.trace is not None or any(type(x) is FloatArgument for x in leaves):
                raise
            return Uncompiled(self, values, str(e))

    def _choose_patterns(self, key: Key, bones: Key) -> tuple[list[Pattern], bool]:
        """The shapes to trace with: None where a size shall be a symbol; and whether that is new."""
        shapes: list[Pattern] = [k[1] for k in key if is_tensor_item(k)]
        if self._declared is not None:
            return [self._declared_dims(s, i) for i, s in enumerate(shapes)], False
        seen = self._patterns.get(bones)
        if seen is None:
            self._patterns[bones] = shapes
            return shapes, False
        if not self._reduce:
            return self._named_sizes(bones, seen, shapes)
        merged: list[Pattern] = [
            tuple(a if a == b else None for a, b in zip(s, t, strict=True)) for s, t in zip(seen, shapes, strict=True)
        ]
        self._patterns[bones] = merged
        return merged, True

    def _named_sizes(self, bones: Key, seen: list[Pattern], shapes: list[Pattern]) -> tuple[list[Pattern], bool]:
        """Names for the sizes that changed, until it is clear that the function needs them as numbers."""
        if self._wasted.get(bones, 0) >= MAX_WASTED or context.trace is not None:
            return shapes, False
        patterns = names_for(seen, shapes)
        return patterns, has_names(patterns)

    def _declared_dims(self, shape: Pattern, number: int) -> Pattern:
        assert self._declared is not None
        declared = self._declared.leaf_dims()
        if number >= len(declared):
            return shape  # of a default, which has no spec
        dims = declared[number]
        return (None,) * len(shape) if dims is None else dims

    def _watch(self, key: Key, objects: list[Any]) -> None:
        """Drops what the key has when one of the objects dies; objects that cannot be watched are kept alive."""
        owner = weakref.ref(self)

        def drop(_: Any) -> None:
            function = owner()
            if function is not None:
                function._forget(key)

        self._objects[key] = [weakly(x, drop) for x in objects]

    def _forget(self, key: Key) -> None:
        concrete = self._cache.pop(key, None)
        self._objects.pop(key, None)
        reset(self)
        self._chain = EntryChain()
        if concrete is not None and not any(c is concrete for c in list(self._cache.values())):
            self._concretes = [c for c in self._concretes if c is not concrete]
            for traces in self._general.values():
                traces[:] = [c for c in traces if c is not concrete]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One trace at a time. A thread that already traces does not wait for long: two functions that call each other,
        traced in two threads, would wait for ever; tracing twice is right too."""
        got = self._lock.acquire(timeout=-1 if context.trace is None else 1.0)
        try:
            yield
        finally:
            if got:
                self._lock.release()

    # ------------------------------------------------------------ TensorFlow's methods
    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for arguments of these kinds: tensors, `TensorSpec`s or Python values.

        Without arguments, the declared `input_signature` is used.
        """
        if self._declared is not None and not args and not kwargs:
            specs = self._declared.specs
            args = tuple(specs)
        values = self._signature.bind(args, kwargs)
        if self._declared is not None:
            values = self._declared.conform(values)
        return self._of_values(inside(values)).concrete  # type: ignore[no-any-return]

    def experimental_get_tracing_count(self) -> int:
        """How many times the function was traced."""
        return self._history.count

    @property
    def trace_count(self) -> int:
        """How many times the function was traced."""
        return self._history.count

    @property
    def input_signature(self) -> Any:
        """The declared specs, or None."""
        return None if self._declared is None else self._declared.specs

    @property
    def function_spec(self) -> Signature:
        """The Python signature."""
        return self._signature

    @property
    def name(self) -> str:
        """The name of the Python function."""
        return self._ir_name

    def pretty_printed_concrete_signatures(self, verbose: bool = True) -> str:
        """The signatures of all traces, one a line."""
        return "\n".join(c.pretty_printed_signature(verbose) for c in self._concretes)

    def explain(self) -> str:
        """Each trace: when, with which arguments, why it was needed; which loops were unrolled, and why."""
        return self._history.text()

    def inspect(
        self,
        *args: Any,
        stage: str = "trace",
        grad: Any = None,
        color: bool = False,
        **kwargs: Any,
    ) -> str:
        """The function at a stage of compilation, as text.

        Args:
          args, kwargs: tensors, `TensorSpec`s, Python values, or one string such as 'f32[100], f32[n, 3]'.
          stage: "trace", "opt", "grad", "residuals" (what the gradient keeps), "kernels", "llvm" or "asm".
          grad: name or number of the argument, or a list of them, to differentiate by. color: with terminal colours.

        Raises:
          ValueError: for an unknown stage or argument, or sizes that a stage needs as numbers.
        """
        from .inspect import inspect_function

        return inspect_function(self, args, kwargs, stage, grad, color)

    def cost(self, *args: Any, grad: Any = None, **kwargs: Any) -> Any:
        """What each step of the machine code costs: operations, bytes, their ratio, the least time on this machine.

        Args:
          args, kwargs, grad: as for `inspect`.

        Returns:
          A `Cost`, which prints as a table; `steps`, `flops`, `bytes` and `seconds` are its numbers.

        Raises:
          ValueError: as `inspect` does.
        """
        from .inspect import cost_of_function

        return cost_of_function(self, args, kwargs, grad)

    # ------------------------------------------------------------ as a method
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if self._methods is None:
            self._methods = MethodTable()
        found = self._methods.entries.get(id(instance))  # what the table's `get` does first, without a call
        if found is not None and found[0]() is instance:
            return MethodType(found[1], instance)
        return MethodType(self._methods.get(self, instance, InstanceFunction), instance)

    def _clear(self) -> None:
        """Forgets all traces and code."""
        with self._locked():
            reset(self)
            self._chain = EntryChain()
            for table in (self._cache, self._general, self._patterns, self._objects, self._wasted):
                table.clear()
            self._concretes = []
            self._floats.clear()

    def __repr__(self) -> str:
        return f"<pullback function {self._ir_name}{self._signature.signature}>"

    def __reduce__(self) -> Any:
        return _unpickle, (self.python_function, self._options)

    def __copy__(self) -> Function:
        return self

    def __deepcopy__(self, memo: Any) -> Function:
        return self


class InstanceFunction(Function):
    """The Function of one object's method: called with the object in front, which the Python function has already."""

    _skipped = 1

    def _slow_call(self, instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        return super()._slow_call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<pullback method {self._ir_name}{self._signature.signature}>"


def _unpickle(python_function: Callable[..., Any], options: dict[str, Any]) -> Function:
    return Function(python_function, **options)
