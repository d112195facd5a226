"""`pb.random`: numbers from counter-based streams; the same seed gives the same numbers, eagerly and compiled.

Normals are Box and Muller's (1958) from two uniform streams; truncated normals come from the inverse of the normal
distribution function, so no draw is ever repeated. Each public function exists twice: on the global stream (or that
of an op seed), and `stateless_*`, a pure function of its seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir.dtypes import DType, as_dtype, float32, float64, int32, int64
from ..ir.opdef import get
from .arithmetic import cast
from .convert import as_tensor, make
from .dispatch import apply
from .errors import ShapeMismatch, fail
from .ops_index import gather
from .ops_math import cos, log, minimum, sqrt
from .ops_reduce import argmax
from .ops_shape import shape_argument
from .ops_special import erfinv
from .random_state import advance, fresh_key, key_from_seed, mixed, new_state, set_seed, state_for
from .tensor import Tensor
from .variable import Variable


class Source:
    """One draw: a key, and where its streams count from."""

    def __init__(self, key: Tensor, counters: list[Tensor]) -> None:
        self.key = key
        self.counters = counters

    def uniform(self, dims: tuple[Any, ...], dtype: DType, stream: int = 0) -> Tensor:
        """Floats in [0, 1)."""
        _check_sizes(dims)
        kind = dtype if dtype in (float32, float64) else float32
        u = apply(get("random_uniform"), (self.key, self.counters[stream]), {"shape": dims, "dtype": kind})
        return cast(u, dtype)

    def bits(self, dims: tuple[Any, ...]) -> Tensor:
        """64 random bits as int64."""
        _check_sizes(dims)
        return apply(get("random_bits"), (self.key, self.counters[0]), {"shape": dims})  # type: ignore[no-any-return]


def _check_sizes(dims: tuple[Any, ...]) -> None:
    if any(isinstance(d, int) and d < 0 for d in dims):
        fail(ShapeMismatch, f"random numbers: sizes must be >= 0, got the shape {list(dims)}")


def _global(seed: Any, dims: tuple[Any, ...], streams: int = 1) -> Source:
    return Source(*advance(state_for(seed), dims, streams))


def _stateless(seed: Any, dims: tuple[Any, ...], streams: int = 1) -> Source:
    key = key_from_seed(seed)
    start = as_tensor(0, int64)
    return Source(key, [start + as_tensor(k * (1 << 62), int64) for k in range(streams)])


def _float_dtype(dtype: Any) -> DType:
    d = as_dtype(dtype)
    if not d.is_floating:
        fail(ValueError, f"a random float tensor needs a floating dtype, not {d.name}")
    return d


# ---------------------------------------------------------------- the distributions, on any source
def _uniform(source: Source, dims: tuple[Any, ...], low: Any, high: Any, dtype: DType) -> Tensor:
    if dtype.is_integer:
        return _uniform_int(source, dims, low, high, dtype)
    u = source.uniform(dims, dtype)
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low == 0 and high == 1:
        return u
    a, c = as_tensor(low, dtype), as_tensor(high, dtype)
    x = u * (c - a) + a
    bottom, top = a._constant_value(), c._constant_value()
    if bottom is not None and top is not None and dtype.size >= 4:  # rounding must not reach the upper bound
        x = minimum(x, make(np.asarray(np.nextafter(top, bottom), dtype.np)))
    return x


def _uniform_int(source: Source, dims: tuple[Any, ...], low: Any, high: Any, dtype: DType) -> Tensor:
    if high is None:
        fail(ValueError, f"Must specify maxval for integer dtype {dtype.name}")
    a, c = cast(as_tensor(low, dtype), int64), cast(as_tensor(high, dtype), int64)
    width, start = c._constant_value(), a._constant_value()
    if width is not None and start is not None and width.dtype != object and bool(np.any(width <= start)):
        fail(ValueError, f"uniform: Need minval < maxval, got {low} >= {high}")
    positive = apply(get("bitwise_and"), (source.bits(dims), as_tensor((1 << 63) - 1, int64)), {})
    return cast(positive % (c - a) + a, dtype)


def _normal(source: Source, dims: tuple[Any, ...], mean: Any, stddev: Any, dtype: DType) -> Tensor:
    wide = dtype if dtype.size >= 4 else float32
    one = as_tensor(1, wide)
    radius = sqrt(as_tensor(-2, wide) * log(one - source.uniform(dims, wide)))
    z = cast(radius * cos(as_tensor(2 * math.pi, wide) * source.uniform(dims, wide, 1)), dtype)
    return _scaled(z, mean, stddev)


def _scaled(z: Tensor, mean: Any, stddev: Any) -> Tensor:
    s, m = as_tensor(stddev, z.dtype), as_tensor(mean, z.dtype)
    return z * s + m


def _truncated(source: Source, dims: tuple[Any, ...], mean: Any, stddev: Any, dtype: DType) -> Tensor:
    wide = dtype if dtype.size >= 4 else float32
    inside = math.erf(math.sqrt(2))
    u = source.uniform(dims, wide)
    x = erfinv((as_tensor(2, wide) * u - as_tensor(1, wide)) * as_tensor(inside, wide))
    two = as_tensor(2, wide)
    z = minimum(x * as_tensor(math.sqrt(2), wide), two)
    return _scaled(cast(z, dtype), mean, stddev)


def _high(dtype: DType, maxval: Any) -> Any:
    return 1 if maxval is None and dtype.is_floating else maxval


# ---------------------------------------------------------------- the public functions
def uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, seed: Any = None, name: str | None = None
) -> Tensor:
    """Numbers from [minval, maxval): [0, 1) by default; integers need a maxval (ValueError)."""
    d, dims = as_dtype(dtype), shape_argument(shape)
    if d.is_integer and maxval is None:
        fail(ValueError, f"Must specify maxval for integer dtype {d.name}")
    return _uniform(_global(seed, dims), dims, minval, _high(d, maxval), d)


def normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, seed: Any = None, name: str | None = None
) -> Tensor:
    """Normally distributed numbers."""
    d, dims = _float_dtype(dtype), shape_argument(shape)
    return _normal(_global(seed, dims, 2), dims, mean, stddev, d)


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, seed: Any = None, name: str | None = None
) -> Tensor:
    """Normally distributed numbers within two standard deviations of the mean."""
    d, dims = _float_dtype(dtype), shape_argument(shape)
    return _truncated(_global(seed, dims), dims, mean, stddev, d)


def stateless_uniform(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, name: str | None = None,
    alg: str = "auto_select",
) -> Tensor:  # fmt: skip
    """As `uniform`; a pure function of the seed, two integers."""
    d, dims = as_dtype(dtype), shape_argument(shape)
    if d.is_integer and maxval is None:
        fail(ValueError, f"Must specify maxval for integer dtype {d.name}")
    return _uniform(_stateless(seed, dims), dims, minval, _high(d, maxval), d)


def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None,
    alg: str = "auto_select",
) -> Tensor:  # fmt: skip
    """As `normal`; a pure function of the seed, two integers."""
    d, dims = _float_dtype(dtype), shape_argument(shape)
    return _normal(_stateless(seed, dims, 2), dims, mean, stddev, d)


def stateless_truncated_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None,
    alg: str = "auto_select",
) -> Tensor:  # fmt: skip
    """As `truncated_normal`; a pure function of the seed, two integers."""
    d, dims = _float_dtype(dtype), shape_argument(shape)
    return _truncated(_stateless(seed, dims), dims, mean, stddev, d)


def _permuted(value: Any, source_of: Any) -> Tensor:
    t = as_tensor(value)
    if not t.ndim:
        fail(ValueError, "shuffle: a scalar cannot be shuffled")
    bits = source_of((t.type.shape[0],)).bits((t.type.shape[0],))
    keys = bits._constant_value()
    if keys is None:
        fail(TypeError, "shuffle is not available inside a traced function yet: shuffle before the call")
    return gather(t, make(np.argsort(keys, kind="stable").astype(np.int64)), axis=0)


def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Tensor:
    """The rows in random order."""
    return _permuted(value, lambda dims: _global(seed, dims))


def stateless_shuffle(value: Any, seed: Any, alg: str = "auto_select", name: str | None = None) -> Tensor:
    """As `shuffle`; a pure function of the seed."""
    return _permuted(value, lambda dims: _stateless(seed, dims))


def _categorical(logits: Any, num_samples: Any, dtype: Any, source_of: Any) -> Tensor:
    x = as_tensor(logits)
    (n,) = shape_argument([num_samples], "num_samples")
    b, c = x.type.shape
    dims = (b, n, c)
    u = source_of(dims).uniform(dims, x.dtype)
    gumbel = -log(-log(u + as_tensor(np.finfo(x.dtype.np).tiny, x.dtype)))
    return argmax(x[:, None, :] + gumbel, axis=2, output_type=as_dtype(dtype or int64))


def categorical(logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: str | None = None) -> Tensor:
    """Class numbers drawn by their log-probabilities: [batch, classes] gives [batch, num_samples]."""
    return _categorical(logits, num_samples, dtype, lambda dims: _global(seed, dims))


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = int64, name: str | None = None
) -> Tensor:
    """As `categorical`; a pure function of the seed."""
    return _categorical(logits, num_samples, dtype, lambda dims: _stateless(seed, dims))


def split(seed: Any, num: int = 2, alg: str = "auto_select") -> Tensor:
    """`num` new seeds for stateless draws from one."""
    bits = Source(key_from_seed(seed), [as_tensor(0, int64)]).bits((num, 2))
    return cast(bits, int32)


class Generator:
    """A stream of its own. Its state is a Variable, so it may be used inside compiled functions."""

    def __init__(self, copy_from: Generator | None = None, state: Any = None, alg: Any = None) -> None:
        if copy_from is not None:
            self._state = Variable(copy_from.state, trainable=False, name="random_state")
        elif state is not None:
            self._state = Variable(as_tensor(state, int64), trainable=False, name="random_state")
        else:
            self._state = new_state(fresh_key())

    @classmethod
    def from_seed(cls, seed: int, alg: Any = None) -> Generator:
        """The stream of a seed."""
        g = cls.__new__(cls)
        g._state = new_state(mixed(int(seed)))
        return g

    @classmethod
    def from_state(cls, state: Any, alg: Any = None) -> Generator:
        """The stream that goes on from a state."""
        return cls(state=state)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A stream that nobody can foresee."""
        return cls()

    @property
    def state(self) -> Variable:
        """The key and the counter, int64[2]."""
        return self._state

    @property
    def key(self) -> Tensor:
        """The key."""
        return self._state[0]  # type: ignore[no-any-return]

    def reset_from_seed(self, seed: int) -> None:
        """Restarts from a seed."""
        self._state.assign(np.array([mixed(int(seed)), 0], np.int64))

    def reset(self, state: Any) -> None:
        """Goes on from a state."""
        self._state.assign(state)

    def _draw(self, dims: tuple[Any, ...], streams: int = 1) -> Source:
        return Source(*advance(self._state, dims, streams))

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, name: Any = None
    ) -> Tensor:
        """As `pb.random.uniform`."""
        d, dims = as_dtype(dtype), shape_argument(shape)
        return _uniform(self._draw(dims), dims, minval, _high(d, maxval), d)

    def normal(self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: Any = None) -> Tensor:
        """As `pb.random.normal`."""
        d, dims = _float_dtype(dtype), shape_argument(shape)
        return _normal(self._draw(dims, 2), dims, mean, stddev, d)

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: Any = None
    ) -> Tensor:
        """As `pb.random.truncated_normal`."""
        d, dims = _float_dtype(dtype), shape_argument(shape)
        return _truncated(self._draw(dims), dims, mean, stddev, d)

    def make_seeds(self, count: int = 1) -> Tensor:
        """Seeds for stateless draws, of shape [2, count]."""
        return self._draw((2, count)).bits((2, count))

    def split(self, count: int = 1) -> list[Generator]:
        """New streams from this one."""
        keys = self._draw((count,)).bits((count,)).numpy()
        return [Generator(state=np.array([k, 0], np.int64)) for k in keys]


_default: dict[str, Generator] = {}


def get_global_generator() -> Generator:
    """The generator that is there from the start."""
    return _default.setdefault("generator", Generator()) if "generator" not in _default else _default["generator"]


def set_global_generator(generator: Generator) -> None:
    """Replaces it."""
    _default["generator"] = generator


__all__ = [
    "Generator", "categorical", "get_global_generator", "normal", "set_global_generator", "set_seed", "shuffle",
    "split",
    "stateless_categorical", "stateless_normal", "stateless_shuffle", "stateless_truncated_normal", "stateless_uniform",
    "truncated_normal", "uniform",
]  # fmt: skip
