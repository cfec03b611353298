"""Normalization over the batch or over a sample's features, moving averages, and dropout."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..table import attempt, call, python_step
from .checks import U64, data_format_is_first, in_place, inputs, number, real
from .layout import channels_to_columns, columns_to_channels


def batchnorm_forward(
    x: Any, gamma: Any, beta: Any, eps: float = 1e-3, data_format: str = "channels_last"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize each channel by the batch's own mean and variance: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    Parameters
    ----------
    x : array_like, shape (m, c), (N, H, W, C) or (N, C, H, W)
        Any number of axes from two; statistics run over all axes but the channels'.
    gamma, beta : array_like, shape (c,)
        Scale and shift.
    eps : float, default 1e-3
        At least 0; added to the variance.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        Whether the last or the second axis of `x` is the channels'.

    Returns
    -------
    y : ndarray
        Of the shape of `x`; float64 if one of the arrays is, else float32.
    mean, var : ndarray, shape (c,)
        Mean and biased variance of the batch; NaN for an empty one.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, or an argument is none of the above.
    """
    first = data_format_is_first(data_format)
    x = real("x", x)
    (columns, gamma, beta), extent = inputs("batchnorm_forward", channels_to_columns("x", x, first), gamma, beta)
    y, mean, var = (np.empty(shape, columns.dtype, like=columns) for shape in (columns.shape, extent["c"], extent["c"]))
    call("batchnorm_forward", columns, gamma, beta, number("eps", eps, low=0), y, mean, var)
    return columns_to_channels(y, x.shape, first), mean, var


def batchnorm_inference(
    x: Any, gamma: Any, beta: Any, mean: Any, var: Any, eps: float = 1e-3, data_format: str = "channels_last"
) -> np.ndarray:
    """Normalize each channel by a given mean and variance: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    Parameters
    ----------
    x, gamma, beta, eps, data_format
        As in `batchnorm_forward`.
    mean, var : array_like, shape (c,)
        Usually moving averages of what `batchnorm_forward` returned; `var` is at least 0.

    Returns
    -------
    ndarray
        Of the shape of `x`; float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, or an argument is none of the above.
    """
    first = data_format_is_first(data_format)
    x = real("x", x)
    arrays, _ = inputs("batchnorm_inference", channels_to_columns("x", x, first), gamma, beta, mean, var)
    y = np.empty(arrays[0].shape, arrays[0].dtype, like=arrays[0])
    call("batchnorm_inference", *arrays, number("eps", eps, low=0), y)
    return columns_to_channels(y, x.shape, first)


