"""`pb.function`: the decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .function import Function
from .methods import unbound


def function(
    func: Callable[..., Any] | None = None,
    input_signature: Any = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    check_bounds: bool | None = None,
    fp_contract: bool = False,
    experimental_implements: str | None = None,
    experimental_autograph_options: Any = None,
    experimental_attributes: Any = None,
    experimental_relax_shapes: bool | None = None,
    experimental_compile: bool | None = None,
    experimental_follow_type_hints: bool | None = None,
    checkpoint: int | str | None = None,
) -> Any:
    """Compiles a function: `@pb.function`, `@pb.function(...)` or `pb.function(f)`.

    The first call runs the Python once with symbolic tensors and compiles the ops that it records; later calls enter
    that code. Tensors are told apart by dtype and shape, Python values by type and value: new ones make a new trace
    (`f.explain()` lists them); but a float that takes a third value becomes a value of the program, unless it shapes
    it. Python's own side effects happen while tracing only; `print` and `assert` of tensors are part of the program.
    `f.inspect(...)` shows every stage, `f.python_function` is what was decorated.

    Args:
      input_signature: a `TensorSpec` (or structure of them) for each argument; the function is then traced once.
      reduce_retracing: after the second shape of an argument, its varying sizes become symbols.
      autograph: whether control flow on tensors (`if`, `while`, `for`, `and` ...) is compiled, or left to Python.
      checkpoint: for the gradient of long loops, so many states are kept, or so much memory is used ("256MB"), and
        what lies between is computed again, by a schedule that does so the least often. None stores everything.
      check_bounds: whether compiled code tests indices at run time (by default what `pb.config.check_bounds` says);
        if not, an index out of range reads or destroys other memory.
      fp_contract: lets compiled code round `a * b + c` once in place of twice: faster, but not to the bit what eager
        code gives. The default is that every operation is rounded by itself.
      jit_compile, experimental_*: accepted for TensorFlow's sake; everything here is compiled.

    Raises:
      TypeError: for something that cannot be called, or an input_signature that does not fit the parameters.
      ValueError: for a checkpoint that is no number of slots and no amount of memory.
    """
    reduce = bool(reduce_retracing or experimental_relax_shapes)

    def decorate(f: Callable[..., Any]) -> Function:
        python = f.python_function if isinstance(f, Function) else unbound(f)
        options: dict[str, Any] = {
            "autograph": bool(autograph), "checkpoint": checkpoint,
            "check_bounds": check_bounds, "fp_contract": bool(fp_contract),
        }  # fmt: skip
        return Function(python, input_signature, reduce, **options)

    return decorate if func is None else decorate(func)
