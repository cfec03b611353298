"""MLPClassifier and MLPRegressor: scikit-learn's parameters, defaults, attributes and training, on fastnn's kernels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from .. import optimizers
from . import network, parameters

#: adaptive learning rates below this end the training
SMALLEST_RATE = 1e-6
#: samples per step for batch_size="auto"
AUTO_BATCH = 200

PARAMETERS_DOC = """hidden_layer_sizes : int or sequence of int, default (100,)
        Outputs of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu"}, default "relu"
        Of the hidden layers.
    solver : {"adam", "sgd", "lbfgs"}, default "adam"
        The optimizer; "lbfgs" takes all samples at once.
    alpha : float, default 0.0001
        Strength of the penalty ``alpha / 2 * sum(w**2)``, which is divided by the number of samples of a batch.
    batch_size : int or "auto", default "auto"
        Samples per step; "auto" is at most 200.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        For sgd: how the learning rate goes on from `learning_rate_init`: as it is, divided by ``t_**power_t``, or divided by 5
        each time that `n_iter_no_change` epochs bring no progress.
    learning_rate_init, power_t : float, default 0.001 and 0.5
        See `learning_rate`.
    max_iter : int, default 200
        Most epochs; for lbfgs, most iterations.
    shuffle : bool, default True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState or None
        Decides the first weights, the validation set, the order of samples and dropout.
    tol, n_iter_no_change : float and int, default 1e-4 and 10
        Training ends when the loss, or with early stopping the validation score, gets no better by `tol` for more than so many
        epochs.
    verbose : bool, default False
        Whether each epoch prints its loss.
    warm_start : bool, default False
        Whether `fit` goes on from the weights of the last call.
    momentum, nesterovs_momentum : float and bool, default 0.9 and True
        For sgd.
    early_stopping, validation_fraction : bool and float, default False and 0.1
        Whether that share of the samples is set aside, to stop by the score on it and keep the best weights.
    beta_1, beta_2, epsilon : float, default 0.9, 0.999 and 1e-8
        For adam.
    max_fun : int, default 15000
        For lbfgs: most evaluations of the loss.
    dropout : float in [0, 1), default 0
        Share of each hidden layer's outputs that a training step drops.
    dtype : {None, "float32", "float64"}
        Type of weights and arithmetic; None is that of `X`, float64 for anything but floats. float32 is about twice as fast."""

ATTRIBUTES_DOC = """coefs_, intercepts_ : list of ndarray
        Weights, of shape (inputs, outputs), and biases of the layers.
    loss_, best_loss_, loss_curve_ : float, float or None, list of float
        The loss of the last epoch, the least one (None with early stopping), and that of each epoch.
    validation_scores_, best_validation_score_ : list of float and float, or None
        With early stopping: the score after each epoch and the best one.
    n_iter_, t_ : int
        Epochs of the last call, and samples seen in all.
    n_layers_, n_outputs_, out_activation_ : int, int, str
        Layers with the inputs, outputs, and activation of the last layer.
    n_features_in_, feature_names_in_ : int, ndarray of str
        Of the inputs; the names only if they are all strings."""


def _is_stochastic(estimator: Any) -> bool:
    if estimator.solver not in ("sgd", "adam"):
        raise AttributeError(f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic.")
    return True


class _MLP(BaseEstimator):
    """What the classifier and the regressor share; the subclasses say what outputs and targets are."""

    def __init__(self, **given: Any) -> None:
        for name, value in given.items():
            setattr(self, name, value)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    # --------------------------------------------------- what subclasses say

    def _checks(self) -> dict[str, parameters.Check]:
        raise NotImplementedError

    def _validate(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return X, y as it came, and y as the loss takes it; set what is to be known of the outputs."""
        raise NotImplementedError

    def _output(self) -> tuple[str, str]:
        """Return the activation of the last layer and the name of the loss."""
        raise NotImplementedError

    def _weight(self, sample_weight: Any, y: np.ndarray, incremental: bool) -> Any:
        return sample_weight

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    # --------------------------------------------------------------- training

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train the network.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs; a sparse matrix is made dense.
        y : array_like, shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array_like, shape (n_samples,), optional
            Weight of each sample's loss.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data is wrong, or training diverges.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        parameters.check(self, {**parameters.MLP, **self._checks()})
        hidden = parameters.layer_sizes(self.hidden_layer_sizes)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, labels, targets = self._validate(X, y, incremental, first)
        X = _dense(X)
        weight = self._weight(sample_weight, labels, incremental)
        if weight is not None:
            weight = _check_sample_weight(weight, X)
        generator = check_random_state(self.random_state)
        if first:
            self._initialize([X.shape[1], *hidden, self.n_outputs_], X.dtype, generator)
        dtype = _native(self.coefs_[0].dtype)
        X, weight = np.ascontiguousarray(X, dtype), None if weight is None else np.ascontiguousarray(weight, dtype)
        if targets.dtype.kind == "f":
            targets = np.ascontiguousarray(targets, dtype)

        model = network.build(self.coefs_, self.intercepts_, self.activation, self.dropout, generator)
        self.coefs_ = [weights.data for weights in model.trainable_weights[::2]]
        self.intercepts_ = [weights.data for weights in model.trainable_weights[1::2]]
        objective = network.Objective(self._output()[1], self.alpha, model.trainable_weights[::2])
        if self.solver == "lbfgs":
            self._fit_lbfgs(model, objective, X, targets, weight)
        else:
            self._fit_stochastic(model, objective, X, labels, targets, weight, generator, incremental)
        if not all(np.isfinite(array).all() for array in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
            )
        return self

    def _initialize(self, sizes: list[int], dtype: np.dtype, generator: Any) -> None:
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output()[0]
        self.coefs_, self.intercepts_ = [], []
        for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (fan_in + fan_out))
            self.coefs_.append(generator.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
            self.intercepts_.append(generator.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
        self._optimizer: optimizers.Optimizer | None = None
        self._no_improvement_count = 0
        if self.solver != "lbfgs":
            self.loss_curve_: list[float] = []
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
            self.best_loss_: Any = None if self.early_stopping else np.inf

    def _fit_lbfgs(self, model: Any, objective: Any, X: np.ndarray, targets: np.ndarray, weight: np.ndarray | None) -> None:
        from scipy.optimize import minimize

        function = network.value_and_gradient(model, objective, X, targets, weight)
        start = np.concatenate([array.ravel() for array in model.get_weights()]).astype(np.float64)
        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        result = minimize(function, start, method="L-BFGS-B", jac=True, options=options)
        if result.status != 0:
            warnings.warn(
                f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): {result.message}; "
                "increase max_iter or scale the data",
                ConvergenceWarning,
                stacklevel=4,
            )
        self.n_iter_ = min(result.nit, self.max_iter)
        self.loss_ = float(result.fun)
        function(result.x)  # leaves the weights of the best point in the network

    def _new_optimizer(self, model: Any, incremental: bool) -> optimizers.Optimizer:
        rate = float(self.learning_rate_init)
        optimizer: optimizers.Optimizer
        if self.solver == "sgd":
            optimizer = optimizers.SGD(rate, float(self.momentum), bool(self.nesterovs_momentum and self.momentum > 0))
        else:
            optimizer = optimizers.Adam(rate, float(self.beta_1), float(self.beta_2), float(self.epsilon))
        optimizer.build(model.trainable_weights)
        if incremental and self._optimizer is not None:
            optimizer.set_state(self._optimizer.get_state())
        return optimizer

    def _fit_stochastic(
        self,
        model: Any,
        objective: Any,
        X: np.ndarray,
        labels: np.ndarray,
        targets: np.ndarray,
        weight: np.ndarray | None,
        generator: Any,
        incremental: bool,
    ) -> None:
        validation = None
        if self.early_stopping:
            X, targets, weight, validation = self._set_aside(X, labels, targets, weight, generator)
        self._optimizer = optimizer = self._new_optimizer(model, incremental)
        epochs = network.Epochs(model, objective, optimizer, X, targets, weight, self._batch_size(len(X)))
        best = [array.copy() for array in (*self.coefs_, *self.intercepts_)]
        self.n_iter_ = 0
        try:
            for _ in range(self.max_iter):
                self.loss_ = epochs.run(generator if self.shuffle else None)
                self.n_iter_ += 1
                self.t_ += len(X)
                self.loss_curve_.append(self.loss_)
                if self.verbose:
                    print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                if self._note_progress(validation):
                    best = [array.copy() for array in (*self.coefs_, *self.intercepts_)]
                if self.solver == "sgd" and self.learning_rate == "invscaling":
                    optimizer.learning_rate = self.learning_rate_init / (self.t_ + 1) ** self.power_t
                if self._no_improvement_count > self.n_iter_no_change:
                    if self._stops(optimizer):
                        break
                    self._no_improvement_count = 0
                if incremental:
                    break
                if self.n_iter_ == self.max_iter:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                        "converged yet.",
                        ConvergenceWarning,
                        stacklevel=4,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if self.early_stopping:
            self.coefs_, self.intercepts_ = best[: len(self.coefs_)], best[len(self.coefs_) :]

    def _set_aside(
        self, X: np.ndarray, labels: np.ndarray, targets: np.ndarray, weight: np.ndarray | None, generator: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple]:
        """Return what is left for training, and inputs, targets and weights of the validation set."""
        one_label = isinstance(self, ClassifierMixin) and self.n_outputs_ == 1
        train, held = train_test_split(
            np.arange(len(X)),
            random_state=generator,
            test_size=self.validation_fraction,
            stratify=labels if one_label else None,
        )
        if len(held) < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
        weights = (None, None) if weight is None else (weight[train], weight[held])
        return X[train], targets[train], weights[0], (X[held], labels[held], weights[1])

    def _batch_size(self, samples: int) -> int:
        if isinstance(self.batch_size, str):
            return min(AUTO_BATCH, samples)
        if self.batch_size > samples:
            warnings.warn(
                f"Got `batch_size` larger than sample size ({self.batch_size} for {samples} samples). It is going to be clipped",
                stacklevel=5,
            )
        return min(int(self.batch_size), samples)

    def _note_progress(self, validation: tuple | None) -> bool:
        """Count the epochs without progress; return whether the weights are the best so far by the validation score."""
        if validation is None:
            improved = self.loss_ <= self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
            better = False
        else:
            X, labels, weight = validation
            outputs = self._outputs(X)
            score = self._score(labels, self._decode(outputs), weight) if np.isfinite(outputs).all() else np.nan
            assert self.validation_scores_ is not None and self.best_validation_score_ is not None
            self.validation_scores_.append(score)
            if self.verbose:
                print(f"Validation score: {score:f}")
            improved = not score < self.best_validation_score_ + self.tol
            better = score > self.best_validation_score_
            if better:
                self.best_validation_score_ = score
        self._no_improvement_count = 0 if improved else self._no_improvement_count + 1
        return better

    def _stops(self, optimizer: optimizers.Optimizer) -> bool:
        """Say whether training ends, now that there is no progress; an adaptive learning rate is lowered first."""
        what = "Validation score" if self.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
        adaptive = self.solver == "sgd" and self.learning_rate == "adaptive"
        stops = not adaptive or optimizer.learning_rate <= SMALLEST_RATE
        if stops:
            message += " Learning rate too small. Stopping." if adaptive else " Stopping."
        else:
            optimizer.learning_rate /= 5
            message += f" Setting learning rate to {optimizer.learning_rate:f}"
        if self.verbose:
            print(message)
        return stops

    # ------------------------------------------------------------- prediction

    def _outputs(self, X: np.ndarray) -> np.ndarray:
        return network.forward(X, self.coefs_, self.intercepts_, self.activation, self.out_activation_)

    def _validated_outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._outputs(np.ascontiguousarray(_dense(X), self.coefs_[0].dtype))

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._decode(self._validated_outputs(X))

    @staticmethod
    def _score(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        raise NotImplementedError


def _dense(X: Any) -> np.ndarray:
    return X if isinstance(X, np.ndarray) else X.toarray()


def _native(dtype: np.dtype) -> np.dtype:
    """Return NumPy's own object for a dtype; arrays from a pickle have another, for which the kernels would make views."""
    return np.dtype(dtype.type)


class MLPClassifier(ClassifierMixin, _MLP):
    __doc__ = f"""A network of dense layers that tells classes apart; scikit-learn's of the same name, and more.

    One class of several for each sample, or with a matrix of 0 and 1 as targets any number of labels for each sample.

    Parameters
    ----------
    {PARAMETERS_DOC}
    class_weight : dict, "balanced" or None
        Factor of each class's sample weights, see `sklearn.utils.compute_sample_weight`.

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    {ATTRIBUTES_DOC}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnn.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier(random_state=0, max_iter=500).fit(X, y).score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        class_weight: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            dropout=dropout,
            class_weight=class_weight,
            dtype=dtype,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _checks(self) -> dict[str, parameters.Check]:
        def fits(value: Any) -> bool:
            return value is None or isinstance(value, (dict, list)) or (isinstance(value, str) and value == "balanced")

        return {"class_weight": (fits, "None, 'balanced' or a dict")}

    def _validate(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=_dtypes(self.dtype), reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._learn_classes(y)
        else:
            labels = unique_labels(y)
            if self.warm_start and not incremental:
                if set(labels) != set(self.classes_):
                    raise ValueError(
                        "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                        f"Previously got {self.classes_}, `y` has {labels}"
                    )
            elif len(np.setdiff1d(labels, self.classes_, assume_unique=True)):
                raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {labels}.")
        indicators = self._label_binarizer.transform(y)
        indicators = indicators if isinstance(indicators, np.ndarray) else indicators.toarray()
        self.n_outputs_ = indicators.shape[1]
        if self._label_binarizer.y_type_ == "multiclass":
            return X, y, np.searchsorted(self.classes_, y).astype(np.int32)
        return X, y if y.ndim == 1 else indicators, indicators.astype(X.dtype)

    def _learn_classes(self, labels: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(labels)
        self.classes_ = self._label_binarizer.classes_

    def _output(self) -> tuple[str, str]:
        return ("softmax",) * 2 if self._label_binarizer.y_type_ == "multiclass" else ("logistic",) * 2

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
        return self._label_binarizer.inverse_transform(outputs.ravel() if self.n_outputs_ == 1 else outputs)

    @staticmethod
    def _score(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return accuracy_score(y, predicted, sample_weight=weight)

    @available_if(_is_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
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
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._learn_classes(y if type_of_target(y).startswith("multilabel") else unique_labels(classes))
        elif classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")
        return self._fit(X, y, sample_weight, incremental=True)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
        """
        outputs = self._validated_outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of what `predict_proba` returns.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray, shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))


