"""Tiles of Winograd's algorithm: where they lie in images, their transforms, and the products of transformed tiles.

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
    void winograd_output_f32(Py_ssize_t tile, const float *planes, Py_ssize_t plane, const float *bias, int relu, Py_ssize_t channels,
                             float **pixel)
    void winograd_output_f64(Py_ssize_t tile, const double *planes, Py_ssize_t plane, const double *bias, int relu, Py_ssize_t channels,
                             double **pixel)
    void winograd_errors_f32(Py_ssize_t tile, const float **pixel, Py_ssize_t channels, float *planes, Py_ssize_t plane)
    void winograd_errors_f64(Py_ssize_t tile, const double **pixel, Py_ssize_t channels, double *planes, Py_ssize_t plane)
    void winograd_input_gradient_f32(const float *planes, Py_ssize_t plane, Py_ssize_t channels, float **pixel)
    void winograd_input_gradient_f64(const double *planes, Py_ssize_t plane, Py_ssize_t channels, double **pixel)
    void winograd_filter_f32(Py_ssize_t taps, const float *g, Py_ssize_t tap, Py_ssize_t channels, Py_ssize_t row, Py_ssize_t rows,
                             float *planes, Py_ssize_t plane)
    void winograd_filter_f64(Py_ssize_t taps, const double *g, Py_ssize_t tap, Py_ssize_t channels, Py_ssize_t row, Py_ssize_t rows,
                             double *planes, Py_ssize_t plane)
    void winograd_filter_gradient_f32(Py_ssize_t taps, const float *planes, Py_ssize_t plane, Py_ssize_t channels, float *dg, Py_ssize_t tap)
    void winograd_filter_gradient_f64(Py_ssize_t taps, const double *planes, Py_ssize_t plane, Py_ssize_t channels, double *dg,
                                      Py_ssize_t tap)

cdef enum:
    PLANES = 36
    SPAN = 6  # input pixels that a tile sees in each direction
    CONFLICT_BYTES = 512  # rows as long as a multiple of this compete for the same lines of a cache


cdef inline void winograd_filter(Py_ssize_t taps, const real *g, Py_ssize_t tap, Py_ssize_t channels, Py_ssize_t row, Py_ssize_t rows,
                                 real *planes) noexcept nogil:
    if real is float:
        winograd_filter_f32(taps, g, tap, channels, row, rows, planes, filter_plane(rows, channels, g))
    else:
        winograd_filter_f64(taps, g, tap, channels, row, rows, planes, filter_plane(rows, channels, g))


cdef inline void winograd_filter_gradient(Py_ssize_t taps, const real *planes, Py_ssize_t plane, Py_ssize_t channels, real *dg,
                                          Py_ssize_t tap) noexcept nogil:
    if real is float:
        winograd_filter_gradient_f32(taps, planes, plane, channels, dg, tap)
    else:
        winograd_filter_gradient_f64(taps, planes, plane, channels, dg, tap)


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


cdef inline Py_ssize_t plane_pitch(Py_ssize_t tiles, Py_ssize_t channels, const real *tag) noexcept nogil:
    """Elements from one plane of tiles to the next."""
    return row_pitch(tiles * row_pitch(channels, tag), tag)


cdef inline Py_ssize_t planes_size(Py_ssize_t tiles, Py_ssize_t channels, const real *tag) noexcept nogil:
    """Elements that the planes of up to so many tiles and channels take at most."""
    return PLANES * (tiles + 1) * (channels + LINE_BYTES // <Py_ssize_t>sizeof(real))


cdef inline Py_ssize_t tile_extent(const Window *window) noexcept nogil:
    """Output pixels of a tile in each direction."""
    return SPAN + 1 - window.kh


cdef inline Py_ssize_t tiles_across(const Window *window) noexcept nogil:
    return (window.ow + tile_extent(window) - 1) // tile_extent(window)


cdef inline Py_ssize_t tiles_down(const Window *window) noexcept nogil:
    return (window.oh + tile_extent(window) - 1) // tile_extent(window)


cdef inline Py_ssize_t tiles_of(const Window *window, Py_ssize_t n) noexcept nogil:
    """Number of tiles of n images."""
    return n * tiles_down(window) * tiles_across(window)


cdef inline void _input_pixels(const real *x, const Window *window, Py_ssize_t tile, const real *zeros, const real **pixels) noexcept nogil:
    """Point at the 6x6 pixels that a tile sees."""
    cdef Py_ssize_t across = tiles_across(window), down = tiles_down(window), i, j
    cdef Py_ssize_t image = tile // (across * down), h = tile // across % down * tile_extent(window) - window.pad_top
    cdef Py_ssize_t w = tile % across * tile_extent(window) - window.pad_left
    for i in range(SPAN):
        for j in range(SPAN):
            if 0 <= h + i < window.ih and 0 <= w + j < window.iw:
                pixels[i * SPAN + j] = x + ((image * window.ih + h + i) * window.iw + w + j) * window.c
            else:
                pixels[i * SPAN + j] = zeros


cdef inline void _output_pixels(const real *y, const Window *window, Py_ssize_t filters, Py_ssize_t tile, const real *outside,
                                real **pixels) noexcept nogil:
    """Point at the pixels of a tile."""
    cdef Py_ssize_t across = tiles_across(window), down = tiles_down(window), extent = tile_extent(window), i, j
    cdef Py_ssize_t image = tile // (across * down), h = tile // across % down * extent, w = tile % across * extent
    for i in range(extent):
        for j in range(extent):
            if h + i < window.oh and w + j < window.ow:
                pixels[i * extent + j] = <real *>y + ((image * window.oh + h + i) * window.ow + w + j) * filters
            else:
                pixels[i * extent + j] = <real *>outside


cdef inline void read_inputs(const real *x, const Window *window, const real *zeros, real *planes, Py_ssize_t plane, Py_ssize_t first,
                             Py_ssize_t count) noexcept nogil:
    """Transform what tiles [first, first + count) see of the images into planes `plane` elements apart; `zeros` is a pixel of them."""
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
            winograd_errors_f32(tile_extent(window), <const real **>pixels, filters, planes + tile * pitch, plane)
        else:
            winograd_errors_f64(tile_extent(window), <const real **>pixels, filters, planes + tile * pitch, plane)


cdef inline void add_errors(const real *errors, Py_ssize_t filters, Py_ssize_t count, real *db) noexcept nogil:
    """Add the errors of `count` tiles, from their planes, to db."""
    cdef Py_ssize_t tile
    for tile in range(count):
        # element (1, 1) of A dy A' is the sum of the tile's errors
        add(errors + 7 * plane_pitch(count, filters, errors) + tile * row_pitch(filters, errors), filters, db)


cdef inline void write_outputs(const real *products, const real *b, real *y, const Window *window, Py_ssize_t filters, Py_ssize_t channels,
                               Py_ssize_t activation, double alpha, const real *outside, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    """Write `channels` of the `filters` channels of tiles [first, first + count); `outside` is a pixel that nobody reads."""
    cdef real *pixels[16]
    cdef Py_ssize_t tile, p, extent = tile_extent(window), pitch = row_pitch(channels, y), plane = plane_pitch(count, channels, y)
    for tile in range(count):
        _output_pixels(y, window, filters, first + tile, outside, pixels)
        if real is float:
            winograd_output_f32(extent, products + tile * pitch, plane, b, activation == RELU, channels, pixels)
        else:
            winograd_output_f64(extent, products + tile * pitch, plane, b, activation == RELU, channels, pixels)
        if activation > RELU:
            for p in range(extent * extent):
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


cdef inline void multiply_filters(const real *tiles, const real *filters, real *products, Py_ssize_t count, Py_ssize_t k,
                                  Py_ssize_t n) noexcept nogil:
    """products[count, n] = tiles[count, k] filters[k, n], plane by plane."""
    cdef Py_ssize_t width = panel_width(tiles), lanes = lanes_of(tiles), left, _p
    for _p in range(PLANES):
        left = 0
        while left < n:
            multiply_segments(tiles, row_pitch(k, tiles), 1, 0, filters + left * k, min(width, (n - left + lanes - 1) // lanes * lanes),
                              products + left, row_pitch(n, tiles), count, 1, k, min(width, n - left), <const real *>NULL, 0)
            left += width
        tiles += plane_pitch(count, k, tiles)
        filters += filter_plane(k, n, tiles)
        products += plane_pitch(count, n, tiles)


cdef inline void multiply_tiles(const real *inputs, const real *errors, real *sums, Py_ssize_t count, Py_ssize_t c, Py_ssize_t filters,
                                Py_ssize_t first, Py_ssize_t n, int flags) noexcept nogil:
    """sums[c, n] = inputs[count, c]^T errors[count, first : first + n], plane by plane; errors have `filters` columns."""
    cdef Py_ssize_t width = panel_width(inputs), pitch = row_pitch(filters, inputs), left, _p
    for _p in range(PLANES):
        left = 0
        while left < n:
            multiply_panel(inputs, 1, row_pitch(c, inputs), errors + first + left, pitch, count * pitch - first - left, sums + left, n, c,
                           count, min(width, n - left), <const real *>NULL, flags)
            left += width
        inputs += plane_pitch(count, c, inputs)
        errors += plane_pitch(count, filters, inputs)
        sums += c * n


cdef inline void add(const real *values, Py_ssize_t n, real *total) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        total[i] += values[i]
