"""Depthwise convolution, one filter per channel: nothing to multiply as matrices, so windows are summed where they lie (depthwise.h).

A row of results is cut at the edges of the image: the windows that lie inside from side to side have all taps of a row, and are summed
together; the others one by one, with the taps that are inside.
"""

from cython.parallel cimport prange
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from activate cimport activate_inplace
from call cimport real
from patches cimport Window

cdef extern from "depthwise.h" nogil:
    ctypedef struct fastnn_windows:
        Py_ssize_t windows, rows, taps, channels
        Py_ssize_t x_window, x_row, x_tap
        Py_ssize_t w_row, w_tap
        Py_ssize_t y_window
    void depthwise_results_f32(const fastnn_windows *at, const float *x, const float *w, const float *bias, float *y)
    void depthwise_results_f64(const fastnn_windows *at, const double *x, const double *w, const double *bias, double *y)
    void depthwise_gradient_f32(const fastnn_windows *at, const float *x, const float *dy, float *dw)
    void depthwise_gradient_f64(const fastnn_windows *at, const double *x, const double *dy, double *dw)

cdef enum:
    DEPTHWISE_PARALLEL = 65536  # multiply-adds below which a second thread costs more than it brings
    DEPTHWISE_CHUNKS = 8  # chunks into which the gradient of the filters cuts the rows of results, at most


cdef struct Axis:
    # Rows or columns. The window of result o begins at start + o * step of `extent` pixels, and its taps are `tap` apart. They meet
    # elements weight, weight + weight_tap, ... of the filter.
    Py_ssize_t results, extent
    Py_ssize_t start, step
    Py_ssize_t taps, tap
    Py_ssize_t weight, weight_tap


cdef inline Axis _forward_axis(Py_ssize_t results, Py_ssize_t extent, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t pad,
                               Py_ssize_t dilation) noexcept nogil:
    return Axis(results=results, extent=extent, start=-pad, step=stride, taps=taps, tap=dilation, weight=0, weight_tap=1)


