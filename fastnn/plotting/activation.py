"""Activations and their derivatives, as curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from .. import activations
from ..autodiff import GradientTape, Tensor
from .canvas import new_figure

#: points of a curve
POINTS = 1001
#: the legend of more functions would hide curves, and stands beside the axes
MAX_INSIDE = 4


class ActivationDisplay:
    """Activations, drawn through, and their derivatives, dashed.

    Parameters
    ----------
    x : ndarray, shape (points,)
        Where they are computed.
    values, derivatives : dict of str to ndarray, shape (points,)
        By the activation's name.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    lines_, derivative_lines_ : dict of str to matplotlib.lines.Line2D, by the activation's name

    Examples
    --------
    >>> from fastnn.plotting import ActivationDisplay
    >>> display = ActivationDisplay.from_activations("sigmoid", "tanh")
    >>> float(display.derivatives["tanh"].max())
    1.0
    """

    def __init__(self, *, x: np.ndarray, values: dict[str, np.ndarray], derivatives: dict[str, np.ndarray]) -> None:
        self.x, self.values, self.derivatives = x, values, derivatives

    @classmethod
    def from_activations(cls, *functions: Any, low: float = -5.0, high: float = 5.0, ax: Any = None) -> ActivationDisplay:
        """Draw activations.

        Parameters
        ----------
        *functions : str or callable
            Names ("relu"), functions made of `fastnn.ops`, or layers without weights; each output a function of one input.
        low, high : float, default -5.0 and 5.0
            From where to where.
        ax : matplotlib Axes, optional
            Where to draw. The legend of more than four functions stands to the right of it, where a figure of
            ``layout="constrained"`` makes room.

        Returns
        -------
        ActivationDisplay

        Raises
        ------
        TypeError, ValueError
            If there is no such activation, one of them is not elementwise (as softmax), two have the same name, or `low` is not
            below `high`.
        """
        if not functions:
            raise ValueError("functions must be one activation or more; got none")
        if not low < high:
            raise ValueError(f"low must be below high; got {low} and {high}")
        x = np.linspace(low, high, POINTS, dtype=np.float64)
        values: dict[str, np.ndarray] = {}
        derivatives: dict[str, np.ndarray] = {}
        for given in functions:
            function = activations.get(given)
            name = given if isinstance(given, str) else _name(function)
            if name in values:
                raise ValueError(f"functions must have different names; two are called {name!r}")
            values[name], derivatives[name] = _curves(function, name, x)
        return cls(x=x, values=values, derivatives=derivatives).plot(ax)

    def plot(self, ax: Any = None) -> ActivationDisplay:
        """Draw the curves; `ax` as in `from_activations`."""
        self.ax_ = new_figure().subplots() if ax is None else ax
        self.figure_ = self.ax_.figure
        for at_zero in (self.ax_.axhline, self.ax_.axvline):
            at_zero(0, color="0.75", linewidth=0.8)
        self.lines_, self.derivative_lines_ = {}, {}
        for i, name in enumerate(self.values):
            (self.lines_[name],) = self.ax_.plot(self.x, self.values[name], color=f"C{i}", label=name)
            (self.derivative_lines_[name],) = self.ax_.plot(self.x, self.derivatives[name], color=f"C{i}", linestyle="--")
        self.ax_.set(xlabel="input", xlim=(self.x[0], self.x[-1]))
        self.ax_.grid(alpha=0.3)
        dashed = Line2D([], [], color="0.4", linestyle="--", label="derivative")
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(self.values) > MAX_INSIDE else {}
        self.ax_.legend(handles=[*self.lines_.values(), dashed], **beside)
        return self


def _name(function: Any) -> str:
    """Return the name of an activation, a function or a layer."""
    known = activations.serialize(function)
    return (
        known if isinstance(known, str) else str(getattr(function, "name", getattr(function, "__name__", type(function).__name__)))
    )


def _curves(function: Any, name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and derivatives, each point as a sample of its own."""
    column, row = Tensor(x[:, np.newaxis]), Tensor(x[np.newaxis])
    with GradientTape() as tape:
        tape.watch(column)
        y = function(column)
    together = function(row)
    if y.shape != column.shape or not np.allclose(np.ravel(together.numpy()), np.ravel(y.numpy()), equal_nan=True):
        raise ValueError(f"functions must compute each element by itself to be drawn as curves; {name!r} does not")
    slope = tape.gradient(y, column)
    return y.numpy()[:, 0], np.zeros_like(x) if slope is None else slope.numpy()[:, 0]
