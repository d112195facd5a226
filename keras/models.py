"""Models: a layer made of layers. `Sequential` chains them; a subclass of `Model` says in `call` how they connect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import Tensor, zeros
from .layer import Layer, Shape
from .layers import InputLayer


class Model(Layer):
    """Base of models: make layers in `__init__`, use them in `call(inputs)`."""

    @property
    def layers(self) -> list[Layer]:
        """The layers directly in this model, in the order of assignment."""
        return list(self.sublayers())

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Prints the layers with their numbers of parameters."""
        rows = [(layer.name, type(layer).__name__, f"{layer.count_params():,}") for layer in self.layers]
        rows = [("layer", "type", "parameters"), *rows, ("total", "", f"{self.count_params():,}")]
        widths = [max(len(row[k]) for row in rows) for k in range(3)]
        print_fn(f'Model: "{self.name}"')
        for name, kind, count in rows:
            print_fn(f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {count:>{widths[2]}}".rstrip())


class Sequential(Model):
    """Layers one after the other.

    Builds at once when the first layer knows its input shape (`keras.Input` or `input_shape=`), else on the first call.
    """

    def __init__(self, layers: Iterable[Layer] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._chain: list[Layer] = []
        for layer in layers or []:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Appends a layer. Raises TypeError for anything else."""
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential.add takes a keras Layer, not {layer!r}.")
        self._chain.append(layer)
        first = self._chain[0].input_shape_argument
        if self.built or first is not None:
            self.built = False
            if first is not None:
                self.build((None, *first))

    def pop(self) -> Layer:
        """Removes the last layer and returns it."""
        return self._chain.pop()

    @property
    def layers(self) -> list[Layer]:
        return [layer for layer in self._chain if not isinstance(layer, InputLayer)]

    def build(self, input_shape: Any = None) -> None:
        """Makes all weights for inputs of this shape; the batch axis may be None.

        Sizes are found by running the layers on a batch of zeros, which makes their weights on the way.
        """
        if input_shape is None:
            raise ValueError(f"{self.name} cannot be built without an input shape: give one, or call it on an input.")
        sizes: Shape = tuple(input_shape)
        if any(n is None for n in sizes[1:]):
            return                                   # only a real input can tell
        self.call(zeros([1 if n is None else n for n in sizes]), training=False)
        self.built = True

    def ensure_built(self, input_shape: Any) -> None:
        self.built = True                            # the layers build themselves as the call reaches them

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        outputs: Any = inputs
        for layer in self._chain:
            outputs = layer(outputs, training=training)
        return outputs  # type: ignore[no-any-return]
