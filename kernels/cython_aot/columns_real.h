/* Runs for one float type; columns.h includes this with REAL and NAMED(name) defined. */

/* Copy from the image in pieces of a constant size, the last of which overlaps the one before: piece <= run, and run <= 2 * piece unless
 * piece is 16. */
FASTNN_INLINE void NAMED(copy_pieces)(const int piece, const fastnn_runs runs, const REAL *image, REAL *patch) {
    const ptrdiff_t last = runs.run - piece;
    for (ptrdiff_t i = 0; i < runs.count[0]; i++)
        for (ptrdiff_t j = 0; j < runs.count[1]; j++)
            for (ptrdiff_t k = 0; k < runs.count[2]; k++) {
                const REAL *from = image + i * runs.image[0] + j * runs.image[1] + k * runs.image[2];
                REAL *to = patch + i * runs.patch[0] + j * runs.patch[1] + k * runs.patch[2];
                for (ptrdiff_t m = 0; m < runs.count[3]; m++, from += runs.image[3], to += runs.patch[3]) {
                    memcpy(to, from, piece * sizeof(REAL));
                    if (piece == 16)
                        for (ptrdiff_t done = 16; done < last; done += 16) memcpy(to + done, from + done, 16 * sizeof(REAL));
                    if (piece > 1) memcpy(to + last, from + last, piece * sizeof(REAL));
                }
            }
}

/* Copy windows of `size` by `size` elements, 3 or 5, that stand whole in the patch. All runs but the last are copied in a larger piece, of which
 * the next one overwrites what is too much; the image holds that, being at least as wide as a run. */
FASTNN_INLINE void NAMED(copy_windows)(const int size, const fastnn_runs runs, const REAL *image, REAL *patch) {
    const int piece = size == 3 ? 4 : 8, half = size == 3 ? 2 : 4;
    for (ptrdiff_t i = 0; i < runs.count[0]; i++)
        for (ptrdiff_t j = 0; j < runs.count[1]; j++)
            for (ptrdiff_t k = 0; k < runs.count[2]; k++) {
                const REAL *from = image + i * runs.image[0] + j * runs.image[1] + k * runs.image[2];
                REAL *to = patch + i * runs.patch[0] + j * runs.patch[1] + k * runs.patch[2];
#pragma GCC unroll 5
                for (int m = 1; m < size; m++, from += runs.image[3], to += size) memcpy(to, from, piece * sizeof(REAL));
                memcpy(to, from, half * sizeof(REAL));
                memcpy(to + size - half, from + size - half, half * sizeof(REAL));
            }
}

/* Copy runs from an image to patches. */
static void NAMED(copy_runs)(const fastnn_runs *runs, const REAL *image, REAL *patch) {
    const ptrdiff_t size = runs->run == runs->count[3] && runs->run == runs->patch[3] ? runs->run : 0; /* of a whole window */
    if (size == 3) NAMED(copy_windows)(3, *runs, image, patch);
    else if (size == 5) NAMED(copy_windows)(5, *runs, image, patch);
    else if (runs->run >= 16) NAMED(copy_pieces)(16, *runs, image, patch);
    else if (runs->run >= 8) NAMED(copy_pieces)(8, *runs, image, patch);
    else if (runs->run >= 4) NAMED(copy_pieces)(4, *runs, image, patch);
    else if (runs->run >= 2) NAMED(copy_pieces)(2, *runs, image, patch);
    else NAMED(copy_pieces)(1, *runs, image, patch);
}

/* Add to the image runs of `run` elements, a constant, or 0 for runs of any length. */
FASTNN_INLINE void NAMED(add_pieces)(const int run, const fastnn_runs runs, const REAL *patch, REAL *image) {
    for (ptrdiff_t i = 0; i < runs.count[0]; i++)
        for (ptrdiff_t j = 0; j < runs.count[1]; j++)
            for (ptrdiff_t k = 0; k < runs.count[2]; k++) {
                const REAL *from = patch + i * runs.patch[0] + j * runs.patch[1] + k * runs.patch[2];
                REAL *to = image + i * runs.image[0] + j * runs.image[1] + k * runs.image[2];
                if (run > 0) FASTNN_PREFETCH((const char *)from + AHEAD);
                for (ptrdiff_t m = 0; m < runs.count[3]; m++, from += runs.patch[3], to += runs.image[3]) {
                    if (run == 0) {
                        const REAL *restrict right = from;
                        REAL *restrict left = to;
                        for (ptrdiff_t e = 0; e < runs.run; e++) left[e] += right[e];
                    }
                    /* element by element: a vector would be read from where parts of it are still being written */
                    volatile REAL *element = to;
#pragma GCC unroll 8
                    for (int e = 0; e < run; e++) element[e] = element[e] + from[e];
                }
            }
}

/* Add runs of patches to an image. */
static void NAMED(add_runs)(const fastnn_runs *runs, const REAL *patch, REAL *image) {
    switch (runs->run) {
    case 1: NAMED(add_pieces)(1, *runs, patch, image); break;
    case 2: NAMED(add_pieces)(2, *runs, patch, image); break;
    case 3: NAMED(add_pieces)(3, *runs, patch, image); break;
    case 4: NAMED(add_pieces)(4, *runs, patch, image); break;
    case 5: NAMED(add_pieces)(5, *runs, patch, image); break;
    case 6: NAMED(add_pieces)(6, *runs, patch, image); break;
    case 7: NAMED(add_pieces)(7, *runs, patch, image); break;
    default: NAMED(add_pieces)(0, *runs, patch, image);
    }
}
