"""The errors that users see, with TensorFlow's names, and the ones that are of two kinds.

TensorFlow raises InvalidArgumentError for a wrong shape or dtype in eager mode, but ValueError or TypeError inside a
`tf.function`. Here one class is both, so that either `except` clause catches it in either mode.
"""

from __future__ import annotations

import numpy as np


class OpError(Exception):
    """Base of the errors that an operation raises.

    Attributes:
      message: the text. error_code: TensorFlow's number of the kind. op: the IR operation, if any. node_def: None.
    """

    error_code = 2

    def __init__(self, *args: object) -> None:
        # TensorFlow's constructor is (node_def, op, message); a plain message is accepted too.
        super().__init__(str(args[-1]) if args else "")
        self.message = str(args[-1]) if args else ""
        self.op: object | None = None
        self.node_def: object | None = None


class InvalidArgumentError(OpError):
    """An argument has a value, a shape or a dtype that the operation cannot take."""

    error_code = 3


class NotFoundError(OpError):
    """Something asked for by name does not exist."""

    error_code = 5


class FailedPreconditionError(OpError):
    """The state does not allow the operation, such as a variable that was never given a value."""

    error_code = 9


class OutOfRangeError(OpError):
    """An index or an iterator went past its end."""

    error_code = 11


class UnimplementedError(OpError):
    """The operation exists, but not for what was given."""

    error_code = 12


class ResourceExhaustedError(OpError):
    """Memory ran out."""

    error_code = 8


class InternalError(OpError):
    """A defect of pullback itself; please report it with the text of the error."""

    error_code = 13


class AbortedError(OpError):
    """The operation was given up."""

    error_code = 10


class ShapeMismatch(InvalidArgumentError, ValueError):
    """Shapes that do not fit together: InvalidArgumentError (TensorFlow, eager) and ValueError (traced) in one."""


class TypeMismatch(InvalidArgumentError, TypeError):
    """Dtypes that do not fit together: InvalidArgumentError (TensorFlow, eager) and TypeError (traced) in one."""


class IndexMismatch(InvalidArgumentError, IndexError, ValueError):
    """An index that the tensor does not have; also an IndexError, as Python users expect, and a ValueError, as in
    TensorFlow's traced code."""


class SingularMatrix(InvalidArgumentError, np.linalg.LinAlgError):
    """A matrix without an inverse: InvalidArgumentError (TensorFlow) and LinAlgError, a ValueError (NumPy), in one."""


class FailedAssertion(InvalidArgumentError, AssertionError):
    """A condition is false that a program asserts: InvalidArgumentError (TensorFlow) and AssertionError in one."""


class VerifyError(Exception):
    """The IR breaks one of its own rules; the text shows the function with a caret under the op."""


class ParseError(Exception):
    """Text that is not IR; the text of the error shows the line with a caret under the place."""
