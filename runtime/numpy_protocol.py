"""NumPy called with tensors: ufuncs and functions run as our ops, so that tapes and traces see them.

`np.sin(t)`, `np.add(a, t)` and `a @ t` come here through `__array_ufunc__`, `np.mean(t)` and `np.concatenate([t, u])`
through `__array_function__`. NumPy data beside a tensor takes the tensor's dtype, as with the operators. A function
that has no op of ours gets arrays and gives arrays, which the tapes note, so that `explain` can name the line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .convert import as_tensor, is_tensor
from .location import at

# NumPy's name -> the name in the public face; the rest is called the same.
_RENAMED = {
    "subtract": "subtract", "true_divide": "truediv", "divide": "truediv", "floor_divide": "floordiv",
    "remainder": "mod",
    "power": "pow", "float_power": "pow", "absolute": "abs", "fabs": "abs", "rint": "round", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2",
    "isnan": "is_nan", "isinf": "is_inf", "isfinite": "is_finite", "conjugate": "conj", "bitwise_and": "bitwise_and",
    "invert": "invert", "fmax": "maximum", "fmin": "minimum",
}  # fmt: skip
_MATH = {
    "sqrt", "exp", "log", "expm1", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "floor", "ceil", "trunc",
}  # fmt: skip
_SAME = _MATH | {
    "add", "multiply", "negative", "square", "sign", "maximum", "minimum", "matmul", "reciprocal", "equal", "not_equal",
    "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_xor", "logical_not",
}  # fmt: skip
_FLOAT_ONLY = _MATH | {"arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "arctan2", "rint"}
_OPERATORS = {"bitwise_and": "and", "bitwise_or": "or", "bitwise_xor": "xor"}
_REDUCTIONS = {"add": "reduce_sum", "multiply": "reduce_prod", "maximum": "reduce_max", "minimum": "reduce_min",
               "logical_and": "reduce_all", "logical_or": "reduce_any"}  # fmt: skip


def array_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A ufunc with a tensor among its operands."""
    name = ufunc.__name__
    if kwargs.get("out") is not None and any(is_tensor(o) for o in kwargs["out"]):
        raise TypeError(f"np.{name}(..., out=t): a Tensor never changes; use the result instead{at()}")
    plain = not {k for k in kwargs if k not in ("axis", "keepdims", "out") or (k == "out" and kwargs[k] is not None)}
    if method == "__call__" and not kwargs:
        fn = _function_for(name)
        if fn is not None:
            return fn(*_promoted(name, inputs))
    if method == "reduce" and name in _REDUCTIONS and plain:
        fn = getattr(_public(), _REDUCTIONS[name])
        return fn(inputs[0], axis=kwargs.get("axis", 0), keepdims=bool(kwargs.get("keepdims", False)))
    return getattr(ufunc, method)(*[to_numpy(x) for x in inputs], **{k: to_numpy(v) for k, v in kwargs.items()})


def _public() -> Any:
    from . import public

    return public


def _function_for(name: str) -> Callable[..., Any] | None:
    if name in _OPERATORS:
        from .arithmetic import logic

        return lambda x, y: logic(_OPERATORS[name], x, y)
    if name == "matmul":
        from .arithmetic import matmul_operator

        return matmul_operator
    if name in _SAME or name in _RENAMED:
        return getattr(_public(), _RENAMED.get(name, name), None)
    return None


def _promoted(name: str, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Integers become float64 where NumPy's function has only float results."""
    if name not in _FLOAT_ONLY:
        return inputs
    from .arithmetic import cast

    ts = [as_tensor(x) if is_tensor(x) else x for x in inputs]
    return tuple(cast(t, np.float64) if is_tensor(t) and (t.dtype.is_integer or t.dtype.is_bool) else t for t in ts)


def to_numpy(x: Any) -> Any:
    """Tensors inside `x` as arrays."""
    if is_tensor(x):
        return np.asarray(x)
    if isinstance(x, (list, tuple)) and not hasattr(x, "_fields"):
        return type(x)(to_numpy(v) for v in x)
    return {k: to_numpy(v) for k, v in x.items()} if isinstance(x, dict) else x


def _reduction(name: str) -> Callable[..., Any]:
    def call(a: Any, axis: Any = None, keepdims: Any = False) -> Any:
        return getattr(_public(), name)(a, axis=axis, keepdims=bool(keepdims) if keepdims is not np._NoValue else False)

    return call


def _concatenate(arrays: Any, axis: Any = 0) -> Any:
    p = _public()
    return p.concat(list(arrays), axis) if axis is not None else p.concat([p.reshape(a, [-1]) for a in arrays], 0)


def _dot(a: Any, b: Any) -> Any:
    p = _public()
    x, y = as_tensor(a) if is_tensor(a) else np.asarray(a), as_tensor(b) if is_tensor(b) else np.asarray(b)
    if not x.ndim or not y.ndim:
        return p.multiply(a, b)
    return p.tensordot(a, b, [[x.ndim - 1], [max(y.ndim - 2, 0)]])


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None:
        return tuple(to_numpy(_public().transpose(_public().where(condition))))
    return _public().where(condition, x, y)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _reduction("reduce_sum"), "mean": _reduction("reduce_mean"), "prod": _reduction("reduce_prod"),
    "amax": _reduction("reduce_max"), "max": _reduction("reduce_max"), "amin": _reduction("reduce_min"),
    "min": _reduction("reduce_min"), "any": _reduction("reduce_any"), "all": _reduction("reduce_all"),
    "std": _reduction("reduce_std"), "var": _reduction("reduce_variance"),
    "dot": _dot, "concatenate": _concatenate, "where": _where,
    "stack": lambda arrays, axis=0: _public().stack(list(arrays), axis),
    "reshape": lambda a, shape: _public().reshape(a, shape),
    "transpose": lambda a, axes=None: _public().transpose(a, axes),
    "expand_dims": lambda a, axis: _public().expand_dims(a, axis),
    "squeeze": lambda a, axis=None: _public().squeeze(a, axis),
    "broadcast_to": lambda array, shape: _public().broadcast_to(array, shape),
    "zeros_like": lambda a: _public().zeros_like(a), "ones_like": lambda a: _public().ones_like(a),
    "clip": lambda a, a_min, a_max: _public().clip_by_value(a, a_min, a_max),
    "tensordot": lambda a, b, axes=2: _public().tensordot(a, b, axes),
    "outer": lambda a, b: _public().reshape(a, [-1, 1]) * _public().reshape(b, [1, -1]),
    "cumsum": lambda a, axis: _public().cumsum(a, axis),
    "argmax": lambda a, axis: _public().argmax(a, axis), "argmin": lambda a, axis: _public().argmin(a, axis),
    "flip": lambda m, axis: _public().reverse(m, axis), "roll": lambda a, shift, axis: _public().roll(a, shift, axis),
    "tile": lambda A, reps: _public().tile(A, reps), "ndim": lambda a: a.ndim, "shape": lambda a: tuple(a.shape),
    "real": lambda val: _public().real(val), "imag": lambda val: _public().imag(val),
}  # fmt: skip


def array_function(func: Any, args: Any, kwargs: Any) -> Any:
    """A NumPy function with a tensor among its arguments."""
    ours = _FUNCTIONS.get(func.__name__) if func.__module__ == "numpy" else None
    if ours is not None:
        try:
            return ours(*args, **kwargs)
        except TypeError as e:
            if "argument" not in str(e):
                raise
    return func(*to_numpy(tuple(args)), **to_numpy(kwargs))
