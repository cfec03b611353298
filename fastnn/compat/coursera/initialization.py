"""Initialization: zeros, large random numbers, He. Also the notebook's ``init_utils``."""

from __future__ import annotations

import numpy as np

from .columns import cross_entropy, initial
from .data import load_circles as load_dataset
from .plots import plot_decision_boundary
from .three_layers import forward_propagation, gradients, predict, predict_dec, relu, sigmoid, update_parameters

__all__ = [
    "backward_propagation",
    "compute_loss",
    "forward_propagation",
    "initialize_parameters_he",
    "initialize_parameters_random",
    "initialize_parameters_zeros",
    "load_dataset",
    "np",
    "plot_decision_boundary",
    "predict",
    "predict_dec",
    "relu",
    "sigmoid",
    "update_parameters",
]


def initialize_parameters_zeros(layers_dims):
    """Return W1, b1, ..., all zeros."""
    shapes = [(n, n_prev) for n_prev, n in zip(layers_dims[:-1], layers_dims[1:], strict=True)]
    return {
        key: np.zeros(shape, dtype=np.float64)
        for layer, (n, n_prev) in enumerate(shapes, start=1)
        for key, shape in ((f"W{layer}", (n, n_prev)), (f"b{layer}", (n, 1)))
    }


def initialize_parameters_random(layers_dims):
    """Return W1, b1, ...: ``10 * np.random.randn``, seeded with 3, and zeros."""
    np.random.seed(3)
    return initial(layers_dims, lambda n_prev: 10)


def initialize_parameters_he(layers_dims):
    """Return W1, b1, ...: ``np.random.randn * sqrt(2 / n_prev)``, seeded with 3, and zeros."""
    np.random.seed(3)
    return initial(layers_dims, lambda n_prev: np.sqrt(2 / n_prev))


def backward_propagation(X, Y, cache):
    """Return the gradients dz3, dW3, db3, da2, dz2, ..., all of the mean."""
    return gradients(X, Y, cache, lower=True)


def compute_loss(a3, Y):
    """Return the mean cross-entropy; NaN counts as 0."""
    total, m = cross_entropy(a3, Y, add=np.nansum)
    return total / m
