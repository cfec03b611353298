"""Activations. Their backward kernels are wrapped as ops too, so that derivatives of any order follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, first_derivative_only, is_watched, record
from ..kernels.custom.record import Record
from ..kernels.spec.activation import ALPHA_DEFAULT, FROM_INPUT
from . import shape
from .arithmetic import sum_to
from .comparison import where
from .convert import zeros_like
from .elementary import exp
from .reduction import logsumexp, sum

#: activation -> derivative of its slope by what the slope is computed from: the output, for gelu and silu the input. None
#: where the slope is constant in pieces.
_SLOPE_DERIVATIVE: dict[str, Callable[[Tensor], Tensor] | None] = {
    "relu": None,
    "leaky_relu": None,
    "sigmoid": lambda y: 1 - 2 * y,  # slope y (1 - y)
    "tanh": lambda y: -2 * y,  # 1 - y^2
    "bipolar_sigmoid": lambda y: -y,  # (1 - y^2) / 2
    "elu": lambda y: where(y > 0, 0.0, 1.0),  # y + alpha where y <= 0
    "selu": lambda y: where(y > 0, 0.0, 1.0),
    "softplus": lambda y: exp(-y),  # 1 - exp(-y)
    "silu": lambda x: _silu_second(x, sigmoid(x)),
    "gelu": lambda x: exp(-0.5 * x**2) * (2 - x**2) * (2 * np.pi) ** -0.5,
}


def _silu_second(x: Tensor, s: Tensor) -> Tensor:
    return s * (1 - s) * (2 + x * (1 - 2 * s))


def _activate(name: str, x: Any, *alpha: float) -> Tensor:
    x = as_tensor(x)
    y = Tensor(getattr(kernels, f"{name}_forward")(x.data, *alpha))
    saved = x if name in FROM_INPUT else y
    return record(name, (x,), y, lambda dy, needs: (_activation_backward(name, dy, saved, *alpha),))


def _activation_backward(name: str, dy: Tensor, saved: Tensor, *alpha: float) -> Tensor:
    """Return ``dy * slope``, the slope computed from the activation's output, for gelu and silu from its input."""
    dx = Tensor(getattr(kernels, f"{name}_backward")(dy.data, saved.data, *alpha))
    slope_derivative = _SLOPE_DERIVATIVE[name]

    def vjp(ddx: Tensor, needs: Needs) -> Gradients:
        return (
            _activation_backward(name, ddx, saved, *alpha) if needs[0] else None,
            ddx * dy * slope_derivative(saved) if needs[1] and slope_derivative else None,
        )

    return record(f"{name}_backward", (dy, saved), dx, vjp)


def backward(name: str | None, dy: Tensor, y: Tensor, alpha: float | None = None) -> Tensor:
    """Return the gradient before a fused activation from the gradient `dy` after it and its output `y`."""
    if name is None or name == "linear":
        return dy
    if name in ALPHA_DEFAULT:
        return _activation_backward(name, dy, y, ALPHA_DEFAULT[name] if alpha is None else alpha)
    return _activation_backward(name, dy, y)


def custom(x: Any, function: Record) -> Tensor:
    """Return an activation of the user's, see `fastnn.activation`; it has a first derivative only."""
    x = as_tensor(x)
    y, slope = kernels.custom_forward(x.data, function, is_watched(x))
    return record("custom", (x,), Tensor(y), lambda dy, needs: (custom_backward(dy, slope, x),))


def custom_backward(dy: Tensor, slope: np.ndarray | None, *inputs: Tensor | None) -> Tensor:
    """Return the gradient before an activation of the user's, whose derivative, computed from `inputs`, is `slope`."""
    dx = Tensor(kernels.custom_backward(dy.data, slope))
    vjp = first_derivative_only("an activation registered by fastnn.activation")
    return record("custom_backward", (dy, *inputs), dx, vjp)


def relu(x: Any) -> Tensor:
    """Return ``max(x, 0)``; the derivative at 0 is 0."""
    return _activate("relu", x)


def leaky_relu(x: Any, alpha: float = ALPHA_DEFAULT["leaky_relu"]) -> Tensor:
    """Return `x` where it is positive, else ``alpha * x``; the derivative at 0 is `alpha`."""
    return _activate("leaky_relu", x, alpha)


