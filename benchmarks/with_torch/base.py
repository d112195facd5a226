"""What the parts share: the three ways to get a value and gradients."""

from __future__ import annotations

from typing import Any

import torch
from timing import Bench
from workloads import Inputs


def tensors(i: Inputs, names: str = "", gradients: bool = False) -> list[Any]:
    return [torch.tensor(i[name], requires_grad=gradients) for name in names.split() or i]


def by_autograd(f: Any, arguments: list[Any]) -> Bench:
    """Forward, then `torch.autograd.grad`."""

    def call() -> Any:
        y = f(*arguments)
        return y, torch.autograd.grad(y, arguments)

    return Bench(call)


def by_function(f: Any, arguments: list[Any]) -> Bench:
    """`torch.func.grad_and_value`, compiled as a whole."""
    both = torch.compile(torch.func.grad_and_value(f, tuple(range(len(arguments)))))
    arguments = [a.detach() for a in arguments]

    def call() -> Any:
        gradients, value = both(*arguments)
        return value, gradients

    return Bench(call)


def ways(f: Any, arguments: list[Any], way: str) -> Bench:
    if way == "func":
        return by_function(f, arguments)
    return by_autograd(torch.compile(f) if way == "compile" else f, arguments)
