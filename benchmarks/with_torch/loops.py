"""Loops: Python's, over eager operations or over a compiled step; and `nn.RNN` and `nn.LSTM`."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timing import Bench, Builder, only, slow
from workloads import Inputs
from workloads.loops import BATCH, DIFFUSION, FEATURES, HIDDEN, RATE, REACTION

from .base import by_autograd, tensors, ways


def rnn_cell(z: Any, c: Any) -> tuple[Any, Any]:
    return torch.tanh(z), c


def lstm_cell(z: Any, c: Any) -> tuple[Any, Any]:
    gi, gf, gg, go = z.chunk(4, 1)
    c = torch.sigmoid(gf) * c + torch.sigmoid(gi) * torch.tanh(gg)
    return torch.sigmoid(go) * torch.tanh(c), c


def recurrent(i: Inputs, cell: Any, way: str) -> Bench:
    x = torch.tensor(i["x"])

    def loss(w: Any, u: Any, b: Any) -> Any:
        h = c = torch.zeros(BATCH, HIDDEN)
        hs = []
        for row in x.unbind(0):
            h, c = cell(row @ w + h @ u + b, c)
            hs.append(h)
        return torch.mean(torch.stack(hs) ** 2)

    return ways(loss, tensors(i, "w u b", gradients=True), way)


def module(i: Inputs, kind: Any) -> Bench:
    """The layer with the same weights; its gates come in the same order."""
    net, x = kind(FEATURES, HIDDEN), torch.tensor(i["x"])
    weights = [net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0]
    with torch.no_grad():
        for parameter, value in zip(weights, (i["w"].T, i["u"].T, i["b"]), strict=True):
            parameter.copy_(torch.tensor(value))
        net.bias_hh_l0.zero_()

    def call() -> Any:
        hs, _ = net(x)
        loss = torch.mean(hs * hs)
        return loss, torch.autograd.grad(loss, weights)

    def result() -> Any:
        loss, (by_w, by_u, by_b) = call()
        return loss, by_w.T, by_u.T, by_b

    return Bench(call, result=result)


def descent(i: Inputs, way: str) -> Bench:
    start, a, b = tensors(i, "x a b")
    steps = int(i["steps"])

    def eager_step(x: Any) -> Any:
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(a * x * x + b * x, x)
        return x.detach() - RATE * slope

    def step(x: Any) -> Any:
        return x - RATE * torch.func.grad(lambda x: a * x * x + b * x)(x)

    one = torch.compile(step) if way == "compile" else eager_step

    def call() -> Any:
        x = start
        for _ in range(steps):
            x = one(x)
        return x

    return Bench(call)


def repeated(i: Inputs, step: Any, names: str, way: str, last: Any) -> Bench:
    """`steps` times a step, eager or compiled, then the gradient by all arguments."""
    steps, one = int(i["steps"]), torch.compile(step) if way == "compile" else step

    def value(x: Any, *rest: Any) -> Any:
        for _ in range(steps):
            x = one(x, *rest)
        return last(x)

    return by_autograd(value, tensors(i, names, gradients=True))


def recurrence(i: Inputs, way: str) -> Bench:
    h = 2.0 / int(i["steps"])
    return repeated(i, lambda x, c: x + h * (1.01 * torch.sin(x) + c), "x c", way, lambda x: x)


def energy(u: Any) -> Any:
    return 0.5 * torch.sum(u * u)


def time_steps(i: Inputs, way: str, reaction: float) -> Bench:
    def step(u: Any) -> Any:
        c = u[1:-1]
        inside = c + DIFFUSION * (u[:-2] - 2.0 * c + u[2:])
        if reaction:
            inside = inside + reaction * (c - c * c * c)
        return torch.cat([u[:1], inside, u[-1:]])

    return repeated(i, step, "u", way, energy)


def elements(i: Inputs) -> Bench:
    def step(u: Any) -> Any:
        new = u.clone()
        for k in range(1, len(u) - 1):
            v = u[k]
            new[k] = v + DIFFUSION * (u[k - 1] - 2.0 * v + u[k + 1]) + REACTION * (v - v * v * v)
        return new

    return repeated(i, step, "u", "eager", energy)


def builders(way: str) -> dict[str, Builder]:
    return {
        "descent": partial(descent, way=way),
        "recurrence": only(partial(recurrence, way=way), 1000),
        "heat": partial(time_steps, way=way, reaction=0.0),
        "allen_cahn": partial(time_steps, way=way, reaction=REACTION),
    }


CELLS = {"rnn": rnn_cell, "lstm": lstm_cell}
EAGER: dict[str, Builder] = {
    **builders("eager"),
    **{name: partial(recurrent, cell=cell, way="eager") for name, cell in CELLS.items()},
    "elements": slow(only(elements, "100x100")),
}
COMPILED: dict[str, Builder] = {
    **builders("compile"),
    **{name: slow(partial(recurrent, cell=cell, way="compile")) for name, cell in CELLS.items()},
}
MODULES: dict[str, Builder] = {
    "rnn": partial(module, kind=torch.nn.RNN),
    "lstm": partial(module, kind=torch.nn.LSTM),
}
