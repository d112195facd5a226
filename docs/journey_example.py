"""The function that docs/from-python-to-machine-code.md follows."""

import pullback as pb


@pb.function
def loss(x, k):
    y = pb.tanh(k * x)
    return pb.reduce_sum(y * y)
