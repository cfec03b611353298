"""Dense layers: the matrix product of gemm.pxd over images of one pixel; the gradients of a single sample are dot and outer products."""

from libc.string cimport memcpy

from activate cimport LINEAR, activate_inplace
from call cimport real
from custom cimport Applied, applied
from gradient cimport Gradient, multiply_transposed
from matrix cimport Matrices, matrix_multiply
from patches cimport Window

cdef enum:
    LANES = 16  # products that are made side by side
    SMALL = 256  # multiplications that plain loops have done before tiles are set up


cdef void dense_forward(const real *x, const real *w, const real *b, Py_ssize_t activation, double alpha, real *y,
                        Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    cdef Matrices matrices = Matrices(rows=n, k=k, n=m, lda=k, ldb=m, b_size=k * m, transposed=False, ldc=m, activation=activation,
                                      alpha=alpha)
    if n * k * m <= SMALL:
        _small_product(x, k, 1, w, m, 1, b, y, n, k, m)
        activate_inplace(y, n * m, activation, <real>alpha)
        return
    matrix_multiply(x, w, b, y, &matrices, threads)


cdef void dense_custom_forward(const real *x, const real *w, const real *b, Py_ssize_t function, real *y, real *slope,
                               Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    cdef Applied activation = applied(function, y, slope)
    dense_forward(x, w, b, <Py_ssize_t>&activation, 0, y, n, k, m, threads)


cdef void dense_backward_input(const real *dy, const real *w, real *dx,
                               Py_ssize_t n, Py_ssize_t m, Py_ssize_t k, int threads) noexcept nogil:
    cdef Matrices matrices = Matrices(rows=n, k=m, n=k, lda=m, ldb=m, b_size=k * m, transposed=True, ldc=k, activation=LINEAR, alpha=0)
    if n * k * m <= SMALL:
        _small_product(dy, m, 1, w, 1, m, <const real *>NULL, dx, n, m, k)
        return
    matrix_multiply(dy, w, <const real *>NULL, dx, &matrices, threads)


cdef inline void _small_product(const real *a, Py_ssize_t a_row, Py_ssize_t a_step, const real *b, Py_ssize_t b_step, Py_ssize_t b_column,
                                const real *bias, real *c, Py_ssize_t rows, Py_ssize_t k, Py_ssize_t columns) noexcept nogil:
    """C[rows, columns] = A B + bias; `step` elements from one term of a sum to the next."""
    cdef Py_ssize_t i, j, p
    cdef real total
    for i in range(rows):
        for j in range(columns):
            total = bias[j] if bias else 0
            for p in range(k):
                total += a[i * a_row + p * a_step] * b[p * b_step + j * b_column]
            c[i * columns + j] = total


cdef inline Window _row(Py_ssize_t extent) noexcept nogil:
    """Return the window of a matrix's rows: images of one pixel and `extent` channels."""
    return Window(ih=1, iw=1, c=extent, pixel=extent, oh=1, ow=1, kh=1, kw=1, stride_h=1, stride_w=1, pad_top=0, pad_left=0,
                  dilation_h=1, dilation_w=1)


cdef void dense_backward_weight(const real *x, const real *dy, real *dw, real *db,
                                Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    if n == 1:
        _outer(x, dy, dw, k, m)
        if db:
            memcpy(db, dy, m * sizeof(real))
        return
    cdef real one = 1
    if n * k * m <= SMALL:
        _small_product(x, 1, k, dy, m, 1, <const real *>NULL, dw, k, n, m)
        if db:
            _small_product(&one, 0, 0, dy, m, 1, <const real *>NULL, db, 1, n, m)
        return
    cdef Gradient gradient = Gradient(window=_row(k), x_size=n * k, pixels=n, k=k, n=m, dy_pixel=m, dy_size=n * m, dw_row=m)
    multiply_transposed(x, dy, dw, db, &gradient, threads)


cdef inline void _outer(const real *x, const real *dy, real *dw, Py_ssize_t k, Py_ssize_t m) noexcept nogil:
    """dw[k, m] = x[k] dy[m]; a short row is written LANES long, and the rows after it put right what stands behind it."""
    cdef real padded[LANES]
    cdef real left
    cdef Py_ssize_t i = 0, j, lane
    if m < LANES:
        for lane in range(LANES):
            padded[lane] = dy[lane] if lane < m else 0
        while i * m + LANES <= k * m:
            left = x[i]
            for lane in range(LANES):
                dw[i * m + lane] = left * padded[lane]
            i += 1
    while i < k:
        left = x[i]
        for j in range(m):
            dw[i * m + j] = left * dy[j]
        i += 1


include "calls_linear.pxi"
