"""Ops that `fastnn/rewrites.py` puts in the place of others: batch normalization, activation and pooling in one kernel."""

from functools import cache, partial

from .activation import function, of_code
from .compiler import device, number, uint32
from .moments import moments
from .norm import gradient_by_input, scaled_down, scaling
from .pool import Elements, average, gathered, geometry_of, largest, to_the_largest, what_windows_send
from .sums import column_pairs

u = uint32


@cache
def _activated(real, eps, activation, alpha):
    """Return what `pool.Elements` are: those of x normalized and activated."""
    f = of_code(function, activation, alpha, real)

    @device
    def element(x, centre, scale, shift):
        return f((x - centre) * scale + shift)

    return Elements(partial(scaling, real, eps), element)


def batchnorm_maxpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax, mean, var, known=False
):
    window = pool_h, pool_w, stride_h, stride_w, pad_top, pad_left
    elements = _activated(number(x.dtype), eps, activation, alpha)
    return [*([] if known else moments(x, mean, var)), *largest(elements, x, gamma, beta, mean, var, *window, y, argmax)]


def batchnorm_avgpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, mean, var, known=False
):
    window = pool_h, pool_w, stride_h, stride_w, pad_top, pad_left
    elements = _activated(number(x.dtype), eps, activation, alpha)
    return [*([] if known else moments(x, mean, var)), *average(elements, x, gamma, beta, mean, var, *window, y)]


@cache
def _at_maxima(pixels, windows):
    pixels, windows = u(pixels), u(windows)

    @device
    def terms(dy, argmax, x, mean, p, q, row, column, columns):
        i = row * columns + column
        at = (row // windows * pixels + u(argmax[i])) * columns + column
        return dy[i] * (x[at] - mean[column]), dy[i]

    return terms


@cache
def _largest_error(real, geometry, wide):
    gather = what_windows_send(real, geometry, to_the_largest(real, wide), wide)

    @device
    def error(dy, x, argmax, q, mean, var, i, column, errors):
        gather(dy, argmax, i, errors)

    return error


def batchnorm_maxpool_backward(
    dy, argmax, x, gamma, mean, var, eps, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx, dgamma, dbeta
):
    n, oh, ow, c = dy.shape
    real, pixels = number(x.dtype), x.shape[1] * x.shape[2]
    # the sums are over the windows: all other errors are zero
    terms = _at_maxima(pixels, oh * ow)
    error_of = partial(_largest_error, real, geometry_of(x, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left))
    return [
        *column_pairs(terms, scaled_down(real, eps), (dy, argmax, x, mean), var, dgamma, dbeta, n * oh * ow, c),
        *gradient_by_input(error_of, dy, x, argmax, x, gamma, mean, var, eps, relu, dx, dgamma, dbeta),
    ]


def maxpool2d_backward__gather(dy, argmax, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx):
    return gathered(to_the_largest, dy, argmax, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx)
