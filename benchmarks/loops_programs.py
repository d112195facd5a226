"""The loops of `loops.py` as pullback programs, as a user writes them, each with its value and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pullback as pb
from pullback.runtime.indexing import write_item

Program = Callable[..., Any]

A, R = 0.2, 0.01


def put(a: Any, key: Any, value: Any) -> Any:
    """`a` with `a[key] = value`."""
    return write_item(a, key, value)


def with_gradient(f: Program) -> Program:
    """A function that gives the value and the derivative by the argument."""

    @pb.function
    def value_and_gradient(x: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return y, tape.gradient(y, x)

    return cast(Program, value_and_gradient)


def sgd(n: int, fp_contract: bool = False) -> Program:
    def train(x: Any, a: Any, b: Any) -> Any:
        for _ in pb.range(n):
            with pb.GradientTape() as tape:
                tape.watch(x)
                y = a * x * x + b * x
            x = x - 0.01 * tape.gradient(y, x)
        return x

    return cast(Program, pb.function(train, fp_contract=fp_contract))


def recurrence(n: int) -> Program:
    h = 2.0 / n

    @pb.function
    def run(x: Any, c: Any) -> Any:
        with pb.GradientTape() as tape:
            tape.watch([x, c])
            y = x
            for _ in pb.range(n):
                y = y + h * (1.01 * pb.sin(y) + c)
        return y, tape.gradient(y, [x, c])

    return cast(Program, run)


def writes(n: int) -> Program:
    def f(x: Any) -> Any:
        a = put(pb.zeros([n], x.dtype), 0, x[0])
        for i in pb.range(1, n):
            a = put(a, i, a[i - 1] * 0.9 + pb.sin(x[i]))
        return pb.reduce_sum(a)

    return f


def rows(n: int) -> Program:
    def f(x: Any) -> Any:
        p = put(pb.zeros([n, 10], x.dtype), 0, x[0])
        for i in pb.range(1, n):
            p = put(p, i, p[i - 1] * 0.99 + x[i])
        return 0.5 * pb.reduce_sum(p * p)

    return f


def energy(u: Any) -> Any:
    return 0.5 * pb.reduce_sum(u * u)


def heat(n: int, steps: int) -> Program:
    def f(u: Any) -> Any:
        for _ in pb.range(steps):
            u = put(u, slice(1, -1), u[1:-1] + A * (u[:-2] - 2.0 * u[1:-1] + u[2:]))
        return energy(u)

    return f


def heat_concat(n: int, steps: int) -> Program:
    def f(u: Any) -> Any:
        for _ in pb.range(steps):
            u = pb.concat([u[:1], u[1:-1] + A * (u[:-2] - 2.0 * u[1:-1] + u[2:]), u[-1:]], 0)
        return energy(u)

    return f


def allen_cahn(n: int, steps: int) -> Program:
    def f(u: Any) -> Any:
        for _ in pb.range(steps):
            c = u[1:-1]
            u = put(u, slice(1, -1), c + A * (u[:-2] - 2.0 * c + u[2:]) + R * (c - c * c * c))
        return energy(u)

    return f


def allen_cahn_concat(n: int, steps: int) -> Program:
    def f(u: Any) -> Any:
        for _ in pb.range(steps):
            c = u[1:-1]
            u = pb.concat([u[:1], c + A * (u[:-2] - 2.0 * c + u[2:]) + R * (c - c * c * c), u[-1:]], 0)
        return energy(u)

    return f


def allen_cahn_elements(n: int, steps: int) -> Program:
    """As one writes it in C: two arrays, a loop over the steps, a loop over the elements."""

    def f(u: Any) -> Any:
        for _ in pb.range(steps):
            p = u
            for i in pb.range(1, n - 1):
                v = u[i]
                p = put(p, i, v + A * (u[i - 1] - 2.0 * v + u[i + 1]) + R * (v - v * v * v))
            u = p
        return energy(u)

    return f
