"""PerceptronClassifier: Rosenblatt's rule, with the names of scikit-learn's Perceptron."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import Dense
from ..model import Sequential
from ..optimizers import SGD, Optimizer
from . import docstrings, parameters
from .objective import Objective
from .targets import Classifier


class PerceptronClassifier(Classifier):
    __doc__ = f"""The perceptron: one linear output for each class against the others, corrected by each sample on the wrong side.

    Parameters
    ----------
    penalty : {{None, "l2", "l1", "elasticnet"}}, default None
        Penalty on the weights: ``sum(w**2) / 2``, ``sum(|w|)`` or a mixture of both.
    alpha : float, default 0.0001
        Its strength.
    l1_ratio : float in [0, 1], default 0.15
        Share of ``sum(|w|)`` in "elasticnet".
    fit_intercept : bool, default True
        Whether there is a bias.
    eta0 : float, default 1
        The learning rate.
    max_iter : int, default 1000
        Most epochs.
    batch_size : int or "auto", default 1
        Samples per step: 1 is Rosenblatt's rule; of more, the mean of their corrections counts.
    shuffle : bool, default True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState or None, default 0
        Decides the validation set and the order of samples.
    tol, n_iter_no_change : float or None and int, default 1e-3 and 5
        Training ends when the loss, or with early stopping the validation score, gets no better by `tol` for so many epochs; None
        lets all epochs be run.
    verbose : bool, default False
        Whether each epoch prints its loss.
    early_stopping, validation_fraction : bool and float, default False and 0.1
        Whether to stop by the score on a validation set and keep the best weights, see `MLPClassifier`.
    warm_start : bool, default False
        Whether `fit` goes on from the weights of the last call.
    {docstrings.CLASS_WEIGHT}
    callbacks : list of `fastnn.callbacks.Callback`, optional
        See `MLPClassifier`.
    dtype : {{None, "float32", "float64"}}
        Type of weights and arithmetic; None is that of `X`, float64 for anything but floats.

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    coef_ : ndarray, shape (1, n_features) or (n_classes, n_features)
        The weights; of two classes there is one row, for the second.
    intercept_ : ndarray, shape (1,) or (n_classes,)
        The biases.
    {docstrings.ATTRIBUTES}

    See Also
    --------
    sklearn.linear_model.Perceptron
        The same for two classes. Of more, it trains each class by itself, in an order of its own and until that one converges.

    Examples
    --------
    >>> from fastnn.estimators import PerceptronClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["no", "no", "no", "yes"]
    >>> PerceptronClassifier(tol=None, max_iter=20).fit(X, y).predict(X)
    array(['no', 'no', 'no', 'yes'], dtype='<U3')
    """

    _threshold = 0.0

    penalty: str | None
    alpha: float
    l1_ratio: float
    fit_intercept: bool
    eta0: float

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: bool = False,
        eta0: float = 1.0,
        random_state: Any = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 5,
        class_weight: Any = None,
        warm_start: bool = False,
        batch_size: int | str = 1,
        callbacks: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags

    def _checks(self) -> dict[str, parameters.Check]:
        return {**super()._checks(), **parameters.PERCEPTRON}

    def _learn_classes(self, labels: Any) -> None:
        super()._learn_classes(labels)
        if self._multilabel:
            raise ValueError("y must have one class for each sample; got a matrix of several labels")

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Return 1 for the class of an output and -1 for the others."""
        return 2.0 * self._label_binarizer.transform(y) - 1.0

    def _initialize(self, input_shape: tuple[int, ...], dtype: np.dtype, random_state: Any) -> None:
        dense = Dense(self.n_outputs_, use_bias=bool(self.fit_intercept), kernel_initializer="zeros", name="dense", dtype=dtype)
        self.model_ = Sequential([dense], name="perceptron")
        self.model_.build((None, *input_shape))

    def _objective(self) -> Objective:
        l1 = {None: 0.0, "l2": 0.0, "l1": 1.0, "elasticnet": self.l1_ratio}[self.penalty]
        l2 = 0.0 if self.penalty is None else 1 - l1
        kernel = self.model_.trainable_weights[0]
        return Objective("perceptron", self.model_.dtype, self.alpha * l1, self.alpha * l2 / 2, kernels=[kernel], normalized=False)

    def _new_optimizer(self) -> Optimizer:
        return SGD(float(self.eta0))

    def _patience(self) -> float:
        return self.n_iter_no_change - 1

    @property
    def coef_(self) -> np.ndarray:
        """The weights."""
        return self.model_.get_weights()[0].T

    @property
    def intercept_(self) -> np.ndarray:
        """The biases."""
        return self.model_.get_weights()[1] if self.fit_intercept else np.zeros(self.n_outputs_, self.model_.dtype)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the linear outputs: the larger, the more a sample is of a class.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray, shape (n_samples,) for two classes, else (n_samples, n_classes)
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> PerceptronClassifier:
        """Train for one epoch on these samples.

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
