"""Dense layers: the matrix product of gemm.pxd over images of one pixel; the gradients of a single sample are dot and outer products."""

from libc.stdlib cimport free
from libc.string cimport memcpy

from call cimport real
from gemm cimport (SMALL_BYTES, TILE_ROWS, Gradient, Product, allocate_panels, multiply, multiply_transposed, pack_columns,
                   pack_rows)
from patches cimport Window

cdef enum:
    LANES = 16  # sums and products that are made side by side


cdef inline Window _row(Py_ssize_t extent) noexcept nogil:
    """Return the window of a matrix's rows: images of one pixel and `extent` channels."""
    return Window(ih=1, iw=1, c=extent, pixel=extent, oh=1, ow=1, kh=1, kw=1, stride_h=1, stride_w=1, pad_top=0, pad_left=0,
                  dilation_h=1, dilation_w=1)


cdef void dense_forward(const real *x, const real *w, const real *b, Py_ssize_t activation, double alpha, real *y,
                        Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    cdef char small[SMALL_BYTES]
    cdef real *panels = NULL
    cdef const real *filters = w
    cdef Product product = Product(window=_row(k), x_size=n * k, rows=n, k=k, n=m, packed=False, ldb=m, b_size=k * m,
                                   ldc=m, activation=activation, alpha=alpha)
    if n >= 4 * TILE_ROWS:
        panels = allocate_panels(k, m, small, x)
    if panels:
        pack_rows(w, m, k, m, panels)
        product.packed = True
        filters = panels
    multiply(x, filters, b, y, &product, threads)
    if <char *>panels != small:
        free(panels)


cdef void dense_backward_input(const real *dy, const real *w, real *dx,
                               Py_ssize_t n, Py_ssize_t m, Py_ssize_t k, int threads) noexcept nogil:
    cdef char small[SMALL_BYTES]
    cdef real *panels
    cdef Product product = Product(window=_row(m), x_size=n * m, rows=n, k=m, n=k, packed=True, ldb=0, b_size=0,
                                   ldc=k, activation=0, alpha=0)
    if n == 1:
        _dot_rows(w, dy, dx, k, m)
        return
    panels = allocate_panels(m, k, small, dy)
    pack_columns(w, m, 0, m, m, k, panels)
    multiply(dy, <const real *>panels, <const real *>NULL, dx, &product, threads)
    if <char *>panels != small:
        free(panels)


cdef void dense_backward_weight(const real *x, const real *dy, real *dw, real *db,
                                Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    if n == 1:
        _outer(x, dy, dw, k, m)
        if db:
            memcpy(db, dy, m * sizeof(real))
        return
    cdef Gradient gradient = Gradient(window=_row(k), x_size=n * k, pixels=n, k=k, n=m, dy_pixel=m, dy_size=n * m, dw_row=m)
    multiply_transposed(x, dy, dw, db, &gradient, threads)


cdef inline void _dot_rows(const real *w, const real *dy, real *dx, Py_ssize_t k, Py_ssize_t m) noexcept nogil:
    """dx[k] = w[k, m] dy[m]."""
    cdef real sums[LANES]
    cdef Py_ssize_t i, j, lane, whole = m - m % LANES
    cdef const real *row
    cdef real total
    for i in range(k):
        row = w + i * m
        for lane in range(LANES):
            sums[lane] = 0
        for j in range(whole // LANES):
            for lane in range(LANES):
                sums[lane] += row[j * LANES + lane] * dy[j * LANES + lane]
        for lane in range(LANES // 2):
            sums[lane] += sums[lane + LANES // 2]
        for lane in range(LANES // 4):
            sums[lane] += sums[lane + LANES // 4]
        total = (sums[0] + sums[2]) + (sums[1] + sums[3])
        for j in range(whole, m):
            total += row[j] * dy[j]
        dx[i] = total


cdef inline void _outer(const real *x, const real *dy, real *dw, Py_ssize_t k, Py_ssize_t m) noexcept nogil:
    """dw[k, m] = x[k] dy[m]; a short row is written LANES long, and the rows after it put right what stands behind it."""
    cdef real padded[LANES]
    cdef Py_ssize_t i = 0, j, lane
    if m < LANES:
        for lane in range(LANES):
            padded[lane] = dy[lane] if lane < m else 0
        while i * m + LANES <= k * m:
            for lane in range(LANES):
                dw[i * m + lane] = x[i] * padded[lane]
            i += 1
    while i < k:
        for j in range(m):
            dw[i * m + j] = x[i] * dy[j]
        i += 1


include "calls_linear.pxi"
