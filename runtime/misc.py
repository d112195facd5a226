"""Small public functions that fit nowhere else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..ir.dtypes import float64
from .context import name_scope as _name_scope
from .convert import as_tensor, constant_value
from .elementwise import tracing
from .errors import fail
from .tensor import Array, Tensor

__version__ = "0.1.0"


class PhysicalDevice(NamedTuple):
    """A device as TensorFlow's `config` describes it. There is one: the CPU."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The CPU, or nothing when another type is asked for."""
    return [PhysicalDevice("/physical_device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


class LogicalDevice(NamedTuple):
    """A device that ops can be placed on. There is one: the CPU."""

    name: str
    device_type: str


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The CPU, or nothing when another type is asked for."""
    return [LogicalDevice("/device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Does nothing: everything runs on the CPU."""


@contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Does nothing: everything runs on the CPU."""
    yield


class name_scope:
    """Prefixes the names of variables made in its `with` block; gives the prefix."""

    def __init__(self, name: str | None = None, default_name: str | None = None, values: Any = None) -> None:
        if not isinstance(name, str):
            fail(ValueError, f"name for name_scope must be a string, got {name!r}")
        self.name = name
        self._scopes: list[Any] = []

    def __enter__(self) -> str:
        self._scopes.append(_name_scope(self.name))
        return str(self._scopes[-1].__enter__())

    def __exit__(self, *exc: Any) -> None:
        self._scopes.pop().__exit__(*exc)


def get_static_value(tensor: Any, partial: bool = False) -> Array | None:
    """The value as an array where it is known without running anything, else None."""
    value = constant_value(tensor)
    return None if value is None or (value.dtype == object and tracing()) else np.array(value)


def timestamp(name: str | None = None) -> Tensor:
    """The seconds since 1970, as a float64."""
    return as_tensor(time.time(), float64)


def identity_n(input: Any, name: str | None = None) -> list[Tensor]:
    """New tensors of the same values."""
    from .arithmetic import identity

    return [identity(x) for x in input]


def is_symbolic_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of a function that is being traced."""
    return isinstance(tensor, Tensor) and type(tensor) is not Tensor and not hasattr(tensor, "_variable")


def enable_eager_execution(*args: Any, **kwargs: Any) -> None:
    """Does nothing: execution is eager already."""


enable_v2_behavior = enable_eager_execution
