"""Layers, models, optimizers, losses and metrics with Keras 3's names, written on pullback's public face alone.

It is ordinary user code, and a good place to read how to write your own.
"""

from . import activations, initializers, layers, losses, metrics, models, optimizers, utils
from .layers import Input, InputLayer, Layer
from .models import Model, Sequential

__all__ = [
    "Input", "InputLayer", "Layer", "Model", "Sequential", "activations", "initializers", "layers", "losses", "metrics",
    "models", "optimizers", "utils",
]
