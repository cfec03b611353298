"""CNNClassifier and CNNRegressor: convolutional networks for images, with the parameters of scikit-learn's MLP besides."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from .. import random
from ..layers import Conv2D, Dense, Flatten, Layer, MaxPooling2D, Rescaling
from ..model import Sequential
from . import docstrings, network, parameters
from .shapes import ShapedEstimator
from .solvers import SolverEstimator
from .targets import ProbabilityClassifier, Regressor

PARAMETERS_DOC = f"""filters : int or sequence of int, default (32, 64)
        Output channels of each convolution; an activation and max-pooling follow each.
    kernel_size : int, default 3
        Rows and columns of the convolutions' windows; images are padded with zeros, so that they keep their size.
    pool_size : int, default 2
        Rows and columns of the windows of max-pooling, which divides the size of images by this (rounded up).
    hidden_layer_sizes : int or sequence of int, default (128,)
        Outputs of each dense layer between the convolutions and the outputs.
    {docstrings.ACTIVATION}
        Convolutions are hidden layers too, but only dense layers drop outputs.
    image_shape : (height, width) or (height, width, channels), optional
        Shape of the images where `X` has them flat; without, their rows and columns are as many if the number of features is a
        square, else an image has one row.
    solver : {{"adam", "sgd"}}, default "adam"
        The optimizer.
    max_iter : int, default 200
        Most epochs.
    {docstrings.SOLVER}
    {docstrings.TRAINING}
    dtype : {{None, "float32", "float64"}}
        Type of weights and arithmetic; None is that of `X`, float32 for bytes and float64 for other integers. float32 is about
        twice as fast."""

INPUTS_DOC = """`X` is images of shape (n_samples, height, width, channels) or (n_samples, height, width), or rows of their pixels.
    Where those of the first call are bytes (uint8), the network divides all its inputs by 255; other numbers it takes as they
    are."""

ATTRIBUTES_DOC = f"""input_shape_ : tuple of int
        Shape of an image, (height, width, channels).
    {docstrings.ATTRIBUTES}"""


class _CNN(ShapedEstimator, SolverEstimator):
    """What the classifier and the regressor share."""

    filters: Any
    kernel_size: int
    pool_size: int
    hidden_layer_sizes: Any
    activation: Any
    image_shape: Any
    batch_norm: bool
    dropout: float

    def _checks(self) -> dict[str, parameters.Check]:
        own = {"kernel_size": parameters.COUNT, "pool_size": parameters.COUNT, "image_shape": parameters.IMAGE_SHAPE}
        return {**super()._checks(), **own}

    def _input_dtypes(self) -> Any:
        floats = super()._input_dtypes()
        return [*(floats if isinstance(floats, tuple) else (floats,)), np.uint8]

    def _sample_shape(self, given: tuple[int, ...]) -> tuple[int, ...]:
        if len(given) > 3:
            raise ValueError(
                f"X must be images, (height, width) or (height, width, channels) each, or rows; got samples of {given}"
            )
        shape = given
        if len(given) == 1:
            side = math.isqrt(given[0])
            shape = (side, side) if side * side == given[0] else (1, *given)
        if self.image_shape is not None:
            shape = tuple(self.image_shape)
        elif len(given) == 3 and given[0] in (1, 3) and given[1] == given[2] > 3:
            warnings.warn(
                f"samples of X have shape {given}, taken as {given[0]} x {given[1]} pixels of {given[2]} channels; if they are "
                f"channels_first, give np.moveaxis(X, 1, -1), if not, image_shape={given}",
                stacklevel=6,
            )
        shape = shape if len(shape) == 3 else (*shape, 1)
        if math.prod(shape) != math.prod(given) or (len(given) > 1 and shape[: len(given)] != given):
            raise ValueError(f"image_shape is {self.image_shape}, which samples of shape {given} do not have")
        return shape

    def _initialize(self, input_shape: tuple[int, ...], dtype: np.dtype, random_state: Any) -> None:
        filters = parameters.layer_sizes("filters", self.filters)
        hidden = parameters.layer_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        functions = parameters.activations(self.activation, len(filters) + len(hidden))
        bytes_given = dtype == np.uint8
        if bytes_given:
            dtype = np.dtype(self.dtype or np.float32)
        self.out_activation_ = self._output()[0]
        with random.drawing_from(int(random_state.randint(2**31))):
            layers: list[Layer] = [Rescaling(1 / 255, name="bytes", dtype=dtype)] if bytes_given else []
            for i, (channels, function) in enumerate(zip(filters, functions, strict=False)):
                conv = Conv2D(channels, self.kernel_size, padding="same", name=f"conv_{i}", dtype=dtype)
                layers += network.hidden_layers(conv, function, self.batch_norm)
                layers.append(MaxPooling2D(self.pool_size, padding="same", name=f"pool_{i}", dtype=dtype))
            layers.append(Flatten(name="flatten", dtype=dtype))
            for i, (units, function) in enumerate(zip(hidden, functions[len(filters) :], strict=True)):
                layers += network.hidden_layers(Dense(units, name=f"dense_{i}", dtype=dtype), function, self.batch_norm)
                layers += network.dropout_layers(self.dropout, str(i), dtype, random_state)
            link = network.LINKS[self.out_activation_]
            layers.append(Dense(self.n_outputs_, link, name=f"dense_{len(hidden)}", dtype=dtype))
            self.model_ = Sequential(layers, name="cnn")
            self.model_.build((None, *input_shape))


class CNNClassifier(ProbabilityClassifier, _CNN):
    __doc__ = f"""A convolutional network that tells images apart.

    {INPUTS_DOC}

    Parameters
    ----------
    {PARAMETERS_DOC}
    {docstrings.CLASS_WEIGHT}

    Attributes
    ----------
    classes_ : ndarray
        The classes.
    {ATTRIBUTES_DOC}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastnn.estimators import CNNClassifier
    >>> digits = load_digits()
    >>> X, y = digits.images / 16, digits.target
    >>> settings = {{"learning_rate_init": 0.01, "tol": 1e-2, "random_state": 0}}
    >>> cnn = CNNClassifier(filters=8, hidden_layer_sizes=(), max_iter=30, **settings)
    >>> cnn.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    def __init__(
        self,
        filters: Any = (32, 64),
        kernel_size: int = 3,
        hidden_layer_sizes: Any = (128,),
        activation: Any = "relu",
        *,
        pool_size: int = 2,
        image_shape: Any = None,
        batch_norm: bool = False,
        dropout: float = 0.0,
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
        class_weight: Any = None,
        callbacks: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(locals())


class CNNRegressor(Regressor, _CNN):
    __doc__ = f"""A convolutional network that predicts numbers from images.

    {INPUTS_DOC}

    Parameters
    ----------
    {docstrings.REGRESSION_LOSS}
    {PARAMETERS_DOC}

    Attributes
    ----------
    {ATTRIBUTES_DOC}

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastnn.estimators import CNNRegressor
    >>> X = load_digits().images / 16
    >>> ink = X.sum(axis=(1, 2)) / 4
    >>> settings = {{"learning_rate_init": 0.01, "tol": 1e-2, "random_state": 0}}
    >>> cnn = CNNRegressor(filters=4, hidden_layer_sizes=8, **settings)
    >>> cnn.fit(X, ink).score(X, ink) > 0.9
    True
    """

    def __init__(
        self,
        loss: str = "squared_error",
        filters: Any = (32, 64),
        kernel_size: int = 3,
        hidden_layer_sizes: Any = (128,),
        activation: Any = "relu",
        *,
        pool_size: int = 2,
        image_shape: Any = None,
        batch_norm: bool = False,
        dropout: float = 0.0,
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
        callbacks: Any = None,
        dtype: Any = None,
    ) -> None:
        self._set(locals())

    def _checks(self) -> dict[str, parameters.Check]:
        return {**super()._checks(), **parameters.LOSS}
