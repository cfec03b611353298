"""Callbacks that end a training before its last epoch."""

from __future__ import annotations

import numpy as np

from .base import Callback, Logs, say
from .monitor import Monitor


class EarlyStopping(Monitor):
    """Stops training when a value in the logs no longer gets better.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Its name.
    min_delta : float, default 0
        By how much it must get better to count.
    patience : int, default 0
        After how many epochs in a row without a better value training stops.
    verbose : int, default 0
        Whether to print that it stopped.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" goes by the name.
    baseline : float, optional
        A value that must be beaten as well: epochs that do not beat it count as not better.
    restore_best_weights : bool, default False
        Whether the model ends with the weights of the best epoch, also where all epochs were run.
    start_from_epoch : int, default 0
        How many epochs, from the first, are not looked at.

    Examples
    --------
    Training ends when the loss of the validation data has not got better for three epochs, with the best weights:

    >>> from fastnn.callbacks import EarlyStopping
    >>> stopping = EarlyStopping(patience=3, restore_best_weights=True)
    >>> history = model.fit(x, y, epochs=100, validation_split=0.2, callbacks=[stopping])  # doctest: +SKIP
    """

    saved_attributes = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.monitored(logs)
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)  # should no epoch have a value that is a number
        self.wait += 1
        if self.is_better(value, self.best):
            self.best = value
            self._keep(epoch)
            if self.baseline is None or self.is_better(value, self.baseline):
                self.wait = 0
                return
        # a first epoch has nothing to be better than
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite."""

    every_batch = False  # type: ignore[assignment]  # the mean over an epoch stays NaN after the batch in which it became it

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss) and not self.model.stop_training:
            say(f"Batch {batch + 1}: the loss is {loss}, training stops")
            self.model.stop_training = True
