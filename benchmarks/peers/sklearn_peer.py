"""scikit-learn's MLPClassifier: one `partial_fit` per batch; dense layers of one activation only."""

from __future__ import annotations

import numpy as np
from sklearn.neural_network import MLPClassifier

NAMES = {"scikit-learn": {}}


class Peer:
    """The network of a case."""

    def __init__(self, case, threads: int) -> None:
        if any(layer[0] != "dense" for layer in case.layers) or case.name == "xor":
            raise NotImplementedError("scikit-learn trains dense layers with softmax cross-entropy only")
        activations = {"sigmoid": "logistic"}
        self.x, self.y = case.data()
        self.classes = np.arange(case.classes)
        self.model = MLPClassifier(
            [layer[1] for layer in case.layers[:-1]],
            activation=activations.get(case.layers[0][2], case.layers[0][2]),
            solver="sgd",
            momentum=0.0,
            nesterovs_momentum=False,
            alpha=0.0,
            batch_size=case.batch,
            learning_rate_init=case.learning_rate,
            shuffle=False,
        )
        self.batch = case.batch
        self.place = 0
        self.model.partial_fit(self.x[: self.batch], self.y[: self.batch], classes=self.classes)
        for i, (w, b) in enumerate(case.weights()):
            self.model.coefs_[i][...] = w
            self.model.intercepts_[i][...] = b

    def train(self, steps: int) -> None:
        """Make `steps` steps."""
        for _ in range(steps):
            part = slice(self.place, self.place + self.batch)
            self.model.partial_fit(self.x[part], self.y[part])
            self.place = (self.place + self.batch) % len(self.x)

    def loss(self) -> float:
        """Return the loss of the first batch, with the weights as they are."""
        p = self.model.predict_proba(self.x[: self.batch])
        return float(-np.mean(np.log(p[np.arange(len(p)), self.y[: self.batch]])))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch (probabilities: there are no logits to be had)."""
        return self.model.predict_proba(x)
