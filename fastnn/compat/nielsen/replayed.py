"""Steps of gradient descent that are recorded once and replayed in native code, for networks whose methods are the book's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ... import kernels
from ...program import Replay
from ..given import as_float
from .batched import BatchedNetwork, check_columns

#: from a - y and a, outputs of the last layer with samples in rows, to that layer's error
Error = Callable[[np.ndarray, np.ndarray], np.ndarray]


class ReplayedSteps:
    """Updates of a network's weights and biases, in copies that the network gets back at the end of an epoch.

    Parameters
    ----------
    network : BatchedNetwork
    error : callable
        By kernels only: what NumPy computes would not be replayed.
    eta : float
        Learning rate.
    decay : float, default 0.0
        What each sample adds to the gradient of the weights, as a multiple of these.
    """

    def __init__(self, network: BatchedNetwork, error: Error, eta: float, decay: float = 0.0) -> None:
        self._network, self._error, self._eta, self._decay = network, error, eta, decay
        dtype = np.result_type(*(as_float("parameters", array).dtype for array in (*network.weights, *network.biases)))
        self._weights = [np.empty(np.shape(w)[::-1], dtype=dtype) for w in network.weights]  # (inputs, outputs)
        self._biases = [np.empty(np.size(b), dtype=dtype) for b in network.biases]
        self._batches: dict[int, tuple[np.ndarray, np.ndarray, Replay]] = {}

    def run(self, mini_batches: Iterable[Sequence[tuple[Any, Any]]]) -> None:
        """Take a step on each mini-batch, a list of pairs (x, y); at the end, also of an interrupted run, update the network."""
        for buffers, arrays in (self._weights, self._network.weights), (self._biases, self._network.biases):
            for buffer, array in zip(buffers, arrays, strict=True):
                buffer[...] = np.transpose(array)
        try:
            for mini_batch in mini_batches:
                self._update(mini_batch)
        finally:
            self._network.weights = [w.copy().T for w in self._weights]
            self._network.biases = [b.reshape(-1, 1).copy() for b in self._biases]

    def _update(self, mini_batch: Sequence[tuple[Any, Any]]) -> None:
        if len(mini_batch) not in self._batches:
            self._batches[len(mini_batch)] = self._recorded(len(mini_batch))
        x, y, step = self._batches[len(mini_batch)]
        for name, rows, columns in ("x", x, [pair[0] for pair in mini_batch]), ("y", y, [pair[1] for pair in mini_batch]):
            check_columns(name, columns, rows.shape[1])
            np.concatenate(columns, axis=None, out=rows.reshape(-1))
        step.run()

    def _recorded(self, samples: int) -> tuple[np.ndarray, np.ndarray, Replay]:
        """Return the inputs and targets that a step reads, samples in rows, and the step."""
        x, y = (np.empty((samples, size), dtype=self._weights[0].dtype) for size in (len(self._weights[0]), self._biases[-1].size))
        rate = np.array([self._eta / samples], dtype=np.float64)

        def step() -> list[np.ndarray]:
            inputs = [x]
            for w, b in zip(self._weights, self._biases, strict=True):
                inputs.append(kernels.dense_forward(inputs[-1], w, b, activation="sigmoid"))
            a = inputs.pop()
            difference = kernels.rescale(y, -1.0)
            kernels.accumulate(a, difference)
            delta = self._error(difference, a)
            for layer in reversed(range(len(inputs))):
                w, layer_delta = self._weights[layer], delta
                if layer:
                    delta = kernels.sigmoid_backward(kernels.dense_backward_input(delta, w), inputs[layer])
                dw, db = kernels.dense_backward_weight(inputs[layer], layer_delta)
                if self._decay:
                    kernels.accumulate(w, dw, self._decay * samples)
                kernels.sgd_step(w, dw, rate)
                kernels.sgd_step(self._biases[layer], db, rate)
            return self._weights + self._biases

        return x, y, Replay(step, "Network.SGD")
