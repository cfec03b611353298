"""One optimizer step on one parameter array, in place."""

import numpy as np

from ..custom.record import Record
from .precision import in_float64


@in_float64
def sgd_step(g, lr, w):
    w[...] -= lr[0] * g


@in_float64
def momentum_step(g, lr, momentum, w, v):
    v[...] = momentum * v - lr[0] * g
    w[...] += v


@in_float64
def nesterov_step(g, lr, momentum, w, v):
    v[...] = momentum * v - lr[0] * g
    w[...] += momentum * v - lr[0] * g


@in_float64
def adagrad_step(g, lr, eps, w, a):
    a[...] += g**2
    w[...] -= lr[0] * g / np.sqrt(a + eps)


@in_float64
def rmsprop_step(g, lr, rho, eps, w, a):
    a[...] = rho * a + (1 - rho) * g**2
    w[...] -= lr[0] * g / np.sqrt(a + eps)


@in_float64
def adam_step(g, lr, step, beta1, beta2, eps, w, m, v):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g**2
    w[...] -= lr[0] * np.sqrt(1 - beta2 ** step[0]) / (1 - beta1 ** step[0]) * m / (np.sqrt(v) + eps)


@in_float64
def adamw_step(g, lr, step, beta1, beta2, eps, weight_decay, w, m, v):
    w[...] -= lr[0] * weight_decay * w
    adam_step(g, lr, step, beta1, beta2, eps, w, m, v)


@in_float64
def custom_step(g, lr, step, params, function, w, s1, s2, s3):
    Record.at(function).step(g, lr, step, params, w, s1, s2, s3)
