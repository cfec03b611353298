"""The book's ``common.functions``: activations, their derivatives, and losses."""

import numpy as np

from ... import kernels as _kernels
from ...kernels.table import attempt as _attempt
from ..as_numpy import as_array as _as_array
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require


def identity_function(x):
    """Return `x` itself."""
    return x


def step_function(x):
    """Return 1 where ``x > 0``, else 0, as integers."""
    return np.array(_as_array("x", x) > 0, dtype=int)


def sigmoid(x):
    """Return ``1 / (1 + exp(-x))``; nothing overflows."""
    outputs = _attempt("sigmoid_forward", (x,))
    if outputs is not None:
        return outputs[0][()]
    (x,), dtype = _promoted(floating=True, x=x)
    return _kernels.sigmoid_forward(x).astype(dtype, copy=False)[()]


def sigmoid_grad(x):
    """Return the derivative of `sigmoid`, ``(1 - sigmoid(x)) * sigmoid(x)``."""
    (x,), dtype = _promoted(floating=True, x=x)
    y = _kernels.sigmoid_forward(x)
    return _kernels.sigmoid_backward(np.ones(y.shape, dtype=y.dtype), y).astype(dtype, copy=False)[()]


def relu(x):
    """Return ``max(0, x)``."""
    outputs = _attempt("relu_forward", (x,))
    if outputs is not None:
        return outputs[0][()]
    (x,), dtype = _promoted(x=x)
    return _kernels.relu_forward(x).astype(dtype, copy=False)[()]


def relu_grad(x):
    """Return 1 where ``x >= 0``, else 0; the layer `Relu` has 0 at 0."""
    x = _as_array("x", x)
    return (x >= 0).astype(x.dtype)


def softmax(x):
    """Return ``exp(x) / sum(exp(x))`` over the last axis; nothing overflows."""
    outputs = _attempt("softmax_forward", (x,))
    if outputs is not None:
        return outputs[0]
    (x,), dtype = _promoted(floating=True, x=x)
    return _kernels.softmax_forward(x).astype(dtype, copy=False)


def sum_squared_error(y, t):
    """Return ``0.5 * sum((y - t)**2)``, over everything."""
    (y, t), dtype = _promoted(floating=True, y=y, t=t)
    try:
        y, t = np.broadcast_arrays(y, t)
    except ValueError:
        raise ValueError(f"y and t must have the same shape, for 0.5 * sum((y - t)**2); got y {y.shape}, t {t.shape}") from None
    _require(y.size > 0, "y must have at least one element", y=y.shape)
    mean = _kernels.mse_forward(y.reshape(1, -1), t.reshape(1, -1))
    return (mean * (0.5 * y.size)).astype(dtype)[0]


#: the name of the first printings
mean_squared_error = sum_squared_error


def cross_entropy_error(y, t):
    """Return the mean over samples of ``-log(y + 1e-7)`` at the right class.

    Parameters
    ----------
    y : array_like, shape (N, C) or (C,)
        Probabilities.
    t : array_like, shape (N,), (N, 1), or the shape of `y`
        Labels, or one-hot rows.

    Returns
    -------
    float
        A NumPy scalar.
    """
    y = _as_array("y", y)
    y = y.reshape(1, -1) if y.ndim == 1 else y
    label = _labels(y, t)
    # no kernel adds its guard to the probability; it is one number for each sample
    return -np.sum(np.log(y[np.arange(len(y)), label] + 1e-7)) / len(y)


def softmax_loss(X, t):
    """Return ``cross_entropy_error(softmax(X), t)``."""
    return cross_entropy_error(softmax(X), t)


def _labels(y, t):
    """Return the class of each of the samples y (N, C) as integers (N,)."""
    wanted = "a loss takes y (N, C), and t (N,) of integer labels from 0 to C - 1 or (N, C) of one-hot rows"
    t = _as_array("t", t)
    if _is_one_hot(y, t):
        return t.reshape(y.shape).argmax(axis=1)
    _require(y.ndim == 2 and t.size == len(y), wanted, y=y.shape, t=t.shape)
    _require(t.dtype.kind in "iub", wanted, y=y.shape, t=f"of dtype {t.dtype}")
    if t.size and not 0 <= t.min() <= t.max() < y.shape[1]:
        _require(False, wanted, C=y.shape[1], t=f"from {t.min()} to {t.max()}")
    return t.reshape(-1).astype(np.int32, copy=False)


def _is_one_hot(y, t):
    """Return whether t has a row for each sample of y; that of a single sample may come without the axis of samples."""
    return t.shape == y.shape or (len(y) == 1 and t.shape == y.shape[1:])
