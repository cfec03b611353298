/* Windows of single channels: the results of a depthwise convolution, and the sums that are the gradient of its filters. Channels fill
 * vectors, the last of which overlaps the one before. A few windows' results stay in registers while the taps run, or the sums of a few
 * taps while the windows run.
 */
#ifndef FASTNN_DEPTHWISE_H
#define FASTNN_DEPTHWISE_H
#include "tile.h"

/* Windows side by side, and how many elements apart they are. All have the same taps. */
typedef struct {
    ptrdiff_t windows, rows, taps, channels;
    ptrdiff_t x_window, x_row, x_tap; /* in the image: from a window, a row of taps, a tap to the next */
    ptrdiff_t w_row, w_tap;           /* in the filters */
    ptrdiff_t y_window;               /* in the results */
} fastnn_windows;

enum {
    DEPTHWISE_WINDOWS = 8, /* whose results are in registers at the same time */
    DEPTHWISE_TAPS = 4,    /* whose sums are */
    DEPTHWISE_RUN = 32     /* windows that are summed before the next channels are read, as near as they are in memory */
};

#define REAL float
#if VECTOR_BYTES
#define VECTOR vector_f32_wide
#define NAMED(name) name##_f32_wide
#include "depthwise_real.h"
#undef VECTOR
#undef NAMED
#define VECTOR vector_f32_half
#define NAMED(name) name##_f32_half
#include "depthwise_real.h"
#undef VECTOR
#undef NAMED
#endif
#define VECTOR float
#define NAMED(name) name##_f32_one
#include "depthwise_real.h"
#undef VECTOR
#undef NAMED
#undef REAL

#define REAL double
#if VECTOR_BYTES
#define VECTOR vector_f64_wide
#define NAMED(name) name##_f64_wide
#include "depthwise_real.h"
#undef VECTOR
#undef NAMED
#define VECTOR vector_f64_half
#define NAMED(name) name##_f64_half
#include "depthwise_real.h"
#undef VECTOR
#undef NAMED
#endif
#define VECTOR double
#define NAMED(name) name##_f64_one
#include "depthwise_real.h"
#undef VECTOR
#undef NAMED
#undef REAL

#if VECTOR_BYTES
#define DEPTHWISE_BY_WIDTH(name, type, ...)                                                                                          \
    const ptrdiff_t lanes = VECTOR_BYTES / sizeof(*x);                                                                               \
    if (at->channels >= lanes) name##_##type##_wide(at, __VA_ARGS__);                                                                \
    else if (at->channels >= lanes / 2) name##_##type##_half(at, __VA_ARGS__);                                                       \
    else name##_##type##_one(at, __VA_ARGS__);
#else
#define DEPTHWISE_BY_WIDTH(name, type, ...) name##_##type##_one(at, __VA_ARGS__);
#endif

/* y = bias + the sum over a window's taps of x * w, for each window and channel; without `bias` where it is NULL. */
#define DEFINE_DEPTHWISE(type, real)                                                                                                 \
    static void depthwise_results_##type(const fastnn_windows *at, const real *x, const real *w, const real *bias, real *y) {        \
        DEPTHWISE_BY_WIDTH(results, type, x, w, bias, y)                                                                             \
    }                                                                                                                                \
    /* dw += the sum over windows of x * dy, for each tap and channel. */                                                            \
    static void depthwise_gradient_##type(const fastnn_windows *at, const real *x, const real *dy, real *dw) {                       \
        DEPTHWISE_BY_WIDTH(gradient, type, x, dy, dw)                                                                                \
    }
DEFINE_DEPTHWISE(f32, float)
DEFINE_DEPTHWISE(f64, double)
#endif
