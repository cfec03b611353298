"""Activations of one element, and of a block that is still in the cache: what dense and convolution kernels fuse."""

import math

from ..spec.activation import FUSED, SELU_ALPHA, SELU_SCALE
from .custom import apply
from .pointers import inline, is_null, offset
from .vmath import exp, expm1, log1p

LINEAR, RELU, SIGMOID, TANH = FUSED["linear"], FUSED["relu"], FUSED["sigmoid"], FUSED["tanh"]
BIPOLAR_SIGMOID, LEAKY_RELU, ELU = FUSED["bipolar_sigmoid"], FUSED["leaky_relu"], FUSED["elu"]
SELU, SOFTPLUS = FUSED["selu"], FUSED["softplus"]

# Comparisons are written so that NaN takes the branch that keeps it.


@inline
def relu(x):
    return 0.0 if x < 0 else x


@inline
def sigmoid(x):
    e = exp(-abs(x))
    return (e if x < 0 else 1.0) / (1.0 + e)


@inline
def tanh(x):
    # from expm1 of a negative number: nothing overflows and small x keep their digits
    e = expm1(-2.0 * abs(x))
    return math.copysign(-e / (2.0 + e), x)


@inline
def bipolar_sigmoid(x):
    return tanh(0.5 * x)


@inline
def leaky_relu(x, alpha):
    return x if x > 0 else alpha * x


@inline
def elu(x, alpha):
    return x if x > 0 else alpha * expm1(0.0 if x > 0 else x)


@inline
def selu(x):
    return SELU_SCALE * elu(x, SELU_ALPHA)


@inline
def softplus(x):
    return relu(x) + log1p(exp(-abs(x)))


@inline
def activate(y, n, code, alpha):
    """y = activation(y) for n elements."""
    if code == RELU:
        for i in range(n):
            y[i] = relu(y[i])
    elif code == SIGMOID:
        for i in range(n):
            y[i] = sigmoid(y[i])
    elif code == TANH:
        for i in range(n):
            y[i] = tanh(y[i])
    elif code == BIPOLAR_SIGMOID:
        for i in range(n):
            y[i] = bipolar_sigmoid(y[i])
    elif code == LEAKY_RELU:
        for i in range(n):
            y[i] = leaky_relu(y[i], alpha)
    elif code == ELU:
        for i in range(n):
            y[i] = elu(y[i], alpha)
    elif code == SELU:
        for i in range(n):
            y[i] = selu(y[i])
    elif code == SOFTPLUS:
        for i in range(n):
            y[i] = softplus(y[i])


# what a dense or convolution kernel does with results from `first` on: that of the built-in activations, that of the user's


@inline
def finish(call, first, n):
    activate(offset(call.y, first), n, call.activation, call.alpha)


@inline
def finish_custom(call, first, n):
    slope = call.slope if is_null(call.slope) else offset(call.slope, first)
    apply(call.function, offset(call.y, first), slope, n)
