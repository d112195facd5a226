"""`pb.errors`: TensorFlow's names and numbers of errors, and how the runtime raises them.

The classes live in `ir/errors.py` because shape rules raise them; here are the rest of TensorFlow's list and the ones
that are several built-in kinds at once, so that whatever `except` clause fits TensorFlow fits here.
"""

from __future__ import annotations

from typing import NoReturn

from ..ir.errors import (
    AbortedError,
    FailedPreconditionError,
    IndexMismatch,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    OutOfRangeError,
    ResourceExhaustedError,
    ShapeMismatch,
    TypeMismatch,
    UnimplementedError,
)
from .location import at

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16


class CancelledError(OpError):
    """The operation was cancelled."""

    error_code = CANCELLED


class UnknownError(OpError):
    """No better kind is known."""

    error_code = UNKNOWN


class DeadlineExceededError(OpError):
    """The operation took too long."""

    error_code = DEADLINE_EXCEEDED


class AlreadyExistsError(OpError):
    """What was to be made exists."""

    error_code = ALREADY_EXISTS


class PermissionDeniedError(OpError):
    """The caller may not do this."""

    error_code = PERMISSION_DENIED


class UnavailableError(OpError):
    """Something needed is not there at present."""

    error_code = UNAVAILABLE


class DataLossError(OpError):
    """Data was lost or corrupted."""

    error_code = DATA_LOSS


class UnauthenticatedError(OpError):
    """The caller is not known."""

    error_code = UNAUTHENTICATED


class DtypeMismatch(TypeMismatch, ValueError):
    """A value of one dtype where another was asked for: TensorFlow raises TypeError or ValueError, by the place."""


class BadInteger(InvalidArgumentError, ValueError, OverflowError):
    """An integer that the dtype cannot hold."""


class OperatorNotAllowedInGraphError(TypeError):
    """Python asked a tensor for its value while a function is traced: `if t:`, `for x in t:`, `range(t)`."""


class InaccessibleTensorError(TypeError, ValueError):
    """A tensor of a finished (or another) trace was used: it was stored outside of the function that made it."""


def fail(kind: type[Exception], message: str) -> NoReturn:
    """Raises an error of the kind, with the user's line at the end of its text."""
    raise kind(message + at())


__all__ = [
    "ABORTED", "ALREADY_EXISTS", "CANCELLED", "DATA_LOSS", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION", "INTERNAL",
    "INVALID_ARGUMENT", "NOT_FOUND", "OK", "OUT_OF_RANGE", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED",
    "UNAVAILABLE", "UNIMPLEMENTED", "UNKNOWN", "AbortedError", "AlreadyExistsError", "BadInteger", "CancelledError",
    "DataLossError", "DeadlineExceededError", "DtypeMismatch", "FailedPreconditionError", "InaccessibleTensorError",
    "IndexMismatch", "InternalError", "InvalidArgumentError", "NotFoundError", "OpError",
    "OperatorNotAllowedInGraphError",     "OutOfRangeError", "PermissionDeniedError", "ResourceExhaustedError",
    "ShapeMismatch", "TypeMismatch", "UnauthenticatedError", "UnavailableError", "UnimplementedError", "UnknownError",
    "fail",
]  # fmt: skip
