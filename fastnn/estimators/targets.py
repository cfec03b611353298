"""Classes and numbers as targets: how they are encoded for a network, and its outputs decoded as predictions."""

from __future__ import annotations

from operator import methodcaller
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from . import parameters
from .base import NetworkEstimator

#: decorator of `partial_fit`
_where_epochs = available_if(methodcaller("_has_epochs"))
#: decorator of `predict_proba` and `predict_log_proba`
_where_probabilities = available_if(methodcaller("_has_probabilities"))


class Classifier(ClassifierMixin, NetworkEstimator):
    """What all classifiers share; the network has one output for two classes, else one for each class or label."""

    score_name = "accuracy"
    class_weight: Any
    classes_: np.ndarray
    #: outputs above this say yes
    _threshold = 0.5
    _least_classes = 2

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _checks(self) -> dict[str, parameters.Check]:
        return {**super()._checks(), **parameters.CLASS_WEIGHT}

    @property
    def _multilabel(self) -> bool:
        return self._label_binarizer.y_type_.startswith("multilabel")

    def _checked(self, X: Any, *y: Any, reset: bool) -> Any:
        checked = super()._checked(X, *y, reset=reset)
        if y:
            check_classification_targets(checked[1])
        if y and checked[1].ndim == 2 and checked[1].shape[1] == 1:
            return checked[0], column_or_1d(checked[1], warn=True)
        return checked

    def _learn_outputs(self, y: np.ndarray, again: bool, incremental: bool) -> None:
        if not hasattr(self, "classes_") or not (again or incremental):
            self._learn_classes(y)
            return
        labels = unique_labels(y)
        if again and not incremental:
            if set(labels) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {labels}"
                )
        elif len(np.setdiff1d(labels, self.classes_, assume_unique=True)):
            raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {labels}.")

    def _learn_classes(self, labels: Any) -> None:
        binarizer = LabelBinarizer().fit(labels)
        if len(binarizer.classes_) < self._least_classes:
            raise ValueError(f"y must have at least 2 classes to tell apart; got one class: {binarizer.classes_[0]!r}")
        self._label_binarizer = binarizer
        self.classes_ = binarizer.classes_
        self.n_outputs_ = 1 if binarizer.y_type_ == "binary" else len(binarizer.classes_)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        if self.n_outputs_ > 1 and not self._multilabel:
            return np.searchsorted(self.classes_, y)
        indicators = self._label_binarizer.transform(y)
        return np.asarray(indicators, np.float64)

    def _weight(self, sample_weight: Any, y: np.ndarray, incremental: bool) -> Any:
        if self.class_weight is None:
            return sample_weight
        if incremental and isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' needs all samples at once, which partial_fit does not have; give the weights as a dict"
            )
        factors = compute_sample_weight(self.class_weight, y)
        return factors if sample_weight is None else factors * np.asarray(sample_weight)

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        if self._multilabel:
            return self._label_binarizer.inverse_transform(outputs, self._threshold)
        if self.n_outputs_ == 1:
            return self.classes_[np.minimum(outputs[:, 0] > self._threshold, len(self.classes_) - 1)]
        return self.classes_[np.argmax(outputs, axis=1)]

    @staticmethod
    def _score(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return accuracy_score(y, predicted, sample_weight=weight)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any) -> Any:
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._learn_classes(y if type_of_target(y).startswith("multilabel") else unique_labels(classes))
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")
        return self._fit(X, y, sample_weight, None, None, incremental=True)


class ProbabilityClassifier(Classifier):
    """A classifier whose outputs are probabilities."""

    def _output(self) -> tuple[str, str]:
        return ("logistic",) * 2 if self._multilabel or self.n_outputs_ == 1 else ("softmax",) * 2

    def _has_probabilities(self) -> bool:
        """Return True if outputs are probabilities; else raise an AttributeError that says why not."""
        return True

    @_where_probabilities
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs, as for `fit`.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
        """
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    @_where_probabilities
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of what `predict_proba` returns.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs, as for `fit`.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))

    @_where_epochs
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train for one epoch on these samples.

        Calls with as many samples replay the step that the first of them recorded. So what is changed on the layers of `model_`,
        other than weights, counts from the next `fit` or change of a parameter.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.
        classes : array_like, shape (n_classes,)
            All classes that there will be; needed in the first call.

        Returns
        -------
        The estimator itself.
        """
        return self._partial_fit(X, y, sample_weight, classes)


class Regressor(RegressorMixin, NetworkEstimator):
    """What all regressors share; the network has one output for each target."""

    score_name = "r2"
    loss: Any
    out_activation_ = "identity"

    def _checked(self, X: Any, *y: Any, reset: bool) -> Any:
        checked = super()._checked(X, *y, reset=reset)
        if not y:
            return checked
        X, target = checked
        if target.ndim == 2 and target.shape[1] == 1:
            target = column_or_1d(target, warn=True)
        if self.loss == "poisson" and (target < 0).any():
            raise ValueError(f"loss='poisson' needs targets of at least 0; y has {target.min()}")
        return X, target

    def _learn_outputs(self, y: np.ndarray, again: bool, incremental: bool) -> None:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if again and outputs != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} targets for each sample, as in the first call; got {outputs}")
        self.n_outputs_ = outputs

    def _encode(self, y: np.ndarray) -> np.ndarray:
        return y.reshape(len(y), -1).astype(np.float64, copy=False)

    def _output(self) -> tuple[str, str]:
        return "exp" if self.loss == "poisson" else "identity", self.loss

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        outputs = np.exp(outputs) if self.out_activation_ == "exp" else outputs
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    @staticmethod
    def _score(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return r2_score(y, predicted, sample_weight=weight)

    @_where_epochs
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on these samples.

        Calls with as many samples replay the step that the first of them recorded. So what is changed on the layers of `model_`,
        other than weights, counts from the next `fit` or change of a parameter.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        The estimator itself.
        """
        return self._fit(X, y, sample_weight, None, None, incremental=True)
