"""Some programs in C, forward only: what gcc -O3 -march=native makes of the same algorithm, element by element.

No fast-math: sums and products are in the order that the text gives. exp and tanh are the C library's.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .base import Inputs

FLAGS = [
    "-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno", "-fopenmp-simd", "-fPIC", "-shared",
    "-std=gnu11",
]  # fmt: skip

SOURCE = r"""
#include <math.h>
#include <stdlib.h>
#include <string.h>
typedef double real;

static real squares(const real *a, long n) {
  real s = 0;
  #pragma omp simd reduction(+:s)
  for (long i = 0; i < n; i++) s += a[i] * a[i];
  return s;
}

real jacobi_1d(const real *a0, int steps, int n) {
  real *restrict a = malloc(n * sizeof(real)), *restrict b = malloc(n * sizeof(real));
  memcpy(a, a0, n * sizeof(real)); memcpy(b, a0, n * sizeof(real));
  for (int t = 0; t < steps; t++) {
    for (int i = 1; i < n - 1; i++) b[i] = (a[i-1] + a[i] + a[i+1]) / 3;
    for (int i = 1; i < n - 1; i++) a[i] = (b[i-1] + b[i] + b[i+1]) / 3;
  }
  real s = squares(a, n);
  free(a); free(b);
  return s;
}

static void cross(const real *restrict a, real *restrict b, int n) {
  for (long i = 1; i < n - 1; i++)
    for (long j = 1; j < n - 1; j++)
      b[i*n+j] = (real)0.2 * (a[i*n+j] + a[i*n+j-1] + a[i*n+j+1] + a[(i+1)*n+j] + a[(i-1)*n+j]);
}

real jacobi_2d(const real *a0, int steps, int n) {
  size_t bytes = (size_t)n * n * sizeof(real);
  real *a = malloc(bytes), *b = malloc(bytes);
  memcpy(a, a0, bytes); memcpy(b, a0, bytes);
  for (int t = 0; t < steps; t++) { cross(a, b, n); cross(b, a, n); }
  real s = squares(a, (long)n * n);
  free(a); free(b);
  return s;
}

real heat_3d(const real *u0, const real *kp, int steps, int n) {
  size_t bytes = (size_t)n * n * n * sizeof(real);
  real *a = malloc(bytes), *b = malloc(bytes), k = *kp;
  memcpy(a, u0, bytes); memcpy(b, u0, bytes);
  const long N = n, M = N * N;
  for (int t = 0; t < steps; t++) {
    for (long x = 1; x < n - 1; x++)
      for (long y = 1; y < n - 1; y++) {
        const real *restrict u = a + x*M + y*N;
        real *restrict w = b + x*M + y*N;
        for (long z = 1; z < n - 1; z++)
          w[z] = u[z] + k * (u[z+M] - 2 * u[z] + u[z-M]) + k * (u[z+N] - 2 * u[z] + u[z-N])
                 + k * (u[z+1] - 2 * u[z] + u[z-1]);
      }
    real *w = a; a = b; b = w;
  }
  real s = squares(a, M * N);
  free(a); free(b);
  return s;
}

real seidel_2d(const real *a0, int steps, int n) {
  size_t bytes = (size_t)n * n * sizeof(real);
  real *a = malloc(bytes);
  memcpy(a, a0, bytes);
  for (int t = 0; t < steps; t++)
    for (long i = 1; i < n - 1; i++)
      for (long j = 1; j < n - 1; j++) {
        real *p = a + i*n + j;
        *p = (p[-n-1] + p[-n] + p[-n+1] + p[-1] + p[0] + p[1] + p[n-1] + p[n] + p[n+1]) / 9;
      }
  real s = squares(a, (long)n * n);
  free(a);
  return s;
}

real lu(const real *a0, int n) {
  size_t bytes = (size_t)n * n * sizeof(real);
  real *a = malloc(bytes), s = 0;
  memcpy(a, a0, bytes);
  for (long k = 0; k < n - 1; k++)
    for (long i = k + 1; i < n; i++) {
      const real *restrict u = a + k*n;
      real *restrict row = a + i*n, f = row[k] / u[k];
      row[k] = f;
      for (long j = k + 1; j < n; j++) row[j] -= f * u[j];
    }
  for (long k = 0; k < n; k++) s += log(fabs(a[k*n+k]));
  free(a);
  return s;
}

real cholesky(const real *a, const real *w, int n) {
  real *l = calloc((size_t)n * n, sizeof(real)), total = 0;
  for (long i = 0; i < n; i++)
    for (long j = 0; j <= i; j++) {
      real s = 0;
      #pragma omp simd reduction(+:s)
      for (long k = 0; k < j; k++) s += l[i*n+k] * l[j*n+k];
      l[i*n+j] = i == j ? sqrt(a[i*n+i] - s) : (a[i*n+j] - s) / l[j*n+j];
    }
  for (long k = 0; k < (long)n * n; k++) total += w[k] * l[k];
  free(l);
  return total;
}

real shortest_paths(const real *d0, const real *w, int n) {
  size_t bytes = (size_t)n * n * sizeof(real);
  real *d = malloc(bytes), total = 0;
  memcpy(d, d0, bytes);
  for (long k = 0; k < n; k++)
    for (long i = 0; i < n; i++) {
      real via = d[i*n+k];
      const real *from = d + k*n;
      real *row = d + i*n;
      #pragma omp simd
      for (long j = 0; j < n; j++) { real c = via + from[j]; row[j] = row[j] < c ? row[j] : c; }
    }
  for (long k = 0; k < (long)n * n; k++) total += w[k] * d[k];
  free(d);
  return total;
}

