"""Ops that `fastnn/rewrites.py` puts in the place of others: the others, one after the other."""

import numpy as np

from .activation import apply_fused
from .norm import batchnorm_backward, batchnorm_forward
from .pool import avgpool2d_forward, maxpool2d_backward, maxpool2d_forward
from .precision import in_float64


def columns(image):
    return image.reshape(-1, image.shape[-1])


@in_float64
def batchnorm_maxpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax, mean, var
):
    z = np.empty(x.shape, dtype=np.float64)
    batchnorm_forward(columns(x), gamma, beta, eps, columns(z), mean, var)
    apply_fused(activation, alpha, z)
    maxpool2d_forward(z, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax)


@in_float64
def batchnorm_maxpool_backward(
    dy, argmax, x, gamma, mean, var, eps, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx, dgamma, dbeta
):
    dz = np.empty(x.shape, dtype=np.float64)
    maxpool2d_backward(dy, argmax, dz)
    batchnorm_backward(columns(dz), columns(x), gamma, mean, var, eps, relu, columns(dx), dgamma, dbeta)


@in_float64
def batchnorm_avgpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, mean, var
):
    z = np.empty(x.shape, dtype=np.float64)
    batchnorm_forward(columns(x), gamma, beta, eps, columns(z), mean, var)
    apply_fused(activation, alpha, z)
    avgpool2d_forward(z, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y)


@in_float64
def maxpool2d_backward__gather(dy, argmax, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx):
    maxpool2d_backward(dy, argmax, dx)
