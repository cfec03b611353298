"""Steps over batches: what `Sequential.fit`, `evaluate` and `predict` run.

A step owns buffers for one batch size. It is run once to be recorded and replayed from then on (see `fastnn.program`). Batches
reach it in one of two ways: gathered from arrays by kernels inside the replayed step, many steps per call, or copied into its
buffers by Python.
"""

from __future__ import annotations

import functools
import math
import threading
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from . import ops
from .autodiff import GradientTape, Tensor
from .kernels import table
from .kernels.precision import arithmetic
from .program import Arena, Replay

#: kernels take the order of the samples as int32
MAX_SAMPLES = 2**31 - 1


class Batch:
    """Buffers for the inputs, targets and weights of one batch.

    Parameters
    ----------
    size : int
        Number of samples.
    x : ndarray
        Any array of inputs: its shape without the first axis is used.
    dtype : dtype
        The model's float type.
    y : ndarray, optional
        Any array of targets: its type and shape without the first axis are used.
    weighted : bool
        Whether samples have weights.
    """

    def __init__(self, size: int, x: np.ndarray, dtype: np.dtype, y: np.ndarray | None = None, weighted: bool = False) -> None:
        self.size = size
        self.x = np.zeros((size, *x.shape[1:]), dtype)
        self.y = None if y is None else np.zeros((size, *y.shape[1:]), y.dtype)
        self.weight = np.ones(size, dtype) if weighted else None


class CopiedBatch(Batch):
    """Buffers that Python copies each batch into; a kernel of the step converts inputs that are bytes, or on a GPU, to floats."""

    def __init__(self, size: int, x: np.ndarray, dtype: np.dtype, y: np.ndarray | None = None, weighted: bool = False) -> None:
        super().__init__(size, x, dtype, y, weighted)
        same = isinstance(x, np.ndarray) and x.dtype != np.uint8
        self.given = self.x if same else np.empty(self.x.shape, x.dtype, like=x)
        self._rows = np.arange(size, dtype=np.int32)

    def copy_from(self, x: np.ndarray, y: np.ndarray | None = None, weight: np.ndarray | None = None) -> None:
        """Copy one batch into the buffers."""
        np.copyto(self.given, x)
        if self.y is not None and y is not None:
            np.copyto(self.y, y)
        if self.weight is not None and weight is not None:
            np.copyto(self.weight, weight)

    def fill(self) -> None:
        """Make the inputs of what was copied, by a kernel."""
        if self.given is not self.x:
            gather = "gather_uint8" if self.given.dtype == np.uint8 else "gather"
            table.call(gather, _rows(self.given), self._rows, 1.0, 0.0, _rows(self.x))


class ArraySource:
    """Arrays that batches are gathered from, in an order that is drawn anew each epoch.

    Parameters
    ----------
    x, y, weight : ndarray
        Inputs (uint8, or the model's float type), targets, and sample weights or None.
    learning_rate : ndarray
        The optimizer's array of one element, which each step sets.
    max_rates : int
        Most learning rates that are given ahead.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, learning_rate: np.ndarray, max_rates: int) -> None:
        self.rates = np.zeros(max_rates, np.float64)
        self.cursor = np.zeros(2, np.float64)
        self.learning_rate = learning_rate
        self._rows: tuple[np.ndarray | None, ...] = ()
        self.take(x, y, weight)

    def take(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> dict[int, np.ndarray]:
        """Gather from other arrays of the same types; return what replaces the arrays of recorded calls, by the ids of those."""
        if len(x) > MAX_SAMPLES:
            raise ValueError(f"x must have at most {MAX_SAMPLES} samples, got {len(x)}; train on an iterable of batches of them")
        self.x, self.y, self.weight = _read_only(x), _read_only(y), None if weight is None else _read_only(weight)
        self.order = np.arange(len(x), dtype=np.int32)
        before = self._rows
        self._rows = (self.order, _rows(self.x), _rows(self.y), None if self.weight is None else _rows(self.weight))
        return {id(old): new for old, new in zip(before, self._rows, strict=False) if new is not None}

    def start_epoch(self, generator: np.random.Generator | None) -> None:
        """Go back to the first sample; with a generator, of a new random order."""
        if generator is not None:
            np.copyto(self.order, generator.permutation(len(self.order)), casting="unsafe")
        self.cursor[:] = 0

    def set_rates(self, rates: np.ndarray) -> None:
        """Give the learning rates of the steps that come next."""
        self.rates[: len(rates)] = rates
        self.rates[len(rates) :] = rates[-1]
        self.cursor[1] = 0

    def fill(self, batch: Batch) -> None:
        """Gather the next batch, by kernels alone."""
        index = np.empty(batch.size, np.int32)
        table.call("begin_step", self.order, self.rates, index, self.learning_rate, self.cursor)
        _, x, y, weight = self._rows
        # the little ones first: on a GPU they are part of `begin_step` then
        if batch.y is not None:
            if self.y.dtype == np.int32:
                table.call("gather_int32", y, index, _rows(batch.y))
            else:
                table.call("gather", y, index, 1.0, 0.0, _rows(batch.y))
        if weight is not None and batch.weight is not None:
            table.call("gather", weight, index, 1.0, 0.0, _rows(batch.weight))
        table.call("gather_uint8" if self.x.dtype == np.uint8 else "gather", x, index, 1.0, 0.0, _rows(batch.x))


def _read_only(array: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written to, which tells a backend with memory of its own that one copy is enough."""
    if not isinstance(array, np.ndarray):
        return array  # it is in the backend's memory already
    view = array.view()
    view.flags.writeable = False
    return view


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), math.prod(array.shape[1:]))


