"""Losses: `calculate` returns the mean over samples, `backward` sets `dinputs`, the gradient of that mean."""

from __future__ import annotations

import numpy as np

from ... import kernels
from ...kernels.functions.checks import check_below, integers
from ...kernels.table import attempt
from ..given import as_float
from .activations import Activation_Softmax
from .results import Results


class Loss(Results):
    """What all losses have; a subclass has ``forward(y_pred, y_true)``, each sample's loss, and ``backward(dvalues, y_true)``."""

    trainable_layers = ()
    accumulated_sum = 0
    accumulated_count = 0

    def remember_trainable_layers(self, trainable_layers):
        """Set the layers whose regularization counts."""
        self.trainable_layers = trainable_layers

    def calculate(self, output, y, *, include_regularization=False):
        """Return the mean loss; with `include_regularization` the mean loss and the regularization loss.

        The losses are also added to what `calculate_accumulated` will return.
        """
        sample_losses = as_float("sample losses", self.forward(output, y))
        data_loss = kernels.weighted_mean_forward(sample_losses)[0]
        self.accumulated_sum += data_loss * len(sample_losses)
        self.accumulated_count += len(sample_losses)
        return (data_loss, self.regularization_loss()) if include_regularization else data_loss

    def calculate_accumulated(self, *, include_regularization=False):
        """Return what `calculate` returns, over all batches since `new_pass`."""
        if not self.accumulated_count:
            raise ValueError("there is no loss yet: call calculate first")
        data_loss = self.accumulated_sum / self.accumulated_count
        return (data_loss, self.regularization_loss()) if include_regularization else data_loss

    def new_pass(self):
        """Forget the accumulated losses."""
        self.accumulated_sum = 0
        self.accumulated_count = 0

    def regularization_loss(self, layer=None):
        """Return ``l1 * sum(|w|) + l2 * sum(w**2)`` over weights and biases of the remembered layers, or of `layer` alone."""
        loss = 0
        for each in self.trainable_layers if layer is None else (layer,):
            for array, l1, l2 in (
                (each.weights, each.weight_regularizer_l1, each.weight_regularizer_l2),
                (each.biases, each.bias_regularizer_l1, each.bias_regularizer_l2),
            ):
                if l1 > 0 or l2 > 0:
                    loss += kernels.penalty_forward(as_float("parameters", array), l1, l2)[0]
        return loss


class Loss_CategoricalCrossentropy(Loss):
    """``-log`` of the probability of the right class, clipped to [1e-7, 1 - 1e-7]. Labels are classes, or a row for each sample."""

    def forward(self, y_pred, y_true):
        probs = _rows("y_pred", y_pred)
        target = _targets(probs, y_true)
        if target.ndim == 1:
            confidences = probs[np.arange(len(probs)), target]
        else:
            confidences = (probs * target).sum(axis=1)
        return kernels.xent_forward(confidences.reshape(-1, 1), np.ones((len(probs), 1), dtype=probs.dtype))

    def backward(self, dvalues, y_true):
        probs = _rows("dvalues", dvalues)
        target = _targets(probs, y_true)
        if target.ndim == 1:
            target = np.eye(probs.shape[1], dtype=probs.dtype)[target]
        # not `xent_backward`: the book does not clip here; where a target is 0 there is no gradient, not 0 / 0
        gradient = np.zeros(probs.shape, dtype=probs.dtype)
        np.divide(-target, probs * len(probs), out=gradient, where=target != 0)
        self.dinputs = gradient


class Activation_Softmax_Loss_CategoricalCrossentropy(Results):
    """Softmax and cross-entropy in one, whose gradient by the softmax's inputs is ``(probabilities - onehot) / samples``."""

    def __init__(self):
        self.activation = Activation_Softmax()
        self.loss = Loss_CategoricalCrossentropy()

    def forward(self, inputs, y_true):
        """Set `output`, the probabilities, and return the mean loss."""
        self.activation.forward(inputs)
        self.output = self.activation.output
        return self.loss.calculate(self.output, y_true)

    def backward(self, dvalues, y_true):
        """Set `dinputs`; `dvalues` are the probabilities."""
        probs = _rows("dvalues", dvalues)
        outputs = attempt("softmax_xent_backward", (_share(probs), probs, y_true))
        if outputs is not None:
            (self.dinputs,) = outputs
            return
        target = _targets(probs, y_true)
        label = target if target.ndim == 1 else target.argmax(axis=1)
        self.dinputs = kernels.softmax_xent_backward(_share(probs), probs, label)


class Loss_BinaryCrossentropy(Loss):
    """The mean over a sample's outputs of ``-t * log(p) - (1 - t) * log(1 - p)``, p clipped to [1e-7, 1 - 1e-7]."""

    def forward(self, y_pred, y_true):
        return kernels.binary_xent_forward(*_pair("y_pred", y_pred, y_true))

    def backward(self, dvalues, y_true):
        probs, target = _pair("dvalues", dvalues, y_true)
        # clipped before: the kernel's gradient is 0 where it clips, the book's is that of the clipped value
        self.dinputs = kernels.binary_xent_backward(_share(probs), np.clip(probs, 1e-7, 1 - 1e-7), target)


class Loss_MeanSquaredError(Loss):
    """The mean over a sample's outputs of ``(p - t)**2``."""

    def forward(self, y_pred, y_true):
        return kernels.mse_forward(*_pair("y_pred", y_pred, y_true))

    def backward(self, dvalues, y_true):
        pred, target = _pair("dvalues", dvalues, y_true)
        self.dinputs = kernels.mse_backward(_share(pred), pred, target)


class Loss_MeanAbsoluteError(Loss):
    """The mean over a sample's outputs of ``|p - t|``; its derivative is ``sign(p - t)``."""

    def forward(self, y_pred, y_true):
        return kernels.mae_forward(*_pair("y_pred", y_pred, y_true))

    def backward(self, dvalues, y_true):
        pred, target = _pair("dvalues", dvalues, y_true)
        self.dinputs = kernels.mae_backward(_share(pred), pred, target)


def _share(rows):
    """Return the weight of each sample in the mean."""
    return np.full(len(rows), 1 / max(len(rows), 1), dtype=rows.dtype)


def _rows(name, value):
    rows = as_float(name, value)
    if rows.ndim != 2:
        raise ValueError(f"{name} must have shape (samples, outputs); got {rows.shape}")
    return rows


def _pair(name, value, y_true):
    """Return predictions and targets of one shape and dtype."""
    pred = _rows(name, value)
    target = as_float("y_true", y_true, pred.dtype)
    if target.shape != pred.shape and (pred.shape[1] != 1 or target.shape != (len(pred),)):
        raise ValueError(
            f"y_true must have the shape of {name}, {pred.shape}, because the loss compares them element by element; "
            f"got {target.shape}"
        )
    return pred, target.reshape(pred.shape)


def _targets(probs, y_true):
    """Return classes as integers (samples,), or a row for each sample (samples, classes)."""
    shape = np.shape(y_true)
    if shape == probs.shape:
        return as_float("y_true", y_true, probs.dtype)
    samples, classes = probs.shape
    if shape != (samples,):
        hint = "; flatten the classes with y.reshape(-1)" if shape == (samples, 1) else ""
        raise ValueError(
            f"y_true must have shape ({samples},), the class of each sample, or ({samples}, {classes}), one-hot rows; "
            f"got {shape}{hint}"
        )
    if type(y_true) is np.ndarray and y_true.dtype.kind == "i" and samples and 0 <= y_true.min() and y_true.max() < classes:
        return y_true
    label = integers("y_true", y_true)
    check_below("y_true", label, classes, "classes")
    return label
