"""Accuracies: the share of predictions that are right."""

from __future__ import annotations

import numpy as np


class Accuracy:
    """What all accuracies have; a subclass has ``init(y)`` and ``compare(predictions, y)``, True where a prediction is right."""

    accumulated_sum = 0
    accumulated_count = 0

    def calculate(self, predictions, y):
        """Return the accuracy; it is also added to what `calculate_accumulated` will return."""
        comparisons = self.compare(predictions, y)
        self.accumulated_sum += np.sum(comparisons)
        self.accumulated_count += len(comparisons)
        return np.mean(comparisons)

    def calculate_accumulated(self):
        """Return the accuracy over all batches since `new_pass`."""
        if not self.accumulated_count:
            raise ValueError("there is no accuracy yet: call calculate first")
        return self.accumulated_sum / self.accumulated_count

    def new_pass(self):
        """Forget the accumulated accuracies."""
        self.accumulated_sum = 0
        self.accumulated_count = 0


class Accuracy_Categorical(Accuracy):
    """Predictions are classes; with `binary` they are zeros and ones of any shape."""

    def __init__(self, *, binary=False):
        self.binary = binary

    def init(self, y):
        """Nothing to prepare."""

    def compare(self, predictions, y):
        y, predictions = np.asarray(y), np.asarray(predictions)
        if not self.binary and y.ndim == 2:
            y = y.argmax(axis=1)
        if y.shape != predictions.shape:
            hint = "" if self.binary else " (for outputs of a sigmoid: Accuracy_Categorical(binary=True))"
            raise ValueError(f"y must have the shape of the predictions, {predictions.shape}; got {y.shape}{hint}")
        return predictions == y


class Accuracy_Regression(Accuracy):
    """A prediction is right if it is closer than `precision`, a 250th of the standard deviation of the targets."""

    def __init__(self):
        self.precision = None

    def init(self, y, reinit=False):
        """Set `precision` from the targets, the first time or with `reinit`."""
        if self.precision is None or reinit:
            self.precision = np.std(y) / 250

    def compare(self, predictions, y):
        y, predictions = np.asarray(y), np.asarray(predictions)
        if y.shape != predictions.shape:
            raise ValueError(f"y must have the shape of the predictions, {predictions.shape}; got {y.shape}")
        return np.absolute(predictions - y) < self.precision
