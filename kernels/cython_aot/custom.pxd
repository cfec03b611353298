"""Activations of the user's, compiled by Numba: kernels call them by the addresses in a record, see kernels/custom/record.py."""

from call cimport real

cdef struct Custom:  # the Record of kernels/custom/record.py: of each pair one for float and one for double
    void *value[2]
    void *slope[2]
    float edges_f32[4]
    double edges_f64[4]


cdef struct Applied:
    const Custom *custom
    Py_ssize_t slope  # from an element of the output to the place of its derivative; 0 where no derivative is wanted


ctypedef void (*value_f32)(Py_ssize_t n, float *y) noexcept nogil
ctypedef void (*value_f64)(Py_ssize_t n, double *y) noexcept nogil
ctypedef void (*slope_f32)(Py_ssize_t n, float *y, float *slope, const float *edges) noexcept nogil
ctypedef void (*slope_f64)(Py_ssize_t n, double *y, double *slope, const double *edges) noexcept nogil


cdef inline Applied applied(Py_ssize_t function, const real *y, const real *slope) noexcept nogil:
    """Return the activation of the record at `function`, for an output at `y` and its derivative at `slope` (which may be NULL)."""
    cdef Py_ssize_t distance = (<Py_ssize_t>slope - <Py_ssize_t>y) // <Py_ssize_t>sizeof(real) if slope else 0
    return Applied(custom=<const Custom *>function, slope=distance)


cdef inline void apply(const Applied *activation, real *y, Py_ssize_t n) noexcept nogil:
    """y = activation(y) for n elements, and its derivative."""
    cdef const Custom *custom = activation.custom
    if real is float:
        if activation.slope:
            (<slope_f32>custom.slope[0])(n, y, y + activation.slope, custom.edges_f32)
        else:
            (<value_f32>custom.value[0])(n, y)
    else:
        if activation.slope:
            (<slope_f64>custom.slope[1])(n, y, y + activation.slope, custom.edges_f64)
        else:
            (<value_f64>custom.value[1])(n, y)
