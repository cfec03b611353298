"""Gradients that are subtracted from the weights as they are summed, as a step of SGD would, and written nowhere else."""

from libc.stdlib cimport free

from call cimport real
from dense cimport SMALL, changes_of, descend_plainly, outer, row_window
from gradient cimport Gradient, multiply_transposed

cdef void dense_descent(const real *x, const real *dy, const double *lr, real *w, real *b, Py_ssize_t n, Py_ssize_t k, Py_ssize_t m,
                        int threads) noexcept nogil:
    cdef real *changes = changes_of(dy, lr, n * m) if n == 1 or n * k * m > SMALL else NULL
    cdef Py_ssize_t i
    if changes == NULL:
        descend_plainly(x, dy, lr, w, b, n, k, m)
        return
    cdef Gradient gradient = Gradient(window=row_window(k), x_size=n * k, pixels=n, k=k, n=m, dy_pixel=m, dy_size=n * m, dw_row=m,
                                      added=True)
    if n == 1:
        outer(x, changes, w, k, m, True)
        if b:
            for i in range(m):
                b[i] += changes[i]
    else:
        multiply_transposed(x, changes, w, b, &gradient, threads)
    free(changes)


include "calls_descent.pxi"
