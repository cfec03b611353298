"""Layers: `Layer_Input`, `Layer_Dense`, `Layer_Dropout`."""

from __future__ import annotations

import numpy as np

from ...kernels import accumulate, dense_backward_input, dense_backward_weight, dense_forward
from ...kernels.functions.checks import F32, F64, integer, number
from ..given import as_float
from .results import Results


class Layer_Input(Results):
    """Passes a model's input on."""

    def forward(self, inputs, training=True):
        self.output = inputs


class Layer_Dense(Results):
    """``output = inputs @ weights + biases``.

    Parameters
    ----------
    n_inputs, n_neurons : int
        Features of a sample, and outputs.
    weight_regularizer_l1, weight_regularizer_l2, bias_regularizer_l1, bias_regularizer_l2 : float, default 0
        Factors of the sums of magnitudes and of squares that are added to the loss.

    Attributes
    ----------
    weights : ndarray, shape (n_inputs, n_neurons)
        At the start ``0.01 * np.random.randn(n_inputs, n_neurons)``. The layer computes in their dtype.
    biases : ndarray, shape (1, n_neurons)
    inputs, output : ndarray
        Of the last `forward`.
    dweights, dbiases, dinputs : ndarray
        Of the last `backward`.
    """

    def __init__(
        self,
        n_inputs,
        n_neurons,
        weight_regularizer_l1=0,
        weight_regularizer_l2=0,
        bias_regularizer_l1=0,
        bias_regularizer_l2=0,
    ):
        shape = integer("n_inputs", n_inputs, low=1), integer("n_neurons", n_neurons, low=1)
        self.weights = 0.01 * np.random.randn(*shape)
        self.biases = np.zeros((1, shape[1]), dtype=self.weights.dtype)
        self.weight_regularizer_l1 = weight_regularizer_l1
        self.weight_regularizer_l2 = weight_regularizer_l2
        self.bias_regularizer_l1 = bias_regularizer_l1
        self.bias_regularizer_l2 = bias_regularizer_l2

    def forward(self, inputs, training=True):
        """Set `output`; `training` makes no difference."""
        x, weights, biases = self._matrices(inputs)
        self.inputs = inputs
        self.output = dense_forward(x, weights, biases)

    def backward(self, dvalues):
        """Set `dweights`, `dbiases` and `dinputs` from the gradient by `output`, regularization included."""
        x, weights, biases = self._matrices(self.inputs)
        dvalues = as_float("dvalues", dvalues, weights.dtype)
        if dvalues.shape != (len(x), weights.shape[1]):
            raise ValueError(f"dvalues must have the shape of output, {(len(x), weights.shape[1])}; got {dvalues.shape}")
        self.dweights, dbiases = dense_backward_weight(x, dvalues)
        self.dbiases = dbiases.reshape(1, -1)
        _regularize(self.dweights, weights, self.weight_regularizer_l1, self.weight_regularizer_l2)
        _regularize(self.dbiases, biases.reshape(1, -1), self.bias_regularizer_l1, self.bias_regularizer_l2)
        self.dinputs = dense_backward_input(dvalues, weights)

    def get_parameters(self):
        """Return ``weights, biases``, the arrays themselves."""
        return self.weights, self.biases

    def set_parameters(self, weights, biases):
        """Make `weights` and `biases` the layer's own."""
        self.weights = weights
        self.biases = biases

    def _matrices(self, inputs):
        """Return inputs (samples, n_inputs), weights and biases (n_neurons,) in the dtype of the weights."""
        dtype = F32 if getattr(self.weights, "dtype", None) == F32 else F64
        weights = as_float("weights", self.weights, dtype)
        if weights.ndim != 2:
            raise ValueError(f"weights must have shape (n_inputs, n_neurons); got {weights.shape}")
        biases = as_float("biases", self.biases, dtype)
        if biases.size != weights.shape[1]:
            raise ValueError(f"biases must have shape (1, n_neurons) = (1, {weights.shape[1]}); got {biases.shape}")
        x = as_float("inputs", inputs, dtype)
        if x.ndim == 1:
            x = x.reshape(1, -1)  # one sample
        if x.ndim != 2 or x.shape[1] != weights.shape[0]:
            hint = "; flatten with X.reshape(X.shape[0], -1)" if x.ndim > 2 else ""
            raise ValueError(
                f"inputs must have shape (samples, {weights.shape[0]}) for weights of shape {weights.shape}, "
                f"because output = inputs @ weights + biases; got {x.shape}{hint}"
            )
        return x, weights, biases.reshape(-1)


class Layer_Dropout(Results):
    """Sets a share `rate` of the inputs to zero and divides the others by ``1 - rate``.

    Attributes
    ----------
    rate : float
        The share that is kept: 1 minus the argument.
    binary_mask : ndarray
        0 or ``1 / rate``, drawn by ``np.random.binomial(1, rate, size=inputs.shape)`` in each `forward` of training.
    """

    def __init__(self, rate):
        self.rate = 1 - number("rate", rate, low=0, below=1)

    def forward(self, inputs, training=True):
        """Set `output`; without `training` it is a copy of `inputs`."""
        x = as_float("inputs", inputs)
        self.inputs = inputs
        if not training:
            self.output = x.copy()
            return
        self.binary_mask = (np.random.binomial(1, self.rate, size=x.shape) / self.rate).astype(x.dtype)
        self.output = x * self.binary_mask

    def backward(self, dvalues):
        """Set `dinputs`."""
        self.dinputs = as_float("dvalues", dvalues) * self.binary_mask


def _regularize(gradient, parameter, l1, l2):
    if l1 > 0:
        # not `penalty_backward`, whose derivative of |w| at 0 is 0: the book's is 1, and biases start at 0
        accumulate(np.where(parameter < 0, -1, 1), gradient, l1)
    if l2 > 0:
        accumulate(parameter, gradient, 2 * l2)
