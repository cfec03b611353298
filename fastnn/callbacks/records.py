"""Callbacks that keep what happened: tables, event files, histograms."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import saving
from ..autodiff import GradientTape, Variable
from ..files import replace_file
from .base import Callback, Logs


class CSVLogger(Callback):
    """Writes a row for each epoch to a CSV file: the epoch, counted from 0, and the logs.

    Parameters
    ----------
    filename : str or path
        The file.
    separator : str, default ","
        What stands between columns.
    append : bool, default False
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
        with open(self.filename, newline="", encoding="utf-8") as file:
            return file.read()

    @text.setter
    def text(self, text: str) -> None:
        replace_file(self.filename, text.encode())
        self._names = self._read()[0]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        open(self.filename, "a").close()  # what cannot be written to shows now; old rows stay until there are new ones
        self._names = self._read()[0] if self.append else []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        new = [name for name in row if name not in self._names]
        if new:
            rows = self._read()[1] if self._names else []
            self._names = [*self._names, *new]
            self.text = self._csv([*rows, row], header=True)
        else:
            with open(self.filename, "a", newline="", encoding="utf-8") as file:
                file.write(self._csv([row]))

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        with open(self.filename, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter=self.separator)
            return list(reader.fieldnames or ()), list(reader)

    def _csv(self, rows: Sequence[Mapping[str, Any]], header: bool = False) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._names, restval="NA", delimiter=self.separator, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


class TensorBoard(Callback):
    """Writes the loss and the metrics of each epoch to event files, which ``tensorboard --logdir logs`` shows. Needs tensorboardX.

    As with Keras's callback, training and validation are two runs, ``train`` and ``validation`` in `log_dir`, with the tags
    "epoch_loss", "epoch_accuracy", ..., and the learning rate is "epoch_learning_rate".

    A second after the end of an epoch at the latest its values are in the files.

    Parameters
    ----------
    log_dir : str or path, default "logs"
        The folder; it is made if need be. A folder for each training keeps them apart.
    histogram_freq : int, default 0
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
            for name, variable in weights_by_name(self.model).items():
                self._writer("train").add_histogram(name, variable.data, epoch)

    def _close(self) -> None:
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


class HistogramRecorder(Callback):
    """Records how the weights, and the gradients, are distributed: before training and after each epoch.

    `fastnn.plotting.HistogramsDisplay` draws it.

    Parameters
    ----------
    x, y : array_like, optional
        Samples whose gradients are recorded, a batch of some hundred; without them, only weights are.
    bins : int, default 50
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
        weights = weights_by_name(self.model)
        for name, variable in weights.items():
            self.weights.setdefault(name, []).append(_histogram(variable.data, self.bins))
        if self.x is not None:
            trained = {name: variable for name, variable in weights.items() if variable.trainable}
            for name, gradient in zip(trained, self._gradients(list(trained.values())), strict=True):
                self.gradients.setdefault(name, []).append(_histogram(gradient, self.bins))

    def _gradients(self, weights: list[Variable]) -> list[np.ndarray]:
        x, y, _ = self.model._prepare(self.x, self.y, None, None)
        with GradientTape() as tape:
            loss = self.model.loss(y, self.model(x))
            for penalty in self.model.losses:
                loss = loss + penalty
        gradients = tape.gradient(loss, weights)
        return [np.zeros_like(w.data) if g is None else g.data for w, g in zip(weights, gradients, strict=True)]


def weights_by_name(model: Any) -> dict[str, Variable]:
    """Return the weights of a built model by names such as "dense/kernel"."""
    return {name.removeprefix("layers/"): variable for name, variable in saving.weights_and_states(model)[0].items()}


def _histogram(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() == finite.max():  # NumPy's bins would be one wide together, whatever the value
        edges = finite.min() + max(abs(float(finite.min())), 1.0) * 1e-3 * np.linspace(-1, 1, bins + 1, dtype=np.float64)
        return np.histogram(finite, edges)
    return np.histogram(finite, bins)
