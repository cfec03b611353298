/* Products of a few rows for one float type; thin.h includes this with REAL, VECTOR and NAMED(name) defined. */

#if VECTOR_BYTES
#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))
#define LOAD(p) (*(const VECTOR *)(p))
#define STORE(p) (*(VECTOR *)(p))
#else
#define LANES ((ptrdiff_t)1)
#define LOAD(p) (*(p))
#define STORE(p) (*(p))
#endif

/* C[rows, n] += A[rows, k] B[k, n] with n a multiple of the vector length: eight rows of B at a time, so that C is loaded and stored
 * once for eight multiply-adds. */
static void NAMED(thin_product)(ptrdiff_t rows, ptrdiff_t k, const REAL *restrict a, ptrdiff_t lda, const REAL *restrict b,
                                ptrdiff_t ldb, REAL *restrict c, ptrdiff_t ldc, ptrdiff_t n) {
    for (; k >= 8; k -= 8, a += 8, b += 8 * ldb)
        for (ptrdiff_t i = 0; i < rows; i++) {
            const REAL *left = a + i * lda;
            for (ptrdiff_t j = 0; j < n; j += LANES) {
                const REAL *right = b + j;
                STORE(c + i * ldc + j) = LOAD(c + i * ldc + j) + left[0] * LOAD(right) + left[1] * LOAD(right + ldb)
                                         + left[2] * LOAD(right + 2 * ldb) + left[3] * LOAD(right + 3 * ldb)
                                         + left[4] * LOAD(right + 4 * ldb) + left[5] * LOAD(right + 5 * ldb)
                                         + left[6] * LOAD(right + 6 * ldb) + left[7] * LOAD(right + 7 * ldb);
            }
        }
    for (ptrdiff_t p = 0; p < k; p++)
        for (ptrdiff_t i = 0; i < rows; i++)
            for (ptrdiff_t j = 0; j < n; j += LANES) STORE(c + i * ldc + j) += a[i * lda + p] * LOAD(b + p * ldb + j);
}

/* The sum of the lanes of a vector, in halves: lane i and lane i + LANES / 2 first. */
FASTNN_INLINE REAL NAMED(sum_lanes)(VECTOR v) {
    REAL lane[LANES];
    STORE(lane) = v;
    for (ptrdiff_t half = LANES / 2; half > 0; half /= 2)
        for (ptrdiff_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

/* C[rows, n] = A[rows, k] B[n, k]^T: dot products, four rows of B at a time. */
static void NAMED(thin_dots)(ptrdiff_t rows, ptrdiff_t k, const REAL *restrict a, ptrdiff_t lda, const REAL *restrict b, ptrdiff_t ldb,
                             REAL *restrict c, ptrdiff_t ldc, ptrdiff_t n) {
    const ptrdiff_t whole = k - k % LANES;
    for (ptrdiff_t j = 0; j < n; j += 4) {
        const ptrdiff_t count = n - j < 4 ? n - j : 4;
        const REAL *right[4];
        for (int q = 0; q < 4; q++) right[q] = b + (j + (q < count ? q : 0)) * ldb;
        for (ptrdiff_t i = 0; i < rows; i++) {
            const REAL *left = a + i * lda;
            VECTOR sum[4] = {0};
            REAL rest[4] = {0};
            for (ptrdiff_t p = 0; p < whole; p += LANES)
                for (int q = 0; q < 4; q++) sum[q] += LOAD(left + p) * LOAD(right[q] + p);
            for (ptrdiff_t p = whole; p < k; p++)
                for (int q = 0; q < 4; q++) rest[q] += left[p] * right[q][p];
            for (int q = 0; q < count; q++) c[i * ldc + j + q] = NAMED(sum_lanes)(sum[q]) + rest[q];
        }
    }
}

#undef LANES
#undef LOAD
#undef STORE
