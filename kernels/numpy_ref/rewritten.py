"""Ops that `fastnn/rewrites.py` puts in the place of others: the others, one after the other."""

import numpy as np

from ..spec.activation import ALPHA_DEFAULT, FUSED
from . import activation as activations
from .activation import apply_fused
from .norm import batchnorm_backward, batchnorm_forward, batchnorm_inference
from .pool import avgpool2d_backward, avgpool2d_forward, maxpool2d_backward, maxpool2d_forward
from .precision import in_float64


def _columns(image):
    return image.reshape(-1, image.shape[-1])


@in_float64
def batchnorm_maxpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax, mean, var
):
    z = np.empty(x.shape, dtype=np.float64)
    batchnorm_forward(_columns(x), gamma, beta, eps, _columns(z), mean, var)
    apply_fused(activation, alpha, z)
    maxpool2d_forward(z, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, argmax)


@in_float64
def batchnorm_maxpool_backward(
    dy, argmax, x, gamma, mean, var, eps, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx, dgamma, dbeta
):
    dz = np.empty(x.shape, dtype=np.float64)
    maxpool2d_backward(dy, argmax, dz)
    batchnorm_backward(_columns(dz), _columns(x), gamma, mean, var, eps, relu, _columns(dx), dgamma, dbeta)


@in_float64
def batchnorm_avgpool_forward(
    x, gamma, beta, eps, activation, alpha, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y, mean, var
):
    z = np.empty(x.shape, dtype=np.float64)
    batchnorm_forward(_columns(x), gamma, beta, eps, _columns(z), mean, var)
    apply_fused(activation, alpha, z)
    avgpool2d_forward(z, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, y)


@in_float64
def batchnorm_avgpool_backward(
    dy, x, gamma, beta, mean, var, eps, activation, alpha, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left,
    dx, dgamma, dbeta,
):  # fmt: skip
    y, dz = (np.empty(x.shape, dtype=np.float64) for _ in range(2))
    avgpool2d_backward(dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dz)
    batchnorm_inference(_columns(x), gamma, beta, mean, var, eps, _columns(y))
    apply_fused(activation, alpha, y)
    name = next(name for name, code in FUSED.items() if code == activation)
    getattr(activations, f"{name}_backward")(dz, y, *((alpha,) if name in ALPHA_DEFAULT else ()), dz)
    batchnorm_backward(_columns(dz), _columns(x), gamma, mean, var, eps, relu, _columns(dx), dgamma, dbeta)


@in_float64
def maxpool2d_backward__gather(dy, argmax, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dx):
    maxpool2d_backward(dy, argmax, dx)
