"""Matrix product and dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..custom.record import Record
from .activation import fused
from .checks import own_function
from .compute import compute

#: parameters of the op dense_forward
NO_ACTIVATION = fused(None, None)


def matmul(a: Any, b: Any) -> np.ndarray:
    """Return the matrix product ``a @ b``.

    Parameters
    ----------
    a : array_like, shape (n, k)
    b : array_like, shape (k, m)

    Returns
    -------
    ndarray, shape (n, m)
        float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.

    Examples
    --------
    >>> from fastnn import kernels
    >>> kernels.matmul([[1, 2]], [[3], [4]])
    array([[11.]], dtype=float32)
    """
    (y,) = compute("dense_forward", (a, b, None), NO_ACTIVATION, names="matmul")
    return y


def dense_forward(x: Any, w: Any, b: Any = None, activation: str | None = None, alpha: float | None = None) -> np.ndarray:
    """Return ``activation(x @ w + b)``.

    Parameters
    ----------
    x : array_like, shape (n, k)
        Samples; n may be 0.
    w : array_like, shape (k, m)
        Weights.
    b : array_like, shape (m,), optional
        Bias.
    activation : str, optional
        One of linear, relu, sigmoid, tanh, bipolar_sigmoid, leaky_relu, elu, selu, softplus: those whose derivative follows from
        the output.
    alpha : float, optional
        Parameter of leaky_relu (default 0.2) and elu (default 1.0).

    Returns
    -------
    ndarray, shape (n, m)
        float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, an array is not of real numbers, or there is no such activation.

    See Also
    --------
    dense_backward_input, dense_backward_weight : The gradients.
    fastnn.ops.dense : The same on tensors, for a `fastnn.GradientTape`.
    fastnn.layers.Dense : The layer.

    Examples
    --------
    >>> from fastnn import kernels
    >>> kernels.dense_forward([[1, 2]], [[3], [4]], [-12], activation="relu")
    array([[0.]], dtype=float32)
    """
    (y,) = compute("dense_forward", (x, w, b), fused(activation, alpha))
    return y


def dense_custom_forward(
    x: Any, w: Any, b: Any = None, *, function: Record, slope: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return ``f(x @ w + b)`` with `f` an activation of the user's, and its derivative if `slope` asks for it.

    Parameters
    ----------
    x, w, b
        As in `dense_forward`.
    function : Record
        What `fastnn.activation` made of `f`: its attribute `record`.
    slope : bool, default False
        Whether to compute the derivative.

    Returns
    -------
    y : ndarray, shape (n, m)
        float64 if one of the arrays is, else float32.
    slope : ndarray, shape (n, m), or None
        The derivative of `f` at ``x @ w + b``, with which `custom_backward` sends a gradient through the activation.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, an array is not of real numbers, or `function` is another record.
    """
    return compute("dense_custom_forward", (x, w, b), (own_function(function, "activation").address,), optional=slope)


def dense_backward_input(dy: Any, w: Any) -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * (x @ w + b))``: ``dy @ w.T``.

    With an activation, `dy` is first sent through that activation's ``*_backward``.

    Parameters
    ----------
    dy : array_like, shape (n, m)
    w : array_like, shape (k, m)

    Returns
    -------
    ndarray, shape (n, k)
    """
    (dx,) = compute("dense_backward_input", (dy, w))
    return dx


def dense_backward_weight(x: Any, dy: Any, bias: bool = True) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the gradients by `w` and `b` of ``sum(dy * (x @ w + b))``: ``x.T @ dy`` and the sum of `dy` over samples.

    Parameters
    ----------
    x : array_like, shape (n, k)
    dy : array_like, shape (n, m)
    bias : bool, default True
        Whether there is a bias.

    Returns
    -------
    dw : ndarray, shape (k, m)
    db : ndarray, shape (m,), or None
        None without bias.
    """
    return compute("dense_backward_weight", (x, dy), optional=bias)
