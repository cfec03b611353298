"""The book's data sets, drawn from NumPy's legacy generator as `nnfs.datasets` draws them."""

from __future__ import annotations

import numpy as np


def spiral_data(samples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (samples * classes, 2) on as many arms of a spiral as there are classes, and their classes (uint8)."""

    def arm(label):
        radius = np.linspace(0.0, 1.0, samples)
        angle = 2.5 * (np.linspace(label * 4, (label + 1) * 4, samples) + np.random.randn(samples) * 0.2)
        return radius * np.sin(angle), radius * np.cos(angle)

    return _classes(arm, samples, classes)


def vertical_data(samples: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (samples * classes, 2) in clusters side by side, and their classes (uint8)."""

    def cluster(label):
        across = np.random.randn(samples) * 0.1 + label / 3
        return across, np.random.randn(samples) * 0.1 + 0.5

    return _classes(cluster, samples, classes)


def sine_data(samples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return x (samples, 1) from 0 to below 1 and ``sin(2 * pi * x)``."""
    x = np.arange(samples).reshape(-1, 1) / samples
    return x, np.sin(2 * np.pi * x)


def _classes(points, samples, classes):
    x = np.zeros((samples * classes, 2))  # the one bare np.zeros: float32 after `init`, float64 else, as the book has it
    for label in range(classes):
        rows = slice(samples * label, samples * (label + 1))
        x[rows, 0], x[rows, 1] = points(label)
    return x, np.repeat(np.arange(classes, dtype="uint8"), samples)
