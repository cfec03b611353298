"""Learning curves: the loss and the metrics by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..callbacks import History
from .canvas import count_epochs, panel_axes, shortened

#: width and height of a panel in inches
PANEL = (4.2, 3.3)
#: curves of more epochs have no marker at each of them
MAX_MARKERS = 40
#: characters of a name that fit a panel
MAX_NAME = 36

Curve = tuple[Sequence[int], Sequence[float]]


class HistoryDisplay:
    """Learning curves: a panel for the loss and for each metric, with training and validation in it.

    Parameters
    ----------
    curves : dict of str to (epochs, values)
        Epochs, counted from 1, and values by name. ``"val_loss"`` is drawn into the panel of ``"loss"``.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    axes_ : ndarray of matplotlib.axes.Axes, one for each panel
    lines_ : dict of str to matplotlib.lines.Line2D, by the names of the curves

    Notes
    -----
    scikit-learn's `LearningCurveDisplay` is something else: scores by the number of training samples.

    Examples
    --------
    >>> from fastnn.plotting import HistoryDisplay
    >>> history = {"loss": [0.9, 0.4, 0.3], "val_loss": [0.8, 0.5, 0.6]}
    >>> display = HistoryDisplay.from_history(history)
    >>> display.axes_[0].get_ylabel()
    'loss'
    """

    def __init__(self, *, curves: Mapping[str, Curve]) -> None:
        self.curves = dict(curves)

    @classmethod
    def from_history(cls, history: Any, *, names: Sequence[str] | None = None, ax: Any = None) -> HistoryDisplay:
        """Draw what a training left.

        Parameters
        ----------
        history : History or dict of str to list of float
            What `fastnn.Sequential.fit` returned, or its ``history``.
        names : sequence of str, optional
            What to draw, such as ``["loss"]``, each with its validation; everything by default.
        ax : matplotlib Axes, array of Axes, or Figure, optional
            Where to draw: as many axes as there are panels, or an empty figure, which takes the size that they need.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        TypeError
            If it is no history.
        ValueError
            If the history is empty, a name is not in it, or a curve does not have a value for each epoch.
        """
        values = history.history if isinstance(history, History) else history
        if not isinstance(values, Mapping):
            raise TypeError(f"history must be what fit returned, or a dict of lists; got {type(history).__name__}")
        if not values:
            raise ValueError("history is empty: train for at least one epoch first")
        epochs = [epoch + 1 for epoch in history.epoch] if isinstance(history, History) else None
        for name, column in values.items():
            epochs = list(range(1, len(column) + 1)) if epochs is None else epochs
            if len(column) != len(epochs):
                raise ValueError(f"history must have a value for each of its {len(epochs)} epochs; {name!r} has {len(column)}")
        return cls(curves={name: (epochs or [], column) for name, column in values.items()}).plot(ax, names=names)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> HistoryDisplay:
        """Draw the learning curves that a fitted estimator keeps, fastnn's or scikit-learn's.

        Parameters
        ----------
        estimator : estimator
            With a ``loss_curve_`` and, where it had validation samples, ``validation_loss_curve_`` or ``validation_scores_``. Of a
            pipeline its last step, of a search, such as `GridSearchCV`, its best estimator.
        ax : matplotlib Axes, array of Axes, or Figure, optional
            Where to draw: as many axes as there are panels, or an empty figure, which takes the size that they need.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        ValueError
            If it has no loss curve: not fitted, or by the solver "lbfgs", which keeps none.
        """
        kept = {"loss": "loss_curve_", "val_loss": "validation_loss_curve_", "val_score": "validation_scores_"}
        last = getattr(estimator, "best_estimator_", estimator)
        if hasattr(last, "steps"):  # of a pipeline
            last = last.steps[-1][1]
        found = {name: getattr(last, attribute, None) for name, attribute in kept.items()}
        if not found["loss"]:
            raise ValueError(f"estimator must be fitted and have a loss_curve_ (solver='lbfgs' keeps none); got {last!r}")
        curves = {name: (range(1, len(values) + 1), values) for name, values in found.items() if values}
        return cls(curves=curves).plot(ax)

    def plot(self, ax: Any = None, *, names: Sequence[str] | None = None) -> HistoryDisplay:
        """Draw the curves; for the arguments see `from_history`."""
        panels = self._panels(names)
        self.axes_ = panel_axes(ax, list(panels), PANEL)
        self.figure_ = self.axes_[0].figure
        self.lines_: dict[str, Any] = {}
        for axes, (title, curves) in zip(self.axes_, panels.items(), strict=True):
            for name in curves:
                epochs, values = self.curves[name]
                validation = name.startswith("val_")
                (self.lines_[name],) = axes.plot(
                    epochs,
                    values,
                    color="C1" if validation else "C0",
                    label="validation" if validation else "training",
                    marker="o" if len(epochs) <= MAX_MARKERS else None,
                    markersize=4,
                )
            axes.set_ylabel(shortened(title, MAX_NAME))
            count_epochs(axes, 1)
            axes.grid(alpha=0.3)
            if f"val_{title}" in curves:
                axes.legend()
        return self

    def _panels(self, names: Sequence[str] | None) -> dict[str, list[str]]:
        """Return the names of the curves in each panel."""
        panels: dict[str, list[str]] = {}
        for name in self.curves:
            panels.setdefault(name.removeprefix("val_"), []).append(name)
        if names is None:
            return panels
        unknown = [name for name in names if name not in panels]
        if unknown or isinstance(names, str) or not names:
            raise ValueError(f"names must be a list of some of {', '.join(map(repr, panels))}; got {names!r}")
        return {name: panels[name] for name in names}