cdef inline Axis _backward_axis(Py_ssize_t pixels, Py_ssize_t errors, Py_ssize_t taps, Py_ssize_t stride, Py_ssize_t pad,
                                Py_ssize_t dilation, Py_ssize_t phase) noexcept nogil:
    """Pixels phase, phase + stride, ... of the image, seen as results of a convolution of the errors.

    Tap i took pixel h to error (h + pad - i * dilation) / stride, where that is whole: every (stride / divisor)th tap does, or none,
    with the greatest common divisor of stride and dilation. A later tap meets an earlier error, so the last one comes first.
    """
    cdef Py_ssize_t divisor = stride, rest = dilation, every, first = 0, count
    while rest:
        divisor, rest = rest, divisor % rest
    every = stride // divisor
    while first < every and (phase + pad - first * dilation) % stride:
        first += 1
    count = (taps - first + every - 1) // every if first < min(every, taps) else 0
    first += (count - 1) * every  # the last tap
    return Axis(results=(pixels - phase + stride - 1) // stride, extent=errors, start=(phase + pad - first * dilation) // stride, step=1,
                taps=count, tap=dilation // divisor, weight=first, weight_tap=-every)


cdef inline Py_ssize_t _first_tap(const Axis *axis, Py_ssize_t o) noexcept nogil:
    """The first tap of result o inside the image."""
    cdef Py_ssize_t tap = 0, position = axis.start + o * axis.step
    while tap < axis.taps and position < 0:
        tap += 1
        position += axis.tap
    return tap


cdef inline Py_ssize_t _last_tap(const Axis *axis, Py_ssize_t o) noexcept nogil:
    """The tap behind the last one of result o inside the image."""
    cdef Py_ssize_t tap = axis.taps, position = axis.start + o * axis.step + (axis.taps - 1) * axis.tap
    while tap > 0 and position >= axis.extent:
        tap -= 1
        position -= axis.tap
    return tap


cdef inline fastnn_windows _line_windows(const Axis *rows, const Axis *columns, Py_ssize_t line, Py_ssize_t top, Py_ssize_t kw, Py_ssize_t c,
                                         Py_ssize_t pitch) noexcept nogil:
    """Windows of a line of results, `pitch` elements apart, whose first row of taps is `top`; `_windows_alike` says which."""
    return fastnn_windows(windows=0, rows=max(_last_tap(rows, line) - top, 0), taps=0, channels=c, x_window=columns.step * c,
                          x_row=rows.tap * columns.extent * c, x_tap=columns.tap * c, w_row=rows.weight_tap * kw * c,
                          w_tap=columns.weight_tap * c, y_window=pitch)


cdef inline Py_ssize_t _windows_alike(const Axis *columns, Py_ssize_t o, fastnn_windows *at) noexcept nogil:
    """Find how many results from o on have the same taps, one or all those of whole windows; return the first of the taps."""
    cdef Py_ssize_t first = columns.start + o * columns.step, last = first + (columns.taps - 1) * columns.tap, left = _first_tap(columns, o)
    at.windows = 1 if first < 0 or last >= columns.extent else min(columns.results - o, (columns.extent - 1 - last) // columns.step + 1)
    at.taps = max(_last_tap(columns, o) - left, 0)
    return left


cdef inline int _team(const Window *window, Py_ssize_t n, int threads) noexcept nogil:
    cdef Py_ssize_t work = n * window.oh * window.ow * window.kh * window.kw * window.pixel
    return threads if work >= DEPTHWISE_PARALLEL else 1


cdef inline void _sum_line(const real *x, const real *w, const real *b, real *y, const Axis *rows, const Axis *columns, Py_ssize_t line,
                           Py_ssize_t kw, Py_ssize_t c, Py_ssize_t pitch) noexcept nogil:
    """Compute a line of results, `pitch` elements apart, from an image."""
    cdef Py_ssize_t top = _first_tap(rows, line), o = 0, left
    cdef fastnn_windows at = _line_windows(rows, columns, line, top, kw, c, pitch)
    x += (rows.start + line * rows.step + top * rows.tap) * columns.extent * c
    w += (rows.weight + top * rows.weight_tap) * kw * c
    while o < columns.results:
        left = _windows_alike(columns, o, &at)
        if real is float:
            depthwise_results_f32(&at, x + (columns.start + o * columns.step + left * columns.tap) * c,
                                  w + (columns.weight + left * columns.weight_tap) * c, b, y + o * pitch)
        else:
            depthwise_results_f64(&at, x + (columns.start + o * columns.step + left * columns.tap) * c,
                                  w + (columns.weight + left * columns.weight_tap) * c, b, y + o * pitch)
        o += at.windows


cdef inline void depthwise_forward(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t n,
                                   Py_ssize_t activation, double alpha, int threads) noexcept nogil:
    cdef Py_ssize_t line
    if _team(window, n, threads) == 1:
        for line in range(n * window.oh):
            _forward_line(x, w, b, y, window, line, activation, alpha)
    else:
        for line in prange(n * window.oh, num_threads=threads, schedule="static"):
            _forward_line(x, w, b, y, window, line, activation, alpha)


cdef inline void _forward_line(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t line,
                               Py_ssize_t activation, double alpha) noexcept nogil:
    """Compute one row of output pixels."""
    cdef Py_ssize_t c = window.pixel
    cdef Axis rows = _forward_axis(window.oh, window.ih, window.kh, window.stride_h, window.pad_top, window.dilation_h)
    cdef Axis columns = _forward_axis(window.ow, window.iw, window.kw, window.stride_w, window.pad_left, window.dilation_w)
    cdef real *out = y + line * window.ow * c
    _sum_line(x + line // window.oh * window.ih * window.iw * c, w, b, out, &rows, &columns, line % window.oh, window.kw, c, c)
    activate_inplace(out, window.ow * c, activation, <real>alpha)


cdef inline void depthwise_backward_input(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n,
                                          int threads) noexcept nogil:
    cdef Py_ssize_t line
    if _team(window, n, threads) == 1:
        for line in range(n * window.ih):
            _backward_line(dy, w, dx, window, line)
    else:
        for line in prange(n * window.ih, num_threads=threads, schedule="static"):
            _backward_line(dy, w, dx, window, line)


cdef inline void _backward_line(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t line) noexcept nogil:
    """Compute the gradient of one row of pixels."""
    cdef Py_ssize_t c = window.pixel, h = line % window.ih, phase, stride = window.stride_w
    cdef Axis columns, rows = _backward_axis(window.ih, window.oh, window.kh, window.stride_h, window.pad_top, window.dilation_h,
                                             h % window.stride_h)
    dy += line // window.ih * window.oh * window.ow * c
    for phase in range(min(stride, window.iw)):
        columns = _backward_axis(window.iw, window.ow, window.kw, stride, window.pad_left, window.dilation_w, phase)
        _sum_line(dy, w, <const real *>NULL, dx + (line * window.iw + phase) * c, &rows, &columns, h // window.stride_h, window.kw, c,
                  stride * c)


cdef inline void depthwise_backward_weight(const real *x, const real *dy, real *dw, real *db, const Window *window, Py_ssize_t n,
                                           int threads) noexcept nogil:
    """dw, and db where it is not NULL: summed in chunks of rows, as many as the shape alone says, which are added in order."""
    cdef Py_ssize_t taps = window.kh * window.kw, c = window.pixel, chunks = min(n * window.oh, <Py_ssize_t>DEPTHWISE_CHUNKS), chunk, i
    cdef real *partial = <real *>malloc((chunks - 1) * (taps + 1) * c * sizeof(real)) if chunks > 1 else NULL
    if partial == NULL:
        chunks = 1
    if _team(window, n, threads) == 1:
        for chunk in range(chunks):
            _weight_chunk(x, dy, dw, db, partial, window, n, chunk, chunks)
    else:
        for chunk in prange(chunks, num_threads=threads, schedule="static"):
            _weight_chunk(x, dy, dw, db, partial, window, n, chunk, chunks)
    for chunk in range(chunks - 1):
        for i in range(taps * c):
            dw[i] += partial[chunk * (taps + 1) * c + i]
        if db:
            for i in range(c):
                db[i] += partial[(chunk * (taps + 1) + taps) * c + i]
    free(partial)


cdef inline void _weight_chunk(const real *x, const real *dy, real *dw, real *db, real *partial, const Window *window, Py_ssize_t n,
                               Py_ssize_t chunk, Py_ssize_t chunks) noexcept nogil:
    """Sum a chunk of the rows of results into dw and db, or into the chunk's partial sums."""
    cdef Py_ssize_t taps = window.kh * window.kw, c = window.pixel, lines = n * window.oh, line
    if chunk > 0:
        dw = partial + (chunk - 1) * (taps + 1) * c
        db = dw + taps * c if db else NULL
    memset(dw, 0, taps * c * sizeof(real))
    if db:
        memset(db, 0, c * sizeof(real))
    for line in range(chunk * lines // chunks, (chunk + 1) * lines // chunks):
        _weight_line(x + line // window.oh * window.ih * window.iw * c, dy + line * window.ow * c, dw, db, window, line % window.oh)


cdef inline void _weight_line(const real *x, const real *dy, real *dw, real *db, const Window *window, Py_ssize_t line) noexcept nogil:
    """Add one row of results, whose errors are at dy."""
    cdef Py_ssize_t c = window.pixel, top, o = 0, left, k
    cdef Axis rows = _forward_axis(window.oh, window.ih, window.kh, window.stride_h, window.pad_top, window.dilation_h)
    cdef Axis columns = _forward_axis(window.ow, window.iw, window.kw, window.stride_w, window.pad_left, window.dilation_w)
    cdef fastnn_windows at
    top = _first_tap(&rows, line)
    at = _line_windows(&rows, &columns, line, top, window.kw, c, c)
    x += (rows.start + line * rows.step + top * rows.tap) * columns.extent * c
    dw += top * window.kw * c
    while o < columns.results:
        left = _windows_alike(&columns, o, &at)
        if real is float:
            depthwise_gradient_f32(&at, x + (columns.start + o * columns.step + left * columns.tap) * c, dy + o * c, dw + left * c)
        else:
            depthwise_gradient_f64(&at, x + (columns.start + o * columns.step + left * columns.tap) * c, dy + o * c, dw + left * c)
        o += at.windows
    if db:
        for o in range(window.ow):
            for k in range(c):
                db[k] += dy[o * c + k]
