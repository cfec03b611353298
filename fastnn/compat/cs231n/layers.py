"""CS231n's ``cs231n.layers``: each layer as a pair of functions, forward and backward, with a cache between them.

These are the functions that the course's students write. Install the course without this module while they are the assignment.
"""

import math as _math

import numpy as np

from ... import kernels as _kernels
from ...kernels.functions.linear import NO_ACTIVATION as _NO_ACTIVATION
from ...kernels.table import attempt as _attempt
from ..as_numpy import as_array as _as_array
from ..as_numpy import averaged as _averaged
from ..as_numpy import bias as _bias
from ..as_numpy import dense_gradients as _dense_gradients
from ..as_numpy import entries as _entries
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require
from ..as_numpy import unpacked as _unpacked
from . import windows as _windows

_AFFINE = (
    "an affine layer takes x (N, d_1, ..., d_k), w (D, M) with D = d_1 * ... * d_k, and b (M,), and gives x.reshape(N, D) @ w + b"
)
_SCORES = "a loss takes scores x (N, C) of at least one sample, and labels y (N,), integers from 0 to C - 1"


def affine_forward(x, w, b):
    """Return ``x.reshape(N, D) @ w + b``.

    Parameters
    ----------
    x : array_like, shape (N, d_1, ..., d_k)
    w : array_like, shape (D, M)
        D = d_1 * ... * d_k.
    b : array_like, shape (M,)

    Returns
    -------
    out : ndarray, shape (N, M)
    cache : tuple
        ``(x, w, b)``.
    """
    outputs = None if b is None else _attempt("dense_forward", (x, w, b), _NO_ACTIVATION)
    if outputs is not None:
        return outputs[0], (x, w, b)
    (rows, weights, biases), dtype = _promoted(x=x, w=w, b=b)
    rows = _affine_rows(rows, weights)
    out = _kernels.dense_forward(rows, weights, _bias("b", biases, weights.shape[1], _AFFINE, x=np.shape(x), w=weights.shape))
    return out.astype(dtype, copy=False), (x, w, b)


def affine_backward(dout, cache):
    """Return the gradients of an affine layer.

    Parameters
    ----------
    dout : array_like, shape (N, M)
    cache : tuple
        ``(x, w, b)``.

    Returns
    -------
    dx : ndarray, shape (N, d_1, ..., d_k)
    dw : ndarray, shape (D, M)
    db : ndarray, shape (M,)
    """
    x, w, _ = _unpacked(cache, "affine_forward", "x, w, b")
    gradients = _dense_gradients(dout, x, w)
    if gradients is not None:
        return gradients
    (dout, rows, weights), dtype = _promoted(dout=dout, x=x, w=w)
    shape = rows.shape
    rows = _affine_rows(rows, weights)
    expected = len(rows), weights.shape[1]
    _require(dout.shape == expected, f"dout must have the shape of the output, (N, M) = {expected}", dout=dout.shape)
    dx = _kernels.dense_backward_input(dout, weights).reshape(shape)
    dw, db = _kernels.dense_backward_weight(rows, dout)
    return dx.astype(dtype, copy=False), dw.astype(dtype, copy=False), db.astype(dtype, copy=False)


def _affine_rows(x, w):
    features = _math.prod(x.shape[1:])
    _require(x.ndim >= 1 and w.ndim == 2 and features == len(w), _AFFINE, x=x.shape, w=w.shape)
    return x.reshape(len(x), features)


def relu_forward(x):
    """Return ``max(x, 0)`` and the cache ``x``."""
    outputs = _attempt("relu_forward", (x,))
    if outputs is not None:
        return outputs[0], x
    (array,), dtype = _promoted(x=x)
    return _kernels.relu_forward(array).astype(dtype, copy=False), x


def relu_backward(dout, cache):
    """Return ``dout`` where the input was greater than 0, else 0."""
    outputs = _attempt("relu_backward", (dout, cache))
    if outputs is not None:
        return outputs[0]
    dtype = _as_array("dout", dout).dtype
    (dout, x), _ = _promoted(dout=dout, x=cache)
    _require(dout.shape == x.shape, "dout must have the shape of x", dout=dout.shape, x=x.shape)
    return _kernels.relu_backward(dout, x).astype(dtype, copy=False)  # x and max(x, 0) are positive at the same places