static void attract(const real *x, const real *m, real *a, int n) {
  for (int i = 0; i < n; i++) {
    real p = 0, q = 0, r = 0;
    for (int j = 0; j < n; j++) {
      real dx = x[3*j] - x[3*i], dy = x[3*j+1] - x[3*i+1], dz = x[3*j+2] - x[3*i+2];
      real d = dx*dx + dy*dy + dz*dz + 0.01, f = m[j] / (d * sqrt(d));
      p += dx * f; q += dy * f; r += dz * f;
    }
    a[3*i] = p; a[3*i+1] = q; a[3*i+2] = r;
  }
}

real nbody(const real *x0, const real *v0, const real *m, const real *dtp, int steps, int n) {
  size_t bytes = 3 * (size_t)n * sizeof(real);
  real *x = malloc(bytes), *v = malloc(bytes), *a = malloc(bytes), dt = *dtp, s = 0;
  memcpy(x, x0, bytes); memcpy(v, v0, bytes);
  attract(x, m, a, n);
  for (int t = 0; t < steps; t++) {
    for (int i = 0; i < 3 * n; i++) { v[i] += 0.5 * dt * a[i]; x[i] += dt * v[i]; }
    attract(x, m, a, n);
    for (int i = 0; i < 3 * n; i++) v[i] += 0.5 * dt * a[i];
  }
  for (int i = 0; i < 3 * n; i++) s += x[i] * x[i] + x[i] * v[i];
  free(x); free(v); free(a);
  return s;
}

real kepler(const real *mean, const real *ep, int n) {
  real e = *ep, s = 0;
  for (int i = 0; i < n; i++) {
    real x = mean[i] + e * sin(mean[i]), step = 1;
    while (fabs(step) > 1e-10) {
      step = (x - e * sin(x) - mean[i]) / (1 - e * cos(x));
      x -= step;
    }
    s += sin(x);
  }
  return s;
}

static real sigmoid(real x) { return 1 / (1 + exp(-x)); }

/* row-major c[m, n] += a[m, k] b[k, n] */
static void product(const real *a, const real *b, real *c, int m, int k, int n) {
  for (long i = 0; i < m; i++)
    for (long l = 0; l < k; l++) {
      real f = a[i*k+l];
      const real *restrict row = b + l*n;
      real *restrict out = c + i*n;
      for (long j = 0; j < n; j++) out[j] += f * row[j];
    }
}

real lstm(const real *xs, const real *w, const real *u, const real *b, const real *target,
          int time, int batch, int features, int units) {
  int n = units, wide = 4 * units;
  real *h = calloc((size_t)batch * n, sizeof(real)), *c = calloc((size_t)batch * n, sizeof(real));
  real *z = malloc((size_t)batch * wide * sizeof(real)), s = 0;
  for (int t = 0; t < time; t++) {
    for (long r = 0; r < batch; r++) memcpy(z + r*wide, b, wide * sizeof(real));
    product(xs + (size_t)t * batch * features, w, z, batch, features, wide);
    product(h, u, z, batch, n, wide);
    for (long r = 0; r < batch; r++)
      for (long j = 0; j < n; j++) {
        real *g = z + r*wide + j, *cell = c + r*n + j;
        *cell = sigmoid(g[n]) * *cell + sigmoid(g[0]) * tanh(g[2*n]);
        real y = sigmoid(g[3*n]) * tanh(*cell);
        h[r*n+j] = y;
        real d = y - target[((size_t)t * batch + r) * n + j];
        s += d * d;
      }
  }
  free(h); free(c); free(z);
  return s / ((real)time * batch * n);
}

real escape(const real *cx, const real *cy, int limit, int nx, int ny) {
  real total = 0;
  for (int i = 0; i < ny; i++)
    for (int j = 0; j < nx; j++) {
      real x = 0, y = 0;
      int k = 0;
      while (k < limit && x*x + y*y < 1e4) { real p = x*x - y*y + cx[j]; y = 2*x*y + cy[i]; x = p; k++; }
      if (k < limit) total += k - log(log(x*x + y*y)) / log(2.0);
    }
  return total;
}
"""


def sizes(name: str, inputs: Inputs) -> list[int]:
    """What the C function is told of the arrays' sizes, after the inputs."""
    if name == "lstm":
        return [*inputs["xs"].shape, inputs["u"].shape[0]]
    if name == "escape":
        return [len(inputs["cx"]), len(inputs["cy"])]
    return [len(next(iter(inputs.values())))]


def compile_source(folder: Path) -> Any:
    """The library of all of them. Raises FileNotFoundError without gcc."""
    (folder / "programs.c").write_text(SOURCE)
    subprocess.run(["gcc", *FLAGS, "programs.c", "-o", "programs.so", "-lm"], check=True, cwd=folder)
    return ctypes.CDLL(str(folder / "programs.so"))


def gcc_version() -> str:
    done = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def names() -> list[str]:
    """The programs that are there."""
    lines = (line for line in SOURCE.splitlines() if line.startswith("real "))
    return [line[5 : line.index("(")] for line in lines]


def bind(library: Any, name: str, inputs: Inputs) -> Callable[[], float]:
    """A call of a program with fixed inputs, which it keeps alive."""
    f = getattr(library, name)
    f.restype = ctypes.c_double
    arrays = [np.ascontiguousarray(v, np.float64) if isinstance(v, np.ndarray) else v for v in inputs.values()]
    given = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_int(a) for a in arrays]
    given += [ctypes.c_int(n) for n in sizes(name, inputs)]

    def call(keep: Any = arrays) -> float:
        return float(f(*given))

    return call
