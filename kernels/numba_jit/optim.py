"""One optimizer step on one parameter array, in place."""

import math

from .call import step
from .custom import apply_step
from .pointers import as_real, inline, is_null, offset

# A step is computed in the parameter's own type, to which its hyper-parameters are rounded.


@step("size")
def sgd_step(call, first, last):
    g, w = call.g, call.w
    lr = as_real(call.lr[0], g)
    for i in range(first, last):
        w[i] -= lr * g[i]


@step("size")
def momentum_step(call, first, last):
    g, w, v = call.g, call.w, call.v
    lr, momentum = as_real(call.lr[0], g), as_real(call.momentum, g)
    for i in range(first, last):
        velocity = momentum * v[i] - lr * g[i]
        v[i] = velocity
        w[i] += velocity


@step("size")
def nesterov_step(call, first, last):
    g, w, v = call.g, call.w, call.v
    lr, momentum = as_real(call.lr[0], g), as_real(call.momentum, g)
    for i in range(first, last):
        velocity = momentum * v[i] - lr * g[i]
        v[i] = velocity
        w[i] += momentum * velocity - lr * g[i]


@step("size")
def adagrad_step(call, first, last):
    g, w, a = call.g, call.w, call.a
    lr, eps = as_real(call.lr[0], g), as_real(call.eps, g)
    for i in range(first, last):
        total = a[i] + g[i] * g[i]
        a[i] = total
        w[i] -= lr * g[i] / math.sqrt(total + eps)


@step("size")
def rmsprop_step(call, first, last):
    g, w, a = call.g, call.w, call.a
    lr, eps = as_real(call.lr[0], g), as_real(call.eps, g)
    rho, rest = as_real(call.rho, g), as_real(1.0 - call.rho, g)
    for i in range(first, last):
        average = rho * a[i] + rest * (g[i] * g[i])
        a[i] = average
        w[i] -= lr * g[i] / math.sqrt(average + eps)


@inline
def adam(call, keep, first, last):
    g, w, m, v = call.g, call.w, call.m, call.v
    # the learning rate with the correction for the first steps
    corrected = call.lr[0] * math.sqrt(1.0 - call.beta2 ** call.step[0]) / (1.0 - call.beta1 ** call.step[0])
    lr, eps, kept = as_real(corrected, g), as_real(call.eps, g), as_real(keep, g)
    beta1, rest1 = as_real(call.beta1, g), as_real(1.0 - call.beta1, g)
    beta2, rest2 = as_real(call.beta2, g), as_real(1.0 - call.beta2, g)
    for i in range(first, last):
        mean = beta1 * m[i] + rest1 * g[i]
        square = beta2 * v[i] + rest2 * (g[i] * g[i])
        m[i] = mean
        v[i] = square
        w[i] = kept * w[i] - lr * mean / (math.sqrt(square) + eps)


@step("size")
def adam_step(call, first, last):
    adam(call, 1.0, first, last)


@step("size")
def adamw_step(call, first, last):
    adam(call, 1.0 - call.lr[0] * call.weight_decay, first, last)


@inline
def part(array, first):
    return array if is_null(array) else offset(array, first)


@step("size")
def custom_step(call, first, last):
    w, s1, s2, s3 = offset(call.w, first), part(call.s1, first), part(call.s2, first), part(call.s3, first)
    apply_step(call.function, last - first, offset(call.g, first), call.lr, call.step, call.params, w, s1, s2, s3)
