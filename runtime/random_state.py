"""Where random numbers come from: a key and a counter in a Variable, advanced by every draw.

Element k of a draw is a pure function of (key, counter + k), so a draw is reproducible from the state alone. The
state is an ordinary int64[2] Variable: a compiled function that draws takes it as a parameter and gives the advanced
one back, so each call draws fresh numbers, and eager and compiled streams are the same.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..ir.dims import Dim, product
from ..ir.dtypes import int32, int64
from ..ir.opdef import get
from .arithmetic import cast
from .context import paused, tracing
from .convert import as_tensor, make
from .dispatch import apply
from .tensor import Tensor
from .variable import Variable

_DEFAULT = 87654321
_MASK = (1 << 64) - 1
_global: dict[str, int | None] = {"seed": None}
_states: dict[int | None, Variable] = {}


def mixed(*words: int) -> int:
    """A signed 64-bit key from integers, well mixed (splitmix64, Steele, Lea, Flood 2014)."""
    z = 0
    for w in words:
        z = (z + w + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
    return z - (1 << 64) if z >> 63 else z


def fresh_key() -> int:
    """A key that nobody can foresee."""
    return int.from_bytes(os.urandom(8), "little", signed=True)


def _key_of(seed: int | None) -> int:
    base = _global["seed"]
    if base is None:
        return fresh_key() if seed is None else mixed(_DEFAULT, seed)
    return mixed(base) if seed is None else mixed(base, seed)


def set_seed(seed: int) -> None:
    """Restarts all global streams of random numbers from a seed."""
    _global["seed"] = int(seed)
    with tracing(None):
        for op_seed, state in _states.items():
            state.assign(np.array([_key_of(op_seed), 0], np.int64))


def state_for(seed: Any) -> Variable:
    """The state of the global stream, or of the stream of one op's own seed."""
    op_seed = None if seed is None else int(seed)
    found = _states.get(op_seed)
    if found is None:
        with tracing(None):
            found = new_state(_key_of(op_seed))
        _states[op_seed] = found
    return found


def new_state(key: int) -> Variable:
    """A state that starts at a key."""
    return Variable(make(np.array([key, 0], np.int64)), trainable=False, name="random_state")


def advance(state: Variable, dims: tuple[Any, ...], streams: int) -> tuple[Tensor, list[Tensor]]:
    """The key, and the counters of as many streams over `dims`; the state moves behind them."""
    with paused():
        before = state._read_unrecorded()
        key, counter = _element(before, 0), _element(before, 1)
        n = _count(dims)
        counters = [counter]
        for _ in range(streams):
            counters.append(counters[-1] + n)
        zero = as_tensor(0, int64)
        step = apply(get("concat"), [_row(zero), _row(counters[-1] - counter)], {"axis": 0})
        state._store(before + step)
    return key, counters[:streams]


def _row(x: Tensor) -> Tensor:
    return apply(get("reshape"), (x,), {"shape": (1,)})  # type: ignore[no-any-return]


def _element(t: Tensor, i: int) -> Tensor:
    y = apply(get("slice"), (t,), {"starts": (i,), "sizes": (1,), "strides": (1,)})
    return apply(get("reshape"), (y,), {"shape": ()})  # type: ignore[no-any-return]


def _count(dims: tuple[Any, ...]) -> Tensor:
    n: Any = product(dims)
    if not isinstance(n, Dim):
        return as_tensor(int(n), int64)
    # A size of the trace becomes a number through an array of that size.
    line = apply(get("iota"), (), {"shape": (n,), "axis": 0, "dtype": int32})
    return apply(get("dim"), (line,), {"axis": 0, "dtype": int64})  # type: ignore[no-any-return]


def key_from_seed(seed: Any) -> Tensor:
    """The key of a stateless draw from its seed of two integers."""
    t = cast(as_tensor(seed), int64)
    if t.type.shape != (2,):
        raise ValueError(f"seed must have shape [2], got {t.shape}")
    return _element(t, 0) + _element(t, 1) * as_tensor(1 << 32, int64)
