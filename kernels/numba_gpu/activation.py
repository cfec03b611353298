"""Activations and their derivatives, each in the form that stays exact at large arguments."""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from ..custom.record import Record
from ..spec.activation import ALPHA_DEFAULT, FROM_INPUT, FUSED, SELU_ALPHA, SELU_SCALE
from .compiler import activation_of, cuda, device, float64, number, uint32
from .launch import THREADS, over, scratch
from .maps import each
from .rows import softmax, softmax_gradient
from .sums import as_they_are, column_pairs

u = uint32

#: from these arguments down the normal distribution function and the sigmoid are 0 in float64
GELU_ZERO, SILU_ZERO = -40.0, -800.0
#: activations of so little code that it may stand once for each result of a thread
SHORT = ("linear", "relu", "leaky_relu")
NAME_OF = {code: name for name, code in FUSED.items()}


@cache
def function(name, real, alpha=0.0):
    """Return an activation of one number, for kernels to call."""
    zero, half, one, slope = real(0), real(0.5), real(1), real(alpha)
    scale, scaled_alpha = real(SELU_SCALE), real(SELU_SCALE * SELU_ALPHA)
    gelu_zero, silu_zero, root = float64(GELU_ZERO), real(SILU_ZERO), float64(math.sqrt(2))

    # comparisons are such that NaN goes to the branch that keeps it
    def linear(x):
        return x

    def relu(x):
        return zero if x <= zero else x

    def sigmoid(x):
        e = real(math.exp(-abs(x)))
        return (one if x >= zero else e) / (one + e)

    def tanh(x):
        return real(math.tanh(x))

    def bipolar_sigmoid(x):
        return real(math.tanh(x * half))

    def leaky_relu(x):
        return x if x > zero else slope * x

    def elu(x):
        return x if x > zero else slope * real(math.expm1(x))

    def selu(x):
        return scale * x if x > zero else scaled_alpha * real(math.expm1(x))

    def softplus(x):
        return (x if x > zero else zero) + real(math.log1p(real(math.exp(-abs(x)))))

    def gelu(x):
        wide = float64(x)  # in float32 the rounding of x / sqrt(2) alone costs digits of the tail
        if wide < gelu_zero:
            wide = gelu_zero
        return real(wide * math.erfc(-wide / root) * 0.5)

    def silu(x):
        if x < silu_zero:
            x = silu_zero
        e = real(math.exp(-abs(x)))
        return x * ((one if x >= zero else e) / (one + e))

    return device(locals()[name])


@cache
def derivative(name, real, alpha=0.0):
    """Return the gradient by an activation's input from dy and what was saved, for kernels to call."""
    zero, half, one, slope = real(0), real(0.5), real(1), real(alpha)
    scale, scaled_alpha = real(SELU_SCALE), real(SELU_SCALE * SELU_ALPHA)
    gelu_zero, silu_zero, root = float64(GELU_ZERO), real(SILU_ZERO), float64(math.sqrt(2))
    density_scale = float64(1 / math.sqrt(2 * math.pi))

    def linear(dy, y):
        return dy

    def relu(dy, y):
        return dy if y > zero else zero

    def sigmoid(dy, y):
        return dy * y * (one - y)

    def tanh(dy, y):
        return dy * (one - y) * (one + y)

    def bipolar_sigmoid(dy, y):
        return dy * (one - y) * (one + y) * half

    def leaky_relu(dy, y):
        return dy if y > zero else dy * slope

    def elu(dy, y):
        return dy if y > zero else dy * (y + slope)

    def selu(dy, y):
        return dy * scale if y > zero else dy * (y + scaled_alpha)

    def softplus(dy, y):
        return dy * -real(math.expm1(-y))

    def gelu(dy, x):
        wide = float64(x)
        if wide < gelu_zero:
            wide = gelu_zero
        elif wide > -gelu_zero:
            wide = -gelu_zero
        density = math.exp(wide * wide * -0.5) * density_scale
        return real(dy * (math.erfc(-wide / root) * 0.5 + wide * density))

    def silu(dy, x):
        if x < silu_zero:
            x = silu_zero
        elif x > -silu_zero:
            x = -silu_zero
        e = real(math.exp(-abs(x)))
        up = (one if x >= zero else e) / (one + e)  # sigmoid(x)
        down = (e if x >= zero else one) / (one + e)  # sigmoid(-x)
        return dy * up * (one + x * down)

    return device(locals()[name])


