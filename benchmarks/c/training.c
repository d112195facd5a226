/* Logistic regression in one pass over the data, and train steps with parameters updated in place. */
#include "common.h"

/* Rows of a tile stay in the cache between the two products, and are too few for OpenBLAS to start threads. */
enum { TILE = 512, ENTRIES = 8192 };

/* z becomes what the probabilities are off by; gives the sum of losses, adds up what they are off by. */
static float logistic_losses(float *restrict z, const float *restrict y, float b, long n, double *off) {
  float loss = 0, total = 0;
#pragma omp simd reduction(+ : loss, total)
  for (long i = 0; i < n; i++) {
    float v = z[i] + b, e = expf(-fabsf(v)), wrong = (v > 0 ? 1 : e) / (1 + e) - y[i];
    loss += (v > 0 ? v : 0) + logf(1 + e) - y[i] * v;
    total += wrong;
    z[i] = wrong;
  }
  *off += total;
  return loss;
}

/* g: the gradient by w, then by b. */
double logistic(Gemv gemv, const float *x, const float *y, const float *w, float b, float *g, long n, long d) {
  double loss = 0, off = 0;
  long tile = least(TILE, ENTRIES / d);
  memset(g, 0, (d + 1) * sizeof *g);
#pragma omp parallel for schedule(static) reduction(+ : loss, off) reduction(+ : g[ : d])
  for (long i = 0; i < n; i += tile) {
    float z[TILE];
    long rows = least(tile, n - i);
    gemv(ROWS, PLAIN, rows, d, 1, x + i * d, d, w, 1, 0, z, 1);
    loss += logistic_losses(z, y + i, b, rows, &off);
    gemv(ROWS, TURNED, rows, d, 1, x + i * d, d, z, 1, 1, g, 1);
  }
  for (long j = 0; j < d; j++) g[j] /= n;
  g[d] = off / n;
  return loss / n;
}

static void sgd(float *restrict p, const float *restrict g, long n, float rate) {
  for (long k = 0; k < n; k++) p[k] -= rate * g[k];
}

/* Adam as Keras has it: epsilon beside the root of the uncorrected second moment. */
static void adam(float *restrict p, const float *restrict g, float *restrict m, float *restrict v, long n, float rate,
                 long step) {
  float alpha = rate * sqrtf(1 - powf(0.999f, step)) / (1 - powf(0.9f, step));
  for (long k = 0; k < n; k++) {
    m[k] += (g[k] - m[k]) * 0.1f;
    v[k] += (g[k] * g[k] - v[k]) * 0.001f;
    p[k] -= alpha * m[k] / (sqrtf(v[k]) + 1e-7f);
  }
}

static void update(float *p, float *g, float *m, float *v, long n, float rate, long step) {
  if (m) adam(p, g, m, v, n, rate, step);
  else sgd(p, g, n, rate);
}

static void start_from_biases(float *h, const float *b, long batch, long n) {
  for (long i = 0; i < batch; i++) memcpy(h + i * n, b, n * sizeof *h);
}

static void sums_of_rows(const float *d, float *g, long batch, long n) {
  memset(g, 0, n * sizeof *g);
  for (long i = 0; i < batch; i++)
    for (long j = 0; j < n; j++) g[j] += d[i * n + j];
}

/* z becomes the gradient by the logits; gives the mean loss. */
static float cross_entropy(float *z, const int *y, long batch, long n) {
  float loss = 0;
  for (long i = 0; i < batch; i++) {
    float *row = z + i * n, top = row[0], sum = 0, right = row[y[i]];
    for (long j = 1; j < n; j++) top = row[j] > top ? row[j] : top;
    for (long j = 0; j < n; j++) sum += row[j] = expf(row[j] - top);
    loss += logf(sum) + top - right;
    for (long j = 0; j < n; j++) row[j] *= 1 / (sum * batch);
    row[y[i]] -= 1.0f / batch;
  }
  return loss / batch;
}

/* Dense layers with relu between them. p, g, m, v: weights and biases, layer by layer; m is 0 for plain descent.
   work: all activations after the first, then as much again for what flows back. */
float network(Gemm gemm, const long *width, long layers, float *p, float *g, float *m, float *v, const float *x,
              const int *y, float *work, long batch, float rate, long step) {
  const float *h[8] = {x};
  long at[8] = {0}, half = 0;
  for (long k = 0; k < layers; k++) {
    float *out = work + half, *w = p + at[k];
    start_from_biases(out, w + width[k] * width[k + 1], batch, width[k + 1]);
    multiply(gemm, batch, width[k + 1], width[k], h[k], w, 1, out);
    if (k < layers - 1)
      for (long i = 0; i < batch * width[k + 1]; i++) out[i] = out[i] > 0 ? out[i] : 0;
    h[k + 1] = out;
    half += batch * width[k + 1];
    at[k + 1] = at[k] + (width[k] + 1) * width[k + 1];
  }
  float *d = (float *)h[layers], *next = work + half, loss = cross_entropy(d, y, batch, width[layers]);
  for (long k = layers - 1; k >= 0; k--) {
    multiply_ta(gemm, width[k], width[k + 1], batch, h[k], d, g + at[k]);
    sums_of_rows(d, g + at[k] + width[k] * width[k + 1], batch, width[k + 1]);
    if (!k) break;
    multiply_tb(gemm, batch, width[k], width[k + 1], d, p + at[k], next);
    for (long i = 0; i < batch * width[k]; i++) next[i] = h[k][i] > 0 ? next[i] : 0;
    d = next;
    next += batch * width[k];
  }
  update(p, g, m, v, at[layers], rate, step);
  return loss;
}

