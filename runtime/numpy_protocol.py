"""NumPy called with tensors: ufuncs and functions run as our ops, so that tapes and traces see them.

`np.sin(t)`, `np.add(a, t)` and `a @ t` come here through `__array_ufunc__`, `np.mean(t)` and `np.concatenate([t, u])`
through `__array_function__`; the methods and operators of Arrays come here too. What computes a function is in two
tables, `UFUNCS` and `FUNCTIONS`, from NumPy's function object to ours. A function in neither cannot be recorded: inside
a trace, or where a tape follows an Array, that is an error with the user's line. Otherwise NumPy computes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from .context import context, slow_mode
from .convert import as_tensor, is_tensor
from .location import at, warn

F = TypeVar("F", bound=Callable[..., Any])
FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # filled by `implements`
_loaded: list[Any] = []


class NumpyNotSupported(TypeError):
    """A NumPy function, or an argument of one, that pullback cannot record: see the text for what to write instead."""


def entering(table: dict[Any, Callable[..., Any]], functions: tuple[Any, ...]) -> Callable[[F], F]:
    """The decorator that enters an implementation of the functions into a table."""

    def enter(implementation: F) -> F:
        table.update(dict.fromkeys(functions, implementation))
        return implementation

    return enter


def implements(*functions: Any) -> Callable[[F], F]:
    """Enters an implementation into `FUNCTIONS`. It has NumPy's signature, without `out`."""
    return entering(FUNCTIONS, functions)


def name_of(func: Any) -> str:
    """`np.linalg.norm`."""
    name = getattr(func, "__name__", str(func))
    module = getattr(func, "__module__", None) or "numpy"
    return ("np" + module[5:] if module.startswith("numpy") and "_core" not in module else "np") + "." + name


# ---------------------------------------------------------------- functions
def array_function(func: Any, args: Any, kwargs: Any) -> Any:
    """A NumPy function with a tensor among its arguments."""
    _load()
    ours = FUNCTIONS.get(func)
    if ours is None:
        return _elsewhere(func, name_of(func), args, kwargs)
    return run(func, ours, args, kwargs)


