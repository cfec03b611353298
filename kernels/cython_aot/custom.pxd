"""Functions of the user's, compiled by Numba: kernels call them by the addresses in a record, see kernels/custom/record.py."""

from call cimport real

cdef struct Custom:  # the Record of kernels/custom/record.py: of each pair one for float and one for double
    void *value[2]
    void *slope[2]
    float edges_f32[4]
    double edges_f64[4]


cdef struct Applied:
    const Custom *custom
    Py_ssize_t slope  # from an element of the array in hand to the place of its derivative; 0 where no derivative is wanted


ctypedef void (*value_f32)(Py_ssize_t n, float *y) noexcept nogil
ctypedef void (*value_f64)(Py_ssize_t n, double *y) noexcept nogil
ctypedef void (*slope_f32)(Py_ssize_t n, float *y, float *slope, const float *edges) noexcept nogil
ctypedef void (*slope_f64)(Py_ssize_t n, double *y, double *slope, const double *edges) noexcept nogil


ctypedef void (*loss_f32)(Py_ssize_t n, const float *pred, const float *target, float *loss) noexcept nogil
ctypedef void (*loss_f64)(Py_ssize_t n, const double *pred, const double *target, double *loss) noexcept nogil
ctypedef void (*loss_slope_f32)(Py_ssize_t n, const float *pred, const float *target, float *loss, float *slope) noexcept nogil
ctypedef void (*loss_slope_f64)(Py_ssize_t n, const double *pred, const double *target, double *loss, double *slope) noexcept nogil
ctypedef void (*step_f32)(Py_ssize_t n, const float *g, const double *lr, const double *step, const double *params, float *w, float *s1,
                          float *s2, float *s3) noexcept nogil
ctypedef void (*step_f64)(Py_ssize_t n, const double *g, const double *lr, const double *step, const double *params, double *w,
                          double *s1, double *s2, double *s3) noexcept nogil


cdef inline Applied applied(Py_ssize_t function, const real *at, const real *slope) noexcept nogil:
    """Return the function of the record at `function`, for an array at `at` and its derivative at `slope` (which may be NULL)."""
    cdef Py_ssize_t distance = (<Py_ssize_t>slope - <Py_ssize_t>at) // <Py_ssize_t>sizeof(real) if slope else 0
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


cdef inline void apply_loss(const Applied *loss, const real *p, const real *t, real *out, Py_ssize_t n) noexcept nogil:
    """out = the loss of n predictions, and its derivative, whose place is counted from the predictions."""
    cdef const Custom *custom = loss.custom
    cdef real *slope = <real *>p + loss.slope
    if real is float:
        if loss.slope:
            (<loss_slope_f32>custom.slope[0])(n, p, t, out, slope)
        else:
            (<loss_f32>custom.value[0])(n, p, t, out)
    else:
        if loss.slope:
            (<loss_slope_f64>custom.slope[1])(n, p, t, out, slope)
        else:
            (<loss_f64>custom.value[1])(n, p, t, out)


cdef inline real *element(real *array, Py_ssize_t i) noexcept nogil:
    """Return the place of element i of an array that may be left out."""
    return array + i if array else NULL


cdef inline void apply_step(const Custom *custom, const real *g, const double *lr, const double *step, const double *params, real *w,
                            real *s1, real *s2, real *s3, Py_ssize_t first, Py_ssize_t n) noexcept nogil:
    """Update n elements of a parameter and of its slots, from element `first` on."""
    if real is float:
        (<step_f32>custom.value[0])(n, g + first, lr, step, params, w + first, element(s1, first), element(s2, first), element(s3, first))
    else:
        (<step_f64>custom.value[1])(n, g + first, lr, step, params, w + first, element(s1, first), element(s2, first), element(s3, first))
