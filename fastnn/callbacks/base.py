"""What all callbacks are, and those that are made of functions or keep the logs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Logs = dict[str, float]

#: what makes a callback see every batch, where it defines one of them
BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


class Callback:
    """The base of all callbacks: subclasses define the methods that they want called.

    Attributes
    ----------
    model : Sequential
        The model in training.
    params : dict
        What the training is: "epochs", "steps" (batches per epoch), "samples" (None where not known), "verbose", and "waiting" (a
        function that returns the share of an epoch's time that was spent waiting for batches; None where they are arrays).
    saved_attributes : tuple of str
        Names of the attributes that training changes, for `BackupAndRestore` to keep; their values are numbers, strings, None and
        arrays, or lists and dicts of these.
    """

    model: Any = None
    params: Mapping[str, Any] = {}
    saved_attributes: tuple[str, ...] = ()

    @property
    def every_batch(self) -> bool:
        """Whether the callback must see every batch; otherwise batches are run many at a time, and it sees the last of them."""
        return any(getattr(type(self), hook) is not getattr(Callback, hook) for hook in BATCH_HOOKS)

    def set_model(self, model: Any) -> None:
        """Take the model; called before training."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take the parameters of the training; called before it."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of training; the short name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of training; the short name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of training, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of training; the logs are the means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation."""

    def _close(self) -> None:
        """Let go of what must not outlast a training, which may have ended with an error or Ctrl-C."""


class History(Callback):
    """Keeps the logs of all epochs; what `fastnn.Sequential.fit` returns, and, but for its `model`, what ``model.history`` is.

    Attributes
    ----------
    epoch : list of int
        The epochs, counted from 0.
    history : dict of str to list of float
        One value for each epoch by name.
    """

    saved_attributes = ("epoch", "history")

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[float]] = {}

    def set_model(self, model: Any) -> None:
        """Keep no reference to the model, which holds its history: of a cycle memory is freed late, by the garbage collector."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def extend(self, epochs: Iterable[int], columns: Mapping[str, Sequence[float]]) -> None:
        """Add several epochs at once; each name has one value for each of them."""
        self.epoch.extend(epochs)
        for name, values in columns.items():
            self.history.setdefault(name, []).extend(values)


class LambdaCallback(Callback):
    """A callback of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with ``(epoch, logs)``.
    on_train_begin, on_train_end : callable, optional
        Called with ``(logs)``.
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with ``(batch, logs)``.
    **hooks
        Functions for the other methods of `Callback`.
    """

    def __init__(
        self,
        on_epoch_begin: Callable | None = None,
        on_epoch_end: Callable | None = None,
        on_train_begin: Callable | None = None,
        on_train_end: Callable | None = None,
        on_train_batch_begin: Callable | None = None,
        on_train_batch_end: Callable | None = None,
        **hooks: Callable | None,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        self._hooks = {name: function for name, function in given.items() if function is not None}
        for name, function in self._hooks.items():
            if not (name.startswith("on_") and hasattr(Callback, name)):
                raise TypeError(f"LambdaCallback has no hook {name!r}")
            setattr(self, name, function)

    @property
    def every_batch(self) -> bool:
        return any(hook in self._hooks for hook in BATCH_HOOKS)


def say(text: str) -> None:
    """Print a line without tearing a progress bar; nothing, as `print`, in a program that has no stdout."""
    from tqdm import tqdm  # where it is used: the import takes a while

    if sys.stdout is not None:
        tqdm.write(text, file=sys.stdout)
