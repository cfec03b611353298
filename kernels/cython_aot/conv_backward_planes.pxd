"""The gradient of a convolution's input where its channels are few: pixels, not channels, are what fills the vectors.

P[taps, pixels] = W[taps, filters] E[filters, pixels] is what each element of the filters carries back from a block of errors, which are
transposed into E. Each row of P is then added to the pixels that this element meets. They stand side by side because the image is kept
padded and in planes: one for each channel and, with a stride, for each of the columns that it steps over. At the end the rows of the planes
become pixels again.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from call cimport real
from columns cimport add_runs, fastnn_runs
from gemm cimport (LINE_BYTES, PANEL_BYTES, PANEL_ROWS, PARALLEL_FLOPS, TILE_ACCUMULATE, first_line, multiply_segments, pack_columns,
                   panel_width, tile_width)
from patches cimport BLOCK_BYTES, Window
from transpose cimport transpose_rows

cdef enum:
    # Measured on levels v2 to v4: a filter with more elements than MOST_TAPS fills other tiles as well; what is added takes longer than what
    # is multiplied with less than LEAST_FILTERS, or where a tile has less than LEAST_PIXELS columns
    MOST_TAPS = 32
    LEAST_FILTERS = 8
    LEAST_PIXELS = 8


cdef struct Planes:
    Window window
    Py_ssize_t filters, co
    Py_ssize_t taps  # elements of one filter
    Py_ssize_t rows, planes, length  # of the padded image; planes for each row, elements of each in a row
    Py_ssize_t lines  # rows of output pixels in a block


cdef inline bint planes_pay(const Window *window, Py_ssize_t filters, const real *tag) noexcept nogil:
    return window.kh * window.kw * window.c <= MOST_TAPS and filters >= LEAST_FILTERS and panel_width(tag) >= LEAST_PIXELS


cdef inline bint convolve_back_planes(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n, Py_ssize_t filters,
                                      Py_ssize_t co, int threads) noexcept nogil:
    """dx for the channels and filters of one group; False if there is no memory for it."""
    cdef Py_ssize_t taps = window.kh * window.kw * window.c, image
    cdef Py_ssize_t fitting = min(BLOCK_BYTES // (taps * <Py_ssize_t>sizeof(real)), 4 * panel_width(dy)) // window.ow
    cdef Planes planes = Planes(window=window[0], filters=filters, co=co, taps=taps,
                                rows=(window.oh - 1) * window.stride_h + (window.kh - 1) * window.dilation_h + 1,
                                planes=window.stride_w * window.c, length=window.ow + (window.kw - 1) * window.dilation_w // window.stride_w,
                                lines=max(min(fitting, window.oh), 1))
    cdef Py_ssize_t scratch = (planes.rows + 1) * planes.planes * planes.length + taps * planes.lines * window.ow
    cdef int team = 1 if 2 * n * window.oh * window.ow * taps * filters < PARALLEL_FLOPS else threads
    cdef real *own = <real *>malloc(team * scratch * sizeof(real))
    if own == NULL:
        return False
    if team == 1:
        for image in range(n):
            _image(dy + image * window.oh * window.ow * co, w, dx + image * window.ih * window.iw * window.pixel, &planes, own)
    else:
        with parallel(num_threads=team):
            for image in prange(n, schedule="static"):
                _image(dy + image * window.oh * window.ow * co, w, dx + image * window.ih * window.iw * window.pixel, &planes,
                       own + threadid() * scratch)
    free(own)
    return True


cdef inline void _image(const real *dy, const real *w, real *dx, const Planes *planes, real *padded) noexcept nogil:
    """Compute dx of one image. `padded` has room for the planes, one more row of them, and the products of a block."""
    cdef const Window *window = &planes.window
    cdef Py_ssize_t row = planes.planes * planes.length, line = 0, lines
    cdef real *pixels = padded + planes.rows * row
    cdef real *products = pixels + row
    memset(padded, 0, planes.rows * row * sizeof(real))
    while line < window.oh:
        lines = min(planes.lines, window.oh - line)
        _multiply(dy + line * window.ow * planes.co, w, products, planes, lines * window.ow)
        _add(products, padded + line * window.stride_h * row, planes, lines)
        line += lines
    for line in range(window.ih):
        _write(padded, pixels, dx + line * window.iw * window.pixel, planes, line + window.pad_top)


cdef inline void _multiply(const real *dy, const real *w, real *products, const Planes *planes, Py_ssize_t pixels) noexcept nogil:
    """products[taps, pixels] = W[taps, filters] E[filters, pixels], a panel of pixels at a time."""
    cdef char memory[PANEL_ROWS * PANEL_BYTES + LINE_BYTES]
    cdef real *packed = first_line(memory, dy)
    cdef Py_ssize_t width = panel_width(dy), panel, left, n, step, first, depth
    for panel in range((pixels + width - 1) // width):
        left = panel * width
        n = min(width, pixels - left)
        for step in range((planes.filters + PANEL_ROWS - 1) // PANEL_ROWS):
            first = step * PANEL_ROWS
            depth = min(<Py_ssize_t>PANEL_ROWS, planes.filters - first)
            pack_columns(dy + left * planes.co + first, planes.co, 0, depth, depth, n, packed)
            multiply_segments(w + first, planes.co, 1, 0, packed, tile_width(n, sizeof(real)), products + left, pixels, planes.taps, 1,
                              depth, n, <const real *>NULL, TILE_ACCUMULATE if step else 0)


cdef inline void _add(const real *products, real *padded, const Planes *planes, Py_ssize_t lines) noexcept nogil:
    """Add the products of `lines` rows of output pixels to the planes, `padded` being the first row that they meet."""
    cdef const Window *window = &planes.window
    cdef Py_ssize_t row = planes.planes * planes.length, pixels = lines * window.ow, j, place
    cdef fastnn_runs runs
    # loops over the rows of the filters, channels and rows of output pixels
    runs.count[:] = [window.kh, window.c, lines, 1]
    runs.image[:] = [window.dilation_h * row, planes.length, window.stride_h * row, 0]
    runs.patch[:] = [window.kw * window.c * pixels, pixels, window.ow, 0]
    runs.run = window.ow
    for j in range(window.kw):
        place = j * window.dilation_w
        add_runs(&runs, products + j * window.c * pixels,
                 padded + place % window.stride_w * window.c * planes.length + place // window.stride_w)


cdef inline void _write(const real *padded, real *pixels, real *dx, const Planes *planes, Py_ssize_t row) noexcept nogil:
    """Write what row `row` of the padded image holds, inside the padding, to a row of dx."""
    cdef const Window *window = &planes.window
    cdef Py_ssize_t inside = 0, i
    if row < planes.rows:
        inside = max(min(window.iw, planes.length * window.stride_w - window.pad_left), 0)
        transpose_rows(padded + row * planes.planes * planes.length, planes.planes, planes.length, pixels, planes.planes)
        pixels += window.pad_left * window.c
    if window.pixel == window.c:
        memcpy(dx, pixels, inside * window.c * sizeof(real))
        memset(dx + inside * window.c, 0, (window.iw - inside) * window.c * sizeof(real))
        return
    for i in range(window.iw):
        if i < inside:
            memcpy(dx + i * window.pixel, pixels + i * window.c, window.c * sizeof(real))
        else:
            memset(dx + i * window.pixel, 0, window.c * sizeof(real))
