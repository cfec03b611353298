"""What the estimators train: a network of dense layers, scikit-learn's objective, and epochs over shuffled batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import kernels, ops
from ..autodiff import GradientTape, Tensor, Variable, record
from ..data import batch_count
from ..epochs import MAX_CHUNK, Pace
from ..kernels.table import python_step
from ..layers import Dense, Dropout
from ..losses import Loss
from ..model import Sequential
from ..optimizers import Optimizer
from ..program import Replay
from ..training import ArraySource, Batch, Meters, TrainStep

#: scikit-learn's name of an activation -> fastnn's
ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}

#: what turns the last layer's sums into predictions, by scikit-learn's name
LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda z: z,
    "exp": np.exp,
    "logistic": lambda z: ops.sigmoid(z).data,
    "softmax": lambda z: ops.softmax(z).data,
}


def forward(x: np.ndarray, coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray], activation: str, link: str) -> np.ndarray:
    """Return the outputs of a network for inputs of shape (n, features)."""
    for w, b in zip(coefs[:-1], intercepts[:-1], strict=True):
        x = kernels.dense_forward(x, w, b, ACTIVATIONS[activation])
    return LINKS[link](kernels.dense_forward(x, coefs[-1], intercepts[-1]))


def build(coefs: Sequence[np.ndarray], intercepts: Sequence[np.ndarray], activation: str, dropout: float, seeds: Any) -> Sequential:
    """Return a network with these weights, whose last layer is linear: the losses are functions of its sums.

    Parameters
    ----------
    coefs, intercepts : sequence of ndarray
        The weights, layer by layer.
    activation : str
        Of the hidden layers, by scikit-learn's name.
    dropout : float
        Share of each hidden layer's outputs that training drops.
    seeds : numpy.random.RandomState
        What the seeds of dropout are drawn from.
    """
    dtype = np.dtype(coefs[0].dtype.type)
    last = len(coefs) - 1
    layers: list[Any] = []
    for i, w in enumerate(coefs):
        act = None if i == last else ACTIVATIONS[activation]
        layers.append(Dense(w.shape[1], act, kernel_initializer="zeros", name=f"dense_{i}", dtype=dtype))
        if dropout and i < last:
            layers.append(Dropout(dropout, seed=int(seeds.randint(2**31)), name=f"dropout_{i}", dtype=dtype))
    model = Sequential(layers, name="mlp")
    model.build((None, coefs[0].shape[0]))
    model.set_weights([array for pair in zip(coefs, intercepts, strict=True) for array in pair])
    return model


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


def _poisson_loss(z: Tensor, y: Tensor) -> Tensor:
    """Return half the deviance ``y * log(y / mean) - y + mean`` for ``mean = exp(z)``."""
    python_step("poisson")
    mean, target = np.exp(z.data), y.data
    deviance = target * (np.log(np.where(target > 0, target, 1)) - z.data) - target + mean
    return record(
        "poisson", (z, y), Tensor(deviance.sum(axis=1)), lambda dy, needs: (Tensor((mean - target) * dy.data[:, np.newaxis]), None)
    )


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
}
#: losses whose steps cannot be replayed natively
IN_PYTHON = ("poisson",)


class Objective(Loss):
    """``sum(weight * loss) / sum(weight) + alpha / 2 * sum(w**2) / sum(weight)`` over a batch, w the kernels, weights 1 by default.

    Parameters
    ----------
    name : str
        One of `LOSSES`.
    alpha : float
        Strength of the penalty.
    kernels : sequence of Variable
        What the penalty is on.
    """

    def __init__(self, name: str, alpha: float, kernels: Sequence[Variable]) -> None:
        super().__init__(name)
        self.alpha, self.kernels = float(alpha), kernels
        #: size / sum(weight) and 1 / sum(weight) of the weighted batch at hand, where the kernels read them
        self.factors = np.ones((2, 1), kernels[0].dtype)

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

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        loss = LOSSES[self.name](y_pred, Tensor(y_true))
        weighted = sample_weight is not None
        total = ops.weighted_mean(loss, Tensor(sample_weight) if weighted else None)
        if weighted:
            total = _scaled(total, self.factors[0])
        if self.alpha:
            for kernel in self.kernels:
                penalty = ops.penalty(kernel, 0.0, self.alpha / 2 if weighted else self.alpha / 2 / len(y_pred))
                total = ops.add(total, _scaled(penalty, self.factors[1]) if weighted else penalty)
        return total


def _scaled(scalar: Tensor, factor: np.ndarray) -> Tensor:
    return ops.weighted_mean(ops.reshape(scalar, (1,)), Tensor(factor))


class Epochs:
    """Epochs over arrays, in scikit-learn's order of samples.

    Parameters
    ----------
    model : Sequential
        The network.
    objective : Objective
        What is minimized.
    optimizer : Optimizer
        What minimizes it.
    x, y, weight : ndarray
        Inputs, targets and weights (or None) as the kernels take them.
    batch_size : int
        Samples per step.
    """

    def __init__(
        self,
        model: Sequential,
        objective: Objective,
        optimizer: Optimizer,
        x: np.ndarray,
        y: np.ndarray,
        weight: np.ndarray | None,
        batch_size: int,
    ) -> None:
        model.compile(optimizer, objective)
        self._objective, self._optimizer, self._batch_size = objective, optimizer, batch_size
        self._meters = Meters([])
        self._source = ArraySource(x, y, weight, optimizer.lr, MAX_CHUNK)
        self._parts = [
            (steps, TrainStep(model, Batch(size, x, model.dtype, y, weight is not None), self._meters, self._source), Pace())
            for steps, size in ((len(x) // batch_size, batch_size), (1, len(x) % batch_size))
            if steps and size
        ]

    def run(self, random_state: Any = None) -> float:
        """Train for one epoch; return its mean loss.

        Parameters
        ----------
        random_state : numpy.random.RandomState, optional
            What shuffles the samples, from the order of the last epoch.
        """
        source = self._source
        if random_state is not None:
            source.order[:] = source.order[random_state.permutation(len(source.order))]
        source.start_epoch(None)
        source.set_rates(self._optimizer.next_learning_rates(1))
        self._meters.reset()
        sums = self._weight_sums()
        for steps, step, pace in self._parts:
            left = steps
            while left:
                if sums is not None:
                    self._objective.set_weight_sum(step.batch.size, next(sums))
                if self._objective.name in IN_PYTHON:
                    step._step()
                    left -= 1
                else:
                    left -= pace.run(step, left if sums is None else 1)
        return self._meters.logs()["loss"]

    def _weight_sums(self) -> Any:
        source = self._source
        if source.weight is None:
            return None
        starts = np.arange(batch_count(len(source.order), self._batch_size)) * self._batch_size
        return iter(np.add.reduceat(source.weight[source.order], starts, dtype=np.float64))


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

    run = step if objective.name in IN_PYTHON else Replay(step, "lbfgs").run

    def function(packed: np.ndarray) -> tuple[float, np.ndarray]:
        for variable, values in zip(variables, np.split(packed, splits), strict=True):
            variable.data[...] = values.reshape(variable.shape)
        run()
        return float(results[0]), np.concatenate([gradient.ravel() for gradient in results[1:]]).astype(np.float64)

    return function
