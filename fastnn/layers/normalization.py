"""Normalization over the batch, or over the features of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .. import initializers, kernels, ops, regularizers
from ..autodiff import Tensor, Variable
from .base import SameShapeLayer, Shape
from .images import AXES
from .registry import register_layer


class Normalization(SameShapeLayer):
    """What the normalizations share: the factor `gamma`, the offset `beta`, and the features that they are for.

    Parameters
    ----------
    axis : int
        The axis of the features.
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is an offset `beta`, and whether there is a factor `gamma`.
    beta_initializer, gamma_initializer : str, Initializer or callable
        See `fastnn.initializers.get`.
    beta_regularizer, gamma_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    **kwargs
        As for `Layer`.
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"epsilon must be positive; got {epsilon}")
        self.axis = int(axis)
        self.epsilon = float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)

    def _check_axis(self, input_shape: Shape, allowed: tuple[int, ...]) -> int:
        rank = len(input_shape)
        if rank < 2 or not -rank <= self.axis < rank or self.axis % rank not in allowed:
            raise ValueError(
                f"axis of {self._described()} must be {' or '.join(map(str, allowed))} for inputs of shape {input_shape}; "
                f"got {self.axis}"
            )
        return self.axis % rank

    def _add_gamma_and_beta(self, features: int) -> None:
        self._features = features
        self.gamma: Variable | None = None
        self.beta: Variable | None = None
        if self.scale:
            self.gamma = self.add_weight((features,), self.gamma_initializer, None, True, self.gamma_regularizer, "gamma")
        if self.center:
            self.beta = self.add_weight((features,), self.beta_initializer, None, True, self.beta_regularizer, "beta")

    @cached_property
    def _factor_and_offset(self) -> tuple[Tensor, Tensor]:
        """Gamma and beta; what is left out stands in the arithmetic as a constant.

        The constants are made at the first use, not in `build`: a file that claims many features must hold as many weights.
        """
        factor = Tensor(np.ones(self._features, self.dtype)) if self.gamma is None else self.gamma
        offset = Tensor(np.zeros(self._features, self.dtype)) if self.beta is None else self.beta
        return factor, offset

    def _input_advice(self, shape: Sequence[int | None]) -> str:
        return "The number of features is fixed by the first inputs that the layer was built for"


@register_layer
class BatchNormalization(Normalization):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` for each feature.

    In training, mean and (biased) variance are those of the batch, and the moving averages follow them::

        moving_mean = momentum * moving_mean + (1 - momentum) * mean

    Otherwise, and in a layer whose `trainable` is False, they are the moving averages.

    Parameters
    ----------
    axis : int, default -1
        The axis of the features: the last one, or 1 for channels_first images.
    momentum : float, default 0.99
        How much of the moving averages a step keeps.
    epsilon : float, default 0.001
        Added to the variance.
    center, scale : bool, default True
        Whether there is an offset `beta`, and whether there is a factor `gamma`.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer : str, Initializer or callable
        See `fastnn.initializers.get`.
    beta_regularizer, gamma_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    gamma, beta : Variable, shape (features,), or None
    moving_mean, moving_variance : Variable, shape (features,)
        Not trainable.

    References
    ----------
    Ioffe & Szegedy 2015, "Batch Normalization".
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            axis, epsilon, center, scale, beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, **kwargs
        )
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be from 0 to 1; got {momentum}")
        self.momentum = float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Shape) -> None:
        last = len(input_shape) - 1
        axis = self._check_axis(input_shape, (1, last) if last == 3 else (last,))
        self.data_format = "channels_last" if axis == last else "channels_first"
        if axis != last:
            self.input_axes = AXES[self.data_format]
        features = self._known_extent(input_shape, axis - len(input_shape), "features")
        self._add_gamma_and_beta(features)
        self.moving_mean = self.add_weight((features,), self.moving_mean_initializer, trainable=False, name="moving_mean")
        self.moving_variance = self.add_weight(
            (features,), self.moving_variance_initializer, trainable=False, name="moving_variance"
        )

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if x.ndim not in (2, 4):
            rows = ops.reshape(x, (-1, x.shape[-1]))
            return ops.reshape(self._normalize(rows, training), x.shape)
        return self._normalize(x, training)

    def _normalize(self, x: Tensor, training: bool) -> Tensor:
        if not (training and self.trainable):
            moving = (self.moving_mean, self.moving_variance)
            return ops.batchnorm_inference(x, *self._factor_and_offset, *moving, self.epsilon, self.data_format)
        y, mean, variance = ops.batchnorm(x, *self._factor_and_offset, self.epsilon, self.data_format)
        for value, average in ((mean, self.moving_mean), (variance, self.moving_variance)):
            kernels.moving_average(value.data, average.data, self.momentum)
            average.version += 1
        return y


@register_layer
class LayerNormalization(Normalization):
    """``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` with mean and (biased) variance over each sample's last axis.

    Parameters
    ----------
    axis : int, default -1
        The axis that is normalized: the last one.
    epsilon : float, default 0.001
        Added to the variance.
    center, scale : bool, default True
        Whether there is an offset `beta`, and whether there is a factor `gamma`.
    beta_initializer, gamma_initializer : str, Initializer or callable, default "zeros" and "ones"
        See `fastnn.initializers.get`.
    beta_regularizer, gamma_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    gamma, beta : Variable, shape (features,), or None

    References
    ----------
    Ba, Kiros & Hinton 2016, "Layer Normalization".
    """

    def build(self, input_shape: Shape) -> None:
        self._check_axis(input_shape, (len(input_shape) - 1,))
        self._add_gamma_and_beta(self._known_extent(input_shape, -1, "features (the last axis)"))

    def call(self, x: Tensor) -> Tensor:
        return ops.layernorm(x, *self._factor_and_offset, self.epsilon)
