/* Products of a few rows for one float type; thin.h includes this with REAL, VECTOR, MASK (its bits) and NAMED(name) defined. */

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

/* c[n] += a[k] B[k, n] with n at most a vector. Four sums take turns, so that no multiply-add waits for the one before. Rows of B are
 * read a whole vector wide as long as that stays within the `b_size` elements from b. */
static void NAMED(thin_narrow)(ptrdiff_t k, const REAL *restrict a, const REAL *restrict b, ptrdiff_t ldb, ptrdiff_t b_size,
                               REAL *restrict c, ptrdiff_t n) {
    const ptrdiff_t inside = b_size < LANES ? 0 : (b_size - LANES) / ldb + 1, whole = inside < k ? inside : k;
    VECTOR sum[4] = {0};
    REAL lane[LANES];
    ptrdiff_t p = 0;
    for (; p + 4 <= whole; p += 4)
        for (int q = 0; q < 4; q++) sum[q] += a[p + q] * LOAD(b + (p + q) * ldb);
    for (; p < whole; p++) sum[0] += a[p] * LOAD(b + p * ldb);
    STORE(lane) = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    for (; p < k; p++)
        for (ptrdiff_t j = 0; j < n; j++) lane[j] += a[p] * b[p * ldb + j];
    for (ptrdiff_t j = 0; j < n; j++) c[j] += lane[j];
}

#if VECTOR_BYTES && defined(__GNUC__) && !defined(__clang__)
#define SHUFFLE __builtin_shuffle
/* The lanes of x whose number has the bit h clear, each with the one h behind it, and of y those that have it set, with the one before. */
FASTNN_INLINE VECTOR NAMED(add_halves)(VECTOR x, VECTOR y, const int h) {
    MASK first, second;
#pragma GCC unroll 16
    for (int i = 0; i < LANES; i++) {
        first[i] = i & h ? LANES + i - h : i;
        second[i] = i & h ? LANES + i : i + h;
    }
    return SHUFFLE(x, y, first) + SHUFFLE(x, y, second);
}
#endif

/* Lane i of the result is the sum of the lanes of v[i], in halves: lane j and lane j + LANES / 2 first. */
FASTNN_INLINE VECTOR NAMED(sums_of_lanes)(VECTOR v[LANES]) {
#ifdef SHUFFLE
#define LEVEL(h)                                                                                                                     \
    if (h < LANES)                                                                                                                   \
        for (int i = 0; i < h; i++) v[i] = NAMED(add_halves)(v[i], v[i + h], h);
    LEVEL(8)
    LEVEL(4)
    LEVEL(2)
    LEVEL(1)
#undef LEVEL
    return v[0];
#else
    REAL lane[LANES], sum[LANES];
    for (ptrdiff_t q = 0; q < LANES; q++) {
        STORE(lane) = v[q];
        for (ptrdiff_t half = LANES / 2; half > 0; half /= 2)
            for (ptrdiff_t i = 0; i < half; i++) lane[i] += lane[i + half];
        sum[q] = lane[0];
    }
    return LOAD(sum);
#endif
}

/* `count` elements, fewer than a vector, and zeros */
FASTNN_INLINE VECTOR NAMED(load_part)(const REAL *p, ptrdiff_t count) {
    REAL lane[LANES];
    return LOAD(memcpy(memset(lane, 0, sizeof lane), p, count * sizeof(REAL)));
}

#if VECTOR_BYTES
/* A mask of the first `count` lanes. */
FASTNN_INLINE MASK NAMED(first_lanes)(ptrdiff_t count) {
    MASK lanes;
    for (int i = 0; i < LANES; i++) lanes[i] = i < count ? -1 : 0;
    return lanes;
}
#endif

/* C[rows, n] = A[rows, k] B[n, k]^T: dot products with as many rows of B at a time as a vector has lanes, in which their sums end up. Of B
 * `b_size` elements may be read: where that is more than a row, what stands behind the row is cleared, since 0 times infinity would not
 * be 0. */
