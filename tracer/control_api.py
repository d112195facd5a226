"""TensorFlow's functional control flow: `while_loop`, `cond`, `case`, `map_fn`, `scan`, `foldl` and their kin.

Written as ordinary Python with the control flow that it stands for, on the same drivers that rewritten code calls.
Eagerly they run step by step; inside a compiled function on a tensor's condition they become `if` and `while`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..ir.errors import InvalidArgumentError
from ..runtime import nest
from ..runtime.convert import as_tensor
from ..runtime.dispatch import call as op
from ..runtime.location import at
from ..runtime.ops_shape import stack
from ..runtime.ops_sizes import shape as shape_of
from ..runtime.tensor import Tensor
from ..runtime.tensor_array import TensorArray
from ..runtime.tensor_shape import TensorShape
from .control import call as converted
from .control_branch import If
from .control_iter import Counted
from .control_loop import For, While
from .control_region import current_trace
from .control_state import placeholder


def _tensors(x: Any) -> Any:
    return nest.map_structure(lambda v: v if v is None or isinstance(v, TensorArray) else as_tensor(v), x)


def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
    """`true_fn()` if `pred` else `false_fn()`; both must give tensors of the same types.

    Raises:
      TypeError: for branches that are not callable, or whose results differ in type.
    """
    for f, what in ((true_fn, "true_fn"), (false_fn, "false_fn")):
        if not callable(f):
            raise TypeError(f"cond: {what} must be callable, found {f!r}{at()}")
    driver = If(pred, ("result",), None, ())
    result: Any = None
    if driver.then({}):
        result = _results(true_fn)
    if driver.other({"result": result}):
        result = _results(false_fn)
    if driver.done({"result": result}):
        result = driver.get("result")
    return result


def _results(f: Any) -> Any:
    result = converted(f)()
    return _tensors(result) if current_trace() is not None else result


def case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The result of the function whose condition is the first to be true; of `default` if none is.

    Raises:
      ValueError: no pairs. InvalidArgumentError: no condition is true and there is no default.
    """
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    if not pairs:
        raise ValueError(f"case: give at least one pair of condition and function{at()}")
    return _case(pairs, pairs[-1][1] if default is None and current_trace() is not None else default)


def _case(pairs: Sequence[Any], default: Any) -> Any:
    if not pairs:
        if default is None:
            raise InvalidArgumentError(f"case: none of the conditions is true and there is no default{at()}")
        return default()
    (pred, fn), rest = pairs[0], pairs[1:]
    return cond(pred, fn, lambda: _case(rest, default))


