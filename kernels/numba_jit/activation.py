"""Activations and their derivatives."""

import numpy as np

from ..spec.activation import SELU_ALPHA, SELU_SCALE
from .activate import bipolar_sigmoid, elu, finish_custom, leaky_relu, relu, selu, sigmoid, softplus, tanh
from .call import step
from .pointers import copy, doubles_on_stack, fill, inline, offset
from .softmax import divide_by_sums, exponentials, subtract_max
from .sums import row_dot
from .vmath import exp, expm1, normal_tail

SELU_BOTTOM = SELU_SCALE * SELU_ALPHA
ONE_OVER_SQRT_2PI = 0.39894228040143267794
#: beyond, the normal distribution function and the sigmoid are 0; x is cut off there, since -inf * 0 is NaN
GELU_LIMIT, SILU_LIMIT = 40.0, 750.0
#: columns that are summed side by side
COLUMNS = 16


def _forward(function):
    @step("size")
    def forward(call, first, last):
        x, y = call.x, call.y
        for i in range(first, last):
            y[i] = function(x[i])

    return forward


def _forward_alpha(function):
    @step("size")
    def forward(call, first, last):
        x, y, alpha = call.x, call.y, call.alpha
        for i in range(first, last):
            y[i] = function(x[i], alpha)

    return forward


def _backward(derivative):
    @step("size")
    def backward(call, first, last):
        dy, y, dx = call.dy, call.y, call.dx
        for i in range(first, last):
            dx[i] = dy[i] * derivative(y[i])

    return backward


def _backward_alpha(derivative):
    @step("size")
    def backward(call, first, last):
        dy, y, alpha, dx = call.dy, call.y, call.alpha, call.dx
        for i in range(first, last):
            dx[i] = dy[i] * derivative(y[i], alpha)

    return backward


def _backward_from_input(derivative):
    @step("size")
    def backward(call, first, last):
        dy, x, dx = call.dy, call.x, call.dx
        for i in range(first, last):
            dx[i] = dy[i] * derivative(x[i])

    return backward


@inline
def _same(x):
    return x


@inline
def _linear_derivative(y):
    return 1.0


@inline
def _sigmoid_derivative(y):
    return y * (1.0 - y)


@inline
def _tanh_derivative(y):
    return (1.0 - y) * (1.0 + y)


@inline
def _bipolar_sigmoid_derivative(y):
    return 0.5 * (1.0 - y) * (1.0 + y)


@inline
def _leaky_relu_derivative(y, alpha):
    return 1.0 if y > 0 else alpha


@inline
def _elu_derivative(y, alpha):
    return 1.0 if y > 0 else y + alpha


@inline
def _selu_derivative(y):
    return SELU_SCALE if y > 0 else y + SELU_BOTTOM


@inline
def _softplus_derivative(y):
    return -expm1(-y)  # sigmoid(x) = 1 - exp(-softplus(x))


@inline
def _clip(x, limit):
    x = limit if x > limit else x
    return -limit if x < -limit else x


@inline
def _normal_distribution(x):
    tail = normal_tail(abs(x))
    return tail if x < 0 else 1.0 - tail


@inline
def _gelu(x):
    inside = _clip(x, GELU_LIMIT)
    return (inside if x < 0 else x) * _normal_distribution(inside)


@inline
def _gelu_derivative(x):
    x = _clip(x, GELU_LIMIT)
    return _normal_distribution(x) + x * (ONE_OVER_SQRT_2PI * exp(-0.5 * x * x))


@inline
def _silu(x):
    inside = -SILU_LIMIT if x < -SILU_LIMIT else x
    return inside * sigmoid(inside)


@inline
def _silu_derivative(x):
    # s * (1 + x * (1 - s)) with s = sigmoid(x); both s and 1 - s are quotients, so neither loses digits
    x = _clip(x, SILU_LIMIT)
    return sigmoid(x) * (1.0 + x * sigmoid(-x))


linear_forward = _forward(_same)
linear_backward = _backward(_linear_derivative)
relu_forward = _forward(relu)
sigmoid_forward = _forward(sigmoid)
sigmoid_backward = _backward(_sigmoid_derivative)
tanh_forward = _forward(tanh)
tanh_backward = _backward(_tanh_derivative)
bipolar_sigmoid_forward = _forward(bipolar_sigmoid)
bipolar_sigmoid_backward = _backward(_bipolar_sigmoid_derivative)
leaky_relu_forward = _forward_alpha(leaky_relu)
leaky_relu_backward = _backward_alpha(_leaky_relu_derivative)
elu_forward = _forward_alpha(elu)
elu_backward = _backward_alpha(_elu_derivative)
selu_forward = _forward(selu)
selu_backward = _backward(_selu_derivative)
softplus_forward = _forward(softplus)
softplus_backward = _backward(_softplus_derivative)
gelu_forward = _forward(_gelu)
gelu_backward = _backward_from_input(_gelu_derivative)
silu_forward = _forward(_silu)
silu_backward = _backward_from_input(_silu_derivative)


@step("size")
def relu_backward(call, first, last):
    # a choice and no product: 0 * inf would be NaN
    dy, y, dx = call.dy, call.y, call.dx
    for i in range(first, last):
        gradient = dy[i]
        dx[i] = gradient if y[i] > 0 else 0.0


@step("size")
def custom_forward(call, first, last):
    copy(offset(call.x, first), offset(call.y, first), last - first)
    finish_custom(call, first, last - first)


@step("size")
def custom_backward(call, first, last):
    dy, slope, dx = call.dy, call.slope, call.dx
    for i in range(first, last):
        dx[i] = dy[i] * slope[i]


@step("m", "c")
def prelu_forward(call, first, last):
    alpha, c = call.alpha, call.c
    for i in range(first, last):
        x, y = offset(call.x, i * c), offset(call.y, i * c)
        for j in range(c):
            y[j] = x[j] if x[j] > 0 else alpha[j] * x[j]


@step(lambda e: -(-e["c"] // COLUMNS), lambda e: COLUMNS * e["m"])
def prelu_backward(call, first, last):
    # an item is some columns side by side
    sums = doubles_on_stack(COLUMNS)
    for block in range(first, last):
        start = block * COLUMNS
        alpha, width = offset(call.alpha, start), min(COLUMNS, call.c - start)
        fill(sums, width, 0.0)
        for i in range(call.m):
            at = i * call.c + start
            dy, x, dx = offset(call.dy, at), offset(call.x, at), offset(call.dx, at)
            for j in range(width):
                dx[j] = dy[j] if x[j] > 0 else alpha[j] * dy[j]
                sums[j] += 0.0 if x[j] > 0 else np.float64(dy[j]) * x[j]
        for j in range(width):
            call.dalpha[start + j] = sums[j]


@step("m", "c")
def softmax_forward(call, first, last):
    x, y, c = call.x, call.y, call.c
    subtract_max(x, y, first, last, c)
    exponentials(y, first * c, last * c)
    divide_by_sums(y, first, last, c)


@step("m", "c")
def softmax_backward(call, first, last):
    dy, y, dx, c = call.dy, call.y, call.dx, call.c
    for i in range(first, last):
        # the difference in float64: where one class has nearly all the probability, the mean is nearly its dy
        mean = row_dot(dy, y, i * c, c)
        for j in range(i * c, (i + 1) * c):
            dx[j] = y[j] * (dy[j] - mean)
