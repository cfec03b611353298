"""The gradient of a batch normalization behind an activation and a pooling: those of the three, one after the other."""

import numpy as np

from ..spec.activation import ALPHA_DEFAULT, FUSED
from . import activation as activations
from .activation import apply_fused
from .norm import batchnorm_backward, batchnorm_inference
from .pool import avgpool2d_backward
from .precision import in_float64
from .rewritten import columns


@in_float64
def batchnorm_avgpool_backward(
    dy, x, gamma, beta, mean, var, eps, activation, alpha, relu, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left,
    dx, dgamma, dbeta,
):  # fmt: skip
    y, dz = (np.empty(x.shape, dtype=np.float64) for _ in range(2))
    avgpool2d_backward(dy, pool_h, pool_w, stride_h, stride_w, pad_top, pad_left, dz)
    batchnorm_inference(columns(x), gamma, beta, mean, var, eps, columns(y))
    apply_fused(activation, alpha, y)
    name = next(name for name, code in FUSED.items() if code == activation)
    getattr(activations, f"{name}_backward")(dz, y, *((alpha,) if name in ALPHA_DEFAULT else ()), dz)
    batchnorm_backward(columns(dz), columns(x), gamma, mean, var, eps, relu, columns(dx), dgamma, dbeta)
