"""The images that were taken for something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .canvas import points_axes, scale_in, shortened, text_width
from .classes import gathered, names_of_classes, true_and_predicted
from .images import as_fractions
from .mosaic import grid_columns

# lengths are in points
IMAGE = 64.0  # the longer side of an image
GAP = 14.0
LINE = 12.0
FONT_SIZE = 9
TITLE_SIZE = 11
HEADER = 44.0
MAX_WIDTH = 620.0
#: characters of a class name that are shown
MAX_NAME = 24

TRUE, PREDICTED = "#15803d", "#b91c1c"


class MisclassifiedDisplay:
    """Images that were misclassified, each with its class above the one that was predicted.

    Parameters
    ----------
    images : ndarray, shape (wrong, height, width) or (wrong, height, width, 3 or 4)
        All of them, in [0, 1].
    y_true, y_pred : sequence of str, length wrong
        Names of the classes.
    indices : ndarray of int, shape (wrong,)
        Which samples they are.
    samples : int
        How many there were in all.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
    ax_ : matplotlib.axes.Axes
    images_ : list of matplotlib.image.AxesImage
    texts_ : list of (Text, Text), the true and the predicted class of each image
    title_ : matplotlib.text.Text

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.plotting import MisclassifiedDisplay
    >>> images = np.random.default_rng(0).random((3, 8, 8))
    >>> display = MisclassifiedDisplay.from_predictions([0, 1, 2], [0, 2, 1], images)
    >>> display.indices
    array([1, 2])
    """

    def __init__(
        self, *, images: np.ndarray, y_true: Sequence[str], y_pred: Sequence[str], indices: np.ndarray, samples: int
    ) -> None:
        self.images, self.y_true, self.y_pred, self.indices, self.samples = images, y_true, y_pred, indices, samples

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        images: Any,
        *,
        display_labels: Sequence[str] | None = None,
        data_format: str = "channels_last",
        max_images: int = 25,
        ax: Any = None,
    ) -> MisclassifiedDisplay:
        """Draw the images whose predicted class is not the true one.

        Parameters
        ----------
        y_true, y_pred : array_like, shape (n_samples,)
            Classes.
        images : array_like, shape (n_samples, height, width) or (n_samples, height, width, channels)
            With 1, 3 or 4 channels: bytes, or floats, which are stretched to black and white where they are not in [0, 1].
        display_labels : sequence of str, optional
            Names of the classes, which then must be integers from 0.
        data_format : {"channels_last", "channels_first"}, default "channels_last"
            Where the channels are.
        max_images : int, default 25
            Most images that are drawn; the first ones.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        MisclassifiedDisplay

        Raises
        ------
        ValueError
            If shapes do not fit, or a class has no name.
        """
        true, predicted, pictures = np.asarray(y_true), np.asarray(y_pred), np.asarray(images)
        if true.ndim != 1 or true.shape != predicted.shape or len(pictures) != len(true):
            raise ValueError(
                "y_true and y_pred must have shape (n_samples,) for n_samples images; "
                f"got {true.shape}, {predicted.shape} and {len(pictures)} images"
            )
        wrong = np.flatnonzero(true != predicted)
        return cls(
            images=as_fractions(pictures[wrong], data_format),
            y_true=_names(true[wrong], display_labels),
            y_pred=_names(predicted[wrong], display_labels),
            indices=wrong,
            samples=len(true),
        ).plot(ax, max_images=max_images)

    @classmethod
    def from_model(cls, model: Any, x: Any, y: Any = None, **kwargs: Any) -> MisclassifiedDisplay:
        """Draw the images that a model misclassifies.

        Parameters
        ----------
        model : Sequential
            Its outputs are classes, or one output for two of them.
        x : array_like, shape (n_samples, height, width) or (n_samples, height, width, channels), or iterable of batches
            Images, or images and classes, such as `fastnn.datasets.image_folder` gives them; all are held in memory.
        y : array_like, shape (n_samples,), (n_samples, 1) or (n_samples, classes), optional
            Classes, or one-hot rows.
        **kwargs
            As for `from_predictions`; `display_labels` are by default what the folder or the model calls the classes.

        Returns
        -------
        MisclassifiedDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no such model, or the data does not fit it.
        """
        images, y = gathered(x, y)
        classes = true_and_predicted(model, images, y)
        return cls.from_predictions(*classes, images, **{"display_labels": names_of_classes(model, x), **kwargs})

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, image_shape: Sequence[int] | None = None, **kwargs: Any
    ) -> MisclassifiedDisplay:
        """Draw the images that a classifier of scikit-learn's kind misclassifies.

        Parameters
        ----------
        estimator : classifier
            Fitted.
        X : array_like, shape (n_samples, n_features) or (n_samples, height, width, ...)
            What it predicts from.
        y : array_like, shape (n_samples,)
            Classes.
        image_shape : sequence of int, optional
            Shape of an image, such as ``(8, 8)``, where `X` has a row of pixels for each.
        **kwargs
            As for `from_predictions`.

        Returns
        -------
        MisclassifiedDisplay

        Raises
        ------
        ValueError
            If `image_shape` is not that of the rows of `X`, or is missing where `X` has rows.
        """
        images = np.asarray(X)
        if image_shape is not None:
            if images.ndim != 2 or images.shape[1] != np.prod(image_shape):
                raise ValueError(f"image_shape must be that of the rows of X, {images.shape}; got {tuple(image_shape)}")
            images = images.reshape(len(images), *image_shape)
        elif images.ndim == 2:
            raise ValueError(f"X has rows of {images.shape[1]} pixels: give the shape of an image, as in image_shape=(8, 8)")
        return cls.from_predictions(y, estimator.predict(X), images, **kwargs)

    def plot(self, ax: Any = None, *, max_images: int = 25) -> MisclassifiedDisplay:
        """Draw the images; for the arguments see `from_predictions`."""
        count = min(len(self.images), max_images)
        pairs = [[shortened(name, MAX_NAME) for name in pair] for pair in zip(self.y_true, self.y_pred, strict=True)][:count]
        rows, columns = self.images.shape[1:3]
        height, width = IMAGE * rows / max(rows, columns, 1), IMAGE * columns / max(rows, columns, 1)
        cell = max([width, *(text_width(name, FONT_SIZE) for pair in pairs for name in pair)]) + GAP
        down = height + 2 * LINE + GAP
        wrong = len(self.images)
        title = f"{wrong:,} of {self.samples:,} misclassified" + (f", the first {count} shown" if count < wrong else "")

        def extent(across: int) -> tuple[float, float]:
            return max(cell * across, text_width(title, TITLE_SIZE)) + GAP, HEADER + down * -(-count // across)

        if ax is None:
            across = min(grid_columns(max(count, 1)), max(1, int(MAX_WIDTH / cell)))
        else:  # the number of columns with which everything is largest
            across = max(range(1, max(count, 1) + 1), key=lambda columns: scale_in(ax, *extent(columns)))
        whole = extent(across)[0]
        self.ax_, scale = points_axes(ax, *extent(across))
        self.figure_ = self.ax_.figure
        self.title_ = self.ax_.text(whole / 2, 12, title, size=TITLE_SIZE * scale, ha="center", va="center")
        if count:  # what the colours mean
            for side, offset, name, color in (("right", -6, "true", TRUE), ("left", 6, "predicted", PREDICTED)):
                self.ax_.text(whole / 2 + offset, 30, name, color=color, size=FONT_SIZE * scale, ha=side, va="center")
        self.images_, self.texts_ = [], []
        for i, (image, names) in enumerate(zip(self.images[:count], pairs, strict=True)):
            x, y = whole / 2 + cell * (i % across + 0.5 - across / 2), HEADER + down * (i // across)
            place = (x - width / 2, x + width / 2, y + height, y)
            self.images_.append(self.ax_.imshow(image, cmap="gray", vmin=0, vmax=1, extent=place, interpolation="nearest"))
            self.texts_.append(
                tuple(
                    self.ax_.text(
                        *(x, y + height + LINE * (line + 0.6), name), color=color, size=FONT_SIZE * scale, ha="center", va="center"
                    )
                    for line, (name, color) in enumerate(zip(names, (TRUE, PREDICTED), strict=True))
                )
            )
        return self


def _names(classes: np.ndarray, display_labels: Sequence[str] | None) -> list[str]:
    if display_labels is None:
        return [str(label) for label in classes.tolist()]
    if classes.dtype.kind not in "iu" or (classes.size and not 0 <= classes.min() <= classes.max() < len(display_labels)):
        raise ValueError(f"display_labels must have a name for each class, integers from 0; there are classes {np.unique(classes)}")
    return [str(display_labels[label]) for label in classes]
