"""What the pictures are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator

#: panels in a row
MAX_COLUMNS = 3


def new_figure(width: float = 6.4, height: float = 4.8) -> Any:
    """Return a new figure of pyplot's, of a size in inches; ``plt.show()`` and notebooks show it."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")


def panel_axes(ax: Any, names: Sequence[str], size: tuple[float, float]) -> np.ndarray:
    """Return axes for panels with names.

    Parameters
    ----------
    ax : matplotlib Axes, array of Axes, Figure or None
        As many axes as there are panels; an empty figure, which takes the size that they need; or None for a new one.
    names : sequence of str
        What the panels show.
    size : (float, float)
        Width and height of a panel in inches.

    Raises
    ------
    ValueError
        If there are more or fewer axes than panels.
    """
    if ax is None:
        ax = new_figure()
    if isinstance(ax, Figure):
        columns = min(len(names), MAX_COLUMNS)
        rows = -(-len(names) // columns)
        ax.set_size_inches(size[0] * columns, size[1] * rows)
        axes = ax.subplots(rows, columns, squeeze=False).ravel()
        for unused in axes[len(names) :]:
            unused.remove()
        return axes[: len(names)]
    axes = np.atleast_1d(ax).ravel()
    if len(axes) != len(names):
        raise ValueError(f"ax must be {len(names)} axes, one for each of {', '.join(names)}; got {len(axes)}. names= chooses")
    return axes


class EpochLocator(MaxNLocator):
    """Ticks at epochs, which are whole numbers: also where there is a single one, and none in the margin before the first."""

    def __init__(self, first: int) -> None:
        super().__init__(integer=True, min_n_ticks=1)
        self.first = first

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        return [tick for tick in super().tick_values(vmin, vmax) if tick >= self.first]


def count_epochs(ax: Any, first: int) -> None:
    """Make the horizontal axis one of epochs from the first one on."""
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(EpochLocator(first))


def points_axes(ax: Any, width: float, height: float) -> tuple[Any, float]:
    """Return bare axes with points, 1/72 inch, as units and y downwards, and a factor for the sizes of text in it.

    Parameters
    ----------
    ax : matplotlib Axes, Figure or None
        Axes that are to hold it all; an empty figure, which becomes just as large; or None for a new one.
    width, height : float
        Of the whole.
    """
    scale = 1.0
    if ax is None:
        ax = new_figure()
    if isinstance(ax, Figure):
        ax.set_layout_engine("none")
        ax.set_size_inches(width / 72, height / 72)
        ax = ax.add_axes((0, 0, 1, 1))
    else:
        scale = scale_in(ax, width, height)
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal", autoscale_on=False)
    ax.set_axis_off()
    return ax, scale


def scale_in(ax: Any, width: float, height: float) -> float:
    """Return by how much something of a size in points grows when it fills axes."""
    box = ax.get_window_extent()
    return min(box.width / width, box.height / height) * 72 / ax.figure.dpi


def text_width(text: str, size: float) -> float:
    """Return the width of a text in points."""
    return TextPath((0, 0), text, size=size).get_extents().width if text.strip() else 0.0


def shortened(text: str, length: int) -> str:
    """Return a text of at most so many characters, with an ellipsis for what is left out."""
    return text if len(text) <= length else text[: length - 1] + "…"
