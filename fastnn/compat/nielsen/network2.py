"""The book's ``network2.py``: choice of the cost, smaller starting weights, L2 regularization, monitoring, early stopping."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from ... import kernels
from ..given import as_float
from .batched import CHUNK, BatchedNetwork, mini_batches, sigmoid, sigmoid_prime, stepped
from .replayed import Error, ReplayedSteps

__all__ = ["CrossEntropyCost", "Network", "QuadraticCost", "load", "np", "sigmoid", "sigmoid_prime", "vectorized_result"]


class QuadraticCost:
    """Half the squared distance."""

    @staticmethod
    def fn(a, y):
        """Return ``0.5 * |a - y|**2``, summed over samples side by side."""
        a, y = as_float("a", a), as_float("y", y)
        return 0.5 * kernels.penalty_forward(a - y, l2=1.0)[0]

    @staticmethod
    def delta(z, a, y):
        """Return the error of the output layer, ``(a - y) * sigmoid'(z)``."""
        error = as_float("a", a) - as_float("y", y)
        return kernels.sigmoid_backward(error, kernels.sigmoid_forward(as_float("z", z)))


class CrossEntropyCost:
    """Cross-entropy of each output neuron."""

    @staticmethod
    def fn(a, y):
        """Return ``sum(-y * log(a) - (1 - y) * log(1 - a))``; 0 * log(0) counts as 0.

        By NumPy's logarithm: the kernels' cross-entropies clip probabilities, this one does not.
        """
        a, y = as_float("a", a), as_float("y", y)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)))

    @staticmethod
    def delta(z, a, y):
        """Return the error of the output layer, ``a - y``."""
        return as_float("a", a) - as_float("y", y)


#: cost -> the error of the last layer from a - y and a, by kernels
ERRORS: dict[Any, Error] = {QuadraticCost: kernels.sigmoid_backward, CrossEntropyCost: lambda difference, a: difference}


