"""The gradient of a batch normalization behind an activation and a pooling, in one: the activation is computed again."""

from functools import cache, partial

from .activation import derivative, function, of_code
from .compiler import cuda, device, number
from .neighbours import READ
from .norm import gradients, scaling
from .pool import a_share, geometry_of, what_windows_send


@cache
def _average_error(real, eps, activation, alpha, geometry, wide):
    gather = what_windows_send(real, geometry, a_share(real, wide), wide)
    fetch, read = scaling(real, eps, wide), READ[wide]
    f, slope = of_code(function, activation, alpha, real), of_code(derivative, activation, alpha, real)

    @device
    def error(dy, x, gamma, beta, mean, var, i, column, errors):
        centre, scale, shift = cuda.local.array(wide, real), cuda.local.array(wide, real), cuda.local.array(wide, real)
        values = cuda.local.array(wide, real)
        fetch(gamma, beta, mean, var, column, centre, scale, shift)
        read(x, i, values, 0)
        gather(dy, dy, i, errors)
        for e in range(wide):
            errors[e] = slope(errors[e], f((values[e] - centre[e]) * scale[e] + shift[e]))

    return error


def batchnorm_avgpool_backward(
    dy, x, gamma, beta, mean, var, eps, activation, alpha, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left,
    dx, dgamma, dbeta,
):  # fmt: skip
    geometry = geometry_of(x, dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left)
    error_of = partial(_average_error, number(x.dtype), eps, activation, alpha, geometry)
    return gradients(error_of, dy, x, gamma, beta, gamma, mean, var, eps, relu, dx, dgamma, dbeta)
