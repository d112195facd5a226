"""pullback: eager and `pb.function`, in the code that TensorFlow runs too."""

from __future__ import annotations

from typing import Any

from tensorflow_style import Style

import pullback as pb


def version() -> str:
    return f"pullback {pb.__version__}"


def identity(f: Any) -> Any:
    return f


EAGER = Style(pb, identity)
VARIANTS = {
    "pullback": Style(pb, pb.function).everything(),
    "pullback eager": {"eager_op": EAGER.scalar_call, "eager_tape": EAGER.eager_tape, "digits_step": EAGER.digits_step},
}
