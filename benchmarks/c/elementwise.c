/* Values and gradients in one pass. */
#include "common.h"

double square(double x) { return x * x; }
double square_gradient(double x) { return 2 * x; }

/* sum of tanh(x) exp(-x^2) + sin(x), and its gradient */
static float bump(const float *restrict x, float *restrict g, long n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (long k = 0; k < n; k++) {
    float v = x[k], t = tanhf(v), e = expf(-v * v), te = t * e;
    sum += te + sinf(v);
    g[k] = (1 - t * t) * e - 2 * v * te + cosf(v);
  }
  return sum;
}

double elementwise(const float *x, float *g, long n) {
  double sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum) if (n > 4 * BLOCK)
  for (long k = 0; k < n; k += BLOCK) sum += bump(x + k, g + k, least(BLOCK, n - k));
  return sum;
}

/* sum of the prices of European calls; gradients by spot, strike, years, rate, volatility */
static float options(const float *restrict s, const float *restrict k, const float *restrict t,
                     const float *restrict r, const float *restrict v, float *restrict gs, float *restrict gk,
                     float *restrict gt, float *restrict gr, float *restrict gv, long n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (long i = 0; i < n; i++) {
    float root = sqrtf(t[i]), spread = v[i] * root;
    float d1 = (logf(s[i] / k[i]) + (r[i] + 0.5f * v[i] * v[i]) * t[i]) / spread, d2 = d1 - spread;
    float n1 = 0.5f + 0.5f * erff(d1 * 0.70710678f), n2 = 0.5f + 0.5f * erff(d2 * 0.70710678f);
    float discount = expf(-r[i] * t[i]), owed = k[i] * discount * n2;
    float vega = s[i] * root * 0.39894228f * expf(-0.5f * d1 * d1);
    sum += s[i] * n1 - owed;
    gs[i] = n1;
    gk[i] = -discount * n2;
    gt[i] = vega * v[i] / (2 * t[i]) + r[i] * owed;
    gr[i] = t[i] * owed;
    gv[i] = vega;
  }
  return sum;
}

double black_scholes(const float *s, const float *k, const float *t, const float *r, const float *v, float *gs,
                     float *gk, float *gt, float *gr, float *gv, long n) {
  double sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum) if (n > 4 * BLOCK)
  for (long i = 0; i < n; i += BLOCK)
    sum += options(s + i, k + i, t + i, r + i, v + i, gs + i, gk + i, gt + i, gr + i, gv + i, least(BLOCK, n - i));
  return sum;
}
