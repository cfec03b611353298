"""Dense layers: the matrix product of gemm.pxd over images of one pixel; the gradients of a single sample are dot and outer products."""

from libc.string cimport memcpy

from activate cimport LINEAR, activate_inplace
from call cimport real
from custom cimport Applied, applied
from dense cimport SMALL, outer, row_window, small_product
from gradient cimport Gradient, multiply_transposed
from matrix cimport Matrices, matrix_multiply

cdef void dense_forward(const real *x, const real *w, const real *b, Py_ssize_t activation, double alpha, real *y,
                        Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    cdef Matrices matrices = Matrices(rows=n, k=k, n=m, lda=k, ldb=m, b_size=k * m, transposed=False, ldc=m, activation=activation,
                                      alpha=alpha, halved=False)
    if n * k * m <= SMALL:
        small_product(x, k, 1, w, m, 1, b, y, n, k, m)
        activate_inplace(y, n * m, activation, <real>alpha)
        return
    matrix_multiply(x, w, b, y, &matrices, threads)


cdef void dense_custom_forward(const real *x, const real *w, const real *b, Py_ssize_t function, real *y, real *slope,
                               Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    cdef Applied activation = applied(function, y, slope)
    dense_forward(x, w, b, <Py_ssize_t>&activation, 0, y, n, k, m, threads)


cdef void dense_backward_input(const real *dy, const real *w, real *dx,
                               Py_ssize_t n, Py_ssize_t m, Py_ssize_t k, int threads) noexcept nogil:
    cdef Matrices matrices = Matrices(rows=n, k=m, n=k, lda=m, ldb=m, b_size=k * m, transposed=True, ldc=k, activation=LINEAR, alpha=0,
                                      halved=False)
    if n * k * m <= SMALL:
        small_product(dy, m, 1, w, 1, m, <const real *>NULL, dx, n, m, k)
        return
    matrix_multiply(dy, w, <const real *>NULL, dx, &matrices, threads)


cdef void dense_backward_weight(const real *x, const real *dy, real *dw, real *db,
                                Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    if n == 1:
        outer(x, dy, dw, k, m, False)
        if db:
            memcpy(db, dy, m * sizeof(real))
        return
    cdef real one = 1
    if n * k * m <= SMALL:
        small_product(x, 1, k, dy, m, 1, <const real *>NULL, dw, k, n, m)
        if db:
            small_product(&one, 0, 0, dy, m, 1, <const real *>NULL, db, 1, n, m)
        return
    cdef Gradient gradient = Gradient(window=row_window(k), x_size=n * k, pixels=n, k=k, n=m, dy_pixel=m, dy_size=n * m, dw_row=m, added=False)
    multiply_transposed(x, dy, dw, db, &gradient, threads)


include "calls_linear.pxi"
