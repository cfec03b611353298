"""Optimizers. A layer's weights and biases are updated in place; the state is kept on the layer, under the book's names."""

from __future__ import annotations

import numpy as np

from ...kernels import momentum_step, sgd_step
from ...kernels.functions.checks import F32, F64
from .. import steps
from ..given import as_float


class _Optimizer:
    """Learning rate and its decay: ``learning_rate / (1 + decay * iterations)``."""

    def __init__(self, learning_rate, decay):
        self.learning_rate = learning_rate
        self.current_learning_rate = learning_rate
        self.decay = decay
        self.iterations = 0

    def pre_update_params(self):
        """Call once before the layers are updated."""
        if self.decay:
            self.current_learning_rate = self.learning_rate * (1.0 / (1.0 + self.decay * self.iterations))

    def update_params(self, layer):
        """Update the weights and biases of a layer by its `dweights` and `dbiases`."""
        for kind in "weight", "bias":
            name = "weights" if kind == "weight" else "biases"
            w = _writable(layer, name)
            gradient = getattr(layer, f"d{name}", None)
            if gradient is None:
                raise ValueError(f"the layer has no d{name} yet: call its backward before update_params")
            g = as_float(f"d{name}", gradient, w.dtype)
            if g.shape != w.shape:
                raise ValueError(f"d{name} must have the shape of {name}, {w.shape}; got {g.shape}")
            self._step(w, g, layer, kind)

    def post_update_params(self):
        """Call once after the layers are updated."""
        self.iterations += 1


class Optimizer_SGD(_Optimizer):
    """``w -= lr * dw``; with momentum ``v = momentum * v - lr * dw; w += v``, v in `weight_momentums` and `bias_momentums`."""

    def __init__(self, learning_rate=1.0, decay=0.0, momentum=0.0):
        super().__init__(learning_rate, decay)
        self.momentum = momentum

    def _step(self, w, g, layer, kind):
        if self.momentum:
            momentum_step(w, g, _state(layer, f"{kind}_momentums", w), self.current_learning_rate, self.momentum)
        else:
            sgd_step(w, g, self.current_learning_rate)


class Optimizer_Adagrad(_Optimizer):
    """``a += dw**2; w -= lr * dw / (sqrt(a) + epsilon)``, a in `weight_cache` and `bias_cache`."""

    def __init__(self, learning_rate=1.0, decay=0.0, epsilon=1e-7):
        super().__init__(learning_rate, decay)
        self.epsilon = epsilon

    def _step(self, w, g, layer, kind):
        steps.adagrad(w, g, _state(layer, f"{kind}_cache", w), self.current_learning_rate, self.epsilon)


class Optimizer_RMSprop(_Optimizer):
    """``a = rho * a + (1 - rho) * dw**2; w -= lr * dw / (sqrt(a) + epsilon)``, a in `weight_cache` and `bias_cache`."""

    def __init__(self, learning_rate=0.001, decay=0.0, epsilon=1e-7, rho=0.9):
        super().__init__(learning_rate, decay)
        self.epsilon = epsilon
        self.rho = rho

    def _step(self, w, g, layer, kind):
        steps.rmsprop(w, g, _state(layer, f"{kind}_cache", w), self.current_learning_rate, self.rho, self.epsilon)


class Optimizer_Adam(_Optimizer):
    """Adam with bias correction; the averages are in `weight_momentums`, `weight_cache`, `bias_momentums` and `bias_cache`."""

    def __init__(self, learning_rate=0.001, decay=0.0, epsilon=1e-7, beta_1=0.9, beta_2=0.999):
        super().__init__(learning_rate, decay)
        self.epsilon = epsilon
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def _step(self, w, g, layer, kind):
        m, v = _state(layer, f"{kind}_momentums", w), _state(layer, f"{kind}_cache", w)
        steps.adam(w, g, m, v, self.current_learning_rate, self.iterations + 1, self.beta_1, self.beta_2, self.epsilon)


def _writable(layer, name):
    """Return a layer's array, made such that a kernel can update it in place."""
    array = getattr(layer, name)
    if not isinstance(array, np.ndarray) or array.dtype not in (F32, F64):
        kind = getattr(array, "dtype", type(array).__name__)
        raise TypeError(f"the layer's {name} must be an array of float32 or float64 to take fractions of a gradient; got {kind}")
    if not array.flags.carray:
        array = np.require(array, requirements=["C", "A", "W"])
        setattr(layer, name, array)
    return array


def _state(layer, name, like):
    if not hasattr(layer, name):
        setattr(layer, name, np.zeros(like.shape, dtype=like.dtype))
    return _writable(layer, name)
