"""Losses of each sample, their gradients, the mean over samples, and penalties on weights.

Predictions of shape (m, c) are m samples with c outputs; (m,) counts as (m, 1), and of more axes all but the last are samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import spec
from ..custom.record import Record
from ..spec.loss import POINTWISE
from ..table import attempt, call
from .checks import check_below, inputs, integer, integers, number, own_function, real
from .compute import compute

FORWARD_DOC = """Return for each sample the mean over its outputs of {formula}.

Parameters
----------
pred : array_like, shape (..., c) or (m,)
    Predictions p.
target : array_like, same shape
    Targets t. One output for each sample may be (m,) or (m, 1) on either side.
{delta}
Returns
-------
ndarray, shape (m,)
    Losses of the m samples; float64 if one of the arrays is, else float32.

Raises
------
ValueError, TypeError
    If the shapes do not fit or an array is not of real numbers.

See Also
--------
{name}_backward, weighted_mean_forward
"""
BACKWARD_DOC = """Return the gradient by `pred` of ``sum(dloss * {name}_forward(pred, target))``.

A sample's loss is the mean over its outputs of {formula}.

Parameters
----------
dloss : array_like, shape (m,)
    The gradient by each sample's loss.
pred, target : array_like
    As in `{name}_forward`.
{delta}
Returns
-------
ndarray
    Of the shape of `pred`; float64 if one of the arrays is, else float32.

Raises
------
ValueError, TypeError
    If the shapes do not fit or an array is not of real numbers.

See Also
--------
{name}_forward
"""
DELTA_DOC = """delta : float, default 1.0
    Where the loss turns from quadratic to linear; at least 0.
"""


def _pair(name: str) -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """Return the public functions ``<name>_forward`` and ``<name>_backward`` of a pointwise loss of the spec."""
    forward_name, backward_name = f"{name}_forward", f"{name}_backward"

    def forward(pred: Any, target: Any) -> np.ndarray:
        return _loss_of(forward_name, pred, target)

    def forward_delta(pred: Any, target: Any, delta: float = 1.0) -> np.ndarray:
        return _loss_of(forward_name, pred, target, number("delta", delta, low=0))

    def backward(dloss: Any, pred: Any, target: Any) -> np.ndarray:
        return _gradient_of(backward_name, dloss, pred, target)

    def backward_delta(dloss: Any, pred: Any, target: Any, delta: float = 1.0) -> np.ndarray:
        return _gradient_of(backward_name, dloss, pred, target, number("delta", delta, low=0))

    takes_delta = bool(spec.OPS[forward_name].params)
    words = {"name": name, "formula": f"``{POINTWISE[name]}``", "delta": DELTA_DOC if takes_delta else ""}
    return (
        _named(forward_name, forward_delta if takes_delta else forward, FORWARD_DOC.format(**words)),
        _named(backward_name, backward_delta if takes_delta else backward, BACKWARD_DOC.format(**words)),
    )


def _loss_of(op_name: str, pred: Any, target: Any, *params: float) -> np.ndarray:
    outputs = attempt(op_name, (pred, target), params)
    if outputs is None:
        outputs = compute(op_name, (_samples("pred", real("pred", pred)), _samples("target", real("target", target))), params)
    return outputs[0]


def _gradient_of(op_name: str, dloss: Any, pred: Any, target: Any, *params: float) -> np.ndarray:
    outputs = attempt(op_name, (dloss, pred, target), params)
    if outputs is not None:
        return outputs[0]
    pred = real("pred", pred)
    (dpred,) = compute(op_name, (dloss, _samples("pred", pred), _samples("target", real("target", target))), params)
    return dpred.reshape(pred.shape)


def _samples(name: str, array: np.ndarray) -> np.ndarray:
    """Return (m,) as (m, 1) and (..., c) as (m, c): views."""
    if array.ndim == 2:
        return array
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, the samples; got a scalar")
    return array.reshape((array.size, 1) if array.ndim == 1 else (math.prod(array.shape[:-1]), array.shape[-1]))


def _named(name: str, function: Callable[..., np.ndarray], doc: str) -> Callable[..., np.ndarray]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


mse_forward, mse_backward = _pair("mse")
mae_forward, mae_backward = _pair("mae")
huber_forward, huber_backward = _pair("huber")
hinge_forward, hinge_backward = _pair("hinge")
perceptron_forward, perceptron_backward = _pair("perceptron")
sigmoid_xent_forward, sigmoid_xent_backward = _pair("sigmoid_xent")
half_poisson_forward, half_poisson_backward = _pair("half_poisson")
binary_xent_forward, binary_xent_backward = _pair("binary_xent")


def custom_loss_forward(pred: Any, target: Any, function: Record, slope: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the loss of each sample by a function of the user's, the mean over its outputs.

    Parameters
    ----------
    pred, target : array_like, shape (..., c) or (m,)
        Predictions and targets.
    function : Record
        What `fastnn.loss` made of a function: its attribute `record`.
    slope : bool, default False
        Whether to compute the derivative.

    Returns
    -------
    loss : ndarray, shape (m,)
        float64 if one of the arrays is, else float32.
    slope : ndarray of the shape of `pred`, or None
        The derivative of each output's loss by the prediction, for `custom_loss_backward`.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, an array is not of real numbers, or `function` is another record.
    """
    pred = real("pred", pred)
    values = _samples("pred", pred), _samples("target", real("target", target))
    loss, dloss_by_dpred = compute("custom_loss_forward", values, (own_function(function, "loss").address,), optional=slope)
    return loss, None if dloss_by_dpred is None else dloss_by_dpred.reshape(pred.shape)