class Meters:
    """Running sums of the loss and of the metrics of an epoch.

    A metric that has a kernel for the value of each sample collects inside the step; any other one is updated from the batch's
    predictions by Python.
    """

    def __init__(self, metrics: list[Any]) -> None:
        kernels = [metric for metric in metrics if metric.sample_values is not None]
        #: (sum, number of samples) of the loss, then of each metric with a kernel
        self.totals = np.zeros((1 + len(kernels), 2), np.float64)
        self.native = list(zip(kernels, self.totals[1:], strict=True))
        self.python = [metric for metric in metrics if metric.sample_values is None]
        self.names = ["loss", *(metric.name for metric in metrics)]

    def reset(self) -> None:
        """Start an epoch."""
        self.reset_native()
        for metric in self.python:
            metric.reset_state()

    def reset_native(self) -> None:
        """Empty the sums that the steps add to, not those of metrics in Python, which steps share."""
        self.totals[:] = 0

    def add(self, other: Meters) -> None:
        """Add another meter's sums."""
        self.totals += other.totals

    def collect(self, loss: Tensor, y: np.ndarray | None, pred: Tensor) -> None:
        """Add a batch to the sums, by kernels. Weights of samples are the loss's: metrics count all alike, as in Keras."""
        table.call("collect_mean", loss.data.reshape(1), float(len(pred)), self.totals[0])
        for metric, total in self.native:
            table.call("collect_samples", metric.sample_values(y, pred.data), total)

    def update_python(self, batch: Batch, pred: np.ndarray) -> None:
        """Add a batch to the metrics that have no kernel."""
        for metric in self.python:
            metric.update_state(batch.y, pred)

    def logs(self) -> dict[str, float]:
        """Return the means so far by name, in the order in which the metrics were given."""
        values = {metric.name: _mean(total) for metric, total in self.native}
        values.update((metric.name, float(metric.result())) for metric in self.python)
        values["loss"] = _mean(self.totals[0])
        return {name: values[name] for name in self.names}


def _mean(total: np.ndarray) -> float:
    return float(total[0] / total[1]) if total[1] else 0.0


class EpochLog:
    """Means of loss and metrics of epochs that are run ahead of Python, one row each.

    Parameters
    ----------
    meters : Meters
        Whose sums each row is made of; all of them native.
    rows : int
        Most epochs until `take`.
    """

    def __init__(self, meters: Meters, rows: int) -> None:
        self._meters = meters
        self._log = np.zeros((rows, len(meters.totals)), np.float64)
        self._row = np.zeros(1, np.float64)

    def end_epoch(self) -> None:
        """Write a row and empty the sums, by a kernel."""
        table.call("end_epoch", self._meters.totals, self._log, self._row)

    def take(self, epochs: int) -> dict[str, list[float]]:
        """Return the columns of the first rows, by name, and start again."""
        self._row[0] = 0
        return dict(zip(self._meters.names, self._log[:epochs].T.tolist(), strict=True))


class Step:
    """The base of the steps: a subclass defines `_step`, which computes from the buffers and returns what is read afterwards.

    A model holds its steps; a step holds the model, and a recording its step, by a weak reference only. So there are no cycles:
    memory is freed with the model, and not when the garbage collector happens to run.
    """

    def __init__(self, model: Any, batch: Any, purpose: str, arena: Arena | None) -> None:
        self.model: Any = weakref.proxy(model)
        self.batch = batch
        step = functools.partial(type(self)._step, weakref.proxy(self))
        self._replay = Replay(step, f"{purpose} of {model.name!r}", arena)

    def _step(self) -> Iterable[np.ndarray]:
        raise NotImplementedError


