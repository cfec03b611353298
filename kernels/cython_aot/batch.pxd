"""Sums over a batch, by column, and the normalization and gradient that follow from them.

Rows are cut into at most PARTS parts, whatever the number of threads, and columns into blocks of at most COLUMNS, so that all partial
results fit on the stack. Blocks are wide since memory is read fastest from end to end: where 64 of 220 columns are read, the
processor fetches ahead what nobody wants. A table of few columns is read as one of fewer and longer rows, several side by side, which
fill vectors. Sums are kept in double.
"""

from cython.parallel cimport prange
from libc.math cimport sqrt

from call cimport real
from parallel cimport team

cdef enum:
    PARTS = 16
    PART_ROWS = 64  # a part has at least so many rows
    COLUMNS = 256
    LINE = 16  # elements, at most, of a cache line


cdef inline Py_ssize_t part_rows(Py_ssize_t m) noexcept nogil:
    return max(<Py_ssize_t>PART_ROWS, (m + PARTS - 1) // PARTS)


cdef inline Py_ssize_t block_width(Py_ssize_t c) noexcept nogil:
    """Columns of a block: all, or as even a share as there can be without cutting cache lines."""
    cdef Py_ssize_t blocks = (c + COLUMNS - 1) // COLUMNS
    return c if blocks <= 1 else ((c + blocks - 1) // blocks + LINE - 1) // LINE * LINE


cdef inline Py_ssize_t side_by_side(Py_ssize_t width, Py_ssize_t c) noexcept nogil:
    """Rows that are read as one; rows of which only `width` of `c` columns are wanted cannot be joined."""
    return COLUMNS // width if width == c else 1


ctypedef fused any_real:
    float
    double


cdef inline void repeat(any_real *coefficient, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    """Repeat the first `width` elements `fold` times."""
    cdef Py_ssize_t j
    for j in range(width, width * fold):
        coefficient[j] = coefficient[j - width]


# What normalizes columns, `affine`, is COLUMNS centers, as many scales and as many offsets, each repeated side by side.

cdef inline void normalize(const real *x, const real *affine, real *y, Py_ssize_t n) noexcept nogil:
    """y = (x - center) * scale + offset."""
    cdef Py_ssize_t j
    for j in range(n):
        y[j] = (x[j] - affine[j]) * affine[COLUMNS + j] + affine[2 * COLUMNS + j]


cdef inline void repeat_affine(real *affine, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    repeat(affine, width, fold)
    repeat(affine + COLUMNS, width, fold)
    repeat(affine + 2 * COLUMNS, width, fold)


cdef inline void normalization(const real *x, const real *gamma, const real *beta, double eps, real *mean, real *var, real *affine,
                               Py_ssize_t m, Py_ssize_t c, Py_ssize_t width, Py_ssize_t fold, int threads) noexcept nogil:
    """Mean and variance of `width` of c columns, and what normalizes them."""
    cdef double deviation[PARTS * COLUMNS]
    cdef double square[PARTS * COLUMNS]
    cdef double first_moment, second_moment, middle
    cdef Py_ssize_t j, k, rows = part_rows(m), parts = (m + rows - 1) // rows
    if team(m * width, threads) == 1:
        for k in range(parts):
            _moments(x, x + k * rows * c, min(rows, m - k * rows), c, width, fold, deviation + k * COLUMNS, square + k * COLUMNS)
    else:
        for k in prange(parts, num_threads=threads, schedule="static"):
            _moments(x, x + k * rows * c, min(rows, m - k * rows), c, width, fold, deviation + k * COLUMNS, square + k * COLUMNS)
    for j in range(width):
        first_moment = second_moment = 0
        for k in range(parts):
            first_moment += deviation[k * COLUMNS + j]
            second_moment += square[k * COLUMNS + j]
        first_moment /= m
        second_moment = second_moment / m - first_moment * first_moment
        second_moment = 0 if second_moment < 0 else second_moment
        middle = (x[j] if m else <real>0) + first_moment
        mean[j] = <real>middle
        var[j] = <real>second_moment
        # the mean is subtracted in two parts: rounded to float it may be wrong by more than y may be
        affine[j] = <real>middle
        affine[COLUMNS + j] = <real>(gamma[j] / sqrt(second_moment + eps))
        affine[2 * COLUMNS + j] = <real>(beta[j] - (middle - affine[j]) * (gamma[j] / sqrt(second_moment + eps)))
    repeat_affine(affine, width, fold)


cdef inline void _moments(const real *origin, const real *x, Py_ssize_t rows, Py_ssize_t c, Py_ssize_t width, Py_ssize_t fold,
                          double *deviation, double *square) noexcept nogil:
    """Sums of x - origin and of its square, by column.

    With an element of the column as origin d = mean - origin is at most sqrt(m) standard deviations, so that the variance from
    mean(square) - d**2 has a relative error of at most m units in the last place of a double, however large the mean is.
    """
    cdef double sum_[COLUMNS]
    cdef double square_[COLUMNS]
    cdef double origin_[COLUMNS]
    cdef double d
    cdef Py_ssize_t i, j, span = width * fold
    for j in range(span):
        sum_[j] = square_[j] = 0
        origin_[j] = origin[j % width]
    for i in range(rows // fold):
        for j in range(span):
            d = x[i * fold * c + j] - origin_[j]
            sum_[j] += d
            square_[j] += d * d
    x += (rows // fold) * fold * c
    for j in range((rows % fold) * width):
        d = x[j] - origin_[j]
        sum_[j] += d
        square_[j] += d * d
    fold_sums(sum_, deviation, width, fold)
    fold_sums(square_, square, width, fold)


cdef inline void fold_sums(const double *sums, double *total, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    """Add up `fold` groups of `width` sums."""
    cdef Py_ssize_t i, j
    for j in range(width):
        total[j] = sums[j]
    for i in range(1, fold):
        for j in range(width):
            total[j] += sums[i * width + j]


cdef struct Terms:  # what makes the gradient of a column's elements, repeated side by side: see gradient_of
    double center[COLUMNS]
    double scale[COLUMNS]
    double level[COLUMNS]
    double slope[COLUMNS]


cdef inline void set_terms(Terms *terms, const double *gradient, const double *product, Py_ssize_t parts, const real *gamma,
                           const real *var, double eps, real *dgamma, real *dbeta, Py_ssize_t m, Py_ssize_t width,
                           Py_ssize_t fold) noexcept nogil:
    """Gradients of `width` columns' gamma and beta, and the terms of those of their m rows, from sums of dy and of dy * (x - mean).

    With s1 = sum(dy), s2 = sum(dy * (x - mean)): dx = gamma / std * (dy - s1 / m - (x - mean) * s2 / (m * std**2)).
    """
    cdef double s1, s2, std
    cdef Py_ssize_t j, k
    for j in range(width):
        s1 = s2 = 0
        for k in range(parts):
            s1 += gradient[k * COLUMNS + j]
            s2 += product[k * COLUMNS + j]
        std = sqrt(var[j] + eps)
        dbeta[j] = <real>s1
        dgamma[j] = <real>(s2 / std)
        terms.scale[j] = gamma[j] / std
        terms.level[j] = s1 / m
        terms.slope[j] = s2 / (m * std * std)
    repeat(terms.scale, width, fold)
    repeat(terms.level, width, fold)
    repeat(terms.slope, width, fold)


cdef inline void set_centers(Terms *terms, const real *mean, Py_ssize_t width, Py_ssize_t fold) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(width):
        terms.center[j] = mean[j]
    repeat(terms.center, width, fold)


cdef inline double gradient_of(const Terms *terms, Py_ssize_t j, double dy, double x) noexcept nogil:
    """dx of an element of column j; in double: with few rows nearly everything cancels."""
    return terms.scale[j] * (dy - terms.level[j] - (x - terms.center[j]) * terms.slope[j])
