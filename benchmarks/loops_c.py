"""The loops of `loops.py` in C, with hand-written gradients: what a careful person gets from gcc -O3 -march=native.

One source for both dtypes: `real` is float or double. No fast-math: the sums are told to be reductions one by one,
and sin and cos are those of the C library. The gradients are those that one would write by hand: linear loops keep no
states. gcc fuses products and sums into one instruction with one rounding, which pullback does not do to what a user
wrote; the `strict` build does not either.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno", "-fopenmp-simd", "-fPIC", "-shared",
         "-std=gnu11"]  # fmt: skip

SOURCE = r"""
#include <math.h>
#include <string.h>
#define A ((real)0.2)
#define R ((real)0.01)
#define SUM _Pragma("omp simd reduction(+:E)")
#define SWAP { real *w = a; a = b; b = w; }

real sgd(real x, real a, real b, int n) {
  for (int k = 0; k < n; k++) x = x - (real)0.01 * (2 * a * x + b);
  return x;
}

/* x += h * (1.01 sin x + c); out: x, dx/dx0, dx/dc. t: n states. */
void recurrence(real x, real c, int n, real *t, real *out) {
  real h = 2 / (real)n, xb = 1, cb = 0;
  for (int k = 0; k < n; k++) { t[k] = x; x = x + h * ((real)1.01 * SIN(x) + c); }
  for (int k = n - 1; k >= 0; k--) { cb += h * xb; xb = xb + xb * h * (real)1.01 * COS(t[k]); }
  out[0] = x; out[1] = xb; out[2] = cb;
}

/* a[i] = c * a[i-1] + sin(x[i]); value: sum of a. */
real writes(const real *x, real *a, real c, int n) {
  a[0] = x[0];
  for (int i = 1; i < n; i++) a[i] = a[i-1] * c + SIN(x[i]);
  real E = 0; SUM for (int i = 0; i < n; i++) E += a[i];
  return E;
}
real writes_grad(const real *x, real *g, real *a, real c, int n) {
  real E = writes(x, a, c, n), s = 0;
  for (int i = n - 1; i > 0; i--) { s = 1 + c * s; g[i] = s * COS(x[i]); }
  g[0] = 1 + c * s;
  return E;
}

/* p[i] = p[i-1] * 0.99 + x[i] for the rows of n x 10 arrays; value: half the sum of squares of p. */
real rows(const real *x, real *p, int n) {
  memcpy(p, x, 10 * sizeof(real));
  for (int i = 1; i < n; i++) for (int j = 0; j < 10; j++) p[10*i+j] = p[10*(i-1)+j] * (real)0.99 + x[10*i+j];
  real E = 0; SUM for (int i = 0; i < 10 * n; i++) E += p[i] * p[i];
  return E / 2;
}
real rows_grad(const real *x, real *g, real *p, int n) {
  real E = rows(x, p, n);
  memcpy(g + 10 * (n - 1), p + 10 * (n - 1), 10 * sizeof(real));
  for (int i = n - 2; i >= 0; i--) for (int j = 0; j < 10; j++) g[10*i+j] = p[10*i+j] + (real)0.99 * g[10*(i+1)+j];
  return E;
}

/* linear: no states are kept. */
real heat(const real *u0, real *g, real *restrict a, real *restrict b, int n, int S) {
  memcpy(a, u0, n * sizeof(real)); b[0] = u0[0]; b[n-1] = u0[n-1];
  for (int t = 0; t < S; t++) {
    real *restrict p = b; const real *restrict q = a;
    for (int i = 1; i < n - 1; i++) p[i] = q[i] + A * (q[i-1] - 2 * q[i] + q[i+1]);
    SWAP
  }
  real E = 0; SUM for (int i = 0; i < n; i++) E += a[i] * a[i];
  for (int t = 0; t < S; t++) {
    real *restrict p = b; const real *restrict q = a;
    for (int i = 2; i < n - 2; i++) p[i] = q[i] + A * (q[i-1] - 2 * q[i] + q[i+1]);
    p[0] = q[0] + A * q[1]; p[1] = q[1] + A * (-2 * q[1] + q[2]);
    p[n-1] = q[n-1] + A * q[n-2]; p[n-2] = q[n-2] + A * (-2 * q[n-2] + q[n-3]);
    SWAP
  }
  memcpy(g, a, n * sizeof(real));
  return E / 2;
}

/* tp: S + 1 states of n. */
real allen_cahn(const real *u0, real *g, real *tp, real *restrict a, real *restrict b, int n, int S) {
  memcpy(tp, u0, n * sizeof(real));
  for (int t = 0; t < S; t++) {
    const real *restrict q = tp + (long)t * n; real *restrict p = tp + (long)(t + 1) * n;
    p[0] = q[0]; p[n-1] = q[n-1];
    for (int i = 1; i < n - 1; i++) p[i] = q[i] + A * (q[i-1] - 2 * q[i] + q[i+1]) + R * (q[i] - q[i] * q[i] * q[i]);
  }
  const real *u = tp + (long)S * n;
  real E = 0; SUM for (int i = 0; i < n; i++) E += u[i] * u[i];
  memcpy(a, u, n * sizeof(real));
  for (int t = S - 1; t >= 0; t--) {
    const real *restrict q = a, *restrict v = tp + (long)t * n; real *restrict p = b;
    for (int i = 2; i < n - 2; i++) p[i] = q[i] * (1 + R - 2 * A - 3 * R * v[i] * v[i]) + A * (q[i-1] + q[i+1]);
    p[0] = q[0] + A * q[1]; p[1] = q[1] * (1 + R - 2 * A - 3 * R * v[1] * v[1]) + A * q[2];
    p[n-1] = q[n-1] + A * q[n-2]; p[n-2] = q[n-2] * (1 + R - 2 * A - 3 * R * v[n-2] * v[n-2]) + A * q[n-3];
    SWAP
  }
  memcpy(g, a, n * sizeof(real));
  return E / 2;
}
"""


@cache
def library(dtype: str, strict: bool = False) -> Any:
    """The compiled source for "f32" or "f64"; `strict` rounds each operation. FileNotFoundError without gcc."""
    real, s = ("float", "f") if dtype == "f32" else ("double", "")
    text = f"#define real {real}\n#define SIN sin{s}\n#define COS cos{s}\n" + SOURCE
    folder = Path(tempfile.mkdtemp(prefix="pullback-loops-"))
    (folder / "loops.c").write_text(text)
    flags = [*FLAGS, "-ffp-contract=off"] if strict else FLAGS
    subprocess.run(["gcc", *flags, "loops.c", "-o", "loops.so", "-lm"], check=True, cwd=folder)
    return ctypes.CDLL(str(folder / "loops.so"))


class Bound:
    """A C function with fixed arguments: arrays (kept alive), ints, floats. Call it, or its `strict` build."""

    def __init__(self, name: str, dtype: str, *args: Any, result: bool = True) -> None:
        real = ctypes.c_float if dtype == "f32" else ctypes.c_double
        self._keep = args
        self._args = [
            ctypes.c_void_p(a.ctypes.data)
            if isinstance(a, np.ndarray)
            else ctypes.c_int(a) if isinstance(a, int) else real(a)
            for a in args
        ]  # fmt: skip
        self._functions = [getattr(library(dtype, strict), name) for strict in (False, True)]
        for f in self._functions:
            f.restype = real if result else None

    def __call__(self) -> Any:
        return self._functions[0](*self._args)

    def strict(self) -> Any:
        """The same, with every operation rounded on its own."""
        return self._functions[1](*self._args)
