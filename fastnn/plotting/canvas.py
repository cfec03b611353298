"""What the pictures are drawn on."""

from __future__ import annotations

from typing import Any


def new_figure(width: float = 6.4, height: float = 4.8) -> Any:
    """Return a new figure of pyplot's, of a size in inches; ``plt.show()`` and notebooks show it."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(width, height), layout="constrained")
