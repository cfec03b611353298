"""Activations: `forward` sets `output`, `backward` sets `dinputs`, `predictions` turns a model's output into answers."""

from __future__ import annotations

import numpy as np

from ... import kernels
from ..given import as_float
from .results import Results


class Activation_ReLU(Results):
    """``max(0, inputs)``; the gradient at 0 is 0."""

    def forward(self, inputs, training=True):
        self.inputs = inputs
        self.output = kernels.relu_forward(as_float("inputs", inputs))

    def backward(self, dvalues):
        self.dinputs = kernels.relu_backward(_gradient(dvalues, self.output), self.output)

    def predictions(self, outputs):
        return outputs


class Activation_Softmax(Results):
    """``exp(inputs) / sum(exp(inputs))`` of each sample."""

    def forward(self, inputs, training=True):
        x = as_float("inputs", inputs)
        if x.ndim != 2:
            raise ValueError(f"inputs must have shape (samples, classes), because each row is divided by its sum; got {x.shape}")
        self.inputs = inputs
        self.output = kernels.softmax_forward(x)

    def backward(self, dvalues):
        self.dinputs = kernels.softmax_backward(_gradient(dvalues, self.output), self.output)

    def predictions(self, outputs):
        return np.argmax(outputs, axis=1)


class Activation_Sigmoid(Results):
    """``1 / (1 + exp(-inputs))``."""

    def forward(self, inputs, training=True):
        self.inputs = inputs
        self.output = kernels.sigmoid_forward(as_float("inputs", inputs))

    def backward(self, dvalues):
        self.dinputs = kernels.sigmoid_backward(_gradient(dvalues, self.output), self.output)

    def predictions(self, outputs):
        return (np.asarray(outputs) > 0.5) * 1


class Activation_Linear(Results):
    """The inputs themselves."""

    def forward(self, inputs, training=True):
        self.inputs = inputs
        self.output = inputs

    def backward(self, dvalues):
        self.dinputs = as_float("dvalues", dvalues).copy()

    def predictions(self, outputs):
        return outputs


def _gradient(dvalues, output):
    dvalues = as_float("dvalues", dvalues)
    if dvalues.shape != output.shape:
        raise ValueError(f"dvalues must have the shape of output, {output.shape}; got {dvalues.shape}")
    return dvalues
