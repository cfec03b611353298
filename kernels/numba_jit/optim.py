"""One optimizer step on one parameter array, in place."""

import math

from .call import step
from .custom import apply_step
from .pointers import inline, is_null, offset


@step("size")
def sgd_step(call, first, last):
    g, lr, w = call.g, call.lr[0], call.w
    for i in range(first, last):
        w[i] -= lr * g[i]


@step("size")
def momentum_step(call, first, last):
    g, lr, momentum, w, v = call.g, call.lr[0], call.momentum, call.w, call.v
    for i in range(first, last):
        velocity = momentum * v[i] - lr * g[i]
        v[i] = velocity
        w[i] += velocity


@step("size")
def nesterov_step(call, first, last):
    g, lr, momentum, w, v = call.g, call.lr[0], call.momentum, call.w, call.v
    for i in range(first, last):
        velocity = momentum * v[i] - lr * g[i]
        v[i] = velocity
        w[i] += momentum * velocity - lr * g[i]


@step("size")
def adagrad_step(call, first, last):
    g, lr, eps, w, a = call.g, call.lr[0], call.eps, call.w, call.a
    for i in range(first, last):
        total = a[i] + g[i] * g[i]
        a[i] = total
        w[i] -= lr * g[i] / math.sqrt(total + eps)


@step("size")
def rmsprop_step(call, first, last):
    g, lr, rho, eps, w, a = call.g, call.lr[0], call.rho, call.eps, call.w, call.a
    for i in range(first, last):
        average = rho * a[i] + (1.0 - rho) * (g[i] * g[i])
        a[i] = average
        w[i] -= lr * g[i] / math.sqrt(average + eps)


@inline
def corrected(lr, step, beta1, beta2):
    """The learning rate with Adam's correction for the first steps."""
    return lr * math.sqrt(1.0 - beta2**step) / (1.0 - beta1**step)


@inline
def adam(g, lr, beta1, beta2, eps, keep, w, m, v, i):
    first = beta1 * m[i] + (1.0 - beta1) * g[i]
    second = beta2 * v[i] + (1.0 - beta2) * (g[i] * g[i])
    m[i] = first
    v[i] = second
    w[i] = keep * w[i] - lr * first / (math.sqrt(second) + eps)


@step("size")
def adam_step(call, first, last):
    g, beta1, beta2, eps, w, m, v = call.g, call.beta1, call.beta2, call.eps, call.w, call.m, call.v
    lr = corrected(call.lr[0], call.step[0], beta1, beta2)
    for i in range(first, last):
        adam(g, lr, beta1, beta2, eps, 1.0, w, m, v, i)


@step("size")
def adamw_step(call, first, last):
    g, beta1, beta2, eps, w, m, v = call.g, call.beta1, call.beta2, call.eps, call.w, call.m, call.v
    lr = corrected(call.lr[0], call.step[0], beta1, beta2)
    keep = 1.0 - call.lr[0] * call.weight_decay
    for i in range(first, last):
        adam(g, lr, beta1, beta2, eps, keep, w, m, v, i)


@inline
def part(array, first):
    return array if is_null(array) else offset(array, first)


@step("size")
def custom_step(call, first, last):
    w, s1, s2, s3 = offset(call.w, first), part(call.s1, first), part(call.s2, first), part(call.s3, first)
    apply_step(call.function, last - first, offset(call.g, first), call.lr, call.step, call.params, w, s1, s2, s3)
