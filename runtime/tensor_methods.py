"""NumPy's methods on plain Tensors inside of functions: `t.sum()`, `t.T`, `t.copy()`.

TensorFlow's Tensors have none, and so it is outside. Inside of a `pb.function` plain NumPy programs are handed Tensors
and Variables too, mostly to be differentiated by them. There the methods mean what NumPy's functions of the same names
mean for a Tensor: they give a Tensor of its dtype, never a view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arithmetic import identity
from .numpy_methods import NumpyMethods, invoke

_OWN: dict[str, Callable[..., Any]] = {
    "T": lambda t: invoke(np.transpose, t),
    "copy": lambda t: lambda order="C": identity(t),
    "flatten": lambda t: lambda order="C": invoke(np.reshape, t, (-1,)),
    "ravel": lambda t: lambda order="C": invoke(np.reshape, t, (-1,)),
    "reshape": lambda t: lambda *shape, **kw: invoke(np.reshape, t, shape if len(shape) > 1 else shape[0], **kw),
    "transpose": lambda t: lambda *axes: invoke(np.transpose, t, _order(axes)),
    "swapaxes": lambda t: lambda a, b: invoke(np.swapaxes, t, a, b),
}


def _order(axes: tuple[Any, ...]) -> Any:
    if not axes:
        return None
    return axes if len(axes) > 1 else axes[0]


def method_of(t: Any, name: str) -> Any:
    """The attribute that an array of NumPy's has by this name. Raises AttributeError when there is none."""
    own = _OWN.get(name)
    if own is not None:
        return own(t)
    found = None if name.startswith("__") else NumpyMethods.__dict__.get(name)
    if found is None:
        raise AttributeError(name)
    return found.__get__(t, type(t))
