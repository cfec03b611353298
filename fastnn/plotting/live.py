"""A figure that is shown while it changes: in a notebook, or in a window of matplotlib's."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def live_figure() -> tuple[Figure, Callable[[], Any]] | None:
    """Return an empty figure and a function that shows it as it is by then, or None where nothing can show it."""
    if "ipykernel" in sys.modules:
        from IPython.display import HTML, DisplayHandle, Image

        figure, handle = Figure(layout="constrained"), DisplayHandle()
        handle.display(HTML(""))

        def show() -> None:
            file = io.BytesIO()
            figure.savefig(file, format="png")
            handle.update(Image(file.getvalue()))

        return figure, show
    figure = plt.figure(layout="constrained")
    if figure.canvas.required_interactive_framework is not None:
        return figure, lambda: plt.pause(0.001)
    plt.close(figure)
    return None
