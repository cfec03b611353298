"""The gradient of a batch normalization behind an activation and a pooling, in one: the activation is computed again."""

from functools import cache

from .activation import derivative, function, of_code
from .compiler import device, number
from .norm import gradients, normal
from .pool import a_share, geometry_of, what_windows_send


@cache
def _average_error(real, eps, activation, alpha, geometry):
    gather = what_windows_send(real, geometry, a_share(real))
    f, g, slope = normal(real, eps), of_code(function, activation, alpha, real), of_code(derivative, activation, alpha, real)

    @device
    def error(dy, x, gamma, beta, mean, var, i, column):
        z = f(x[i], gamma[column], beta[column], mean[column], var[column])
        return slope(gather(dy, dy, i), g(z))

    return error


def batchnorm_avgpool_backward(
    dy, x, gamma, beta, mean, var, eps, activation, alpha, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left,
    dx, dgamma, dbeta,
):  # fmt: skip
    geometry = geometry_of(x, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left)
    error = _average_error(number(x.dtype), eps, activation, alpha, geometry)
    return gradients(error, dy, x, gamma, beta, gamma, mean, var, eps, relu, dx, dgamma, dbeta)
