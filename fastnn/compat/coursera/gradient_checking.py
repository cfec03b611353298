"""Gradient checking of the network of three layers. Also the notebook's ``gc_utils``."""

from __future__ import annotations

import numpy as np

from ..given import as_float
from .columns import cross_entropy, layer_count, names
from .three_layers import forward_propagation, gradients, relu, sigmoid

__all__ = [
    "backward_propagation_n",
    "dictionary_to_vector",
    "forward_propagation_n",
    "gradient_check_n",
    "gradients_to_vector",
    "np",
    "relu",
    "sigmoid",
    "vector_to_dictionary",
]

#: shapes of W1, b1, W2, b2, W3, b3 in the notebook
SHAPES = ((5, 4), (5, 1), (3, 5), (3, 1), (1, 3), (1, 1))
THRESHOLD = 2e-7


def dictionary_to_vector(parameters):
    """Return the parameters W1, b1, ... as one column, and for each of its elements the name of its parameter."""
    keys = list(names(layer_count(parameters)))
    theta = np.concatenate([np.reshape(parameters[key], (-1, 1)) for key in keys])
    return theta, [key for key in keys for _ in range(np.size(parameters[key]))]


def vector_to_dictionary(theta):
    """Return W1, b1, W2, b2, W3, b3, in the shapes of the notebook's network, from a column of 47 elements."""
    theta, size = np.asarray(theta), sum(rows * columns for rows, columns in SHAPES)
    if theta.size != size:
        raise ValueError(f"theta must have {size} elements, for parameters of the shapes {SHAPES}; got shape {theta.shape}")
    return _split(theta, dict(zip(names(3), SHAPES, strict=True)))


def gradients_to_vector(gradients):
    """Return dW1, db1, dW2, db2, dW3, db3 as one column."""
    return np.concatenate([np.reshape(gradients[f"d{key}"], (-1, 1)) for key in names(3)])


def forward_propagation_n(X, Y, parameters):
    """Return the mean cross-entropy, and the cache of `forward_propagation`."""
    A3, cache = forward_propagation(X, parameters)
    total, m = cross_entropy(A3, Y)
    return total / m, cache


def backward_propagation_n(X, Y, cache):
    """Return the gradients dZ3, dW3, db3, dA2, ... without the two mistakes that the notebook has planted in its own."""
    return gradients(X, Y, cache)


def gradient_check_n(parameters, gradients, X, Y, epsilon=1e-7, print_msg=True):
    """Compare gradients with central differences of the cost.

    Parameters
    ----------
    parameters : dict
        W1, b1, W2, b2, W3, b3.
    gradients : dict
        dW1, db1, ..., from a `backward_propagation_n`.
    X, Y : array_like
        Samples and labels.
    epsilon : float, default 1e-7
        The step of the differences.
    print_msg : bool, default True
        Whether to print the verdict.

    Returns
    -------
    float
        ``|grad - approx| / (|grad| + |approx|)``; above 2e-7 there is a mistake.
    """
    theta, _ = dictionary_to_vector({key: as_float(key, parameters[key]) for key in names(3)})
    grad = gradients_to_vector(gradients)
    if grad.shape != theta.shape:
        raise ValueError(f"gradients must have a number for each of the {theta.size} parameters; got {grad.size}")
    shapes = {key: np.shape(parameters[key]) for key in names(3)}
    approx = np.empty(theta.shape, dtype=theta.dtype)
    for i in range(len(theta)):
        costs = []
        for step in epsilon, -epsilon:
            moved = theta.copy()
            moved[i] += step
            costs.append(forward_propagation_n(X, Y, _split(moved, shapes))[0])
        approx[i] = (costs[0] - costs[1]) / (2 * epsilon)
    difference = np.linalg.norm(grad - approx) / (np.linalg.norm(grad) + np.linalg.norm(approx))
    if print_msg and difference > THRESHOLD:
        print(f"\033[93mThere is a mistake in the backward propagation! difference = {difference}\033[0m")
    elif print_msg:
        print(f"\033[92mYour backward propagation works perfectly fine! difference = {difference}\033[0m")
    return difference


def _split(theta, shapes):
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(theta.reshape(-1), ends[:-1])
    return {key: part.reshape(shape) for (key, shape), part in zip(shapes.items(), parts, strict=True)}
