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

/* panel[p][j] = w[j * ldw + p] for j < count, 0 for count <= j < width. Sixteen p at a time, a cache line or two of each row of w. */
static void NAMED(pack_columns)(const REAL *restrict w, ptrdiff_t ldw, ptrdiff_t rows, ptrdiff_t count, REAL *restrict panel,
                                ptrdiff_t width) {
    for (ptrdiff_t first = 0; first < rows; first += 16) {
        const ptrdiff_t last = rows - first < 16 ? rows : first + 16;
        ptrdiff_t j = 0;
        for (; j + 4 <= count; j += 4) {
            ptrdiff_t p = first;
            for (; p + 4 <= last; p += 4) NAMED(transpose_block)(w + j * ldw + p, ldw, panel + p * width + j, width);
            for (; p < last; p++)
                for (ptrdiff_t i = j; i < j + 4; i++) panel[p * width + i] = w[i * ldw + p];
        }
        for (; j < count; j++)
            for (ptrdiff_t p = first; p < last; p++) panel[p * width + j] = w[j * ldw + p];
        for (; j < width; j++)
            for (ptrdiff_t p = first; p < last; p++) panel[p * width + j] = 0;
    }
}
