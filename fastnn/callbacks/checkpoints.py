"""Callbacks that write the model, or all that a training needs to go on, to files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from .. import files, random, saving
from .base import Callback, Logs, say
from .monitor import Monitor


class ModelCheckpoint(Monitor):
    """Saves the model, or its weights, after epochs or every so many batches.

    Parameters
    ----------
    filepath : str or path
        Where to; names in braces stand for the epoch, counted from 1, and for values of the logs, as in
        ``"{epoch:02d}-{val_loss:.2f}.safetensors"``. Folders are made.
    monitor : str, default "val_loss"
        The value that says which model is best.
    verbose : int, default 0
        Whether to print what is saved.
    save_best_only : bool, default False
        Whether to save only when the value is better than ever before.
    save_weights_only : bool, default False
        Whether to leave the architecture and the optimizer out.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" goes by the name.
    save_freq : "epoch" or int, default "epoch"
        When to save: after each epoch, or after so many batches.
    initial_value_threshold : float, optional
        A value that the first model saved must beat.

    Examples
    --------
    >>> from fastnn.callbacks import ModelCheckpoint
    >>> best = ModelCheckpoint("best.safetensors", "val_accuracy", save_best_only=True)
    >>> history = model.fit(x, y, epochs=20, validation_split=0.2, callbacks=[best])  # doctest: +SKIP
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
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
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
            say(f"Epoch {self._epoch + 1}: saved {'weights' if self.save_weights_only else 'model'} to {path}")

    def _path(self, names: Mapping[str, float]) -> str:
        try:
            return self.filepath.format(**names)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"filepath {self.filepath!r} cannot be filled in ({error}); there is {', '.join(names)}") from None


class BackupAndRestore(Callback):
    """Keeps a checkpoint of the training, with which training goes on after an interruption, exactly as if there had been none.

    After each epoch, when all other callbacks have seen it, the checkpoint in the folder is replaced. A `fit` that finds one there
    begins behind its last epoch with what it holds: the weights, the state of the optimizer with its place in the learning-rate
    schedule, the random numbers of the process and of the layers (order of the samples, dropout), the state of the other
    callbacks, and the history. So two epochs and two after the interruption give the weights of four.

    Parameters
    ----------
    backup_dir : str or path
        The folder, of this training alone; it is made. Its only file, ``latest.safetensors``, is of the format of `fastnn.saving`
        and replaced as a whole: a process killed at any moment leaves the checkpoint of before or the one of after.
    delete_checkpoint : bool, default True
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
    >>> from fastnn.callbacks import BackupAndRestore
    >>> backup = BackupAndRestore("backup")
    >>> history = model.fit(x, y, epochs=100, callbacks=[backup])  # doctest: +SKIP
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

    def _close(self) -> None:
        self.callbacks = ()  # of which this is one

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
