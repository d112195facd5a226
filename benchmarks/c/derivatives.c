/* Rosenbrock's function with all its derivatives, a mixture of Gaussians, and the Jacobians of bundle adjustment. */
#include "common.h"

float rosenbrock_value(const float *restrict x, long n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (long k = 0; k < n - 1; k++) {
    float a = x[k + 1] - x[k] * x[k], b = 1 - x[k];
    sum += 100 * a * a + b * b;
  }
  return sum;
}

float rosenbrock_gradient(const float *restrict x, float *restrict g, long n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (long k = 0; k < n - 1; k++) {
    float a = x[k + 1] - x[k] * x[k], b = 1 - x[k];
    sum += 100 * a * a + b * b;
    g[k] = -400 * x[k] * a - 2 * b;
  }
  g[n - 1] = 0;
  for (long k = 1; k < n; k++) g[k] += 200 * (x[k] - x[k - 1] * x[k - 1]);
  return sum;
}

void rosenbrock_hvp(const float *restrict x, const float *restrict v, float *restrict h, long n) {
  for (long k = 0; k < n - 1; k++) h[k] = (1200 * x[k] * x[k] - 400 * x[k + 1] + 2) * v[k] - 400 * x[k] * v[k + 1];
  h[n - 1] = 0;
  for (long k = 1; k < n; k++) h[k] += 200 * v[k] - 400 * x[k - 1] * v[k - 1];
}

void rosenbrock_hessian(const float *restrict x, float *restrict h, long n) {
  memset(h, 0, n * n * sizeof *h);
  for (long k = 0; k < n - 1; k++) {
    h[k * (n + 1)] += 1200 * x[k] * x[k] - 400 * x[k + 1] + 2;
    h[k * (n + 1) + 1] = h[(k + 1) * n + k] = -400 * x[k];
    h[(k + 1) * (n + 1)] += 200;
  }
}

/* Points in lanes of 64, their coordinates one row each (x: [D][n]); per component A (x - mean) with A = diag(scale) +
   lower. The responsibilities need all components, so A (x - mean) of a tile is kept. */
enum { D = 10, K = 25, LOWER = D * (D - 1) / 2, LANES = 64 };
typedef double Lanes[LANES];
typedef struct { Lanes q[K][D], main[K]; } Tile;
typedef struct { const double *means, *logs, *lower; double *g_alphas, *g_means, *g_logs, *g_lower; } Mixture;

static void centre(const double *x, const double *mean, Lanes *c, long n, long count) {
  for (long a = 0; a < D; a++) {
    for (long l = 0; l < count; l++) c[a][l] = x[a * n + l] - mean[a];
    for (long l = count; l < LANES; l++) c[a][l] = 0;
  }
}

static void component(Tile *tile, long k, Lanes *c, const double *scale, const double *lower, double constant) {
  Lanes m = {0};
  for (long a = 0; a < D; a++) {
    double *q = tile->q[k][a];
    for (long l = 0; l < LANES; l++) q[l] = scale[a] * c[a][l];
    for (long b = 0; b < a; b++, lower++)
      for (long l = 0; l < LANES; l++) q[l] += *lower * c[b][l];
    for (long l = 0; l < LANES; l++) m[l] += q[l] * q[l];
  }
  for (long l = 0; l < LANES; l++) tile->main[k][l] = constant - 0.5 * m[l];
}

/* main becomes the responsibilities; gives the sum of log-sum-exp */
static double normalise(Tile *tile, long count) {
  Lanes top, sum = {0};
  double value = 0;
  memcpy(top, tile->main[0], sizeof top);
  for (long k = 1; k < K; k++)
    for (long l = 0; l < LANES; l++) top[l] = tile->main[k][l] > top[l] ? tile->main[k][l] : top[l];
  for (long k = 0; k < K; k++) {
    double *m = tile->main[k];
#pragma omp simd
    for (long l = 0; l < LANES; l++) {
      m[l] = exp(m[l] - top[l]);
      sum[l] += m[l];
    }
  }
  for (long l = 0; l < count; l++) value += top[l] + log(sum[l]);
  for (long l = 0; l < LANES; l++) sum[l] = l < count ? 1 / sum[l] : 0;
  for (long k = 0; k < K; k++)
    for (long l = 0; l < LANES; l++) tile->main[k][l] *= sum[l];
  return value;
}

static void component_gradient(const Mixture *to, Tile *tile, long k, Lanes *c, const double *scale) {
  double weight = 0, sums[D], *p = tile->main[k];
#pragma omp simd reduction(+ : weight)
  for (long l = 0; l < LANES; l++) weight += p[l];
  to->g_alphas[k] += weight;
  double *g_lower = to->g_lower + k * LOWER;
  const double *lower = to->lower + k * LOWER;
  for (long a = 0; a < D; a++) {
    double *q = tile->q[k][a], total = 0, own = 0;
#pragma omp simd reduction(+ : total, own)
    for (long l = 0; l < LANES; l++) {
      q[l] *= -p[l];
      total += q[l];
      own += q[l] * c[a][l];
    }
    sums[a] = total;
    to->g_logs[k * D + a] += weight + own * scale[a];
    for (long b = 0; b < a; b++) {
      double s = 0;
#pragma omp simd reduction(+ : s)
      for (long l = 0; l < LANES; l++) s += q[l] * c[b][l];
      *g_lower++ += s;
    }
  }
  for (long a = 0; a < D; a++) {
    to->g_means[k * D + a] -= scale[a] * sums[a];
    for (long b = 0; b < a; b++) to->g_means[k * D + b] -= *lower++ * sums[a];
  }
}