class MLPRegressor(RegressorMixin, _MLP):
    __doc__ = f"""A network of dense layers that predicts numbers; scikit-learn's of the same name, and more.

    Parameters
    ----------
    loss : {{"squared_error", "poisson", "absolute_error", "huber"}}, default "squared_error"
        What is minimized: half the squared error, half the Poisson deviance (targets at least 0, predictions are exponentials of
        the last layer's sums), the absolute error, or Huber's loss with delta 1. The loss is the mean over outputs (of the
        deviance, their sum), the gradient that of their sum.
    {PARAMETERS_DOC}

    Attributes
    ----------
    {ATTRIBUTES_DOC}

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> MLPRegressor(solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2).score(X, X[:, 0] ** 2) > 0.99
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            loss=loss,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
            dropout=dropout,
            dtype=dtype,
        )

    def _checks(self) -> dict[str, parameters.Check]:
        return {"loss": parameters.one_of("squared_error", "poisson", "absolute_error", "huber")}

    def _validate(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, np.ndarray, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=_dtypes(self.dtype),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and (y < 0).any():
            raise ValueError(f"loss='poisson' needs targets of at least 0; y has {y.min()}")
        targets = y.reshape(len(y), -1).astype(X.dtype, copy=False)
        self.n_outputs_ = targets.shape[1]
        return X, y, targets

    def _output(self) -> tuple[str, str]:
        return "exp" if self.loss == "poisson" else "identity", self.loss

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    @staticmethod
    def _score(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        return r2_score(y, predicted, sample_weight=weight)

    @available_if(_is_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch on these samples.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`.

        Returns
        -------
        The estimator itself.
        """
        return self._fit(X, y, sample_weight, incremental=True)


def _dtypes(dtype: Any) -> Any:
    return (np.float64, np.float32) if dtype is None else np.dtype(dtype).type
