"""Callbacks: what `fit` calls before and after epochs and batches; Keras's names, arguments and defaults.

Logs are dicts of floats: the loss and the metrics by name, and those of the validation data with ``val_`` before it. A
callback that monitors a name which is not in the logs raises ValueError and lists what is there.
"""

from __future__ import annotations

import csv
import inspect
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import files, random, saving
from .autodiff import GradientTape, Variable

Logs = dict[str, float]

#: parts of names of which more is better; of the others less is
MORE_IS_BETTER = ("acc", "auc", "precision", "recall", "f1")
LESS_IS_BETTER = ("loss", "error", "mse", "mae", "crossentropy", "hinge", "huber", "perceptron")
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


class CallbackList:
    """Callbacks as one, called in order; then the history, so that it keeps what the others put into the logs, then the backup.

    Parameters
    ----------
    callbacks : iterable of Callback
        The callbacks.
    model : Sequential
        The model that they get.
    params : dict, optional
        The parameters that they get.
    verbose : {0, 1, 2, "auto"}
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
                raise TypeError(f"callbacks must be instances of fastnn.callbacks.Callback; got {callback!r}")
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
        """Whether nobody needs to be told of an epoch before the next one begins."""
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

    def _all(self, hook: str, logs: Logs | None, *number: int) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(*number, logs)


class History(Callback):
    """Keeps the logs of all epochs; what `fit` returns.

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

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def extend(self, epochs: Iterable[int], columns: Mapping[str, Sequence[float]]) -> None:
        """Add several epochs at once; each name has one value for each of them."""
        self.epoch.extend(epochs)
        for name, values in columns.items():
            self.history.setdefault(name, []).extend(values)


