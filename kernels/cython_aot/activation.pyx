"""Activations and their derivatives."""

from cython.parallel cimport prange
from libc.string cimport memcpy

from activate cimport (BIPOLAR_SIGMOID, ELU, LEAKY_RELU, LINEAR, RELU, SELU, SELU_ALPHA, SELU_SCALE, SIGMOID, SOFTPLUS, TANH, activate,
                       relu_gradient)
from call cimport real
from custom cimport Applied, applied, apply
from parallel cimport chunk_length, chunk_start, chunks, team
from softmax cimport BLOCK_ROWS, block_rows, divide_by_sum, exponentials, subtract_max
from sums cimport row_dot
from vmath cimport vabs, vexp, vexpm1, vnormal_tail

cdef enum:
    # activations that cannot be fused, after the codes of those that can
    GELU = 9
    SILU = 10

cdef enum:
    COLUMNS = 16  # columns that are summed side by side

cdef extern from *:
    """
    #define ONE_OVER_SQRT_2PI 0.39894228040143267794
    """
    const double ONE_OVER_SQRT_2PI


cdef void _forward(const real *x, real *y, Py_ssize_t n, Py_ssize_t code, real alpha) noexcept nogil:
    cdef Py_ssize_t i
    if code == GELU:
        for i in range(n):
            y[i] = _gelu(x[i])
    elif code == SILU:
        for i in range(n):
            y[i] = _silu(x[i])
    else:
        activate(x, y, n, code, alpha)


cdef void _backward(const real *dy, const real *y, real *dx, Py_ssize_t n, Py_ssize_t code, real alpha) noexcept nogil:
    # y is the output, for gelu and silu the input
    cdef Py_ssize_t i
    cdef real one = 1, half = <real>0.5, scale = <real>SELU_SCALE, bottom = <real>(SELU_SCALE * SELU_ALPHA)
    if code == LINEAR:
        for i in range(n):
            dx[i] = dy[i]
    elif code == RELU:
        relu_gradient(dy, y, dx, n)
    elif code == SIGMOID:
        for i in range(n):
            dx[i] = dy[i] * (y[i] * (one - y[i]))
    elif code == TANH:
        for i in range(n):
            dx[i] = dy[i] * ((one - y[i]) * (one + y[i]))
    elif code == BIPOLAR_SIGMOID:
        for i in range(n):
            dx[i] = dy[i] * (half * (one - y[i]) * (one + y[i]))
    elif code == LEAKY_RELU:
        for i in range(n):
            dx[i] = dy[i] * (one if y[i] > 0 else alpha)
    elif code == ELU:
        for i in range(n):
            dx[i] = dy[i] * (one if y[i] > 0 else y[i] + alpha)
    elif code == SELU:
        for i in range(n):
            dx[i] = dy[i] * (scale if y[i] > 0 else y[i] + bottom)
    elif code == SOFTPLUS:
        for i in range(n):
            dx[i] = dy[i] * -vexpm1(-y[i])  # sigmoid(x) = 1 - exp(-softplus(x))
    elif code == GELU:
        for i in range(n):
            dx[i] = dy[i] * _gelu_derivative(y[i])
    elif code == SILU:
        for i in range(n):
            dx[i] = dy[i] * _silu_derivative(y[i])


# Where x is so negative that Phi(x) or sigmoid(x) is 0, x is cut off, since -inf * 0 is NaN; for the derivatives at both ends.

cdef inline real _clip(real x, real limit) noexcept nogil:
    x = limit if x > limit else x
    return -limit if x < -limit else x


cdef inline real _normal_distribution(real x) noexcept nogil:
    cdef real one = 1, tail = vnormal_tail(vabs(x))
    return tail if x < 0 else one - tail


cdef inline real _gelu(real x) noexcept nogil:
    cdef real limit = <real>14.5 if real is float else 40, inside = _clip(x, limit)
    return (inside if x < 0 else x) * _normal_distribution(inside)


cdef inline real _gelu_derivative(real x) noexcept nogil:
    cdef real limit = <real>14.5 if real is float else 40, half = <real>0.5, density
    x = _clip(x, limit)
    density = <real>ONE_OVER_SQRT_2PI * vexp(-half * x * x)
    return _normal_distribution(x) + x * density


