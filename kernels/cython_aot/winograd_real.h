/* Winograd's transforms for one float type; winograd.h includes this with REAL, VECTOR, MASK (integers as wide) and NAMED(name) defined. */

#define LANES ((ptrdiff_t)(sizeof(VECTOR) / sizeof(REAL)))
#define AT(p) (*(VECTOR *)(p))
#define READ(p) (*(const VECTOR *)(p))

/* B' d for one column of six */
FASTNN_INLINE void NAMED(winograd_bt)(const VECTOR d[6], VECTOR o[6]) {
    const VECTOR t0 = d[4] - 4 * d[2], t1 = d[3] - 4 * d[1], t2 = d[4] - d[2], t3 = 2 * (d[3] - d[1]);
    o[0] = 4 * d[0] - 5 * d[2] + d[4];
    o[1] = t0 + t1;
    o[2] = t0 - t1;
    o[3] = t2 + t3;
    o[4] = t2 - t3;
    o[5] = 4 * d[1] - 5 * d[3] + d[5];
}

/* B m for one column of six */
FASTNN_INLINE void NAMED(winograd_b)(const VECTOR m[6], VECTOR o[6]) {
    const VECTOR s1 = m[1] + m[2], d1 = m[1] - m[2], s3 = m[3] + m[4], d3 = 2 * (m[3] - m[4]);
    o[0] = 4 * m[0];
    o[1] = 4 * (m[5] - d1) - d3;
    o[2] = -5 * m[0] - 4 * s1 - s3;
    o[3] = d1 + d3 - 5 * m[5];
    o[4] = m[0] + s1 + s3;
    o[5] = m[5];
}

/* A' m for one column of six */
FASTNN_INLINE void NAMED(winograd_at)(const VECTOR m[6], VECTOR o[4]) {
    const VECTOR s1 = m[1] + m[2], s2 = m[1] - m[2], s3 = m[3] + m[4], s4 = m[3] - m[4];
    o[0] = m[0] + s1 + s3;
    o[1] = s2 + 2 * s4;
    o[2] = s1 + 4 * s3;
    o[3] = s2 + 8 * s4 + m[5];
}

/* A v for one column of four */
FASTNN_INLINE void NAMED(winograd_a)(const VECTOR v[4], VECTOR o[6]) {
    const VECTOR even = v[0] + v[2], odd = v[1] + v[3], even2 = v[0] + 4 * v[2], odd2 = 2 * v[1] + 8 * v[3];
    o[0] = v[0];
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = v[3];
}

/* G g for one column of three */
FASTNN_INLINE void NAMED(winograd_g)(const VECTOR g[3], VECTOR o[6]) {
    const VECTOR a = (g[0] + g[2]) * ((REAL)-1 / 6), b = g[1] * ((REAL)1 / 6);
    const VECTOR c = g[0] * ((REAL)1 / 24) + g[2] * ((REAL)1 / 6), d = g[1] * ((REAL)1 / 12);
    o[0] = g[0] * (REAL).25;
    o[1] = a - b;
    o[2] = a + b;
    o[3] = c + d;
    o[4] = c - d;
    o[5] = g[2];
}

/* G' u for one column of six */
FASTNN_INLINE void NAMED(winograd_gt)(const VECTOR u[6], VECTOR o[3]) {
    const VECTOR s1 = (u[1] + u[2]) * ((REAL)1 / 6), s3 = u[3] + u[4];
    o[0] = u[0] * (REAL).25 - s1 + s3 * ((REAL)1 / 24);
    o[1] = (u[2] - u[1]) * ((REAL)1 / 6) + (u[3] - u[4]) * ((REAL)1 / 12);
    o[2] = s3 * ((REAL)1 / 6) - s1 + u[5];
}

/* the first channel of vector v of `count` channels */
FASTNN_INLINE ptrdiff_t NAMED(winograd_channel)(ptrdiff_t v, ptrdiff_t count) {
    const ptrdiff_t channel = v * LANES;
    return channel + LANES <= count ? channel : count - LANES;
}
#define VECTORS(count) (((count) + LANES - 1) / LANES)

/* v without the lanes below `done`: what a last vector has in common with the one before */
FASTNN_INLINE VECTOR NAMED(winograd_from_lane)(VECTOR v, ptrdiff_t done) {
#if VECTOR_BYTES
    MASK lane;
    for (int i = 0; i < LANES; i++) lane[i] = i >= done ? -1 : 0;
    return (VECTOR)((MASK)v & lane);
#else
    return v;
#endif
}

/* planes = B' d B for the tile whose pixels `pixel` points at (a line of zeros for those outside the image) */
static void NAMED(winograd_input)(const REAL *const pixel[36], ptrdiff_t channels, REAL *planes, ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels);
        VECTOR half[6][6], d[6], o[6];
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) d[i] = READ(pixel[i * 6 + j] + c);
            NAMED(winograd_bt)(d, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            NAMED(winograd_bt)(half[i], o);
            for (int j = 0; j < 6; j++) AT(planes + (i * 6 + j) * plane + c) = o[j];
        }
    }
}

