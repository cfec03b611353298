"""Activations and their derivatives."""

import numpy as np

from ..custom.elementary import exp, expm1_of_negative, normal_tail
from ..spec.activation import SELU_ALPHA, SELU_SCALE
from .activate import bipolar_sigmoid, elu, finish_custom, leaky_relu, relu, selu, sigmoid, softplus, tanh
from .call import step
from .pointers import copy, doubles_on_stack, fill, offset
from .softmax import divide_by_sums, exponentials, subtract_max
from .sums import row_dot
from .vmath import of_reals

SELU_BOTTOM = SELU_SCALE * SELU_ALPHA
ONE_OVER_SQRT_2PI = 0.39894228040143267794
#: beyond, the normal distribution function and the sigmoid are 0, in float32 and in float64
GELU_LIMITS, SILU_LIMITS = (14.5, 40.0), (110.0, 750.0)
#: columns that are summed side by side
COLUMNS = 16


def _forward(formula):
    function = of_reals(formula)

    @step("size")
    def forward(call, first, last):
        x, y = call.x, call.y
        for i in range(first, last):
            y[i] = function(x[i])

    return forward


def _forward_alpha(formula):
    function = of_reals(formula)

    @step("size")
    def forward(call, first, last):
        x, y, alpha = call.x, call.y, call.alpha
        for i in range(first, last):
            y[i] = function(x[i], alpha)

    return forward


def _backward(formula):
    derivative = of_reals(formula)

    @step("size")
    def backward(call, first, last):
        dy, y, dx = call.dy, call.y, call.dx
        for i in range(first, last):
            dx[i] = dy[i] * derivative(y[i])

    return backward


def _backward_alpha(formula):
    derivative = of_reals(formula)

    @step("size")
    def backward(call, first, last):
        dy, y, alpha, dx = call.dy, call.y, call.alpha, call.dx
        for i in range(first, last):
            dx[i] = dy[i] * derivative(y[i], alpha)

    return backward


def _backward_from_input(formula):
    derivative = of_reals(formula)

    @step("size")
    def backward(call, first, last):
        dy, x, dx = call.dy, call.x, call.dx
        for i in range(first, last):
            dx[i] = dy[i] * derivative(x[i])

    return backward


def _linear(x):
    return x


def _linear_derivative(y):
    return y.like(1.0)


def _sigmoid_derivative(y):
    return y * (1.0 - y)


def _tanh_derivative(y):
    return (1.0 - y) * (y + 1.0)


def _bipolar_sigmoid_derivative(y):
    return _tanh_derivative(y) * 0.5


def _leaky_relu_derivative(y, alpha):
    return y.like(1.0).where(y.compare(">", 0.0), alpha)


def _elu_derivative(y, alpha):
    return y.like(1.0).where(y.compare(">", 0.0), y + alpha)


def _selu_derivative(y):
    return y.like(SELU_SCALE).where(y.compare(">", 0.0), y + SELU_BOTTOM)


def _softplus_derivative(y):
    return -expm1_of_negative(-y)  # sigmoid(x) = 1 - exp(-softplus(x))


# Where x is so negative that the normal distribution function or the sigmoid is 0, x is cut off, since -inf * 0 is NaN; for the
# derivatives at both ends.


def _clip(x, limits):
    limit = limits[0] if x.is_float32 else limits[1]
    return x.at_most(limit).at_least(-limit)


def _normal_distribution(x):
    tail = normal_tail(x.intrinsic("fabs"))
    return tail.where(x.compare("<", 0.0), 1.0 - tail)


def _gelu(x):
    inside = _clip(x, GELU_LIMITS)
    return inside.where(x.compare("<", 0.0), x) * _normal_distribution(inside)


def _gelu_derivative(x):
    x = _clip(x, GELU_LIMITS)
    return _normal_distribution(x) + x * (exp(x * x * -0.5) * ONE_OVER_SQRT_2PI)


def _silu(x):
    inside = _clip(x, SILU_LIMITS)
    return inside.where(x.compare("<", 0.0), x) * sigmoid(inside)


def _silu_derivative(x):
    # s * (1 + x * (1 - s)) with s = sigmoid(x); both s and 1 - s are quotients, so neither loses digits
    x = _clip(x, SILU_LIMITS)
    return sigmoid(x) * (x * sigmoid(-x) + 1.0)


linear_forward = _forward(_linear)
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
