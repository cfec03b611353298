"""Normalization and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, first_derivative_only, record
from .reduction import sum


def batchnorm(
    x: Any, gamma: Any, beta: Any, eps: float = 1e-3, data_format: str = "channels_last"
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize each channel with its mean and variance over the batch, rows and columns; has a first derivative only.

    Parameters
    ----------
    x : Tensor, shape (m, c), (n, h, w, c), or (n, c, h, w) for channels_first
    gamma, beta : Tensor, shape (c,)
    eps : float, default 0.001
    data_format : {"channels_last", "channels_first"}, default "channels_last"

    Returns
    -------
    y : Tensor
        ``gamma * (x - mean) / sqrt(var + eps) + beta``
    mean, var : Tensor, shape (c,)
        The batch's mean and (biased) variance, for moving averages; no derivative goes through them.
    """
    x, gamma, beta = as_tensor(x), as_tensor(gamma), as_tensor(beta)
    y, mean, var = kernels.batchnorm_forward(x.data, gamma.data, beta.data, eps, data_format=data_format)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        grads = kernels.batchnorm_backward(dy.data, x.data, gamma.data, mean, var, eps, data_format=data_format)
        return _recorded("batchnorm", (dy, x, gamma), grads)

    return record("batchnorm", (x, gamma, beta), Tensor(y), vjp), Tensor(mean), Tensor(var)


def batchnorm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3, data_format: str = "channels_last"
) -> Tensor:
    """Return ``gamma * (x - mean) / sqrt(var + eps) + beta`` with a given mean and variance of each channel.

    Arguments as for `batchnorm`; there is no derivative by `mean` and `var`.
    """
    x, gamma, beta, mean, var = (as_tensor(a) for a in (x, gamma, beta, mean, var))
    y = kernels.batchnorm_inference(x.data, gamma.data, beta.data, mean.data, var.data, eps, data_format=data_format)
    inputs = (x, gamma, beta, mean, var)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        if needs[3] or needs[4]:
            raise NotImplementedError("batchnorm_inference has no derivative by mean and var")
        zero = Tensor(np.zeros(mean.shape, mean.dtype))
        one = Tensor(np.ones(mean.shape, mean.dtype))
        channel = x.ndim - 1 if data_format == "channels_last" or x.ndim == 2 else 1
        axes = tuple([axis for axis in range(x.ndim) if axis != channel])
        return (
            batchnorm_inference(dy, gamma, zero, zero, var, eps, data_format) if needs[0] else None,
            sum(dy * batchnorm_inference(x, one, zero, mean, var, eps, data_format), axes) if needs[1] else None,
            sum(dy, axes) if needs[2] else None,
            None,
            None,
        )

    return record("batchnorm_inference", inputs, Tensor(y), vjp)


def layernorm(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> Tensor:
    """Normalize along the last axis with its mean and (biased) variance; has a first derivative only.

    Parameters
    ----------
    x : Tensor, shape (..., c)
    gamma, beta : Tensor, shape (c,)
    eps : float, default 0.001
    """
    x, gamma, beta = as_tensor(x), as_tensor(gamma), as_tensor(beta)
    y, mean, var = kernels.layernorm_forward(x.data, gamma.data, beta.data, eps)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        grads = kernels.layernorm_backward(dy.data, x.data, gamma.data, mean, var, eps)
        return _recorded("layernorm", (dy, x, gamma), grads)

    return record("layernorm", (x, gamma, beta), Tensor(y), vjp)


def _recorded(name: str, inputs: tuple[Tensor, ...], gradients: tuple[np.ndarray, ...]) -> tuple[Tensor, ...]:
    """Return gradients as tensors of a backward op that cannot be differentiated itself."""
    outputs = tuple([Tensor(gradient) for gradient in gradients])
    return record(f"{name}_backward", inputs, outputs, first_derivative_only(name))


def dropout(x: Any, rate: float, state: Any) -> Tensor:
    """Return `x` with elements set to 0 with probability `rate`, the others divided by ``1 - rate``.

    Parameters
    ----------
    x : Tensor
    rate : float
    state : ndarray of two uint64, or int
        (seed, step), whose step is advanced in place; or a seed.
    """
    x = as_tensor(x)
    y, used = kernels.dropout_forward(x.data, rate, state)
    return record("dropout", (x,), Tensor(y), lambda dy, needs: (_dropout_backward(dy, rate, used),))


def _dropout_backward(dy: Tensor, rate: float, used: np.ndarray) -> Tensor:
    dx = Tensor(kernels.dropout_backward(dy.data, rate, used))
    return record("dropout_backward", (dy,), dx, lambda ddx, needs: (_dropout_backward(ddx, rate, used),))
