"""Regularization: L2 and dropout. Also the notebook's ``reg_utils``."""

from __future__ import annotations

import numpy as np

from ... import kernels
from ...kernels.functions.checks import number
from ..given import as_float
from .columns import check_parameters, initial, linear
from .data import load_2D_dataset
from .initialization import compute_loss as compute_cost
from .plots import plot_decision_boundary
from .three_layers import forward_propagation, gradients, predict, predict_dec, relu, sigmoid, update_parameters

__all__ = [
    "backward_propagation",
    "backward_propagation_with_dropout",
    "backward_propagation_with_regularization",
    "compute_cost",
    "compute_cost_with_regularization",
    "forward_propagation",
    "forward_propagation_with_dropout",
    "initialize_parameters",
    "load_2D_dataset",
    "np",
    "plot_decision_boundary",
    "predict",
    "predict_dec",
    "relu",
    "sigmoid",
    "update_parameters",
]


def initialize_parameters(layer_dims):
    """Return W1, b1, ...: ``np.random.randn / sqrt(n_prev)``, seeded with 3, and zeros."""
    np.random.seed(3)
    return initial(layer_dims, lambda n_prev: 1 / np.sqrt(n_prev))


def backward_propagation(X, Y, cache):
    """Return the gradients dZ3, dW3, db3, dA2, dZ2, ...; dZ and dA are those of the sum, dW and db of the mean."""
    return gradients(X, Y, cache)


def compute_cost_with_regularization(A3, Y, parameters, lambd):
    """Return the mean cross-entropy plus ``lambd / (2 m)`` times the sum of the squares of W1, W2 and W3."""
    squares = sum(kernels.penalty_forward(as_float(key, parameters[key]), l2=1.0)[0] for key in ("W1", "W2", "W3"))
    return compute_cost(A3, Y) + lambd / (2 * np.shape(A3)[1]) * squares


def backward_propagation_with_regularization(X, Y, cache, lambd):
    """Return the gradients of `compute_cost_with_regularization`: ``lambd / m * W`` is added to each dW."""
    return gradients(X, Y, cache, decay=number("lambd", lambd, low=0))


def forward_propagation_with_dropout(X, parameters, keep_prob=0.5):
    """Return A3 and ``(Z1, D1, A1, W1, b1, Z2, D2, A2, W2, b2, Z3, A3, W3, b3)``.

    ``D = np.random.rand(*A.shape) < keep_prob``, seeded with 1, says which activations are kept, and divided by `keep_prob`.
    """
    _check(keep_prob)
    check_parameters(parameters, layers=3)
    np.random.seed(1)
    A, cache = X, []
    for layer in 1, 2:
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        Z = linear(A, W, b, layer)
        D = np.random.rand(*Z.shape) < keep_prob
        A = _kept(kernels.relu_forward(Z), D, keep_prob)
        cache += [Z, D, A, W, b]
    Z3 = linear(A, parameters["W3"], parameters["b3"], layer=3)
    A3 = kernels.sigmoid_forward(Z3)
    return A3, (*cache, Z3, A3, parameters["W3"], parameters["b3"])


def backward_propagation_with_dropout(X, Y, cache, keep_prob):
    """Return the gradients through `forward_propagation_with_dropout`: the dA have their D and `keep_prob` applied."""
    _check(keep_prob)
    D = {1: cache[1], 2: cache[6]}
    without_masks = (*cache[:1], *cache[2:6], *cache[7:])
    return gradients(X, Y, without_masks, keep=lambda layer, dA: _kept(dA, D[layer], keep_prob))


def _kept(A, D, keep_prob):
    return A * D / keep_prob


def _check(keep_prob):
    if not 0 < number("keep_prob", keep_prob) <= 1:
        raise ValueError(f"keep_prob must be in (0, 1], the share of activations that is kept; got {keep_prob}")