def softmax_loss(x, y):
    """Return the mean cross-entropy between ``softmax(x)`` and the labels.

    Parameters
    ----------
    x : array_like, shape (N, C)
        Scores.
    y : array_like of int, shape (N,)
        Labels.

    Returns
    -------
    loss : float
        A NumPy scalar.
    dx : ndarray, shape (N, C)
        The gradient by x.
    """
    outputs = _attempt("softmax_xent_forward", (x, y))
    if outputs is not None:
        dtype = x.dtype
    else:
        x, y, dtype = _scores(x, y)
        outputs = _kernels.softmax_xent_forward(x, y)
    losses, probabilities = outputs
    dx = _kernels.softmax_xent_backward(np.full(len(x), 1 / len(x), dtype=x.dtype), probabilities, y)
    return _kernels.weighted_mean_forward(losses).astype(dtype)[0], dx.astype(dtype, copy=False)


def svm_loss(x, y):
    """Return the mean over samples of the sum over the wrong classes of ``max(0, x[j] - x[y] + 1)``.

    Parameters
    ----------
    x : array_like, shape (N, C)
        Scores.
    y : array_like of int, shape (N,)
        Labels.

    Returns
    -------
    loss : float
        A NumPy scalar.
    dx : ndarray, shape (N, C)
        The gradient by x.
    """
    x, y, dtype = _scores(x, y)
    n, classes = x.shape
    margins = x - x[np.arange(n), y][:, None]
    against = np.full(x.shape, -1, dtype=x.dtype)  # hinge: max(0, 1 - target * margin), averaged over the classes
    losses = _kernels.hinge_forward(margins, against) * classes - 1  # the right class's own margin is 1
    dx = _kernels.hinge_backward(np.full(n, classes / n, dtype=x.dtype), margins, against)
    dx[np.arange(n), y] -= dx.sum(axis=1)
    return _kernels.weighted_mean_forward(losses).astype(dtype)[0], dx.astype(dtype, copy=False)


def _scores(x, y):
    (x,), dtype = _promoted(floating=True, x=x)
    y = _as_array("y", y)
    _require(x.ndim == 2 and len(x) and y.shape == x.shape[:1], _SCORES, x=x.shape, y=y.shape)
    _require(y.dtype.kind in "iu", _SCORES, y=f"of dtype {y.dtype}")
    _require(y.min() >= 0 and y.max() < x.shape[1], _SCORES, C=x.shape[1], y=f"from {y.min()} to {y.max()}")
    return x, y, dtype


def batchnorm_forward(x, gamma, beta, bn_param):
    """Normalize each column by the batch's mean and biased variance, or by their running averages.

    Parameters
    ----------
    x : array_like, shape (N, D)
    gamma, beta : array_like, shape (D,)
        Scale and shift.
    bn_param : dict
        ``"mode"``: "train" or "test"; ``"eps"``, default 1e-5; ``"momentum"``, default 0.9; ``"running_mean"`` and
        ``"running_var"``, default zeros. In training the last two become new arrays,
        ``momentum * running_mean + (1 - momentum) * mean``.

    Returns
    -------
    out : ndarray, shape (N, D)
    cache : tuple or None
        For both backward functions; None in test mode.
    """
    _require(np.ndim(x) == 2, "batchnorm_forward takes x (N, D); images take spatial_batchnorm_forward", x=np.shape(x))
    return _batchnorm(x, gamma, beta, bn_param, "channels_last")


def batchnorm_backward(dout, cache):
    """Return the gradients of batch normalization in training.

    Parameters
    ----------
    dout : array_like, shape (N, D)
    cache : tuple

    Returns
    -------
    dx : ndarray, shape (N, D)
    dgamma, dbeta : ndarray, shape (D,)
    """
    if cache is None:
        raise ValueError("the cache must be that of a forward pass in mode 'train'; got None, as mode 'test' leaves it")
    x, gamma, mean, var, eps, data_format = _unpacked(cache, "the forward pass", "x, gamma, mean, var, eps, data_format")
    (dout, x, gamma, mean, var), dtype = _promoted(floating=True, dout=dout, x=x, gamma=gamma, mean=mean, var=var)
    _require(dout.shape == x.shape, "dout must have the shape of x", dout=dout.shape, x=x.shape)
    gradients = _kernels.batchnorm_backward(dout, x, gamma, mean, var, eps, data_format)
    return tuple(gradient.astype(dtype, copy=False) for gradient in gradients)


batchnorm_backward_alt = batchnorm_backward


def spatial_batchnorm_forward(x, gamma, beta, bn_param):
    """Normalize each channel of images (N, C, H, W), over the batch and all pixels, as `batchnorm_forward` does columns."""
    _require(np.ndim(x) == 4, "spatial_batchnorm_forward takes x (N, C, H, W)", x=np.shape(x))
    return _batchnorm(x, gamma, beta, bn_param, "channels_first")


spatial_batchnorm_backward = batchnorm_backward


