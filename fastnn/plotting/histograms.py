"""How weights and gradients are distributed, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..callbacks import HistogramRecorder
from .canvas import count_epochs, panel_axes, shortened

#: width and height of a panel in inches
PANEL = (3.6, 2.7)
#: characters of a layer's name that fit a panel
MAX_NAME = 22

Histogram = tuple[np.ndarray, np.ndarray]


class HistogramsDisplay:
    """How weights, or gradients, are distributed: a panel for each weight, and in it a column for each epoch.

    The darker, the more elements have that value; the fullest bin of each epoch is darkest.

    Parameters
    ----------
    epochs : sequence of int, length n
        The epochs; 0 is before the training.
    histograms : dict of str to list of (counts, edges), length n
        By the weight's name.
    what : {"weights", "gradients"}
        What they are.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    axes_ : ndarray of matplotlib.axes.Axes, one for each panel
    meshes_ : dict of str to matplotlib.collections.QuadMesh, by the weight's name

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn
    >>> from fastnn import layers
    >>> from fastnn.plotting import HistogramsDisplay
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> model = fastnn.Sequential([layers.Input((3,)), layers.Dense(1, name="out")])
    >>> model.compile("sgd", "mse")
    >>> recorder = fastnn.callbacks.HistogramRecorder(x, x[:, :1])
    >>> history = model.fit(x, x[:, :1], epochs=3, verbose=0, callbacks=[recorder])
    >>> list(HistogramsDisplay.from_recorder(recorder, what="gradients").meshes_)
    ['out/kernel', 'out/bias']
    """

    def __init__(self, *, epochs: Sequence[int], histograms: Mapping[str, Sequence[Histogram]], what: str) -> None:
        self.epochs, self.histograms, self.what = list(epochs), dict(histograms), what

    @classmethod
    def from_recorder(
        cls, recorder: HistogramRecorder, *, what: str = "weights", names: Sequence[str] | None = None, ax: Any = None
    ) -> HistogramsDisplay:
        """Draw what a callback recorded.

        Parameters
        ----------
        recorder : fastnn.callbacks.HistogramRecorder
            The callback, after the training.
        what : {"weights", "gradients"}, default "weights"
            What to draw.
        names : sequence of str, optional
            Which weights, such as ``["dense/kernel"]``; all by default.
        ax : matplotlib Axes, array of Axes, or Figure, optional
            Where to draw: as many axes as there are panels, or an empty figure, which takes the size that they need.

        Returns
        -------
        HistogramsDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no recorder, it has not recorded what is to be drawn, or a name is not there.
        """
        if not isinstance(recorder, HistogramRecorder):
            raise TypeError(f"recorder must be a fastnn.callbacks.HistogramRecorder; got {type(recorder).__name__}")
        if what not in ("weights", "gradients"):
            raise ValueError(f"what must be 'weights' or 'gradients'; got {what!r}")
        histograms = recorder.weights if what == "weights" else recorder.gradients
        if not histograms:
            hint = "; they need HistogramRecorder(x, y)" if what == "gradients" and recorder.weights else ": give it to fit first"
            raise ValueError(f"recorder has recorded no {what}{hint}")
        return cls(epochs=recorder.epochs, histograms=histograms, what=what).plot(ax, names=names)

    def plot(self, ax: Any = None, *, names: Sequence[str] | None = None) -> HistogramsDisplay:
        """Draw the histograms; for the arguments see `from_recorder`."""
        chosen = list(self.histograms) if names is None else list(names)
        if not chosen or isinstance(names, str) or not set(chosen) <= set(self.histograms):
            raise ValueError(f"names must be a list of some of {', '.join(map(repr, self.histograms))}; got {names!r}")
        self.axes_ = panel_axes(ax, chosen, PANEL)
        self.figure_ = self.axes_[0].figure
        self.meshes_ = {}
        for axes, name in zip(self.axes_, chosen, strict=True):
            # edges make bins visible that are thinner than a pixel
            shades = {"cmap": "Blues", "vmin": 0, "vmax": 1, "edgecolor": "face", "linewidth": 0.5}
            self.meshes_[name] = axes.pcolormesh(*self._mesh(self.histograms[name]), **shades)
            layer, _, weight = name.rpartition("/")
            axes.set_title(f"{shortened(layer, MAX_NAME)}/{weight}", fontsize="medium")
            axes.set_ylabel("gradient" if self.what == "gradients" else "weight")
            count_epochs(axes, self.epochs[0])
        return self

    def _mesh(self, histograms: Sequence[Histogram]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return corners and shades of all epochs' bins in one mesh, where between two epochs there is a column of no width."""
        counts = np.array([counts for counts, _ in histograms], dtype=np.float64)
        edges = np.array([edges for _, edges in histograms], dtype=np.float64)
        y = np.repeat(edges.T, 2, axis=1)
        x = np.broadcast_to(np.array([(epoch - 0.5, epoch + 0.5) for epoch in self.epochs], dtype=np.float64).ravel(), y.shape)
        shades = np.full((counts.shape[1], 2 * len(counts) - 1), np.nan, dtype=np.float64)
        shades[:, ::2] = (counts / np.maximum(counts.max(axis=1, keepdims=True), 1)).T
        return x, y, np.where(shades > 0, shades, np.nan)
