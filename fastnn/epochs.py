"""Epochs of `Sequential.fit`: over arrays, whose batches the replayed steps gather themselves, and over iterables of batches."""

from __future__ import annotations

import operator
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import random
from .callbacks import CallbackList, History
from .data import GENERATOR_HINT, batch_count, batch_parts
from .kernels.functions.checks import integer
from .mistakes import warn_of_pixels
from .training import ArraySource, Batch, EpochLog, Meters, TrainStep

if TYPE_CHECKING:
    from .model import Sequential

#: a chunk of replayed steps takes about this many seconds: callbacks, the progress bar and Ctrl-C wait no longer
CHUNK_SECONDS = 0.05
#: most steps of a chunk
MAX_CHUNK = 1024


class Pace:
    """How many steps to replay at a time so that a chunk takes about `CHUNK_SECONDS`."""

    def __init__(self) -> None:
        self.steps = 1

    def run(self, step: TrainStep, limit: int) -> int:
        """Run a chunk of at most `limit` steps; return how many were run."""
        times = min(self.steps, limit)
        started = time.perf_counter()
        step.run(times)
        each = max(time.perf_counter() - started, 1e-9) / times
        self.steps = max(1, min(2 * self.steps, int(CHUNK_SECONDS / each), MAX_CHUNK))
        return times


