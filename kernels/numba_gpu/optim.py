"""Optimizer steps: one launch for all the parameters that a step updates by the same rule.

Each function takes the arguments of one call, or for the arrays of each parameter tuples of the same length: the calls that
`program` has put together.
"""

import itertools
import math
from functools import cache

import numpy as np

from ..custom.record import Record
from .compiler import cuda, device, float64, number, pointer_to, uint32, update_of
from .launch import THREADS, Launch, check_count, constant

u = uint32
#: elements of a parameter that a block updates
PIECE = 4 * THREADS


@cache
def _kernel(update, state, real):
    """A kernel each of whose blocks updates a piece of a parameter, which has `state` arrays besides g and w (0 to 3)."""
    last = u(1 + state)
    pointer = pointer_to(real)

    def kernel(addresses, pieces, lr, step, params):
        piece = u(u(3) * u(cuda.blockIdx.x))
        place = u(pieces[piece] * (last + u(1)))
        g, w = pointer(addresses[place]), pointer(addresses[place + u(1)])
        s1 = pointer(addresses[place + min(u(2), last)])
        s2 = pointer(addresses[place + min(u(3), last)])
        s3 = pointer(addresses[place + last])
        first, end = u(pieces[u(piece + u(1))] + u(cuda.threadIdx.x)), pieces[u(piece + u(2))]
        update(first, end, u(THREADS), g, lr, step, params, w, s1, s2, s3)

    return kernel


@cache
def _each(rule, size_of_step, real):
    """Return what updates elements first, first + stride, ... below n by a rule."""

    @device
    def update(first, n, stride, g, lr, step, params, w, s1, s2, s3):
        rate, size = real(lr[0]), real(size_of_step(lr[0], step[0]))
        i = first
        while i < n:
            rule(i, rate, size, g, w, s1, s2)
            i += stride

    return update


@device
def _rate(rate, step):
    return rate


def _by_rule(rule, g, lr, step, w, *state, size_of_step=_rate):
    return _updated(_each(rule, size_of_step, _real(w)), lr, step, lr, g, w, *state)


def _updated(update, lr, step, params, g, w, *state):
    each = list(zip(*(a if isinstance(a, tuple) else (a,) for a in (g, w, *state)), strict=True))
    each = [[a for a in arrays if a is not None] for arrays in each if arrays[0].size]
    if not each:
        return []
    check_count(max(arrays[0].size for arrays in each))
    addresses = constant(np.array([a.address for arrays in each for a in arrays], np.uint64))
    sizes = [arrays[0].size for arrays in each]
    pieces = [(place, i, min(i + PIECE, size)) for place, size in enumerate(sizes) for i in range(0, size, PIECE)]
    kernel = _kernel(update, len(each[0]) - 2, _real(w))
    arguments = addresses, constant(np.array(pieces, np.uint32)), lr, step, params
    return [Launch(kernel, (len(pieces), 1, 1), arguments, by_address=tuple(itertools.chain(*each)))]


@cache
def _sgd(real):
    @device
    def rule(i, rate, size, g, w, first, second):
        w[i] -= rate * g[i]

    return rule


def sgd_step(g, lr, w):
    return _by_rule(_sgd(_real(w)), g, lr, lr, w)


@cache
def _momentum(real, momentum, nesterov):
    momentum = real(momentum)

    @device
    def rule(i, rate, size, g, w, v, unused):
        push = rate * g[i]
        v[i] = momentum * v[i] - push
        w[i] += momentum * v[i] - push if nesterov else v[i]

    return rule


def momentum_step(g, lr, momentum, w, v):
    return _by_rule(_momentum(_real(w), momentum, False), g, lr, lr, w, v)


def nesterov_step(g, lr, momentum, w, v):
    return _by_rule(_momentum(_real(w), momentum, True), g, lr, lr, w, v)


@cache
def _adagrad(real, eps):
    eps = real(eps)

    @device
    def rule(i, rate, size, g, w, a, unused):
        a[i] += g[i] * g[i]
        w[i] -= rate * g[i] / real(math.sqrt(a[i] + eps))

    return rule


def adagrad_step(g, lr, eps, w, a):
    return _by_rule(_adagrad(_real(w), eps), g, lr, lr, w, a)


@cache
def _rmsprop(real, rho, eps):
    rest, rho, eps = real(1 - rho), real(rho), real(eps)

    @device
    def rule(i, rate, size, g, w, a, unused):
        a[i] = rho * a[i] + rest * (g[i] * g[i])
        w[i] -= rate * g[i] / real(math.sqrt(a[i] + eps))

    return rule


def rmsprop_step(g, lr, rho, eps, w, a):
    return _by_rule(_rmsprop(_real(w), rho, eps), g, lr, lr, w, a)


@cache
def _corrected(beta1, beta2):
    beta1, beta2, one = float64(beta1), float64(beta2), float64(1)

    @device
    def size_of_step(rate, step):
        return rate * math.sqrt(one - beta2**step) / (one - beta1**step)

    return size_of_step


@cache
def _adam(real, beta1, beta2, eps, weight_decay):
    rest1, rest2, beta1, beta2 = real(1 - beta1), real(1 - beta2), real(beta1), real(beta2)
    eps, decay = real(eps), real(weight_decay)

    @device
    def rule(i, rate, size, g, w, m, v):
        m[i] = beta1 * m[i] + rest1 * g[i]
        v[i] = beta2 * v[i] + rest2 * (g[i] * g[i])
        w[i] -= rate * decay * w[i] + size * m[i] / (real(math.sqrt(v[i])) + eps)

    return rule


def adam_step(g, lr, step, beta1, beta2, eps, w, m, v):
    return _by_rule(_adam(_real(w), beta1, beta2, eps, 0.0), g, lr, step, w, m, v, size_of_step=_corrected(beta1, beta2))


def adamw_step(g, lr, step, beta1, beta2, eps, weight_decay, w, m, v):
    return _by_rule(_adam(_real(w), beta1, beta2, eps, weight_decay), g, lr, step, w, m, v, size_of_step=_corrected(beta1, beta2))


@cache
def _custom(address, real):
    return update_of(Record.at(address), real)


def custom_step(g, lr, step, params, function, w, *slots):
    return _updated(_custom(function, _real(w)), lr, step, params, g, w, *slots)


def _real(w):
    return number((w[0] if isinstance(w, tuple) else w).dtype)
