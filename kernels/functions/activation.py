"""Activations and their derivatives, of arrays of any shape; softmax over the last axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import spec
from ..custom.record import Record
from ..spec.activation import ALPHA_DEFAULT, FROM_INPUT, FUSED
from ..table import attempt, call
from .checks import inputs, number, own_function, real
from .compute import compute


def fused(activation: str | None, alpha: float | None) -> tuple[int, float]:
    """Return the spec's parameters `activation` (a code) and `alpha` of dense_forward and conv2d_forward.

    Raises
    ------
    ValueError
        If there is no activation of that name, it cannot be fused, or it has no `alpha`.
    """
    if activation is None or activation == "linear":
        activation = "linear"
    elif not isinstance(activation, str) or activation not in FUSED:
        raise ValueError(f"activation must be None or one of {', '.join(FUSED)}; got {activation!r:.60}")
    if activation in ALPHA_DEFAULT:
        return FUSED[activation], ALPHA_DEFAULT[activation] if alpha is None else number("alpha", alpha, low=0)
    if alpha is not None:
        raise ValueError(f"alpha must be None with activation {activation!r}, which has no such parameter; got {alpha!r:.60}")
    return FUSED[activation], 0.0


FORWARD_DOC = """Return {formula}, element by element.

Parameters
----------
x : array_like
    Any shape.
{alpha}
Returns
-------
ndarray
    Of the shape of `x`; float64 if `x` is, else float32.

Raises
------
TypeError
    If `x` is not an array of real numbers.

See Also
--------
{name}_backward
"""
BACKWARD_DOC = """Return the gradient by `x` of ``sum(dy * {name}_forward(x))``.

{formula}

Parameters
----------
dy : array_like
    The gradient by the activation's output, any shape.
{saved} : array_like
    The activation's {what}, of the shape of `dy`.
{alpha}
Returns
-------
ndarray
    Of the shape of `dy`; float64 if one of the arrays is, else float32.

Raises
------
TypeError, ValueError
    If the shapes differ or an array is not of real numbers.

See Also
--------
{name}_forward
"""
ALPHA_DOC = """alpha : float, default {default}
    At least 0.
"""


def _pair(name: str) -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """Return the public functions ``<name>_forward`` and ``<name>_backward`` of an activation of the spec."""
    forward_name, backward_name = f"{name}_forward", f"{name}_backward"
    default = ALPHA_DEFAULT.get(name)

    def forward(x: Any) -> np.ndarray:
        (y,) = compute(forward_name, (x,))
        return y

    def forward_alpha(x: Any, alpha: float | None = default) -> np.ndarray:
        (y,) = compute(forward_name, (x,), (number("alpha", alpha, low=0),))
        return y

    def backward(dy: Any, y: Any) -> np.ndarray:
        (dx,) = compute(backward_name, (dy, y))
        return dx

    def backward_from_input(dy: Any, x: Any) -> np.ndarray:
        (dx,) = compute(backward_name, (dy, x))
        return dx

    def backward_alpha(dy: Any, y: Any, alpha: float | None = default) -> np.ndarray:
        (dx,) = compute(backward_name, (dy, y), (number("alpha", alpha, low=0),))
        return dx

    takes_alpha, from_input = name in ALPHA_DEFAULT, name in FROM_INPUT
    words = {
        "name": name,
        "saved": "x" if from_input else "y",
        "what": "input" if from_input else "output (not its input)",
        "alpha": ALPHA_DOC.format(default=default) if takes_alpha else "",
    }
    formula = spec.OPS[forward_name].summary.removeprefix("y = ")
    return (
        _named(forward_name, forward_alpha if takes_alpha else forward, FORWARD_DOC.format(formula=formula, **words)),
        _named(
            backward_name,
            backward_alpha if takes_alpha else backward_from_input if from_input else backward,
            BACKWARD_DOC.format(formula=f"{name}(x) = {formula}.", **words),
        ),
    )


def _named(name: str, function: Callable[..., np.ndarray], doc: str) -> Callable[..., np.ndarray]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


linear_forward, linear_backward = _pair("linear")
relu_forward, relu_backward = _pair("relu")
sigmoid_forward, sigmoid_backward = _pair("sigmoid")
tanh_forward, tanh_backward = _pair("tanh")
bipolar_sigmoid_forward, bipolar_sigmoid_backward = _pair("bipolar_sigmoid")
leaky_relu_forward, leaky_relu_backward = _pair("leaky_relu")
elu_forward, elu_backward = _pair("elu")
selu_forward, selu_backward = _pair("selu")
softplus_forward, softplus_backward = _pair("softplus")
gelu_forward, gelu_backward = _pair("gelu")
silu_forward, silu_backward = _pair("silu")


def custom_forward(x: Any, function: Record, slope: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Return an activation of the user's, element by element, and its derivative if `slope` asks for it.

    Parameters
    ----------
    x : array_like
        Any shape.
    function : Record
        What `fastnn.activation` made of a function: its attribute `record`.
    slope : bool, default False
        Whether to compute the derivative.

    Returns
    -------
    y : ndarray
        Of the shape of `x`; float64 if `x` is, else float32.
    slope : ndarray or None
        The derivative at each element.

    Raises
    ------
    TypeError
        If `x` is not an array of real numbers, or `function` another record.

    See Also
    --------
    custom_backward, dense_custom_forward, conv2d_custom_forward
    """
    return compute("custom_forward", (x,), (own_function(function, "activation").address,), optional=slope)