class ArrayEpochs:
    """Epochs over arrays.

    Parameters
    ----------
    model : Sequential
        A compiled and built model.
    x, y, weight : ndarray
        What ``model._prepare`` returned.
    batch_size : int
        Samples per step.
    shuffle : bool
        Whether each epoch has a new random order. A batch of all samples is never shuffled: its order does not matter.
    """

    #: the iterable that gives the batches, whose state a checkpoint keeps; None for arrays
    data: Any = None
    #: returns the share of the time that is spent waiting for batches; None for arrays, which are there
    waiting = None

    def __init__(
        self, model: Sequential, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, batch_size: int, shuffle: bool
    ) -> None:
        self._model = weakref.ref(model)  # since the model keeps this object
        self.optimizer, _ = model._compiled_with()
        self.meters = Meters(model._resolved_metrics())
        self._source = ArraySource(x, y, weight, self.optimizer.lr, MAX_CHUNK)
        self._batch_size = batch_size
        self._recorded: dict[int, tuple[TrainStep, Pace]] = {}
        self._ahead: tuple[TrainStep, EpochLog, Pace] | None = None
        self._count(len(x), shuffle)

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model()

    def _count(self, samples: int, shuffle: bool) -> None:
        size = integer("batch_size", self._batch_size, low=1)
        self.samples = samples
        self.steps = batch_count(samples, size)
        self._generator = random.generator() if shuffle and self.steps > 1 else None
        sizes = [(count, part) for count, part in ((samples // size, size), (1, samples % size)) if count and part]
        self._recorded = {part: self._recorded.get(part) or (self._new_step(part), Pace()) for _, part in sizes}
        self._parts = [(count, *self._recorded[part]) for count, part in sizes]

    def take(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, shuffle: bool) -> None:
        """Go on with other arrays of the same types and shapes of a sample: what was recorded is kept."""
        self._replace(x, y, weight)
        self._count(len(x), shuffle)

    def release(self) -> None:
        """Let go of the arrays, until others are taken."""
        x, y, weight = self._source.x, self._source.y, self._source.weight
        self._replace(_one_sample_like(x), _one_sample_like(y), None if weight is None else _one_sample_like(weight))

    def _replace(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> None:
        replaced = self._source.take(x, y, weight)
        for step in [step for step, _ in self._recorded.values()] + ([self._ahead[0]] if self._ahead else []):
            step.replace(replaced)

    @property
    def arrays(self) -> dict[str, Any]:
        """What is trained on, by name."""
        return {"x": self._source.x, "y": self._source.y}

    def _batch(self, size: int) -> Batch:
        source = self._source
        return Batch(size, source.x, self.model.dtype, source.y, source.weight is not None)

    def _new_step(self, size: int) -> TrainStep:
        return TrainStep(self.model, self._batch(size), self.meters, self._source)

    def _start_epoch(self) -> None:
        self._source.start_epoch(self._generator)

    def _limit(self, step: TrainStep, left: int, calls: CallbackList) -> int:
        """Return how many of the steps that are left may run before Python has something to do."""
        return 1 if calls.every_batch else left

    @property
    def one_step(self) -> bool:
        """Whether an epoch is one step, all of it native: then many epochs can be run ahead."""
        return self.steps == 1 and not self.meters.python

    def run(self, calls: CallbackList) -> dict[str, float]:
        """Train for one epoch; return its logs."""
        self.meters.reset()
        self._start_epoch()
        done = 0
        for count, step, pace in self._parts:
            left = count
            while left and not self.model.stop_training:
                limit = self._limit(step, left, calls)
                calls.on_train_batch_begin(done)
                self._source.set_rates(self.optimizer.next_learning_rates(min(limit, pace.steps)))
                ran = pace.run(step, limit)
                left -= ran
                done += ran
                calls.on_train_batch_end(done - 1, self.meters.logs())
        return self.meters.logs()

    def run_ahead(self, history: History, epoch: int, limit: int) -> int:
        """Train for some epochs of one step each, at most `limit`; note them in the history; return how many were run."""
        if self._ahead is None or self._ahead[0].batch.size != self.samples:
            log = EpochLog(self.meters, MAX_CHUNK)
            self._ahead = TrainStep(self.model, self._batch(self.samples), self.meters, self._source, log), log, Pace()
        step, log, pace = self._ahead
        self.meters.reset()
        self._source.start_epoch(None)
        self._source.set_rates(self.optimizer.next_learning_rates(min(limit, pace.steps)))
        ran = pace.run(step, limit)
        history.extend(range(epoch, epoch + ran), log.take(ran))
        return ran


def _one_sample_like(array: np.ndarray) -> np.ndarray:
    return np.zeros((1, *array.shape[1:]), array.dtype)


class Waiting:
    """Measures how much of an epoch is spent waiting for batches. It does not hold them, since callbacks hold it."""

    def __init__(self) -> None:
        self._started = self._waited = 0.0

    def start_epoch(self) -> None:
        """Begin an epoch now."""
        self._started, self._waited = time.perf_counter(), 0.0

    def next_of(self, iterator: Iterator) -> Any:
        """Return an iterator's next batch, or None."""
        asked = time.perf_counter()
        batch = next(iterator, None)
        self._waited += time.perf_counter() - asked
        return batch

    def share(self) -> float:
        """Return the share of the epoch's time so far that was spent waiting."""
        return self._waited / max(time.perf_counter() - self._started, 1e-9)


class BatchEpochs:
    """Epochs over an iterable of batches.

    Parameters
    ----------
    model : Sequential
        A compiled model.
    batches : iterable of (x, y) or (x, y, sample_weight)
        What each epoch goes through.
    class_weight : dict of int to float, optional
        As for ``model.fit``.
    steps : int, optional
        Batches per epoch; the next epoch goes on behind them. By default an epoch is all batches.
    """

    one_step = False
    #: batches are not kept
    arrays: Mapping[str, Any] = {}

    def __init__(self, model: Sequential, batches: Iterable, class_weight: dict[int, float] | None, steps: int | None) -> None:
        self.model, self.data, self._class_weight = model, batches, class_weight
        self._limit = None if steps is None else integer("steps_per_epoch", steps, low=1)
        # loaders of PyTorch have a __len__ that raises TypeError where their data set has none
        self.steps = operator.length_hint(batches) or None if steps is None else steps
        self.samples = getattr(batches, "samples", None) if steps is None else None
        self._iterator: Iterator = iter(())
        self._started = False
        self._waiting = Waiting()
        self.waiting = self._waiting.share

    def run(self, calls: CallbackList) -> dict[str, float]:
        """Train for one epoch; return its logs."""
        try:
            return self._run(calls)
        except BaseException:
            self._iterator = iter(())  # a generator ends its threads once nobody holds it, as the traceback would
            raise

    def _run(self, calls: CallbackList) -> dict[str, float]:
        self._waiting.start_epoch()
        if self._limit is None:
            self._iterator = iter(self.data)
        totals: Meters | None = None
        number = 0
        while (self._limit is None or number < self._limit) and not self.model.stop_training:
            batch = self._next_batch()
            if batch is None:
                break
            calls.on_train_batch_begin(number)
            x, y, weight = self.model._prepare(*batch_parts(batch), self._class_weight)
            step = self.model._cached_step("train", x, y, weight)
            if totals is None:
                if not self._started:
                    warn_of_pixels(self.model.layers, x, 5)
                    self._started = True
                totals = Meters(self.model._resolved_metrics())
                totals.reset()
            step.meters.reset_native()
            self.model._train_batch(step, x, y, weight)
            totals.add(step.meters)
            calls.on_train_batch_end(number, totals.logs())
            number += 1
        if totals is None:
            raise ValueError(f"x gave no batches to train on{GENERATOR_HINT}")
        return totals.logs()

    def _next_batch(self) -> Any:
        batch = self._waiting.next_of(self._iterator)
        if batch is None and self._limit is not None:  # an epoch of so many steps goes round the end
            self._iterator = iter(self.data)
            batch = self._waiting.next_of(self._iterator)
        return batch

    def run_ahead(self, history: History, epoch: int, limit: int) -> int:
        """Not for batches that come one by one."""
        raise NotImplementedError
