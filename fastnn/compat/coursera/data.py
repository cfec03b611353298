"""The data that the notebooks' helpers load: drawn, from scikit-learn, or from the files that come with a notebook.

The argument `is_plot` is that of the translated notebooks.
"""

from __future__ import annotations

import numpy as np

from .plots import scatter


def load_planar_dataset():
    """Return the flower, points X (2, 400) and classes Y (1, 400)."""
    np.random.seed(1)
    petals = []
    for label in range(2):
        angle = np.linspace(label * 3.12, (label + 1) * 3.12, 200) + np.random.randn(200) * 0.2
        radius = 4 * np.sin(4 * angle) + np.random.randn(200) * 0.2
        petals.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)]))
    return np.concatenate(petals, axis=1), np.repeat(np.array([[0, 1]], dtype="uint8"), 200, axis=1)


def load_extra_datasets():
    """Return scikit-learn's noisy circles, noisy moons, blobs, Gaussian quantiles, and points without structure."""
    from sklearn import datasets

    return (
        datasets.make_circles(n_samples=200, factor=0.5, noise=0.3),
        datasets.make_moons(n_samples=200, noise=0.2),
        datasets.make_blobs(n_samples=200, random_state=5, n_features=2, centers=6),
        datasets.make_gaussian_quantiles(mean=None, cov=0.5, n_samples=200, n_features=2, n_classes=2, shuffle=True),
        (np.random.rand(200, 2), np.random.rand(200, 2)),
    )


def load_circles(is_plot=True):
    """Return train_X (2, 300), train_Y (1, 300), test_X (2, 100), test_Y (1, 100), and with `is_plot` draw the training data."""
    from sklearn.datasets import make_circles

    np.random.seed(1)
    train = make_circles(n_samples=300, noise=0.05)
    np.random.seed(2)
    test = make_circles(n_samples=100, noise=0.05)
    if is_plot:
        scatter(train[0].T, train[1])
    return train[0].T, train[1].reshape(1, -1), test[0].T, test[1].reshape(1, -1)


def load_moons(is_plot=True):
    """Return train_X (2, 300) and train_Y (1, 300), and with `is_plot` draw them."""
    from sklearn.datasets import make_moons

    np.random.seed(3)
    X, y = make_moons(n_samples=300, noise=0.2)
    if is_plot:
        scatter(X.T, y)
    return X.T, y.reshape(1, -1)


def load_2D_dataset(is_plot=True):
    """Return train_X, train_Y, test_X, test_Y of the notebook's ``datasets/data.mat``, and with `is_plot` draw the first two."""
    from scipy.io import loadmat

    data = loadmat("datasets/data.mat")
    if is_plot:
        scatter(data["X"].T, data["y"])
    return data["X"].T, data["y"].T, data["Xval"].T, data["yval"].T


def load_data():
    """Return the pictures of cats in ``datasets/*_catvnoncat.h5``, which come with the notebook (needs the package h5py).

    Returns
    -------
    train_x, train_y, test_x, test_y, classes : ndarray
        Pictures (m, 64, 64, 3) of bytes and labels (1, m).
    """
    import h5py

    with h5py.File("datasets/train_catvnoncat.h5") as train, h5py.File("datasets/test_catvnoncat.h5") as test:
        return (
            np.array(train["train_set_x"]),
            np.array(train["train_set_y"]).reshape(1, -1),
            np.array(test["test_set_x"]),
            np.array(test["test_set_y"]).reshape(1, -1),
            np.array(test["list_classes"]),
        )
