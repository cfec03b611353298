"""Batches in halves, of which each of two threads gathers, multiplies and sums one: what one core reads, the other does not write."""

from cython.parallel cimport prange
from libc.stdint cimport int32_t, uint8_t
from libc.stdlib cimport free

from call cimport real
from dense cimport changes_of, descend_plainly, row_window
from gather cimport element, gather_rows
from gradient cimport Gradient, multiply_halves_transposed
from matrix cimport Matrices, multiply_halves
from parallel cimport team


cdef void _gather_in_halves(const element *x, const int32_t *index, real scale, real offset, real *y, Py_ssize_t s, Py_ssize_t n,
                            int threads) noexcept nogil:
    cdef Py_ssize_t shares = max(threads // 2, 1), task
    if team(n * s, threads) == 1:
        for task in range(2):
            _gather_share(x, index, scale, offset, y, s, n, task, 1)
    else:
        for task in prange(2 * shares, num_threads=threads, schedule="static"):
            _gather_share(x, index, scale, offset, y, s, n, task, shares)


cdef inline void _gather_share(const element *x, const int32_t *index, real scale, real offset, real *y, Py_ssize_t s, Py_ssize_t n,
                               Py_ssize_t task, Py_ssize_t shares) noexcept nogil:
    """Gather a share of the rows of one half."""
    cdef Py_ssize_t first = task % shares * n // shares, last = (task % shares + 1) * n // shares, left = s // 2
    if task < shares:
        gather_rows(x, index + first, scale, offset, y + first * left, s, left, last - first)
    else:
        gather_rows(x + left, index + first, scale, offset, y + n * left + first * (s - left), s, s - left, last - first)


cdef void gather__halves(const real *x, const int32_t *index, double scale, double offset, real *y,
                         Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    _gather_in_halves(x, index, <real>scale, <real>offset, y, s, n, threads)


cdef void gather_uint8__halves(const uint8_t *x, const int32_t *index, double scale, double offset, real *y,
                               Py_ssize_t r, Py_ssize_t s, Py_ssize_t n, int threads) noexcept nogil:
    _gather_in_halves(x, index, <real>scale, <real>offset, y, s, n, threads)


cdef void dense_forward__halves(const real *x, const real *w, const real *b, Py_ssize_t activation, double alpha, real *y, real *second,
                                Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    cdef Matrices matrices = Matrices(rows=n, k=k, n=m, lda=k, ldb=m, b_size=k * m, transposed=False, halved=True, ldc=m,
                                      activation=activation, alpha=alpha)
    multiply_halves(x, w, b, y, second, &matrices, threads)


cdef void dense_backward_weight__halves(const real *x, const real *dy, real *dw, real *db,
                                        Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    _sum_gradient(x, dy, dw, db, n, k, m, False, threads)


cdef void dense_descent__halves(const real *x, const real *dy, const double *lr, real *w, real *b,
                                Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, int threads) noexcept nogil:
    cdef real *changes = changes_of(dy, lr, n * m)
    cdef Py_ssize_t half = k // 2
    if changes == NULL:
        descend_plainly(x, dy, lr, w, b, n, half, m)
        descend_plainly(x + n * half, dy, lr, w + half * m, <real *>NULL, n, k - half, m)
        return
    _sum_gradient(x, changes, w, b, n, k, m, True, threads)
    free(changes)


cdef inline void _sum_gradient(const real *x, const real *dy, real *dw, real *db, Py_ssize_t n, Py_ssize_t k, Py_ssize_t m, bint added,
                               int threads) noexcept nogil:
    cdef Py_ssize_t half = k // 2
    cdef Gradient left = Gradient(window=row_window(half), x_size=n * half, pixels=n, k=half, n=m, dy_pixel=m, dy_size=n * m, dw_row=m,
                                  added=added)
    cdef Gradient right = left
    right.window = row_window(k - half)
    right.k = k - half
    right.x_size = n * right.k
    multiply_halves_transposed(x, dy, dw, db, &left, &right, threads)


include "calls_halves.pxi"
