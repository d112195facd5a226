"""A function at each stage of its way to machine code, as text: what `fn.inspect` and `pullback dump` show.

trace    what the tracer recorded              opt   after the passes that the code generator asks for
grad     the function's gradient, simplified   kernels, llvm, asm   what the code generator makes of it
residuals   a table of what the gradient keeps of the function, and why
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir.builder import IRBuilder
from ..ir.control import plain_symbol
from ..ir.cse import cse
from ..ir.dce import dce
from ..ir.dims import Dim
from ..ir.graph import Block, Function, Value, clone_op
from ..ir.inline import inline
from ..ir.printer import highlight, print_function
from ..ir.reverse import reverse
from ..ir.simplify import canon
from .argspec import parse_arguments
from .arguments import key_of
from .concrete import ConcreteFunction
from .execute import CodeOptions, Interpreted, executable, optimised, static
from .residuals import table

if TYPE_CHECKING:
    from .function import Function as CompiledFunction

STAGES = ("trace", "opt", "grad", "residuals", "kernels", "llvm", "asm")

_LLVM = re.compile(
    r"""(?P<comment>;[^\n]*)|(?P<string>"[^"\n]*")|(?P<func>@[\w.$]+)|(?P<value>%[\w.]+)
      | (?P<keyword>\b(?:define|declare|call|br|ret|phi|label|load|store|select|getelementptr)\b|^[\w.]+:)
      | (?P<type><\d+\ x\ \w+>|\b(?:i\d+|half|float|double|ptr|void)\b)
      | (?P<number>(?<![\w.])-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d+)?(?:e[+-]?\d+)?)\b)
    """,
    re.VERBOSE | re.MULTILINE,
)
_ASSEMBLY = re.compile(
    r"""(?P<comment>(?:\#\#?|//|;)\ [^\n]*)|(?P<string>"[^"\n]*")|(?P<func>^[\w.$@]+:)|(?P<value>%\w+)
      | (?P<type>^\s+\.\w+)|(?P<keyword>^\s+\w+)|(?P<number>(?<![\w.])[$\#]?-?(?:0x[0-9a-f]+|\d+)\b)
    """,
    re.VERBOSE | re.MULTILINE,
)


def inspect_function(
    function: CompiledFunction, args: Sequence[Any], kwargs: Mapping[str, Any], stage: str, grad: Any, color: bool
) -> str:
    """See `Function.inspect`."""
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}: choose one of {', '.join(STAGES)}")
    if len(args) == 1 and isinstance(args[0], str) and not kwargs:
        args, kwargs = parse_arguments(args[0])
    concrete = function.get_concrete_function(*args, **kwargs)
    return inspect_concrete(concrete, stage, grad, color, _sizes(function, concrete, args, kwargs))


def cost_of_function(function: CompiledFunction, args: Sequence[Any], kwargs: Mapping[str, Any], grad: Any) -> Any:
    """See `Function.cost`."""
    from ..codegen.cost import cost_of

    if len(args) == 1 and isinstance(args[0], str) and not kwargs:
        args, kwargs = parse_arguments(args[0])
    concrete = function.get_concrete_function(*args, **kwargs)
    fn = concrete.plain.op.fn
    if grad is not None:
        fn = gradient(fn, wrt_numbers(fn, concrete, grad), concrete.n_outputs)
    fn = static(fn, tuple(_sizes(function, concrete, args, kwargs).items()))
    _need_numbers(fn, "cost")
    return cost_of(optimised(fn))


def _sizes(
    function: CompiledFunction, concrete: ConcreteFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, int]:
    """The sizes of these arguments where the trace, made for others too, has symbols."""
    if not args and not kwargs:
        return {}
    leaves = key_of(function._signature.bind(tuple(args), dict(kwargs)))[1]
    found = {}
    for wanted, leaf in zip(concrete.plain.op.fn.param_types, leaves, strict=False):
        for want, have in zip(wanted.shape, leaf.shape, strict=False):
            name = plain_symbol(want)
            if name is not None and isinstance(have, int):
                found[name] = have
    return found


def inspect_concrete(
    concrete: ConcreteFunction,
    stage: str,
    grad: Any = None,
    color: bool = False,
    sizes: Mapping[str, int] | None = None,
) -> str:
    """One trace at a stage; what comes after the trace for these sizes of its symbols."""
    fn = concrete.plain.op.fn
    if stage == "residuals":
        fn = static(fn, tuple((sizes or {}).items()))
        return table(fn, wrt_numbers(fn, concrete, grad), differentiable(fn, concrete.n_outputs))
    if grad is not None or stage == "grad":
        fn = gradient(fn, wrt_numbers(fn, concrete, grad), concrete.n_outputs)
    if stage == "grad":
        fn = dce(cse(canon(inline(fn))))
    if stage in ("trace", "grad"):
        text, parts = loop_notes(concrete) + print_function(fn), None
    elif stage == "opt":
        text, parts = print_function(optimised(fn, tuple((sizes or {}).items()))), None
    else:
        fn = static(fn, tuple((sizes or {}).items()))
        op = concrete.plain.op
        text, parts = _code(fn, {} if grad is not None else op.donate, stage, op.options)
    if not color:
        return text
    return highlight(text) if parts is None else highlight(text, parts)


def loop_notes(concrete: ConcreteFunction) -> str:
    """What became of the loops over Python's numbers, as comments."""
    return "".join(f"# {note}\n" for note in concrete.loops)


def _code(
    fn: Function, donate: Mapping[int, int], stage: str, options: CodeOptions
) -> tuple[str, re.Pattern[str] | None]:
    """What the code generator makes, and the pattern of its parts when it is not written like the IR."""
    _need_numbers(fn, f"the stage {stage!r}")
    made: Any = executable(fn, (), donate, options)
    if isinstance(made, Interpreted):
        why = f"# no machine code: {made.why}\n# the interpreter runs this function\n"
        return why + print_function(made.fn), None
    if stage == "kernels":
        return str(made.code.kernels), None
    return (str(made.code.llvm), _LLVM) if stage == "llvm" else (str(made.code.asm()), _ASSEMBLY)


def _need_numbers(fn: Function, what: str) -> None:
    sizes = sorted({s for t in fn.param_types for d in t.shape if isinstance(d, Dim) for s in d.symbols})
    if sizes:
        raise ValueError(f"{what} needs sizes as numbers, found {', '.join(sizes)}: give for example f32[100]")


def wrt_numbers(fn: Function, concrete: ConcreteFunction, grad: Any) -> list[int]:
    """The parameters to differentiate by: a name, a number, several of them, or (None) all float arguments.

    Raises:
      ValueError: for a name or number that no float parameter has.
    """
    names = [p.name for p in fn.params]
    if grad is None:
        found = [i for i, t in enumerate(fn.param_types[: concrete.n_args]) if t.dtype.is_differentiable]
        if not found:
            raise ValueError(f"{concrete.name} has no argument of a float dtype to differentiate by")
        return found
    wanted = list(grad) if isinstance(grad, (list, tuple)) else [grad]
    out = []
    for w in wanted:
        i = int(w) if isinstance(w, int) or str(w).lstrip("-").isdigit() else names.index(w) if w in names else -1
        if not 0 <= i < len(names):
            raise ValueError(f"{concrete.name} has no argument {w!r}; its arguments: {', '.join(names) or 'none'}")
        if not fn.param_types[i].dtype.is_differentiable:
            raise ValueError(f"argument {names[i]!r} is {fn.param_types[i]}: only float arguments have a gradient")
        out.append(i)
    return out


def differentiable(fn: Function, n_outputs: int) -> list[int]:
    """The numbers of the outputs that have a gradient. Raises ValueError when there are none."""
    outputs = [i for i, t in enumerate(fn.result_types[:n_outputs]) if t.dtype.is_differentiable]
    if not outputs:
        raise ValueError(f"{fn.name} has no output of a float dtype to differentiate")
    return outputs


def gradient(fn: Function, wrt: Sequence[int], n_outputs: int) -> Function:
    """The function that computes the gradient of the sum of all outputs: what a tape's `gradient` gives.

    Raises:
      ValueError: when no output has a float dtype.
    """
    back = reverse(fn, wrt, differentiable(fn, n_outputs))
    n = len(fn.params)
    body = Block()
    b = IRBuilder(body)
    mapping: dict[Value, Value] = {p: body.add_param(p.type, p.name) for p in back.params[:n]}
    for seed in back.params[n:]:
        one = b.full(seed.type.shape, np.ones((), seed.type.dtype.np), seed.type.dtype)
        mapping[seed] = one.value
    body.ops += [clone_op(op, mapping) for op in back.body.ops]
    return Function(f"{fn.name}_grad", body)


__all__ = ["STAGES", "gradient", "inspect_concrete", "inspect_function", "wrt_numbers"]
