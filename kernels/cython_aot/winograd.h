/* The transforms of Winograd's F(4x4, 3x3) (Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.3),
 * vectorized over channels. With the 6x6 input tile d, the 3x3 filter g and the 4x4 output tile y:
 *
 *     y = A' [(G g G') * (B' d B)] A
 *
 * and, the same read backwards, the gradients by the filters and by the input
 *
 *     dg = G' [sum over tiles (B' d B) * (A dy A')] G        dd = B [(G g G') * (A dy A')] B'
 *
 * A transformed tile is spread over 36 planes `plane` elements apart, one for each of its elements. Channels are taken in vectors;
 * the last vector overlaps the one before where the channels do not fill it, so there are at least WINOGRAD_LANES of them.
 */
#ifndef FASTNN_WINOGRAD_H
#define FASTNN_WINOGRAD_H
#include "tile.h"

#if VECTOR_BYTES
#define WINOGRAD_LANES ((ptrdiff_t)(VECTOR_BYTES / sizeof(float)))
typedef vector_f32_wide winograd_vector;
#else
#define WINOGRAD_LANES ((ptrdiff_t)1)
typedef float winograd_vector;
#endif
#define WINOGRAD_AT(p) (*(winograd_vector *)(p))
#define WINOGRAD_READ(p) (*(const winograd_vector *)(p))

/* B' d for one column of six */
FASTNN_INLINE void winograd_bt(const winograd_vector d[6], winograd_vector o[6]) {
    const winograd_vector t0 = d[4] - 4.f * d[2], t1 = d[3] - 4.f * d[1], t2 = d[4] - d[2], t3 = 2.f * (d[3] - d[1]);
    o[0] = 4.f * d[0] - 5.f * d[2] + d[4];
    o[1] = t0 + t1;
    o[2] = t0 - t1;
    o[3] = t2 + t3;
    o[4] = t2 - t3;
    o[5] = 4.f * d[1] - 5.f * d[3] + d[5];
}

/* B m for one column of six */
FASTNN_INLINE void winograd_b(const winograd_vector m[6], winograd_vector o[6]) {
    const winograd_vector s1 = m[1] + m[2], d1 = m[1] - m[2], s3 = m[3] + m[4], d3 = 2.f * (m[3] - m[4]);
    o[0] = 4.f * m[0];
    o[1] = 4.f * (m[5] - d1) - d3;
    o[2] = -5.f * m[0] - 4.f * s1 - s3;
    o[3] = d1 + d3 - 5.f * m[5];
    o[4] = m[0] + s1 + s3;
    o[5] = m[5];
}

/* A' m for one column of six */
FASTNN_INLINE void winograd_at(const winograd_vector m[6], winograd_vector o[4]) {
    const winograd_vector s1 = m[1] + m[2], s2 = m[1] - m[2], s3 = m[3] + m[4], s4 = m[3] - m[4];
    o[0] = m[0] + s1 + s3;
    o[1] = s2 + 2.f * s4;
    o[2] = s1 + 4.f * s3;
    o[3] = s2 + 8.f * s4 + m[5];
}

/* A v for one column of four */
FASTNN_INLINE void winograd_a(const winograd_vector v[4], winograd_vector o[6]) {
    const winograd_vector even = v[0] + v[2], odd = v[1] + v[3], even2 = v[0] + 4.f * v[2], odd2 = 2.f * v[1] + 8.f * v[3];
    o[0] = v[0];
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = v[3];
}

/* G g for one column of three */
FASTNN_INLINE void winograd_g(const winograd_vector g[3], winograd_vector o[6]) {
    const winograd_vector a = (g[0] + g[2]) * (-1.f / 6), b = g[1] * (1.f / 6);
    const winograd_vector c = g[0] * (1.f / 24) + g[2] * (1.f / 6), d = g[1] * (1.f / 12);
    o[0] = g[0] * .25f;
    o[1] = a - b;
    o[2] = a + b;
    o[3] = c + d;
    o[4] = c - d;
    o[5] = g[2];
}

/* G' u for one column of six */
FASTNN_INLINE void winograd_gt(const winograd_vector u[6], winograd_vector o[3]) {
    const winograd_vector s1 = (u[1] + u[2]) * (1.f / 6), s3 = u[3] + u[4];
    o[0] = u[0] * .25f - s1 + s3 * (1.f / 24);
    o[1] = (u[2] - u[1]) * (1.f / 6) + (u[3] - u[4]) * (1.f / 12);
    o[2] = s3 * (1.f / 6) - s1 + u[5];
}

/* the first channel of vector v of `count` channels */
FASTNN_INLINE ptrdiff_t winograd_channel(ptrdiff_t v, ptrdiff_t count) {
    const ptrdiff_t channel = v * WINOGRAD_LANES;
    return channel + WINOGRAD_LANES <= count ? channel : count - WINOGRAD_LANES;
}
#define WINOGRAD_VECTORS(count) (((count) + WINOGRAD_LANES - 1) / WINOGRAD_LANES)

/* v without the lanes below `done`: what a last vector has in common with the one before */
FASTNN_INLINE winograd_vector winograd_from_lane(winograd_vector v, ptrdiff_t done) {
#if VECTOR_BYTES
    mask_f32_wide lane;
    for (int i = 0; i < WINOGRAD_LANES; i++) lane[i] = i >= done ? -1 : 0;
    return (winograd_vector)((mask_f32_wide)v & lane);
#else
    return v;
#endif
}

