"""Windows of a pooling: where they lie in the image, the largest element of one, and what it gets back."""

from libc.stdint cimport int32_t
from libc.string cimport memset

from call cimport real


# The part of a window along one axis that lies inside the image: from `first` to before `last`.

cdef inline Py_ssize_t first_inside(Py_ssize_t o, Py_ssize_t stride, Py_ssize_t pad) noexcept nogil:
    return max(0, o * stride - pad)


cdef inline Py_ssize_t last_inside(Py_ssize_t o, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t window, Py_ssize_t extent) noexcept nogil:
    return min(extent, o * stride - pad + window)


cdef inline void max_of_four(const real *pixel, Py_ssize_t row, Py_ssize_t column, Py_ssize_t place, Py_ssize_t iw, real *y,
                             int32_t *argmax, Py_ssize_t c, bint another) noexcept nogil:
    """The largest of two rows and columns at `place` of an image of width `iw`, whose pixels lie `row` and `column` elements apart.

    Where there is `another` pixel behind each of these, and a result that will be written after this one, vectors of few channels
    go on into them.
    """
    # otherwise the last vector is moved back to end with the channels, over some that are done
    cdef Py_ssize_t first = 0
    if c >= 16:
        _max_of_channels(pixel, row, column, place, iw, y, argmax, c - c % 16)
        if c % 16:
            _max_of_channels(pixel + c - 16, row, column, place, iw, y + c - 16, argmax + c - 16, 16)
    elif c >= 8 and another:
        _max_of_channels(pixel, row, column, place, iw, y, argmax, 16)
    elif c >= 4 and another:
        _max_of_channels(pixel, row, column, place, iw, y, argmax, 8)
    elif c >= 2 and another:
        _max_of_channels(pixel, row, column, place, iw, y, argmax, 4)
    elif c >= 4:
        while first < c:
            first = min(first, c - 4)
            _max_of_channels(pixel + first, row, column, place, iw, y + first, argmax + first, 4)
            first += 4
    else:
        _max_of_channels(pixel, row, column, place, iw, y, argmax, c)


cdef inline void _max_of_channels(const real *x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t place, Py_ssize_t iw, real *y,
                                  int32_t *argmax, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t k
    cdef real best
    cdef int32_t at
    for k in range(channels):
        best = x[k]
        at = <int32_t>place
        _take(x[column + k], <int32_t>(place + 1), &best, &at)
        _take(x[row + k], <int32_t>(place + iw), &best, &at)
        _take(x[row + column + k], <int32_t>(place + iw + 1), &best, &at)
        y[k] = best
        argmax[k] = at


cdef inline void take_pixel(const real *pixel, Py_ssize_t place, real *best, int32_t *at, Py_ssize_t c) noexcept nogil:
    """Let what is larger of a pixel at `place` take the place of the largest so far."""
    cdef Py_ssize_t k
    cdef real largest
    cdef int32_t where
    for k in range(c):
        largest = best[k]
        where = at[k]
        _take(pixel[k], <int32_t>place, &largest, &where)
        best[k] = largest
        at[k] = where


cdef inline void _take(real candidate, int32_t place, real *best, int32_t *at) noexcept nogil:
    """Let a larger candidate, or the first NaN, take the place of `best`; an equal one does not, so the first maximum stays."""
    # selects between two values each: compilers vectorize these, conditions joined by `and` only sometimes
    cdef int32_t if_nan = place if best[0] == best[0] else at[0], if_number = place if candidate > best[0] else at[0]
    cdef real larger = candidate if candidate > best[0] else best[0]
    at[0] = if_nan if candidate != candidate else if_number
    best[0] = candidate if candidate != candidate else larger


cdef inline void scatter_max(const real *dy, const int32_t *argmax, real *dx, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t c, Py_ssize_t ih,
                             Py_ssize_t iw) noexcept nogil:
    """dx = dy of one image's windows at their largest elements, added up."""
    cdef Py_ssize_t o, k
    memset(dx, 0, ih * iw * c * sizeof(real))
    for o in range(oh * ow):
        for k in range(c):
            dx[argmax[o * c + k] * c + k] += dy[o * c + k]
