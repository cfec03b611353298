"""NetworkClassifier and NetworkRegressor: any `Sequential` as an estimator."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import activations, losses, optimizers, random
from ..autodiff import Tensor
from ..layers import Activation, Dense
from ..model import Sequential
from . import docstrings, network, parameters
from .objective import Objective
from .shapes import ShapedEstimator
from .targets import ProbabilityClassifier, Regressor

PARAMETERS_DOC = f"""model : Sequential or callable
        The network: a model, of which `fit` trains one of the same architecture with new weights, or a function
        ``model(input_shape, n_outputs, **model_kwargs)`` that makes a `fastnn.Sequential` for samples of a shape; weights that it
        has are kept. The given model itself stays as it is, what it is compiled with does not count.
    optimizer : str or fastnn.optimizers.Optimizer, default "adam"
        See `fastnn.optimizers.get`. Each `fit` begins with a new one like this.
    model_kwargs : dict, optional
        More arguments of the function `model`.
    max_iter : int, default 200
        Most epochs.
    {docstrings.TRAINING}"""

INPUTS_DOC = """`X` has samples of the shape that the model takes, or rows of as many numbers. Bytes (uint8) are kept until the
    first layer, which may be a `fastnn.layers.Rescaling`. Arithmetic is of the model's float type."""

ATTRIBUTES_DOC = f"""input_shape_ : tuple of int
        Shape of a sample as the network takes it.
    {docstrings.ATTRIBUTES}"""


class _Network(ShapedEstimator):
    """What the classifier and the regressor share."""

    model: Sequential | Callable[..., Sequential]
    optimizer: Any
    loss: Any
    model_kwargs: dict[str, Any] | None

    def _checks(self) -> dict[str, parameters.Check]:
        return {**super()._checks(), **parameters.NETWORK}

    def _input_dtypes(self) -> Any:
        return [np.float32, np.float64, np.uint8]

    def _sample_shape(self, given: tuple[int, ...]) -> tuple[int, ...]:
        return _fitting(self.model, given) if isinstance(self.model, Sequential) else given

    def _outputs_wanted(self) -> int:
        """Return how many outputs the function `model` is asked for."""
        return self.n_outputs_

    def _initialize(self, input_shape: tuple[int, ...], dtype: np.dtype, random_state: Any) -> None:
        with random.drawing_from(int(random_state.randint(2**31))):
            if isinstance(self.model, Sequential):
                if self.model_kwargs:
                    raise ValueError(f"model_kwargs are for a function as model; got {self.model_kwargs!r} and a Sequential")
                model = network.copy(self.model)
            else:
                model = self._made(self.model, input_shape)
                if not isinstance(model, Sequential):
                    raise TypeError(f"the function model must return a Sequential; got {type(model).__name__}")
            if not model.built:
                model.build((None, *input_shape))
        self.input_shape_ = _fitting(model, input_shape)
        if len(model.output_shape) != 2:
            raise ValueError(f"model must put out a row for each sample; its output shape is {model.output_shape}")
        self._check_outputs(model, model.output_shape[1])
        self.model_, self.n_outputs_ = model, model.output_shape[1]

    def _made(self, function: Callable[..., Any], input_shape: tuple[int, ...]) -> Any:
        """Return what the function `model` makes."""
        arguments, keywords = (input_shape, self._outputs_wanted()), self.model_kwargs or {}
        if inspect.isfunction(function):
            signature = inspect.signature(function)
            try:
                signature.bind(*arguments, **keywords)
            except TypeError as error:
                wanted = ", ".join(["input_shape", "n_outputs", *keywords])
                raise TypeError(f"the function model must take ({wanted}); it takes {signature}: {error}") from error
        return function(*arguments, **keywords)

    def _check_outputs(self, model: Sequential, outputs: int) -> None:
        """Raise ValueError unless a model's outputs fit the targets."""
        raise NotImplementedError

    def _new_optimizer(self) -> optimizers.Optimizer:
        return optimizers.get(copy.deepcopy(self.optimizer))


