"""Softmax and the cross-entropies, each as one op with its own derivative.

They have no machine form: `expand` says how simpler ops make them, after differentiation, so that the traced IR stays
readable and the gradient is the short one (softmax - labels). The gradient of the dense cross-entropy is TensorFlow's,
which takes the labels of a row to add up to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .derive import Composite
from .errors import InvalidArgumentError
from .graph import Attrs, Block
from .infer import bad_shape, bad_type, check_axis, count, equal_shapes, kind, same_dtype
from .opdef import Needs, register
from .types import TensorType


class _AlongAxis(Composite):
    """Base of softmax and log_softmax: floats, the operand's type."""

    attrs = ("axis",)

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The operand's type."""
        count(self.name, types, 1)
        kind(self.name, types, "float")
        check_axis(self.name, types, attrs["axis"], types[0].rank)
        return (types[0],)


class Softmax(_AlongAxis):
    """exp(x) / sum(exp(x)) along an axis, without overflow."""

    name = "softmax"
    summary = "exp(x) / sum(exp(x)) along an axis"

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """With the maximum taken off first."""
        e = b.exp(xs[0] - b.reduce_max(xs[0], axes=(attrs["axis"],), keepdims=True))
        return e / _sum(b, e, attrs["axis"])

    def _apply(self, b: Any, attrs: Attrs, y: Any, g: Any) -> Any:
        """The Jacobian, which is symmetric, times g."""
        return (g - _sum(b, g * y, attrs["axis"])) * y

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """(t - sum(t * y)) * y."""
        return (None if ts[0] is None else self._apply(b, attrs, outs[0], ts[0]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """(g - sum(g * y)) * y."""
        return (None if cts[0] is None else self._apply(b, attrs, outs[0], cts[0]),)


class LogSoftmax(_AlongAxis):
    """x - log(sum(exp(x))) along an axis, without overflow."""

    name = "log_softmax"
    summary = "log of softmax along an axis"

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """With the maximum taken off first."""
        moved = xs[0] - b.reduce_max(xs[0], axes=(attrs["axis"],), keepdims=True)
        return moved - b.log(_sum(b, b.exp(moved), attrs["axis"]))

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """t - sum(softmax * t)."""
        if ts[0] is None:
            return (None,)
        return (ts[0] - _sum(b, b.exp(outs[0]) * ts[0], attrs["axis"]),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """g - softmax * sum(g)."""
        if cts[0] is None:
            return (None,)
        return (cts[0] - b.exp(outs[0]) * _sum(b, cts[0], attrs["axis"]),)


class SoftmaxCrossEntropy(Composite):
    """-sum(labels * log_softmax(logits)) over the last axis."""

    name = "softmax_cross_entropy"
    summary = "cross-entropy of labels (probabilities) and logits over the last axis"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The shape without the last axis."""
        count(self.name, types, 2)
        kind(self.name, types, "float")
        dtype = same_dtype(self.name, types)
        if not types[1].rank:
            bad_shape(self.name, types, "labels and logits need a last axis of classes")
        equal_shapes(self.name, types, types[0].shape, types[1].shape, "labels and logits must have one shape")
        return (TensorType(dtype, types[1].shape[:-1]),)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """By its definition."""
        last = len(b.shape(xs[1])) - 1
        return -b.reduce_sum(xs[0] * b.log_softmax(xs[1], axis=last), axes=(last,), keepdims=False)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """sum((softmax - labels) * t_logits - log_softmax * t_labels)."""
        (labels, logits), out = xs, None
        last = len(b.shape(logits)) - 1
        if ts[1] is not None:
            out = ts[1] * (b.softmax(logits, axis=last) - labels)
        if ts[0] is not None:
            part = ts[0] * b.log_softmax(logits, axis=last)
            out = -part if out is None else out - part
        return (None if out is None else b.reduce_sum(out, axes=(last,), keepdims=False),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """-g * log_softmax to the labels, g * (softmax - labels) to the logits."""
        (labels, logits), g = xs, cts[0]
        if g is None:
            return (None, None)
        shape = tuple(b.shape(logits))
        g = b.reshape(g, shape=(*shape[:-1], 1))
        last = len(shape) - 1
        to_labels = -(g * b.log_softmax(logits, axis=last)) if needs[0] else None
        return (to_labels, g * (b.softmax(logits, axis=last) - labels) if needs[1] else None)


class SparseSoftmaxCrossEntropy(Composite):
    """-log_softmax(logits)[label] over the last axis; labels are class numbers."""

    name = "sparse_softmax_cross_entropy"
    summary = "cross-entropy of labels (class numbers) and logits over the last axis"

    def infer(self, attrs: Attrs, types: Sequence[TensorType], regions: Sequence[Block] = ()) -> tuple[TensorType, ...]:
        """The labels' shape: that of the logits without the last axis."""
        count(self.name, types, 2)
        if types[0].dtype.short not in ("i32", "i64"):
            bad_type(self.name, types, "the labels must be int32 or int64: use pb.cast")
        kind(self.name, types[1:], "float")
        if not types[1].rank:
            bad_shape(self.name, types, "the logits need a last axis of classes")
        why = "the labels must have the shape of the logits without the last axis"
        equal_shapes(self.name, types, types[0].shape, types[1].shape[:-1], why)
        return (TensorType(types[1].dtype, types[1].shape[:-1]),)

    def eager(self, attrs: Attrs, *xs: Any) -> Any:
        """The expansion. Raises InvalidArgumentError for a label that is no class, as TensorFlow on CPU."""
        labels, classes = np.asarray(xs[0]), np.shape(xs[1])[-1]
        wrong = labels[(labels < 0) | (labels >= classes)]
        if wrong.size:
            raise InvalidArgumentError(
                f"{self.name}: Received a label value of {wrong.flat[0]} which is outside the valid range of "
                f"[0, {classes}). Label values: {' '.join(map(str, labels.ravel()[:16]))}"
            )
        return super().eager(attrs, *xs)

    def expand(self, b: Any, attrs: Attrs, xs: Sequence[Any]) -> Any:
        """log(sum(exp(logits - m))) - (logits[label] - m), m the maximum: the small difference is taken first."""
        (labels, logits), last = xs, len(b.shape(xs[1])) - 1
        m = b.reduce_max(logits, axes=(last,), keepdims=True)
        log = b.log(b.reduce_sum(b.exp(logits - m), axes=(last,), keepdims=False))
        chosen = b.gather(logits, labels, axis=last, batch_dims=last)
        return log - (chosen - b.reshape(m, shape=tuple(b.shape(logits))[:-1]))

    def _slope(self, b: Any, labels: Any, logits: Any) -> Any:
        """softmax - one_hot(labels)."""
        shape, dtype = tuple(b.shape(logits)), b.dtype(logits)
        last = len(shape) - 1
        on, off = b.const(1, dtype), b.const(0, dtype)
        return b.softmax(logits, axis=last) - b.one_hot(labels, on, off, depth=shape[-1], axis=last, dtype=dtype)

    def jvp(self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> Sequence[Any]:
        """sum((softmax - one_hot) * t)."""
        if ts[1] is None:
            return (None,)
        last = len(b.shape(xs[1])) - 1
        return (b.reduce_sum(self._slope(b, *xs) * ts[1], axes=(last,), keepdims=False),)

    def vjp(
        self, b: Any, attrs: Attrs, outs: Sequence[Any], xs: Sequence[Any], cts: Sequence[Any], needs: Needs
    ) -> Sequence[Any]:
        """g * (softmax - one_hot) to the logits."""
        if cts[0] is None:
            return (None, None)
        shape = tuple(b.shape(xs[1]))
        return (None, b.reshape(cts[0], shape=(*shape[:-1], 1)) * self._slope(b, *xs))


def _sum(b: Any, x: Any, axis: int) -> Any:
    return b.reduce_sum(x, axes=(axis,), keepdims=True)


for _op in (Softmax, LogSoftmax, SoftmaxCrossEntropy, SparseSoftmaxCrossEntropy):
    register(_op())
