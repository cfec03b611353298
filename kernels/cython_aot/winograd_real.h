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

/* A' m for one column of six, of which `tile` are wanted */
FASTNN_INLINE void NAMED(winograd_at)(const VECTOR m[6], int tile, VECTOR o[4]) {
    const VECTOR s1 = m[1] + m[2], s2 = m[1] - m[2], s3 = m[3] + m[4], s4 = m[3] - m[4];
    o[0] = m[0] + s1 + s3;
    o[1] = s2 + 2 * s4;
    if (tile == 4) {
        o[2] = s1 + 4 * s3;
        o[3] = s2 + 8 * s4;
    }
    o[tile - 1] += m[5];
}

/* A v for one column of `tile` */
FASTNN_INLINE void NAMED(winograd_a)(const VECTOR v[4], int tile, VECTOR o[6]) {
    VECTOR even = v[0], odd = v[1], even2 = v[0], odd2 = 2 * v[1];
    if (tile == 4) {
        even += v[2];
        odd += v[3];
        even2 += 4 * v[2];
        odd2 += 8 * v[3];
    }
    o[0] = v[0];
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = v[tile - 1];
}

/* G g for one column of `taps` */
FASTNN_INLINE void NAMED(winograd_g)(const VECTOR g[5], int taps, VECTOR o[6]) {
    VECTOR a = (g[0] + g[2]) * ((REAL)-1 / 6), b = g[1] * ((REAL)1 / 6);
    VECTOR c = g[0] * ((REAL)1 / 24) + g[2] * ((REAL)1 / 6), d = g[1] * ((REAL)1 / 12);
    if (taps == 5) {
        a -= g[4] * ((REAL)1 / 6);
        b += g[3] * ((REAL)1 / 6);
        c += g[4] * ((REAL)2 / 3);
        d += g[3] * ((REAL)1 / 3);
    }
    o[0] = g[0] * (REAL).25;
    o[1] = a - b;
    o[2] = a + b;
    o[3] = c + d;
    o[4] = c - d;
    o[5] = g[taps - 1];
}

/* G' u for one column of six, of which `taps` are wanted */
FASTNN_INLINE void NAMED(winograd_gt)(const VECTOR u[6], int taps, VECTOR o[5]) {
    const VECTOR s1 = (u[1] + u[2]) * ((REAL)1 / 6), d1 = (u[2] - u[1]) * ((REAL)1 / 6), s3 = u[3] + u[4], d3 = u[3] - u[4];
    o[0] = u[0] * (REAL).25 - s1 + s3 * ((REAL)1 / 24);
    o[1] = d1 + d3 * ((REAL)1 / 12);
    o[2] = s3 * ((REAL)1 / 6) - s1;
    if (taps == 5) {
        o[3] = d1 + d3 * ((REAL)1 / 3);
        o[4] = s3 * ((REAL)2 / 3) - s1;
    }
    o[taps - 1] += u[5];
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

/* the pixels of a tile that `pixel` points at (a scratch line for those outside) = A' planes A + bias, at least 0 with `relu` */
FASTNN_INLINE void NAMED(winograd_output_of)(const int tile, const REAL *planes, ptrdiff_t plane, const REAL *bias, int relu,
                                             ptrdiff_t channels, REAL *const pixel[]) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels);
        VECTOR half[4][6], m[6], o[4], zero = {0}, start = zero;
        if (bias) start = READ(bias + c);
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) m[i] = READ(planes + (i * 6 + j) * plane + c);
            NAMED(winograd_at)(m, tile, o);
            for (int i = 0; i < tile; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < tile; i++) {
            NAMED(winograd_at)(half[i], tile, o);
            for (int j = 0; j < tile; j++) {
                VECTOR y = o[j] + start;
#if VECTOR_BYTES
                if (relu) y = (VECTOR)((MASK)y & ~(y <= zero)); /* not y > 0: a NaN stays one */
#else
                if (relu && y <= 0) y = 0;
#endif
                AT(pixel[i * tile + j] + c) = y;
            }
        }
    }
}

static void NAMED(winograd_output)(ptrdiff_t tile, const REAL *planes, ptrdiff_t plane, const REAL *bias, int relu, ptrdiff_t channels,
                                   REAL *const pixel[]) {
    if (tile == 4)
        NAMED(winograd_output_of)(4, planes, plane, bias, relu, channels, pixel);
    else
        NAMED(winograd_output_of)(2, planes, plane, bias, relu, channels, pixel);
}

