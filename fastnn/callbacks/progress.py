"""Callbacks that show how training goes while it does."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from .base import Callback, Logs


class ProgressBar(Callback):
    """Shows how training goes: what `fastnn.Sequential.fit` does with ``verbose=1`` and ``verbose=2``.

    Parameters
    ----------
    verbose : {1, 2, "auto"}, default 1
        1: a bar for each epoch on stderr, with the loss, the metrics, images (or samples) per second and the time left, and, where
        an iterable gives the batches, the share of the time that was spent waiting for them.
        2: a line for each epoch on stdout. "auto": a bar where stderr is a terminal or a notebook, else lines.
    """

    every_batch = False  # type: ignore[assignment]  # a bar need not show each

    def __init__(self, verbose: int | str = 1) -> None:
        if verbose not in (1, 2, "auto"):
            raise ValueError(f"verbose must be 0, 1, 2 or 'auto'; got {verbose!r}")
        self.verbose = (1 if _shows_bars() else 2) if verbose == "auto" else verbose
        self._bar: Any = None
        self._done = 0
        self._started = self._batch_ended = self._test_started = 0.0
        self._waiting: list[str] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._started = self._batch_ended = time.perf_counter()
        self._done = 0
        self._waiting = []
        if self.verbose == 1 and sys.stderr is not None:
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
    >>> from fastnn.callbacks import LivePlot
    >>> history = model.fit(x, y, epochs=20, callbacks=[LivePlot()])  # doctest: +SKIP
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        self.names = names
        self._curves: dict[str, tuple[list[int], list[float]]] = {}
        self._live: Any = None
        self._due = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        from ..plotting import live_figure

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
        from ..plotting import HistoryDisplay

        started = time.perf_counter()
        figure, show = self._live
        figure.clear()
        self.display_ = HistoryDisplay(curves=self._curves).plot(figure, names=self.names)
        show()
        self._due = time.perf_counter() + 4 * (time.perf_counter() - started)


def _shows_bars() -> bool:
    """Say whether stderr is a terminal or a notebook; what a program without a console has in its place may not be able to tell."""
    return "ipykernel" in sys.modules or bool(getattr(sys.stderr, "isatty", bool)())


def _new_bar(title: str, total: int | None, unit: str) -> Any:
    with warnings.catch_warnings():  # of a notebook without ipywidgets, where the bar is one of text
        warnings.filterwarnings("ignore", "IProgress not found")
        from tqdm.auto import tqdm  # where it is used: the import takes a while

    if total:
        form = "{desc} {bar:20} {n_fmt}/{total_fmt} [{rate_noinv_fmt}, {remaining} left{postfix}]"
    else:
        form = "{desc} {n_fmt} [{rate_noinv_fmt}, {elapsed}{postfix}]"
    return tqdm(total=total, desc=title, unit=f" {unit}", bar_format=form, dynamic_ncols=True)


def _texts(logs: Mapping[str, float] | None) -> list[str]:
    return [f"{name}: {value:.4{'e' if 0 < abs(value) < 1e-3 else 'f'}}" for name, value in (logs or {}).items()]
