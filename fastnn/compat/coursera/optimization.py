"""Optimization methods: mini-batches, momentum, Adam. Also the notebook's ``opt_utils``."""

from __future__ import annotations

import numpy as np

from ... import kernels
from ...kernels.functions.checks import integer
from .. import steps
from .columns import copied, cross_entropy, initial, layer_count, names, parameters_and_gradients, updated
from .data import load_moons as load_dataset
from .initialization import backward_propagation
from .plots import plot_decision_boundary
from .three_layers import forward_propagation, predict, predict_dec, relu, sigmoid

__all__ = [
    "backward_propagation",
    "compute_cost",
    "forward_propagation",
    "initialize_adam",
    "initialize_parameters",
    "initialize_velocity",
    "load_dataset",
    "load_params_and_grads",
    "np",
    "plot_decision_boundary",
    "predict",
    "predict_dec",
    "random_mini_batches",
    "relu",
    "sigmoid",
    "update_parameters_with_adam",
    "update_parameters_with_gd",
    "update_parameters_with_momentum",
]


def load_params_and_grads(seed=1):
    """Return W1, b1, W2, b2, dW1, db1, dW2, db2 of a small network, drawn by ``np.random.randn``."""
    np.random.seed(seed)
    return tuple(np.random.randn(*shape) for _ in range(2) for shape in ((2, 3), (2, 1), (3, 3), (3, 1)))


def initialize_parameters(layer_dims):
    """Return W1, b1, ...: ``np.random.randn * sqrt(2 / n_prev)``, seeded with 3, and zeros."""
    np.random.seed(3)
    return initial(layer_dims, lambda n_prev: np.sqrt(2 / n_prev))


def compute_cost(a3, Y):
    """Return the mean cross-entropy."""
    total, m = cross_entropy(a3, Y)
    return total / m


def random_mini_batches(X, Y, mini_batch_size=64, seed=0):
    """Return the samples as a list of (mini_batch_X, mini_batch_Y), in the order of ``np.random.permutation``.

    Parameters
    ----------
    X : array_like, shape (n_x, m)
    Y : array_like, shape (1, m)
    mini_batch_size : int, default 64
        The last batch may be smaller.
    seed : int, default 0
        Of ``np.random``.
    """
    X, Y = np.asarray(X), np.asarray(Y)
    if X.ndim != 2 or Y.ndim != 2 or X.shape[1] != Y.shape[1]:
        raise ValueError(f"X and Y must have shapes (n_x, m) and (n_y, m), a column for each sample; got {X.shape} and {Y.shape}")
    size = integer("mini_batch_size", mini_batch_size, low=1)
    np.random.seed(seed)
    order = np.random.permutation(X.shape[1])
    X, Y = X[:, order], Y[:, order]
    return [(X[:, start : start + size], Y[:, start : start + size]) for start in range(0, X.shape[1], size)]


def update_parameters_with_gd(parameters, grads, learning_rate):
    """Put ``W - learning_rate * dW`` and ``b - learning_rate * db``, new arrays, into `parameters`; return it."""
    return updated(parameters, grads, learning_rate)


def initialize_velocity(parameters):
    """Return zeros dW1, db1, ... of the shapes of the parameters."""
    return {f"d{key}": np.zeros_like(parameters[key]) for key in names(layer_count(parameters))}


def update_parameters_with_momentum(parameters, grads, v, beta, learning_rate):
    """Put ``v = beta * v + (1 - beta) * dW`` into `v` and ``W - learning_rate * v`` into `parameters`, new arrays; return both."""
    for key, w, g in list(parameters_and_gradients(parameters, grads)):
        velocity = _average("v", v, key, w)
        kernels.moving_average(g, velocity, beta)
        kernels.sgd_step(w, velocity, learning_rate)
        parameters[key], v[f"d{key}"] = w, velocity
    return parameters, v


def initialize_adam(parameters):
    """Return v and s, zeros dW1, db1, ... of the shapes of the parameters."""
    return initialize_velocity(parameters), initialize_velocity(parameters)


def update_parameters_with_adam(
    parameters, grads, v, s, t, learning_rate=0.01, beta1=0.9, beta2=0.999, epsilon=1e-8, *, return_corrected=False
):
    """Take a step of Adam: new arrays in `parameters`, `v` and `s`.

    Parameters
    ----------
    parameters, grads, v, s : dict
        W1, b1, ...; dW1, db1, ...; the averages of the gradients and of their squares, under the names of the gradients.
    t : int
        Number of this step, counted from 1.
    learning_rate, beta1, beta2, epsilon : float
    return_corrected : bool, default False
        Whether to return the bias-corrected averages as well, as the notebook does since 2021.

    Returns
    -------
    parameters, v, s : dict
        Those that were given.
    v_corrected, s_corrected : dict
        If asked for: ``v / (1 - beta1**t)`` and ``s / (1 - beta2**t)``.
    """
    t = integer("t", t, low=1)
    for key, w, g in list(parameters_and_gradients(parameters, grads)):
        mean, square = _average("v", v, key, w), _average("s", s, key, w)
        steps.adam(w, g, mean, square, learning_rate, t, beta1, beta2, epsilon)
        parameters[key], v[f"d{key}"], s[f"d{key}"] = w, mean, square
    if not return_corrected:
        return parameters, v, s
    corrected = (
        {key: kernels.rescale(array, 1 / (1 - beta**t)) for key, array in d.items()} for d, beta in ((v, beta1), (s, beta2))
    )
    return parameters, v, s, *corrected


def _average(name, averages, key, w):
    if f"d{key}" not in averages:
        raise ValueError(f"{name} must have d{key}, as initialize_velocity and initialize_adam make it; got {list(averages)}")
    average = copied(f"{name}['d{key}']", averages[f"d{key}"], w.dtype)
    if average.shape != w.shape:
        raise ValueError(f"{name}['d{key}'] must have the shape of parameters['{key}'], {w.shape}; got {average.shape}")
    return average
