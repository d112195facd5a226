"""The layers."""

from __future__ import annotations

import math
from typing import Any

from .. import Tensor, cast, gather, random, reshape, shape, tensordot, where, zeros_like
from . import activations
from .layer import Layer, Shape

__all__ = ["Activation", "Dense", "Dropout", "Embedding", "Flatten", "Input", "InputLayer", "Layer", "Reshape"]


def leading(inputs: Tensor) -> int | Tensor:
    """The size of the batch axis: an int when it is known while tracing, else a scalar tensor."""
    size = inputs.shape[0]
    return shape(inputs)[0] if size is None else int(size)


class InputLayer(Layer):
    """Says the shape of a Sequential model's input, without the batch axis. Made by `Input(shape)`."""

    def __init__(self, shape: Any, dtype: Any = None, name: str | None = None) -> None:
        super().__init__(dtype=dtype, name=name, input_shape=tuple(shape))

    def call(self, inputs: Tensor) -> Tensor:
        return inputs


def Input(shape: Any, dtype: Any = None, name: str | None = None) -> InputLayer:
    """The first entry of a Sequential model: its input's shape without the batch axis."""
    return InputLayer(shape, dtype, name)


class Dense(Layer):
    """activation(inputs @ kernel + bias), over the last axis of inputs of two or more axes.

    Weights: kernel [features, units] and, with `use_bias`, bias [units]. Raises ValueError for inputs of fewer axes and
    for a last axis of another size than the first input's.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(units, bool) or not isinstance(units, int) or units <= 0:
            raise ValueError(f"units must be a positive integer, not {units!r}.")
        self.units, self.use_bias = units, use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1] if input_shape else None
        if features is None:
            raise ValueError(f"The last axis of {self.name}'s inputs must have a known size, not {input_shape}.")
        self.kernel = self.add_weight((int(features), self.units), self.kernel_initializer, name="kernel")
        self.bias = self.add_weight((self.units,), self.bias_initializer, name="bias") if self.use_bias else None

    def ensure_built(self, input_shape: Any) -> None:
        if len(input_shape) < 2:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected min_ndim=2, '
                f"found ndim={len(input_shape)}. Full shape received: {input_shape}"
            )
        super().ensure_built(input_shape)
        features = self.kernel.shape[0]
        if input_shape[-1] is not None and int(input_shape[-1]) != features:
            raise ValueError(
                f'Input 0 of layer "{self.name}" is incompatible with the layer: expected axis -1 of input shape to '
                f"have value {features}, but received input with shape {input_shape}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        y = inputs @ self.kernel if len(inputs.shape) == 2 else tensordot(inputs, self.kernel, 1)
        return self.activation(y if self.bias is None else y + self.bias)


class Activation(Layer):
    """An activation function as a layer."""

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs)


class Flatten(Layer):
    """All axes after the first as one."""

    def call(self, inputs: Tensor) -> Tensor:
        features = list(inputs.shape)[1:]
        if any(n is None for n in features):
            return reshape(inputs, [leading(inputs), -1])
        return reshape(inputs, [leading(inputs), math.prod(int(n) for n in features)])


class Reshape(Layer):
    """Each example as `target_shape`, one of whose sizes may be -1."""

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape: tuple[int, ...] = tuple(target_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return reshape(inputs, [leading(inputs), *self.target_shape])


class Dropout(Layer):
    """When `training`, sets each entry to 0 with probability `rate` and scales the others by 1 / (1 - rate)."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"rate must be between 0 and 1, not {rate!r}.")
        self.rate, self.seed = rate, seed

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0.0:
            return inputs
        if self.rate == 1.0:
            return zeros_like(inputs)
        sizes = list(inputs.shape)
        drawn = random.uniform(shape(inputs) if None in sizes else sizes, dtype=inputs.dtype, seed=self.seed)
        return where(drawn >= self.rate, inputs / (1.0 - self.rate), zeros_like(inputs))


class Embedding(Layer):
    """Rows of a table [input_dim, output_dim], chosen by integer inputs."""

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "uniform", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.input_dim, self.output_dim = input_dim, output_dim
        uniform = embeddings_initializer == "uniform"        # Keras's own short name for it
        self.embeddings_initializer = "random_uniform" if uniform else embeddings_initializer

    def build(self, input_shape: Shape) -> None:
        size = (self.input_dim, self.output_dim)
        self.embeddings = self.add_weight(size, self.embeddings_initializer, name="embeddings")

    def call(self, inputs: Tensor) -> Tensor:
        return gather(self.embeddings, inputs if inputs.dtype.is_integer else cast(inputs, "int32"))
