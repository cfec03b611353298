"""The base of callbacks that follow one value in the logs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .base import Callback

#: parts of names of which more is better; of the others less is
MORE_IS_BETTER = ("acc", "auc", "precision", "recall", "f1")
LESS_IS_BETTER = ("loss", "error", "mse", "mae", "crossentropy", "hinge", "huber", "perceptron")


class Monitor(Callback):
    """The base of callbacks that follow one value in the logs.

    Parameters
    ----------
    monitor : str, default "val_loss"
        Its name.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" goes by the name.
    min_delta : float, default 0.0
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
            needs = "; validation needs validation_data or validation_split (X_val and y_val, where an estimator is fitted)"
            hint = needs if self.monitor.startswith("val_") and not any(name.startswith("val_") for name in logs or ()) else ""
            there = ", ".join(map(repr, logs or ())) or "nothing"
            raise ValueError(f"{type(self).__name__} monitors {self.monitor!r}; in the logs there is {there}{hint}")
        return float(logs[self.monitor])

    def is_better(self, value: float, best: float | None) -> bool:
        """Return whether a value is better than the best so far; NaN never is."""
        if best is None:
            return not np.isnan(value)
        return value < best - self.min_delta if self.mode == "min" else value > best + self.min_delta


def _mode_of(monitor: str) -> str:
    name = monitor.lower()
    if any(part in name for part in LESS_IS_BETTER):
        return "min"
    if any(part in name for part in MORE_IS_BETTER):
        return "max"
    raise ValueError(f"mode must be given for {monitor!r}: 'min' where less of it is better, 'max' where more is")