/* 2-16-16-1 with tanh and a batch of 32, all in loops of known length. */
enum { B = 32, H = 16 };
typedef float Hidden[B][H];

static void tanh_all(Hidden h) {
#pragma omp simd
  for (long k = 0; k < B * H; k++) h[0][k] = tanhf(h[0][k]);
}

/* c[32,16] += a[32,16] w[16,16], eight rows at a time in registers */
static inline void dense16(const Hidden a, const float *w, Hidden c) {
  for (long i = 0; i < B; i += 8) {
    Sixteen sum[8];
#pragma GCC unroll 8
    for (long r = 0; r < 8; r++) sum[r] = *(const Sixteen *)c[i + r];
    for (long k = 0; k < H; k++)
#pragma GCC unroll 8
      for (long r = 0; r < 8; r++) sum[r] += a[i + r][k] * *(const Sixteen *)(w + k * H);
#pragma GCC unroll 8
    for (long r = 0; r < 8; r++) *(Sixteen *)c[i + r] = sum[r];
  }
}

/* g[16,16] = a[32,16]' d[32,16], the same way */
static inline void outer16(const Hidden a, const Hidden d, float *g) {
  for (long k = 0; k < H; k += 8) {
    Sixteen sum[8] = {{0}};
    for (long i = 0; i < B; i++)
#pragma GCC unroll 8
      for (long r = 0; r < 8; r++) sum[r] += a[i][k + r] * *(const Sixteen *)d[i];
#pragma GCC unroll 8
    for (long r = 0; r < 8; r++) *(Sixteen *)(g + (k + r) * H) = sum[r];
  }
}

float tiny(float *p, float *g, float *m, float *v, const float *x, const float *y, float rate, long step) {
  float *w0 = p, *b0 = w0 + 2 * H, *w1 = b0 + H, *b1 = w1 + H * H, *w2 = b1 + H, *b2 = w2 + H;
  float *gw0 = g, *gb0 = gw0 + 2 * H, *gw1 = gb0 + H, *gb1 = gw1 + H * H, *gw2 = gb1 + H, *gb2 = gw2 + H;
  Hidden h0, h1, d0 = {{0}}, d1;
  float turned[H * H], loss = 0, off[B], by_w2[H] = {0}, by_b1[H] = {0}, by_b0[H] = {0}, by_w0[2][H] = {{0}}, by_b2 = 0;
  for (long i = 0; i < B; i++)
    for (long j = 0; j < H; j++) h0[i][j] = b0[j] + x[2 * i] * w0[j] + x[2 * i + 1] * w0[H + j];
  tanh_all(h0);
  start_from_biases(h1[0], b1, B, H);
  dense16(h0, w1, h1);
  tanh_all(h1);
  for (long i = 0; i < B; i++) {
    float r = b2[0] - y[i];
#pragma omp simd reduction(+ : r)
    for (long j = 0; j < H; j++) r += h1[i][j] * w2[j];
    loss += r * r;
    off[i] = 2 * r / B;
  }
  for (long i = 0; i < B; i++) {
    by_b2 += off[i];
    for (long j = 0; j < H; j++) {
      by_w2[j] += off[i] * h1[i][j];
      d1[i][j] = off[i] * w2[j] * (1 - h1[i][j] * h1[i][j]);
      by_b1[j] += d1[i][j];
    }
  }
  outer16(h0, d1, gw1);
  for (long k = 0; k < H; k++)
    for (long j = 0; j < H; j++) turned[j * H + k] = w1[k * H + j];
  dense16(d1, turned, d0);
  for (long i = 0; i < B; i++)
    for (long j = 0; j < H; j++) {
      float d = d0[i][j] * (1 - h0[i][j] * h0[i][j]);
      by_b0[j] += d;
      by_w0[0][j] += x[2 * i] * d;
      by_w0[1][j] += x[2 * i + 1] * d;
    }
  memcpy(gw0, by_w0, sizeof by_w0);
  memcpy(gb0, by_b0, sizeof by_b0);
  memcpy(gb1, by_b1, sizeof by_b1);
  memcpy(gw2, by_w2, sizeof by_w2);
  gb2[0] = by_b2;
  update(p, g, m, v, b2 + 1 - p, rate, step);
  return loss / B;
}
