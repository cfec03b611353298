/* Windows of single channels for one float type and vector; depthwise.h includes this with REAL, VECTOR and NAMED(name) defined. */

#define LANES ((ptrdiff_t)(sizeof(VECTOR) / sizeof(REAL)))
#define READ(p) (*(const VECTOR *)(p))
#define WRITE(p) (*(VECTOR *)(p))

/* One vector of channels of `count` windows, a constant, so that `sum` becomes registers. */
FASTNN_INLINE void NAMED(results_of)(const int count, const fastnn_windows *at, const REAL *x, const REAL *w, const REAL *bias, REAL *y) {
    VECTOR sum[DEPTHWISE_WINDOWS];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) sum[i] = bias ? READ(bias) : (VECTOR){0};
    for (ptrdiff_t r = 0; r < at->rows; r++)
        for (ptrdiff_t t = 0; t < at->taps; t++) {
            const VECTOR right = READ(w + r * at->w_row + t * at->w_tap);
            const REAL *left = x + r * at->x_row + t * at->x_tap;
#pragma GCC unroll 8
            for (int i = 0; i < count; i++) sum[i] += READ(left + i * at->x_window) * right;
        }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) WRITE(y + i * at->y_window) = sum[i];
}

/* All channels of `count` windows, a constant. */
FASTNN_INLINE void NAMED(channels_of)(const int count, const fastnn_windows *at, const REAL *x, const REAL *w, const REAL *bias, REAL *y) {
    for (ptrdiff_t k = 0; k < at->channels; k += LANES) {
        const ptrdiff_t c = k + LANES <= at->channels ? k : at->channels - LANES;
        NAMED(results_of)(count, at, x + c, w + c, bias ? bias + c : NULL, y + c);
    }
}

static void NAMED(results)(const fastnn_windows *at, const REAL *x, const REAL *w, const REAL *bias, REAL *y) {
    ptrdiff_t left = at->windows;
    for (; left >= DEPTHWISE_WINDOWS; left -= DEPTHWISE_WINDOWS) {
        NAMED(channels_of)(DEPTHWISE_WINDOWS, at, x, w, bias, y);
        x += DEPTHWISE_WINDOWS * at->x_window;
        y += DEPTHWISE_WINDOWS * at->y_window;
    }
    for (; left >= 2; left -= 2, x += 2 * at->x_window, y += 2 * at->y_window) NAMED(channels_of)(2, at, x, w, bias, y);
    if (left) NAMED(channels_of)(1, at, x, w, bias, y);
}

/* The sums of `count` taps, a constant, in one row of them; even and odd windows have sums of their own, so that no multiply-add waits
 * for the one before. Only channels from `first` of the vector are added to dw. */
FASTNN_INLINE void NAMED(gradient_of)(const int count, const fastnn_windows *at, ptrdiff_t left, const REAL *x, const REAL *dy, REAL *dw,
                                      ptrdiff_t first) {
    VECTOR even[DEPTHWISE_TAPS], odd[DEPTHWISE_TAPS];
    REAL lane[LANES];
#pragma GCC unroll 4
    for (int t = 0; t < count; t++) even[t] = odd[t] = (VECTOR){0};
    for (; left >= 2; left -= 2, x += 2 * at->x_window, dy += 2 * at->y_window) {
        const VECTOR one = READ(dy), other = READ(dy + at->y_window);
#pragma GCC unroll 4
        for (int t = 0; t < count; t++) {
            even[t] += READ(x + t * at->x_tap) * one;
            odd[t] += READ(x + t * at->x_tap + at->x_window) * other;
        }
    }
    if (left)
#pragma GCC unroll 4
        for (int t = 0; t < count; t++) even[t] += READ(x + t * at->x_tap) * READ(dy);
#pragma GCC unroll 4
    for (int t = 0; t < count; t++) {
        REAL *to = dw + t * at->w_tap;
        if (first == 0) {
            WRITE(to) = READ(to) + (even[t] + odd[t]);
            continue;
        }
        WRITE(lane) = even[t] + odd[t];
        for (ptrdiff_t i = first; i < LANES; i++) to[i] += lane[i];
    }
}

static void NAMED(gradient)(const fastnn_windows *at, const REAL *x, const REAL *dy, REAL *dw) {
    for (ptrdiff_t done = 0; done < at->windows; done += DEPTHWISE_RUN) {
        const ptrdiff_t left = at->windows - done < DEPTHWISE_RUN ? at->windows - done : DEPTHWISE_RUN;
        for (ptrdiff_t k = 0; k < at->channels; k += LANES) {
            const ptrdiff_t c = k + LANES <= at->channels ? k : at->channels - LANES;
            for (ptrdiff_t r = 0; r < at->rows; r++)
                for (ptrdiff_t t = 0; t < at->taps; t += DEPTHWISE_TAPS) {
                    const REAL *from = x + r * at->x_row + t * at->x_tap + c;
                    REAL *to = dw + r * at->w_row + t * at->w_tap + c;
                    switch (at->taps - t) {
                        case 1: NAMED(gradient_of)(1, at, left, from, dy + c, to, k - c); break;
                        case 2: NAMED(gradient_of)(2, at, left, from, dy + c, to, k - c); break;
                        case 3: NAMED(gradient_of)(3, at, left, from, dy + c, to, k - c); break;
                        default: NAMED(gradient_of)(4, at, left, from, dy + c, to, k - c);
                    }
                }
        }
        x += left * at->x_window;
        dy += left * at->y_window;
    }
}

#undef LANES
#undef READ
#undef WRITE