cdef inline real _silu(real x) noexcept nogil:
    cdef real one = 1, limit = <real>110 if real is float else 750, inside = -limit if x < -limit else x, e = vexp(-vabs(inside))
    return inside * ((e if x < 0 else one) / (one + e))


cdef inline real _silu_derivative(real x) noexcept nogil:
    # s * (1 + x * (1 - s)) with s = sigmoid(x); both s and 1 - s are quotients, so neither loses digits
    cdef real one = 1, limit = <real>110 if real is float else 750, e, near_one, near_zero, s, rest
    x = _clip(x, limit)
    e = vexp(-vabs(x))
    near_one = one / (one + e)
    near_zero = e * near_one
    s = near_zero if x < 0 else near_one
    rest = near_one if x < 0 else near_zero
    return s * (one + x * rest)


cdef void forward(const real *x, real *y, Py_ssize_t size, Py_ssize_t code, double alpha, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _forward(x, y, size, code, <real>alpha)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _forward(x + at, y + at, chunk_length(k, size), code, <real>alpha)


cdef void backward(const real *dy, const real *y, real *dx, Py_ssize_t size, Py_ssize_t code, double alpha, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _backward(dy, y, dx, size, code, <real>alpha)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _backward(dy + at, y + at, dx + at, chunk_length(k, size), code, <real>alpha)


cdef void linear_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, LINEAR, 0, threads)


cdef void linear_backward(const real *dy, const real *y, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, LINEAR, 0, threads)


cdef void relu_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, RELU, 0, threads)


cdef void relu_backward(const real *dy, const real *y, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, RELU, 0, threads)


cdef void sigmoid_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, SIGMOID, 0, threads)


cdef void sigmoid_backward(const real *dy, const real *y, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, SIGMOID, 0, threads)


cdef void tanh_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, TANH, 0, threads)


cdef void tanh_backward(const real *dy, const real *y, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, TANH, 0, threads)


cdef void bipolar_sigmoid_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, BIPOLAR_SIGMOID, 0, threads)


cdef void bipolar_sigmoid_backward(const real *dy, const real *y, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, BIPOLAR_SIGMOID, 0, threads)


cdef void leaky_relu_forward(const real *x, double alpha, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, LEAKY_RELU, alpha, threads)


cdef void leaky_relu_backward(const real *dy, const real *y, double alpha, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, LEAKY_RELU, alpha, threads)


cdef void elu_forward(const real *x, double alpha, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, ELU, alpha, threads)


cdef void elu_backward(const real *dy, const real *y, double alpha, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, ELU, alpha, threads)


cdef void selu_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, SELU, 0, threads)


cdef void selu_backward(const real *dy, const real *y, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, SELU, 0, threads)


cdef void softplus_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, SOFTPLUS, 0, threads)


cdef void softplus_backward(const real *dy, const real *y, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, y, dx, size, SOFTPLUS, 0, threads)


cdef void gelu_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, GELU, 0, threads)


cdef void gelu_backward(const real *dy, const real *x, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, x, dx, size, GELU, 0, threads)


cdef void silu_forward(const real *x, real *y, Py_ssize_t size, int threads) noexcept nogil:
    forward(x, y, size, SILU, 0, threads)


