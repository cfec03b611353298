"""Confusion matrices: scikit-learn's display, of models too."""

from __future__ import annotations

from typing import Any

from sklearn import metrics

from .classes import gathered, names_of_classes, true_and_predicted


class ConfusionMatrixDisplay(metrics.ConfusionMatrixDisplay):
    """scikit-learn's `sklearn.metrics.ConfusionMatrixDisplay`, which `from_model` makes of a `fastnn.Sequential`.

    Its `from_estimator` and `from_predictions`, and all that a display has, are scikit-learn's.
    """

    @classmethod
    def from_model(cls, model: Any, x: Any, y: Any = None, **kwargs: Any) -> ConfusionMatrixDisplay:
        """Draw how often a model took samples of each class for which.

        Parameters
        ----------
        model : Sequential
            Its outputs are classes, or one output for two of them.
        x : array_like, shape (n_samples, ...), or iterable of batches
            Inputs, or both, such as `fastnn.datasets.image_folder` gives them.
        y : array_like, shape (n_samples,), (n_samples, 1) or (n_samples, classes), optional
            Classes, or one-hot rows.
        **kwargs
            As for scikit-learn's ``from_predictions``: `display_labels` (by default what the folder or the model calls the
            classes), `normalize`, `xticks_rotation`, `cmap`, `ax`, ...

        Returns
        -------
        ConfusionMatrixDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no such model, or the data does not fit it.
        """
        classes = true_and_predicted(model, *gathered(x, y))
        names = names_of_classes(model, x)
        if names is not None and not kwargs.keys() & {"labels", "display_labels"}:
            kwargs |= {"labels": range(len(names)), "display_labels": names}
        return cls.from_predictions(*classes, **kwargs)