def _batchnorm(x, gamma, beta, bn_param, data_format):
    (mode,) = _entries("bn_param", bn_param, "mode")
    _check_mode("bn_param", mode)
    eps, momentum = bn_param.get("eps", 1e-5), bn_param.get("momentum", 0.9)
    (x, gamma, beta), dtype = _promoted(floating=True, x=x, gamma=gamma, beta=beta)
    features = x.shape[1]
    _require(
        gamma.shape == beta.shape == (features,),
        f"gamma and beta must have shape ({features},)",
        gamma=gamma.shape,
        beta=beta.shape,
    )
    running = [np.asarray(bn_param.get(name, np.zeros(features, dtype=dtype))) for name in ("running_mean", "running_var")]
    _require(
        all(average.shape == (features,) for average in running),
        f"bn_param['running_mean'] and ['running_var'] must have shape ({features},), a number for each feature of x",
        x=x.shape,
        running_mean=running[0].shape,
        running_var=running[1].shape,
    )
    if mode == "test":
        out = _kernels.batchnorm_inference(x, gamma, beta, *running, eps, data_format)
        cache = None
    else:
        _require(x.size > 0, "mean and variance are those of a batch of at least one sample", x=x.shape)
        out, mean, var = _kernels.batchnorm_forward(x, gamma, beta, eps, data_format)
        cache = x, gamma, mean, var, eps, data_format
        running = [_averaged(average, new, momentum) for average, new in zip(running, (mean, var), strict=True)]
    bn_param["running_mean"], bn_param["running_var"] = running
    return out.astype(dtype, copy=False), cache


def _check_mode(name, mode):
    if mode not in ("train", "test"):
        raise ValueError(f"{name}['mode'] must be 'train' or 'test'; got {mode!r}")


def layernorm_forward(x, gamma, beta, ln_param):
    """Normalize each row by its own mean and biased variance.

    Parameters
    ----------
    x : array_like, shape (N, D)
    gamma, beta : array_like, shape (D,)
    ln_param : dict
        ``"eps"``, default 1e-5.

    Returns
    -------
    out : ndarray, shape (N, D)
    cache : tuple
    """
    (x, gamma, beta), dtype = _promoted(floating=True, x=x, gamma=gamma, beta=beta)
    _require(
        x.ndim == 2 and gamma.shape == beta.shape == x.shape[1:],
        "layernorm_forward takes x (N, D), gamma (D,) and beta (D,)",
        x=x.shape,
        gamma=gamma.shape,
        beta=beta.shape,
    )
    eps = ln_param.get("eps", 1e-5)
    out, mean, var = _kernels.layernorm_forward(x, gamma, beta, eps)
    return out.astype(dtype, copy=False), (x, gamma, mean, var, eps)


def layernorm_backward(dout, cache):
    """Return ``dx, dgamma, dbeta``, of the shapes of x, gamma and beta."""
    x, gamma, mean, var, eps = _unpacked(cache, "layernorm_forward", "x, gamma, mean, var, eps")
    (dout, x, gamma, mean, var), dtype = _promoted(floating=True, dout=dout, x=x, gamma=gamma, mean=mean, var=var)
    _require(dout.shape == x.shape, "dout must have the shape of x", dout=dout.shape, x=x.shape)
    gradients = _kernels.layernorm_backward(dout, x, gamma, mean, var, eps)
    return tuple(gradient.astype(dtype, copy=False) for gradient in gradients)


def spatial_groupnorm_forward(x, gamma, beta, G, gn_param):
    """Normalize each image's channels in G groups, each by its own mean and biased variance; then scale and shift each channel.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
    gamma, beta : array_like, shape (1, C, 1, 1)
    G : int
        Divides C.
    gn_param : dict
        ``"eps"``, default 1e-5.

    Returns
    -------
    out : ndarray, shape (N, C, H, W)
    cache : tuple
    """
    shape = np.shape(gamma)
    (x, gamma, beta), dtype = _promoted(floating=True, x=x, gamma=gamma, beta=beta)
    _require(x.ndim == 4 and G > 0 and x.shape[1] % G == 0, "x must have shape (N, C, H, W), and G must divide C", x=x.shape, G=G)
    channels = x.shape[1]
    _require(
        gamma.size == beta.size == channels, f"gamma and beta must have shape (1, {channels}, 1, 1)", gamma=shape, beta=beta.shape
    )
    eps = gn_param.get("eps", 1e-5)
    groups = x.reshape(len(x) * G, -1)
    one, zero = np.ones(groups.shape[1], dtype=x.dtype), np.zeros(groups.shape[1], dtype=x.dtype)
    normalized, mean, var = _kernels.layernorm_forward(groups, one, zero, eps)
    normalized = normalized.reshape(x.shape)
    out = _scaled(normalized, gamma.reshape(-1), beta.reshape(-1))
    return out.astype(dtype, copy=False), (groups, normalized, gamma.reshape(-1), mean, var, eps, shape)


