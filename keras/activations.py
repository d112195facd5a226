"""Activation functions, and `get`, which turns what a layer was given (a name, a function, None) into one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import Tensor, abs, clip_by_value, convert_to_tensor, exp, maximum, minimum, nn, sigmoid, tanh, where

Activation = Callable[[Tensor], Tensor]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805      # Klambauer et al. 2017, equation 14


def linear(x: Any) -> Tensor:
    """x itself."""
    return convert_to_tensor(x)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """max(x, 0); below `threshold` it is negative_slope * (x - threshold), above `max_value` it is max_value."""
    x = convert_to_tensor(x)
    if negative_slope == 0.0 and threshold == 0.0:
        y = nn.relu(x)
    else:
        y = where(x >= threshold, x, negative_slope * (x - threshold))
    return y if max_value is None else minimum(y, max_value)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x where positive, negative_slope * x elsewhere."""
    return relu(x, negative_slope=negative_slope)


def relu6(x: Any) -> Tensor:
    """min(max(x, 0), 6)."""
    return relu(x, max_value=6.0)


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """x where positive, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2015)."""
    x = convert_to_tensor(x)
    y: Tensor = nn.elu(x)
    return y if alpha == 1.0 else where(x > 0.0, y, alpha * y)


def selu(x: Any) -> Tensor:
    """The self-normalising elu: SELU_SCALE * elu(x, SELU_ALPHA)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def softplus(x: Any) -> Tensor:
    """log(1 + exp(x)), without overflow."""
    y: Tensor = nn.softplus(convert_to_tensor(x))
    return y


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    t = convert_to_tensor(x)
    return t / (1.0 + abs(t))


def exponential(x: Any) -> Tensor:
    """exp(x)."""
    return exp(convert_to_tensor(x))


def silu(x: Any) -> Tensor:
    """x * sigmoid(x), also called swish."""
    t = convert_to_tensor(x)
    return t * sigmoid(t)


def mish(x: Any) -> Tensor:
    """x * tanh(softplus(x)) (Misra 2019)."""
    t = convert_to_tensor(x)
    return t * tanh(nn.softplus(t))


def hard_sigmoid(x: Any) -> Tensor:
    """x / 6 + 1/2, kept between 0 and 1."""
    return clip_by_value(convert_to_tensor(x) / 6.0 + 0.5, 0.0, 1.0)


def hard_tanh(x: Any) -> Tensor:
    """x, kept between -1 and 1."""
    return maximum(minimum(convert_to_tensor(x), 1.0), -1.0)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) normalised to sum 1 along `axis`."""
    y: Tensor = nn.softmax(convert_to_tensor(x), axis=axis)
    return y


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """log(softmax(x)) along `axis`, computed without cancellation."""
    y: Tensor = nn.log_softmax(convert_to_tensor(x), axis=axis)
    return y


swish = silu

BY_NAME: dict[str, Activation] = {
    f.__name__: f
    for f in (
        linear, relu, leaky_relu, relu6, elu, selu, softplus, softsign, exponential, silu, mish, hard_sigmoid,
        hard_tanh, softmax, log_softmax, sigmoid, tanh,
    )
} | {"swish": silu}


def get(identifier: str | Activation | None) -> Activation:
    """The activation called `identifier`, a function unchanged, or `linear` for None.

    Raises ValueError for an unknown name and TypeError for anything else.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in BY_NAME:
            raise ValueError(f"Unknown activation {identifier!r}. Known: {', '.join(sorted(BY_NAME))}.")
        return BY_NAME[identifier]
    if callable(identifier):
        return identifier
    raise TypeError(f"An activation is a name, a function or None, not {identifier!r}.")
