"""What `network` and `network2` share: samples side by side, forward and backward through all of them at once.

The book's arrays are columns: x (n, 1), weights (outputs, inputs), biases (outputs, 1). Side by side, samples are the columns of a
matrix (n, m), and its transpose is what the kernels take. So are the transposes of weights, which is why these are kept in Fortran
order once they have been updated: then no transpose is ever copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ... import kernels
from ...kernels.functions.checks import integer
from ..given import as_float

#: samples that are evaluated at once, a bound on the memory that this needs
CHUNK = 1000


class BatchedNetwork:
    """Layers of sigmoid neurons.

    Attributes
    ----------
    sizes : sequence of int
        Neurons in each layer, the input's first.
    num_layers : int
    weights : list of ndarray, shape (outputs, inputs)
    biases : list of ndarray, shape (outputs, 1)
        Updates put new arrays into new lists; the old ones stay as they are.
    """

    weights: list[np.ndarray]
    biases: list[np.ndarray]

    def __init__(self, sizes: Sequence[int]) -> None:
        for size in sizes:
            integer("each of sizes", size, low=1)
        if len(sizes) < 2:
            raise ValueError(f"sizes must have inputs and at least one layer of neurons, for example [784, 30, 10]; got {sizes}")
        self.num_layers = len(sizes)
        self.sizes = sizes

    def feedforward(self, a: Any) -> np.ndarray:
        """Return the network's output (n_out, 1) for an input (n_in, 1), or (n_out, m) for m inputs side by side."""
        x = self._input("a", a)
        for w, b in self._layers():
            x = kernels.dense_forward(x, w, b, activation="sigmoid")
        return x.T

    def _layers(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield weights (inputs, outputs) and biases (outputs,)."""
        for w, b in zip(self.weights, self.biases, strict=True):
            yield as_float("weights", np.asarray(w).T), as_float("biases", b).reshape(-1)

    def _gradients(self, x: Any, error: Callable[[np.ndarray], Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return the gradients by biases and weights, summed over samples.

        `error` returns the error of the last layer (n_out, m) from that layer's weighted input z (n_out, m).
        """
        layers = list(self._layers())
        inputs = [self._input("x", x)]
        for w, b in layers[:-1]:
            inputs.append(kernels.dense_forward(inputs[-1], w, b, activation="sigmoid"))
        z = kernels.dense_forward(inputs[-1], *layers[-1])
        delta = as_float("the error", error(z.T).T)
        nabla_b: list[np.ndarray] = []
        nabla_w: list[np.ndarray] = []
        for index in reversed(range(len(layers))):
            dw, db = kernels.dense_backward_weight(inputs[index], delta)
            assert db is not None  # as it is where a bias is asked for
            nabla_b.insert(0, db.reshape(-1, 1))
            nabla_w.insert(0, dw.T)
            if index:
                delta = kernels.sigmoid_backward(kernels.dense_backward_input(delta, layers[index][0]), inputs[index])
        return nabla_b, nabla_w

    def _batch(self, pairs: Sequence[tuple[Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs (n_in, m) and targets (n_out, m) of a list of pairs (x, y)."""
        if not pairs:
            raise ValueError("a batch must have at least one pair (x, y)")
        return self._inputs(pairs), side_by_side("y", (y for _, y in pairs), self.biases[-1].shape[0])

    def _inputs(self, pairs: Iterable[tuple[Any, Any]]) -> np.ndarray:
        return side_by_side("x", (x for x, _ in pairs), self.weights[0].shape[1])

    def _input(self, name: str, a: Any) -> np.ndarray:
        """Return inputs (n_in, m) with samples in rows."""
        a = np.asarray(a)
        size = self.weights[0].shape[1]
        if a.ndim != 2 or a.shape[0] != size:
            raise column_error(name, a.shape, size)
        return as_float(name, a.T, self.weights[0].dtype)

    def _target(self, y: Any, samples: int) -> np.ndarray:
        """Return targets (n_out, m)."""
        y, size = np.asarray(y), self.biases[-1].shape[0]
        if y.size == size * samples == 1:
            return y.reshape(1, 1)
        if y.shape != (size, samples):
            raise column_error("y", y.shape, size)
        return y

    def _has_own(self, *methods: str) -> bool:
        """Return whether one of these methods is not that of the book, but of a subclass or of this object."""
        book = next(cls for cls in type(self).__mro__ if cls.__module__.startswith(__package__))
        return any(name in vars(self) or getattr(type(self), name) is not getattr(book, name) for name in methods)

    def _right_answers(self, data: Sequence[tuple[Any, Any]]) -> int:
        """Return for how many pairs (x, digit) the largest output is that of the digit."""
        right = 0
        for answer, (_, digit) in zip(self._answers(data), data, strict=True):
            if np.size(digit) != 1:
                raise ValueError(
                    f"y must be a digit in data that are evaluated; got shape {np.shape(digit)}: columns are for training, "
                    "and np.argmax(y) makes a digit of one"
                )
            right += int(answer == digit)
        return right

    def _answers(self, data: Sequence[tuple[Any, Any]]) -> Iterator[int]:
        """Yield for each pair (x, y) which output is the largest."""
        for start in range(0, len(data), CHUNK):
            yield from self.feedforward(self._inputs(data[start : start + CHUNK])).argmax(axis=0)


def side_by_side(name: str, columns: Iterable[Any], size: int) -> np.ndarray:
    """Return columns (size, 1) as a matrix (size, m), in Fortran order; numbers count as columns of size 1."""
    arrays = [np.asarray(column) for column in columns]
    check_columns(name, arrays, size)
    return np.concatenate(arrays, axis=None).reshape(len(arrays), size).T


def check_columns(name: str, columns: Iterable[Any], size: int) -> None:
    """Raise ValueError unless all are columns (size, 1), or for size 1 numbers."""
    for column in columns:
        shape = np.shape(column)
        if shape != (size, 1) and not (size == 1 and np.size(column) == 1):
            raise column_error(name, shape, size)


def column_error(name: str, shape: tuple[int, ...], size: int) -> ValueError:
    """Return an error for what is no column of `size` numbers."""
    if name == "y":
        hint = "a target has a number for each output neuron; vectorized_result(j) of mnist_loader makes it from a digit j"
    else:
        hint = f"the next layer computes w @ {name} + b for columns; make one with {name}.reshape({size}, 1)"
    return ValueError(f"{name} must have shape ({size}, 1); got {shape}: {hint}")


def stepped(parameters: list[np.ndarray], nablas: list[np.ndarray], rate: float, keep: float = 1.0) -> list[np.ndarray]:
    """Return ``keep * parameter - rate * nabla`` for each, new arrays."""
    result = []
    for parameter, nabla in zip(parameters, nablas, strict=True):
        new = as_float("parameters", parameter.T)
        new = new.copy() if keep == 1 else kernels.rescale(new, keep)
        kernels.sgd_step(new, nabla.T, rate)
        result.append(new.T)
    return result


def mini_batches(data: list, size: int) -> Iterator[list]:
    """Yield slices of `size` pairs; the last may be shorter."""
    size = integer("mini_batch_size", size, low=1)
    if not data:
        raise ValueError("training_data has no pairs (x, y); a zip gives its pairs only once, list(zip(x, y)) keeps them")
    return (data[start : start + size] for start in range(0, len(data), size))


def sigmoid(z: Any) -> np.ndarray:
    """Return ``1 / (1 + exp(-z))``."""
    return kernels.sigmoid_forward(as_float("z", z))[()]


def sigmoid_prime(z: Any) -> np.ndarray:
    """Return the derivative of `sigmoid`, ``sigmoid(z) * (1 - sigmoid(z))``."""
    s = kernels.sigmoid_forward(as_float("z", z))
    return kernels.sigmoid_backward(np.ones(s.shape, dtype=s.dtype), s)[()]
