"""Transposition of a matrix, or of some of its rows."""

from call cimport real

cdef extern from "transpose.h" nogil:
    void transpose_rows_f32(const float *x, Py_ssize_t rows, Py_ssize_t columns, float *y, Py_ssize_t width)
    void transpose_rows_f64(const double *x, Py_ssize_t rows, Py_ssize_t columns, double *y, Py_ssize_t width)


cdef inline void transpose_rows(const real *x, Py_ssize_t rows, Py_ssize_t columns, real *y, Py_ssize_t width) noexcept nogil:
    """y[p * width + j] = x[j * columns + p] for j < rows and p < columns; where there are less than 4 rows, width = rows."""
    if real is float:
        transpose_rows_f32(x, rows, columns, y, width)
    else:
        transpose_rows_f64(x, rows, columns, y, width)
