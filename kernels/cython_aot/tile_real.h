/* The tile for one float type; included by tile.h with REAL, MASK and NAMED(name) defined. No include guard: it is read twice. */

#if VECTOR_BYTES
typedef REAL NAMED(vector) __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef MASK NAMED(mask) __attribute__((vector_size(VECTOR_BYTES)));
#define VECTOR NAMED(vector)
#define LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(REAL)))
#define SPLAT(x) ((x) - (VECTOR){0}) /* x in every lane; x - 0 is x, also for -0 */
#define RELU(v) ((VECTOR)((NAMED(mask))(v) & ~((v) <= (VECTOR){0}))) /* not v > 0: a NaN stays one */
#else
#define VECTOR REAL
#define LANES ((ptrdiff_t)1)
#define SPLAT(x) (x)
#define RELU(v) ((v) <= 0 ? 0 : (v))
#endif

/* C[rows, n] = A[rows, k] B[k, n] (+ C, or + bias), with `rows` and `vectors` constants, so that `sum` becomes registers.
 * Element (i, p) of A is a[i * row + p * step]. Rows of B are ldb apart and read `vectors` wide, whatever n is.
 */
FASTNN_INLINE void NAMED(tile_of)(const int rows, const int vectors, ptrdiff_t k, const REAL *a, ptrdiff_t row, ptrdiff_t step,
                                  const REAL *b, ptrdiff_t ldb, REAL *c, ptrdiff_t ldc, ptrdiff_t n, const REAL *bias, int flags) {
    VECTOR sum[TILE_ROWS][TILE_VECTORS];
    REAL edge[TILE_VECTORS * LANES] = {0}; /* one row of a tile that is only n wide */
    const int whole = n == vectors * LANES;
    const size_t bytes = (size_t)n * sizeof(REAL);

    if (flags & TILE_ACCUMULATE) {
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            const REAL *from = c + i * ldc;
            if (!whole) from = memcpy(edge, from, bytes);
            for (int v = 0; v < vectors; v++) sum[i][v] = *(const VECTOR *)(from + v * LANES);
        }
    } else {
        VECTOR start[TILE_VECTORS] = {0};
        if (bias) {
            if (!whole) bias = memcpy(edge, bias, bytes);
            for (int v = 0; v < vectors; v++) start[v] = *(const VECTOR *)(bias + v * LANES);
        }
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++) sum[i][v] = start[v];
    }
    for (; k > 0; k--, a += step, b += ldb) {
        VECTOR right[TILE_VECTORS];
        for (int v = 0; v < vectors; v++) right[v] = *(const VECTOR *)(b + v * LANES);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            const VECTOR left = SPLAT(a[i * row]);
            for (int v = 0; v < vectors; v++) sum[i][v] += left * right[v];
        }
    }
    if (flags & TILE_RELU)
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++) sum[i][v] = RELU(sum[i][v]);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        REAL *to = whole ? c + i * ldc : edge;
        for (int v = 0; v < vectors; v++) *(VECTOR *)(to + v * LANES) = sum[i][v];
        if (!whole) memcpy(c + i * ldc, edge, bytes);
    }
}

#define TILE_CASE(r)                                                                                                     \
    case r:                                                                                                              \
        if (n > LANES) NAMED(tile_of)(r, 2, k, a, row, step, b, ldb, c, ldc, n, bias, flags);                            \
        else NAMED(tile_of)(r, 1, k, a, row, step, b, ldb, c, ldc, n, bias, flags);                                      \
        break;

static void NAMED(tile)(ptrdiff_t rows, ptrdiff_t k, const REAL *a, ptrdiff_t row, ptrdiff_t step, const REAL *b, ptrdiff_t ldb,
                        REAL *c, ptrdiff_t ldc, ptrdiff_t n, const REAL *bias, int flags) {
    switch (rows) {
        TILE_CASE(1)
        TILE_CASE(2)
        TILE_CASE(3)
        TILE_CASE(4)
#if TILE_ROWS > 4
        TILE_CASE(5)
        TILE_CASE(6)
#endif
#if TILE_ROWS > 6
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
#endif
    }
}

#undef TILE_CASE
#undef VECTOR
#undef LANES
#undef SPLAT
#undef RELU
