"""Planar data classification with one hidden layer: tanh, then sigmoid. Also the notebook's ``planar_utils``."""

from __future__ import annotations

import numpy as np

from ... import kernels
from .columns import cross_entropy, elementwise, initial, labels, linear, linear_gradients, updated
from .data import load_extra_datasets, load_planar_dataset
from .plots import plot_decision_boundary

__all__ = [
    "backward_propagation",
    "compute_cost",
    "forward_propagation",
    "initialize_parameters",
    "layer_sizes",
    "load_extra_datasets",
    "load_planar_dataset",
    "np",
    "plot_decision_boundary",
    "predict",
    "sigmoid",
    "update_parameters",
]


def sigmoid(x):
    """Return ``1 / (1 + exp(-x))``."""
    return elementwise("sigmoid_forward", x)


def layer_sizes(X, Y):
    """Return the sizes of the input layer, of a hidden layer of 4, and of the output layer."""
    return np.shape(X)[0], 4, np.shape(Y)[0]


def initialize_parameters(n_x, n_h, n_y):
    """Return W1, b1, W2, b2: ``0.01 * np.random.randn``, seeded with 2, and zeros."""
    np.random.seed(2)
    return initial((n_x, n_h, n_y), lambda n_prev: 0.01)


def forward_propagation(X, parameters):
    """Return A2, the output (1, m), and a dict with Z1, A1, Z2, A2."""
    Z1 = linear(X, parameters["W1"], parameters["b1"], layer=1)
    A1 = kernels.tanh_forward(Z1)
    Z2 = linear(A1, parameters["W2"], parameters["b2"], layer=2)
    A2 = kernels.sigmoid_forward(Z2)
    return A2, {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def compute_cost(A2, Y, parameters=None):
    """Return the mean cross-entropy as a float; `parameters` make no difference."""
    total, m = cross_entropy(A2, Y)
    return float(total / m)


def backward_propagation(parameters, cache, X, Y):
    """Return the gradients dW1, db1, dW2, db2 of the cost."""
    A1, A2 = cache["A1"], cache["A2"]
    scale = 1 / max(A2.shape[1], 1)
    dA1, dW2, db2 = linear_gradients(A2 - labels(Y, A2), A1, parameters["W2"], scale)
    _, dW1, db1 = linear_gradients(kernels.tanh_backward(dA1, A1), X, parameters["W1"], scale)
    return {"dW1": dW1, "db1": db1, "dW2": dW2, "db2": db2}


def update_parameters(parameters, grads, learning_rate=1.2):
    """Return new parameters, ``W - learning_rate * dW`` and ``b - learning_rate * db``; `parameters` stay as they are."""
    return updated(dict(parameters), grads, learning_rate)


def predict(parameters, X):
    """Return where the output exceeds 0.5, of shape (1, m)."""
    A2, _ = forward_propagation(X, parameters)
    return A2 > 0.5
