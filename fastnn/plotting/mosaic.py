"""Many small pictures in one: tiles in rows and columns, numbered at the edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .canvas import new_figure, shortened

#: inches of the longer side of a new figure
SIZE = 6.4
#: most numbers along an edge
MAX_TICKS = 10
#: characters of a layer's name in a title
MAX_NAME = 32


def grid_columns(tiles: int) -> int:
    """Return how many columns make a grid about as wide as high, or somewhat wider, with full rows if there is such a number."""
    root = math.ceil(math.sqrt(tiles))
    return next((columns for columns in range(root, 2 * root) if tiles % columns == 0), math.ceil(math.sqrt(1.5 * tiles)))


def draw_mosaic(ax: Any, tiles: np.ndarray, columns: int, **options: Any) -> Any:
    """Draw tiles, and return what `imshow` returned.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Where to draw; None for a new figure.
    tiles : ndarray, shape (n, height, width) or (n, height, width, 3)
        What is shown, row by row. Between tiles there is a gap, a pixel wide or more, unless they are single pixels.
    columns : int
        Tiles in a row.
    **options
        As for `imshow`.
    """
    n, height, width = tiles.shape[:3]
    gap = 0 if height == width == 1 else max(1, max(height, width) // 12)
    rows = -(-n // columns)
    pitch = (height + gap, width + gap)
    shown = np.full((rows * pitch[0] - gap, columns * pitch[1] - gap, *tiles.shape[3:]), np.nan, dtype=np.float64)
    for i, tile in enumerate(tiles):
        top, left = i // columns * pitch[0], i % columns * pitch[1]
        shown[top : top + height, left : left + width] = tile
    if shown.ndim == 3:  # colours are white where there is nothing
        shown = np.where(np.isnan(shown), 1.0, shown)
    if ax is None:
        scale = SIZE / max(shown.shape[:2])
        figure = new_figure(max(3.0, shown.shape[1] * scale) + 1, max(1.2, shown.shape[0] * scale) + 0.6)
        figure.set_layout_engine("compressed")
        ax = figure.subplots()
    image = ax.imshow(shown, interpolation="nearest", **options)
    for axis, count, extent, side in ((ax.xaxis, columns, width, pitch[1]), (ax.yaxis, rows, height, pitch[0])):
        steps = (digit * 10**power for power in range(10) for digit in (1, 2, 5))
        numbers = range(0, count, next(step for step in steps if count <= step * MAX_TICKS))
        axis.set_ticks([number * side + (extent - 1) / 2 for number in numbers], labels=[str(number) for number in numbers])
        axis.set_tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def set_title(ax: Any, name: str, count: int, what: str, size: tuple[int, ...]) -> None:
    """Write a layer's name, and below it what the tiles are."""
    ax.set_title(
        f"{shortened(name, MAX_NAME)}\n{count} {what}{'s' if count > 1 else ''} of {'x'.join(map(str, size))}", fontsize="medium"
    )


def number_tiles(ax: Any, columns: int) -> None:
    """Number the tiles by the first one of each row, and how many further it is to the right."""
    ax.set_xticks(ax.get_xticks(), labels=[f"+{label.get_text()}" for label in ax.get_xticklabels()])
    ax.set_yticks(ax.get_yticks(), labels=[str(int(label.get_text()) * columns) for label in ax.get_yticklabels()])