class Network(BatchedNetwork):
    """A network of sigmoid neurons.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, the input's first.
    cost : class with static methods ``fn(a, y)`` and ``delta(z, a, y)``, or an object of one, default CrossEntropyCost
        Own costs are called for one sample at a time, with columns.
    """

    def __init__(self, sizes, cost=CrossEntropyCost):
        super().__init__(sizes)
        if not (hasattr(cost, "fn") and hasattr(cost, "delta")):
            raise TypeError(
                f"cost must be CrossEntropyCost, QuadraticCost, or a class with fn(a, y) and delta(z, a, y); got {cost!r:.60}"
            )
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self):
        """Draw biases from a normal distribution, and weights from one divided by the root of their number at a neuron."""
        self.biases = [np.random.randn(y, 1) for y in self.sizes[1:]]
        self.weights = [np.random.randn(y, x) / np.sqrt(x) for x, y in zip(self.sizes[:-1], self.sizes[1:], strict=True)]

    def large_weight_initializer(self):
        """Draw biases and weights from a normal distribution, as `network` does."""
        self.biases = [np.random.randn(y, 1) for y in self.sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in zip(self.sizes[:-1], self.sizes[1:], strict=True)]

    def SGD(
        self,
        training_data,
        epochs,
        mini_batch_size,
        eta,
        lmbda=0.0,
        evaluation_data=None,
        monitor_evaluation_cost=False,
        monitor_evaluation_accuracy=False,
        monitor_training_cost=False,
        monitor_training_accuracy=False,
        early_stopping_n=0,
    ):
        """Train by stochastic gradient descent, and print what is monitored after each epoch.

        Parameters
        ----------
        training_data : iterable of (x, y)
            x of shape (n_in, 1), y of shape (n_out, 1). Shuffled by ``random.shuffle`` before each epoch.
        epochs, mini_batch_size : int
        eta, lmbda : float
            Learning rate; factor of the regularization.
        evaluation_data : iterable of (x, int), optional
        monitor_evaluation_cost, monitor_evaluation_accuracy, monitor_training_cost, monitor_training_accuracy : bool
        early_stopping_n : int, default 0
            Stop when the monitored accuracy (on the evaluation data, if both are) has not grown for so many epochs; 0: never.

        Returns
        -------
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy : lists
            One entry for each epoch; empty where not monitored.
        """
        training_data = list(training_data)
        evaluation_data = list(evaluation_data) if evaluation_data else None
        if evaluation_data is None and (monitor_evaluation_cost or monitor_evaluation_accuracy):
            raise ValueError("evaluation_data must be given to monitor cost or accuracy on it")
        if early_stopping_n > 0 and not (monitor_evaluation_accuracy or monitor_training_accuracy):
            raise ValueError("early_stopping_n needs monitor_evaluation_accuracy=True or monitor_training_accuracy=True")
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = [], [], [], []
        best_accuracy, epochs_without_gain = 0, 0
        replayed = None
        if self._error and not self._has_own("update_mini_batch", "backprop"):
            replayed = ReplayedSteps(self, self._error, eta, decay=lmbda / max(len(training_data), 1))
        for epoch in range(epochs):
            random.shuffle(training_data)
            batches = mini_batches(training_data, mini_batch_size)
            if replayed:
                replayed.run(batches)
            else:
                for mini_batch in batches:
                    self.update_mini_batch(mini_batch, eta, lmbda, len(training_data))
            print(f"Epoch {epoch} training complete")
            if monitor_training_cost:
                training_cost.append(self.total_cost(training_data, lmbda))
                print(f"Cost on training data: {training_cost[-1]}")
            if monitor_training_accuracy:
                accuracy = self.accuracy(training_data, convert=True)
                training_accuracy.append(accuracy)
                print(f"Accuracy on training data: {accuracy} / {len(training_data)}")
            if monitor_evaluation_cost:
                evaluation_cost.append(self.total_cost(evaluation_data, lmbda, convert=True))
                print(f"Cost on evaluation data: {evaluation_cost[-1]}")
            if monitor_evaluation_accuracy:
                accuracy = self.accuracy(evaluation_data)
                evaluation_accuracy.append(accuracy)
                print(f"Accuracy on evaluation data: {accuracy} / {len(evaluation_data)}")
            if early_stopping_n > 0:
                epochs_without_gain = 0 if accuracy > best_accuracy else epochs_without_gain + 1
                best_accuracy = max(accuracy, best_accuracy)
                if epochs_without_gain == early_stopping_n:
                    break
        return evaluation_cost, evaluation_accuracy, training_cost, training_accuracy

    def update_mini_batch(self, mini_batch, eta, lmbda, n):
        """Take one step down the mean gradient of a list of pairs (x, y); `n` is the size of the whole training set."""
        nabla_b, nabla_w = self.backprop(*self._batch(mini_batch))
        rate = eta / len(mini_batch)
        self.weights = stepped(self.weights, nabla_w, rate, keep=1 - eta * (lmbda / n))
        self.biases = stepped(self.biases, nabla_b, rate)

    def backprop(self, x, y):
        """Return the gradients ``(nabla_b, nabla_w)`` of the cost of a sample, or their sum over samples side by side."""

        def error(z):
            arguments = z, sigmoid(z), self._target(y, z.shape[1])
            if self._error:
                return self.cost.delta(*arguments)
            return np.concatenate([self.cost.delta(*sample) for sample in _columns(*arguments)], axis=1)

        return self._gradients(x, error)

    def accuracy(self, data, convert=False):
        """Return for how many pairs the largest output is the right one.

        y is a digit; with `convert`, for training data, a column.
        """
        return self._right_answers([(x, np.argmax(y)) for x, y in data] if convert else data)

    def total_cost(self, data, lmbda, convert=False):
        """Return the mean cost of pairs plus the regularization, ``0.5 * lmbda / n * sum(w**2)``.

        y is a column; with `convert`, for evaluation data, a digit.
        """
        if convert:
            data = [(x, vectorized_result(y)) for x, y in data]
        cost = 0.0
        for start in range(0, len(data), CHUNK):
            x, y = self._batch(data[start : start + CHUNK])
            a = self.feedforward(x)
            if self._error:
                cost += self.cost.fn(a, y)
            else:
                cost += sum(self.cost.fn(*sample) for sample in _columns(a, y))
        squares = sum(kernels.penalty_forward(as_float("weights", w), l2=1.0)[0] for w in self.weights)
        return cost / len(data) + 0.5 * (lmbda / len(data)) * squares

    def save(self, filename):
        """Write the network into a JSON file."""
        data = {
            "sizes": [int(size) for size in self.sizes],
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "cost": self._cost_class.__name__,
        }
        with open(filename, "w") as file:
            json.dump(data, file)

    @property
    def _error(self):
        """The error by kernels, of a cost of the book, which takes samples side by side; None for an own cost."""
        return ERRORS.get(self._cost_class)

    @property
    def _cost_class(self):
        return self.cost if isinstance(self.cost, type) else type(self.cost)


def load(filename):
    """Return the network from a file of `Network.save`."""
    with open(filename) as file:
        data = json.load(file)
    costs = {cost.__name__: cost for cost in ERRORS}
    if data["cost"] not in costs:
        raise ValueError(f"the cost of the network in {filename} must be one of {', '.join(costs)}; got {data['cost']!r}")
    network = Network(data["sizes"], cost=costs[data["cost"]])
    network.weights = [np.array(w) for w in data["weights"]]
    network.biases = [np.array(b) for b in data["biases"]]
    return network


def vectorized_result(j):
    """Return the column (10, 1) with a 1 in row `j`."""
    e = np.zeros((10, 1), dtype=np.float64)
    e[j] = 1.0
    return e


def _columns(*matrices):
    """Yield the columns of matrices with as many, each of shape (n, 1)."""
    for index in range(matrices[0].shape[1]):
        yield tuple(matrix[:, index : index + 1] for matrix in matrices)
