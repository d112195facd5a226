"""Tensors, variables, tapes and the public ops: eager execution, and the door to a running trace."""

from . import tensor  # noqa: F401  (first: the modules of the runtime need it complete)
