"""Normalization over the batch or over a sample's features, and dropout."""

import math
from functools import cache

import numpy as np

from .compiler import ROOT_BELOW, cuda, device, number, uint32, uint64
from .launch import THREADS, check_count, once, over
from .maps import each
from .moments import moments
from .neighbours import READ, WRITE, together
from .rows import normalize_rows, normalize_rows_gradient
from .sums import as_they_are, column_pairs

u = uint32


@cache
def scaling(real, eps, wide):
    """Return, for kernels to call, what fetches how neighbouring channels are normalized: x to (x - centre) * scale + shift."""
    eps, read, root_below = real(eps), READ[wide], ROOT_BELOW[real]

    @device
    def fetch(gamma, beta, mean, var, channel, centre, scale, shift):
        read(mean, channel, centre, 0)
        read(var, channel, shift, 0)
        read(gamma, channel, scale, 0)
        for e in range(wide):
            scale[e] *= root_below(shift[e] + eps)
        read(beta, channel, shift, 0)

    return fetch


@cache
def _normalize(real, eps, wide):
    fetch, read, write = scaling(real, eps, wide), READ[wide], WRITE[wide]

    def kernel(x, gamma, beta, mean, var, y, groups, n):
        """A group is `wide` neighbouring channels."""
        centre, scale, shift = cuda.local.array(wide, real), cuda.local.array(wide, real), cuda.local.array(wide, real)
        values = cuda.local.array(wide, real)
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            fetch(gamma, beta, mean, var, u(i % groups * u(wide)), centre, scale, shift)
            read(x, u(i * u(wide)), values, 0)
            for e in range(wide):
                values[e] = (values[e] - centre[e]) * scale[e] + shift[e]
            write(y, u(i * u(wide)), values)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def batchnorm_inference(x, gamma, beta, mean, var, eps, y):
    check_count(x.size)
    wide = min(together(array, x.shape[1]) for array in (x, gamma, beta, mean, var, y))
    kernel, groups = _normalize(number(x.dtype), eps, wide), np.uint32(x.shape[1] // wide)
    return over(y.size // wide, kernel, x, gamma, beta, mean, var, y, groups)


def batchnorm_forward(x, gamma, beta, eps, y, mean, var, known=False):
    """`known`: whether mean and variance are there already, as what made x gives them on the way."""
    return [*([] if known else moments(x, mean, var)), *batchnorm_inference(x, gamma, beta, mean, var, eps, y)]


@cache
def _terms(real, error):
    @device
    def terms(dy, x, p, q, mean, var, row, column, columns):
        i = row * columns + column
        errors = cuda.local.array(1, real)
        error(dy, x, p, q, mean, var, i, column, errors)
        return errors[0] * (x[i] - mean[column]), errors[0]

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
def _batchnorm_dx(real, eps, relu, error, wide):
    eps, zero, one, read, write, root_below = real(eps), real(0), real(1), READ[wide], WRITE[wide], ROOT_BELOW[real]

    def kernel(dy, x, p, q, gamma, mean, var, dgamma, dbeta, dx, groups, rows, n):
        """A group is `wide` neighbouring channels."""
        centre, scale, mean_error = cuda.local.array(wide, real), cuda.local.array(wide, real), cuda.local.array(wide, real)
        slope, values, errors = cuda.local.array(wide, real), cuda.local.array(wide, real), cuda.local.array(wide, real)
        share = one / real(rows)
        i = u(u(cuda.blockIdx.x) * u(THREADS) + u(cuda.threadIdx.x))
        while i < n:
            channel, place = u(i % groups * u(wide)), u(i * u(wide))
            read(mean, channel, centre, 0)
            read(var, channel, values, 0)
            read(gamma, channel, scale, 0)
            read(dgamma, channel, slope, 0)
            read(dbeta, channel, mean_error, 0)
            for e in range(wide):
                below = root_below(values[e] + eps)
                scale[e] *= below
                slope[e] *= below * share
                mean_error[e] *= share
            read(x, place, values, 0)
            error(dy, x, p, q, mean, var, place, channel, errors)
            for e in range(wide):
                gradient = scale[e] * (errors[e] - mean_error[e] - (values[e] - centre[e]) * slope[e])
                values[e] = gradient if not relu or values[e] > zero else zero
            write(dx, place, values)
            i = u(i + u(cuda.gridDim.x) * u(THREADS))

    return kernel


def gradient_by_input(error_of, dy, x, p, q, gamma, mean, var, eps, relu, dx, dgamma, dbeta):
    """Return the launch of dx, when dgamma and dbeta are there.

    Parameters
    ----------
    error_of : callable
        ``error_of(wide)`` returns, for kernels, ``error(dy, x, p, q, mean, var, i, column, errors)``, which says the gradients by
        what x[i] and its neighbours, `wide` in all, were normalized to.
    dy, x, p, q, ... : Array
        As in `batchnorm_backward`; p and q are for `error` to read.
    """
    columns = gamma.size
    wide = min(together(array, columns) for array in (dy, x, p, q, gamma, mean, var, dgamma, dbeta, dx))
    sizes = np.uint32(columns // wide), np.uint32(x.size // columns)
    kernel = _batchnorm_dx(number(x.dtype), eps, bool(relu), error_of(wide), wide)
    return over(x.size // wide, kernel, dy, x, p, q, gamma, mean, var, dgamma, dbeta, dx, *sizes)


def gradients(error_of, dy, x, p, q, gamma, mean, var, eps, relu, dx, dgamma, dbeta):
    """Return the launches of all three gradients; arguments as in `gradient_by_input`."""
    real, columns = number(x.dtype), gamma.size
    terms, finish = _terms(real, error_of(1)), scaled_down(real, eps)
    return [
        *column_pairs(terms, finish, (dy, x, p, q, mean, var), var, dgamma, dbeta, x.size // columns, columns),
        *gradient_by_input(error_of, dy, x, p, q, gamma, mean, var, eps, relu, dx, dgamma, dbeta),
    ]


@cache
def _given(wide):
    read = READ[wide]

    @device
    def error(dy, x, p, q, mean, var, i, column, errors):
        read(dy, i, errors, 0)

    return error


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
