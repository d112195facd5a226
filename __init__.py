"""pullback: a differentiating compiler for Python on CPUs, with TensorFlow 2's programming model.

    import pullback as pb
"""

from .runtime.public import *  # noqa: F403
