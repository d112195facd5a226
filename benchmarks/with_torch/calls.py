"""Calls of compiled functions, and eager operations."""

from __future__ import annotations

from typing import Any

import torch
from timing import Bench, Builder
from workloads import Inputs
from workloads.calls import MANY


def square(x: Any) -> Any:
    return x * x


def cube(x: Any) -> Any:
    return x * x * x


def chain20(x: Any) -> Any:
    y = x
    for _ in range(6):
        y = torch.sin(y) * x + x
    return torch.sin(y) * x


def argument(kind: str, i: Inputs) -> tuple[Any, Any]:
    """What is given to a call, and what makes a tensor of it."""
    if kind == "tensor":
        return torch.tensor(i["x"]), None
    return (float(i["x"]), torch.tensor) if kind == "float" else (i["x"], torch.from_numpy)


def call_of(kind: str, f: Any, compile_it: bool) -> Builder:
    def build(i: Inputs) -> Bench:
        g = torch.compile(f) if compile_it else f
        x, convert = argument(kind, i)
        return Bench(g if convert is None else lambda x: g(convert(x)), (x,))

    return build


def gradient_of(kind: str, compile_it: bool) -> Builder:
    def build(i: Inputs) -> Bench:
        f = torch.compile(square) if compile_it else square
        x, convert = argument(kind, i)
        if convert is None:
            x.requires_grad_()
            return Bench(lambda x: torch.autograd.grad(f(x), x)[0], (x,))

        def call(given: Any) -> Any:
            x = convert(given).requires_grad_()
            return torch.autograd.grad(f(x), x)[0]

        return Bench(call, (x,))

    return build


def tree(compile_it: bool) -> Builder:
    def doubled(xs: list[Any]) -> list[Any]:
        return [2.0 * x for x in xs]

    return lambda i: Bench(torch.compile(doubled) if compile_it else doubled, ([torch.tensor(x) for x in i["x"]],))


def many(f: Any) -> Builder:
    def call(x: Any) -> Any:
        for _ in range(MANY):
            y = f(x)
        return y

    return lambda i: Bench(call, (torch.tensor(i["x"]),), MANY)


def taped(f: Any) -> Builder:
    def call(x: Any) -> Any:
        y = x
        for _ in range(MANY):
            y = f(y, x)
        return y

    return lambda i: Bench(call, (torch.tensor(i["x"], requires_grad=True),), MANY)


def gradient(f: Any) -> Builder:
    def build(i: Inputs) -> Bench:
        x = torch.tensor(i["x"], requires_grad=True)
        one = torch.ones_like(x)
        return Bench(lambda x: torch.autograd.grad(f(x), x, one)[0], (x,))

    return build


KINDS = ("tensor", "float", "ndarray")
COMPILED: dict[str, Builder] = {
    **{f"call_{kind}": call_of(kind, square, True) for kind in KINDS},
    **{f"gradient_{kind}": gradient_of(kind, True) for kind in KINDS},
    "call_tree20": tree(True),
}
FUNCTIONAL: dict[str, Builder] = {f"gradient_{kind}": call_of(kind, torch.func.grad(square), True) for kind in KINDS}
EAGER: dict[str, Builder] = {
    **{f"call_{kind}": call_of(kind, square, False) for kind in KINDS},
    **{f"gradient_{kind}": gradient_of(kind, False) for kind in KINDS},
    "call_tree20": tree(False),
    "eager_add": many(lambda x: x + x), "eager_mul": many(lambda x: x * x), "eager_sin": many(torch.sin),
    "taped_add": taped(lambda y, x: y + x), "taped_mul": taped(lambda y, x: y * x),
    "taped_sin": taped(lambda y, x: torch.sin(y)),
    "tape_cube": gradient(cube), "tape_chain20": gradient(chain20),
}  # fmt: skip
