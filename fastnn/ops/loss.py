"""Losses of each sample, their mean over samples, and penalties on weights.

Every loss takes predictions of shape (m, c), or (m,) for one output a sample, and returns shape (m,). Derivatives are by the
predictions; targets are data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, first_derivative_only, is_watched, record
from ..kernels.custom.record import Record
from .activation import sigmoid, softmax, softmax_backward
from .arithmetic import sum_to
from .comparison import where
from .convert import cast, ones_like
from .elementary import exp
from .reduction import sum
from .shape import reshape

#: the kernels clip probabilities to [EPSILON, 1 - EPSILON]
EPSILON = 1e-7


def _unclipped(probs: Tensor) -> tuple[Tensor, Tensor]:
    """Return where probabilities are not clipped, as 1 or 0, and the probabilities, 1/2 where they are."""
    inside = (probs.data >= EPSILON) & (probs.data <= 1 - EPSILON)
    return cast(inside, probs.dtype), where(inside, probs, 0.5)


def _binary_xent_second(probs: Tensor, target: Tensor) -> Tensor:
    kept, q = _unclipped(probs)
    return kept * (target / q**2 + (1 - target) / (1 - q) ** 2)


def _xent_second(probs: Tensor, target: Tensor) -> Tensor:
    kept, q = _unclipped(probs)
    return kept * target / q**2


#: loss -> second derivative of one output's loss by the prediction, from prediction, target and parameters
_SECOND: dict[str, Callable[..., Any]] = {
    "mse": lambda pred, target: 2.0,
    "mae": lambda pred, target: 0.0,
    "huber": lambda pred, target, delta: where(abs(pred - target) <= delta, 1.0, 0.0),
    "hinge": lambda pred, target: 0.0,
    "perceptron": lambda pred, target: 0.0,
    "sigmoid_xent": lambda logits, target: sigmoid(logits) * sigmoid(-logits),
    "half_poisson": lambda pred, target: exp(pred),
    "binary_xent": _binary_xent_second,
    "xent": _xent_second,
}


def _target(target: Any, pred: Tensor) -> Tensor:
    """Return the target as a tensor of the prediction's dtype."""
    return cast(target, pred.data.dtype)


def _no_target_derivative(name: str, needed: bool) -> None:
    if needed:
        raise NotImplementedError(f"{name} has no derivative by its target; use stop_gradient(target) to keep it constant")


def _pointwise(name: str, pred: Any, target: Any, *params: float) -> Tensor:
    pred = as_tensor(pred)
    target = _target(target, pred)
    loss = Tensor(getattr(kernels, f"{name}_forward")(pred.data, target.data, *params))

    def vjp(dloss: Tensor, needs: Needs) -> Gradients:
        _no_target_derivative(name, needs[1])
        return _pointwise_backward(name, dloss, pred, target, *params), None

    return record(name, (pred, target), loss, vjp)


def _pointwise_backward(name: str, dloss: Tensor, pred: Tensor, target: Tensor, *params: float) -> Tensor:
    dpred = Tensor(getattr(kernels, f"{name}_backward")(dloss.data, pred.data, target.data, *params))
    by_sample = pred.shape if pred.ndim == 1 else (*pred.shape[:-1], 1)
    outputs = 1 if pred.ndim == 1 or name == "xent" else pred.shape[-1]

    def vjp(ddpred: Tensor, needs: Needs) -> Gradients:
        _no_target_derivative(name, needs[2])
        d_dloss = d_pred = None
        if needs[0]:
            slope = _pointwise_backward(name, ones_like(dloss), pred, target, *params)
            d_dloss = reshape(sum_to(ddpred * slope, by_sample), dloss.shape)
        if needs[1]:
            d_pred = ddpred * reshape(dloss, by_sample) * _SECOND[name](pred, target, *params) / outputs
        return d_dloss, d_pred, None

    return record(f"{name}_backward", (dloss, pred, target), dpred, vjp)


def mse(pred: Any, target: Any) -> Tensor:
    """Return the mean of ``(pred - target)**2`` over each sample's outputs."""
    return _pointwise("mse", pred, target)


def mae(pred: Any, target: Any) -> Tensor:
    """Return the mean of ``|pred - target|`` over each sample's outputs."""
    return _pointwise("mae", pred, target)


def huber(pred: Any, target: Any, delta: float = 1.0) -> Tensor:
    """Return the mean of ``d**2 / 2`` where ``|d| <= delta``, else ``delta * (|d| - delta / 2)``, with d = pred - target."""
    return _pointwise("huber", pred, target, delta)


def hinge(pred: Any, target: Any) -> Tensor:
    """Return the mean of ``max(0, 1 - target * pred)`` over each sample's outputs; targets are -1 and 1."""
    return _pointwise("hinge", pred, target)


def perceptron(pred: Any, target: Any) -> Tensor:
    """Return the mean of ``max(0, -target * pred)`` over each sample's outputs; targets are -1 and 1."""
    return _pointwise("perceptron", pred, target)


def sigmoid_xent(logits: Any, target: Any) -> Tensor:
    """Return the mean binary cross-entropy between ``sigmoid(logits)`` and targets in [0, 1]."""
    return _pointwise("sigmoid_xent", logits, target)