def custom_loss_backward(dloss: Any, slope: Any) -> np.ndarray:
    """Return the gradient by the predictions of ``sum(dloss * loss)``, the loss of `custom_loss_forward`.

    Parameters
    ----------
    dloss : array_like, shape (m,)
        The gradient by each sample's loss.
    slope : array_like
        What `custom_loss_forward` returned.

    Returns
    -------
    ndarray
        Of the shape of `slope`; float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.
    """
    slope = real("slope", slope)
    (dpred,) = compute("custom_loss_backward", (dloss, _samples("slope", slope)))
    return dpred.reshape(slope.shape)


def softmax_xent_forward(logits: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the cross-entropy of each sample between ``softmax(logits)`` and its class, and the probabilities.

    Computed from the logits directly, so that nothing overflows and no logarithm of 0 is taken.

    Parameters
    ----------
    logits : array_like, shape (..., c)
        At least two axes; all but the last are samples.
    target : array_like of int, shape (...) or (..., 1); or array_like, shape (..., c)
        The class of each sample, in [0, c); or a probability for each class, usually one 1 and else 0.

    Returns
    -------
    loss : ndarray, shape (m,)
        ``logsumexp(logits) - logits[class]``, or ``sum(target * (logsumexp(logits) - logits))``.
    probs : ndarray, shape (..., c)
        ``softmax(logits)``, which `softmax_xent_backward` needs.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit, a class is outside [0, c), or classes are not given as integers.

    See Also
    --------
    softmax_xent_backward : The gradient.
    weighted_mean_forward : From the losses of samples to that of a batch.
    xent_forward : From probabilities, where there are no logits.

    Examples
    --------
    >>> from fastnn import kernels
    >>> loss, probs = kernels.softmax_xent_forward([[0.0, 0.0]], [1])
    >>> loss
    array([0.6931472], dtype=float32)
    """
    outputs = attempt("softmax_xent_forward", (logits, target))
    if outputs is not None:
        return outputs
    logits = real("logits", logits)
    op_name, target = _classes("softmax_xent", "logits", logits, target)
    loss, probs = compute(f"{op_name}_forward", (_samples("logits", logits), target))
    return loss, probs.reshape(logits.shape)


def softmax_xent_backward(dloss: Any, probs: Any, target: Any) -> np.ndarray:
    """Return the gradient by `logits` of ``sum(dloss * loss)``, loss as in `softmax_xent_forward`.

    Parameters
    ----------
    dloss : array_like, shape (m,)
        The gradient by each sample's loss.
    probs : array_like, shape (..., c)
        As `softmax_xent_forward` returned them.
    target : array_like
        As in `softmax_xent_forward`.

    Returns
    -------
    ndarray, shape (..., c)
        ``dloss * (probs - onehot(class))``.

    Raises
    ------
    ValueError, TypeError
        As `softmax_xent_forward`.
    """
    outputs = attempt("softmax_xent_backward", (dloss, probs, target))
    if outputs is not None:
        return outputs[0]
    probs = real("probs", probs)
    op_name, target = _classes("softmax_xent", "probs", probs, target)
    (dlogits,) = compute(f"{op_name}_backward", (dloss, _samples("probs", probs), target))
    return dlogits.reshape(probs.shape)


def _classes(op_name: str, name: str, scores: np.ndarray, target: Any) -> tuple[str, np.ndarray]:
    """Return the op for `target`, classes as integers or a number for each class, and `target` as that op takes it."""
    if scores.ndim < 2 or scores.shape[-1] == 0:
        raise ValueError(f"{name} must have shape (samples, classes), of at least one class; got {scores.shape}")
    shape = np.shape(target)
    if shape == scores.shape:
        return f"{op_name}_onehot", _samples("target", real("target", target))
    if shape not in (scores.shape[:-1], (*scores.shape[:-1], 1)):
        raise ValueError(
            f"target must have shape {scores.shape[:-1]}, integer classes, or {scores.shape}, a number for each class; got {shape}"
        )
    label = integers("target", target).reshape(-1)
    check_below("target", label, scores.shape[-1], "classes")
    return op_name, label


def xent_forward(pred: Any, target: Any) -> np.ndarray:
    """Return for each sample ``-sum(target * log(q))``, q = `pred` clipped to [1e-7, 1 - 1e-7].

    For probabilities that were made elsewhere. From logits, `softmax_xent_forward` is exact where this one has to clip.

    Parameters
    ----------
    pred : array_like, shape (..., c)
        Probabilities, taken as they are: not normalized again.
    target : array_like, same shape
        A probability for each class, usually one 1 and else 0.

    Returns
    -------
    ndarray, shape (m,)
        float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.
    """
    return _loss_of("xent_forward", pred, target)


def xent_backward(dloss: Any, pred: Any, target: Any) -> np.ndarray:
    """Return the gradient by `pred` of ``sum(dloss * xent_forward(pred, target))``; 0 where `pred` was clipped.

    Parameters
    ----------
    dloss : array_like, shape (m,)
        The gradient by each sample's loss.
    pred, target : array_like, shape (..., c)
        As in `xent_forward`.

    Returns
    -------
    ndarray, shape (..., c)

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.
    """
    return _gradient_of("xent_backward", dloss, pred, target)


def weighted_mean_forward(loss: Any, weight: Any = None) -> np.ndarray:
    """Return ``sum(loss * weight) / m``: the divisor is the number of samples, not the sum of their weights.

    Parameters
    ----------
    loss : array_like, shape (m,)
        Losses of samples.
    weight : array_like, shape (m,), optional
        Weights of samples; 1 if left out.

    Returns
    -------
    ndarray, shape (1,)
        NaN for m = 0.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.
    """
    (mean,) = compute("weighted_mean_forward", (loss, weight))
    return mean


def weighted_mean_backward(dmean: Any, m: int, weight: Any = None) -> np.ndarray:
    """Return the gradient by `loss` of ``dmean * weighted_mean_forward(loss, weight)``: ``dmean * weight / m``.

    Parameters
    ----------
    dmean : array_like of one element
        The gradient by the mean.
    m : int
        Number of samples.
    weight : array_like, shape (m,), optional
        As in `weighted_mean_forward`.

    Returns
    -------
    ndarray, shape (m,)
        float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If the shapes do not fit or an array is not of real numbers.
    """
    known = {"m": integer("m", m, low=0)}
    (dmean, weight), extent = inputs("weighted_mean_backward", _one("dmean", dmean), weight, known=known)
    dloss = np.empty(extent["m"], dmean.dtype, like=dmean)
    call("weighted_mean_backward", dmean, weight, dloss)
    return dloss


def penalty_forward(w: Any, l1: float = 0.0, l2: float = 0.0) -> np.ndarray:
    """Return ``l1 * sum(|w|) + l2 * sum(w**2)``.

    Parameters
    ----------
    w : array_like
        Weights, of any shape.
    l1, l2 : float, default 0.0
        At least 0.

    Returns
    -------
    ndarray, shape (1,)

    Raises
    ------
    ValueError, TypeError
        If `w` is not an array of real numbers or a factor is negative.
    """
    (penalty,) = compute("penalty_forward", (real("w", w),), (number("l1", l1, low=0), number("l2", l2, low=0)))
    return penalty


def penalty_backward(dpenalty: Any, w: Any, l1: float = 0.0, l2: float = 0.0, gradient: Any = None) -> np.ndarray:
    """Return the gradient by `w` of ``dpenalty * penalty_forward(w, l1, l2)``; that of ``|w|`` is 0 at 0.

    Parameters
    ----------
    dpenalty : array_like of one element
        The gradient by the penalty.
    w, l1, l2
        As in `penalty_forward`.
    gradient : array_like of the shape of `w`, optional
        What the penalty's gradient is added to.

    Returns
    -------
    ndarray
        Of the shape of `w`; float64 if one of the arrays is, else float32.

    Raises
    ------
    ValueError, TypeError
        If an array is not of real numbers, the shapes differ or a factor is negative.
    """
    params = number("l1", l1, low=0), number("l2", l2, low=0)
    (dw,) = compute("penalty_backward", (_one("dpenalty", dpenalty), w, gradient), params)
    return dw


def _one(name: str, value: Any) -> np.ndarray:
    array = real(name, value)
    if array.size != 1:
        raise ValueError(f"{name} must have one element; got shape {array.shape}")
    return array.reshape(1)
