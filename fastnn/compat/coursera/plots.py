"""The pictures that the notebooks' helpers draw, with matplotlib."""

from __future__ import annotations

import numpy as np


def scatter(X, y):
    """Draw points X (2, m) in the colors of their classes."""
    import matplotlib.pyplot as plt

    plt.scatter(X[0], X[1], c=np.reshape(y, -1), s=40, cmap="Spectral")


def plot_decision_boundary(model, X, y):
    """Draw what `model` answers on a grid around points X (2, m), and the points; `model` takes points (n, 2)."""
    import matplotlib.pyplot as plt

    across, down = (np.arange(row.min() - 1, row.max() + 1, 0.01) for row in np.asarray(X))
    xx, yy = np.meshgrid(across, down)
    answers = np.reshape(model(np.stack([xx.reshape(-1), yy.reshape(-1)], axis=1)), xx.shape)
    plt.contourf(xx, yy, answers, cmap="Spectral")
    plt.xlabel("x1")
    plt.ylabel("x2")
    plt.scatter(X[0], X[1], c=np.reshape(y, -1), cmap="Spectral")
    plt.show()


def print_mislabeled_images(classes, X, y, p):
    """Draw the pictures, columns of X (64 * 64 * 3, m), whose prediction `p` is not the label `y`, both (1, m)."""
    import matplotlib.pyplot as plt

    wrong = np.flatnonzero(np.reshape(p, -1) != np.reshape(y, -1))
    plt.rcParams["figure.figsize"] = (40.0, 40.0)
    for place, index in enumerate(wrong, start=1):
        plt.subplot(2, len(wrong), place)
        plt.imshow(X[:, index].reshape(64, 64, 3), interpolation="nearest")
        plt.axis("off")
        names = (classes[int(values[0, index])].decode("utf-8") for values in (p, y))
        plt.title("Prediction: {} \n Class: {}".format(*names))
