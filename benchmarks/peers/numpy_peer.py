"""NumPy by hand: matrix products for dense layers, and for convolution the nested loops that students write."""

from __future__ import annotations

import numpy as np

NAMES = {"numpy": {}}


class Peer:
    """The network of a case: convolutions of one sample, dense layers of any batch."""

    def __init__(self, case, threads: int) -> None:
        if any(layer[0] not in ("conv", "flatten", "dense") for layer in case.layers):
            raise NotImplementedError("the loops by hand cover convolution, flatten and dense layers")
        self.case = case
        self.weights = [[w.copy() for w in start] for start in case.weights()]
        self.x, self.y = case.data()
        self.place = 0

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, list]:
        """Return the logits, and each layer's input and output."""
        kept = []
        for layer, w in zip(self.case.layers, self.weights, strict=True):
            before = x
            match layer[0]:
                case "conv":
                    x = _activate(_conv_loops(x, *w), layer[-1])
                case "flatten":
                    x = x.reshape(len(x), -1)
                case "dense":
                    x = _activate(x @ w[0] + w[1], layer[-1])
            kept.append((before, x))
        return x, kept

    def train(self, steps: int) -> None:
        """Make `steps` steps."""
        batch, rate = self.case.batch, self.case.learning_rate
        for _ in range(steps):
            x, y = self.x[self.place : self.place + batch], self.y[self.place : self.place + batch]
            logits, kept = self.forward(x)
            dy = _probabilities(logits)
            if self.case.classes == 1:
                dy[:, 0] -= y
            else:
                dy[np.arange(batch), y] -= 1
            dy /= batch
            for layer, w, (before, after) in reversed(list(zip(self.case.layers, self.weights, kept, strict=True))):
                if layer[0] == "flatten":
                    dy = dy.reshape(before.shape)
                    continue
                dy = dy * _derivative(after, layer[-1])
                if layer[0] == "conv":
                    dw, db, dy = _conv_loops_backward(before, w[0], dy)
                else:
                    dw, db, dy = before.T @ dy, dy.sum(0), dy @ w[0].T
                w[0] -= rate * dw
                w[1] -= rate * db
            self.place = (self.place + batch) % len(self.x)

    def loss(self) -> float:
        """Return the loss of the first batch, with the weights as they are."""
        y = self.y[: self.case.batch]
        p = _probabilities(self.forward(self.x[: self.case.batch])[0])
        if self.case.classes == 1:
            return float(-np.mean(np.log(np.where(y == 1, p[:, 0], 1 - p[:, 0]))))
        return float(-np.mean(np.log(p[np.arange(len(p)), y])))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch of the MLP, written as one would by hand."""
        (w0, b0), (w1, b1), (w2, b2) = self.weights
        return np.maximum(np.maximum(x @ w0 + b0, 0) @ w1 + b1, 0) @ w2 + b2


def _probabilities(logits: np.ndarray) -> np.ndarray:
    if logits.shape[1] == 1:
        return 1 / (1 + np.exp(-logits))
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _activate(z: np.ndarray, name: str) -> np.ndarray:
    match name:
        case "relu":
            return np.maximum(z, 0)
        case "tanh":
            return np.tanh(z)
        case "sigmoid":
            return 1 / (1 + np.exp(-z))
    return z


def _derivative(y: np.ndarray, name: str) -> np.ndarray | float:
    match name:
        case "relu":
            return y > 0
        case "tanh":
            return 1 - y * y
        case "sigmoid":
            return y * (1 - y)
    return 1.0


def _conv_loops(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Same padding, one output number at a time."""
    size, half = len(w), len(w) // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    y = np.zeros((*x.shape[:3], w.shape[3]), np.float32)
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                for f in range(w.shape[3]):
                    y[n, i, j, f] = np.sum(padded[n, i : i + size, j : j + size] * w[..., f]) + b[f]
    return y


def _conv_loops_backward(x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size, half = len(w), len(w) // 2
    padded = np.pad(x, ((0, 0), (half, half), (half, half), (0, 0)))
    dw, dx = np.zeros_like(w), np.zeros_like(padded)
    for n in range(x.shape[0]):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                for f in range(w.shape[3]):
                    dw[..., f] += dy[n, i, j, f] * padded[n, i : i + size, j : j + size]
                    dx[n, i : i + size, j : j + size] += dy[n, i, j, f] * w[..., f]
    return dw, dy.sum((0, 1, 2)), dx[:, half : half + x.shape[1], half : half + x.shape[2]]
