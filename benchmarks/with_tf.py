"""TensorFlow 2: eager, `tf.function`, and `tf.function(jit_compile=True)` (XLA)."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow_style import Style


def version() -> str:
    return f"tensorflow {tf.__version__}"


def xla(f: Any) -> Any:
    return tf.function(f, jit_compile=True)


def identity(f: Any) -> Any:
    return f


EAGER = Style(tf, identity)
VARIANTS = {
    "tf.function": Style(tf, tf.function).everything(),
    "tf xla": Style(tf, xla).everything(),
    "tf eager": {"eager_op": EAGER.scalar_call, "eager_tape": EAGER.eager_tape, "digits_step": EAGER.digits_step},
}