def batchnorm_backward(
    dy: Any, x: Any, gamma: Any, mean: Any, var: Any, eps: float = 1e-3, data_format: str = "channels_last"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients by `x`, `gamma` and `beta` of ``sum(dy * y)``, through the batch's mean and variance as well.

    Parameters
    ----------
    dy : array_like
        The gradient by `y`, of the shape of `x`.
    x, gamma, eps, data_format
        As they were in `batchnorm_forward`.
    mean, var : array_like, shape (c,)
        As `batchnorm_forward` returned them.

    Returns
    -------
    dx : ndarray
        Of the shape of `x`; float64 if one of the arrays is, else float32.
    dgamma, dbeta : ndarray, shape (c,)

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, or an argument is none of the above.
    """
    first = data_format_is_first(data_format)
    x, dy = real("x", x), real("dy", dy)
    _check_same_shape(dy, x)
    dy_columns, x_columns = channels_to_columns("dy", dy, first), channels_to_columns("x", x, first)
    arrays, extent = inputs("batchnorm_backward", dy_columns, x_columns, gamma, mean, var)
    dx, dgamma, dbeta = (np.empty(shape, arrays[0].dtype, like=arrays[0]) for shape in (arrays[0].shape, extent["c"], extent["c"]))
    call("batchnorm_backward", *arrays, number("eps", eps, low=0), 0, dx, dgamma, dbeta)
    return columns_to_channels(dx, x.shape, first), dgamma, dbeta


def layernorm_forward(x: Any, gamma: Any, beta: Any, eps: float = 1e-3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize each sample over the last axis: ``gamma * (x - mean) / sqrt(var + eps) + beta``.

    Parameters
    ----------
    x : array_like, shape (..., c)
        At least two axes.
    gamma, beta : array_like, shape (c,)
        Scale and shift.
    eps : float, default 1e-3
        At least 0; added to the variance.

    Returns
    -------
    y : ndarray, shape (..., c)
        float64 if one of the arrays is, else float32.
    mean, var : ndarray, shape (...)
        Mean and biased variance of each sample.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, or an argument is none of the above.
    """
    x = real("x", x)
    (rows, gamma, beta), extent = inputs("layernorm_forward", channels_to_columns("x", x, False), gamma, beta)
    y, mean, var = (np.empty(shape, rows.dtype, like=rows) for shape in (rows.shape, extent["m"], extent["m"]))
    call("layernorm_forward", rows, gamma, beta, number("eps", eps, low=0), y, mean, var)
    return y.reshape(x.shape), mean.reshape(x.shape[:-1]), var.reshape(x.shape[:-1])


def layernorm_backward(
    dy: Any, x: Any, gamma: Any, mean: Any, var: Any, eps: float = 1e-3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients by `x`, `gamma` and `beta` of ``sum(dy * y)``.

    Parameters
    ----------
    dy : array_like, shape (..., c)
        The gradient by `y`.
    x, gamma, eps
        As they were in `layernorm_forward`.
    mean, var : array_like, shape (...)
        As `layernorm_forward` returned them.

    Returns
    -------
    dx : ndarray, shape (..., c)
        float64 if one of the arrays is, else float32.
    dgamma, dbeta : ndarray, shape (c,)

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, or an argument is none of the above.
    """
    x, dy, mean, var = real("x", x), real("dy", dy), real("mean", mean), real("var", var)
    _check_same_shape(dy, x)
    rows = channels_to_columns("dy", dy, False), channels_to_columns("x", x, False)
    arrays, extent = inputs("layernorm_backward", *rows, gamma, mean.reshape(mean.size), var.reshape(var.size))
    dx, dgamma, dbeta = (np.empty(shape, arrays[0].dtype, like=arrays[0]) for shape in (arrays[0].shape, extent["c"], extent["c"]))
    call("layernorm_backward", *arrays, number("eps", eps, low=0), dx, dgamma, dbeta)
    return dx.reshape(x.shape), dgamma, dbeta


def moving_average(value: Any, average: np.ndarray, momentum: float = 0.99) -> None:
    """Update `average` in place: ``average = momentum * average + (1 - momentum) * value``.

    Parameters
    ----------
    value : array_like
        The new value.
    average : ndarray of float32 or float64
        Of the shape of `value`, writable and C-contiguous.
    momentum : float, default 0.99
        In [0, 1].

    Raises
    ------
    ValueError, TypeError
        If the shapes differ, or `average` cannot be updated in place.
    """
    momentum = number("momentum", momentum, low=0)
    if momentum > 1:
        raise ValueError(f"momentum must be in [0, 1]; got {momentum}")
    if attempt("moving_average", (value,), (momentum,), (average,)) is not None:
        return
    average = in_place("average", average)
    value = real("value", value, average.dtype)
    if value.shape != average.shape:
        raise ValueError(f"value must have the shape of average, {average.shape}; got {value.shape}")
    call("moving_average", value, momentum, average)


def dropout_forward(x: Any, rate: float, state: int | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `x` with each element set to zero with probability `rate`, and the others divided by ``1 - rate``.

    The choice depends on `state` and the element's place only: not on the backend, not on the number of threads.

    Parameters
    ----------
    x : array_like
        Any shape.
    rate : float
        In [0, 1).
    state : ndarray of uint64, shape (2,), or int
        Seed and step. An array is advanced in place by one step, so that the next call draws new numbers. An integer is the seed,
        with step 0, and draws the same numbers each time.

    Returns
    -------
    y : ndarray
        Of the shape of `x`; float64 if `x` is, else float32.
    used : ndarray of uint64, shape (2,)
        What `dropout_backward` needs: the state that was used.

    Raises
    ------
    ValueError, TypeError
        If an argument is none of the above.
    """
    x = real("x", x)
    rate = number("rate", rate, low=0, below=1)
    state = in_place("state", state, U64, (2,)) if isinstance(state, np.ndarray) else _seeded(state)
    y, used = np.empty(x.shape, x.dtype, like=x), np.empty(2, U64)
    call("dropout_forward", x, rate, y, used, state)
    return y, used


def dropout_backward(dy: Any, rate: float, used: np.ndarray) -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * y)``: ``dy / (1 - rate)`` where `dropout_forward` kept the element, else 0.

    Parameters
    ----------
    dy : array_like
        The gradient by `y`.
    rate : float
        As in `dropout_forward`.
    used : ndarray of uint64, shape (2,)
        As `dropout_forward` returned it.

    Returns
    -------
    ndarray
        Of the shape of `dy`; float64 if `dy` is, else float32.

    Raises
    ------
    ValueError, TypeError
        If an argument is none of the above.
    """
    dy = real("dy", dy)
    rate = number("rate", rate, low=0, below=1)
    if not (isinstance(used, np.ndarray) and used.dtype == U64 and used.shape == (2,)):
        raise TypeError(f"used must be the uint64 array of shape (2,) that dropout_forward returned; got {used!r:.60}")
    dx = np.empty(dy.shape, dy.dtype, like=dy)
    call("dropout_backward", dy, np.ascontiguousarray(used), rate, dx)
    return dx


def _seeded(seed: Any) -> np.ndarray:
    python_step("state given as a number")  # a replayed step would advance the array made here
    try:
        return np.array([operator.index(seed), 0], dtype=U64)
    except (TypeError, OverflowError):
        raise TypeError(f"state must be a uint64 array of shape (2,), or a seed in [0, 2**64); got {seed!r:.60}") from None


def _check_same_shape(dy: np.ndarray, x: np.ndarray) -> None:
    if dy.shape != x.shape:
        raise ValueError(f"dy must have the shape of x, {x.shape}; got {dy.shape}")
