"""Losses of each sample, their mean over samples, and penalties on weights.

Every loss takes predictions of shape (m, c), or (m,) for one output a sample, and returns shape (m,). Derivatives are by the
predictions; targets are data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Tensor, as_tensor, first_derivative_only, record
from ..kernels.table import python_step
from .activation import sigmoid, softmax, softmax_backward
from .arithmetic import sum_to
from .reduction import sum
from .shape import reshape

#: loss -> second derivative of one output's loss by the prediction
_SECOND: dict[str, Callable[[Tensor], Any]] = {
    "mse": lambda pred: 2.0,
    "sigmoid_xent": lambda pred: sigmoid(pred) * (1 - sigmoid(pred)),
}


def _target(target: Any, pred: Tensor) -> Tensor:
    """Return the target as a tensor of the prediction's dtype."""
    target = as_tensor(target)
    if target.data.dtype != pred.data.dtype:
        python_step("cast of a target")
        target = Tensor(target.data.astype(pred.data.dtype))
    return target


def _no_target_derivative(name: str, needed: bool) -> None:
    if needed:
        raise NotImplementedError(f"{name} has no derivative by its target; use stop_gradient(target) to keep it constant")


def _pointwise(name: str, pred: Any, target: Any, *params: float) -> Tensor:
    pred = as_tensor(pred)
    target = _target(target, pred)
    loss = Tensor(getattr(kernels, f"{name}_forward")(pred.data, target.data, *params))

    def vjp(dloss, needs):
        _no_target_derivative(name, needs[1])
        return _pointwise_backward(name, dloss, pred, target, *params), None

    return record(name, (pred, target), loss, vjp)


def _pointwise_backward(name: str, dloss: Tensor, pred: Tensor, target: Tensor, *params: float) -> Tensor:
    dpred = Tensor(getattr(kernels, f"{name}_backward")(dloss.data, pred.data, target.data, *params))
    inputs = (dloss, pred, target)
    if name not in _SECOND:
        return record(f"{name}_backward", inputs, dpred, first_derivative_only(name))

    def vjp(ddpred, needs):
        _no_target_derivative(name, needs[2])
        samples = (len(pred),) + (1,) * (pred.ndim - 1)
        d_dloss = d_pred = None
        if needs[0]:
            slope = _pointwise_backward(name, Tensor(np.ones_like(dloss.data)), pred, target, *params)
            d_dloss = reshape(sum_to(ddpred * slope, samples), dloss.shape)
        if needs[1]:
            outputs = pred.size // max(len(pred), 1)
            d_pred = ddpred * reshape(dloss, samples) * _SECOND[name](pred) / outputs
        return d_dloss, d_pred, None

    return record(f"{name}_backward", inputs, dpred, vjp)


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


def binary_xent(probs: Any, target: Any) -> Tensor:
    """Return the mean binary cross-entropy between probabilities and targets in [0, 1]."""
    return _pointwise("binary_xent", probs, target)


def xent(probs: Any, target: Any) -> Tensor:
    """Return ``-sum(target * log(probs))`` of each sample, shape (m, c) to (m,)."""
    return _pointwise("xent", probs, target)


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
    if target.data.dtype.kind == "f":
        target = _target(target, logits)
    loss, probs = kernels.softmax_xent_forward(logits.data, target.data)

    def vjp(dloss, needs):
        _no_target_derivative("softmax_xent", needs[1])
        return _softmax_xent_backward(dloss, logits, probs, target), None

    return record("softmax_xent", (logits, target), Tensor(loss), vjp)


def _softmax_xent_backward(dloss: Tensor, logits: Tensor, probs: np.ndarray, target: Tensor) -> Tensor:
    dlogits = Tensor(kernels.softmax_xent_backward(dloss.data, probs, target.data))

    def vjp(ddlogits, needs):
        _no_target_derivative("softmax_xent", needs[2])
        d_dloss = d_logits = None
        if needs[0]:
            slope = _softmax_xent_backward(Tensor(np.ones_like(dloss.data)), logits, probs, target)
            d_dloss = sum(ddlogits * slope, axis=-1)
        if needs[1]:
            weight = 1.0 if target.data.dtype.kind != "f" else sum(target, axis=-1, keepdims=True)
            d_logits = softmax_backward(ddlogits, softmax(logits)) * reshape(dloss, (-1, 1)) * weight
        return d_dloss, d_logits, None

    return record("softmax_xent_backward", (dloss, logits, target), dlogits, vjp)


def weighted_mean(loss: Any, weight: Any = None) -> Tensor:
    """Return ``sum(loss * weight) / m`` of the losses of m samples, shape (), with weight 1 where it is left out."""
    loss = as_tensor(loss)
    weight = None if weight is None else _target(weight, loss)
    mean = kernels.weighted_mean_forward(loss.data, None if weight is None else weight.data)

    def vjp(dmean, needs):
        return (
            _weighted_mean_backward(dmean, len(loss), weight) if needs[0] else None,
            dmean * loss / len(loss) if needs[1] else None,
        )

    return record("weighted_mean", (loss, weight), Tensor(mean.reshape(())), vjp)


def _weighted_mean_backward(dmean: Tensor, m: int, weight: Tensor | None) -> Tensor:
    dloss = kernels.weighted_mean_backward(dmean.data.reshape(1), m, None if weight is None else weight.data)

    def vjp(ddloss, needs):
        return weighted_mean(ddloss, weight) if needs[0] else None, ddloss * dmean / m if needs[1] else None

    return record("weighted_mean_backward", (dmean, weight), Tensor(dloss), vjp)


def penalty(w: Any, l1: float = 0.0, l2: float = 0.0) -> Tensor:
    """Return ``l1 * sum(|w|) + l2 * sum(w**2)``, shape ()."""
    w = as_tensor(w)
    value = kernels.penalty_forward(w.data, l1, l2)
    return record("penalty", (w,), Tensor(value.reshape(())), lambda dy, needs: (_penalty_backward(dy, w, l1, l2),))


def _penalty_backward(dpenalty: Tensor, w: Tensor, l1: float, l2: float) -> Tensor:
    dw = Tensor(kernels.penalty_backward(dpenalty.data.reshape(1), w.data, l1, l2))

    def vjp(ddw, needs):
        one = Tensor(np.ones((), w.dtype))
        return (
            sum(ddw * _penalty_backward(one, w, l1, l2)) if needs[0] else None,
            _penalty_backward(dpenalty, ddw, 0.0, l2) if needs[1] else None,
        )

    return record("penalty_backward", (dpenalty, w), dw, vjp)