class Monitor(Callback):
    """The base of callbacks that follow one value in the logs.

    Parameters
    ----------
    monitor : str
        Its name.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" goes by the name.
    min_delta : float
        By how much a value must be better to count as better.
    """

    def __init__(self, monitor: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max'; got {mode!r}")
        self.monitor = monitor
        self.mode = _mode_of(monitor) if mode == "auto" else mode
        self.min_delta = abs(min_delta)

    def monitored(self, logs: Mapping[str, float] | None) -> float:
        """Return the value of the logs.

        Raises
        ------
        ValueError
            If it is not there.
        """
        if not logs or self.monitor not in logs:
            hint = "; validation needs validation_data or validation_split" if self.monitor.startswith("val_") else ""
            there = ", ".join(map(repr, logs or ())) or "nothing"
            raise ValueError(f"{type(self).__name__} monitors {self.monitor!r}; in the logs there is {there}{hint}")
        return float(logs[self.monitor])

    def is_better(self, value: float, best: float | None) -> bool:
        """Return whether a value is better than the best so far; NaN never is."""
        if best is None:
            return not np.isnan(value)
        return value < best - self.min_delta if self.mode == "min" else value > best + self.min_delta


class EarlyStopping(Monitor):
    """Stops training when a value in the logs no longer gets better.

    Parameters
    ----------
    monitor : str
        Its name.
    min_delta : float
        By how much it must get better to count.
    patience : int
        After how many epochs without that training stops.
    verbose : int
        Whether to print that it stopped.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" goes by the name.
    baseline : float, optional
        What the value must beat as well: epochs that do not, count as not better.
    restore_best_weights : bool
        Whether the model ends with the weights of the best epoch, also where all epochs were run.
    start_from_epoch : int
        How many epochs pass before the first is looked at.
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
            _say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                _say(f"Restoring the weights of the best epoch: {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()


class ModelCheckpoint(Monitor):
    """Saves the model, or its weights, after epochs or every so many batches.

    Parameters
    ----------
    filepath : str or path
        Where to; names in braces stand for the epoch, counted from 1, and for values of the logs, as in
        ``"{epoch:02d}-{val_loss:.2f}.safetensors"``. Folders are made.
    monitor : str
        The value that says which model is best.
    verbose : int
        Whether to print what is saved.
    save_best_only : bool
        Whether to save only when the value is better than ever before.
    save_weights_only : bool
        Whether to leave the architecture and the optimizer out.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" goes by the name.
    save_freq : "epoch" or int
        When to save: after each epoch, or after so many batches.
    initial_value_threshold : float, optional
        A value that the first model saved must beat.
    """

    saved_attributes = ("best", "batches")

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        if save_freq != "epoch" and not (isinstance(save_freq, int) and save_freq > 0):
            raise ValueError(f"save_freq must be 'epoch' or a positive number of batches; got {save_freq!r}")
        # without save_best_only the value is not looked at, nor is which way it gets better
        super().__init__(monitor, mode if save_best_only or mode != "auto" else "min")
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.best = initial_value_threshold
        self.batches = 0
        self._epoch = 0

    @property
    def every_batch(self) -> bool:
        return self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq != "epoch":
            self.batches += 1
            if self.batches % int(self.save_freq) == 0:
                self._save(logs or {}, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(logs or {})

    def _save(self, logs: Logs, **names: int) -> None:
        if self.save_best_only:
            value = self.monitored(logs)
            if not self.is_better(value, self.best):
                return
            self.best = value
        path = self._path({"epoch": self._epoch + 1, **names, **logs})
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            _say(f"Epoch {self._epoch + 1}: saved {'weights' if self.save_weights_only else 'model'} to {path}")

    def _path(self, names: Mapping[str, float]) -> str:
        try:
            return self.filepath.format(**names)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"filepath {self.filepath!r} cannot be filled in ({error}); there is {', '.join(names)}") from None


class BackupAndRestore(Callback):
    """Keeps a checkpoint of the training, with which `fit` goes on after an interruption, exactly as if there had been none.

    After each epoch, when all other callbacks have seen it, the checkpoint in the folder is replaced. A `fit` that finds one there
    begins behind its last epoch with what it holds: the weights, the state of the optimizer with its place in the learning-rate
    schedule, the random numbers of the process and of the layers (order of the samples, dropout), the state of the other
    callbacks, and the history. So two epochs and two after the interruption give the weights of four.

    Parameters
    ----------
    backup_dir : str or path
        The folder, of this training alone; it is made. Its only file, ``latest.safetensors``, is of the format of `fastnn.saving`
        and replaced as a whole: a process killed at any moment leaves the checkpoint of before or the one of after.
    delete_checkpoint : bool
        Whether the checkpoint is removed when training has come to its end.

    Raises
    ------
    ValueError
        By `fit`, if the checkpoint is damaged or of another training: of a model with other weights, another optimizer, other
        callbacks that keep a state, another number of samples or of batches per epoch.

    Notes
    -----
    What another number of epochs changes is up to the learning-rate schedule; without one a finished training, its checkpoint kept,
    goes on with a larger ``epochs``. A learning rate that is a number is restored. A callback of your own names what it keeps in
    `saved_attributes`. So does an iterable of batches, as `fastnn.datasets.image_folder` does; another one begins anew.

    Examples
    --------
    >>> import fastnn
    >>> backup = fastnn.callbacks.BackupAndRestore("backup")  # model.fit(x, y, epochs=100, callbacks=[backup])
    """

    def __init__(self, backup_dir: Any, delete_checkpoint: bool = True) -> None:
        self.backup_dir = os.fspath(backup_dir)
        self.delete_checkpoint = delete_checkpoint
        self.callbacks: Sequence[Callback] = ()
        self.data: Any = None

    @property
    def path(self) -> str:
        """The checkpoint's file."""
        return os.path.join(self.backup_dir, "latest.safetensors")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        files.remove_unfinished(self.backup_dir)
        if os.path.exists(self.path):
            self._restore()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        progress = {
            "next_epoch": epoch + 1,
            "stop_training": self.model.stop_training,
            "random": random.generator().bit_generator.state,
            "states": [{name: getattr(holder, name) for name in holder.saved_attributes} for holder in self._with_state()],
        }
        saving.save_checkpoint(self.model, self.path, self._training(), progress)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint:
            self.delete()

    def delete(self) -> None:
        """Remove the checkpoint, and the folder if nothing else is in it."""
        if os.path.exists(self.path):
            os.remove(self.path)
        if os.path.isdir(self.backup_dir) and not os.listdir(self.backup_dir):
            os.rmdir(self.backup_dir)

    def _training(self) -> dict[str, Any]:
        """Return what must be the same when the training goes on."""
        return {
            "samples": self.params.get("samples"),
            "steps": self.params.get("steps"),
            "callbacks": [type(holder).__name__ for holder in self._with_state()],
        }

    def _with_state(self) -> list[Any]:
        return [holder for holder in (*self.callbacks, self.data) if getattr(holder, "saved_attributes", ())]

    def _restore(self) -> None:
        progress = saving.load_checkpoint(self.model, self.path, self._training())
        try:
            random.generator().bit_generator.state = progress["random"]
            for holder, state in zip(self._with_state(), progress["states"], strict=True):
                for name in holder.saved_attributes:
                    setattr(holder, name, state[name])
            self.model.initial_epoch, self.model.stop_training = int(progress["next_epoch"]), bool(progress["stop_training"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the checkpoint {self.path!r} is damaged: {saving.reason(error)}") from error


class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate when a value in the logs no longer gets better.

    Parameters
    ----------
    monitor : str
        Its name.
    factor : float
        What the learning rate is multiplied by, below 1.
    patience : int
        After how many epochs without a better value.
    verbose : int
        Whether to print it.
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" goes by the name.
    min_delta : float
        By how much a value must be better to count.
    cooldown : int
        How many epochs to wait after a reduction before counting again.
    min_lr : float
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
            self.wait = 0
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
            _say(f"Epoch {epoch + 1}: learning rate reduced to {new:g}")


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate)``, or ``schedule(epoch)``, returns the epoch's learning rate.
    verbose : int
        Whether to print it.
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
            _say(f"Epoch {epoch + 1}: learning rate {float(rate):g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate


class CSVLogger(Callback):
    """Writes a row for each epoch to a CSV file: the epoch, counted from 0, and the logs.

    Parameters
    ----------
    filename : str or path
        The file.
    separator : str
        What stands between columns.
    append : bool
        Whether to go on after the rows that are in the file.

    Notes
    -----
    Values that an epoch does not have are NA. When a name comes up for the first time, the file is written anew with its column.
    """

    saved_attributes = ("text",)

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self._names: list[str] = []

    @property
    def text(self) -> str:
        """What is in the file; a training that goes on from a backup has the rows of that moment in it again, and no others."""
        with open(self.filename, newline="") as file:
            return file.read()

    @text.setter
    def text(self, text: str) -> None:
        with open(self.filename, "w", newline="") as file:
            file.write(text)
        self._names = self._read()[0]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._names = []
        if self.append and os.path.exists(self.filename):
            self._names = self._read()[0]
        else:
            open(self.filename, "w").close()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        new = [name for name in row if name not in self._names]
        if new:
            rows = self._read()[1]
            self._names += new
            self._write("w", rows, header=True)
        self._write("a", [row])

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        with open(self.filename, newline="") as file:
            reader = csv.DictReader(file, delimiter=self.separator)
            return list(reader.fieldnames or ()), list(reader)

    def _write(self, mode: str, rows: Sequence[Mapping[str, Any]], header: bool = False) -> None:
        with open(self.filename, mode, newline="") as file:
            writer = csv.DictWriter(file, self._names, restval="NA", delimiter=self.separator, lineterminator="\n")
            if header:
                writer.writeheader()
            writer.writerows(rows)


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


class TerminateOnNaN(Callback):
    """Stops training when the loss is NaN or infinite."""

    every_batch = False  # type: ignore[assignment]  # the mean over an epoch stays NaN after the batch in which it became it

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss) and not self.model.stop_training:
            _say(f"Batch {batch + 1}: the loss is {loss}, training stops")
            self.model.stop_training = True


class HistogramRecorder(Callback):
    """Records how the weights, and the gradients, are distributed: before training and after each epoch.

    `fastnn.plotting.HistogramsDisplay` draws it.

    Parameters
    ----------
    x, y : array_like, optional
        Samples whose gradients are recorded, a batch of some hundred; without them, only weights are.
    bins : int
        Bins from the least to the largest value.

    Attributes
    ----------
    epochs : list of int
        The epochs, counted from 1; 0 is before training, where the model was built by then.
    weights, gradients : dict of str to list of (counts, edges)
        By names such as "dense/kernel", a histogram for each of the epochs, as of `numpy.histogram`; without what is not finite.

    Notes
    -----
    Training does not keep its gradients. Those recorded are of the loss of `x` and `y`, penalties included, by the weights as they
    are after the epoch. They are computed as `evaluate` computes: no dropout, and moving averages in batch normalization. So they
    cost a pass over `x` each epoch and change nothing.
    """

    def __init__(self, x: Any = None, y: Any = None, bins: int = 50) -> None:
        if (x is None) != (y is None):
            raise ValueError("x and y must be given both, or neither")
        if not isinstance(bins, int) or bins < 1:
            raise ValueError(f"bins must be a positive integer; got {bins!r}")
        self.x, self.y, self.bins = x, y, bins
        self._reset()

    def _reset(self) -> None:
        self.epochs: list[int] = []
        self.weights: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        self.gradients: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()
        if self.model.built:
            self._record(0)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._record(epoch + 1)

    def _record(self, epoch: int) -> None:
        self.epochs.append(epoch)
        weights = _weights_by_name(self.model)
        for name, variable in weights.items():
            self.weights.setdefault(name, []).append(_histogram(variable.data, self.bins))
        if self.x is not None:
            trained = {name: variable for name, variable in weights.items() if variable.trainable}
            for name, gradient in zip(trained, self._gradients(list(trained.values())), strict=True):
                self.gradients.setdefault(name, []).append(_histogram(gradient, self.bins))

    def _gradients(self, weights: list[Variable]) -> list[np.ndarray]:
        x, y, _ = self.model.prepare(self.x, self.y, None, None)
        with GradientTape() as tape:
            loss = self.model.loss(y, self.model(x))
            for penalty in self.model.losses:
                loss = loss + penalty
        gradients = tape.gradient(loss, weights)
        return [np.zeros_like(w.data) if g is None else g.data for w, g in zip(weights, gradients, strict=True)]


class LivePlot(Callback):
    """Draws the learning curves while training goes on: one figure, drawn anew after each epoch. Needs matplotlib.

    In a notebook the figure stands under the cell. Elsewhere it is a window, if matplotlib's backend has windows, as "QtAgg" has;
    else a warning says that nothing is drawn. Short epochs are not all drawn: drawing takes a fifth of the time at most. The last
    one always is.

    Parameters
    ----------
    names : sequence of str, optional
        What to draw, such as ``["loss"]``, each with its validation; all that is in the logs by default.

    Attributes
    ----------
    display_ : fastnn.plotting.HistoryDisplay
        What was drawn last.

    Examples
    --------
    >>> import fastnn
    >>> history = model.fit(x, y, epochs=20, callbacks=[fastnn.callbacks.LivePlot()])  # doctest: +SKIP
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = names
        self._curves: dict[str, tuple[list[int], list[float]]] = {}
        self._live: Any = None
        self._due = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        from .plotting import live_figure

        self._curves, self._due, self._live = {}, 0.0, live_figure()
        if self._live is None:
            warnings.warn(
                "LivePlot draws nothing: this is no notebook, and matplotlib's backend has no windows. Choose one that has, "
                "for example with matplotlib.use('QtAgg'), or draw fastnn.plotting.HistoryDisplay.from_history when fit is done",
                stacklevel=2,
            )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            epochs, values = self._curves.setdefault(name, ([], []))
            epochs.append(epoch + 1)
            values.append(value)
        if time.perf_counter() >= self._due:
            self._draw()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._curves:
            self._draw()

    def _draw(self) -> None:
        if self._live is None:
            return
        from .plotting import HistoryDisplay

        started = time.perf_counter()
        figure, show = self._live
        figure.clear()
        self.display_ = HistoryDisplay(curves=self._curves).plot(figure, names=self.names)
        show()
        self._due = time.perf_counter() + 4 * (time.perf_counter() - started)


class TensorBoard(Callback):
    """Writes the loss and the metrics of each epoch to event files, which ``tensorboard --logdir logs`` shows. Needs tensorboardX.

    As with Keras's callback, training and validation are two runs, ``train`` and ``validation`` in `log_dir`, with the tags
    "epoch_loss", "epoch_accuracy", ..., and the learning rate is "epoch_learning_rate".

    A second after the end of an epoch at the latest its values are in the files.

    Parameters
    ----------
    log_dir : str or path
        The folder; it is made if need be. A folder for each training keeps them apart.
    histogram_freq : int
        After how many epochs, each time, the histograms of all weights are written; 0 for never.
    """

    def __init__(self, log_dir: Any = "logs", histogram_freq: int = 0) -> None:
        if not isinstance(histogram_freq, int) or histogram_freq < 0:
            raise ValueError(f"histogram_freq must be a number of epochs, not negative; got {histogram_freq!r}")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self._writers: dict[str, Any] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._writer("train")  # a missing library, or a folder that cannot be written, shows before the training

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in {"learning_rate": self.model.optimizer.learning_rate, **(logs or {})}.items():
            writer = self._writer("validation" if name.startswith("val_") else "train")
            writer.add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for name, variable in _weights_by_name(self.model).items():
                self._writer("train").add_histogram(name, variable.data, epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            try:
                from tensorboardX import SummaryWriter
            except ModuleNotFoundError as error:
                raise ImportError("TensorBoard needs tensorboardX: pip install 'fastnn-kernels[tensorboard]'") from error
            self._writers[run] = SummaryWriter(os.path.join(self.log_dir, run), flush_secs=1)
        return self._writers[run]


class ProgressBar(Callback):
    """Shows how training goes: what `fit` does with ``verbose=1`` and ``verbose=2``.

    Parameters
    ----------
    verbose : {1, 2, "auto"}
        1: a bar for each epoch on stderr, with the loss, the metrics, images (or samples) per second and the time left, and, where
        an iterable gives the batches, the share of the time that was spent waiting for them.
        2: a line for each epoch on stdout. "auto": a bar where stderr is a terminal or a notebook, else lines.
    """

    every_batch = False  # type: ignore[assignment]  # it shows what it gets

    def __init__(self, verbose: int | str = 1) -> None:
        if verbose not in (1, 2, "auto"):
            raise ValueError(f"verbose must be 0, 1, 2 or 'auto'; got {verbose!r}")
        self.verbose = (1 if sys.stderr.isatty() or "ipykernel" in sys.modules else 2) if verbose == "auto" else verbose
        self._bar: Any = None
        self._done = 0
        self._started = self._batch_ended = self._test_started = 0.0
        self._waiting: list[str] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._started = self._batch_ended = time.perf_counter()
        self._done = 0
        self._waiting = []
        if self.verbose == 1:
            total = self.params.get("samples") or self.params.get("steps")
            self._bar = _new_bar(self._title(epoch), total, self._unit())

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._batch_ended = time.perf_counter()
        samples, steps = self.params.get("samples"), self.params.get("steps")
        self._done = round(samples * (batch + 1) / steps) if samples and steps else batch + 1
        share = self.params.get("waiting")
        self._waiting = [f"waiting for data: {share():.0%}"] if share else []
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join([*_texts(logs), *self._waiting]), refresh=False)
            self._bar.update(self._done - self._bar.n)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._test_started = time.perf_counter()

    def on_test_end(self, logs: Logs | None = None) -> None:
        if self._bar is not None:
            # the time of validation is no time of training: images per second are of training alone
            seconds = time.perf_counter() - self._test_started
            self._bar.start_t += seconds
            self._bar.last_print_t += seconds

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join([*_texts(logs), *self._waiting]), refresh=False)
        elif self.verbose == 2:
            seconds = time.perf_counter() - self._started
            speed = self._done / max(self._batch_ended - self._started, 1e-9)
            parts = [self._title(epoch), f"{seconds:.1f} s", f"{speed:,.0f} {self._unit()}/s", *_texts(logs), *self._waiting]
            print(" - ".join(parts), flush=True)
        self._close()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _title(self, epoch: int) -> str:
        return f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}"

    def _unit(self) -> str:
        if not self.params.get("samples"):
            return "batches"
        return "images" if len(self.model.input_shape) >= 3 else "samples"


def _weights_by_name(model: Any) -> dict[str, Variable]:
    """Return the weights of a built model by names such as "dense/kernel"."""
    return {name.removeprefix("layers/"): variable for name, variable in saving._weights_and_states(model)[0].items()}


def _histogram(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() == finite.max():  # NumPy's bins would be one wide together, whatever the value
        edges = finite.min() + max(abs(float(finite.min())), 1.0) * 1e-3 * np.linspace(-1, 1, bins + 1, dtype=np.float64)
        return np.histogram(finite, edges)
    return np.histogram(finite, bins)


def _new_bar(title: str, total: int | None, unit: str) -> Any:
    from tqdm.auto import tqdm  # where it is used: the import takes a while

    if total:
        form = "{desc} {bar:20} {n_fmt}/{total_fmt} [{rate_noinv_fmt}, {remaining} left{postfix}]"
    else:
        form = "{desc} {n_fmt} [{rate_noinv_fmt}, {elapsed}{postfix}]"
    return tqdm(total=total, desc=title, unit=f" {unit}", bar_format=form, dynamic_ncols=True)


def _say(text: str) -> None:
    """Print a line without tearing a progress bar."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stdout)


def _texts(logs: Mapping[str, float] | None) -> list[str]:
    return [f"{name}: {value:.4{'e' if 0 < abs(value) < 1e-3 else 'f'}}" for name, value in (logs or {}).items()]


def _mode_of(monitor: str) -> str:
    name = monitor.lower()
    if any(part in name for part in LESS_IS_BETTER):
        return "min"
    if any(part in name for part in MORE_IS_BETTER):
        return "max"
    raise ValueError(f"mode must be given for {monitor!r}: 'min' where less of it is better, 'max' where more is")


def _takes_two(schedule: Callable) -> bool:
    """Return whether a function can be called with two arguments."""
    try:
        inspect.signature(schedule).bind(0, 0.0)
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
