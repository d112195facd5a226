"""Logistic regression and train steps with `torch.optim`; and as one compiled function of parameters and state."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from timing import Bench, Builder
from workloads import Inputs
from workloads.training import BETA1, BETA2, DIGITS_RATE, EPSILON, RATES, changes, parameters

from .base import tensors, ways


def logistic(i: Inputs, way: str) -> Bench:
    x, y = tensors(i, "x y")

    def loss(w: Any, b: Any) -> Any:
        return F.binary_cross_entropy_with_logits(x @ w + b, y)

    return ways(loss, tensors(i, "w b", gradients=True), way)


def cross_entropy(p: list[Any], x: Any, y: Any) -> Any:
    h = x
    for w, b in zip(p[:-2:2], p[1:-2:2], strict=True):
        h = torch.relu(torch.addmm(b, h, w))
    return F.cross_entropy(torch.addmm(p[-1], h, p[-2]), y)


def squares(p: list[Any], x: Any, y: Any) -> Any:
    h = torch.tanh(torch.addmm(p[1], x, p[0]))
    h = torch.tanh(torch.addmm(p[3], h, p[2]))
    return F.mse_loss(torch.addmm(p[5], h, p[4]), y)


def optimizer_of(rule: str, p: list[Any], rate: float, fused: bool) -> torch.optim.Optimizer:
    """PyTorch adds epsilon to the corrected root, Keras to the plain one: the same for the first step with this one."""
    if rule == "sgd":
        return torch.optim.SGD(p, rate, fused=fused)
    return torch.optim.Adam(p, rate, betas=(BETA1, BETA2), eps=EPSILON / (1 - BETA2) ** 0.5, fused=fused)


class Trainer:
    """Parameters and a `torch.optim` optimizer; `way` compiled: loss and optimizer step are."""

    def __init__(self, i: Inputs, loss: Any, rule: str, rate: float, way: str) -> None:
        self.i, self.start = i, [torch.tensor(q) for q in parameters(i)]
        self.p = [q.clone().requires_grad_() for q in self.start]
        self.optimizer = optimizer_of(rule, self.p, rate, way == "fused")
        self.loss, self.update = loss, self.optimizer.step
        if way == "compile":
            self.loss, self.update = torch.compile(loss), torch.compile(lambda: self.optimizer.step())

    def reset(self) -> None:
        with torch.no_grad():
            for q, value in zip(self.p, self.start, strict=True):
                q.copy_(value)
            for state in self.optimizer.state.values():
                for buffer in state.values():
                    if buffer is not None:
                        buffer.zero_()

    def step(self, x: Any, y: Any) -> Any:
        loss = self.loss(self.p, x, y)
        loss.backward()
        self.update()
        self.optimizer.zero_grad()
        return loss


class FunctionalTrainer:
    """Loss, gradients and update as one compiled function from parameters and state to the next."""

    def __init__(self, i: Inputs, loss: Any, rule: str, rate: float) -> None:
        self.i, self.start = i, [torch.tensor(q) for q in parameters(i)]
        both = torch.func.grad_and_value(loss)

        def step(p: list[Any], m: list[Any], v: list[Any], alpha: Any, x: Any, y: Any) -> Any:
            grads, value = both(p, x, y)
            if rule == "sgd":
                return value, [q - rate * g for q, g in zip(p, grads, strict=True)], m, v
            m = [a + (g - a) * (1 - BETA1) for a, g in zip(m, grads, strict=True)]
            v = [a + (g * g - a) * (1 - BETA2) for a, g in zip(v, grads, strict=True)]
            p = [q - alpha * a / (torch.sqrt(b) + EPSILON) for q, a, b in zip(p, m, v, strict=True)]
            return value, p, m, v

        self.compiled, self.rate = torch.compile(step), rate
        self.reset()

    def reset(self) -> None:
        self.p, self.count = [q.clone() for q in self.start], 0
        self.m, self.v = ([torch.zeros_like(q) for q in self.p] for _ in range(2))

    def step(self, x: Any, y: Any) -> Any:
        self.count += 1
        alpha = torch.tensor(self.rate * (1 - BETA2**self.count) ** 0.5 / (1 - BETA1**self.count))
        loss, self.p, self.m, self.v = self.compiled(self.p, self.m, self.v, alpha, x, y)
        return loss


def batch_of(i: Inputs) -> tuple[Any, Any]:
    x, y = tensors(i, "x y")
    return x, y if y.is_floating_point() else y.long()


def one_step(i: Inputs, loss: Any, rule: str, way: str) -> Bench:
    rate = RATES[rule]
    trainer: Any = FunctionalTrainer(i, loss, rule, rate) if way == "func" else Trainer(i, loss, rule, rate, way)

    def result() -> list[Any]:
        trainer.reset()
        return [trainer.step(x, y), *changes(i, [q.detach().numpy() for q in trainer.p], rate)]

    x, y = batch_of(i)
    return Bench(trainer.step, (x, y), 1, result, trainer.reset)


def digits_step(i: Inputs, way: str) -> Bench:
    args = (i, cross_entropy, "adam", DIGITS_RATE)
    trainer: Any = FunctionalTrainer(*args) if way == "func" else Trainer(*args, way)
    xs, ys = batch_of(i)
    batches = list(zip(xs, ys, strict=True))

    def epoch() -> Any:
        for x, y in batches:
            loss = trainer.step(x, y)
        return loss

    def result() -> list[Any]:
        trainer.reset()
        return [epoch(), *trainer.p]

    return Bench(epoch, (), len(batches), result, trainer.reset)


def builders(way: str) -> dict[str, Builder]:
    steps: dict[str, Builder] = {
        f"{kind}_{rule}": partial(one_step, loss=loss, rule=rule, way=way)
        for kind, loss in (("mlp", cross_entropy), ("tiny", squares))
        for rule in RATES
    }
    return {**steps, "digits_step": partial(digits_step, way=way)}


EAGER = {"logistic": partial(logistic, way="eager"), **builders("eager")}
COMPILED = {"logistic": partial(logistic, way="compile"), **builders("compile")}
FUNCTIONAL = {"logistic": partial(logistic, way="func"), **builders("func")}
FUSED = builders("fused")
