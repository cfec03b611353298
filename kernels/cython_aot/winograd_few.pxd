"""Winograd's algorithm for layers of fewer tiles than filters: it is the tiles that are transformed once and kept, not the filters.

Deep layers have small images and many channels. 512 filters of 512 channels take 37 MB when transformed, more than caches hold, and
what 32 tiles make of them is too little for having written and read that. So each thread transforms a panel of filters after the other,
a few vectors wide, uses them on all tiles, and forgets them. Panels share nothing that is written.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from call cimport real
from gemm cimport LINE_BYTES, first_line, panel_width
from patches cimport Window
from transpose cimport transpose_rows
from winograd_tiles cimport (PLANES, add_errors, add_input_gradient, filter_plane, lanes_of, multiply_filters, multiply_tiles,
                             plane_pitch, planes_size, read_errors, read_inputs, row_pitch, tiles_of, whole_lines, winograd_filter,
                             winograd_filter_gradient, write_outputs)


cdef inline Py_ssize_t panels_of(Py_ssize_t channels, const real *tag) noexcept nogil:
    """Number of panels of so many channels; what is left is one more if it fills a vector, and else part of the last one."""
    return max((channels + panel_width(tag) - lanes_of(tag)) // panel_width(tag), 1)


cdef inline Py_ssize_t _panel_channels(Py_ssize_t panel, Py_ssize_t channels, const real *tag) noexcept nogil:
    return channels - panel * panel_width(tag) if panel == panels_of(channels, tag) - 1 else panel_width(tag)


cdef inline Py_ssize_t _widest(const real *tag) noexcept nogil:
    """Channels of a panel, at most."""
    return panel_width(tag) + lanes_of(tag)


cdef inline bint few_forward(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t n, Py_ssize_t filters,
                             Py_ssize_t activation, double alpha, int threads) noexcept nogil:
    """See `winograd_forward`."""
    cdef Py_ssize_t c = window.c, tiles = tiles_of(window, n), plane = plane_pitch(tiles, c, x), task
    # each thread's filters, their products, and a line to write where a tile leaves the image
    cdef Py_ssize_t scratch = whole_lines(PLANES * filter_plane(c, _widest(w), w) + planes_size(tiles, _widest(w), w) + _widest(w), x)
    # the tiles, and a line of zeros to read there
    cdef Py_ssize_t shared = whole_lines(PLANES * plane + c, x)
    cdef void *memory = malloc((shared + threads * scratch) * sizeof(real) + LINE_BYTES)
    cdef real *inputs = first_line(<char *>memory, x)
    cdef real *own = inputs + shared
    if memory == NULL:
        return False
    memset(inputs + PLANES * plane, 0, c * sizeof(real))
    if threads == 1:
        read_inputs(x, window, inputs + PLANES * plane, inputs, plane, 0, tiles)
        for task in range(panels_of(filters, w)):
            _forward_panel(inputs, w, b, y, window, tiles, filters, task, activation, alpha, own)
    else:
        with parallel(num_threads=threads):
            for task in prange(tiles, schedule="static"):
                read_inputs(x, window, inputs + PLANES * plane, inputs + task * row_pitch(c, x), plane, task, 1)
            for task in prange(panels_of(filters, w), schedule="dynamic"):
                _forward_panel(inputs, w, b, y, window, tiles, filters, task, activation, alpha, own + threadid() * scratch)
    free(memory)
    return True


cdef inline void _forward_panel(const real *inputs, const real *w, const real *b, real *y, const Window *window, Py_ssize_t tiles,
                                Py_ssize_t filters, Py_ssize_t panel, Py_ssize_t activation, double alpha, real *planes) noexcept nogil:
    """Compute the channels of a panel of filters."""
    cdef Py_ssize_t c = window.c, first = panel * panel_width(w), count = _panel_channels(panel, filters, w), row
    cdef real *products = planes + PLANES * filter_plane(c, _widest(w), w)
    for row in range(c):
        winograd_filter(window.kh, w + row * filters + first, c * filters, count, row, c, planes)
    multiply_filters(inputs, planes, products, tiles, c, count)
    write_outputs(products, b + first if b else NULL, y + first, window, filters, count, activation, alpha,
                  products + planes_size(tiles, _widest(w), w), 0, tiles)


cdef inline bint few_backward_input(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n, Py_ssize_t filters,
                                    int threads) noexcept nogil:
    """See `winograd_backward_input`."""
    cdef Py_ssize_t c = window.c, tiles = tiles_of(window, n), plane = plane_pitch(tiles, filters, dy), task
    # each thread's filters, their taps and then products, and a line to write
    cdef Py_ssize_t scratch = whole_lines(PLANES * filter_plane(filters, _widest(w), w) + _taps_or_products(window, tiles, filters, w)
                                          + _widest(w), dy)
    cdef Py_ssize_t shared = whole_lines(PLANES * plane + filters, dy), image = window.ih * window.iw * c
    cdef void *memory = malloc((shared + threads * scratch) * sizeof(real) + LINE_BYTES)
    cdef real *errors = first_line(<char *>memory, dy)
    cdef real *own = errors + shared
    if memory == NULL:
        return False
    memset(errors + PLANES * plane, 0, filters * sizeof(real))
    if threads == 1:
        read_errors(dy, window, filters, errors + PLANES * plane, errors, plane, 0, tiles)
        memset(dx, 0, n * image * sizeof(real))
        for task in range(panels_of(c, w)):
            _backward_panel(errors, w, dx, window, tiles, filters, task, own)
    else:
        with parallel(num_threads=threads):
            for task in prange(tiles, schedule="static"):
                read_errors(dy, window, filters, errors + PLANES * plane, errors + task * row_pitch(filters, dy), plane, task, 1)
            for task in prange(n, schedule="static"):
                memset(dx + task * image, 0, image * sizeof(real))
            for task in prange(panels_of(c, w), schedule="dynamic"):
                _backward_panel(errors, w, dx, window, tiles, filters, task, own + threadid() * scratch)
    free(memory)
    return True


cdef inline Py_ssize_t _taps_or_products(const Window *window, Py_ssize_t tiles, Py_ssize_t filters, const real *tag) noexcept nogil:
    """Elements of the taps of a panel of the input's channels, or of their products, which take the place of the taps."""
    return max(window.kh * window.kw * filters * _widest(tag), planes_size(tiles, _widest(tag), tag))


