"""One trace of a function, ready to be called: the IR, what its parameters and results stand for, its code.

The parameters are the call's tensors, then captured tensors, then variables; the results are the outputs, then the new
values of assigned variables. For plain calls, small captured tensors are constants of the code; under a tape they
stay parameters, so that gradients by them exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..codegen.callable import NativeCallable
from ..ir.control import runtime_sizes
from ..ir.cse import cse
from ..ir.dims import Dim
from ..ir.errors import ShapeMismatch, TypeMismatch
from ..ir.graph import Block, Function, Loc, Op, Value, clone_op
from ..ir.opdef import get
from ..ir.pad import pad_info
from ..ir.pad_layout import Unpaddable
from ..runtime.array import is_array
from ..runtime.context import context, slow_mode
from ..runtime.convert import as_tensor
from ..runtime.tensor import Tensor
from ..runtime.variable import Variable
from .compiled_call import CompiledOp
from .entry import EntryChain, FlatCall, Plain
from .many_sizes import settle
from .ragged import Cut
from .spec import TensorSpec
from .structure import Structure, flatten
from .symbolic import SymbolicTensor
from .trace import Trace
from .write_back import check_apart, packer, write_back

Array = np.ndarray[Any, Any]
CONSTANT_LIMIT = 16  # captured tensors of at most this many elements become constants of the code


NOTHING: Mapping[int, Any] = {}


class ConcreteFunction(NativeCallable):
    """A traced and compiled function for one signature. Called with the tensors of that signature.

    Attributes:
      name: the name in the IR. ir: the IR function. variables, captured_inputs: what it takes from outside.
      assigned: the numbers (among variables) of those it assigns. scope: the enclosing trace it belongs to, if any.
      written: numbers of the tensors that the function writes to; their values are the outputs behind those returned.
      session: for a trace that serves many sizes without their being declared, says which. needed: where a size was
        needed as a number, for one that was to be such a trace.
      for_arrays: whether it serves arrays and Tensors alike.
      line: the user's line of the call that it was made for. reason: why it was made. loops: what became of loops over
        Python's numbers, as texts or things that print as such.
    """

    def __init__(
        self,
        trace: Trace,
        outputs: Sequence[Tensor],
        structure: Structure,
        values: tuple[Any, ...],
        names: Sequence[str],
        written: Sequence[int] = (),
    ) -> None:
        self.name = trace.name
        self.written = list(written)
        self.for_arrays = not trace.numpy_used
        self.arrays = [i for i, t in enumerate(outputs[: structure.size]) if is_array(t)]
        self._values = values  # canonical arguments with specs in place of tensors
        self._names = list(names)
        self._n_args = len(trace.arguments)
        # first: an output that is a tensor from outside is captured here
        self.traced, self.session = settle(trace.finish(outputs), trace.session)
        self.needed = trace.session.needed if trace.session else ""
        self.ir, self.structure = fixed_sizes(self.traced, structure)
        self.captured: list[Tensor] = [t for t, _ in trace.captures.values()]
        self.variables: tuple[Variable, ...] = tuple(s.variable for s in trace.variable_states())
        self.assigned = [i for i, s in enumerate(trace.variable_states()) if s.assigned]
        outside = [t.trace for t in self.captured if isinstance(t, SymbolicTensor)]
        self.scope = outside[0] if outside else None
        self.n_returned = self.structure.size
        self.n_outputs = self.n_returned + len(self.written)
        self.pack = packer(self.structure, self.arrays)
        self.loops = tuple(dict.fromkeys(trace.loops))
        self.line: Loc | None = None
        self.reason = ""
        self.full = CompiledOp(self.ir, None, self.n_outputs)
        self._plain: Plain | None = None
        self._flat: FlatCall | None = None
        self._chain = EntryChain()

    @property
    def n_args(self) -> int:
        """How many tensors a call takes."""
        return self._n_args

    # ------------------------------------------------------------ calling
    @property
    def plain(self) -> Plain:
        """The function for plain calls: small captured tensors are constants, variables may be updated in place."""
        if self._plain is None:
            constants = {
                self._n_args + i: t._data
                for i, t in enumerate(self.captured)
                if not isinstance(t, SymbolicTensor) and t._data.size <= CONSTANT_LIMIT
            }
            passed = [t for i, t in enumerate(self.captured) if self._n_args + i not in constants]
            first = self._n_args + len(passed)
            donate = {self.n_outputs + k: first + i for k, i in enumerate(self.assigned)}
            donate |= {self.n_returned + k: i for k, i in enumerate(self.written)}  # ndarrays are written in place
            op = CompiledOp(with_constants(self.ir, constants), donate, options=self.full.options)
            self._plain = Plain(op, passed, self.variables, self.assigned, self)
            self._flat = FlatCall(self._plain)
        return self._plain

    def call_flat(self, leaves: Sequence[Tensor], sources: Mapping[int, Any] = NOTHING) -> Any:
        """The structured result for the tensors of the signature, in order.

        Args:
          sources: what the tensors with these numbers were made of, and what the function writes to in their place.
        """
        if slow_mode.count and (context.recorders or context.trace is not None):
            return self._call_observed(leaves, sources)
        if self._flat is None:
            assert self.plain is not None
        plain = [x if type(x) is Tensor else Tensor(x._data) for x in leaves]
        if self.written:
            outs = self.plain.outputs(*plain)
            self._write_back(leaves, sources, outs)
            return self.pack(outs[: self.n_returned])
        return self._flat(plain)  # type: ignore[misc]

    def _write_back(self, leaves: Sequence[Tensor], sources: Mapping[int, Any], outs: Sequence[Tensor]) -> None:
        """What the function wrote to its arguments, the caller sees."""
        check_apart(self.name, self.written, [sources.get(i, x) for i, x in enumerate(leaves)])
        for i, new in zip(self.written, outs[self.n_returned :], strict=True):
            write_back(self.name, self._names[i], sources.get(i, leaves[i]), new)

    def _call_observed(self, leaves: Sequence[Tensor], sources: Mapping[int, Any]) -> Any:
        """The call as tapes and traces see it."""
        xs = [*leaves, *self.captured, *(v.read_value() for v in self.variables)]
        outs = self.full.call(xs)
        trace = context.trace
        for k, i in enumerate(self.assigned):
            variable, new = self.variables[i], outs[self.n_outputs + k]
            if trace is not None:
                trace.assign_variable(variable, new)
            else:
                variable._data = new._data
        if self.written:
            self._write_back(leaves, sources, outs[: self.n_outputs])
        return self.pack(outs[: self.n_returned])

    def _slow_call(self, *args: Any, **kwargs: Any) -> Any:
        """Calls with the signature's tensors, by position or name; Python arguments may be left out or repeated.

        Raises:
          TypeError, ValueError: arguments that are missing, too many, or of another dtype or shape.
        """
        structure, found = flatten(list(args))
        leaves = self._leaves(list(found), kwargs)
        ready = [self._checked(i, x) for i, x in enumerate(leaves)]
        result = self.call_flat(ready)
        n = len(found)
        if context.trace is None and not context.recorders and n + len(kwargs) == len(ready) and self.scope is None:
            given = [*structure.pack(ready[:n]), *ready[n:]]
            self._chain.add_concrete(self, args, {k: kwargs[k] for k in self._names[n:]}, tuple(kwargs), given, ready)
        return result

    def _leaves(self, found: list[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        from .arguments import is_leaf

        if len(found) + len(kwargs) > self._n_args:
            found = [x for x in found if is_leaf(x) or hasattr(x, "_as_tensor")]
        rest = dict(kwargs)
        for name in self._names[len(found) :]:
            if name not in rest:
                break
            found.append(rest.pop(name))
        if len(found) != self._n_args or rest:
            wanted = ", ".join(f"{n}: {t}" for n, t in zip(self._names, self.ir.param_types, strict=False))
            raise TypeError(
                f"{self.name}({wanted}) takes {self._n_args} tensors, found {len(found)}"
                + (f" and unknown arguments {', '.join(rest)}" if rest else "")
            )
        return found

    def _checked(self, i: int, x: Any) -> Tensor:
        type = self.ir.params[i].type
        tensor = x if isinstance(x, Tensor) else as_tensor(x, type.dtype)
        spec = TensorSpec.from_type(type)
        what = f"{self.name}: argument '{self._names[i]}' must be {type}, found {tensor.type}"
        if tensor.dtype != type.dtype:
            raise TypeMismatch(what)
        if not spec.shape.is_compatible_with(tensor.shape):
            raise ShapeMismatch(what)
        return tensor

    # ------------------------------------------------------------ what it looks like
    @property
    def inputs(self) -> list[TensorSpec]:
        """Specs of all parameters: arguments, captured tensors, variables."""
        return [TensorSpec.from_type(p.type, p.name or None) for p in self.ir.params]

    @property
    def outputs(self) -> list[TensorSpec]:
        """Specs of the outputs, flat."""
        return [TensorSpec.from_type(t) for t in self.ir.result_types[: self.n_returned]]

    @property
    def structured_outputs(self) -> Any:
        """Specs of the outputs in the structure that a call returns."""
        return self.structure.pack(self.outputs)

    @property
    def structured_input_signature(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Specs (and Python values) of the arguments."""
        return tuple(self._values), {}

    @property
    def output_shapes(self) -> Any:
        """Shapes of the outputs, structured."""
        return self.structure.pack([s.shape for s in self.outputs])

    @property
    def output_dtypes(self) -> Any:
        """Dtypes of the outputs, structured."""
        return self.structure.pack([s.dtype for s in self.outputs])

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        """The variables that tapes watch by themselves."""
        return tuple(v for v in self.variables if v.trainable)

    @property
    def captured_inputs(self) -> list[Any]:
        """Tensors and variables that the function takes from outside."""
        return [*self.captured, *self.variables]

    @property
    def graph(self) -> GraphView:
        """The ops, for code that looks at TensorFlow's graphs."""
        return GraphView(self.ir)

    @property
    def is_symbolic(self) -> bool:
        """Whether one of its sizes is not a number."""
        return any(isinstance(d, Dim) for t in self.ir.param_types for d in t.shape)

    def pretty_printed_signature(self, verbose: bool = True) -> str:
        """The signature as text: `f(x: f32[2]) -> f32`."""
        params = ", ".join(f"{n}: {p.type}" for n, p in zip(self._names, self.ir.params, strict=False))
        results = ", ".join(map(str, self.ir.result_types[: self.n_returned]))
        return f"{self.name}({params}) -> {results if self.n_returned == 1 else f'({results})'}"

    def __repr__(self) -> str:
        return f"<ConcreteFunction {self.pretty_printed_signature()}>"


