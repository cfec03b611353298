"""Normalization over the batch or over a sample's features, and dropout."""

import math
from functools import cache

import numpy as np

from .compiler import cuda, device, number, uint32, uint64
from .launch import THREADS, once, over
from .maps import each
from .moments import moments
from .rows import normalize_rows, normalize_rows_gradient
from .sums import as_they_are, column_pairs

u = uint32


@cache
def normal(real, eps):
    """Return, for kernels to call, what normalizes one number."""
    eps = real(eps)

    @device
    def normal(x, gamma, beta, mean, var):
        return gamma * ((x - mean) / real(math.sqrt(var + eps))) + beta

    return normal


@cache
def _normalize(real, eps):
    f = normal(real, eps)

    def kernel(x, gamma, beta, mean, var, y, columns, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            column = i % columns
            y[i] = f(x[i], gamma[column], beta[column], mean[column], var[column])
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def batchnorm_inference(x, gamma, beta, mean, var, eps, y):
    return over(y.size, _normalize(number(x.dtype), eps), x, gamma, beta, mean, var, y, np.uint32(x.shape[1]))


def batchnorm_forward(x, gamma, beta, eps, y, mean, var, known=False):
    """`known`: whether mean and variance are there already, as what made x gives them on the way."""
    return [*([] if known else moments(x, mean, var)), *batchnorm_inference(x, gamma, beta, mean, var, eps, y)]


@cache
def _terms(error):
    @device
    def terms(dy, x, p, q, mean, var, row, column, columns):
        i = row * columns + column
        e = error(dy, x, p, q, mean, var, i, column)
        return e * (x[i] - mean[column]), e

    return terms


@cache
def scaled_down(real, eps):
    """For `column_pairs`: the first sum, of errors times centred numbers, becomes the gradient by gamma."""
    eps = real(eps)

    @device
    def finish(first, second, var, column, rows):
        return first / real(math.sqrt(var[column] + eps)), second

    return finish


@cache
def _batchnorm_dx(real, eps, relu, error):
    eps, zero = real(eps), real(0)

    def kernel(dy, x, p, q, gamma, mean, var, dgamma, dbeta, dx, columns, rows, n):
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            column = i % columns
            std = real(math.sqrt(var[column] + eps))
            normal = (x[i] - mean[column]) / std
            e = error(dy, x, p, q, mean, var, i, column)
            gradient = gamma[column] / std * (e - (dbeta[column] + normal * dgamma[column]) / real(rows))
            dx[i] = gradient if not relu or x[i] > zero else zero
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def gradient_by_input(error, dy, x, p, q, gamma, mean, var, eps, relu, dx, dgamma, dbeta):
    """Return the launch of dx, when dgamma and dbeta are there.

    Parameters
    ----------
    error : callable
        For kernels: ``error(dy, x, p, q, mean, var, i, column)`` returns the gradient by what x[i] was normalized to.
    dy, x, p, q, ... : Array
        As in `batchnorm_backward`; p and q are for `error` to read.
    """
    columns = gamma.size
    sizes = np.uint32(columns), np.uint32(x.size // columns)
    kernel = _batchnorm_dx(number(x.dtype), eps, bool(relu), error)
    return over(x.size, kernel, dy, x, p, q, gamma, mean, var, dgamma, dbeta, dx, *sizes)


def gradients(error, dy, x, p, q, gamma, mean, var, eps, relu, dx, dgamma, dbeta):
    """Return the launches of all three gradients; arguments as in `gradient_by_input`."""
    finish, columns = scaled_down(number(x.dtype), eps), gamma.size
    return [
        *column_pairs(_terms(error), finish, (dy, x, p, q, mean, var), var, dgamma, dbeta, x.size // columns, columns),
        *gradient_by_input(error, dy, x, p, q, gamma, mean, var, eps, relu, dx, dgamma, dbeta),
    ]


@device
def _given(dy, x, p, q, mean, var, i, column):
    return dy[i]


def batchnorm_backward(dy, x, gamma, mean, var, eps, relu, dx, dgamma, dbeta):
    return gradients(_given, dy, x, x, x, gamma, mean, var, eps, relu, dx, dgamma, dbeta)


@cache
def _average(real, momentum):
    rest, momentum = real(1 - momentum), real(momentum)

    @device
    def average(value, old):
        return momentum * old + rest * value

    return average


def moving_average(value, momentum, average):
    return each(_average(number(value.dtype), momentum), value, average, average)


def layernorm_forward(x, gamma, beta, eps, y, mean, var):
    return normalize_rows(x, gamma, beta, eps, y, mean, var)


@cache
def _normal_terms(real, eps):
    eps = real(eps)

    @device
    def terms(dy, x, mean, var, p, q, row, column, columns):
        i = row * columns + column
        return dy[i] * ((x[i] - mean[row]) / real(math.sqrt(var[row] + eps))), dy[i]

    return terms


def layernorm_backward(dy, x, gamma, mean, var, eps, dx, dgamma, dbeta):
    terms = _normal_terms(number(x.dtype), eps)
    return [
        *column_pairs(terms, as_they_are, (dy, x, mean, var), x, dgamma, dbeta, *x.shape),
        *normalize_rows_gradient(dy, x, gamma, mean, var, eps, dx),
    ]


HALF, LOW = uint64(32), uint64(0xFFFFFFFF)
MULTIPLIER0, MULTIPLIER1 = uint64(0xD2511F53), uint64(0xCD9E8D57)
STEP0, STEP1 = uint64(0x9E3779B9), uint64(0xBB67AE85)


@device
def random_words(i, state):
    """Return block i of four random words of a state: Philox4x32-7."""
    c0, c1, c2, c3 = i & LOW, i >> HALF, state[1] & LOW, state[1] >> HALF
    k0, k1 = state[0] & LOW, state[0] >> HALF
    for _ in range(7):
        first, second = MULTIPLIER0 * c0, MULTIPLIER1 * c2
        c0, c1, c2, c3 = (second >> HALF) ^ c1 ^ k0, second & LOW, (first >> HALF) ^ c3 ^ k1, first & LOW
        k0, k1 = (k0 + STEP0) & LOW, (k1 + STEP1) & LOW
    return c0, c1, c2, c3


@cache
def _drop(real, rate):
    threshold, scale, zero = uint64(round(rate * 2**32)), real(1 / (1 - rate)), real(0)

    def kernel(x, state, y, size, n):
        """A block of four random words for four elements."""
        i = uint64(cuda.blockIdx.x) * uint64(THREADS) + uint64(cuda.threadIdx.x)
        while i < n:
            c0, c1, c2, c3 = random_words(i, state)
            place = i * uint64(4)
            y[place] = x[place] * scale if c0 >= threshold else zero
            if place + uint64(1) < size:
                y[place + uint64(1)] = x[place + uint64(1)] * scale if c1 >= threshold else zero
            if place + uint64(2) < size:
                y[place + uint64(2)] = x[place + uint64(2)] * scale if c2 >= threshold else zero
            if place + uint64(3) < size:
                y[place + uint64(3)] = x[place + uint64(3)] * scale if c3 >= threshold else zero
            i += uint64(cuda.gridDim.x) * uint64(THREADS)

    return kernel


def _advance(used, state):
    used[0] = state[0]
    used[1] = state[1]
    state[1] += uint64(1)


def dropout_forward(x, rate, y, used, state):
    return [once(_advance, used, state), *dropout_backward(x, used, rate, y)]


def dropout_backward(dy, used, rate, dx):
    return over(-(-dy.size // 4), _drop(number(dy.dtype), rate), dy, used, dx, np.uint32(dy.size))
