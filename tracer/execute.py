"""From an IR function to something that runs: specialise for sizes, optimise, compile.

A function whose ops or dtypes have no machine form runs in the IR's interpreter, with the same results.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..codegen.bound import Bound, Shared
from ..codegen.direct import DirectCall
from ..codegen.entry_spec import EntrySpec, ParamSpec, ResultSpec
from ..codegen.jit import LLVMError
from ..ir.control import match_shapes, runtime_sizes
from ..ir.dim_bounds import LEAST
from ..ir.dims import DimLike
from ..ir.graph import Function
from ..ir.interpret import interpret
from ..ir.sizes import Session
from ..ir.stack_ops import Stack
from ..ir.types import TensorType, type_of_array

Array = np.ndarray[Any, Any]
Sizes = tuple[tuple[str, int], ...]


class Executable(Protocol):
    """What runs a static function on arrays."""

    fn: Function

    def run(self, ins: Sequence[Array], /) -> list[Array]:
        """The results for arguments of exactly the function's types."""


class Interpreted:
    """Runs a function in the interpreter. `why` says what kept it from being compiled."""

    def __init__(self, fn: Function, why: str) -> None:
        self.fn = fn
        self.why = why

    def run(self, ins: Sequence[Array], /) -> list[Array]:
        """The results, as arrays of their own."""
        return [r if isinstance(r, Stack) else np.array(r, order="C") for r in interpret(self.fn, ins)]


class Compiled:
    """Machine code, called with plain arrays.

    Attributes:
      code: what the code generator made (`fn`, `library`, `llvm`, `asm()`, `kernels`, `scratch_bytes`, `work`).
    """

    def __init__(self, code: Any) -> None:
        self.code = code
        self.fn: Function = code.fn
        params = [ParamSpec("arg", i, t.dtype.np, static_shape(t)) for i, t in enumerate(self.fn.param_types)]
        self.tables = size_tables(code)
        params += [ParamSpec("const", i, a.dtype, a.shape) for i, a in enumerate(self.tables)]
        results = [ResultSpec("out", i, t.dtype.np, static_shape(t)) for i, t in enumerate(self.fn.result_types)]
        spec = EntrySpec(
            nargs=len(params), params=tuple(params), results=tuple(results), returns=(), structure="none",
            scratch=code.scratch_bytes, name="main",
        )  # fmt: skip
        self._direct = DirectCall(code.library, spec, on_error=raiser(code))

    def run(self, ins: Sequence[Array], /) -> list[Array]:
        """The results, as arrays of their own."""
        return self._direct.run_flat([*ins, *self.tables])


def size_tables(code: Any) -> list[Array]:
    """What the code takes behind its parameters: a table of sizes, where it serves several."""
    return [code.table] if isinstance(code, Bound) else []


@contextmanager
def without_collections() -> Iterator[None]:
    """Inside, Python does not look for cyclic garbage: the compiler makes next to none, but much to look through."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def raiser(code: Any) -> Callable[[int], Any]:
    """Raises the error that a status of the compiled function means."""

    def on_error(status: int) -> Any:
        raise code.error(status)

    return on_error


def static_shape(t: TensorType) -> tuple[int, ...]:
    """The shape of a type whose sizes are numbers."""
    return tuple(int(d) for d in t.shape if isinstance(d, int))


def sizes_of(fn: Function, arrays: Sequence[Array]) -> Sizes:
    """The sizes that the function's symbols take for these arguments. Raises ShapeMismatch when they do not fit."""
    sizes: Mapping[str, DimLike] = match_shapes(fn.name, fn.param_types, [type_of_array(a) for a in arrays])
    return tuple(sorted((k, v) for k, v in sizes.items() if isinstance(v, int)))


class CodeOptions(NamedTuple):
    """How a function and its derivatives are compiled.

    Attributes:
      check_bounds: whether indices are tested at run time.
      fp_contract: whether the machine may fuse a product and a sum into one operation with one rounding.
      many_sizes: whether the first code is to serve many sizes already.
    """

    check_bounds: bool = True
    fp_contract: bool = False
    many_sizes: bool = False


def executable(
    fn: Function, sizes: Sizes, donate: Mapping[int, int], options: CodeOptions = CodeOptions()  # noqa: B008  (immutable)
) -> Executable:
    """The function compiled for the sizes.

    Args:
      donate: result number -> parameter number whose buffer the result may overwrite.
    """
    from ..codegen.compile import compile_function
    from ..codegen.errors import Unsupported

    if runtime_sizes(fn.body):
        return Interpreted(static(fn, sizes), "an op has no form for arrays whose size is known only at run time")
    ready = optimised(fn, sizes)
    try:
        how: dict[str, Any] = {"check_bounds": options.check_bounds, "contract": options.fp_contract}
        return Compiled(compile_function(ready, donate=donate, **how))
    except Unsupported as e:
        return Interpreted(ready, str(e))


def shared(fn: Function, sizes: Sizes, donate: Mapping[int, int], options: CodeOptions) -> Shared | None:
    """Code for the sizes and others like them; None where there is none, or none that is better than code for one."""
    from ..codegen.compile import compile_function
    from ..codegen.errors import Unsupported
    from ..codegen.pipeline import optimise
    from ..ir.dims import symbol
    from ..ir.specialise import specialise

    if runtime_sizes(fn.body) or any(n < LEAST for _, n in sizes):
        return None
    session = Session(dict(sizes))
    try:
        ready = optimise(specialise(fn, {k: session.size(symbol(k)) for k, _ in sizes}))
        how: dict[str, Any] = {"check_bounds": options.check_bounds, "contract": options.fp_contract}
        code = compile_function(ready, donate=donate, session=session, **how)
    except (Unsupported, LLVMError):
        return None
    return None if session.pinned else Shared(code, session)


def static(fn: Function, sizes: Sizes) -> Function:
    """The function with its symbols replaced by sizes."""
    from ..ir.specialise import specialise

    return specialise(fn, dict(sizes)) if sizes or not fn.is_static else fn


def optimised(fn: Function, sizes: Sizes = ()) -> Function:
    """The function as the code generator gets it; as it is where only the interpreter can run it."""
    from ..codegen.pipeline import optimise

    ready = static(fn, sizes)
    return ready if runtime_sizes(ready.body) else optimise(ready)
