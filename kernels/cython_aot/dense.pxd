"""What the kernels of dense layers share: plain loops for small products, outer products, the window of a row."""

from libc.stdlib cimport malloc

from call cimport real
from patches cimport Window

cdef extern from "thin.h" nogil:
    void thin_outer_f32(Py_ssize_t k, const float *a, const float *b, float *c, Py_ssize_t n)
    void thin_outer_f64(Py_ssize_t k, const double *a, const double *b, double *c, Py_ssize_t n)
    void thin_add_outer_f32(Py_ssize_t k, const float *a, const float *b, float *c, Py_ssize_t n)
    void thin_add_outer_f64(Py_ssize_t k, const double *a, const double *b, double *c, Py_ssize_t n)

cdef enum:
    SMALL = 256  # multiplications that plain loops have done before tiles are set up


cdef inline void small_product(const real *a, Py_ssize_t a_row, Py_ssize_t a_step, const real *b, Py_ssize_t b_step, Py_ssize_t b_column,
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


cdef inline real *changes_of(const real *dy, const double *lr, Py_ssize_t size) noexcept nogil:
    """Return errors times -lr, by which weights change where they are added; NULL where there is no memory."""
    cdef real rate = <real>lr[0]
    cdef real *changes = <real *>malloc(size * sizeof(real))
    cdef Py_ssize_t i
    if changes:
        for i in range(size):
            changes[i] = -rate * dy[i]
    return changes


cdef inline void descend_plainly(const real *x, const real *dy, const double *lr, real *w, real *b, Py_ssize_t n, Py_ssize_t k,
                                 Py_ssize_t m) noexcept nogil:
    """Subtract a step of SGD from weights and bias, a sum at a time."""
    cdef real rate = <real>lr[0]
    cdef real change
    cdef real one = 1
    cdef Py_ssize_t i, j
    for i in range(k):
        for j in range(m):
            small_product(x + i, 1, k, dy + j, m, 1, <const real *>NULL, &change, 1, n, 1)
            w[i * m + j] -= rate * change
    if b:
        for j in range(m):
            small_product(&one, 0, 0, dy + j, m, 1, <const real *>NULL, &change, 1, n, 1)
            b[j] -= rate * change


cdef inline void outer(const real *x, const real *dy, real *dw, Py_ssize_t k, Py_ssize_t m, bint added) noexcept nogil:
    """dw[k, m] = x[k] dy[m], or added to what dw holds."""
    if real is float:
        if added:
            thin_add_outer_f32(k, x, dy, dw, m)
        else:
            thin_outer_f32(k, x, dy, dw, m)
    elif added:
        thin_add_outer_f64(k, x, dy, dw, m)
    else:
        thin_outer_f64(k, x, dy, dw, m)


cdef inline Window row_window(Py_ssize_t extent) noexcept nogil:
    """Return the window of a matrix's rows: images of one pixel and `extent` channels."""
    return Window(ih=1, iw=1, c=extent, pixel=extent, oh=1, ow=1, kh=1, kw=1, stride_h=1, stride_w=1, pad_top=0, pad_left=0,
                  dilation_h=1, dilation_w=1)
