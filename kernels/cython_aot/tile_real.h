/* The tile for one float type and one vector length; tile.h includes this several times, with defined:
 * REAL, MASK (the integer as wide), BYTES of a vector (0: vectors of one element), NAMED(name). */

#if BYTES
typedef REAL NAMED(vector) __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));
typedef MASK NAMED(mask) __attribute__((vector_size(BYTES)));
#define VECTOR NAMED(vector)
#define LANES ((ptrdiff_t)(BYTES / sizeof(REAL)))
#define SPLAT(x) ((x) - (VECTOR){0}) /* x in every lane; x - 0 is x, also for -0 */
#define RELU(v) ((VECTOR)((NAMED(mask))(v) & ~((v) <= (VECTOR){0}))) /* not v > 0: a NaN stays one */
#else
#define VECTOR REAL
#define LANES ((ptrdiff_t)1)
#define SPLAT(x) (x)
#define RELU(v) ((v) <= 0 ? 0 : (v))
#endif

/* Copy n elements by fours, the last of which overlaps the one before. */
FASTNN_INLINE REAL *NAMED(copy)(REAL *to, const REAL *from, ptrdiff_t n) {
    if (n < 4)
        for (ptrdiff_t i = 0; i < n; i++) to[i] = from[i];
    else
        for (ptrdiff_t i = 0; i < n; i += 4) memcpy(to + (i + 4 <= n ? i : n - 4), from + (i + 4 <= n ? i : n - 4), 4 * sizeof(REAL));
    return to;
}

/* See tile in tile.h. `rows` and `vectors` are constants, so that `sum` becomes registers. */
FASTNN_INLINE void NAMED(tile)(const int rows, const int vectors, ptrdiff_t segments, ptrdiff_t k, const REAL *a, ptrdiff_t row,
                               ptrdiff_t step, ptrdiff_t segment, const REAL *b, ptrdiff_t ldb, REAL *c, ptrdiff_t ldc, ptrdiff_t n,
                               const REAL *bias, int flags) {
    const ptrdiff_t width = vectors * LANES;
    VECTOR sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sum[i][v] = (VECTOR){0};

    if (k > 0)
    for (; segments > 0; segments--, a += segment) {
        ptrdiff_t p = k;
        const REAL *group[(TILE_ROWS + 2) / 3];
#pragma GCC unroll 12
        for (int g = 0; g < (rows + 2) / 3; g++) group[g] = a + 3 * g * row;
        do {
            VECTOR right[TILE_VECTORS];
            for (int v = 0; v < vectors; v++) right[v] = *(const VECTOR *)(b + v * LANES);
#pragma GCC unroll 12
            for (int i = 0; i < rows; i++) {
                const VECTOR left = SPLAT(group[i / 3][i % 3 * row]);
                for (int v = 0; v < vectors; v++) sum[i][v] += left * right[v];
            }
#pragma GCC unroll 12
            for (int g = 0; g < (rows + 2) / 3; g++) group[g] += step;
            b += ldb;
        } while (--p);
    }

    /* Where a tile is narrower than its vectors, rows that have later ones behind them may still be read in whole vectors, and
     * written if what is written too much belongs to those later rows. The others go through `edge`. */
    REAL edge[TILE_VECTORS * LANES] = {0};
    const ptrdiff_t readable = n == width ? rows : rows - (width - n + ldc - 1) / ldc;
    const ptrdiff_t writable = n == width || n == ldc ? readable : 0;
    if (flags & TILE_ACCUMULATE) {
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            const REAL *from = c + i * ldc;
            if (i >= readable) from = NAMED(copy)(edge, from, n);
            for (int v = 0; v < vectors; v++) sum[i][v] += *(const VECTOR *)(from + v * LANES);
        }
    } else if (bias) {
        if (n < width) bias = NAMED(copy)(edge, bias, n);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++) sum[i][v] += *(const VECTOR *)(bias + v * LANES);
    }
    if (flags & TILE_RELU)
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++) sum[i][v] = RELU(sum[i][v]);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        REAL *to = i < writable ? c + i * ldc : edge;
        for (int v = 0; v < vectors; v++) *(VECTOR *)(to + v * LANES) = sum[i][v];
        if (i >= writable) NAMED(copy)(c + i * ldc, edge, n);
    }
}

#undef VECTOR
#undef LANES
#undef SPLAT
#undef RELU