def switch_case(branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case") -> Any:
    """The result of function number `branch_index`; of `default` (else the last one) for numbers that do not exist."""
    pairs = dict(branch_fns if isinstance(branch_fns, dict) else enumerate(branch_fns))
    if branch_fns and not isinstance(branch_fns, dict) and isinstance(branch_fns[0], tuple):
        pairs = dict(branch_fns)
    keys = sorted(pairs)
    last = default if default is not None else pairs[keys[-1]]
    index = as_tensor(branch_index)
    return _case([(op("eq", index, as_tensor(k, index.dtype)), pairs[k]) for k in keys], last)


def _is_open(shape: Any) -> bool:
    return shape is not None and TensorShape(shape).num_elements() is None


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """Repeats `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` holds.

    Args:
      loop_vars: a list or tuple of tensors or nested structures. maximum_iterations: an upper bound on the trips.

    Raises:
      TypeError: for `cond` or `body` that are not callable, or a variable whose type changes.
    """
    if not callable(cond) or not callable(body):
        raise TypeError(f"while_loop: cond and body must be callable{at()}")
    if not isinstance(loop_vars, (list, tuple)) or not loop_vars:
        raise ValueError(f"while_loop: loop_vars must be a list or tuple that is not empty, found {loop_vars!r}{at()}")
    trace = current_trace()
    if trace is not None and any(_is_open(s) for s in nest.flatten(shape_invariants)):
        trace.growing = True
    state = _tensors(tuple(loop_vars))
    count: Any = as_tensor(0)
    test, step = converted(cond), converted(body)
    driver = While(("state", "count"), ("state",), None, ())
    while driver.loop({"state": state, "count": count}):
        if driver.load:
            state, count = driver.get("state"), driver.get("count")
        if driver.test(_more(test, state, count, maximum_iterations)):
            if driver.load:
                state, count = driver.get("state"), driver.get("count")
            new = step(*state)
            new = tuple(new) if isinstance(new, (list, tuple)) else (new,)
            if len(new) != len(state):
                raise ValueError(f"while_loop: body gives {len(new)} variables for {len(state)}{at()}")
            state, count = _tensors(new), count + 1
    if driver.load:
        state = driver.get("state")
    return list(state) if isinstance(loop_vars, list) else state


def _more(test: Callable[..., Any], state: Any, count: Any, limit: Any) -> Any:
    going = test(*state)
    if limit is None:
        return going
    below = op("lt", count, as_tensor(limit, count.dtype))
    return op("logical_and", as_tensor(going), below)


# ---------------------------------------------------------------- along the first axis
def _length(elems: Any) -> Any:
    first = as_tensor(nest.flatten(elems)[0])
    if not first.type.shape:
        raise ValueError(f"a scalar has no first axis to go along{at()}")
    n = first.type.shape[0]
    return n if isinstance(n, int) else shape_of(first)[0]


def _at(elems: Any, k: Any) -> Any:
    return nest.map_structure(lambda t: t[k], elems)


def _fold(fn: Callable[..., Any], elems: Any, initial: Any, first: int, reverse: bool, each: Any = None) -> Any:
    """The accumulated value; with `each`, `(carry, outputs)` of a loop that writes the outputs of each step."""
    n = _length(elems)
    state: Any = initial
    driver = For(Counted(n - first, lambda k: k), ("state",), ("state",), None, (), {"state": state})
    f = converted(fn)
    for k in driver:
        if driver.load:
            state = driver.get("state")
        place = (n - 1 - first - k) if reverse else k + first
        state = f(state, place)
        if driver.end({"state": state}):
            break
    return driver.get("state") if driver.load else state


def foldl(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """`fn(accumulated, element)` over the slices of `elems` along the first axis, from the first to the last."""
    return _folded(fn, elems, initializer, False)


def foldr(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """`fn(accumulated, element)` over the slices of `elems` along the first axis, from the last to the first."""
    return _folded(fn, elems, initializer, True)


def _folded(fn: Callable[..., Any], elems: Any, initializer: Any, reverse: bool) -> Any:
    elems = _tensors(elems)
    first = 0 if initializer is not None else 1
    start = _tensors(initializer) if initializer is not None else _at(elems, -1 if reverse else 0)
    f = converted(fn)
    return _fold(lambda a, k: _tensors(f(a, _at(elems, k))), elems, start, first, reverse)


def scan(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, infer_shape: bool = True, reverse: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """As `foldl` (`foldr` with `reverse`), but gives all accumulated values, stacked along a new first axis."""
    elems = _tensors(elems)
    f = converted(fn)
    first = 0 if initializer is not None else 1
    start = _tensors(initializer) if initializer is not None else _at(elems, -1 if reverse else 0)

    def step(a: Any, k: Any) -> Any:
        return _tensors(f(a, _at(elems, k)))

    return _collected(step, elems, start, first, reverse)


def map_fn(
    fn: Callable[..., Any], elems: Any, dtype: Any = None, parallel_iterations: Any = None, back_prop: bool = True,
    swap_memory: bool = False, infer_shape: bool = True, name: str | None = None, fn_output_signature: Any = None,
) -> Any:  # fmt: skip
    """`fn(element)` for the slices of `elems` along the first axis, stacked."""
    elems = _tensors(elems)
    f = converted(fn)
    return _collected(lambda _, k: _tensors(f(_at(elems, k))), elems, None, 0, False)


def _collected(step: Callable[[Any, Any], Any], elems: Any, start: Any, first: int, reverse: bool) -> Any:
    n = _length(elems)
    if current_trace() is None:
        return _collected_eagerly(step, n, start, first, reverse)
    out: Any = None
    if first:
        out = nest.map_structure(lambda t: _write(_empty(n, t), n - 1 if reverse else 0, t), start)
    elif start is not None:
        out = nest.map_structure(lambda t: _empty(n, t), start)
    else:
        from .control_region import Region

        trial = Region(current_trace()).open()  # type: ignore[arg-type]
        like = step(None, as_tensor(0))
        trial.close()
        out = nest.map_structure(lambda t: _empty(n, t), like)

    def both(state: Any, k: Any) -> Any:
        a = step(state[0], k)
        return (a if start is not None else None, nest.map_structure(lambda o, t: _write(o, k, t), state[1], a))

    return _fold(both, elems, (start, out), first, reverse)[1]


def _collected_eagerly(step: Callable[[Any, Any], Any], n: int, start: Any, first: int, reverse: bool) -> Any:
    order = list(range(n))[::-1] if reverse else list(range(n))
    found = [start] if first else []
    state = start
    for k in order[first:]:
        state = step(state, k)
        found.append(state)
    if reverse:
        found.reverse()
    if not found:
        raise ValueError(f"there is no element to apply the function to{at()}")
    return nest.map_structure(lambda *parts: stack(list(parts)), *found)


def _empty(n: Any, t: Tensor) -> Tensor:
    size = n if isinstance(n, int) else n._constant_value()
    from ..ir.types import TensorType

    size = size if isinstance(size, int) else size[()]
    return placeholder(TensorType(t.dtype, (size, *t.type.shape)))


def _write(out: Tensor, k: Any, t: Tensor) -> Tensor:
    from ..runtime.indexing import write_item

    return write_item(out, k, t)


def vectorized_map(fn: Callable[..., Any], elems: Any, fallback_to_while_loop: bool = True, warn: bool = True) -> Any:
    """As `map_fn`."""
    return map_fn(fn, elems)


__all__ = [
    "case", "cond", "foldl", "foldr", "map_fn", "scan", "switch_case", "vectorized_map", "while_loop",
]  # fmt: skip
