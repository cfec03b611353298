"""Tiles of Winograd's F(4x4, 3x3): where they lie in images, their transforms, and the products of transformed tiles.

A transformed tile is spread over 36 planes. A plane of inputs or errors has a row for each tile, a plane of filters is in panels. What
Winograd's algorithm is stands in winograd.pxd.
"""

from activate cimport RELU, activate_inplace
from call cimport real
from gemm cimport LINE_BYTES, TILE_VECTORS, multiply_panel, multiply_segments, panel_width
from patches cimport Window

cdef extern from "winograd.h" nogil:
    void winograd_input_f32(const float **pixel, Py_ssize_t channels, float *planes, Py_ssize_t plane)
    void winograd_input_f64(const double **pixel, Py_ssize_t channels, double *planes, Py_ssize_t plane)
    void winograd_output_f32(const float *planes, Py_ssize_t plane, const float *bias, int relu, Py_ssize_t channels, float **pixel)
    void winograd_output_f64(const double *planes, Py_ssize_t plane, const double *bias, int relu, Py_ssize_t channels, double **pixel)
    void winograd_errors_f32(const float **pixel, Py_ssize_t channels, float *planes, Py_ssize_t plane)
    void winograd_errors_f64(const double **pixel, Py_ssize_t channels, double *planes, Py_ssize_t plane)
    void winograd_input_gradient_f32(const float *planes, Py_ssize_t plane, Py_ssize_t channels, float **pixel)
    void winograd_input_gradient_f64(const double *planes, Py_ssize_t plane, Py_ssize_t channels, double **pixel)
    void winograd_filter_f32(const float *g, Py_ssize_t tap, Py_ssize_t channels, Py_ssize_t row, Py_ssize_t rows, float *planes,
                             Py_ssize_t plane)
    void winograd_filter_f64(const double *g, Py_ssize_t tap, Py_ssize_t channels, Py_ssize_t row, Py_ssize_t rows, double *planes,
                             Py_ssize_t plane)
    void winograd_filter_gradient_f32(const float *planes, Py_ssize_t plane, Py_ssize_t channels, float *dg, Py_ssize_t tap)
    void winograd_filter_gradient_f64(const double *planes, Py_ssize_t plane, Py_ssize_t channels, double *dg, Py_ssize_t tap)

cdef enum:
    PLANES = 36
    TILE = 4  # output pixels of a tile in each direction
    CONFLICT_BYTES = 512  # rows as long as a multiple of this compete for the same lines of a cache


cdef inline void winograd_filter(const real *g, Py_ssize_t tap, Py_ssize_t channels, Py_ssize_t row, Py_ssize_t rows,
                                 real *planes) noexcept nogil:
    if real is float:
        winograd_filter_f32(g, tap, channels, row, rows, planes, filter_plane(rows, channels, g))
    else:
        winograd_filter_f64(g, tap, channels, row, rows, planes, filter_plane(rows, channels, g))


cdef inline void winograd_filter_gradient(const real *planes, Py_ssize_t plane, Py_ssize_t channels, real *dg,
                                          Py_ssize_t tap) noexcept nogil:
    if real is float:
        winograd_filter_gradient_f32(planes, plane, channels, dg, tap)
    else:
        winograd_filter_gradient_f64(planes, plane, channels, dg, tap)