def fixed_sizes(fn: Function, structure: Structure) -> tuple[Function, Structure]:
    """The function with fixed sizes, and how its outputs become what is returned.

    Where an op has no form for that, the function stays as it is: the interpreter runs it.
    """
    try:
        info = pad_info(cse(fn) if runtime_sizes(fn.body) else fn, structure.size)
    except Unpaddable:
        return fn, structure
    return info.function, Cut(structure, info.cuts, info.sizes) if info.sizes else structure


class GraphView:
    """The little of `tf.Graph` that an IR function can answer."""

    def __init__(self, fn: Function) -> None:
        self._fn = fn
        self.name = fn.name

    def get_operations(self) -> list[Op]:
        """The ops, those inside regions included."""
        return list(self._fn.body.walk())

    def as_graph_def(self) -> str:
        """The IR as text."""
        return str(self._fn)


def with_constants(fn: Function, constants: Mapping[int, Array]) -> Function:
    """A copy in which the parameters with these numbers are constants."""
    if not constants:
        return fn
    body = Block()
    mapping: dict[Value, Value] = {}
    for i, p in enumerate(fn.params):
        if i in constants:
            value = np.array(constants[i], order="C")
            value.setflags(write=False)
            op = Op(get("constant"), (), {"value": value}, (), (p.type,))
            body.ops.append(op)
            mapping[p] = op.result
        else:
            mapping[p] = body.add_param(p.type, p.name)
    body.ops += [clone_op(op, mapping) for op in fn.body.ops]
    return Function(fn.name, body)