/* the 4x4 pixels `pixel` points at (a scratch line for those outside) = A' planes A + bias, at least 0 with `relu` */
static void NAMED(winograd_output)(const REAL *planes, ptrdiff_t plane, const REAL *bias, int relu, ptrdiff_t channels,
                                   REAL *const pixel[16]) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels);
        VECTOR half[4][6], m[6], o[4], zero = {0}, start = zero;
        if (bias) start = READ(bias + c);
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) m[i] = READ(planes + (i * 6 + j) * plane + c);
            NAMED(winograd_at)(m, o);
            for (int i = 0; i < 4; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 4; i++) {
            NAMED(winograd_at)(half[i], o);
            for (int j = 0; j < 4; j++) {
                VECTOR y = o[j] + start;
#if VECTOR_BYTES
                if (relu) y = (VECTOR)((MASK)y & ~(y <= zero)); /* not y > 0: a NaN stays one */
#else
                if (relu && y <= 0) y = 0;
#endif
                AT(pixel[i * 4 + j] + c) = y;
            }
        }
    }
}

/* planes = A dy A' for the 4x4 errors `pixel` points at (a line of zeros for those outside) */
static void NAMED(winograd_errors)(const REAL *const pixel[16], ptrdiff_t channels, REAL *planes, ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels);
        VECTOR half[6][4], d[4], o[6];
        for (int j = 0; j < 4; j++) {
            for (int i = 0; i < 4; i++) d[i] = READ(pixel[i * 4 + j] + c);
            NAMED(winograd_a)(d, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            NAMED(winograd_a)(half[i], o);
            for (int j = 0; j < 6; j++) AT(planes + (i * 6 + j) * plane + c) = o[j];
        }
    }
}

/* the 6x6 pixels `pixel` points at (a scratch line for those outside the image) += B planes B' */
static void NAMED(winograd_input_gradient)(const REAL *planes, ptrdiff_t plane, ptrdiff_t channels, REAL *const pixel[36]) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels), done = v * LANES - c;
        VECTOR half[6][6], m[6], o[6];
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) m[i] = READ(planes + (i * 6 + j) * plane + c);
            if (done > 0)
                for (int i = 0; i < 6; i++) m[i] = NAMED(winograd_from_lane)(m[i], done);
            NAMED(winograd_b)(m, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            NAMED(winograd_b)(half[i], o);
            for (int j = 0; j < 6; j++) AT(pixel[i * 6 + j] + c) += o[j];
        }
    }
}

/* Row `row` of `rows` of the planes = G g G' for the filters of one input channel; element (i, j) of g stands at g + (i * 3 + j) * tap.
 * Planes are in panels, as wide as a tile of products reads them (tile.h) and a whole number of vectors, zero past the channels. */
static void NAMED(winograd_filter)(const REAL *g, ptrdiff_t tap, ptrdiff_t channels, ptrdiff_t row, ptrdiff_t rows, REAL *planes,
                                   ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = v * LANES, first = v / TILE_VECTORS * TILE_VECTORS, left = VECTORS(channels) - first;
        const ptrdiff_t width = (left < TILE_VECTORS ? left : TILE_VECTORS) * LANES;
        REAL *to = planes + first * LANES * rows + row * width + (v - first) * LANES;
        VECTOR half[6][3], d[3], o[6];
        for (int j = 0; j < 3; j++) {
            for (int i = 0; i < 3; i++) {
                const REAL *from = g + (i * 3 + j) * tap + c;
                REAL edge[LANES];
                if (c + LANES > channels) from = memcpy(memset(edge, 0, sizeof edge), from, (channels - c) * sizeof(REAL));
                d[i] = READ(from);
            }
            NAMED(winograd_g)(d, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            NAMED(winograd_g)(half[i], o);
            for (int j = 0; j < 6; j++) AT(to + (i * 6 + j) * plane) = o[j];
        }
    }
}

/* dg = G' planes G for the filters of one input channel */
static void NAMED(winograd_filter_gradient)(const REAL *planes, ptrdiff_t plane, ptrdiff_t channels, REAL *dg, ptrdiff_t tap) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels);
        VECTOR half[3][6], d[6], o[3];
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) d[i] = READ(planes + (i * 6 + j) * plane + c);
            NAMED(winograd_gt)(d, o);
            for (int i = 0; i < 3; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 3; i++) {
            NAMED(winograd_gt)(half[i], o);
            for (int j = 0; j < 3; j++) AT(dg + (i * 3 + j) * tap + c) = o[j];
        }
    }
}

#undef LANES
#undef AT
#undef READ
#undef VECTORS
