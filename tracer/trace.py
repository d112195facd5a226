"""A running trace: public ops called by the user's Python become ops of an IR function.

What the Python reads from outside becomes a parameter: eager tensors (captures), tensors of an enclosing trace, and
variables. A variable's value is an SSA value that assignments replace; the last one is a result of the function. Each
op gets the user's line. Small values that are known while tracing (constants, shapes) are carried along, so that they
may serve as axes, shapes and sizes; a size that is a symbol stays one there.

Sizes that the trace keeps symbolic may have to be equal for an op to make sense. The trace then lets the sizes of the
call at hand decide: equal ones become one symbol, others become numbers. The function serves calls that fit.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from ..ir.attrs import resolve_attrs
from ..ir.builder import new_function
from ..ir.control import plain_symbol
from ..ir.dims import Dim, DimLike, is_static, symbol
from ..ir.dims import substitute as substitute_dim
from ..ir.errors import OpError
from ..ir.graph import Block, Function, Loc, Op, Value
from ..ir.infer import SymbolicShapes
from ..ir.opdef import OpDef, get
from ..ir.sizes import Session
from ..ir.types import TensorType, type_of_array
from ..runtime.context import tracing
from ..runtime.dispatch import with_line
from ..runtime.location import at, user_location
from ..runtime.tensor import Tensor, wrap
from ..runtime.tensor_shape import TensorShape
from ..runtime.variable import Variable
from .custom import READ_ASSIGNED, READ_ATTRS, CustomGradient, Gradient
from .ragged import Sizes
from .state import HandleTable, VariableState
from .static import FOLD_LIMIT, fold
from .symbolic import SymbolicTensor
from .trials import give_up

Array = np.ndarray[Any, Any]


class Trace(HandleTable):
    """An IR function under construction.

    Attributes:
      name: the name of the user's function. open: false once the trace is over. outer: the enclosing trace, if any.
      captures: tensors from outside by id, with their parameters.
      created: weak references to the variables that the traced Python made, each with the line that made it.
      loops: what became of the loops over Python's numbers. failures, reasons: how often, and why, one could not be a
        loop of the IR, by line. sizes: what symbols have been replaced by. hints: sizes of the call at hand, by symbol.
      marks: attributes that the trace's loops get. session: that of sizes with names, if the arguments have any.
    """

    marks: Mapping[str, Any] = {}
    session: Session | None = None

    def __init__(
        self,
        name: str,
        types: Sequence[TensorType],
        names: Sequence[str],
        hints: Mapping[str, int],
        outer: Trace | None = None,
        may_create: bool = True,
    ) -> None:
        self.name = name
        self.open = True
        self.outer = outer
        self.may_create = may_create
        self.function, self.builder = new_function(name, types, names)
        self.arguments = tuple(self.function.params)
        self.captures: dict[int, tuple[Tensor, Value]] = {}
        super().__init__()
        self.created: list[tuple[weakref.ref[Variable], str]] = []
        self.loops: list[Any] = []
        self.failures: dict[Loc | None, int] = {}
        self.reasons: dict[Loc | None, str] = {}
        self.sizes: dict[str, DimLike] = {}
        self.hints = dict(hints)
        self.callees: dict[int, Function] = {}
        self.runtime_sizes = Sizes(self)

    # ------------------------------------------------------------ what the runtime calls
    def apply(self, op: OpDef, xs: Sequence[Tensor], attrs: dict[str, Any]) -> Any:
        """Records an op. One symbolic tensor back, or a tuple of them."""
        outs = self.emit(op, xs, attrs)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def span(self, t: Tensor, axis: int, start: Any, stop: Any, step: int) -> tuple[Tensor, Dim]:
        """First element and number of elements of a slice whose bounds are computed."""
        return self.runtime_sizes.span(t, axis, start, stop, step)

    def is_computed(self, d: Dim) -> bool:
        """Whether a size is known only when the function runs."""
        return not self.runtime_sizes.names.isdisjoint(d.symbols)

    def length(self, n: Tensor) -> Dim | None:
        """An integer scalar as the length of an array, where its largest value is known."""
        return self.runtime_sizes.length(n)

    def selected(self, mask: Tensor) -> Dim:
        """How many elements of a bool vector are true."""
        return self.runtime_sizes.selected(mask)

    def constant(self, array: Array) -> Tensor:
        """A symbolic tensor of known value."""
        value = np.array(array, order="C")
        value.setflags(write=False)
        return self.emit(get("constant"), (), {"value": value})[0]

    def read_variable(self, variable: Variable) -> Tensor:
        """The variable's value at this point of the program; a new tensor each time, so that tapes tell reads apart."""
        state = self._state(variable)
        loc = user_location()
        read = SymbolicTensor(state.param, self, None, loc)
        if state.current is state.param:
            return read
        return self.emit(READ_ASSIGNED, [read, SymbolicTensor(state.current, self, None, loc)], READ_ATTRS)[0]

    def assign_variable(self, variable: Variable, value: Tensor) -> None:
        """From here on the variable has the value."""
        state = self._state(variable)
        state.current = self.value_of(value)
        state.assigned = True

    def run_eagerly(self, why: str) -> NoReturn:
        """Unrolls the loop that is being tried, or ends the trace."""
        give_up(why)
        from .uncompiled import RunEagerly

        raise RunEagerly(why)

    def new_variable(self, variable: Variable, initial: Tensor) -> Tensor:
        """The start value of a variable that the traced Python makes.

        Raises:
          ValueError: when it is not the function's first trace, or the value depends on the function's arguments.
        """
        if not self.may_create:
            raise ValueError(
                f"'{self.name}' tried to create a Variable on a call that is not its first. A compiled function may "
                "create variables only the first time that it is traced: create the Variable outside of the function, "
                f"or keep it (`if self.v is None: self.v = pb.Variable(...)`){at()}"
            )
        self.created.append((weakref.ref(variable), at()))
        if not isinstance(initial, SymbolicTensor):
            return initial
        return wrap(np.array(self.evaluate(self.value_of(initial)), order="C"))

    def custom_gradient(
        self, name: str, gradient: Gradient, xs: Sequence[Any], outs: Sequence[Tensor]
    ) -> list[SymbolicTensor]:
        """The outputs of a function whose derivative is given in Python.

        Args:
          gradient: takes a cotangent for each output, gives one (or None) for each of `xs`, tensors and variables.
        """
        inputs = [self.read_variable(x) if isinstance(x, Variable) else x for x in xs]
        sub = Trace(f"{name}_grad", [o.type for o in outs], [f"ct{i}" for i in range(len(outs))], {}, self, False)
        needed: list[Tensor] = []
        try:
            with tracing(sub):
                grads = list(gradient([SymbolicTensor(p, sub) for p in sub.arguments]))
            fn = sub.finish([g for g in grads if g is not None])
            needed = [t for t, _ in sub.captures.values()]
            needed += [self.read_variable(s.variable) for s in sub.variable_states()]
            rule = CustomGradient(fn, [g is not None for g in grads])
        except Exception as e:  # raised when, and if, somebody differentiates
            rule = CustomGradient(None, (), e)
        finally:
            sub.close()
        attrs = {"inputs": len(inputs), "results": len(outs), "rule": rule.label(name)}
        return self.emit(rule, [*inputs, *outs, *needed], attrs)

    # ------------------------------------------------------------ ops
    def emit(self, op: OpDef, xs: Sequence[Tensor], attrs: dict[str, Any]) -> list[SymbolicTensor]:
        """Records an op; a symbolic tensor for each result."""
        loc = user_location()
        values = [self.value_of(x) for x in xs]
        self.builder.loc = loc
        while True:
            try:
                results = self.builder.emit(op, values, attrs)
                break
            except SymbolicShapes as e:
                if not self.runtime_sizes.names.isdisjoint(e.symbols):
                    fitted = self.runtime_sizes.fitted(op, xs, attrs)
                    if fitted is None:
                        raise with_line(e) from None
                    return self.emit(op, fitted, attrs)
                if not self._decide(e.symbols):
                    raise with_line(e) from None
                attrs = resolve_attrs(attrs, self.sizes)
            except OpError as e:
                raise with_line(e) from None
        statics = fold(op, attrs, [self.static_of(x) for x in xs], values, results)
        return [SymbolicTensor(v, self, s, loc) for v, s in zip(results, statics, strict=True)]

    def call(self, fn: Function, xs: Sequence[Tensor]) -> list[SymbolicTensor]:
        """Records a call of another IR function."""
        fn = self.callees.setdefault(id(fn), fn)
        values = [self.value_of(x) for x in xs]
        for param, value in zip(fn.params, values, strict=True):
            for d, v in zip(param.type.shape, value.type.shape, strict=True):
                if is_static(d) and not is_static(v):
                    self._decide(v.symbols if isinstance(v, Dim) else frozenset())
        self._unify_call(fn, values)
        return self.emit(get("call"), xs, {"callee": fn})

    def _unify_call(self, fn: Function, values: Sequence[Value]) -> None:
        """Makes sizes equal that the callee needs equal."""
        seen: dict[DimLike, DimLike] = {}
        for param, value in zip(fn.params, values, strict=True):
            for d, v in zip(param.type.shape, value.type.shape, strict=True):
                known = substitute_dim(seen.setdefault(d, v), self.sizes)
                now = substitute_dim(v, self.sizes)
                if known != now:
                    symbols = {s for x in (known, now) if isinstance(x, Dim) for s in x.symbols}
                    self._decide(frozenset(symbols))

    # ------------------------------------------------------------ values
    def value_of(self, x: Tensor, inside: Block | None = None) -> Value:
        """The IR value of a tensor; one from outside becomes a parameter.

        Args:
          inside: a finished region, at the end of which the value is wanted.

        Raises:
          LeakedTensor: for a symbolic tensor of a trace, branch or loop body that is over.
        """
        if isinstance(x, SymbolicTensor):
            if x.trace is self:
                block = self.closed.get(x.value)
                if block is not None and block is not inside and not any(b is block for b in self.open_blocks):
                    raise x.left_behind()
                return x.value
            if not (x.trace.open and any(x.trace is t for t in self.enclosing())):
                raise x.leaked()
        found = self.captures.get(id(x))
        if found is None:
            type = x.type if isinstance(x, SymbolicTensor) else type_of_array(x._data)
            param = self.function.body.add_param(type, x.value.name if isinstance(x, SymbolicTensor) else "captured")
            found = self.captures[id(x)] = (x, param)
        return found[1]

    def enclosing(self) -> Iterator[Trace]:
        """The traces around this one, innermost first."""
        t = self.outer
        while t is not None:
            yield t
            t = t.outer

    def static_of(self, x: Tensor) -> Any:
        """What is known of a tensor's value while tracing: a small array (entries may be symbolic sizes), or None."""
        if isinstance(x, SymbolicTensor):
            static = x.static
            if static is not None and self.sizes and static.dtype == object:
                static = x.static = substitute_sizes(static, self.sizes)
            return static
        return x._data if x._data.size <= FOLD_LIMIT else None

    def _state(self, variable: Variable) -> VariableState:
        state = self.states.get(id(variable))
        if state is None:
            type = TensorType(variable.dtype, self._variable_shape(variable))
            name = variable.name.rsplit("/", 1)[-1].split(":")[0]
            state = self.states[id(variable)] = VariableState(variable, self.function.body.add_param(type, name))
        assert isinstance(state, VariableState)
        return state

    def _variable_shape(self, variable: Variable) -> tuple[DimLike, ...]:
        """The variable's shape; sizes that assignments may change are symbols."""
        shape: list[DimLike] = []
        for declared, actual in zip(variable.shape.as_list(), variable._data.shape, strict=True):
            if declared is None:
                name = f"v{len(self.hints)}"
                self.hints[name] = actual
                shape.append(symbol(name))
            else:
                shape.append(declared)
        return tuple(shape)

    def evaluate(self, value: Value) -> Array:
        """The value of an expression that does not depend on the function's arguments. Raises ValueError otherwise."""
        owner = value.owner
        if isinstance(owner, Op):
            if owner.regions or owner.kind.effect:
                raise self._depends()
            out = owner.kind.eager(owner.attrs, *[self.evaluate(v) for v in owner.operands])
            return np.asarray(out if len(owner.results) == 1 else out[owner.results.index(value)])
        for tensor, param in self.captures.values():
            if param is value and not isinstance(tensor, SymbolicTensor):
                return tensor._data
        for state in self.variable_states():
            if state.param is value:
                return np.asarray(state.variable._data)
        raise self._depends()

    def _depends(self) -> ValueError:
        return ValueError(
            f"the initial value of a Variable made in '{self.name}' depends on the function's arguments; give a value "
            f"that is known when the function is traced, such as pb.zeros(shape){at()}"
        )

    # ------------------------------------------------------------ symbolic sizes
    def _decide(self, symbols: frozenset[str]) -> bool:
        """Lets the sizes of the call at hand settle how the symbols relate to each other; False when it cannot."""
        order = list(self.hints)
        open_symbols = sorted(
            symbols - self.sizes.keys(), key=lambda s: (order.index(s) if s in order else len(order), s)
        )
        known = {s: self.hints[s] for s in open_symbols if s in self.hints}
        new: dict[str, DimLike] = {}
        first: dict[int, str] = {}
        for s, size in known.items():
            if first.setdefault(size, s) != s:
                new[s] = Dim({(first[size],): 1}, {})
        if not new and known:
            new = dict(known)
        if not known and len(open_symbols) > 1:
            new = {s: Dim({(open_symbols[0],): 1}, {}) for s in open_symbols[1:]}
        self._substitute(new)
        return bool(new)

    def fix_sizes(self, value: Value, shape: TensorShape) -> None:
        """Gives the symbols that are sizes of a value the numbers of a shape.

        Raises:
          ValueError: when the call at hand has other sizes.
        """
        if shape.rank is None:
            return
        new: dict[str, DimLike] = {}
        for d, n in zip(value.type.shape, shape.as_list(), strict=True):
            name = plain_symbol(d)
            if name is not None and n is not None:
                if self.hints.get(name, n) != n:
                    raise ValueError(f"the shape {shape} is not compatible with a size of {self.hints[name]}{at()}")
                new[name] = n
        self._substitute(new)

    def _substitute(self, new: Mapping[str, DimLike]) -> None:
        """Replaces symbols everywhere in the trace."""
        self.sizes = {k: substitute_dim(v, new) for k, v in self.sizes.items()} | dict(new)
        for block in (self.function.body, *self.open_blocks):
            substitute_in(block, new)

    # ------------------------------------------------------------ the end
    def finish(self, outputs: Sequence[Tensor]) -> Function:
        """Ends the function: its results are the outputs, then the final values of assigned variables."""
        values = [self.value_of(t) for t in outputs] + [s.current for s in self.assigned()]
        params = self.function.params
        captured = [p for _, p in self.captures.values()]
        held = [s.param for s in self.variable_states()]
        params[:] = [*self.arguments, *captured, *held]
        self.builder.loc = None
        self.builder.ret(values)
        return self.function

    def assigned(self) -> list[VariableState]:
        """The variables that were assigned to, in the order of first use."""
        return [s for s in self.variable_states() if s.assigned]

    def close(self) -> None:
        """The trace is over: its tensors are of no use any more, and nothing from outside is kept alive by them."""
        self.open = False
        self.captures, self.states, self.callees, self.closed, self.outside = {}, {}, {}, {}, {}
        self.runtime_sizes = Sizes(self)
        self.created = []
        self.written, self.moved_into, self.shared = {}, {}, {}


def substitute_in(block: Block, sizes: Mapping[str, DimLike]) -> None:
    """Replaces symbols in the types and attributes of a block and of the regions in it."""
    for p in block.params:
        p.type = p.type.substitute(sizes)
    for op in block.ops:
        op.attrs = resolve_attrs(op.attrs, sizes)
        for r in op.results:
            r.type = r.type.substitute(sizes)
        for region in op.regions:
            substitute_in(region, sizes)


def substitute_sizes(array: Array, sizes: Mapping[str, DimLike]) -> Array:
    """An array of symbolic sizes with symbols replaced."""
    out = np.empty(array.shape, object)
    for i, d in enumerate(array.reshape(-1)):
        out.flat[i] = substitute_dim(d, sizes)
    return out