class TrainStep(Step):
    """Forward, backward and update for one batch size.

    Parameters
    ----------
    model : Sequential
        A compiled and built model.
    batch : Batch
        The buffers.
    meters : Meters
        What the step adds its loss and metrics to.
    source : ArraySource, optional
        Where batches come from; without it the caller copies them into the buffers.
    log : EpochLog, optional
        Where the means of an epoch are written, if each step is a whole epoch.
    """

    def __init__(
        self, model: Any, batch: Batch, meters: Meters, source: ArraySource | None = None, log: EpochLog | None = None
    ) -> None:
        super().__init__(model, batch, "training", model._arena)
        self.meters, self.source, self.log = meters, source, log
        self.pred = np.empty(0)

    def run(self, times: int = 1) -> None:
        """Run steps; one at a time where a metric is computed by Python."""
        if not self.meters.python:
            self._replay.run(times)
            return
        for _ in range(times):
            self._replay.run()
            self.meters.update_python(self.batch, self.pred)

    def replace(self, arrays: dict[int, np.ndarray]) -> None:
        """Take other arrays from now on, see `fastnn.program.Replay.replace`."""
        self._replay.replace(arrays)

    def _step(self) -> Iterable[np.ndarray]:
        model, batch = self.model, self.batch
        if self.source is not None:
            self.source.fill(batch)
        elif isinstance(batch, CopiedBatch):
            batch.fill()
        weights = model.trainable_weights
        with GradientTape() as tape:
            pred = model(Tensor(batch.x), training=True)
            loss = model.loss(batch.y, pred, batch.weight)
            total = loss
            for penalty in model.losses:
                total = ops.add(total, penalty)
        self.meters.collect(total, batch.y, pred)  # here, where a GPU does it along with the loss
        gradients = tape.gradient(total, weights)
        model.optimizer.apply(gradients, weights)
        if self.log is not None:
            self.log.end_epoch()
        self.pred = pred.data
        return self._results()

    def _results(self) -> list[np.ndarray]:
        results = [self.model.optimizer.lr]
        if self.meters.python:
            results += [a for a in (self.pred, self.batch.y) if a is not None]
        return results


class TestStep(Step):
    """Forward and loss for one batch size, without learning."""

    def __init__(self, model: Any, batch: CopiedBatch, meters: Meters) -> None:
        super().__init__(model, batch, "evaluation", model._arena)
        self.meters = meters
        self.pred = np.empty(0)

    def run(self) -> None:
        """Run the step on what the buffers hold."""
        self._replay.run()
        self.meters.update_python(self.batch, self.pred)

    def _step(self) -> Iterable[np.ndarray]:
        batch = self.batch
        batch.fill()
        pred = self.model(Tensor(batch.x), training=False)
        loss = self.model.loss(batch.y, pred, batch.weight)
        for penalty in self.model.losses:
            loss = ops.add(loss, penalty)
        self.meters.collect(loss, batch.y, pred)
        self.pred = pred.data
        return [self.pred]


class StepCache:
    """The steps that a model ran last, by what they are for; several threads may use it. Its copies are empty."""

    #: most steps that are kept: batches of so many sizes can alternate without recording anew
    SIZE = 8

    def __init__(self) -> None:
        self._steps: dict[tuple, Any] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple:
        return StepCache, ()

    def take(self, key: tuple) -> Any:
        """Return a step, which is then in the cache no longer, or None."""
        with self._lock:
            return self._steps.pop(key, None)

    def keep(self, key: tuple, step: Any) -> None:
        """Put a step into the cache; the one that was used longest ago makes room."""
        with self._lock:
            self._steps[key] = step
            if len(self._steps) > self.SIZE:
                del self._steps[next(iter(self._steps))]


class PredictStep(Step):
    """Forward for one batch size, safe to call from several threads and while the model trains: its temporaries are its own."""

    def __init__(self, model: Any, batch: CopiedBatch) -> None:
        super().__init__(model, batch, "prediction", None)
        self._arithmetic = arithmetic()
        self._lock = threading.Lock()

    def fits(self, x: Any) -> bool:
        """Say whether `x` is an array that can be copied into the buffers as it is, for the backend and precision in use."""
        buffer = self.batch.given
        same = type(x) is type(buffer) is np.ndarray and x.shape == buffer.shape and x.dtype == buffer.dtype
        return same and arithmetic() == self._arithmetic

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch."""
        with self._lock:
            self.batch.copy_from(x)
            self._replay.run()
            return self._pred.copy()

    def _step(self) -> Iterable[np.ndarray]:
        self.batch.fill()
        self._pred = self.model(Tensor(self.batch.x), training=False).data
        if not isinstance(self.batch.given, np.ndarray):
            pred, self._pred = self._pred, np.empty(self._pred.shape, self._pred.dtype, like=self.batch.given)
            table.call("linear_forward", pred, self._pred)
        return [self._pred]