static void NAMED(thin_dots)(ptrdiff_t rows, ptrdiff_t k, const REAL *restrict a, ptrdiff_t lda, const REAL *restrict b, ptrdiff_t ldb,
                             ptrdiff_t b_size, REAL *restrict c, ptrdiff_t ldc, ptrdiff_t n) {
    const ptrdiff_t rest = k % LANES, whole = k - rest;
#if VECTOR_BYTES
    const MASK inside = NAMED(first_lanes)(rest);
#define KEEP_PART(v) ((VECTOR)((MASK)(v) & inside))
#else
#define KEEP_PART(v) (v)
#endif
#define GROUP (LANES < 8 ? LANES : 8) /* rows that are read at the same time */
    for (ptrdiff_t j = 0; j < n; j += LANES) {
        const ptrdiff_t count = n - j < LANES ? n - j : LANES;
        const int readable = (j + count - 1) * ldb + whole + LANES <= b_size;
        const REAL *row[LANES];
        for (ptrdiff_t q = 0; q < LANES; q++) row[q] = b + (j + (q < count ? q : 0)) * ldb;
        VECTOR v[THIN_ROWS][LANES];
        for (ptrdiff_t first = 0; first < LANES; first += GROUP)
            for (ptrdiff_t i = 0; i < rows; i++) {
                const REAL *left = a + i * lda, *const *right = row + first;
                const VECTOR last = NAMED(load_part)(left + whole, rest);
                VECTOR sum[GROUP];
#pragma GCC unroll 8
                for (int q = 0; q < GROUP; q++)
                    sum[q] = last * (readable ? KEEP_PART(LOAD(right[q] + whole)) : NAMED(load_part)(right[q] + whole, rest));
                for (ptrdiff_t p = 0; p < whole; p += LANES)
#pragma GCC unroll 8
                    for (int q = 0; q < GROUP; q++) sum[q] += LOAD(left + p) * LOAD(right[q] + p);
#pragma GCC unroll 8
                for (int q = 0; q < GROUP; q++) v[i][first + q] = sum[q];
            }
        for (ptrdiff_t i = 0; i < rows; i++) {
            if (count == LANES) {
                STORE(c + i * ldc + j) = NAMED(sums_of_lanes)(v[i]);
            } else {
                REAL lane[LANES];
                STORE(lane) = NAMED(sums_of_lanes)(v[i]);
                memcpy(c + i * ldc + j, lane, count * sizeof(REAL));
            }
        }
    }
#undef KEEP_PART
#undef GROUP
}

/* c[n] = a[k] B[n, k]^T with k less than a vector: as many rows of B at a time as a vector has lanes, each read in one piece as long as
 * that stays within the `b_size` elements from b. What stands behind a row is cleared, since 0 times infinity would not be 0. */
static void NAMED(thin_short_dots)(ptrdiff_t k, const REAL *restrict a, const REAL *restrict b, ptrdiff_t ldb, ptrdiff_t b_size,
                                   REAL *restrict c, ptrdiff_t n) {
    ptrdiff_t j = 0;
#ifdef SHUFFLE
    const VECTOR left = NAMED(load_part)(a, k);
    const MASK row = NAMED(first_lanes)(k);
    for (; j + LANES <= n && (j + LANES - 1) * ldb + LANES <= b_size; j += LANES) {
        VECTOR v[LANES];
#pragma GCC unroll 16
        for (int q = 0; q < LANES; q++) v[q] = left * (VECTOR)((MASK)LOAD(b + (j + q) * ldb) & row);
        STORE(c + j) = NAMED(sums_of_lanes)(v);
    }
#endif
    for (; j < n; j++) {
        c[j] = 0;
        for (ptrdiff_t p = 0; p < k; p++) c[j] += a[p] * b[j * ldb + p];
    }
}

/* C[k, n] = a[k] b[n], or C[k, n] += a[k] b[n]. Short rows fill vectors together: LANES rows take n vectors, in which the elements of b
 * come round again. */
FASTNN_INLINE void NAMED(outer)(ptrdiff_t k, const REAL *restrict a, const REAL *restrict b, REAL *restrict c, ptrdiff_t n,
                                const int added) {
    ptrdiff_t p = 0;
#ifdef SHUFFLE
    if (n < 2 * LANES && k >= LANES) {
        VECTOR right[2 * LANES];
        MASK row[2 * LANES];
        for (ptrdiff_t i = 0; i < n * LANES; i++) {
            right[i / LANES][i % LANES] = b[i % n];
            row[i / LANES][i % LANES] = i / n;
        }
        for (; p + LANES <= k; p += LANES) {
            const VECTOR left = LOAD(a + p);
            for (ptrdiff_t j = 0; j < n; j++) {
                VECTOR product = SHUFFLE(left, row[j]) * right[j];
                REAL *target = c + p * n + j * LANES;
                if (added) product += LOAD(target);
                STORE(target) = product;
            }
        }
    }
#endif
    for (; p < k; p++) {
        const REAL left = a[p];
        REAL *row = c + p * n;
        ptrdiff_t j = 0;
        for (; j + LANES <= n; j += LANES) {
            VECTOR product = left * LOAD(b + j);
            if (added) product += LOAD(row + j);
            STORE(row + j) = product;
        }
        for (; j < n; j++) row[j] = added ? row[j] + left * b[j] : left * b[j];
    }
}

static void NAMED(thin_outer)(ptrdiff_t k, const REAL *a, const REAL *b, REAL *c, ptrdiff_t n) {
    NAMED(outer)(k, a, b, c, n, 0);
}

static void NAMED(thin_add_outer)(ptrdiff_t k, const REAL *a, const REAL *b, REAL *c, ptrdiff_t n) {
    NAMED(outer)(k, a, b, c, n, 1);
}

#undef SHUFFLE
#undef LANES
#undef LOAD
#undef STORE
