"""Activations of one element, and of a block that is still in the cache: what dense and convolution kernels fuse."""

from call cimport real
from custom cimport Applied, apply
from vmath cimport vabs, vcopysign, vexp, vexpm1, vlog1p

# codes and constants of kernels/spec/activation.py; a larger code is the address of an `Applied`, an activation of the user's
cdef enum:
    LINEAR = 0
    RELU = 1
    SIGMOID = 2
    TANH = 3
    BIPOLAR_SIGMOID = 4
    LEAKY_RELU = 5
    ELU = 6
    SELU = 7
    SOFTPLUS = 8

cdef extern from *:
    """
    #define SELU_ALPHA 1.6732632423543772848170429916717
    #define SELU_SCALE 1.0507009873554804934193349852946
    """
    const double SELU_ALPHA, SELU_SCALE


# Comparisons are written so that NaN takes the branch that keeps it. Constants are variables of type real: a literal is a double
# in C and would make float loops compute in double.

cdef inline real relu(real x) noexcept nogil:
    return 0 if x < 0 else x


cdef inline void relu_gradient(const real *dy, const real *y, real *dx, Py_ssize_t n) noexcept nogil:
    """dx = dy where y, relu's output, is above 0, else 0; dx may be dy."""
    cdef Py_ssize_t i
    cdef real gradient, zero = 0
    for i in range(n):
        gradient = dy[i]  # read in any case: a read under a condition does not vectorize everywhere
        dx[i] = gradient if y[i] > 0 else zero


cdef inline real sigmoid(real x) noexcept nogil:
    cdef real one = 1, e = vexp(-vabs(x))
    return (e if x < 0 else one) / (one + e)


cdef inline real tanh(real x) noexcept nogil:
    # from expm1 of a negative number: nothing overflows and small x keep their digits
    cdef real two = 2, e = vexpm1(-two * vabs(x))
    return vcopysign(-e / (two + e), x)


cdef inline real bipolar_sigmoid(real x) noexcept nogil:
    cdef real half = <real>0.5
    return tanh(half * x)


cdef inline real leaky_relu(real x, real alpha) noexcept nogil:
    return x if x > 0 else alpha * x


cdef inline real elu(real x, real alpha) noexcept nogil:
    return x if x > 0 else alpha * vexpm1(0 if x > 0 else x)


cdef inline real selu(real x) noexcept nogil:
    cdef real scale = <real>SELU_SCALE
    return scale * elu(x, <real>SELU_ALPHA)


cdef inline real softplus(real x) noexcept nogil:
    return relu(x) + vlog1p(vexp(-vabs(x)))


cdef inline void activate(const real *x, real *y, Py_ssize_t n, Py_ssize_t code, real alpha) noexcept nogil:
    """y = activation(x) for n elements; x may be y."""
    cdef Py_ssize_t i
    if code == LINEAR:
        for i in range(n):
            y[i] = x[i]
    elif code == RELU:
        for i in range(n):
            y[i] = relu(x[i])
    elif code == SIGMOID:
        for i in range(n):
            y[i] = sigmoid(x[i])
    elif code == TANH:
        for i in range(n):
            y[i] = tanh(x[i])
    elif code == BIPOLAR_SIGMOID:
        for i in range(n):
            y[i] = bipolar_sigmoid(x[i])
    elif code == LEAKY_RELU:
        for i in range(n):
            y[i] = leaky_relu(x[i], alpha)
    elif code == ELU:
        for i in range(n):
            y[i] = elu(x[i], alpha)
    elif code == SELU:
        for i in range(n):
            y[i] = selu(x[i])
    elif code == SOFTPLUS:
        for i in range(n):
            y[i] = softplus(x[i])


cdef inline void activate_inplace(real *y, Py_ssize_t n, Py_ssize_t code, real alpha) noexcept nogil:
    """y = activation(y) for n elements."""
    if code > SOFTPLUS:
        apply(<const Applied *>code, y, n)
    elif code != LINEAR:
        activate(<const real *>y, y, n, code, alpha)
