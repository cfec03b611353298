"""The functions of vmath.h and the square root and absolute value, for both float types under one name."""

from call cimport real

cdef extern from "<math.h>" nogil:
    float fabsf(float)
    double fabs(double)
    float sqrtf(float)
    double sqrt(double)
    float copysignf(float, float)
    double copysign(double, double)

cdef extern from "vmath.h" nogil:
    float vm_exp_f32(float)
    double vm_exp_f64(double)
    float vm_expm1_f32(float)
    double vm_expm1_f64(double)
    float vm_log1p_f32(float)
    double vm_log1p_f64(double)
    double vm_log_f64(double)
    float vm_normal_tail_f32(float)
    double vm_normal_tail_f64(double)


cdef inline real vabs(real x) noexcept nogil:
    return fabsf(x) if real is float else fabs(x)


cdef inline real vsqrt(real x) noexcept nogil:
    return sqrtf(x) if real is float else sqrt(x)


cdef inline real vcopysign(real x, real sign) noexcept nogil:
    return copysignf(x, sign) if real is float else copysign(x, sign)


cdef inline real vexp(real x) noexcept nogil:
    return vm_exp_f32(x) if real is float else vm_exp_f64(x)


cdef inline real vexpm1(real x) noexcept nogil:
    """exp(x) - 1 for x <= 0."""
    return vm_expm1_f32(x) if real is float else vm_expm1_f64(x)


cdef inline real vlog1p(real x) noexcept nogil:
    """log(1 + x) for 0 <= x <= 1."""
    return vm_log1p_f32(x) if real is float else vm_log1p_f64(x)


cdef inline real vnormal_tail(real a) noexcept nogil:
    """The normal distribution function at -a, for 0 <= a <= 14.5 (float) or 40 (double)."""
    return vm_normal_tail_f32(a) if real is float else vm_normal_tail_f64(a)