double mixture(const double *alphas, const double *means, const double *logs, const double *lower, const double *x,
               double *g_alphas, double *g_means, double *g_logs, double *g_lower, long n) {
  static Tile tile;
  static double scale[K][D];
  Mixture to = {means, logs, lower, g_alphas, g_means, g_logs, g_lower};
  double value = 0, constant[K], top = alphas[0], sum = 0;
  memset(g_alphas, 0, K * sizeof(double));
  memset(g_means, 0, K * D * sizeof(double));
  memset(g_logs, 0, K * D * sizeof(double));
  memset(g_lower, 0, K * LOWER * sizeof(double));
  for (long k = 0; k < K; k++) {
    constant[k] = alphas[k];
    for (long a = 0; a < D; a++) {
      scale[k][a] = exp(logs[k * D + a]);
      constant[k] += logs[k * D + a];
    }
    top = alphas[k] > top ? alphas[k] : top;
  }
  for (long i = 0; i < n; i += LANES) {
    long count = least(LANES, n - i);
    Lanes c[D];
    for (long k = 0; k < K; k++) {
      centre(x + i, means + k * D, c, n, count);
      component(&tile, k, c, scale[k], lower + k * LOWER, constant[k]);
    }
    value += normalise(&tile, count);
    for (long k = 0; k < K; k++) {
      centre(x + i, means + k * D, c, n, count);
      component_gradient(&to, &tile, k, c, scale[k]);
    }
  }
  for (long k = 0; k < K; k++) sum += exp(alphas[k] - top);
  value -= n * (top + log(sum));
  for (long k = 0; k < K; k++) {
    g_alphas[k] -= n * exp(alphas[k] - top) / sum;
    for (long a = 0; a < D; a++) {
      value += 0.5 * scale[k][a] * scale[k][a];
      g_logs[k * D + a] += scale[k][a] * scale[k][a];
    }
    for (long a = 0; a < LOWER; a++) {
      value += 0.5 * lower[k * LOWER + a] * lower[k * LOWER + a];
      g_lower[k * LOWER + a] += lower[k * LOWER + a];
    }
  }
  return value;
}

#define DOT(a, b) (a##0 * b##0 + a##1 * b##1 + a##2 * b##2)
#define CROSS(a, b, c) double c##0 = a##1 * b##2 - a##2 * b##1, c##1 = a##2 * b##0 - a##0 * b##2, c##2 = a##0 * b##1 - a##1 * b##0

/* p: rotation 3, centre 3, focal length, principal point 2, distortion 2, point 3, weight. residual [n][2], j [n][2][15]. */
void bundle(const double *all, const double *feature, double *residual, double *jacobian, long n) {
#pragma omp parallel for schedule(static)
  for (long i = 0; i < n; i++) {
    const double *p = all + 15 * i, f = p[6], k1 = p[9], k2 = p[10], w = p[14];
    double d0 = p[11] - p[3], d1 = p[12] - p[4], d2 = p[13] - p[5];
    double angle = sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]), inverse = 1 / angle, co = cos(angle), si = sin(angle);
    double u0 = p[0] * inverse, u1 = p[1] * inverse, u2 = p[2] * inverse, along = DOT(u, d), rest = 1 - co;
    CROSS(u, d, e);
    double y0 = d0 * co + e0 * si + u0 * along * rest, y1 = d1 * co + e1 * si + u1 * along * rest;
    double y2 = d2 * co + e2 * si + u2 * along * rest, depth = 1 / y2;
    double q[2] = {y0 * depth, y1 * depth}, rr = q[0] * q[0] + q[1] * q[1], radial = 1 + k1 * rr + k2 * rr * rr;
    for (int o = 0; o < 2; o++) {
      double off = q[o] * radial * f + p[7 + o] - feature[2 * i + o], *j = jacobian + 15 * (2 * i + o);
      double wf = w * f, by_rr = wf * q[o] * (k1 + 2 * k2 * rr);
      double q0 = 2 * q[0] * by_rr + (o ? 0 : wf * radial), q1 = 2 * q[1] * by_rr + (o ? wf * radial : 0);
      double g0 = q0 * depth, g1 = q1 * depth, g2 = -(q0 * q[0] + q1 * q[1]) * depth, ug = DOT(u, g);
      CROSS(g, u, gu);
      CROSS(d, g, dg);
      double b0 = co * g0 + si * gu0 + rest * ug * u0, b1 = co * g1 + si * gu1 + rest * ug * u1;
      double b2 = co * g2 + si * gu2 + rest * ug * u2;
      double v0 = si * dg0 + rest * (along * g0 + ug * d0), v1 = si * dg1 + rest * (along * g1 + ug * d1);
      double v2 = si * dg2 + rest * (along * g2 + ug * d2);
      double turn = si * (along * ug - DOT(d, g)) + co * DOT(e, g) - DOT(u, v) * inverse;
      residual[2 * i + o] = w * off;
      j[0] = v0 * inverse + u0 * turn; j[1] = v1 * inverse + u1 * turn; j[2] = v2 * inverse + u2 * turn;
      j[3] = -b0; j[4] = -b1; j[5] = -b2;
      j[6] = w * q[o] * radial; j[7] = o ? 0 : w; j[8] = o ? w : 0;
      j[9] = wf * q[o] * rr; j[10] = wf * q[o] * rr * rr;
      j[11] = b0; j[12] = b1; j[13] = b2; j[14] = off;
    }
  }
}
