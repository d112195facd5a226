"""Initial values of weights, drawn with NumPy when the weight is created.

Values are concrete also while a function is being traced, so a layer may create its weights on its first call inside
`@function`. Without a seed an initializer draws from the generator that `keras.utils.set_random_seed` sets; with one,
it gives the same values on every call, as in Keras 3.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = Sequence[int]

_generator = np.random.default_rng()


def reset_generator(seed: int) -> None:
    """Starts the shared generator of unseeded initializers anew. Called by `keras.utils.set_random_seed`."""
    global _generator
    _generator = np.random.default_rng(seed)


def compute_fans(shape: Shape) -> tuple[float, float]:
    """(fan in, fan out) of a weight: the last two axes are input and output features, any before them a window."""
    if len(shape) == 0:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    window = math.prod(shape[:-2])
    return float(shape[-2] * window), float(shape[-1] * window)


class Initializer:
    """Called with a shape and a dtype, gives an array. Subclasses implement `draw`."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise TypeError(f"seed must be an int or None, not {seed!r}.")
        self.seed = seed

    def __call__(self, shape: Any, dtype: Any = None) -> Array:
        rng = _generator if self.seed is None else np.random.default_rng(self.seed)
        return np.asarray(self.draw(tuple(int(n) for n in shape), rng), dtype=numpy_dtype(dtype))

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        raise NotImplementedError(f"{type(self).__name__} must define draw(shape, rng).")


def numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """NumPy's dtype for None (float32), a name, a NumPy dtype or one of ours."""
    return np.dtype(np.float32 if dtype is None else getattr(dtype, "as_numpy_dtype", dtype))


class Zeros(Initializer):
    """All 0."""

    def __init__(self) -> None:
        super().__init__()

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def __init__(self) -> None:
        super().__init__()

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """All `value`, a number or an array that broadcasts to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        super().__init__()
        self.value = value

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.broadcast_to(np.asarray(self.value), shape).copy()


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere. Raises ValueError for any other rank."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        if len(shape) != 2:
            raise ValueError(f"Identity initializes matrices only, not shape {shape}.")
        return self.gain * np.eye(*shape)


class RandomNormal(Initializer):
    """Normal with the given mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """Normal, drawn again until within two standard deviations of the mean."""

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.mean + self.stddev * truncated_normal(shape, rng)


def truncated_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    values = np.asarray(rng.standard_normal(shape))
    while np.any(outside := np.abs(values) > 2.0):
        values[outside] = rng.standard_normal(int(outside.sum()))
    return values


class RandomUniform(Initializer):
    """Uniform between `minval` and `maxval`."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.uniform(self.minval, self.maxval, shape)


class Orthogonal(Initializer):
    """`gain` times a random matrix with orthonormal rows or columns (Saxe et al. 2013); leading axes are flattened."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least two axes, not shape {shape}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diagonal(r))                  # makes the distribution uniform (Mezzadri 2007)
        values: Array = (q if rows >= columns else q.T).reshape(shape)
        return self.gain * values


# A normal cut at two standard deviations has this standard deviation.
TRUNCATED_STDDEV = 0.87962566103423978


class VarianceScaling(Initializer):
    """Variance `scale` / fan, fan being "fan_in", "fan_out" or their mean "fan_avg"."""

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None
    ) -> None:
        super().__init__(seed)
        if scale <= 0.0:
            raise ValueError(f"scale must be positive, not {scale}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode must be fan_in, fan_out or fan_avg, not {mode!r}.")
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            known = "truncated_normal, untruncated_normal or uniform"
            raise ValueError(f"distribution must be {known}, not {distribution!r}.")
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        fan_in, fan_out = compute_fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return rng.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return rng.normal(0.0, stddev, shape)
        return stddev / TRUNCATED_STDDEV * truncated_normal(shape, rng)


class GlorotUniform(VarianceScaling):
    """Uniform within sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "uniform", seed)


class GlorotNormal(VarianceScaling):
    """Truncated normal, variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)


class HeUniform(VarianceScaling):
    """Uniform within sqrt(6 / fan_in) (He et al. 2015)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "uniform", seed)


class HeNormal(VarianceScaling):
    """Truncated normal, variance 2 / fan_in (He et al. 2015)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal", seed)


class LecunUniform(VarianceScaling):
    """Uniform within sqrt(3 / fan_in) (LeCun et al. 1998)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "uniform", seed)


class LecunNormal(VarianceScaling):
    """Truncated normal, variance 1 / fan_in (LeCun et al. 1998)."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal", seed)


CLASSES = [
    Zeros, Ones, Constant, Identity, RandomNormal, TruncatedNormal, RandomUniform, Orthogonal, VarianceScaling,
    GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal,
]
BY_NAME: dict[str, Callable[[], Initializer]] = {
    name: c for c in CLASSES for name in (c.__name__, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", c.__name__).lower())
}


def get(identifier: Any) -> Callable[..., Any]:
    """The initializer called `identifier` ("glorot_uniform", "HeNormal"), an instance, class or function as one.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    if isinstance(identifier, str):
        if identifier not in BY_NAME:
            raise ValueError(f"Unknown initializer {identifier!r}. Known: {', '.join(sorted(BY_NAME))}.")
        return BY_NAME[identifier]()
    if inspect.isclass(identifier) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier  # type: ignore[no-any-return]
    raise TypeError(f"An initializer is a name, an Initializer or a function of (shape, dtype), not {identifier!r}.")