def half_poisson(pred: Any, target: Any) -> Tensor:
    """Return half the mean Poisson deviance, ``exp(pred) - target + target * (log(target) - pred)``, for targets of at least 0."""
    return _pointwise("half_poisson", pred, target)


def binary_xent(probs: Any, target: Any) -> Tensor:
    """Return the mean binary cross-entropy between probabilities and targets in [0, 1]."""
    return _pointwise("binary_xent", probs, target)


def xent(probs: Any, target: Any) -> Tensor:
    """Return ``-sum(target * log(probs))`` of each sample, shape (m, c) to (m,)."""
    return _pointwise("xent", probs, target)


def custom_loss(pred: Any, target: Any, function: Record) -> Tensor:
    """Return the loss of each sample by a function of the user's, see `fastnn.loss`; it has a first derivative only."""
    pred = as_tensor(pred)
    target = _target(target, pred)
    loss, slope = kernels.custom_loss_forward(pred.data, target.data, function, is_watched(pred))

    def vjp(dloss: Tensor, needs: Needs) -> Gradients:
        _no_target_derivative("a loss registered by fastnn.loss", needs[1])
        dpred = Tensor(kernels.custom_loss_backward(dloss.data, slope))
        only = first_derivative_only("a loss registered by fastnn.loss")
        return record("custom_loss_backward", (dloss, pred), dpred, only), None

    return record("custom_loss", (pred, target), Tensor(loss), vjp)


def softmax_xent(logits: Any, target: Any) -> Tensor:
    """Return the cross-entropy between ``softmax(logits)`` and the target.

    Parameters
    ----------
    logits : Tensor, shape (m, c)
    target : integers of shape (m,) or floats of shape (m, c)
        The class of each sample, or a distribution over classes (one-hot).
    """
    logits = as_tensor(logits)
    target = as_tensor(target)
    if target.shape == logits.shape:
        target = _target(target, logits)
    loss, probs = kernels.softmax_xent_forward(logits.data, target.data)

    def vjp(dloss: Tensor, needs: Needs) -> Gradients:
        _no_target_derivative("softmax_xent", needs[1])
        return _softmax_xent_backward(dloss, logits, probs, target), None

    return record("softmax_xent", (logits, target), Tensor(loss), vjp)


def _softmax_xent_backward(dloss: Tensor, logits: Tensor, probs: np.ndarray, target: Tensor) -> Tensor:
    dlogits = Tensor(kernels.softmax_xent_backward(dloss.data, probs, target.data))

    def vjp(ddlogits: Tensor, needs: Needs) -> Gradients:
        _no_target_derivative("softmax_xent", needs[2])
        d_dloss = d_logits = None
        if needs[0]:
            slope = _softmax_xent_backward(ones_like(dloss), logits, probs, target)
            d_dloss = reshape(sum(ddlogits * slope, axis=-1), dloss.shape)
        if needs[1]:
            mass = sum(target, axis=-1, keepdims=True) if target.shape == logits.shape else 1.0
            d_logits = softmax_backward(ddlogits, softmax(logits)) * reshape(dloss, (*logits.shape[:-1], 1)) * mass
        return d_dloss, d_logits, None

    return record("softmax_xent_backward", (dloss, logits, target), dlogits, vjp)


def weighted_mean(loss: Any, weight: Any = None) -> Tensor:
    """Return ``sum(loss * weight) / m`` of the losses of m samples, shape (), with weight 1 where it is left out."""
    loss = as_tensor(loss)
    weight = None if weight is None else _target(weight, loss)
    mean = kernels.weighted_mean_forward(loss.data, None if weight is None else weight.data)

    def vjp(dmean: Tensor, needs: Needs) -> Gradients:
        return (
            _weighted_mean_backward(dmean, len(loss), weight) if needs[0] else None,
            dmean * loss / len(loss) if needs[1] else None,
        )

    return record("weighted_mean", (loss, weight), Tensor(mean.reshape(())), vjp)


def _weighted_mean_backward(dmean: Tensor, m: int, weight: Tensor | None) -> Tensor:
    dloss = kernels.weighted_mean_backward(dmean.data.reshape(1), m, None if weight is None else weight.data)

    def vjp(ddloss: Tensor, needs: Needs) -> Gradients:
        return weighted_mean(ddloss, weight) if needs[0] else None, ddloss * dmean / m if needs[1] else None

    return record("weighted_mean_backward", (dmean, weight), Tensor(dloss), vjp)


def penalty(w: Any, l1: float = 0.0, l2: float = 0.0) -> Tensor:
    """Return ``l1 * sum(|w|) + l2 * sum(w**2)``, shape ()."""
    w = as_tensor(w)
    value = kernels.penalty_forward(w.data, l1, l2)
    return record("penalty", (w,), Tensor(value.reshape(())), lambda dy, needs: (_penalty_backward(dy, w, l1, l2),))


def _penalty_backward(dpenalty: Tensor, w: Tensor, l1: float, l2: float) -> Tensor:
    dw = Tensor(kernels.penalty_backward(dpenalty.data.reshape(1), w.data, l1, l2))

    def vjp(ddw: Tensor, needs: Needs) -> Gradients:
        return (
            sum(ddw * _penalty_backward(ones_like(dpenalty), w, l1, l2)) if needs[0] else None,
            _penalty_backward(dpenalty, ddw, 0.0, l2) if needs[1] else None,
        )

    return record("penalty_backward", (dpenalty, w), dw, vjp)