def custom_backward(dy: Any, slope: Any) -> np.ndarray:
    """Return ``dy * slope``, the gradient before an activation of the user's.

    Parameters
    ----------
    dy : array_like
        The gradient by the activation's output, any shape.
    slope : array_like
        The derivative that `custom_forward` gave, of the shape of `dy`.

    Returns
    -------
    ndarray
        Of the shape of `dy`; float64 if one of the arrays is, else float32.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or an array is not of real numbers.

    See Also
    --------
    custom_forward
    """
    (dx,) = compute("custom_backward", (dy, slope))
    return dx


def prelu_forward(x: Any, alpha: Any) -> np.ndarray:
    """Return `x` where it is positive, else ``alpha * x``, with factors that the samples share.

    Parameters
    ----------
    x : array_like
        Any shape.
    alpha : array_like
        The factors, of the shape that the last axes of `x` have.

    Returns
    -------
    ndarray
        Of the shape of `x`; float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.

    See Also
    --------
    prelu_backward
    """
    x, alpha = real("x", x), real("alpha", alpha)
    (y,) = compute("prelu_forward", _by_factor("x", x, alpha))
    return y.reshape(x.shape)


def prelu_backward(dy: Any, x: Any, alpha: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients by `x` and `alpha` of ``sum(dy * prelu_forward(x, alpha))``; the derivative by 0 is `alpha`.

    Parameters
    ----------
    dy : array_like
        The gradient by the activation's output, of the shape of `x`.
    x, alpha : array_like
        As for `prelu_forward`.

    Returns
    -------
    dx : ndarray
        Of the shape of `x`; float64 if one of the arrays is, else float32.
    dalpha : ndarray
        Of the shape of `alpha`.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.

    See Also
    --------
    prelu_forward
    """
    dy, x, alpha = real("dy", dy), real("x", x), real("alpha", alpha)
    dx, dalpha = compute("prelu_backward", (_by_factor("dy", dy, alpha)[0], *_by_factor("x", x, alpha)))
    return dx.reshape(x.shape), dalpha.reshape(alpha.shape)


def _by_factor(name: str, x: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `x` with a column for each factor, and the factors as one row."""
    samples = x.ndim - alpha.ndim
    if samples < 0 or x.shape[samples:] != alpha.shape:
        raise ValueError(f"{name} must have last axes like alpha, {alpha.shape}; got shape {x.shape}")
    return x.reshape(math.prod(x.shape[:samples]), alpha.size), alpha.reshape(alpha.size)


def softmax_forward(x: Any) -> np.ndarray:
    """Return ``exp(x) / sum(exp(x))`` over the last axis; nothing overflows, whatever the size of `x`.

    Parameters
    ----------
    x : array_like, shape (..., c)
        At least one axis; c is at least 1.

    Returns
    -------
    ndarray, shape (..., c)
        float64 if `x` is, else float32.

    Raises
    ------
    ValueError, TypeError
        If `x` has no last axis to sum over, or is not an array of real numbers.
    """
    outputs = attempt("softmax_forward", (x,))
    if outputs is not None:
        return outputs[0]
    x = real("x", x)
    y = np.empty(x.shape, x.dtype, like=x)
    rows = _rows("x", x)
    call("softmax_forward", x.reshape(rows), y.reshape(rows))
    return y


def softmax_backward(dy: Any, y: Any) -> np.ndarray:
    """Return the gradient by `x` of ``sum(dy * softmax_forward(x))``.

    Parameters
    ----------
    dy : array_like, shape (..., c)
        The gradient by the output.
    y : array_like, shape (..., c)
        The output of `softmax_forward`.

    Returns
    -------
    ndarray, shape (..., c)
    """
    outputs = attempt("softmax_backward", (dy, y))
    if outputs is not None:
        return outputs[0]
    # the shapes may be of any rank, but are the same: as for an elementwise function
    (dy, y), _ = inputs("linear_backward", dy, y)
    dx = np.empty(dy.shape, dy.dtype, like=dy)
    rows = _rows("dy", dy)
    call("softmax_backward", dy.reshape(rows), y.reshape(rows), dx.reshape(rows))
    return dx


def _rows(name: str, x: np.ndarray) -> tuple[int, int]:
    """Return the shape (m, c) that `x` has if all axes but the last are one."""
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"{name} must have a last axis of at least one element; got shape {x.shape}")
    return math.prod(x.shape[:-1]), x.shape[-1]
