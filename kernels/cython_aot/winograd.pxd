"""3x3 and 5x5 convolutions by Winograd's F(4x4, 3x3) and F(2x2, 5x5): a quarter and a third of the multiplications, for transforms of
the tiles before and after.

The image is cut into tiles of 4x4 or 2x2 output pixels, which see 6x6 input pixels. For each of the 36 elements of the transformed
tiles the sum over channels is one matrix product [tiles, c] x [c, filters], by the register tiles of gemm.pxd. Only for stride 1, no
dilation and one group. The transforms multiply by up to 8 and divide by up to 24, so the error is about ten times that of the direct
product: measured, in float32, 2e-6 to 1.3e-5 of the largest output for 16 to 280 channels, within the spec's 2e-5.
F(2x2, 3x3) would need fewer operations only for images of at most 2x2 pixels, which take the direct product.

Of filters and tiles those that take less memory when transformed are kept, and the others pass by: winograd_many keeps the filters,
winograd_few the tiles.
"""

from call cimport real
from gemm cimport PARALLEL_FLOPS
from patches cimport Window
from winograd_few cimport few_backward_input, few_backward_weight, few_forward
from winograd_many cimport many_backward, many_backward_input, many_backward_weight, many_forward
from winograd_tiles cimport PLANES, lanes_of, tiles_of

cdef enum:
    # In multiply-adds of a matrix product, loads, stores and additions of 36 elements cost: for one channel of a tile, whose planes stay in
    # a near cache, and for one channel of a filter, whose planes often do not.
    TILE_COST = 300
    FILTER_COST = 216


cdef inline bint winograd_pays(const Window *window, Py_ssize_t n, Py_ssize_t filters, const real *tag) noexcept nogil:
    """Say whether a convolution is one that Winograd's algorithm computes, with fewer operations than the direct product."""
    cdef Py_ssize_t tiles, c = window.c, least = max(lanes_of(tag), 8)
    if ((window.kh != 3 and window.kh != 5) or window.kw != window.kh or window.stride_h != 1 or window.stride_w != 1
            or window.dilation_h != 1 or window.dilation_w != 1 or window.pixel != c or c < least or filters < least):
        return False
    tiles = tiles_of(window, n)
    return (tiles * (PLANES * c * filters + TILE_COST * (c + filters)) + FILTER_COST * c * filters
            < n * window.oh * window.ow * window.kh * window.kw * c * filters)


cdef inline bint _few_tiles(const Window *window, Py_ssize_t n, Py_ssize_t filters) noexcept nogil:
    """Say whether transformed filters take more memory than transformed tiles."""
    return tiles_of(window, n) <= min(window.c, filters)


cdef inline int _team(const Window *window, Py_ssize_t n, Py_ssize_t filters, int threads) noexcept nogil:
    return threads if 2 * PLANES * tiles_of(window, n) * window.c * filters >= PARALLEL_FLOPS else 1


# Each returns False if there is no memory for it.

cdef inline bint winograd_forward(const real *x, const real *w, const real *b, real *y, const Window *window, Py_ssize_t n,
                                  Py_ssize_t filters, Py_ssize_t activation, double alpha, int threads) noexcept nogil:
    """y = activation(x * w + b), with w of shape (kh, kw, c, filters)."""
    threads = _team(window, n, filters, threads)
    if _few_tiles(window, n, filters):
        return few_forward(x, w, b, y, window, n, filters, activation, alpha, threads)
    return many_forward(x, w, b, y, window, n, filters, activation, alpha, threads)


cdef inline bint winograd_backward_input(const real *dy, const real *w, real *dx, const Window *window, Py_ssize_t n, Py_ssize_t filters,
                                         int threads) noexcept nogil:
    threads = _team(window, n, filters, threads)
    if _few_tiles(window, n, filters):
        return few_backward_input(dy, w, dx, window, n, filters, threads)
    return many_backward_input(dy, w, dx, window, n, filters, threads)


cdef inline bint winograd_backward_weight(const real *x, const real *dy, real *dw, real *db, const Window *window, Py_ssize_t n,
                                          Py_ssize_t filters, int threads) noexcept nogil:
    """dw and (unless NULL) db."""
    threads = _team(window, n, filters, threads)
    if _few_tiles(window, n, filters):
        return few_backward_weight(x, dy, dw, db, window, n, filters, threads)
    return many_backward_weight(x, dy, dw, db, window, n, filters, threads)


cdef inline bint winograd_backward(const real *x, const real *dy, const real *w, bint relu, real *dx, real *dw, real *db,
                                   const Window *window, Py_ssize_t n, Py_ssize_t filters, int threads) noexcept nogil:
    """dx, dw and (unless NULL) db, for which the errors are transformed once; False also where that does not pay."""
    return (not _few_tiles(window, n, filters)
            and many_backward(x, dy, w, relu, dx, dw, db, window, n, filters, _team(window, n, filters, threads)))
