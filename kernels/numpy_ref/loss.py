"""Losses of each sample and their gradients."""

import numpy as np

from ..custom.record import Record
from .activation import sigmoid, softplus
from .precision import in_float64

#: probabilities are kept this far from 0 and 1 before their logarithm is taken (Keras's value)
EPSILON = 1e-7


def _mean_gradient(dloss, derivative):
    """Return the gradient of the mean over outputs, from the derivative of each output's loss."""
    return dloss[:, None] * derivative / derivative.shape[1]


@in_float64
def mse_forward(pred, target, loss):
    loss[...] = ((pred - target) ** 2).mean(axis=1)


@in_float64
def mse_backward(dloss, pred, target, dpred):
    dpred[...] = _mean_gradient(dloss, 2 * (pred - target))


@in_float64
def mae_forward(pred, target, loss):
    loss[...] = np.abs(pred - target).mean(axis=1)


@in_float64
def mae_backward(dloss, pred, target, dpred):
    dpred[...] = _mean_gradient(dloss, np.sign(pred - target))


@in_float64
def huber_forward(pred, target, delta, loss):
    distance = np.abs(pred - target)
    quadratic = np.minimum(distance, delta)
    loss[...] = (quadratic * (distance - 0.5 * quadratic)).mean(axis=1)  # both branches of the definition in one


@in_float64
def huber_backward(dloss, pred, target, delta, dpred):
    dpred[...] = _mean_gradient(dloss, np.clip(pred - target, -delta, delta))


@in_float64
def hinge_forward(pred, target, loss):
    loss[...] = np.maximum(0, 1 - target * pred).mean(axis=1)


@in_float64
def hinge_backward(dloss, pred, target, dpred):
    dpred[...] = _mean_gradient(dloss, np.where(target * pred < 1, -target, 0))


@in_float64
def perceptron_forward(pred, target, loss):
    loss[...] = np.maximum(0, -target * pred).mean(axis=1)


@in_float64
def perceptron_backward(dloss, pred, target, dpred):
    dpred[...] = _mean_gradient(dloss, np.where(target * pred <= 0, -target, 0))


@in_float64
def sigmoid_xent_forward(pred, target, loss):
    loss[...] = (softplus(pred) - pred * target).mean(axis=1)


@in_float64
def sigmoid_xent_backward(dloss, pred, target, dpred):
    dpred[...] = _mean_gradient(dloss, sigmoid(pred) - target)


@in_float64
def half_poisson_forward(pred, target, loss):
    log_target = np.log(np.where(target > 0, target, 1))
    loss[...] = (np.exp(pred) - target + target * (log_target - pred)).mean(axis=1)


@in_float64
def half_poisson_backward(dloss, pred, target, dpred):
    dpred[...] = _mean_gradient(dloss, np.exp(pred) - target)


@in_float64
def binary_xent_forward(pred, target, loss):
    q = np.clip(pred, EPSILON, 1 - EPSILON)
    loss[...] = (-target * np.log(q) - (1 - target) * np.log(1 - q)).mean(axis=1)


@in_float64
def binary_xent_backward(dloss, pred, target, dpred):
    dpred[...] = _mean_gradient(dloss, np.where(_clipped(pred), 0, (pred - target) / (pred * (1 - pred))))


@in_float64
def custom_loss_forward(pred, target, function, loss, slope):
    each = np.empty(pred.shape, np.float64)
    Record.at(function).loss(pred, target, each, slope)
    loss[...] = each.mean(axis=1)


@in_float64
def custom_loss_backward(dloss, slope, dpred):
    dpred[...] = _mean_gradient(dloss, slope)


@in_float64
def softmax_xent_forward(logits, label, loss, probs):
    log_probs = _log_softmax(logits)
    loss[...] = -log_probs[np.arange(len(label)), label]
    probs[...] = np.exp(log_probs)


@in_float64
def softmax_xent_backward(dloss, probs, label, dlogits):
    dlogits[...] = dloss[:, None] * (probs - (label[:, None] == np.arange(probs.shape[1])))


@in_float64
def softmax_xent_onehot_forward(logits, target, loss, probs):
    log_probs = _log_softmax(logits)
    loss[...] = -(target * log_probs).sum(axis=1)
    probs[...] = np.exp(log_probs)


@in_float64
def softmax_xent_onehot_backward(dloss, probs, target, dlogits):
    dlogits[...] = dloss[:, None] * (probs * target.sum(axis=1, keepdims=True) - target)


@in_float64
def xent_forward(probs, target, loss):
    loss[...] = -(target * np.log(np.clip(probs, EPSILON, 1 - EPSILON))).sum(axis=1)


@in_float64
def xent_backward(dloss, probs, target, dprobs):
    dprobs[...] = dloss[:, None] * np.where(_clipped(probs), 0, -target / probs)


@in_float64
def weighted_mean_forward(loss, weight, mean):
    mean[...] = (loss if weight is None else loss * weight).sum() / len(loss)


@in_float64
def weighted_mean_backward(dmean, weight, dloss):
    dloss[...] = dmean * (1 if weight is None else weight) / len(dloss)


@in_float64
def penalty_forward(w, l1, l2, penalty):
    penalty[...] = l1 * np.abs(w).sum() + l2 * (w**2).sum()


@in_float64
def penalty_backward(dpenalty, w, gradient, l1, l2, dw):
    dw[...] = dpenalty[0] * (l1 * np.sign(w) + 2 * l2 * w) + (0 if gradient is None else gradient)


def _clipped(probability):
    return (probability < EPSILON) | (probability > 1 - EPSILON)


def _log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
