"""Checks of the estimators' parameters, made when `fit` is called, as scikit-learn wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..activations import FUNCTIONS
from ..activations import get as get_activation
from ..callbacks import Callback
from ..model import Sequential
from .network import ACTIVATIONS

Check = tuple[Callable[[Any], bool], str]


def one_of(*choices: Any) -> Check:
    """Return a check that a value is one of a few."""
    return lambda value: isinstance(value, (str, type(None))) and value in choices, f"one of {', '.join(map(repr, choices))}"


def number(low: float, high: float = np.inf, *, low_open: bool = False, high_open: bool = False) -> Check:
    """Return a check that a value is a number in an interval."""

    def inside(value: Any) -> bool:
        if not isinstance(value, Real) or isinstance(value, bool):
            return False
        x = float(value)
        return (low < x if low_open else low <= x) and (x < high if high_open else x <= high)

    return inside, f"a number in {'(' if low_open else '['}{low}, {high}{')' if high_open else ']'}"


def count(value: Any) -> bool:
    """Say whether a value is an integer of at least 1."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


COUNT: Check = (count, "an integer of at least 1")
FLAG: Check = (lambda value: isinstance(value, (bool, np.bool_)), "True or False")


def _is_activation(value: Any) -> bool:
    if not isinstance(value, str):
        return callable(value) and not isinstance(value, type)
    try:
        get_activation(ACTIVATIONS.get(value, value))
    except ValueError:
        return False
    return True


def _are_activations(value: Any) -> bool:
    return _is_activation(value) or (isinstance(value, (list, tuple)) and all(map(_is_activation, value)))


def _is_auto(value: Any) -> bool:
    return isinstance(value, str) and value == "auto"


def _is_float(value: Any) -> bool:
    try:
        return np.dtype(value) in (np.float32, np.float64)
    except TypeError:
        return False


#: parameter -> what it may be; those of all estimators
TRAINING: dict[str, Check] = {
    "batch_size": (lambda value: _is_auto(value) or count(value), "'auto' or an integer of at least 1"),
    "max_iter": COUNT,
    "shuffle": FLAG,
    "tol": number(0),
    "verbose": (
        lambda value: isinstance(value, (Integral, np.bool_)) and int(value) >= 0,
        "True, False or an integer of at least 0",
    ),
    "warm_start": FLAG,
    "early_stopping": FLAG,
    "validation_fraction": number(0, 1, high_open=True),
    "n_iter_no_change": (lambda value: count(value) or value == np.inf, "an integer of at least 1, or infinity"),
    "callbacks": (
        lambda value: value is None or (isinstance(value, (list, tuple)) and all(isinstance(c, Callback) for c in value)),
        "None or a list of fastnn.callbacks.Callback",
    ),
}
#: of estimators that are trained by scikit-learn's solvers
SOLVER: dict[str, Check] = {
    "solver": one_of("sgd", "adam"),
    "alpha": number(0, high_open=True),
    "learning_rate": one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": number(0, low_open=True, high_open=True),
    "power_t": number(0, high_open=True),
    "momentum": number(0, 1),
    "nesterovs_momentum": FLAG,
    "beta_1": number(0, 1, high_open=True),
    "beta_2": number(0, 1, high_open=True),
    "epsilon": number(0, low_open=True, high_open=True),
    "activation": (
        _are_activations,
        "an activation or a sequence of them: 'identity', 'logistic', one of "
        f"{', '.join(map(repr, FUNCTIONS))}, one made by fastnn.activation "
        "(itself and not its name, where n_jobs starts processes), a function made of fastnn.ops or a layer",
    ),
    "batch_norm": FLAG,
    "dropout": number(0, 1, high_open=True),
    "dtype": (lambda value: value is None or _is_float(value), "None, 'float32' or 'float64'"),
}
PERCEPTRON: dict[str, Check] = {
    "penalty": one_of(None, "l2", "l1", "elasticnet"),
    "alpha": SOLVER["alpha"],
    "l1_ratio": number(0, 1),
    "fit_intercept": FLAG,
    "eta0": number(0, low_open=True, high_open=True),
    "tol": (lambda value: value is None or TRAINING["tol"][0](value), f"None or {TRAINING['tol'][1]}"),
    "dtype": SOLVER["dtype"],
}
NETWORK: dict[str, Check] = {
    "model": (
        lambda value: isinstance(value, Sequential) or (callable(value) and not isinstance(value, type)),
        "a fastnn.Sequential or a function that makes one",
    ),
    "model_kwargs": (lambda value: value is None or isinstance(value, dict), "None or a dict"),
}
IMAGE_SHAPE: Check = (
    lambda value: value is None or (isinstance(value, (tuple, list)) and len(value) in (2, 3) and all(map(count, value))),
    "None, (height, width) or (height, width, channels)",
)
CLASS_WEIGHT: dict[str, Check] = {
    "class_weight": (
        lambda value: value is None or isinstance(value, (dict, list)) or (isinstance(value, str) and value == "balanced"),
        "None, 'balanced' or a dict",
    )
}
LOSS: dict[str, Check] = {"loss": one_of("squared_error", "poisson", "absolute_error", "huber")}


def check(estimator: Any, checks: dict[str, Check]) -> None:
    """Check an estimator's parameters.

    Raises
    ------
    ValueError
        If one is not what it may be.
    """
    for name, (fits, expected) in checks.items():
        value = getattr(estimator, name)
        if not fits(value):
            raise ValueError(f"the parameter {name!r} of {type(estimator).__name__} must be {expected}; got {value!r}")


def layer_sizes(name: str, value: Any) -> list[int]:
    """Return a parameter that is an integer or a sequence of them, such as `hidden_layer_sizes`, as a list.

    Raises
    ------
    ValueError
        If it is neither, or one of them is not positive.
    """
    sizes = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise ValueError(f"{name} must be an integer or a sequence of integers; got {value!r}")
    if any(size <= 0 for size in sizes):
        raise ValueError(f"{name} must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def activations(value: Any, layers: int) -> list[Any]:
    """Return `activation`, one for all hidden layers or a sequence of one for each, as a list.

    Raises
    ------
    ValueError
        If the sequence is not as long as there are hidden layers.
    """
    if not isinstance(value, (list, tuple)):
        return [value] * layers
    if len(value) != layers:
        raise ValueError(f"activation must be one, or a sequence of one for each of the {layers} hidden layers; got {len(value)}")
    return list(value)
