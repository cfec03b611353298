"""What all estimators share: how data comes in, training with early stopping, validation and callbacks, and prediction."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..callbacks import CallbackList
from ..epochs import ArrayEpochs
from ..model import Sequential
from ..optimizers import Optimizer
from . import parameters
from .epochs import Epochs
from .objective import Objective, validate

#: samples per step for batch_size="auto"
AUTO_BATCH = 200

#: inputs, targets, targets as the loss takes them, and weights
Samples = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


class NetworkEstimator(BaseEstimator):
    """The base of all estimators.

    A subclass has a constructor with all its parameters, that calls `_set`, and says by the methods below what its network is.
    `targets.Classifier` and `targets.Regressor` say what targets and outputs mean.
    """

    # parameters of all estimators
    batch_size: Any
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: Any
    verbose: Any
    warm_start: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: float
    callbacks: Any
    dtype: Any

    model_: Sequential
    n_outputs_: int
    #: name of the validation score in the logs of callbacks
    score_name: str
    _optimizer: Optimizer | None = None
    #: the parameters that the network is compiled with
    _settings: dict[str, Any]

    def _set(self, given: Mapping[str, Any]) -> None:
        """Keep the constructor's arguments, which are among its local names."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------ what subclasses say

    def _checks(self) -> dict[str, parameters.Check]:
        """Return what each parameter may be."""
        return parameters.TRAINING

    def _initialize(self, input_shape: tuple[int, ...], dtype: np.dtype, random_state: Any) -> None:
        """Set `model_`, with new weights."""
        raise NotImplementedError

    def _objective(self) -> Objective:
        """Return what is minimized."""
        raise NotImplementedError

    def _output(self) -> tuple[str, str]:
        """Return scikit-learn's activation of the outputs, and the name of the loss."""
        raise NotImplementedError

    def _new_optimizer(self) -> Optimizer:
        raise NotImplementedError

    def _has_epochs(self) -> bool:
        """Return True if training goes by epochs, of which `partial_fit` is one; else raise an AttributeError that says why not."""
        return True

    def _learn_outputs(self, y: np.ndarray, again: bool, incremental: bool) -> None:
        """Set what is to be known of the targets; if there was a call before, hold them against it."""
        raise NotImplementedError

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Return targets as the loss takes them."""
        raise NotImplementedError

    def _weight(self, sample_weight: Any, y: np.ndarray, incremental: bool) -> Any:
        return sample_weight

    def _decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return predictions from the network's outputs."""
        raise NotImplementedError

    @staticmethod
    def _score(y: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None) -> float:
        raise NotImplementedError

    # ------------------------------------------------------------------- inputs

    def _input_dtypes(self) -> Any:
        """Return the dtype of inputs, or the dtypes that they keep, the first being for all others."""
        return (np.float64, np.float32) if self.dtype is None else np.dtype(self.dtype).type

    def _checked(self, X: Any, *y: Any, reset: bool) -> Any:
        """Return inputs as a matrix of floats (or bytes), and targets as an array, once they are found to be right."""
        options: dict[str, Any] = {"multi_output": True, "y_numeric": is_regressor(self)} if y else {}
        checked = validate_data(self, X, *y, accept_sparse=["csr", "csc"], dtype=self._input_dtypes(), reset=reset, **options)
        X = checked[0] if y else checked
        X = X if isinstance(X, np.ndarray) else X.toarray()
        return (X, checked[1]) if y else X

    def _input_shape(self, features: int, reset: bool) -> tuple[int, ...]:
        """Return the shape of a sample as the network takes it."""
        return (features,)

    # ----------------------------------------------------------------- training

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Any:
        """Train the network.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs; a sparse matrix is made dense. Estimators that say so take images and other shapes too.
        y : array_like, shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array_like, shape (n_samples,), optional
            Weight of each sample's loss.
        X_val, y_val : array_like, optional
            Samples to validate on after each epoch, see `validation_loss_curve_`. With ``early_stopping=True`` they are what
            decides, and nothing of `X` is set aside.

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError
            If a parameter or the data is wrong, or training diverges.
        """
        return self._fit(X, y, sample_weight, X_val, y_val, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, incremental: bool) -> Any:
        parameters.check(self, self._checks())
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if (X_val is None) != (y_val is None):
            raise ValueError(f"X_val and y_val must be given together; {'X_val' if X_val is None else 'y_val'} is missing")
        first = not self._has_weights() or (not self.warm_start and not incremental)
        X, y = self._checked(X, y, reset=first)
        self._learn_outputs(y, not first, incremental)
        weight = self._weight(sample_weight, y, incremental)
        if weight is not None:
            weight = _check_sample_weight(weight, X)
        random_state = check_random_state(self.random_state)
        if first:
            self._start(X, random_state)
        else:
            self._resume(random_state)
        samples = self._samples(X, y, weight)
        held = None if X_val is None else self._validation_samples(X_val, y_val)
        self._compile(self._optimizer_to_use(incremental))
        self._train(samples, held, random_state, incremental)
        if not all(np.isfinite(variable.data).all() for variable in self.model_.weights):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
            )
        return self

    def _has_weights(self) -> bool:
        return hasattr(self, "model_")

    def _start(self, X: np.ndarray, random_state: Any) -> None:
        self._initialize(self._input_shape(X.shape[1], reset=True), X.dtype, random_state)
        self._optimizer = None
        self._no_improvement_count = 0
        self.n_iter_ = self.t_ = 0
        self._start_curves()

    def _resume(self, random_state: Any) -> None:
        """Make ready to go on from the weights that there are."""

    def _start_curves(self) -> None:
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] | None = None
        self.validation_scores_: list[float] | None = None
        self.best_loss_: Any = None if self.early_stopping else np.inf
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _samples(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None) -> Samples:
        """Return samples as the network takes them."""
        dtype = self.model_.dtype
        X = X.reshape(len(X), *self._input_shape(X.shape[1], reset=False))
        X = np.ascontiguousarray(X, X.dtype if X.dtype == np.uint8 else dtype)
        targets = self._encode(y)
        targets = np.ascontiguousarray(targets, dtype if targets.dtype.kind == "f" else np.int32)
        return X, y, targets, None if weight is None else np.ascontiguousarray(weight, dtype)

    def _validation_samples(self, X_val: Any, y_val: Any) -> Samples:
        try:
            X, y = self._checked(X_val, y_val, reset=False)
            self._learn_outputs(y, True, True)
        except ValueError as error:
            raise ValueError(f"X_val and y_val do not fit: {error}") from error
        return self._samples(X, y, None)

    def _optimizer_to_use(self, incremental: bool) -> Optimizer:
        if not incremental or self._optimizer is None:
            self._optimizer = self._new_optimizer()
        return self._optimizer

    def _compile(self, optimizer: Optimizer) -> None:
        """Compile the network, unless it is as it was in the last call: then the steps recorded there are replayed."""
        if self.model_.optimizer is optimizer and all(getattr(self, name) is value for name, value in self._settings.items()):
            return
        self.model_.compile(optimizer, self._objective())
        self._settings = self.get_params(deep=False)

    def _train(self, samples: Samples, held: Samples | None, random_state: Any, incremental: bool) -> None:
        if self.early_stopping and held is None:
            samples, held = self._set_aside(samples, random_state)
        X, _, targets, weight = samples
        shuffler = random_state if self.shuffle else None
        size = self._batch_size(len(X))
        with self.model_._alone(), self.model_._array_epochs(X, targets, weight, size, shuffler, Epochs) as epochs:
            self._run_epochs(epochs, held, incremental)

    def _run_epochs(self, epochs: ArrayEpochs, held: Samples | None, incremental: bool) -> None:
        model, optimizer, stopping = self.model_, self._optimizer, self.early_stopping
        assert optimizer is not None
        params = {"epochs": self.max_iter, "steps": epochs.steps, "samples": epochs.samples, "verbose": 0}
        calls = CallbackList(self.callbacks or (), model, params)
        best = model.get_weights() if stopping else []
        self.n_iter_ = 0
        model.stop_training = False
        with closing(calls):
            calls.on_train_begin()
            try:
                for epoch in range(self.max_iter):
                    calls.on_epoch_begin(epoch)
                    logs = epochs.run(calls)
                    self.loss_ = logs["loss"]
                    self.n_iter_ += 1
                    self.t_ += epochs.samples
                    self.loss_curve_.append(self.loss_)
                    if self.verbose:
                        print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
                    if held is not None:
                        logs.update(self._validate(held))
                    if self._note_progress(logs):
                        best = model.get_weights()
                    self._end_epoch(optimizer)
                    calls.on_epoch_end(epoch, logs)
                    if self._no_improvement_count > self._patience():
                        if self._stops(optimizer):
                            break
                        self._no_improvement_count = 0
                    if incremental or model.stop_training:
                        break
                    if self.n_iter_ == self.max_iter and self.tol is not None:
                        warnings.warn(
                            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                            "converged yet.",
                            ConvergenceWarning,
                            stacklevel=5,
                        )
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.", stacklevel=5)
            calls.on_train_end()
        if stopping:
            model.set_weights(best)

    def _set_aside(self, samples: Samples, random_state: Any) -> tuple[Samples, Samples]:
        """Return the samples that are left for training, and those of the validation set."""
        X, y, targets, weight = samples
        two_classes = is_classifier(self) and self.n_outputs_ == 1
        train, held = train_test_split(
            np.arange(len(X)),
            random_state=random_state,
            test_size=self.validation_fraction,
            stratify=targets[:, 0] > 0 if two_classes else None,
        )
        if len(held) < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
        parts = [(X[part], y[part], targets[part], None if weight is None else weight[part]) for part in (train, held)]
        return parts[0], parts[1]

    def _batch_size(self, samples: int) -> int:
        if isinstance(self.batch_size, str):
            return min(AUTO_BATCH, samples)
        if self.batch_size > samples:
            warnings.warn(
                f"Got `batch_size` larger than sample size ({self.batch_size} for {samples} samples). It is going to be clipped",
                stacklevel=5,
            )
        return min(int(self.batch_size), samples)

    def _validate(self, held: Samples) -> dict[str, float]:
        """Return loss and score of the validation set by their names in the logs, and add them to the curves."""
        X, y, targets, weight = held
        objective = self.model_.loss
        assert isinstance(objective, Objective)
        loss, outputs = validate(self.model_, objective, X, targets, weight)
        score = float(self._score(y, self._decode(outputs), weight)) if np.isfinite(outputs).all() else math.nan
        self.validation_loss_curve_ = [*(self.validation_loss_curve_ or ()), loss]
        self.validation_scores_ = [*(self.validation_scores_ or ()), score]
        if self.verbose:
            print(f"Validation score: {score:f}")
        return {"val_loss": loss, f"val_{self.score_name}": score}

    def _note_progress(self, logs: dict[str, float]) -> bool:
        """Count the epochs without progress; return whether the weights are the best so far by the validation score."""
        tol = -np.inf if self.tol is None else self.tol
        better = False
        if self.early_stopping:
            score = logs[f"val_{self.score_name}"]
            assert self.best_validation_score_ is not None
            improved = not score < self.best_validation_score_ + tol
            better = score > self.best_validation_score_
            if better:
                self.best_validation_score_ = score
        else:
            improved = self.loss_ <= self.best_loss_ - tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        self._no_improvement_count = 0 if improved else self._no_improvement_count + 1
        return better

    def _end_epoch(self, optimizer: Optimizer) -> None:
        """Set the learning rate of the next epoch."""

    def _patience(self) -> float:
        """Return how many epochs without progress are borne."""
        return self.n_iter_no_change

    def _stops(self, optimizer: Optimizer) -> bool:
        """Say whether training ends, now that there is no progress."""
        if self.verbose:
            print(f"{self._no_progress()} Stopping.")
        return True

    def _no_progress(self) -> str:
        what = "Validation score" if self.early_stopping else "Training loss"
        return f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."

    # --------------------------------------------------------------- prediction

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        return self.model_.predict(X.reshape(len(X), *self._input_shape(X.shape[1], reset=False)))

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (n_samples, n_features)
            Inputs, as for `fit`.

        Returns
        -------
        ndarray, shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._decode(self._outputs(X))
