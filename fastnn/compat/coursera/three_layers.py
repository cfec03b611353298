"""The network of three layers (relu, relu, sigmoid) that course 2 trains, checks and regularizes."""

from __future__ import annotations

import numpy as np

from ... import kernels
from .columns import check_parameters, elementwise, labels, linear, linear_gradients, updated


def sigmoid(x):
    """Return ``1 / (1 + exp(-x))``."""
    return elementwise("sigmoid_forward", x)


def relu(x):
    """Return ``max(0, x)``."""
    return elementwise("relu_forward", x)


def forward_propagation(X, parameters):
    """Return a3, the output (1, m), and ``(z1, a1, W1, b1, z2, a2, W2, b2, z3, a3, W3, b3)``."""
    check_parameters(parameters, layers=3)
    a, cache = X, []
    for layer in 1, 2, 3:
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        z = linear(a, W, b, layer)
        a = kernels.sigmoid_forward(z) if layer == 3 else kernels.relu_forward(z)
        cache += [z, a, W, b]
    return a, tuple(cache)


def gradients(X, Y, cache, *, lower=False, decay=0.0, keep=None):
    """Return the gradients of the mean cross-entropy by everything in `cache`.

    Parameters
    ----------
    X, Y : array_like
        Samples (n_x, m) and labels (1, m).
    cache : tuple
        From `forward_propagation`.
    lower : bool
        The two spellings of the course: keys dz3, da2, ..., whose values are divided by m; or dZ3, dA2, ..., which are not.
    decay : float
        ``decay / m * W`` is added to each dW.
    keep : callable, optional
        ``keep(layer, dA)`` applies the mask of dropout to a gradient.
    """
    m = max(np.shape(X)[1], 1)
    inner, outer = (1 / m, 1.0) if lower else (1.0, 1 / m)
    activations, weights = [X, cache[1], cache[5], cache[9]], [None, cache[2], cache[6], cache[10]]
    z, a = ("z", "a") if lower else ("Z", "A")
    dZ = (activations[3] - labels(Y, activations[3])) * inner
    grads = {}
    for layer in 3, 2, 1:
        dA, dW, db = linear_gradients(dZ, activations[layer - 1], weights[layer], outer)
        if decay:
            kernels.accumulate(weights[layer], dW, decay / m)
        grads |= {f"d{z}{layer}": dZ, f"dW{layer}": dW, f"db{layer}": db}
        if layer > 1:
            if keep is not None:
                dA = keep(layer - 1, dA)
            grads[f"d{a}{layer - 1}"] = dA
            dZ = kernels.relu_backward(dA, activations[layer - 1])
    return grads


def update_parameters(parameters, grads, learning_rate):
    """Put ``W - learning_rate * dW`` and ``b - learning_rate * db``, new arrays, into `parameters`; return it."""
    return updated(parameters, grads, learning_rate)


def predict(X, y, parameters):
    """Return 1 where the output exceeds 0.5, else 0, of shape (1, m), and print the accuracy."""
    a3, _ = forward_propagation(X, parameters)
    p = (a3 > 0.5).astype(int)
    print(f"Accuracy: {np.mean(p[0] == np.reshape(y, -1))}")
    return p


def predict_dec(parameters, X):
    """Return where the output exceeds 0.5, for a decision boundary."""
    a3, _ = forward_propagation(X, parameters)
    return a3 > 0.5
