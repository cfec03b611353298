"""Deep neural network, "Application": the notebook's ``dnn_app_utils``."""

from __future__ import annotations

import numpy as np

from .columns import initial
from .data import load_data
from .dnn import (
    L_model_backward,
    L_model_forward,
    compute_cost,
    initialize_parameters,
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    update_parameters,
)
from .plots import print_mislabeled_images

__all__ = [
    "L_model_backward",
    "L_model_forward",
    "compute_cost",
    "initialize_parameters",
    "initialize_parameters_deep",
    "linear_activation_backward",
    "linear_activation_forward",
    "linear_backward",
    "linear_forward",
    "load_data",
    "np",
    "predict",
    "print_mislabeled_images",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "update_parameters",
]


def initialize_parameters_deep(layer_dims):
    """Return W1, b1, ..., WL, bL: ``np.random.randn / sqrt(n_prev)``, seeded with 1, and zeros."""
    np.random.seed(1)
    return initial(layer_dims, lambda n_prev: 1 / np.sqrt(n_prev))


def predict(X, y, parameters):
    """Return 1 where the network's output exceeds 0.5, else 0, of shape (1, m), and print the accuracy."""
    probabilities, _ = L_model_forward(X, parameters)
    p = (probabilities > 0.5).astype(np.float64)
    print(f"Accuracy: {np.sum((p == y) / p.shape[1])}")  # not a mean: the course prints 0.9999999999999998 where all are right
    return p
