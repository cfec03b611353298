"""Decision boundaries in the plane: scikit-learn's display, of models too."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn import inspection
from sklearn.base import BaseEstimator, ClassifierMixin

from .. import ops
from .classes import check_model, predicted_classes


class DecisionBoundaryDisplay(inspection.DecisionBoundaryDisplay):
    """scikit-learn's `sklearn.inspection.DecisionBoundaryDisplay`, which `from_model` makes of a `fastnn.Sequential`.

    Its `from_estimator`, and all that a display has, are scikit-learn's.
    """

    @classmethod
    def from_model(cls, model: Any, X: Any, **kwargs: Any) -> DecisionBoundaryDisplay:
        """Draw what a model of two features answers around points.

        Parameters
        ----------
        model : Sequential
            Its outputs are classes, or one output for two of them.
        X : array_like, shape (n_samples, 2)
            Points, which the picture holds; draw them with ``display.ax_.scatter``.
        **kwargs
            As for scikit-learn's ``from_estimator``: `grid_resolution`, `eps`, `plot_method`, `response_method`, `ax`, ... By
            default, or with ``response_method="decision_function"``, colours show the output (the second of two, the largest of
            more); with ``response_method="predict"`` the class.

        Returns
        -------
        DecisionBoundaryDisplay

        Raises
        ------
        TypeError, ValueError
            If it is no such model, it does not have two inputs, or there is no such `response_method`.
        """
        check_model(model)
        if model.input_shape[1:] != (2,):
            raise ValueError(f"model must have two inputs to be drawn in a plane; {model.name!r} takes {model.input_shape[1:]}")
        method = kwargs.get("response_method", "auto")
        if method not in ("auto", "decision_function", "predict"):
            raise ValueError(
                "response_method must be 'auto' or 'decision_function', for the model's outputs, or 'predict', for its classes; "
                f"got {method!r}"
            )
        return cls.from_estimator(_Classifier(model), X, **kwargs)


class _Classifier(ClassifierMixin, BaseEstimator):
    """A fitted model as scikit-learn's displays ask it."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.classes_ = np.arange(max(2, model.output_shape[1]))

    def fit(self, X: Any, y: Any) -> _Classifier:
        """Estimators have it; this one comes fitted."""
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        outputs = self.model.predict(X)
        if outputs.shape[1] > 1 and getattr(self.model.loss, "from_logits", False):
            outputs = ops.softmax(outputs).data
        return outputs if outputs.shape[1] > 2 else outputs[:, -1]

    def predict(self, X: Any) -> np.ndarray:
        return predicted_classes(self.model, self.model.predict(X))