/* planes = A dy A' for the errors of a tile that `pixel` points at (a line of zeros for those outside) */
FASTNN_INLINE void NAMED(winograd_errors_of)(const int tile, const REAL *const pixel[], ptrdiff_t channels, REAL *planes,
                                             ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels);
        VECTOR half[6][4], d[4], o[6];
        for (int j = 0; j < tile; j++) {
            for (int i = 0; i < tile; i++) d[i] = READ(pixel[i * tile + j] + c);
            NAMED(winograd_a)(d, tile, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            NAMED(winograd_a)(half[i], tile, o);
            for (int j = 0; j < 6; j++) AT(planes + (i * 6 + j) * plane + c) = o[j];
        }
    }
}

static void NAMED(winograd_errors)(ptrdiff_t tile, const REAL *const pixel[], ptrdiff_t channels, REAL *planes, ptrdiff_t plane) {
    if (tile == 4)
        NAMED(winograd_errors_of)(4, pixel, channels, planes, plane);
    else
        NAMED(winograd_errors_of)(2, pixel, channels, planes, plane);
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

/* Row `row` of `rows` of the planes = G g G' for the filters of one input channel; element (i, j) of g stands at g + (i * taps + j) * tap.
 * Planes are in panels, as wide as a tile of products reads them (tile.h) and a whole number of vectors, zero past the channels. */
FASTNN_INLINE void NAMED(winograd_filter_of)(const int taps, const REAL *g, ptrdiff_t tap, ptrdiff_t channels, ptrdiff_t row,
                                             ptrdiff_t rows, REAL *planes, ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = v * LANES, first = v / TILE_VECTORS * TILE_VECTORS, left = VECTORS(channels) - first;
        const ptrdiff_t width = (left < TILE_VECTORS ? left : TILE_VECTORS) * LANES;
        REAL *to = planes + first * LANES * rows + row * width + (v - first) * LANES;
        VECTOR half[6][5], d[5], o[6];
        for (int j = 0; j < taps; j++) {
            for (int i = 0; i < taps; i++) {
                const REAL *from = g + (i * taps + j) * tap + c;
                REAL edge[LANES];
                if (c + LANES > channels) from = memcpy(memset(edge, 0, sizeof edge), from, (channels - c) * sizeof(REAL));
                d[i] = READ(from);
            }
            NAMED(winograd_g)(d, taps, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            NAMED(winograd_g)(half[i], taps, o);
            for (int j = 0; j < 6; j++) AT(to + (i * 6 + j) * plane) = o[j];
        }
    }
}

static void NAMED(winograd_filter)(ptrdiff_t taps, const REAL *g, ptrdiff_t tap, ptrdiff_t channels, ptrdiff_t row, ptrdiff_t rows,
                                   REAL *planes, ptrdiff_t plane) {
    if (taps == 3)
        NAMED(winograd_filter_of)(3, g, tap, channels, row, rows, planes, plane);
    else
        NAMED(winograd_filter_of)(5, g, tap, channels, row, rows, planes, plane);
}

/* dg = G' planes G for the filters of one input channel */
FASTNN_INLINE void NAMED(winograd_filter_gradient_of)(const int taps, const REAL *planes, ptrdiff_t plane, ptrdiff_t channels, REAL *dg,
                                                      ptrdiff_t tap) {
    for (ptrdiff_t v = 0; v < VECTORS(channels); v++) {
        const ptrdiff_t c = NAMED(winograd_channel)(v, channels);
        VECTOR half[5][6], d[6], o[5];
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) d[i] = READ(planes + (i * 6 + j) * plane + c);
            NAMED(winograd_gt)(d, taps, o);
            for (int i = 0; i < taps; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < taps; i++) {
            NAMED(winograd_gt)(half[i], taps, o);
            for (int j = 0; j < taps; j++) AT(dg + (i * taps + j) * tap + c) = o[j];
        }
    }
}

static void NAMED(winograd_filter_gradient)(ptrdiff_t taps, const REAL *planes, ptrdiff_t plane, ptrdiff_t channels, REAL *dg,
                                            ptrdiff_t tap) {
    if (taps == 3)
        NAMED(winograd_filter_gradient_of)(3, planes, plane, channels, dg, tap);
    else
        NAMED(winograd_filter_gradient_of)(5, planes, plane, channels, dg, tap);
}

#undef LANES
#undef AT
#undef READ
#undef VECTORS
