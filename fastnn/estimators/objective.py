"""What the estimators minimize: scikit-learn's objective, on a batch, on validation samples, and as a function for SciPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..autodiff import GradientTape, Tensor, Variable, record
from ..losses import Loss
from ..model import INFERENCE_BATCH, Sequential
from ..program import Replay


def _softmax_loss(z: Tensor, y: Tensor) -> Tensor:
    return ops.softmax_xent(z, y)


def _logistic_loss(z: Tensor, y: Tensor) -> Tensor:
    return ops.rescale(ops.sigmoid_xent(z, y), z.shape[1])  # the sum over labels, not their mean


def _squared_loss(z: Tensor, y: Tensor) -> Tensor:
    return _gradient_of_sum(ops.rescale(ops.mse(z, y), 0.5), z.shape[1])


def _absolute_loss(z: Tensor, y: Tensor) -> Tensor:
    return _gradient_of_sum(ops.mae(z, y), z.shape[1])


def _huber_loss(z: Tensor, y: Tensor) -> Tensor:
    return _gradient_of_sum(ops.huber(z, y, 1.0), z.shape[1])


def _perceptron_loss(z: Tensor, y: Tensor) -> Tensor:
    return ops.rescale(ops.perceptron(z, y), z.shape[1])


def _poisson_loss(z: Tensor, y: Tensor) -> Tensor:
    return ops.rescale(ops.half_poisson(z, y), z.shape[1])


def _gradient_of_sum(loss: Tensor, outputs: int) -> Tensor:
    """Return a loss whose gradient is that of the sum over outputs, while its value is their mean, as scikit-learn has it."""
    if outputs == 1:
        return loss
    return record("gradient_of_sum", (loss,), Tensor(loss.data), lambda dy, needs: (ops.rescale(dy, outputs),))


#: name -> loss of each sample, as a function of the last layer's sums and the targets
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": _softmax_loss,
    "logistic": _logistic_loss,
    "squared_error": _squared_loss,
    "absolute_error": _absolute_loss,
    "huber": _huber_loss,
    "poisson": _poisson_loss,
    "perceptron": _perceptron_loss,
}


class Objective(Loss):
    """``sum(weight * loss) / sum(weight) + (l1 * sum(|w|) + l2 * sum(w**2)) / sum(weight)``, w the kernels, weights 1 by default.

    Not `normalized`, it is ``sum(weight * loss) / n + l1 * sum(|w|) + l2 * sum(w**2)`` of n samples.

    Parameters
    ----------
    loss : str or Loss
        One of `LOSSES`, of the sums before the last activation, or a loss of the outputs.
    dtype : dtype
        The model's float type.
    l1, l2 : float
        Strength of the penalties.
    kernels : sequence of Variable
        What the penalties are on.
    normalized : bool
        Whether the weights of each batch count in proportion to each other alone.
    """

    def __init__(
        self,
        loss: str | Loss,
        dtype: Any,
        l1: float = 0.0,
        l2: float = 0.0,
        kernels: Sequence[Variable] = (),
        normalized: bool = True,
    ) -> None:
        super().__init__(loss if isinstance(loss, str) else loss.name)
        self.normalized = normalized
        self.loss, self.l1, self.l2, self.kernels = loss, float(l1), float(l2), list(kernels) if l1 or l2 else []
        #: size / sum(weight) and 1 / sum(weight) of the weighted batch at hand, where the kernels read them
        self.factors = np.ones((2, 1), dtype)

    def set_weight_sum(self, size: int, weight_sum: float) -> None:
        """Say what the weights of the next batch add up to.

        Raises
        ------
        ValueError
            If it is not positive.
        """
        if not weight_sum > 0:
            raise ValueError(f"the weights of each batch must have a positive sum; got {weight_sum} for a batch of {size} samples")
        self.factors[:, 0] = size / weight_sum, 1 / weight_sum

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if isinstance(self.loss, str):
            return LOSSES[self.loss](y_pred if y_pred.logits is None else y_pred.logits, y_true)
        loss = self.loss.call(y_true, y_pred)
        if loss.shape != y_pred.shape[:1]:
            raise ValueError(f"loss {self.name!r} must return a loss for each sample, shape {y_pred.shape[:1]}; got {loss.shape}")
        return loss

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        loss = self.call(Tensor(y_true), y_pred)
        total = ops.weighted_mean(loss, None if sample_weight is None else Tensor(sample_weight))
        weighted = sample_weight is not None and self.normalized
        if weighted:
            total = _scaled(total, self.factors[0])
        divisor = len(y_pred) if self.normalized and not weighted else 1
        for kernel in self.kernels:
            penalty = ops.penalty(kernel, self.l1 / divisor, self.l2 / divisor)
            total = ops.add(total, _scaled(penalty, self.factors[1]) if weighted else penalty)
        return total


def _scaled(scalar: Tensor, factor: np.ndarray) -> Tensor:
    return ops.weighted_mean(ops.reshape(scalar, (1,)), Tensor(factor))


def validate(
    model: Sequential, objective: Objective, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None
) -> tuple[float, np.ndarray]:
    """Return the mean loss of samples, without penalties, and the network's outputs for them."""
    losses, outputs = [], []
    for start in range(0, len(x), INFERENCE_BATCH):
        part = slice(start, start + INFERENCE_BATCH)
        pred = model(Tensor(x[part].astype(model.dtype, copy=False)))
        losses.append(objective.call(Tensor(y[part]), pred).data)
        outputs.append(pred.data)
    return float(np.average(np.concatenate(losses), weights=weight)), np.concatenate(outputs)


def value_and_gradient(
    model: Sequential, objective: Objective, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """Return the objective over all samples as a function from all weights in one row, as `scipy.optimize` wants it."""
    variables = model.trainable_weights
    splits = np.cumsum([variable.size for variable in variables])[:-1]
    if weight is not None:
        objective.set_weight_sum(len(x), float(weight.sum()))

    results: list[np.ndarray] = []

    def step() -> list[np.ndarray]:
        with GradientTape() as tape:
            loss = objective(y, model(Tensor(x), training=True), weight)
        results[:] = [array.data for array in (loss, *tape.gradient(loss, variables))]
        return results

    replay = Replay(step, f"training of {model.name!r}")

    def function(packed: np.ndarray) -> tuple[float, np.ndarray]:
        for variable, values in zip(variables, np.split(packed, splits), strict=True):
            variable.data[...] = values.reshape(variable.shape)
        replay.run()
        return float(results[0]), np.concatenate([gradient.ravel() for gradient in results[1:]]).astype(np.float64)

    return function