cdef inline Py_ssize_t filter_plane(Py_ssize_t rows, Py_ssize_t channels, const real *tag) noexcept nogil:
    """Elements from one plane of transformed filters to the next: panels of whole vectors, and a cache line."""
    cdef Py_ssize_t lanes = lanes_of(tag)
    return rows * ((channels + lanes - 1) // lanes * lanes) + LINE_BYTES // <Py_ssize_t>sizeof(real)


cdef inline Py_ssize_t lanes_of(const real *tag) noexcept nogil:
    """Elements of a vector."""
    return panel_width(tag) // TILE_VECTORS


cdef inline Py_ssize_t whole_lines(Py_ssize_t elements, const real *tag) noexcept nogil:
    """Elements of the cache lines that so many begin: what lies behind them begins a line too, and vectors lie in one line each."""
    cdef Py_ssize_t line = LINE_BYTES // sizeof(real)
    return (elements + line - 1) // line * line


cdef inline Py_ssize_t row_pitch(Py_ssize_t channels, const real *tag) noexcept nogil:
    """Elements from one tile's row of a plane to the next."""
    return channels + (0 if channels * sizeof(real) % CONFLICT_BYTES else LINE_BYTES // sizeof(real))


cdef inline Py_ssize_t tiles_of(Py_ssize_t extent) noexcept nogil:
    """Number of tiles that cover so many output pixels."""
    return (extent + TILE - 1) // TILE


cdef inline void _input_pixels(const real *x, const Window *window, Py_ssize_t tile, const real *zeros, const real **pixels) noexcept nogil:
    """Point at the 6x6 pixels that a tile sees."""
    cdef Py_ssize_t across = tiles_of(window.ow), down = tiles_of(window.oh), i, j
    cdef Py_ssize_t image = tile // (across * down), h = tile // across % down * TILE - window.pad_top
    cdef Py_ssize_t w = tile % across * TILE - window.pad_left
    for i in range(6):
        for j in range(6):
            if 0 <= h + i < window.ih and 0 <= w + j < window.iw:
                pixels[i * 6 + j] = x + ((image * window.ih + h + i) * window.iw + w + j) * window.c
            else:
                pixels[i * 6 + j] = zeros


cdef inline void _output_pixels(const real *y, const Window *window, Py_ssize_t filters, Py_ssize_t tile, const real *outside,
                                real **pixels) noexcept nogil:
    """Point at the 4x4 pixels of a tile."""
    cdef Py_ssize_t across = tiles_of(window.ow), down = tiles_of(window.oh), i, j
    cdef Py_ssize_t image = tile // (across * down), h = tile // across % down * TILE, w = tile % across * TILE
    for i in range(TILE):
        for j in range(TILE):
            if h + i < window.oh and w + j < window.ow:
                pixels[i * TILE + j] = <real *>y + ((image * window.oh + h + i) * window.ow + w + j) * filters
            else:
                pixels[i * TILE + j] = <real *>outside


# Planes of tiles are `plane` elements apart.

cdef inline void read_inputs(const real *x, const Window *window, const real *zeros, real *planes, Py_ssize_t plane, Py_ssize_t first,
                             Py_ssize_t count) noexcept nogil:
    """Transform what tiles [first, first + count) see of the images; `zeros` is a pixel of them."""
    cdef const real *pixels[36]
    cdef Py_ssize_t tile, pitch = row_pitch(window.c, x)
    for tile in range(count):
        _input_pixels(x, window, first + tile, zeros, pixels)
        if real is float:
            winograd_input_f32(pixels, window.c, planes + tile * pitch, plane)
        else:
            winograd_input_f64(pixels, window.c, planes + tile * pitch, plane)


cdef inline void read_errors(const real *dy, const Window *window, Py_ssize_t filters, const real *zeros, real *planes, Py_ssize_t plane,
                             Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """Transform the errors of tiles [first, first + count)."""
    cdef real *pixels[16]
    cdef Py_ssize_t tile, pitch = row_pitch(filters, dy)
    for tile in range(count):
        _output_pixels(dy, window, filters, first + tile, zeros, pixels)
        if real is float:
            winograd_errors_f32(<const real **>pixels, filters, planes + tile * pitch, plane)
        else:
            winograd_errors_f64(<const real **>pixels, filters, planes + tile * pitch, plane)


cdef inline void add_errors(const real *errors, Py_ssize_t plane, Py_ssize_t pitch, Py_ssize_t filters, Py_ssize_t count,
                            real *db) noexcept nogil:
    """Add the errors of `count` tiles, from their planes, to db."""
    cdef Py_ssize_t tile
    for tile in range(count):
        # element (1, 1) of A dy A' is the sum of the tile's errors
        add(errors + 7 * plane + tile * pitch, filters, db)


cdef inline void write_outputs(const real *products, const real *b, real *y, const Window *window, Py_ssize_t filters, Py_ssize_t channels,
                               Py_ssize_t activation, double alpha, const real *outside, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """Write `channels` of the `filters` channels of tiles [first, first + count); `outside` is a pixel that nobody reads."""
    cdef real *pixels[16]
    cdef Py_ssize_t tile, p
    for tile in range(count):
        _output_pixels(y, window, filters, first + tile, outside, pixels)
        if real is float:
            winograd_output_f32(products + tile * channels, count * channels, b, activation == RELU, channels, pixels)
        else:
            winograd_output_f64(products + tile * channels, count * channels, b, activation == RELU, channels, pixels)
        if activation > RELU:
            for p in range(TILE * TILE):
                if pixels[p] == outside:  # no place of the output, so none for a derivative either
                    continue
                activate_inplace(pixels[p], channels, activation, <real>alpha)


cdef inline void add_input_gradient(const real *products, Py_ssize_t plane, Py_ssize_t channels, real *dx, const Window *window,
                                    const real *outside, Py_ssize_t tile) noexcept nogil:
    """Add what a tile gives to `channels` channels of the pixels that it sees."""
    cdef const real *pixels[36]
    _input_pixels(dx, window, tile, outside, pixels)
    if real is float:
        winograd_input_gradient_f32(products, plane, channels, <real **>pixels)
    else:
        winograd_input_gradient_f64(products, plane, channels, <real **>pixels)


cdef inline void multiply_filters(const real *tiles, Py_ssize_t pitch, const real *filters, real *products, Py_ssize_t count, Py_ssize_t k,
                                  Py_ssize_t n) noexcept nogil:
    """products[count, n] = tiles[count, k] filters[k, n] of one plane."""
    cdef Py_ssize_t width = panel_width(tiles), lanes = lanes_of(tiles), left = 0
    while left < n:
        multiply_segments(tiles, pitch, 1, 0, filters + left * k, min(width, (n - left + lanes - 1) // lanes * lanes), products + left, n,
                          count, 1, k, min(width, n - left), <const real *>NULL, 0)
        left += width


cdef inline void multiply_tiles(const real *inputs, Py_ssize_t pitch, const real *errors, Py_ssize_t errors_pitch, Py_ssize_t errors_size,
                                real *sums, Py_ssize_t c, Py_ssize_t count, Py_ssize_t n, int flags) noexcept nogil:
    """sums[c, n] = inputs[count, c]^T errors[count, n] of one plane; `errors_size` elements may be read at `errors`."""
    cdef Py_ssize_t width = panel_width(inputs), left = 0
    while left < n:
        multiply_panel(inputs, 1, pitch, errors + left, errors_pitch, errors_size - left, sums + left, n, c, count, min(width, n - left),
                       <const real *>NULL, flags)
        left += width


cdef inline void add(const real *values, Py_ssize_t n, real *total) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        total[i] += values[i]