cdef void silu_backward(const real *dy, const real *x, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    backward(dy, x, dx, size, SILU, 0, threads)


cdef void custom_forward(const real *x, Py_ssize_t function, real *y, real *slope, Py_ssize_t size, int threads) noexcept nogil:
    cdef Applied activation = applied(function, y, slope)
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        for k in range(chunks(size)):
            at = chunk_start(k, size)
            _custom(&activation, x + at, y + at, chunk_length(k, size))
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _custom(&activation, x + at, y + at, chunk_length(k, size))


cdef void _custom(const Applied *activation, const real *x, real *y, Py_ssize_t n) noexcept nogil:
    memcpy(y, x, n * sizeof(real))
    apply(activation, y, n)


cdef void custom_backward(const real *dy, const real *slope, real *dx, Py_ssize_t size, int threads) noexcept nogil:
    cdef Py_ssize_t k, at
    if team(size, threads) == 1:
        _times(dy, slope, dx, size)
    else:
        for k in prange(chunks(size), num_threads=threads, schedule="static"):
            at = chunk_start(k, size)
            _times(dy + at, slope + at, dx + at, chunk_length(k, size))


cdef void _times(const real *dy, const real *slope, real *dx, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = dy[i] * slope[i]


cdef void prelu_forward(const real *x, const real *alpha, real *y, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(m * c, threads) == 1:
        for i in range(m):
            _prelu(x + i * c, alpha, y + i * c, c)
    else:
        for i in prange(m, num_threads=threads, schedule="static"):
            _prelu(x + i * c, alpha, y + i * c, c)


cdef inline void _prelu(const real *x, const real *alpha, real *y, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t j
    cdef real one = 1
    for j in range(c):
        y[j] = x[j] * (one if x[j] > 0 else alpha[j])


cdef void prelu_backward(const real *dy, const real *x, const real *alpha, real *dx, real *dalpha, Py_ssize_t m, Py_ssize_t c,
                         int threads) noexcept nogil:
    cdef Py_ssize_t k, blocks = (c + COLUMNS - 1) // COLUMNS
    if team(m * c, threads) == 1:
        for k in range(blocks):
            _prelu_columns(dy, x, alpha, dx, dalpha, m, c, k * COLUMNS, min(<Py_ssize_t>COLUMNS, c - k * COLUMNS))
    else:
        for k in prange(blocks, num_threads=threads, schedule="static"):
            _prelu_columns(dy, x, alpha, dx, dalpha, m, c, k * COLUMNS, min(<Py_ssize_t>COLUMNS, c - k * COLUMNS))


cdef void _prelu_columns(const real *dy, const real *x, const real *alpha, real *dx, real *dalpha, Py_ssize_t m, Py_ssize_t c,
                         Py_ssize_t first, Py_ssize_t width) noexcept nogil:
    cdef double total[COLUMNS]
    cdef real one = 1, zero = 0
    cdef Py_ssize_t i, j, start
    for j in range(width):
        total[j] = 0
    for i in range(m):
        start = i * c + first
        for j in range(width):
            dx[start + j] = dy[start + j] * (one if x[start + j] > 0 else alpha[first + j])
            total[j] += zero if x[start + j] > 0 else dy[start + j] * x[start + j]
    for j in range(width):
        dalpha[first + j] = <real>total[j]


cdef void softmax_forward(const real *x, real *y, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t k, rows = block_rows(c), blocks = (m + rows - 1) // rows
    if team(m * c, threads) == 1:
        for k in range(blocks):
            _softmax(x + k * rows * c, y + k * rows * c, min(rows, m - k * rows), c)
    else:
        for k in prange(blocks, num_threads=threads, schedule="static"):
            _softmax(x + k * rows * c, y + k * rows * c, min(rows, m - k * rows), c)


cdef void _softmax(const real *x, real *y, Py_ssize_t rows, Py_ssize_t c) noexcept nogil:
    cdef double total[BLOCK_ROWS]
    subtract_max(x, y, rows, c)
    exponentials(y, rows * c)
    divide_by_sum(y, rows, c, total)


cdef void softmax_backward(const real *dy, const real *y, real *dx, Py_ssize_t m, Py_ssize_t c, int threads) noexcept nogil:
    cdef Py_ssize_t i
    if team(m * c, threads) == 1:
        for i in range(m):
            _softmax_backward(dy + i * c, y + i * c, dx + i * c, c)
    else:
        for i in prange(m, num_threads=threads, schedule="static"):
            _softmax_backward(dy + i * c, y + i * c, dx + i * c, c)


cdef void _softmax_backward(const real *dy, const real *y, real *dx, Py_ssize_t c) noexcept nogil:
    cdef Py_ssize_t j
    # the difference in double: where one class has nearly all the probability, `mean` is nearly its dy
    cdef double mean = row_dot(dy, y, c)
    for j in range(c):
        dx[j] = <real>(y[j] * (dy[j] - mean))


include "calls_activation.pxi"
