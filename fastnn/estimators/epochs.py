"""Epochs in scikit-learn's order of samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..callbacks import CallbackList
from ..data import batch_count
from ..epochs import ArrayEpochs
from ..training import TrainStep
from .objective import Objective


class Epochs(ArrayEpochs):
    """Epochs over arrays, in scikit-learn's order of samples.

    Parameters
    ----------
    model : Sequential
        The network, compiled with an `Objective`.
    x, y, weight : ndarray
        Inputs, targets and weights (or None) as the kernels take them.
    batch_size : int
        Samples per step.
    shuffle : numpy.random.RandomState or None
        What shuffles the samples, from the order of the last epoch; None leaves them as they are.
    """

    def _count(self, samples: int, shuffle: Any) -> None:
        super()._count(samples, False)
        self._random_state = shuffle

    @property
    def _objective(self) -> Objective:
        _, objective = self.model._compiled_with()
        assert isinstance(objective, Objective)
        return objective

    def _start_epoch(self) -> None:
        source = self._source
        if self._random_state is not None:
            source.order[:] = source.order[self._random_state.permutation(len(source.order))]
        source.start_epoch(None)
        if source.weight is not None:
            starts = np.arange(batch_count(len(source.order), self._batch_size)) * self._batch_size
            self._weight_sums = iter(np.add.reduceat(source.weight[source.order], starts, dtype=np.float64))

    def _limit(self, step: TrainStep, left: int, calls: CallbackList) -> int:
        if self._source.weight is None or not self._objective.normalized:
            return super()._limit(step, left, calls)
        self._objective.set_weight_sum(step.batch.size, next(self._weight_sums))
        return 1