cdef inline void _backward_panel(const real *errors, const real *w, real *dx, const Window *window, Py_ssize_t tiles, Py_ssize_t filters,
                                 Py_ssize_t panel, real *planes) noexcept nogil:
    """Add up the gradient of a panel of channels of the input."""
    cdef Py_ssize_t c = window.c, first = panel * panel_width(w), count = _panel_channels(panel, c, w), p, row, tile
    cdef real *taps = planes + PLANES * filter_plane(filters, _widest(w), w)
    cdef real *products = taps
    cdef real *outside = taps + _taps_or_products(window, tiles, filters, w)
    memset(outside, 0, count * sizeof(real))
    for p in range(window.kh * window.kw):
        transpose_rows(w + (p * c + first) * filters, count, filters, taps + p * filters * count, count)
    for row in range(filters):
        winograd_filter(window.kh, taps + row * count, filters * count, count, row, filters, planes)
    multiply_filters(errors, planes, products, tiles, filters, count)
    for tile in range(tiles):
        add_input_gradient(products + tile * row_pitch(count, w), plane_pitch(tiles, count, w), count, dx + first, window, outside, tile)


cdef inline bint few_backward_weight(const real *x, const real *dy, real *dw, real *db, const Window *window, Py_ssize_t n,
                                     Py_ssize_t filters, int threads) noexcept nogil:
    """See `winograd_backward_weight`."""
    cdef Py_ssize_t c = window.c, tiles = tiles_of(window, n), task
    cdef Py_ssize_t plane = plane_pitch(tiles, c, x), errors_plane = plane_pitch(tiles, filters, x)
    cdef Py_ssize_t scratch = whole_lines(PLANES * c * _widest(x), x), shared = whole_lines(PLANES * (plane + errors_plane) + max(c, filters), x)
    cdef void *memory = malloc((shared + threads * scratch) * sizeof(real) + LINE_BYTES)
    cdef real *inputs = first_line(<char *>memory, x)
    cdef real *errors = inputs + PLANES * plane
    cdef real *zeros = errors + PLANES * errors_plane
    cdef real *own = inputs + shared
    if memory == NULL:
        return False
    memset(zeros, 0, max(c, filters) * sizeof(real))
    if threads == 1:
        read_inputs(x, window, zeros, inputs, plane, 0, tiles)
        read_errors(dy, window, filters, zeros, errors, errors_plane, 0, tiles)
        for task in range(panels_of(filters, x)):
            _gradient_panel(inputs, errors, dw, window, tiles, filters, task, own)
    else:
        with parallel(num_threads=threads):
            for task in prange(tiles, schedule="static"):
                read_inputs(x, window, zeros, inputs + task * row_pitch(c, x), plane, task, 1)
                read_errors(dy, window, filters, zeros, errors + task * row_pitch(filters, x), errors_plane, task, 1)
            for task in prange(panels_of(filters, x), schedule="dynamic"):
                _gradient_panel(inputs, errors, dw, window, tiles, filters, task, own + threadid() * scratch)
    if db:
        memset(db, 0, filters * sizeof(real))
        add_errors(errors, filters, tiles, db)
    free(memory)
    return True


cdef inline void _gradient_panel(const real *inputs, const real *errors, real *dw, const Window *window, Py_ssize_t tiles,
                                 Py_ssize_t filters, Py_ssize_t panel, real *sums) noexcept nogil:
    """Compute the gradient of a panel of filters."""
    cdef Py_ssize_t c = window.c, first = panel * panel_width(dw), count = _panel_channels(panel, filters, dw), row
    multiply_tiles(inputs, errors, sums, tiles, c, filters, first, count, 0)
    for row in range(c):
        winograd_filter_gradient(window.kh, sums + row * count, c * count, count, dw + row * filters + first, c * filters)
