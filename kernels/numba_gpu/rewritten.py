"""Ops that `fastnn/rewrites.py` puts in the place of others: batch normalization, activation and pooling in one kernel."""

from functools import cache

from .activation import function, of_code
from .compiler import device, number, uint32
from .moments import moments
from .norm import gradient_by_input, normal, scaled_down
from .pool import average, gathered, geometry_of, largest, to_the_largest, what_windows_send
from .sums import column_pairs

u = uint32


@cache
def _activated(real, eps, activation, alpha):
    """Return, for kernels to call, what x[i] is normalized and activated to."""
    f, g = normal(real, eps), of_code(function, activation, alpha, real)

    @device
    def element(x, gamma, beta, mean, var, i, channel):
        return g(f(x[i], gamma[channel], beta[channel], mean[channel], var[channel]))

    return element


def batchnorm_maxpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax, mean, var, known=False
):
    window = pool_h, pool_w, stride_h, stride_w, pad_top, pad_left
    element = _activated(number(x.dtype), eps, activation, alpha)
    return [*([] if known else moments(x, mean, var)), *largest(element, x, gamma, beta, mean, var, *window, y, argmax)]


def batchnorm_avgpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, mean, var, known=False
):
    window = pool_h, pool_w, stride_h, stride_w, pad_top, pad_left
    element = _activated(number(x.dtype), eps, activation, alpha)
    return [*([] if known else moments(x, mean, var)), *average(element, x, gamma, beta, mean, var, *window, y)]


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
def _largest_error(real, geometry):
    gather = what_windows_send(real, geometry, to_the_largest(real))

    @device
    def error(dy, x, argmax, q, mean, var, i, column):
        return gather(dy, argmax, i)

    return error


def batchnorm_maxpool_backward(
    dy, argmax, x, gamma, mean, var, eps, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx, dgamma, dbeta
):
    n, oh, ow, c = dy.shape
    real, pixels = number(x.dtype), x.shape[1] * x.shape[2]
    # the sums are over the windows: all other errors are zero
    terms = _at_maxima(pixels, oh * ow)
    error = _largest_error(real, geometry_of(x, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left))
    return [
        *column_pairs(terms, scaled_down(real, eps), (dy, argmax, x, mean), var, dgamma, dbeta, n * oh * ow, c),
        *gradient_by_input(error, dy, x, argmax, x, gamma, mean, var, eps, relu, dx, dgamma, dbeta),
    ]


def maxpool2d_backward__gather(dy, argmax, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx):
    return gathered(to_the_largest(number(dx.dtype)), dy, argmax, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx)