def _forward(name):
    def launches(x, *alpha_and_y):
        *alpha, y = alpha_and_y
        return each(function(name, number(x.dtype), *alpha), x, y)

    return launches


def _backward(name):
    def launches(dy, saved, *alpha_and_dx):
        *alpha, dx = alpha_and_dx
        return each(derivative(name, number(dy.dtype), *alpha), dy, saved, dx)

    return launches


for _name in (*FUSED, *FROM_INPUT):
    globals()[f"{_name}_forward"] = _forward(_name)
    globals()[f"{_name}_backward"] = _backward(_name)


class Fused(NamedTuple):
    """An activation at the end of a kernel that has several results in registers, in two parts.

    Attributes
    ----------
    first : callable
        For kernels: ``first(x)`` is what is stored.
    then : callable
        For kernels: ``then(y, slope, i)`` is done to each element when all are stored; it writes `slope`, or reads it. A loop over
        registers must be unrolled, and the compiler does not do that with much code; this one reads its elements from memory.
    """

    first: Callable
    then: Callable


@device
def _nothing(y, slope, i):
    pass


def of_code(which, activation, alpha, real):
    """Return the activation, or the derivative, of a code of `FUSED`: `which` is `function` or `derivative`."""
    name = NAME_OF[activation]
    return which(name, real, *((alpha,) if name in ALPHA_DEFAULT else ()))


@cache
def fused(activation, alpha, real):
    """Return the activation of a code of `FUSED`, without slope."""
    f = of_code(function, activation, alpha, real)

    @device
    def then(y, slope, i):
        y[i] = f(y[i])

    return Fused(f, _nothing) if NAME_OF[activation] in SHORT else Fused(function("linear", real), then)


@cache
def _gate(name, real, *alpha):
    d = derivative(name, real, *alpha)

    @device
    def then(dx, saved, i):
        dx[i] = d(dx[i], saved[i])

    return Fused(function("linear", real), then)


def gated(gate, dx):
    """Return what multiplies a product by the derivative of an activation: a `Fused`, and what it reads in the place of a slope.

    `gate` is None, or the activation's name, its parameters and its output.
    """
    if gate is None:
        return None, None
    name, alpha, saved = gate
    return _gate(name, number(dx.dtype), *alpha), saved


@cache
def custom(address, with_slope, dtype):
    """Return the activation of the user's whose record is at an address, which stores its slope too if that is wanted."""
    record, real = Record.at(address), number(dtype)
    f = activation_of(record, with_slope, real)
    left, left_slope, right, right_slope = map(real, record.edges(dtype))

    @device
    def value(y, slope, i):
        y[i] = f(y[i])

    @device
    def value_and_slope(y, slope, i):
        x = y[i]
        y[i], s = f(x)
        s = left_slope if x < left else s
        slope[i] = right_slope if x > right else s

    return Fused(function("linear", real), value_and_slope if with_slope else value)


@cache
def _activated(activation):
    first, then = activation

    def kernel(x, y, slope, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            y[i] = first(x[i])
            then(y, slope, i)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def custom_forward(x, function, y, slope):
    return over(x.size, _activated(custom(function, slope is not None, x.dtype)), x, y, y if slope is None else slope)


@device
def _product(a, b):
    return a * b


def custom_backward(dy, slope, dx):
    return each(_product, dy, slope, dx)


@cache
def _by_column(real):
    one = real(1)

    def kernel(dy, x, alpha, dx, columns, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            dx[i] = dy[i] * (one if x[i] > real(0) else alpha[i % columns])
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def prelu_forward(x, alpha, y):
    return over(x.size, _by_column(number(x.dtype)), x, x, alpha, y, np.uint32(x.shape[1]))


@cache
def _factor_terms(real):
    @device
    def terms(dy, x, c, d, p, q, row, column, columns):
        i = row * columns + column
        return (real(0) if x[i] > real(0) else dy[i] * x[i]), real(0)

    return terms


def prelu_backward(dy, x, alpha, dx, dalpha):
    rows, columns = x.shape
    real, nothing = number(x.dtype), scratch(columns, dtype=x.dtype)
    return [
        *over(x.size, _by_column(real), dy, x, alpha, dx, np.uint32(columns)),
        *column_pairs(_factor_terms(real), as_they_are, (dy, x), x, dalpha, nothing, rows, columns),
    ]


def softmax_forward(x, y):
    return softmax(x, y)


def softmax_backward(dy, y, dx):
    return softmax_gradient(dy, y, dx)
