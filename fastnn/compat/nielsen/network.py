"""The book's ``network.py``: stochastic gradient descent on the quadratic cost."""

from __future__ import annotations

import random

import numpy as np

from ... import kernels
from .batched import BatchedNetwork, mini_batches, sigmoid, sigmoid_prime, stepped
from .replayed import ReplayedSteps

__all__ = ["Network", "np", "sigmoid", "sigmoid_prime"]


class Network(BatchedNetwork):
    """A network of sigmoid neurons, ``Network([784, 30, 10])``, with biases and weights from ``np.random.randn``."""

    def __init__(self, sizes):
        super().__init__(sizes)
        self.biases = [np.random.randn(y, 1) for y in sizes[1:]]
        self.weights = [np.random.randn(y, x) for x, y in zip(sizes[:-1], sizes[1:], strict=True)]

    def SGD(self, training_data, epochs, mini_batch_size, eta, test_data=None):
        """Train by stochastic gradient descent, and print each epoch.

        Parameters
        ----------
        training_data : iterable of (x, y)
            x of shape (n_in, 1), y of shape (n_out, 1). Shuffled by ``random.shuffle`` before each epoch.
        epochs, mini_batch_size : int
        eta : float
            Learning rate.
        test_data : iterable of (x, int), optional
            Evaluated after each epoch.
        """
        training_data = list(training_data)
        test_data = list(test_data) if test_data else None
        replayed = None
        if not self._has_own("update_mini_batch", "backprop", "cost_derivative"):
            replayed = ReplayedSteps(self, kernels.sigmoid_backward, eta)
        for epoch in range(epochs):
            random.shuffle(training_data)
            batches = mini_batches(training_data, mini_batch_size)
            if replayed:
                replayed.run(batches)
            else:
                for mini_batch in batches:
                    self.update_mini_batch(mini_batch, eta)
            if test_data:
                print(f"Epoch {epoch} : {self.evaluate(test_data)} / {len(test_data)}")
            else:
                print(f"Epoch {epoch} complete")

    def update_mini_batch(self, mini_batch, eta):
        """Take one step down the mean gradient of a list of pairs (x, y)."""
        nabla_b, nabla_w = self.backprop(*self._batch(mini_batch))
        rate = eta / len(mini_batch)
        self.weights = stepped(self.weights, nabla_w, rate)
        self.biases = stepped(self.biases, nabla_b, rate)

    def backprop(self, x, y):
        """Return the gradients ``(nabla_b, nabla_w)`` of the cost of a sample, or their sum over samples side by side."""

        def error(z):
            a = sigmoid(z)
            return self.cost_derivative(a, self._target(y, z.shape[1])) * sigmoid_prime(z)

        return self._gradients(x, error)

    def evaluate(self, test_data):
        """Return for how many pairs (x, digit) the largest output is that of the digit."""
        return self._right_answers(test_data)

    def cost_derivative(self, output_activations, y):
        """Return the derivative of the cost by the output."""
        return output_activations - y
