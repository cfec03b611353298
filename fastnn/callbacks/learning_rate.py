"""Callbacks that set the learning rate after each epoch, or before it."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np

from .base import Callback, Logs, say
from .monitor import Monitor


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate when a value in the logs no longer gets better.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Its name.
    factor : float, default 0.1
        What the learning rate is multiplied by, below 1.
    patience : int, default 10
        After how many epochs without a better value.
    verbose : int, default 0
        Whether to print it.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" goes by the name.
    min_delta : float, default 0.0001
        By how much a value must be better to count.
    cooldown : int, default 0
        How many epochs to wait after a reduction before counting again.
    min_lr : float, default 0.0
        What the learning rate does not go below.
    """

    saved_attributes = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 <= factor < 1:
            raise ValueError(f"factor must be in [0, 1); got {factor!r}")
        super().__init__(monitor, mode, min_delta)
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _check_rate_is_settable(self)
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.monitored(logs)
        old = self.model.optimizer.learning_rate
        if logs is not None:
            logs["learning_rate"] = old
        if self.cooldown_counter:
            self.cooldown_counter -= 1
        if self.is_better(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience and old > self.min_lr:
                self._reduce(epoch, old)

    def _reduce(self, epoch: int, old: float) -> None:
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            say(f"Epoch {epoch + 1}: learning rate reduced to {new:g}")


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``, returns the epoch's learning rate.
    verbose : int, default 0
        Whether to print it.

    Raises
    ------
    TypeError
        If `schedule` is no function, or one that does not tell its arguments, as some that are written in C.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        _check_rate_is_settable(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        rate = self.model.optimizer.learning_rate
        rate = self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch)
        if not isinstance(rate, (float, int, np.floating, np.integer)):
            raise TypeError(f"schedule of LearningRateScheduler must return a float; got {rate!r}")
        self.model.optimizer.learning_rate = float(rate)
        if self.verbose:
            say(f"Epoch {epoch + 1}: learning rate {float(rate):g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


def _takes_two(schedule: Callable) -> bool:
    """Return whether a function can be called with two arguments."""
    try:
        signature = inspect.signature(schedule)
    except (TypeError, ValueError):
        raise TypeError(
            "schedule must be a function that tells its arguments, such as lambda epoch, learning_rate: 0.9 * learning_rate; "
            f"got {schedule!r}"
        ) from None
    try:
        signature.bind(0, 0.0)
    except TypeError:
        return False
    return True


def _check_rate_is_settable(callback: Callback) -> None:
    schedule = callback.model.optimizer.schedule
    if schedule is not None:
        raise ValueError(
            f"{type(callback).__name__} cannot set the learning rate: the optimizer has a {type(schedule).__name__}, "
            "which decides it for every step"
        )
