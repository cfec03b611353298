"""Building a deep neural network, "Step by Step": layers of relu and a sigmoid at the end. Also the notebook's ``dnn_utils``."""

from __future__ import annotations

import numpy as np

from ... import kernels
from ...kernels.table import attempt
from ..as_numpy import unpacked
from ..given import as_float
from .columns import (
    cross_entropy,
    cross_entropy_gradient,
    elementwise,
    initial,
    layer_count,
    linear,
    linear_gradients,
    updated,
)

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
    "np",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "update_parameters",
]

ACTIVATIONS = ("sigmoid", "relu")


def sigmoid(Z):
    """Return ``1 / (1 + exp(-Z))``, and Z for `sigmoid_backward`."""
    return elementwise("sigmoid_forward", Z), Z


def relu(Z):
    """Return ``max(0, Z)``, and Z for `relu_backward`."""
    return elementwise("relu_forward", Z), Z


def sigmoid_backward(dA, cache):
    """Return the gradient by Z, which is `cache`, from that by the sigmoid."""
    A = attempt("sigmoid_forward", (cache,))
    dZ = A and attempt("sigmoid_backward", (dA, *A))
    if dZ is not None:
        return dZ[0]
    dA, Z = _same_shape(dA, cache)
    return kernels.sigmoid_backward(dA, kernels.sigmoid_forward(Z))


def relu_backward(dA, cache):
    """Return the gradient by Z, which is `cache`, from that by the relu; 0 where Z is 0."""
    dZ = attempt("relu_backward", (dA, cache))
    if dZ is not None:
        return dZ[0]
    dA, Z = _same_shape(dA, cache)
    return kernels.relu_backward(dA, Z)


def initialize_parameters(n_x, n_h, n_y):
    """Return W1, b1, W2, b2 of a network with one hidden layer: ``0.01 * np.random.randn``, seeded with 1, and zeros."""
    np.random.seed(1)
    return initial((n_x, n_h, n_y), lambda n_prev: 0.01)


def initialize_parameters_deep(layer_dims):
    """Return W1, b1, ..., WL, bL for ``layer_dims = [n_x, n_1, ..., n_L]``: ``0.01 * np.random.randn``, seeded with 3, and zeros.

    That of the notebook "Application" divides by the root of the layer's inputs instead: see `dnn_app`.
    """
    np.random.seed(3)
    return initial(layer_dims, lambda n_prev: 0.01)


def linear_forward(A, W, b):
    """Return ``Z = W A + b``, and ``(A, W, b)`` for `linear_backward`.

    Parameters
    ----------
    A : array_like, shape (n_prev, m)
        A column for each sample.
    W : array_like, shape (n_l, n_prev)
    b : array_like, shape (n_l, 1)

    Returns
    -------
    Z : ndarray, shape (n_l, m)
    cache : tuple
    """
    return linear(A, W, b), (A, W, b)


def linear_activation_forward(A_prev, W, b, activation):
    """Return the activation, "sigmoid" or "relu", of ``W A_prev + b``, and ``(linear_cache, activation_cache)``."""
    _check_activation(activation)
    Z, linear_cache = linear_forward(A_prev, W, b)
    A, activation_cache = sigmoid(Z) if activation == "sigmoid" else relu(Z)
    return A, (linear_cache, activation_cache)


def L_model_forward(X, parameters):
    """Return the output of L - 1 layers with relu and one with sigmoid, and a list of the layers' caches.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
    parameters : dict
        W1, b1, ..., WL, bL.

    Returns
    -------
    AL : ndarray, shape (n_L, m)
    caches : list
    """
    A, caches, L = X, [], layer_count(parameters)
    for layer in range(1, L + 1):
        activation = "sigmoid" if layer == L else "relu"
        A, cache = linear_activation_forward(A, parameters[f"W{layer}"], parameters[f"b{layer}"], activation)
        caches.append(cache)
    return A, caches


def compute_cost(AL, Y):
    """Return the cross-entropy ``-(Y log AL^T + (1 - Y) log(1 - AL)^T) / m`` as an array without axes.

    There is no guard against wrong answers of exactly 0 or 1, as in the course: the cost is then inf.
    """
    total, m = cross_entropy(AL, Y)
    return np.asarray(total / m)


def linear_backward(dZ, cache):
    """Return ``dA_prev = W^T dZ``, ``dW = dZ A_prev^T / m`` and db, the mean of dZ over samples, of shape (n_l, 1)."""
    A_prev, W, _ = unpacked(cache, "linear_forward", "A_prev, W, b")
    return linear_gradients(dZ, A_prev, W, 1 / max(np.shape(A_prev)[1], 1))


def linear_activation_backward(dA, cache, activation):
    """Return dA_prev, dW and db from the gradient by the output of `linear_activation_forward`."""
    _check_activation(activation)
    linear_cache, activation_cache = unpacked(cache, "linear_activation_forward", "linear_cache, activation_cache")
    backward = sigmoid_backward if activation == "sigmoid" else relu_backward
    return linear_backward(backward(dA, activation_cache), linear_cache)


def L_model_backward(AL, Y, caches):
    """Return the gradients dA0, dW1, db1, ..., dA(L-1), dWL, dbL of the cost, from the output of `L_model_forward`."""
    AL, Y = as_float("AL", AL), as_float("Y", Y)
    if Y.size != AL.size:
        raise ValueError(f"Y must have the shape of AL, {AL.shape}; got {Y.shape}")
    dA = cross_entropy_gradient(AL, Y.reshape(AL.shape))
    grads = {}
    for layer in range(len(caches), 0, -1):
        activation = "sigmoid" if layer == len(caches) else "relu"
        dA, dW, db = linear_activation_backward(dA, caches[layer - 1], activation)
        grads[f"dA{layer - 1}"], grads[f"dW{layer}"], grads[f"db{layer}"] = dA, dW, db
    return grads


def update_parameters(parameters, grads, learning_rate):
    """Put ``W - learning_rate * dW`` and ``b - learning_rate * db``, new arrays, into `parameters`; return it."""
    return updated(parameters, grads, learning_rate)


def _check_activation(activation):
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(map(repr, ACTIVATIONS))}; got {activation!r:.60}")


def _same_shape(dA, Z):
    dA, Z = as_float("dA", dA), as_float("Z", Z)
    if dA.shape != Z.shape:
        raise ValueError(f"dA must have the shape of Z, {Z.shape}, because dZ = dA * g'(Z) element by element; got {dA.shape}")
    return dA, Z
