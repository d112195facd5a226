/* Recurrent networks, batch 16, hidden 64: the products with the inputs and those of the weights' gradients are made for
   all steps at once by BLAS, the products inside of the loop by a kernel for 16 rows. */
#include "common.h"

enum { BATCH = 16, IN = 32, H = 64, STATE = BATCH * H };
#define SIGMOID(z) (1 / (1 + expf(-(z))))

/* c[16,n] += a[16,k] b[k,n], tiles of 4 x 64 in registers */
static inline void multiply16(const float *a, const float *b, float *c, long n, long k) {
  for (long i = 0; i < BATCH; i += 4)
    for (long j = 0; j < n; j += 64) {
      Sixteen sum[4][4];
#pragma GCC unroll 4
      for (long r = 0; r < 4; r++)
#pragma GCC unroll 4
        for (long q = 0; q < 4; q++) sum[r][q] = *(const Sixteen *)(c + (i + r) * n + j + 16 * q);
      for (long p = 0; p < k; p++)
#pragma GCC unroll 4
        for (long r = 0; r < 4; r++)
#pragma GCC unroll 4
          for (long q = 0; q < 4; q++) sum[r][q] += a[(i + r) * k + p] * *(const Sixteen *)(b + p * n + j + 16 * q);
#pragma GCC unroll 4
      for (long r = 0; r < 4; r++)
#pragma GCC unroll 4
        for (long q = 0; q < 4; q++) *(Sixteen *)(c + (i + r) * n + j + 16 * q) = sum[r][q];
    }
}

static void turn(const float *u, float *t, long rows, long columns) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++) t[j * rows + i] = u[i * columns + j];
}

/* z = b + x w for all steps */
static void inputs(Gemm gemm, const float *x, const float *w, const float *b, float *z, long steps, long n) {
  for (long i = 0; i < steps * BATCH; i++) memcpy(z + i * n, b, n * sizeof *z);
  multiply(gemm, steps * BATCH, n, IN, x, w, 1, z);
}

static void gradients(Gemm gemm, const float *x, const float *hs, const float *dz, float *gw, float *gu, float *gb,
                      long steps, long n) {
  multiply_ta(gemm, H, n, steps * BATCH, hs, dz, gu);
  multiply_ta(gemm, IN, n, steps * BATCH, x, dz, gw);
  memset(gb, 0, n * sizeof *gb);
  for (long i = 0; i < steps * BATCH; i++)
    for (long j = 0; j < n; j++) gb[j] += dz[i * n + j];
}

/* work: steps + 1 states, then steps of dz */
float rnn(Gemm gemm, const float *x, const float *w, const float *u, const float *b, float *gw, float *gu, float *gb,
          float *work, long steps) {
  float *hs = work, *dz = hs + (steps + 1) * STATE, turned[H * H], dh[STATE] = {0}, sum = 0;
  float scale = 2.0f / (steps * STATE);
  memset(hs, 0, STATE * sizeof *hs);
  inputs(gemm, x, w, b, hs + STATE, steps, H);
  for (long t = 0; t < steps; t++) {
    float *h = hs + (t + 1) * STATE;
    multiply16(h - STATE, u, h, H, H);
#pragma omp simd reduction(+ : sum)
    for (long k = 0; k < STATE; k++) {
      h[k] = tanhf(h[k]);
      sum += h[k] * h[k];
    }
  }
  turn(u, turned, H, H);
  for (long t = steps - 1; t >= 0; t--) {
    const float *h = hs + (t + 1) * STATE;
    float *d = dz + t * STATE;
    for (long k = 0; k < STATE; k++) d[k] = (dh[k] + scale * h[k]) * (1 - h[k] * h[k]);
    memset(dh, 0, sizeof dh);
    multiply16(d, turned, dh, H, H);
  }
  gradients(gemm, x, hs, dz, gw, gu, gb, steps, H);
  return sum / (steps * STATE);
}

static float lstm_forward(float *restrict z, const float *restrict before, float *restrict c, float *restrict tc,
                          float *restrict h) {
  float sum = 0;
  for (long i = 0; i < BATCH; i++, z += 4 * H, before += H, c += H, tc += H, h += H) {
#pragma omp simd reduction(+ : sum)
    for (long j = 0; j < H; j++) {
      float gi = SIGMOID(z[j]), gf = SIGMOID(z[H + j]), gg = tanhf(z[2 * H + j]), go = SIGMOID(z[3 * H + j]);
      c[j] = gf * before[j] + gi * gg;
      tc[j] = tanhf(c[j]);
      h[j] = go * tc[j];
      sum += h[j] * h[j];
      z[j] = gi; z[H + j] = gf; z[2 * H + j] = gg; z[3 * H + j] = go;
    }
  }
  return sum;
}

/* the gates z become the gradients by what goes into them */
static void lstm_backward(float *restrict z, const float *restrict before, const float *restrict tc,
                          const float *restrict h, const float *restrict dh, float *restrict dc, float scale) {
  for (long i = 0; i < BATCH; i++, z += 4 * H, before += H, tc += H, h += H, dh += H, dc += H) {
#pragma omp simd
    for (long j = 0; j < H; j++) {
      float gi = z[j], gf = z[H + j], gg = z[2 * H + j], go = z[3 * H + j], d = dh[j] + scale * h[j];
      float e = dc[j] + d * go * (1 - tc[j] * tc[j]);
      z[j] = e * gg * gi * (1 - gi);
      z[H + j] = e * before[j] * gf * (1 - gf);
      z[2 * H + j] = e * gi * (1 - gg * gg);
      z[3 * H + j] = d * tc[j] * go * (1 - go);
      dc[j] = e * gf;
    }
  }
}

/* work: steps + 1 states h and c each, steps of gates (4 H), steps of tanh(c) */
float lstm(Gemm gemm, const float *x, const float *w, const float *u, const float *b, float *gw, float *gu, float *gb,
           float *work, long steps) {
  float *hs = work, *cs = hs + (steps + 1) * STATE, *z = cs + (steps + 1) * STATE, *tc = z + 4 * steps * STATE;
  float turned[4 * H * H], dh[STATE] = {0}, dc[STATE] = {0}, sum = 0, scale = 2.0f / (steps * STATE);
  memset(hs, 0, STATE * sizeof *hs);
  memset(cs, 0, STATE * sizeof *cs);
  inputs(gemm, x, w, b, z, steps, 4 * H);
  for (long t = 0; t < steps; t++) {
    float *gates = z + 4 * t * STATE, *h = hs + t * STATE, *c = cs + t * STATE;
    multiply16(h, u, gates, 4 * H, H);
    sum += lstm_forward(gates, c, c + STATE, tc + t * STATE, h + STATE);
  }
  turn(u, turned, H, 4 * H);
  for (long t = steps - 1; t >= 0; t--) {
    float *gates = z + 4 * t * STATE;
    lstm_backward(gates, cs + t * STATE, tc + t * STATE, hs + (t + 1) * STATE, dh, dc, scale);
    memset(dh, 0, sizeof dh);
    multiply16(gates, turned, dh, H, 4 * H);
  }
  gradients(gemm, x, hs, z, gw, gu, gb, steps, 4 * H);
  return sum / (steps * STATE);
}
