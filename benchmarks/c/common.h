/* No fast-math: sums are told one by one that their order does not matter (omp simd), and glibc's vector versions of
   the elementary functions (at most 4 ulp) are declared by hand. `omp parallel` counts when built with -fopenmp. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__GLIBC__) && defined(__x86_64__)
#define VECTOR __attribute__((const, simd("notinbranch")))
VECTOR float expf(float);
VECTOR float logf(float);
VECTOR float sinf(float);
VECTOR float cosf(float);
VECTOR float tanhf(float);
VECTOR float erff(float);
VECTOR float log1pf(float);
VECTOR double exp(double);
VECTOR double log(double);
VECTOR double sin(double);
VECTOR double cos(double);
#endif

/* Sixteen floats, so that sums of rows stay in registers; may lie anywhere. */
typedef float Sixteen __attribute__((vector_size(64), aligned(4), may_alias));

enum { BLOCK = 4096 };
static inline long least(long a, long b) { return a < b ? a : b; }

/* cblas_sgemm and cblas_sgemv of the OpenBLAS that numpy brings: row-major, 64-bit sizes. */
typedef void (*Gemm)(int order, int ta, int tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                     int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
typedef void (*Gemv)(int order, int ta, int64_t m, int64_t n, float alpha, const float *a, int64_t lda, const float *x,
                     int64_t step_x, float beta, float *y, int64_t step_y);
enum { ROWS = 101, PLAIN = 111, TURNED = 112 };
/* c[m,n] = beta c + a[m,k] b[k,n]; the turned ones take a[k,m] or b[n,k]. */
static inline void multiply(Gemm f, long m, long n, long k, const float *a, const float *b, float beta, float *c) {
  f(ROWS, PLAIN, PLAIN, m, n, k, 1, a, k, b, n, beta, c, n);
}
static inline void multiply_ta(Gemm f, long m, long n, long k, const float *a, const float *b, float *c) {
  f(ROWS, TURNED, PLAIN, m, n, k, 1, a, m, b, n, 0, c, n);
}
static inline void multiply_tb(Gemm f, long m, long n, long k, const float *a, const float *b, float *c) {
  f(ROWS, PLAIN, TURNED, m, n, k, 1, a, k, b, k, 0, c, n);
}
