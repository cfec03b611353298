"""What the pictures are drawn on."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.textpath import TextPath


def new_figure(width: float = 6.4, height: float = 4.8) -> Any:
    """Return a new figure of pyplot's, of a size in inches; ``plt.show()`` and notebooks show it."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")


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
