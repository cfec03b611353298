"""scikit-learn's solvers: SGD with its schedules of the learning rate, and Adam, with a penalty on the kernels."""

from __future__ import annotations

from .. import optimizers
from ..layers import Conv2D, Dense
from . import parameters
from .base import NetworkEstimator
from .objective import Objective

#: adaptive learning rates below this end the training
SMALLEST_RATE = 1e-6


class SolverEstimator(NetworkEstimator):
    """An estimator whose optimizer is chosen by scikit-learn's parameters."""

    # parameters
    solver: str
    alpha: float
    learning_rate: str
    learning_rate_init: float
    power_t: float
    momentum: float
    nesterovs_momentum: bool
    beta_1: float
    beta_2: float
    epsilon: float

    def _checks(self) -> dict[str, parameters.Check]:
        return {**super()._checks(), **parameters.SOLVER}

    def _objective(self) -> Objective:
        kernels = [layer.kernel for layer in self.model_.layers if isinstance(layer, (Conv2D, Dense))]
        return Objective(self._output()[1], self.model_.dtype, l2=self.alpha / 2, kernels=kernels)

    def _new_optimizer(self) -> optimizers.Optimizer:
        rate = float(self.learning_rate_init)
        if self.solver == "sgd":
            return optimizers.SGD(rate, float(self.momentum), bool(self.nesterovs_momentum and self.momentum > 0))
        return optimizers.Adam(rate, float(self.beta_1), float(self.beta_2), float(self.epsilon))

    def _end_epoch(self, optimizer: optimizers.Optimizer) -> None:
        if self.solver == "sgd" and self.learning_rate == "invscaling":
            optimizer.learning_rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t

    def _stops(self, optimizer: optimizers.Optimizer) -> bool:
        """Say whether training ends, now that there is no progress; an adaptive learning rate is lowered first."""
        if self.solver != "sgd" or self.learning_rate != "adaptive":
            return super()._stops(optimizer)
        stops = optimizer.learning_rate <= SMALLEST_RATE
        if stops:
            what = "Learning rate too small. Stopping."
        else:
            optimizer.learning_rate /= 5
            what = f"Setting learning rate to {optimizer.learning_rate:f}"
        if self.verbose:
            print(f"{self._no_progress()} {what}")
        return stops
