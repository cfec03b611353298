/* Transposition for one float type; transpose.h includes this with REAL and NAMED(name) defined. */

/* to[p][j] = w[j][p] for a block of 4 by 4 */
#ifdef FASTNN_SHUFFLES
typedef REAL NAMED(four) __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

FASTNN_INLINE void NAMED(transpose_block)(const REAL *w, ptrdiff_t ldw, REAL *to, ptrdiff_t width) {
    typedef NAMED(four) four;
    const four a = *(const four *)w, b = *(const four *)(w + ldw), c = *(const four *)(w + 2 * ldw), d = *(const four *)(w + 3 * ldw);
    const four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(four *)to = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *(four *)(to + width) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *(four *)(to + 2 * width) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(four *)(to + 3 * width) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}
#else
FASTNN_INLINE void NAMED(transpose_block)(const REAL *restrict w, ptrdiff_t ldw, REAL *restrict to, ptrdiff_t width) {
    for (int p = 0; p < 4; p++)
        for (int j = 0; j < 4; j++) to[p * width + j] = w[j * ldw + p];
}
#endif

/* to[p][j] = w[j][p] for j < rows and p < columns, both at least 4 */
FASTNN_INLINE void NAMED(transpose_blocks)(const REAL *w, ptrdiff_t ldw, ptrdiff_t rows, ptrdiff_t columns, REAL *to, ptrdiff_t width) {
    for (ptrdiff_t p = 0; p < columns; p += 4) {
        const ptrdiff_t column = p + 4 <= columns ? p : columns - 4;
        for (ptrdiff_t j = 0; j < rows; j += 4) {
            const ptrdiff_t row = j + 4 <= rows ? j : rows - 4;
            NAMED(transpose_block)(w + row * ldw + column, ldw, to + column * width + row, width);
        }
    }
}

/* The same for `count` rows, and for `count` columns, a constant: such loops vectorize. */
FASTNN_INLINE void NAMED(interleave)(const int count, const REAL *restrict w, ptrdiff_t columns, REAL *restrict to) {
    for (ptrdiff_t p = 0; p < columns; p++)
        for (int j = 0; j < count; j++) to[p * count + j] = w[j * columns + p];
}

FASTNN_INLINE void NAMED(separate)(const int count, const REAL *restrict w, ptrdiff_t rows, REAL *restrict to, ptrdiff_t width) {
    for (ptrdiff_t j = 0; j < rows; j++)
        for (int p = 0; p < count; p++) to[p * width + j] = w[j * count + p];
}

/* y[p * width + j] = x[j * columns + p] for j < rows and p < columns; where there are less than 4 rows, width = rows. */
static inline void NAMED(transpose_rows)(const REAL *x, ptrdiff_t rows, ptrdiff_t columns, REAL *y, ptrdiff_t width) {
    if (columns == 1) NAMED(separate)(1, x, rows, y, width);
    else if (columns == 2) NAMED(separate)(2, x, rows, y, width);
    else if (columns == 3) NAMED(separate)(3, x, rows, y, width);
    else if (rows == 1) NAMED(interleave)(1, x, columns, y);
    else if (rows == 2) NAMED(interleave)(2, x, columns, y);
    else if (rows == 3) NAMED(interleave)(3, x, columns, y);
    else NAMED(transpose_blocks)(x, columns, rows, columns, y, width);
}
