/* Packing for one float type; pack.h includes this with REAL, VECTOR and NAMED(name) defined. */

/* panel[p][j] = w[p * ldw + j] for j < count, 0 for count <= j < width */
static void NAMED(pack_rows)(const REAL *restrict w, ptrdiff_t ldw, ptrdiff_t rows, ptrdiff_t count, REAL *restrict panel,
                             ptrdiff_t width) {
    if (count == width && width * sizeof(REAL) == PANEL_BYTES) { /* a constant size, so the compiler copies by vectors */
        for (ptrdiff_t p = 0; p < rows; p++) memcpy(panel + p * width, w + p * ldw, PANEL_BYTES);
        return;
    }
    for (ptrdiff_t p = 0; p < rows; p++) {
        for (ptrdiff_t j = 0; j < count; j++) panel[p * width + j] = w[p * ldw + j];
        for (ptrdiff_t j = count; j < width; j++) panel[p * width + j] = 0;
    }
}

#ifdef FASTNN_SHUFFLES
typedef REAL NAMED(four) __attribute__((vector_size(4 * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

/* to[p][j] = w[j][p] for a block of 4 by 4 */
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
#endif

/* panel[p][j] = w[j * ldw + p] for j < count, 0 for count <= j < width. Sixteen p at a time, a cache line or two of each row of w. */
static void NAMED(pack_columns)(const REAL *restrict w, ptrdiff_t ldw, ptrdiff_t rows, ptrdiff_t count, REAL *restrict panel,
                                ptrdiff_t width) {
    for (ptrdiff_t first = 0; first < rows; first += 16) {
        const ptrdiff_t last = rows - first < 16 ? rows : first + 16;
        ptrdiff_t j = 0;
#ifdef FASTNN_SHUFFLES
        for (; j + 4 <= count; j += 4) {
            ptrdiff_t p = first;
            for (; p + 4 <= last; p += 4) NAMED(transpose_block)(w + j * ldw + p, ldw, panel + p * width + j, width);
            for (; p < last; p++)
                for (ptrdiff_t i = j; i < j + 4; i++) panel[p * width + i] = w[i * ldw + p];
        }
#endif
        for (; j < count; j++)
            for (ptrdiff_t p = first; p < last; p++) panel[p * width + j] = w[j * ldw + p];
        for (; j < width; j++)
            for (ptrdiff_t p = first; p < last; p++) panel[p * width + j] = 0;
    }
}