def prelu(x: Any, alpha: Any) -> Tensor:
    """Return `x` where it is positive, else ``alpha * x``; the derivative at 0 is `alpha`.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
    alpha : Tensor
        Factors, of the shape of a sample, or with an extent of 1 along axes that share a factor. Where other axes than the first
        ones share it, the step is made in Python.
    """
    x, alpha = as_tensor(x), as_tensor(alpha)
    own = alpha.shape
    while own[:1] == (1,):
        own = own[1:]
    if x.shape[x.ndim - len(own) :] == own:
        return _prelu(x, shape.reshape(alpha, own))
    return _prelu(x, shape.broadcast_to(alpha, x.shape[1:]))


def _prelu(x: Tensor, alpha: Tensor) -> Tensor:
    y = Tensor(kernels.prelu_forward(x.data, alpha.data))
    return record("prelu", (x, alpha), y, lambda dy, needs: _prelu_backward(dy, x, alpha))


def _prelu_backward(dy: Tensor, x: Tensor, alpha: Tensor) -> tuple[Tensor, ...]:
    gradients = tuple([Tensor(gradient) for gradient in kernels.prelu_backward(dy.data, x.data, alpha.data)])

    def vjp(ddx: Tensor | None, ddalpha: Tensor | None, needs: Needs) -> Gradients:
        ddx = zeros_like(x) if ddx is None else ddx
        ddalpha = zeros_like(alpha) if ddalpha is None else ddalpha
        below = where(x > 0, 0.0, 1.0)
        d_dy = ddx * where(x > 0, 1.0, alpha) + ddalpha * x * below
        return d_dy, ddalpha * dy * below, sum_to(ddx * dy * below, alpha.shape)

    return record("prelu_backward", (dy, x, alpha), gradients, vjp)


def elu(x: Any, alpha: float = ALPHA_DEFAULT["elu"]) -> Tensor:
    """Return `x` where it is positive, else ``alpha * (exp(x) - 1)``."""
    return _activate("elu", x, alpha)


def selu(x: Any) -> Tensor:
    """Return ``scale * elu(x, alpha)`` with the constants of self-normalizing networks (Klambauer et al. 2017)."""
    return _activate("selu", x)


def sigmoid(x: Any) -> Tensor:
    """Return ``1 / (1 + exp(-x))``, the unipolar sigmoid; the result's `link` is "sigmoid" and its `logits` `x`."""
    x = as_tensor(x)
    y = _activate("sigmoid", x)
    y.logits, y.link = x, "sigmoid"
    return y


def bipolar_sigmoid(x: Any) -> Tensor:
    """Return ``(1 - exp(-x)) / (1 + exp(-x))``, that is ``tanh(x / 2)``."""
    return _activate("bipolar_sigmoid", x)


def tanh(x: Any) -> Tensor:
    """Return the hyperbolic tangent."""
    return _activate("tanh", x)


def softplus(x: Any) -> Tensor:
    """Return ``log(1 + exp(x))``."""
    return _activate("softplus", x)


def silu(x: Any) -> Tensor:
    """Return ``x * sigmoid(x)`` (also called swish)."""
    return _activate("silu", x)


def gelu(x: Any) -> Tensor:
    """Return ``x * Phi(x)``, Phi the normal distribution function (by erf, not the tanh approximation)."""
    return _activate("gelu", x)


def softmax(x: Any, axis: int = -1) -> Tensor:
    """Return ``exp(x) / sum(exp(x))`` along an axis; along the last, the result's `link` is "softmax", its `logits` `x`."""
    x = as_tensor(x)
    if axis not in (-1, x.ndim - 1):
        return shape.moveaxis(softmax(shape.moveaxis(x, axis, -1)), -1, axis)
    y = Tensor(kernels.softmax_forward(x.data))
    y.logits, y.link = x, "softmax"
    return record("softmax", (x,), y, lambda dy, needs: (softmax_backward(dy, y),))


def softmax_backward(dy: Tensor, y: Tensor) -> Tensor:
    """Return ``y * (dy - sum(dy * y))`` along the last axis."""
    dx = Tensor(kernels.softmax_backward(dy.data, y.data))

    def vjp(ddx: Tensor, needs: Needs) -> Gradients:
        if needs[1]:
            d_y = ddx * (dy - sum(dy * y, axis=-1, keepdims=True)) - dy * sum(ddx * y, axis=-1, keepdims=True)
        return softmax_backward(ddx, y) if needs[0] else None, d_y if needs[1] else None

    return record("softmax_backward", (dy, y), dx, vjp)


def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Return the logarithm of `softmax`, right also where a probability is too small to be held."""
    x = as_tensor(x)
    return x - logsumexp(x, axis=axis, keepdims=True)