def run(func: Any, ours: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Our implementation of a function, with `out=` and the kind of result that the arguments ask for."""
    from .numpy_promote import under_rule_of

    kwargs = dict(kwargs)
    out = kwargs.pop("out", None)
    try:
        result = under_rule_of((args, kwargs), ours, *args, **kwargs)
    except TypeError as e:
        raise _better(e, func, ours, args, kwargs) from None
    return result if out is None else write_out(name_of(func), out, result)


def _better(error: TypeError, func: Any, ours: Any, args: Any, kwargs: Any) -> TypeError:
    """The error, or a clearer one when the arguments are not those of our implementation."""
    try:
        inspect.signature(ours).bind(*args, **kwargs)
    except TypeError as e:
        return NumpyNotSupported(f"{name_of(func)}: {e}: pullback's {name_of(func)} does not have it{at()}")
    return error


def write_out(name: str, out: Any, result: Any, where: Any = True) -> Any:
    """`out=`: the result written into an array that exists, where a mask says so."""
    from .array import is_array

    if isinstance(out, tuple):
        if len(out) == 1:
            return write_out(name, out[0], result, where)
        return tuple(r if o is None else write_out(name, o, r, where) for o, r in zip(out, result, strict=True))
    if is_array(out):
        out[...] = result if where is True else FUNCTIONS[np.where](where, result, out)
        return out
    if is_tensor(out):
        raise TypeError(f"{name}(..., out=t): a Tensor never changes; use the result instead{at()}")
    np.copyto(out, to_numpy(result), casting="unsafe", where=to_numpy(where))
    return out


# ---------------------------------------------------------------- ufuncs
def array_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A ufunc, or one of its methods, with a tensor among its operands."""
    from .numpy_promote import under_rule_of

    _load()
    out = kwargs.pop("out", None)
    ours = _METHODS.get(method)
    if ours is None or (method == "__call__" and ufunc not in _ufuncs()):
        given = kwargs if out is None else {**kwargs, "out": out}
        name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        return _elsewhere(getattr(ufunc, method), name, inputs, given)
    if out is None:
        return under_rule_of((inputs, kwargs), ours, ufunc, *inputs, **kwargs)
    where = kwargs.pop("where", True) if method == "__call__" else True
    result = under_rule_of((inputs, kwargs), ours, ufunc, *inputs, **kwargs)
    return write_out(f"np.{ufunc.__name__}", out, result, where)


def _ufuncs() -> dict[Any, Callable[..., Any]]:
    from .numpy_ufuncs import UFUNCS

    return UFUNCS


def call_ufunc(ufunc: Any, *xs: Any, where: Any = True, dtype: Any = None, **rest: Any) -> Any:
    """The ufunc on operands of any kind; the result is not yet an Array."""
    from .numpy_promote import for_loop
    from .numpy_ufuncs import UFUNCS, in_dtype

    extra = [k for k, v in rest.items() if k not in ("casting", "order", "subok")]
    if extra:
        raise NumpyNotSupported(f"np.{ufunc.__name__}: the argument {extra[0]!r} is not available on tensors{at()}")
    try:
        ts, kinds = for_loop(ufunc, xs, dtype)
    except TypeError as e:
        raise type(e)(f"np.{ufunc.__name__}: {e}{at()}") from None
    result = UFUNCS[ufunc](*ts)
    if ufunc.nout > 1:
        if where is not True:
            raise NumpyNotSupported(f"np.{ufunc.__name__}: `where=` needs `out=` on tensors{at()}")
        return tuple(in_dtype(r, k) for r, k in zip(result, kinds, strict=True))
    result = in_dtype(result, kinds[0])
    return result if where is True else _masked(where, result)


def _masked(where: Any, result: Any) -> Any:
    """Zeros where the mask is False; NumPy leaves them undefined."""
    return FUNCTIONS[np.where](where, result, result.dtype.np.type(0))


def _reduced(ufunc: Any, a: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, **rest: Any) -> Any:
    from .numpy_reduce import UFUNC_REDUCTIONS, given

    ours = UFUNC_REDUCTIONS.get(ufunc)
    if ours is None:
        raise NumpyNotSupported(f"np.{ufunc.__name__}.reduce is not available on tensors: write a loop{at()}")
    rest = {k: v for k, v in {"dtype": dtype, **rest}.items() if given(v)}
    return ours(a, axis=axis, keepdims=keepdims, **rest)


def _accumulated(ufunc: Any, a: Any, axis: Any = 0, dtype: Any = None) -> Any:
    from .numpy_reduce import accumulate

    return accumulate(ufunc, a, axis, dtype)


def _outer(ufunc: Any, a: Any, b: Any, **kwargs: Any) -> Any:
    from .numpy_promote import tensor
    from .ops_shape import reshape

    x, y = tensor(a), tensor(b)
    if y.ndim:
        x = reshape(x, (*x.type.shape, *(1,) * y.ndim))
    return call_ufunc(ufunc, x, y, **kwargs)


_METHODS: dict[str, Callable[..., Any]] = {
    "__call__": call_ufunc, "reduce": _reduced, "accumulate": _accumulated, "outer": _outer,
}  # fmt: skip


# ---------------------------------------------------------------- what is not ours
def _elsewhere(func: Callable[..., Any], name: str, args: Any, kwargs: Any) -> Any:
    """A function that we do not have: by NumPy, where nobody follows the tensors; else an error."""
    from .array import array_of, is_array
    from .convert import make
    from .numpy_promote import leaves

    ts = [x for x in leaves((args, kwargs)) if is_tensor(x)]
    instead = INSTEAD.get(name)
    remedy = f"write {instead} instead" if instead else "write it with functions that are, or with a loop"
    if slow_mode.count:
        if context.trace is not None and any(as_tensor(t)._constant_value() is None for t in ts):
            raise NumpyNotSupported(f"{name} is not available inside a compiled function: {remedy}{at()}")
        followed = [t for t in ts if is_followed(t)]
        if any(is_array(t) for t in followed):
            raise NumpyNotSupported(f"{name} is not recorded, and a GradientTape follows its argument: {remedy}{at()}")
        if followed:
            warn(
                f"{name} is computed by NumPy outside of the GradientTape, so that no gradient flows through it: "
                f"{remedy}, or say pb.stop_gradient(t) if that is what you mean"
            )
    arrays = any(is_array(t) for t in ts)
    result = func(*to_numpy(tuple(args)), **to_numpy(kwargs))
    return array_of(make(result)) if arrays and isinstance(result, np.ndarray) else result


INSTEAD = {
    "np.add.at": "pb.tensor_scatter_nd_add(t, indices, updates)",
    "np.bincount": "pb.math.bincount(x)",
    "np.vectorize": "the function itself on arrays",
    "np.frexp": "np.log2 and np.floor",
    "np.unique": "pb.unique outside of the function",
}


def is_followed(t: Any) -> bool:
    """Whether a tape of this thread has a gradient to lose."""
    part = getattr(t, "_part", None)
    seen = (t,) if part is None else (t, part.base)
    return any(r.follows(x) for r in context.recorders if hasattr(r, "follows") for x in seen)


def to_numpy(x: Any) -> Any:
    """Tensors inside `x` as arrays."""
    if is_tensor(x):
        return np.asarray(x)
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return type(x)(to_numpy(v) for v in x)
    return {k: to_numpy(v) for k, v in x.items()} if isinstance(x, dict) else x


def _load() -> None:
    """The modules that fill the tables, which need Tensor and its ops."""
    if not _loaded:
        from . import numpy_functions

        _loaded.append(numpy_functions)
