"""MLPClassifier and MLPRegressor: scikit-learn's parameters, defaults, attributes and training, on fastnn's kernels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..layers import Dense, Layer
from ..model import Sequential
from . import docstrings, network, parameters
from .base import Samples
from .objective import Objective, value_and_gradient
from .solvers import SolverEstimator
from .targets import ProbabilityClassifier, Regressor

PARAMETERS_DOC = f"""hidden_layer_sizes : int or sequence of int, default (100,)
        Outputs of each hidden layer.
    {docstrings.ACTIVATION}
    solver : {{"adam", "sgd", "lbfgs"}}, default "adam"
        The optimizer; "lbfgs" takes all samples at once, without dropout, batch normalization, callbacks and validation.
    max_iter : int, default 200
        Most epochs; for lbfgs, most iterations.
    max_fun : int, default 15000
        For lbfgs: most evaluations of the loss.
    {docstrings.SOLVER}
    {docstrings.TRAINING}
    dtype : {{None, "float32", "float64"}}
        Type of weights and arithmetic; None is that of `X`, float64 for anything but floats. float32 is about twice as fast."""

NOTES_DOC = """Scikit-learn's parameters lead, with the same `random_state`, to scikit-learn's weights up to rounding. What differs:
    a sparse `X` is made dense; what begins with an underscore there, such as the optimizer, has other names or is not there; and
    with `warm_start` or `partial_fit` a network stays as it was made, whatever `activation` is set to later."""

ATTRIBUTES_DOC = f"""coefs_, intercepts_ : list of ndarray
        Weights, of shape (inputs, outputs), and biases of the layers. Arrays put in their place are what predictions go by.
    {docstrings.ATTRIBUTES}
    n_layers_, out_activation_ : int, str
        Layers with the inputs, and activation of the last layer."""


class _MLP(SolverEstimator):
    """What the classifier and the regressor share."""

    hidden_layer_sizes: Any
    activation: Any
    batch_norm: bool
    dropout: float
    max_fun: int

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    def _checks(self) -> dict[str, parameters.Check]:
        return {**super()._checks(), "solver": parameters.one_of("lbfgs", "sgd", "adam"), "max_fun": parameters.COUNT}

    # --------------------------------------------------- the network and its weights

    def _initialize(self, input_shape: tuple[int, ...], dtype: np.dtype, random_state: Any) -> None:
        hidden = parameters.layer_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        functions = parameters.activations(self.activation, len(hidden))
        bounded_by = functions + (functions[-1:] or [self.activation])  # the last layer as the one before it
        sizes = [*input_shape, *hidden, self.n_outputs_]
        self.coefs_, self.intercepts_ = [], []
        for fan_in, fan_out, function in zip(sizes[:-1], sizes[1:], bounded_by, strict=True):
            bound = np.sqrt((2.0 if network.activation(function) == "sigmoid" else 6.0) / (fan_in + fan_out))
            self.coefs_.append(random_state.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
            self.intercepts_.append(random_state.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output()[0]
        self._build(functions, random_state)

    def _build(self, functions: Sequence[Any], random_state: Any) -> None:
        """Make the network around the weights."""
        dtype = np.dtype(self.coefs_[0].dtype.type)
        layers: list[Layer] = []
        for i, w in enumerate(self.coefs_[:-1]):
            dense = Dense(w.shape[1], kernel_initializer="zeros", name=f"dense_{i}", dtype=dtype)
            layers += network.hidden_layers(dense, functions[i], self.batch_norm)
            layers += network.dropout_layers(self.dropout, str(i), dtype, random_state)
        link = network.LINKS[self.out_activation_]
        name = f"dense_{len(self.coefs_) - 1}"
        layers.append(Dense(self.coefs_[-1].shape[1], link, kernel_initializer="zeros", name=name, dtype=dtype))
        self.model_ = Sequential(layers, name="mlp")
        self.model_.build((None, self.coefs_[0].shape[0]))
        self._put_weights()
        self._show_weights()

    def _dense(self) -> list[Any]:
        return [layer for layer in self.model_.layers if isinstance(layer, Dense)]

    def _put_weights(self) -> None:
        """Write arrays that were put into `coefs_` and `intercepts_` into the network."""
        for dense, *given in zip(self._dense(), self.coefs_, self.intercepts_, strict=True):
            for variable, array in zip((dense.kernel, dense.bias), given, strict=True):
                if variable.data is not array:
                    variable.assign(array)

    def _show_weights(self) -> None:
        self.coefs_ = [dense.kernel.data for dense in self._dense()]
        self.intercepts_ = [dense.bias.data for dense in self._dense()]

    def __getstate__(self) -> dict[str, Any]:
        if hasattr(self, "model_"):
            self._put_weights()
        return super().__getstate__()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self._show_weights()  # the network's arrays are new ones

    # --------------------------------------------------------------- training

    def _has_epochs(self) -> bool:
        if self.solver not in ("sgd", "adam"):
            raise AttributeError(f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic.")
        return True

    def _has_weights(self) -> bool:
        return hasattr(self, "coefs_")

    def _start_curves(self) -> None:
        if self.solver != "lbfgs":
            super()._start_curves()

    def _resume(self, random_state: Any) -> None:
        if hasattr(self, "model_"):
            self._put_weights()
        else:  # all weights were put in place by hand
            self._build(parameters.activations(self.activation, len(self.coefs_) - 1), random_state)

    def _train(self, samples: Samples, held: Samples | None, random_state: Any, incremental: bool) -> None:
        if self.solver == "lbfgs":
            self._train_lbfgs(samples, held)
        else:
            super()._train(samples, held, random_state, incremental)
        self._show_weights()

    def _train_lbfgs(self, samples: Samples, held: Samples | None) -> None:
        from scipy.optimize import minimize

        given = {"batch_norm": self.batch_norm, "dropout": self.dropout, "callbacks": self.callbacks, "X_val": held}
        for name, value in given.items():
            if value:
                raise ValueError(f"{name} needs epochs of batches, which solver='lbfgs' has not; take 'adam' or 'sgd'")
        X, _, targets, weight = samples
        objective = self.model_.loss
        assert isinstance(objective, Objective)
        function = value_and_gradient(self.model_, objective, X, targets, weight)
        start = np.concatenate([variable.data.ravel() for variable in self.model_.trainable_weights]).astype(np.float64)
        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        result = minimize(function, start, method="L-BFGS-B", jac=True, options=options)
        if result.status != 0:
            warnings.warn(
                f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): {result.message}; "
                "increase max_iter or scale the data",
                ConvergenceWarning,
                stacklevel=5,
            )
        self.n_iter_ = min(result.nit, self.max_iter)
        self.loss_ = float(result.fun)
        function(result.x)  # leaves the weights of the best point in the network

    def _outputs(self, X: Any) -> np.ndarray:
        if hasattr(self, "model_"):
            self._put_weights()
        return super()._outputs(X)


class MLPClassifier(ProbabilityClassifier, _MLP):
    __doc__ = f"""A network of dense layers that tells classes apart; scikit-learn's of the same name, and more.

    One class of several for each sample, or with a matrix of 0 and 1 as targets any number of labels for each sample.

    Parameters
    ----------
    {PARAMETERS_DOC}
    {docstrings.CLASS_WEIGHT}

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    {ATTRIBUTES_DOC}

    See Also
    --------
    CNNClassifier : For images.
    NetworkClassifier : For any `fastnn.Sequential`.
    PerceptronClassifier : A single layer, and Rosenblatt's rule.

    Notes
    -----
    {NOTES_DOC}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnn.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier(random_state=0, max_iter=500).fit(X, y).score(X, y) > 0.95
    True

    Two hidden layers with different activations, watched on other samples:

    >>> mlp = MLPClassifier((32, 16), ["tanh", "silu"], early_stopping=True, random_state=0)
    >>> mlp = mlp.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    >>> len(mlp.validation_loss_curve_) == mlp.n_iter_
    True
    """

    _least_classes = 1  # as in scikit-learn

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
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
        batch_norm: bool = False,
        dropout: float = 0.0,
        class_weight: Any = None,
        callbacks: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(locals())


class MLPRegressor(Regressor, _MLP):
    __doc__ = f"""A network of dense layers that predicts numbers; scikit-learn's of the same name, and more.

    Parameters
    ----------
    {docstrings.REGRESSION_LOSS}
    {PARAMETERS_DOC}

    Attributes
    ----------
    {ATTRIBUTES_DOC}

    See Also
    --------
    CNNRegressor : For images.
    NetworkRegressor : For any `fastnn.Sequential`.

    Notes
    -----
    {NOTES_DOC}

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = X[:, 0] ** 2
    >>> MLPRegressor(solver="lbfgs", random_state=0).fit(X, y).score(X, y) > 0.99
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
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
        batch_norm: bool = False,
        dropout: float = 0.0,
        callbacks: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(locals())

    def _checks(self) -> dict[str, parameters.Check]:
        return {**super()._checks(), **parameters.LOSS}
