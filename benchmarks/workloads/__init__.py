"""What is measured, on which inputs, and what every framework must answer."""

from __future__ import annotations

from .arrays import ARRAYS
from .base import Array, Inputs, Size, Workload
from .calls import CALLS, EAGER
from .fitting import FITTING
from .loops import LOOPS
from .training import TRAINING

GROUPS = {
    "calls": "Calls",
    "eager": "Eager operations",
    "elementwise": "Elementwise",
    "training": "Training",
    "derivatives": "Derivatives of larger functions",
    "loops": "Loops",
    "shapes": "Changing sizes",
    "processes": "Fresh processes",
}
EVERY = [*CALLS, *EAGER, *ARRAYS, *TRAINING, *FITTING, *LOOPS]
WORKLOADS = sorted(EVERY, key=lambda w: list(GROUPS).index(w.group))

__all__ = ["GROUPS", "WORKLOADS", "Array", "Inputs", "Size", "Workload"]
