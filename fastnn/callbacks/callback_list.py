"""Callbacks as one, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..arguments import described
from .base import Callback, History, Logs
from .checkpoints import BackupAndRestore
from .progress import ProgressBar


class CallbackList:
    """Callbacks as one, called in order; then the history, so that it keeps what the others put into the logs, then the backup.

    Parameters
    ----------
    callbacks : iterable of Callback, default ()
        The callbacks.
    model : Sequential
        The model that they get.
    params : dict, optional
        The parameters that they get.
    verbose : {0, 1, 2, "auto"}, default 0
        Whether a `ProgressBar` is added, and with which `verbose`.
    data : iterable, optional
        The batches that are trained on; `BackupAndRestore` keeps what stands in ``data.saved_attributes``, as of callbacks.
    """

    def __init__(
        self,
        callbacks: Iterable[Callback] = (),
        model: Any = None,
        params: Mapping[str, Any] | None = None,
        verbose: int | str = 0,
        data: Any = None,
    ) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be instances of fastnn.callbacks.Callback; got {described(callback)}")
        if verbose:
            self.callbacks.append(ProgressBar(verbose))
        self.callbacks.sort(key=lambda callback: (isinstance(callback, BackupAndRestore), isinstance(callback, History)))
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params or {})
            if isinstance(callback, BackupAndRestore):
                callback.callbacks, callback.data = self.callbacks, data

    @property
    def every_batch(self) -> bool:
        """Whether one of the callbacks must see every batch."""
        return any(callback.every_batch for callback in self.callbacks)

    @property
    def only_history(self) -> bool:
        """Whether epochs may be run ahead, since no callback but the history is called after each."""
        return all(type(callback) is History for callback in self.callbacks)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._all("on_train_begin", logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._all("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._all("on_epoch_begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._all("on_epoch_end", logs, epoch)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._all("on_train_batch_begin", logs, batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._all("on_train_batch_end", logs, batch)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._all("on_test_begin", logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._all("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._all("on_test_batch_begin", logs, batch)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._all("on_test_batch_end", logs, batch)

    def close(self) -> None:
        """End the training for the callbacks, however it ended."""
        for callback in self.callbacks:
            callback._close()

    def _all(self, hook: str, logs: Logs | None, *number: int) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(*number, logs)
