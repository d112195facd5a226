"""`set_random_seed`: one call that makes a program repeatable."""

from __future__ import annotations

import random as python_random

import numpy as np

from .. import random
from .initializers import reset_generator


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy's global generator, ours, and the initializers of layers.

    Raises ValueError unless `seed` is an int from 0 to 2**32 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an int between 0 and 2**32 - 1, not {seed!r}.")
    python_random.seed(int(seed))
    np.random.seed(int(seed))
    random.set_seed(int(seed))
    reset_generator(int(seed))
