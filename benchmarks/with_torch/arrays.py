"""Elementwise functions, Rosenbrock's, and the two problems of ADBench."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from timing import Bench, Builder
from workloads import Inputs
from workloads.fitting import places, residuals

from .base import tensors, ways


def bump_sum(x: Any) -> Any:
    return torch.sum(torch.tanh(x) * torch.exp(-x * x) + torch.sin(x))


def elementwise(i: Inputs, way: str) -> Bench:
    return ways(bump_sum, tensors(i, gradients=True), way)


def fifty_lengths(i: Inputs, way: str) -> Bench:
    if way == "func":
        f, xs = torch.compile(torch.func.grad(bump_sum)), tensors(i)
        return Bench(lambda: [f(x) for x in xs])
    xs = tensors(i, gradients=True)
    return Bench(lambda: [torch.autograd.grad(bump_sum(x), x)[0] for x in xs])


def black_scholes(i: Inputs, way: str) -> Bench:
    def normal(d: Any) -> Any:
        return 0.5 * (1.0 + torch.erf(d * 0.7071067811865476))

    def total(s: Any, k: Any, t: Any, r: Any, v: Any) -> Any:
        root = torch.sqrt(t)
        d1 = (torch.log(s / k) + (r + 0.5 * v * v) * t) / (v * root)
        return torch.sum(s * normal(d1) - k * torch.exp(-r * t) * normal(d1 - v * root))

    return ways(total, tensors(i, gradients=True), way)


def rosenbrock(x: Any) -> Any:
    return torch.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_value(i: Inputs, way: str) -> Bench:
    return Bench(torch.compile(rosenbrock) if way != "eager" else rosenbrock, (torch.tensor(i["x"]),))


def rosenbrock_gradient(i: Inputs, way: str) -> Bench:
    return ways(rosenbrock, tensors(i, "x", gradients=True), way)


def rosenbrock_hvp(i: Inputs, way: str) -> Bench:
    x, v = tensors(i)
    if way == "func":
        f = torch.compile(lambda x, v: torch.func.jvp(torch.func.grad(rosenbrock), (x,), (v,))[1])
        return Bench(f, (x, v))
    x.requires_grad_()

    def call() -> Any:
        (g,) = torch.autograd.grad(rosenbrock(x), x, create_graph=True)
        return torch.autograd.grad(g, x, v)[0]

    return Bench(call)


def rosenbrock_hessian(i: Inputs, way: str) -> Bench:
    f = torch.func.hessian(rosenbrock)
    return Bench(torch.compile(f) if way == "func" else f, (torch.tensor(i["x"]),))


def mixture(i: Inputs, way: str) -> Bench:
    where, x = torch.tensor(places()), torch.tensor(i["x"])

    def likelihood(alphas: Any, means: Any, logs: Any, lower: Any) -> Any:
        scale = torch.exp(logs)
        triangle = torch.nn.functional.pad(lower, (0, 1))[:, where]
        centred = x[:, None, :] - means
        q = scale * centred + torch.einsum("kab,nkb->nka", triangle, centred)
        main = alphas + logs.sum(1) - 0.5 * (q * q).sum(2)
        each = torch.logsumexp(main, 1).sum() - len(x) * torch.logsumexp(alphas, 0)
        return each + 0.5 * ((scale * scale).sum() + (lower * lower).sum())

    return ways(likelihood, tensors(i, "alphas means logs lower", gradients=True), way)


def bundle(i: Inputs, way: str) -> Bench:
    p, feature = tensors(i)
    if way == "func":
        def one(p: Any, feature: Any) -> Any:
            r = torch.stack(residuals(p, feature, torch))
            return r, r

        f = torch.compile(torch.func.vmap(torch.func.jacrev(one, has_aux=True)))
        return Bench(lambda: f(p, feature)[::-1])
    p.requires_grad_()

    def columns(p: Any) -> Any:
        return residuals(p.unbind(1), feature.unbind(1), torch)

    rows, one_each = torch.compile(columns) if way == "compile" else columns, torch.ones(len(p), dtype=torch.float64)

    def call() -> Any:
        r = rows(p)
        (first,) = torch.autograd.grad(r[0], p, one_each, retain_graph=True)
        (second,) = torch.autograd.grad(r[1], p, one_each)
        return torch.stack(r, 1), torch.stack([first, second], 1)

    return Bench(call)


ALL = {
    "elementwise": elementwise, "black_scholes": black_scholes, "rosenbrock_gradient": rosenbrock_gradient,
    "mixture": mixture, "bundle": bundle,
}  # fmt: skip
ONCE = {
    "fifty_lengths": fifty_lengths, "rosenbrock_value": rosenbrock_value, "rosenbrock_hvp": rosenbrock_hvp,
    "rosenbrock_hessian": rosenbrock_hessian,
}  # fmt: skip
EAGER: dict[str, Builder] = {name: partial(f, way="eager") for name, f in {**ALL, **ONCE}.items()}
EAGER["eager_tape"] = EAGER["elementwise"]
COMPILED: dict[str, Builder] = {name: partial(f, way="compile") for name, f in ALL.items()}
FUNCTIONAL: dict[str, Builder] = {name: partial(f, way="func") for name, f in {**ALL, **ONCE}.items()}
