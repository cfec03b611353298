"""Activations and their derivatives, each in the form that stays exact at large arguments."""

import math

import numpy as np

from ..custom.record import Record
from ..spec.activation import ALPHA_DEFAULT, FUSED, SELU_ALPHA, SELU_SCALE
from .precision import in_float64

#: from these arguments down the normal distribution function and the sigmoid are 0 in float64; gelu and silu cut x off there,
#: since -inf * 0 is NaN
GELU_ZERO, SILU_ZERO = -40.0, -800.0


@in_float64
def linear_forward(x, y):
    y[...] = x


@in_float64
def linear_backward(dy, y, dx):
    dx[...] = dy


@in_float64
def relu_forward(x, y):
    y[...] = np.maximum(x, 0)


@in_float64
def relu_backward(dy, y, dx):
    dx[...] = np.where(y > 0, dy, 0)


@in_float64
def sigmoid_forward(x, y):
    y[...] = sigmoid(x)


@in_float64
def sigmoid_backward(dy, y, dx):
    dx[...] = dy * y * (1 - y)


@in_float64
def tanh_forward(x, y):
    y[...] = np.tanh(x)


@in_float64
def tanh_backward(dy, y, dx):
    dx[...] = dy * (1 - y) * (1 + y)


@in_float64
def bipolar_sigmoid_forward(x, y):
    y[...] = np.tanh(x / 2)


@in_float64
def bipolar_sigmoid_backward(dy, y, dx):
    dx[...] = dy * (1 - y) * (1 + y) / 2


@in_float64
def leaky_relu_forward(x, alpha, y):
    y[...] = np.where(x > 0, x, alpha * x)


@in_float64
def leaky_relu_backward(dy, y, alpha, dx):
    dx[...] = dy * np.where(y > 0, 1, alpha)


@in_float64
def elu_forward(x, alpha, y):
    y[...] = np.where(x > 0, x, alpha * np.expm1(x))


@in_float64
def elu_backward(dy, y, alpha, dx):
    dx[...] = dy * np.where(y > 0, 1, y + alpha)


@in_float64
def selu_forward(x, y):
    y[...] = SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x))


@in_float64
def selu_backward(dy, y, dx):
    dx[...] = dy * np.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)


@in_float64
def softplus_forward(x, y):
    y[...] = softplus(x)


@in_float64
def softplus_backward(dy, y, dx):
    dx[...] = dy * -np.expm1(-y)  # sigmoid(x) = 1 - exp(-softplus(x))


@in_float64
def gelu_forward(x, y):
    x = np.maximum(x, GELU_ZERO)
    y[...] = x * _normal_distribution(x)


@in_float64
def gelu_backward(dy, x, dx):
    x = np.clip(x, GELU_ZERO, -GELU_ZERO)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    dx[...] = dy * (_normal_distribution(x) + x * density)


@in_float64
def silu_forward(x, y):
    x = np.maximum(x, SILU_ZERO)
    y[...] = x * sigmoid(x)


@in_float64
def silu_backward(dy, x, dx):
    x = np.clip(x, SILU_ZERO, -SILU_ZERO)
    dx[...] = dy * sigmoid(x) * (1 + x * sigmoid(-x))


@in_float64
def custom_forward(x, function, y, slope):
    y[...] = x
    apply_custom(function, y, slope)


@in_float64
def custom_backward(dy, slope, dx):
    dx[...] = dy * slope


@in_float64
def prelu_forward(x, alpha, y):
    y[...] = np.where(x > 0, x, alpha * x)


@in_float64
def prelu_backward(dy, x, alpha, dx, dalpha):
    dx[...] = np.where(x > 0, dy, alpha * dy)
    dalpha[...] = np.where(x > 0, 0, dy * x).sum(axis=0)


@in_float64
def softmax_forward(x, y):
    y[...] = np.exp(x - x.max(axis=1, keepdims=True))
    y[...] /= y.sum(axis=1, keepdims=True)


@in_float64
def softmax_backward(dy, y, dx):
    dx[...] = y * (dy - (dy * y).sum(axis=1, keepdims=True))


_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _normal_distribution(x):
    return _erfc(-x / math.sqrt(2)) / 2  # erfc keeps the digits of the lower tail, which 1 + erf loses


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), by exponentials of negative numbers only."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    """Return log(1 + exp(x)), by exponentials of negative numbers only."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


_FUSED_FORWARD = {code: (globals()[f"{name}_forward"], name in ALPHA_DEFAULT) for name, code in FUSED.items()}


def apply_fused(activation, alpha, z):
    """Replace float64 array `z` by its activation of code `activation` (`alpha` counts for those that have one)."""
    forward, takes_alpha = _FUSED_FORWARD[activation]
    forward(z, *((alpha,) if takes_alpha else ()), z)


def apply_custom(function, z, slope):
    """Replace float64 array `z` by the activation of the user's whose record is at `function`; `slope` gets its derivative."""
    Record.at(function).activate(z, slope)
