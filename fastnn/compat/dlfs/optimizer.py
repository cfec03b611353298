"""The book's ``common.optimizer``: SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam.

``update(params, grads)`` changes the arrays in `params` themselves, which the layers hold as well. Both are dictionaries, as in
volume 1, or lists, as in volume 2. A plain number, or list, among them is replaced.
"""

import numpy as np

from ... import kernels as _kernels
from .. import steps as _steps
from ..as_numpy import alike as _alike
from ..as_numpy import as_array as _as_array
from ..as_numpy import in_place as _in_place


class _Optimizer:
    """What the rules share: a loop over the parameters, and averages of the shapes of the parameters that start at zero."""

    _averages: tuple[str, ...] = ()

    def update(self, params, grads):
        """Make one step.

        Parameters
        ----------
        params : dict or list of ndarray
            Updated in place.
        grads : dict or list of array_like
            A gradient for each, of its shape.
        """
        keys = list(params.keys()) if hasattr(params, "keys") else range(len(params))
        for name in self._averages:
            if getattr(self, name) is None:
                zeros = {key: np.zeros_like(params[key], dtype=np.result_type(params[key], 0.0)) for key in keys}
                setattr(self, name, zeros if hasattr(params, "keys") else list(zeros.values()))
        names = grads.keys() if hasattr(grads, "keys") else range(len(grads))
        for key in keys:
            if key not in names:
                raise KeyError(f"grads must have a gradient for each of params; {key!r} is not among {list(names)}")
            averages = [getattr(self, name)[key] for name in self._averages]
            if _alike(params[key], grads[key], *averages):
                self._step(grads[key], params[key], *averages)
                continue
            w = params[key] if isinstance(params[key], np.ndarray) else np.array(params[key], dtype=float)
            g = _of_shape(w.shape, key, grads)
            named = {f"{name}[{key!r}]": average for name, average in zip(self._averages, averages, strict=True)}
            with _in_place(**{f"params[{key!r}]": w}, **named) as arrays:
                self._step(g, *arrays)
            if w is not params[key]:
                params[key] = w[()]


def _of_shape(shape, key, grads):
    """Return a gradient as an array of `shape`, as NumPy would see it when it is subtracted from one."""
    gradient = _as_array(f"grads[{key!r}]", grads[key])
    if gradient.shape == shape:
        return gradient
    try:
        return np.broadcast_to(gradient, shape)
    except ValueError:
        raise ValueError(f"grads[{key!r}] must have the shape of params[{key!r}], {shape}; got {gradient.shape}") from None


class SGD(_Optimizer):
    """``w -= lr * g``."""

    def __init__(self, lr=0.01):
        self.lr = lr

    def _step(self, g, w):
        _kernels.sgd_step(w, g, self.lr)


class Momentum(_Optimizer):
    """``v = momentum * v - lr * g; w += v``."""

    _averages = ("v",)

    def __init__(self, lr=0.01, momentum=0.9):
        self.lr = lr
        self.momentum = momentum
        self.v = None

    def _step(self, g, w, v):
        _kernels.momentum_step(w, g, v, self.lr, self.momentum)


class Nesterov(_Optimizer):
    """``v = momentum * v - lr * g; w += momentum**2 * v - (1 + momentum) * lr * g``.

    This is the book's own formula. Nesterov's method would put the velocity from before the step into the second one.
    """

    _averages = ("v",)

    def __init__(self, lr=0.01, momentum=0.9):
        self.lr = lr
        self.momentum = momentum
        self.v = None

    def _step(self, g, w, v):
        v[...] = _kernels.rescale(v, self.momentum)
        _kernels.accumulate(g, v, -self.lr)
        _kernels.accumulate(v, w, self.momentum**2)
        _kernels.accumulate(g, w, -(1 + self.momentum) * self.lr)


class AdaGrad(_Optimizer):
    """``h += g**2; w -= lr * g / (sqrt(h) + 1e-7)``."""

    _averages = ("h",)

    def __init__(self, lr=0.01):
        self.lr = lr
        self.h = None

    def _step(self, g, w, h):
        _steps.adagrad(w, g, h, self.lr, 1e-7)


class RMSprop(_Optimizer):
    """``h = decay_rate * h + (1 - decay_rate) * g**2; w -= lr * g / (sqrt(h) + 1e-7)``."""

    _averages = ("h",)

    def __init__(self, lr=0.01, decay_rate=0.99):
        self.lr = lr
        self.decay_rate = decay_rate
        self.h = None

    def _step(self, g, w, h):
        _steps.rmsprop(w, g, h, self.lr, self.decay_rate, 1e-7)


class Adam(_Optimizer):
    """Adam with 1e-7 added outside of the bias correction: ``w -= lr_t * m / (sqrt(v) + 1e-7)``,
    ``lr_t = lr * sqrt(1 - beta2**iter) / (1 - beta1**iter)``.
    """

    _averages = ("m", "v")

    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999):
        self.lr = lr
        self.beta1 = beta1
        self.beta2 = beta2
        self.iter = 0
        self.m = None
        self.v = None

    def update(self, params, grads):
        """Make one step, as `SGD.update` does, and count it in `iter`."""
        self.iter += 1
        super().update(params, grads)

    def _step(self, g, w, m, v):
        _kernels.adam_step(w, g, m, v, self.lr, self.iter, self.beta1, self.beta2, 1e-7)
