"""The base of layers and models: weights made on the first call, found again through attributes.

A layer is built when it first sees an input: `build(input_shape)` makes its weights, `call(inputs)` computes. Assigning
a layer or a Variable to an attribute (also in a list, tuple or dict) makes its weights this layer's weights.
"""

from __future__ import annotations

import functools
import inspect
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .. import Tensor, Variable, convert_to_tensor, executing_eagerly
from .initializers import get as get_initializer
from .initializers import numpy_dtype

Shape = tuple[int | None, ...]

_names: dict[str, int] = {}


class CallContext(threading.local):
    """The `training` argument of the outermost layer being called, which inner layers inherit."""

    training: bool | None = None


_context = CallContext()


def unique_name(kind: str) -> str:
    """"dense", then "dense_1", "dense_2", ... for a class called Dense."""
    base = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
    count = _names.get(base, 0)
    _names[base] = count + 1
    return f"{base}_{count}" if count else base


def shape_of(inputs: Any) -> Any:
    """The shape tuple of a tensor, or the same structure of shapes for a list, tuple or dict of tensors."""
    if isinstance(inputs, dict):
        return {key: shape_of(value) for key, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return type(inputs)(shape_of(value) for value in inputs)
    return tuple(inputs.shape)


def as_tensors(inputs: Any, dtype: Any) -> Any:
    """Inputs as tensors; NumPy's and Python's floating numbers take the layer's dtype, tensors keep their own."""
    if isinstance(inputs, dict):
        return {key: as_tensors(value, dtype) for key, value in inputs.items()}
    if isinstance(inputs, (Tensor, Variable)):
        return inputs
    if isinstance(inputs, (list, tuple)) and any(isinstance(value, (Tensor, Variable)) for value in inputs):
        return type(inputs)(as_tensors(value, dtype) for value in inputs)
    tensor = convert_to_tensor(inputs)
    return convert_to_tensor(inputs, dtype=dtype) if numpy_dtype(tensor.dtype).kind == "f" else tensor


class Layer:
    """Base of layers. Subclasses define `build(input_shape)` and `call(inputs)`, which may take `training`.

    Args:
        trainable: whether the weights are among `trainable_variables`.
        dtype: of the weights; default float32.
        input_shape: without the batch axis; lets a Sequential model build at once.
    """

    def __init__(
        self,
        *,
        trainable: bool = True,
        dtype: Any = None,
        name: str | None = None,
        input_shape: tuple[int | None, ...] | None = None,
    ) -> None:
        self.name = name or unique_name(type(self).__name__)
        self.trainable = trainable
        self.dtype = dtype or "float32"
        self.input_shape_argument: Shape | None = None if input_shape is None else tuple(input_shape)
        self.built = False
        self._weights: list[Variable] = []

    def build(self, input_shape: Any) -> None:
        """Makes the weights with `add_weight`. The default makes none."""

    def call(self, inputs: Any) -> Any:
        """The layer's function."""
        raise NotImplementedError(f"{type(self).__name__} must define call(inputs).")

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> Variable:
        """A new Variable of this layer, filled by `initializer` (see `keras.initializers`)."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        value = get_initializer(initializer)(shape, dtype or self.dtype)
        variable = Variable(value, trainable=trainable, name=name or "variable")
        self._weights.append(variable)
        return variable

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if "_weights" not in vars(self):
            raise RuntimeError(f"{type(self).__name__}.__init__ must call super().__init__() before the layer is used.")
        inputs = as_tensors(inputs, self.dtype)
        self.ensure_built(shape_of(inputs))
        outer = _context.training
        given = kwargs.get("training")
        training = outer if given is None else given
        if takes_training(type(self).call):
            kwargs["training"] = training
        else:
            kwargs.pop("training", None)
        _context.training = training
        try:
            return self._control_flow_on_tensors()(inputs, *args, **kwargs)
        finally:
            _context.training = outer

    def _control_flow_on_tensors(self) -> Callable[..., Any]:
        """`call`; while a function is traced, in the form whose `if` and loops may depend on tensors."""
        if executing_eagerly():
            return self.call
        from .. import autograph

        rewritten: Callable[..., Any] = autograph.to_graph(self.call)
        return rewritten

    def ensure_built(self, input_shape: Any) -> None:
        if not self.built:
            self.build(input_shape)
            self.built = True

    # Weights, of this layer and of the layers in it.

    def sublayers(self) -> Iterator[Layer]:
        """The layers found in this layer's attributes, in the order of assignment, each once."""
        seen: set[int] = set()
        for value in vars(self).values():
            for item in found_in(value):
                if isinstance(item, Layer) and id(item) not in seen:
                    seen.add(id(item))
                    yield item

    def own_variables(self) -> list[Variable]:
        attributes = [item for value in vars(self).values() for item in found_in(value) if isinstance(item, Variable)]
        return list({id(v): v for v in [*self._weights, *attributes]}.values())

    @property
    def variables(self) -> list[Variable]:
        """All variables: this layer's own, then those of the layers in it."""
        every = [*self.own_variables(), *(v for layer in self.sublayers() for v in layer.variables)]
        return list({id(v): v for v in every}.values())

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that a training step should move; none when `trainable` is False."""
        if not self.trainable:
            return []
        own = [v for v in self.own_variables() if v.trainable]
        every = [*own, *(v for layer in self.sublayers() for v in layer.trainable_variables)]
        return list({id(v): v for v in every}.values())

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that are not in `trainable_variables`."""
        moved = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in moved]

    weights = variables
    trainable_weights = trainable_variables
    non_trainable_weights = non_trainable_variables

    def get_weights(self) -> list[Any]:
        """The values of all variables as NumPy arrays."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: list[Any]) -> None:
        """Assigns the arrays in the order of `variables`. Raises ValueError when counts or shapes differ."""
        variables = self.variables
        if len(weights) != len(variables):
            raise ValueError(f"{self.name} has {len(variables)} variables, but {len(weights)} arrays were given.")
        for variable, value in zip(variables, weights, strict=True):
            if tuple(variable.shape) != tuple(value.shape):
                raise ValueError(f"{variable.name} has shape {tuple(variable.shape)}, not {tuple(value.shape)}.")
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of entries of all variables."""
        return sum(int(v.numpy().size) for v in self.variables)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


@functools.cache
def takes_training(call: Callable[..., Any]) -> bool:
    """Whether a layer's `call` wants to know if it is training."""
    return "training" in inspect.signature(call).parameters


def found_in(value: Any) -> Iterator[Any]:
    """Layers and Variables in a value of an attribute: itself, or items of lists, tuples and dicts."""
    if isinstance(value, (Layer, Variable)):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from found_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from found_in(item)