/* planes = B' d B for the tile whose pixels `pixel` points at (a line of zeros for those outside the image) */
static void winograd_input(const float *const pixel[36], ptrdiff_t channels, float *planes, ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < WINOGRAD_VECTORS(channels); v++) {
        const ptrdiff_t c = winograd_channel(v, channels);
        winograd_vector half[6][6], d[6], o[6];
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) d[i] = WINOGRAD_READ(pixel[i * 6 + j] + c);
            winograd_bt(d, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            winograd_bt(half[i], o);
            for (int j = 0; j < 6; j++) WINOGRAD_AT(planes + (i * 6 + j) * plane + c) = o[j];
        }
    }
}

/* the 4x4 pixels `pixel` points at (a scratch line for those outside) = A' planes A + bias, at least 0 with `relu` */
static void winograd_output(const float *planes, ptrdiff_t plane, const float *bias, int relu, ptrdiff_t channels, float *const pixel[16]) {
    for (ptrdiff_t v = 0; v < WINOGRAD_VECTORS(channels); v++) {
        const ptrdiff_t c = winograd_channel(v, channels);
        winograd_vector half[4][6], m[6], o[4], zero = {0}, start = zero;
        if (bias) start = WINOGRAD_READ(bias + c);
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) m[i] = WINOGRAD_READ(planes + (i * 6 + j) * plane + c);
            winograd_at(m, o);
            for (int i = 0; i < 4; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 4; i++) {
            winograd_at(half[i], o);
            for (int j = 0; j < 4; j++) {
                winograd_vector y = o[j] + start;
#if VECTOR_BYTES
                if (relu) y = (winograd_vector)((mask_f32_wide)y & ~(y <= zero)); /* not y > 0: a NaN stays one */
#else
                if (relu && y <= 0) y = 0;
#endif
                WINOGRAD_AT(pixel[i * 4 + j] + c) = y;
            }
        }
    }
}

/* planes = A dy A' for the 4x4 errors `pixel` points at (a line of zeros for those outside) */
static void winograd_errors(const float *const pixel[16], ptrdiff_t channels, float *planes, ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < WINOGRAD_VECTORS(channels); v++) {
        const ptrdiff_t c = winograd_channel(v, channels);
        winograd_vector half[6][4], d[4], o[6];
        for (int j = 0; j < 4; j++) {
            for (int i = 0; i < 4; i++) d[i] = WINOGRAD_READ(pixel[i * 4 + j] + c);
            winograd_a(d, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            winograd_a(half[i], o);
            for (int j = 0; j < 6; j++) WINOGRAD_AT(planes + (i * 6 + j) * plane + c) = o[j];
        }
    }
}

/* the 6x6 pixels `pixel` points at (a scratch line for those outside the image) += B planes B' */
static void winograd_input_gradient(const float *planes, ptrdiff_t plane, ptrdiff_t channels, float *const pixel[36]) {
    for (ptrdiff_t v = 0; v < WINOGRAD_VECTORS(channels); v++) {
        const ptrdiff_t c = winograd_channel(v, channels), done = v * WINOGRAD_LANES - c;
        winograd_vector half[6][6], m[6], o[6];
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) m[i] = WINOGRAD_READ(planes + (i * 6 + j) * plane + c);
            if (done > 0)
                for (int i = 0; i < 6; i++) m[i] = winograd_from_lane(m[i], done);
            winograd_b(m, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            winograd_b(half[i], o);
            for (int j = 0; j < 6; j++) WINOGRAD_AT(pixel[i * 6 + j] + c) += o[j];
        }
    }
}

/* planes = G g G' for the filters of one input channel; element (i, j) of g stands at g + (i * 3 + j) * tap */
static void winograd_filter(const float *g, ptrdiff_t tap, ptrdiff_t channels, float *planes, ptrdiff_t plane) {
    for (ptrdiff_t v = 0; v < WINOGRAD_VECTORS(channels); v++) {
        const ptrdiff_t c = winograd_channel(v, channels);
        winograd_vector half[6][3], d[3], o[6];
        for (int j = 0; j < 3; j++) {
            for (int i = 0; i < 3; i++) d[i] = WINOGRAD_READ(g + (i * 3 + j) * tap + c);
            winograd_g(d, o);
            for (int i = 0; i < 6; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 6; i++) {
            winograd_g(half[i], o);
            for (int j = 0; j < 6; j++) WINOGRAD_AT(planes + (i * 6 + j) * plane + c) = o[j];
        }
    }
}

/* dg = G' planes G for the filters of one input channel */
static void winograd_filter_gradient(const float *planes, ptrdiff_t plane, ptrdiff_t channels, float *dg, ptrdiff_t tap) {
    for (ptrdiff_t v = 0; v < WINOGRAD_VECTORS(channels); v++) {
        const ptrdiff_t c = winograd_channel(v, channels);
        winograd_vector half[3][6], d[6], o[3];
        for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) d[i] = WINOGRAD_READ(planes + (i * 6 + j) * plane + c);
            winograd_gt(d, o);
            for (int i = 0; i < 3; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < 3; i++) {
            winograd_gt(half[i], o);
            for (int j = 0; j < 3; j++) WINOGRAD_AT(dg + (i * 3 + j) * tap + c) = o[j];
        }
    }
}
#endif
