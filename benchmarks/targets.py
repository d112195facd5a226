"""What pullback is held to, row by row, and whether the measured rows reach it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from report import Results, human, ours
from workloads import Size

C, JAX, NUMBA, EAGER_TORCH = ("c",), ("jax",), ("numba",), ("torch eager",)
TORCH = ("torch eager", "torch nn", "torch compile", "torch func", "torch fused")
BY_HAND = ("c", "numpy", "numba")        # derivatives written by hand: not peers that differentiate
INTERPRETED = ("torch eager", "torch nn", "autograd")            # no peers where compiling is what is timed


@dataclass(frozen=True)
class Target:
    """At most `factor` times the best of `others`, plus `extra` seconds; without others, at most `extra`."""

    title: str
    name: str
    size: Size = 1
    factor: float = 1.0
    others: tuple[str, ...] = ()
    extra: float = 0.0
    threads: int = 1
    unit: str = "s"

    def text(self) -> str:
        if not self.others:
            return human(self.extra, self.unit)
        best = {C: "C", EAGER_TORCH: "torch", TORCH: "torch"}.get(self.others, self.others[0])
        return f"{self.factor:g} x {best}" + (f" + {human(self.extra)}" if self.extra else "")

    def bound(self, values: dict[str, float]) -> float | None:
        if not self.others:
            return self.extra
        found = [values[other] for other in self.others if other in values]
        return self.factor * min(found) + self.extra if found else None


def to_c(
    title: str, name: str, factor: float, sizes: Iterable[Size], extra: float = 0.0, threads: int = 1
) -> list[Target]:
    return [Target(f"{title} [{s}]", name, s, factor, C, extra, threads) for s in sizes]


TARGETS = [
    Target("compiled call, scalar tensor", "call_tensor", 1, 1.0, NUMBA),
    Target("compiled gradient call, Python float", "gradient_float", extra=0.15e-6),
    Target("compiled gradient call, ndarray", "gradient_ndarray", extra=0.2e-6),
    Target("call with 20 tensors", "call_tree20", 20, extra=2e-6),
    *(Target(f"{kind} {op}, 100-vector", f"{kind}_{op}", 100, 1.0, EAGER_TORCH)
      for kind in ("eager", "taped") for op in ("add", "mul", "sin")),
    Target("eager tape gradient of x*x*x", "tape_cube", 1, 0.5, EAGER_TORCH),
    Target("eager tape gradient of 20 operations", "tape_chain20", 1, 0.5, EAGER_TORCH),
    *to_c("elementwise", "elementwise", 1.2, (1_000, 100_000, 10_000_000)),
    *to_c("elementwise", "elementwise", 1.3, (100_000, 10_000_000), threads=2),
    *to_c("Black-Scholes", "black_scholes", 1.0, (1_000_000,)),
    *to_c("Black-Scholes", "black_scholes", 1.0, (1_000_000,), threads=2),
    *to_c("logistic regression", "logistic", 1.2, ("10000x100", "100000x20")),
    *to_c("MLP, SGD", "mlp_sgd", 1.1, (32, 256)),
    *to_c("MLP, Adam", "mlp_adam", 1.1, (32, 256)),
    *to_c("tiny MLP, SGD", "tiny_sgd", 1.5, (32,)),
    *to_c("tiny MLP, Adam", "tiny_adam", 1.5, (32,)),
    Target("digits step", "digits_step", 32, 0.5, JAX),
    *(target for what, size in (("value", 1000), ("gradient", 1000), ("hvp", 1000), ("hessian", 100))
      for target in to_c(f"Rosenbrock {what}", f"rosenbrock_{what}", 2.0, (size,), 0.1e-6)),
    *to_c("RNN", "rnn", 1.1, (100,)),
    Target("LSTM [100]", "lstm", 100, 0.8, TORCH),
    *to_c("heat", "heat", 1.5, ("1000x1000",)),
    *to_c("Allen-Cahn", "allen_cahn", 1.5, ("1000x1000",)),
    *to_c("element loops", "elements", 1.5, ("100x100", "1000x1000")),
    *to_c("SGD on a scalar", "descent", 1.5, (1000,)),
    *to_c("recurrence", "recurrence", 1.5, (1000, 100_000)),
    *to_c("Gaussian mixture", "mixture", 1.5, (1000,)),
    *to_c("bundle adjustment", "bundle", 1.5, (10_000,)),
    Target("fifty lengths, first pass", "first_fifty_lengths", extra=60e-3),
    Target("fifty lengths, later passes", "fifty_lengths", 50, extra=100e-6),
    Target("import", "import", extra=0.25),
    Target("first call: scalar gradient", "first_gradient_tensor", extra=10e-3),
    Target("first call: Black-Scholes", "first_black_scholes", extra=60e-3),
    Target("first call: MLP step", "first_mlp_sgd", extra=60e-3),
    Target("first call: LSTM gradient", "first_lstm", extra=120e-3),
    Target("installed size", "installed_size", extra=220.0, unit="MiB"),
]  # fmt: skip


def line(target: Target, values: dict[str, float]) -> str:
    mine, bound = ours(values), target.bound(values)
    others = BY_HAND + (INTERPRETED if target.name.startswith("first_") else ())
    peers = {n: v for n, v in values.items() if not n.startswith("pullback") and n not in others}
    best = min(peers, key=lambda n: peers[n], default=None)
    if mine is None:
        return f"| {target.title} | {target.text()} | not measured | - | - | - | - |"
    part = f"{mine / bound:.2f}" if bound else "-"
    met = "-" if bound is None else "yes" if mine <= bound else "**no**"
    peer = f"{best}: {peers[best] / mine:.3g}" if best else "-"
    c = f"{values['c'] / mine:.3g}" if "c" in values else "-"
    return f"| {target.title} | {target.text()} | {human(mine, target.unit)} | {part} | {met} | {peer} | {c} |"


def targets_table(results: Results) -> str:
    """Every target of this number of threads."""
    head = "| workload | at most | pullback | / target | met | best peer / pullback | C / pullback |"
    lines = [head, "|---|---:|---:|---:|---|---:|---:|"]
    lines += [line(t, results.values(t.name, t.size)) for t in TARGETS if t.threads == results.threads]
    note = "`best peer`: of those that differentiate; for first calls, that compile. Above 1, pullback is faster."
    return "\n".join([*lines, "", note])