def spatial_groupnorm_backward(dout, cache):
    """Return ``dx, dgamma, dbeta``, of the shapes of x, gamma and beta."""
    groups, normalized, gamma, mean, var, eps, shape = _unpacked(
        cache, "spatial_groupnorm_forward", "groups, normalized, gamma, mean, var, eps, shape"
    )
    (dout, groups, normalized, gamma), dtype = _promoted(
        floating=True, dout=dout, groups=groups, normalized=normalized, gamma=gamma
    )
    _require(dout.shape == normalized.shape, "dout must have the shape of x", dout=dout.shape, x=normalized.shape)
    zero, one = np.zeros(gamma.shape, dtype=gamma.dtype), np.ones(gamma.shape, dtype=gamma.dtype)
    _, dgamma, dbeta = _kernels.batchnorm_backward(dout, normalized, gamma, zero, one, 0.0, "channels_first")
    dnormalized = _scaled(dout, gamma, zero).reshape(groups.shape)
    dx, _, _ = _kernels.layernorm_backward(dnormalized, groups, np.ones(groups.shape[1], dtype=groups.dtype), mean, var, eps)
    gradients = dx.reshape(normalized.shape), dgamma.reshape(shape), dbeta.reshape(shape)
    return tuple(gradient.astype(dtype, copy=False) for gradient in gradients)


def _scaled(x, gamma, beta):
    """Return ``gamma * x + beta`` for each channel: normalization by mean 0 and variance 1."""
    zero, one = np.zeros(gamma.shape, dtype=gamma.dtype), np.ones(gamma.shape, dtype=gamma.dtype)
    return _kernels.batchnorm_inference(x, gamma, beta, zero, one, 0.0, "channels_first")


def dropout_forward(x, dropout_param):
    """Keep each element with probability p and divide it by p, in training; return x as it is in test mode.

    Parameters
    ----------
    x : array_like
    dropout_param : dict
        ``"p"``: the probability to keep, greater than 0; ``"mode"``: "train" or "test"; ``"seed"``, if there is one, seeds
        ``np.random`` in each call.

    Returns
    -------
    out : ndarray
        Of the dtype of `x`.
    cache : tuple
        ``(dropout_param, mask)``; the mask is 0 or 1 / p, None in test mode.
    """
    p, mode = _entries("dropout_param", dropout_param, "p", "mode")
    _check_mode("dropout_param", mode)
    if not 0 < p <= 1:
        raise ValueError(f"dropout_param['p'], the probability to keep an element, must be in (0, 1]; got {p!r}")
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    x = _as_array("x", x)
    if mode == "test":
        return x, (dropout_param, None)
    mask = (np.random.rand(*x.shape) < p) / p
    return (x * mask).astype(x.dtype, copy=False), (dropout_param, mask)


def dropout_backward(dout, cache):
    """Return ``dout * mask``; ``dout`` itself in test mode."""
    _, mask = _unpacked(cache, "dropout_forward", "dropout_param, mask")
    dout = _as_array("dout", dout)
    if mask is None:
        return dout
    _require(dout.shape == mask.shape, "dout must have the shape of x", dout=dout.shape, x=mask.shape)
    return (dout * mask).astype(dout.dtype, copy=False)


def conv_forward_naive(x, w, b, conv_param):
    """Convolve.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
    w : array_like, shape (F, C, HH, WW)
    b : array_like, shape (F,)
    conv_param : dict
        ``"stride"`` and ``"pad"``, integers.

    Returns
    -------
    out : ndarray, shape (N, F, 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride)
    cache : tuple
        ``(x, w, b, conv_param)``.
    """
    return _windows.conv_forward(x, w, b, conv_param), (x, w, b, conv_param)


def conv_backward_naive(dout, cache):
    """Return ``dx, dw, db``, of the shapes of x, w and b."""
    return _windows.conv_backward(dout, cache)


def max_pool_forward_naive(x, pool_param):
    """Take the largest element of each window.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
    pool_param : dict
        ``"pool_height"``, ``"pool_width"`` and ``"stride"``, integers.

    Returns
    -------
    out : ndarray, shape (N, C, 1 + (H - pool_height) // stride, 1 + (W - pool_width) // stride)
    cache : tuple
        ``(x, pool_param)``.
    """
    out, _ = _windows.pool_forward(x, pool_param)
    return out, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    """Return the gradient by x; of equal maxima the first gets it."""
    x, pool_param = _unpacked(cache, "max_pool_forward_naive", "x, pool_param")
    _, argmax = _windows.pool_forward(x, pool_param)
    return _windows.pool_backward(dout, x, argmax, pool_param)