def _fitting(model: Sequential, given: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a model's inputs, if it is fixed; samples of the given shape must have as many numbers."""
    if not model.built or None in model.input_shape[1:]:
        return given
    shape = model.input_shape[1:]
    if math.prod(shape) != math.prod(given):
        raise ValueError(f"model takes samples of shape {shape}; those of X have shape {given}")
    return shape


class NetworkClassifier(ProbabilityClassifier, _Network):
    __doc__ = f"""Any network that tells classes apart, as an estimator.

    {INPUTS_DOC}

    The network ends with a softmax of one output for each class, for two classes also with a sigmoid of one output, and for several
    labels of a sample with a sigmoid of one output for each label. To a last dense layer without activation the fitting one is
    added. With a `loss` of your own the network ends as that wants it; if it takes logits, what makes probabilities of them is
    added. A margin ("hinge", "perceptron") is no probability: 0 is then what tells two classes apart, and there is no
    `predict_proba`.

    Parameters
    ----------
    {PARAMETERS_DOC}
    loss : str, Loss or callable, optional
        See `fastnn.losses.get`; the cross-entropy by default. All but "sparse_categorical_crossentropy" get targets of 0 and 1 for
        each output. A batch's loss is the mean weighted by the sample weights, plus the penalties of the layers' regularizers.
    {docstrings.CLASS_WEIGHT}

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    {ATTRIBUTES_DOC}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> import fastnn
    >>> from fastnn.estimators import NetworkClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> def network(input_shape, n_outputs, units=16):
    ...     return fastnn.Sequential([
    ...         fastnn.layers.Dense(units, activation="tanh"),
    ...         fastnn.layers.Dense(n_outputs, activation="softmax"),
    ...     ])
    >>> settings = {{"batch_size": 16, "tol": 1e-2, "random_state": 0}}
    >>> optimizer = fastnn.optimizers.Adam(0.01)
    >>> classifier = NetworkClassifier(network, optimizer=optimizer, **settings)
    >>> bool(cross_val_score(classifier, X, y, cv=3).mean() > 0.9)
    True
    """

    def __init__(
        self,
        model: Any,
        *,
        optimizer: Any = "adam",
        loss: Any = None,
        model_kwargs: Any = None,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        class_weight: Any = None,
        callbacks: Any = None,
    ) -> None:
        self._set(locals())

    def _outputs_wanted(self) -> int:
        return len(self.classes_)

    def _check_outputs(self, model: Sequential, outputs: int) -> None:
        classes = len(self.classes_)
        if outputs != classes and (outputs, classes) != (1, 2):
            raise ValueError(f"model has {outputs} outputs, y has {classes} classes: {self.classes_}")
        loss = None if self.loss is None else losses.get(self.loss)
        if loss is not None and not _takes_logits(loss):
            return
        last, wanted = model.layers[-1], "sigmoid" if self._multilabel or outputs == 1 else "softmax"
        if loss is not None and loss.link is not None:
            wanted = loss.link
        if model(Tensor(np.zeros((1, *self.input_shape_), model.dtype))).link == wanted:
            return
        if loss is None and not (isinstance(last, Dense) and last.activation is activations.linear):
            raise ValueError(
                f"model must end with a {wanted}, or with a dense layer without activation, for such targets; or give a loss"
            )
        model.add(Activation(wanted, name="probabilities", dtype=last.dtype))

    def _encode(self, y: np.ndarray) -> np.ndarray:
        targets = super()._encode(y)
        if self.loss is None:
            return targets
        loss = losses.get(self.loss)
        if targets.ndim == 1 and not isinstance(loss, losses.SparseCategoricalCrossentropy):
            targets = np.eye(self.n_outputs_, dtype=np.float64)[targets]
        return loss.prepare_targets(targets, (None, self.n_outputs_), self.model_.dtype)

    def _objective(self) -> Objective:
        loss: Any = losses.get(self.loss) if self.loss is not None else self._output()[1]
        if _takes_logits(loss):  # they are behind the probabilities
            loss = copy.copy(loss)
            loss.from_logits = False
        return Objective(loss, self.model_.dtype)

    @property
    def _threshold(self) -> float:  # type: ignore[override]
        return 0.0 if self._gives_margins() else 0.5

    def _gives_margins(self) -> bool:
        return self.loss is not None and isinstance(losses.get(self.loss), (losses.Hinge, losses.Perceptron))

    def _has_probabilities(self) -> bool:
        if self._gives_margins():
            raise AttributeError(f"the outputs are margins, not probabilities, with the loss {self.loss!r}")
        return True


def _takes_logits(loss: Any) -> bool:
    return bool(getattr(loss, "from_logits", False))


class NetworkRegressor(Regressor, _Network):
    __doc__ = f"""Any network that predicts numbers, as an estimator.

    {INPUTS_DOC}

    Parameters
    ----------
    {PARAMETERS_DOC}
    loss : str, Loss or callable, default "mse"
        See `fastnn.losses.get`. A batch's loss is the mean weighted by the sample weights, plus the penalties of the layers'
        regularizers.

    Attributes
    ----------
    {ATTRIBUTES_DOC}

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn
    >>> from fastnn.estimators import NetworkRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> settings = {{"batch_size": 20, "max_iter": 200, "tol": 1e-3, "random_state": 0}}
    >>> model = fastnn.Sequential([
    ...     fastnn.layers.Dense(32, activation="tanh"),
    ...     fastnn.layers.Dense(1),
    ... ])
    >>> regressor = NetworkRegressor(model, loss="huber", **settings)
    >>> regressor.fit(X, X[:, 0]).score(X, X[:, 0]) > 0.95
    True
    """

    def __init__(
        self,
        model: Any,
        *,
        optimizer: Any = "adam",
        loss: Any = "mse",
        model_kwargs: Any = None,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        callbacks: Any = None,
    ) -> None:
        self._set(locals())

    def _check_outputs(self, model: Sequential, outputs: int) -> None:
        if outputs != self.n_outputs_:
            raise ValueError(f"model has {outputs} outputs, y has {self.n_outputs_} targets for each sample")

    def _encode(self, y: np.ndarray) -> np.ndarray:
        return losses.get(self.loss).prepare_targets(super()._encode(y), (None, self.n_outputs_), self.model_.dtype)

    def _objective(self) -> Objective:
        return Objective(losses.get(self.loss), self.model_.dtype)
