"""`pb.debugging`: assertions on tensors. They raise InvalidArgumentError with the values found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.opdef import get
from .arithmetic import abs as magnitude
from .arithmetic import equal, greater, greater_equal, less, less_equal, not_equal
from .convert import as_tensor, is_tensor
from .dispatch import apply
from .elementwise import operands
from .errors import InvalidArgumentError, fail
from .ops_math import is_finite
from .ops_reduce import reduce_all
from .tensor import Tensor


def Assert(condition: Any, data: Any, summarize: int | None = None, name: str | None = None) -> None:
    """Raises InvalidArgumentError unless the condition holds (for all elements), printing `data`."""
    c = as_tensor(condition)
    _demand(c if not c.ndim else reduce_all(c), "assertion failed", list(data), summarize)


def _demand(ok: Tensor, text: str, data: list[Any], summarize: int | None = 3) -> None:
    ts = [as_tensor(d) for d in data if not isinstance(d, (str, bytes))]
    words = [d if isinstance(d, str) else d.decode() for d in data if isinstance(d, (str, bytes))]
    message = ": ".join([text, *words])
    known = ok._constant_value()
    if known is None:
        apply(get("assert"), (ok, *ts), {"message": message, "summarize": 3 if summarize is None else summarize})
    elif not bool(known):
        shown = " ".join(str(t._data.tolist() if type(t) is Tensor else t) for t in ts)
        fail(InvalidArgumentError, f"{message} {shown}".rstrip())


def _comparison(name: str, test: Callable[[Any, Any], Tensor], sign: str) -> Callable[..., None]:
    def check(
        x: Any, y: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
    ) -> None:
        a, c = operands(check.__name__, x, y)
        text = (message + " " if message else "") + f"Condition x {sign} y did not hold element-wise"
        _demand(reduce_all(test(a, c)), text, [a, c], summarize)

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"Raises InvalidArgumentError unless x {sign} y holds for every element."
    return check


assert_equal = _comparison("assert_equal", equal, "==")
assert_none_equal = _comparison("assert_none_equal", not_equal, "!=")
assert_less = _comparison("assert_less", less, "<")
assert_less_equal = _comparison("assert_less_equal", less_equal, "<=")
assert_greater = _comparison("assert_greater", greater, ">")
assert_greater_equal = _comparison("assert_greater_equal", greater_equal, ">=")


def assert_positive(x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raises InvalidArgumentError unless every element is > 0."""
    assert_greater(x, as_tensor(0, as_tensor(x).dtype), message, summarize)


def assert_negative(x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raises InvalidArgumentError unless every element is < 0."""
    assert_less(x, as_tensor(0, as_tensor(x).dtype), message, summarize)


def assert_non_negative(
    x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
) -> None:
    """Raises InvalidArgumentError unless every element is >= 0."""
    assert_greater_equal(x, as_tensor(0, as_tensor(x).dtype), message, summarize)


def assert_non_positive(
    x: Any, message: str | None = None, summarize: int | None = None, name: str | None = None
) -> None:
    """Raises InvalidArgumentError unless every element is <= 0."""
    assert_less_equal(x, as_tensor(0, as_tensor(x).dtype), message, summarize)


def assert_near(
    x: Any, y: Any, rtol: Any = None, atol: Any = None, message: str | None = None, summarize: int | None = None,
    name: str | None = None,
) -> None:  # fmt: skip
    """Raises InvalidArgumentError unless |x - y| <= atol + rtol * |y|; both are ten times the epsilon by default."""
    import numpy as np

    a, c = operands("assert_near", x, y)
    eps = 10 * float(np.finfo(a.dtype.np).eps)
    r, t = as_tensor(eps if rtol is None else rtol, a.dtype), as_tensor(eps if atol is None else atol, a.dtype)
    text = (message + " " if message else "") + "x and y not equal to tolerance"
    _demand(reduce_all(less_equal(magnitude(a - c), t + r * magnitude(c))), text, [a, c], summarize)


def assert_all_finite(x: Any, message: str, name: str | None = None) -> Tensor:
    """The tensor itself. Raises InvalidArgumentError when it holds NaN or inf."""
    t = as_tensor(x)
    _demand(reduce_all(is_finite(t)), f"{message} : Tensor had NaN or Inf values", [t])
    return t


check_numerics = assert_all_finite


def assert_rank(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless the tensor has that many dimensions."""
    t = as_tensor(x)
    if t.ndim != int(rank):
        fail(ValueError, f"{message or ''} Tensor must have rank {int(rank)}. Received rank {t.ndim}, shape {t.shape}")


def assert_rank_at_least(x: Any, rank: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises ValueError unless the tensor has at least that many dimensions."""
    t = as_tensor(x)
    if t.ndim < int(rank):
        fail(
            ValueError,
            f"{message or ''} Tensor must have rank at least {int(rank)}. Received rank {t.ndim}, shape {t.shape}",
        )


def assert_shapes(
    shapes: Any, data: Any = None, summarize: Any = None, message: str | None = None, name: Any = None
) -> None:
    """Raises ValueError unless each (tensor, dims) pair fits; dims are numbers, None, or letters that must agree."""
    sizes: dict[str, Any] = {}
    for x, dims in shapes.items() if isinstance(shapes, dict) else shapes:
        t = as_tensor(x)
        if t.ndim != len(dims):
            fail(
                ValueError,
                f"{message or ''} Tensor must have rank {len(dims)}. Received rank {t.ndim}, shape {t.shape}",
            )
        for have, want in zip(t.type.shape, dims, strict=True):
            if isinstance(want, str) and not want.isdigit():
                want = sizes.setdefault(want, have)
            if want is not None and have != (int(want) if isinstance(want, str) else want):
                fail(
                    ValueError,
                    f"{message or ''} Specified shape {tuple(dims)} does not fit a tensor of shape {t.shape}",
                )


def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> None:
    """Raises TypeError unless the tensor has the dtype."""
    t = as_tensor(tensor)
    if t.dtype != tf_type:
        fail(TypeError, f"{message or ''} tensor must be of type {tf_type!r}; got {t.dtype!r}")


def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Tensor:
    """The tensor itself. Raises ValueError unless it is a scalar."""
    t = as_tensor(tensor)
    if t.ndim:
        fail(ValueError, f"{message or ''} Expected scalar shape, saw shape: {t.shape}.")
    return t


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers."""
    return bool(is_tensor(tensor) and tensor.dtype.is_numeric)


def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> Any:
    """The common floating dtype. Raises ValueError when the tensors differ or are no floats."""
    found = [as_tensor(t).dtype for t in tensors or []] + ([dtype] if dtype is not None else [])
    if any(d != found[0] or not d.is_floating for d in found):
        fail(ValueError, f"Expected one floating point type, got {[d.name for d in found]}")
    return found[0]
