"""Activations as layers, where they have parameters or people write them so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import initializers, ops, regularizers
from ..autodiff import Tensor
from ..kernels.functions.checks import number
from .base import SameShapeLayer, Shape
from .registry import register_layer


@register_layer
class ReLU(SameShapeLayer):
    """``max(x, 0)``.

    Parameters
    ----------
    max_value : float, optional
        The largest output, at least 0.
    negative_slope : float, default 0.0
        Factor of negative inputs, at least 0.
    **kwargs
        As for `Layer`.
    """

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else number("max_value", max_value, low=0)
        self.negative_slope = number("negative_slope", negative_slope, low=0)

    def call(self, x: Tensor) -> Tensor:
        y = ops.leaky_relu(x, self.negative_slope) if self.negative_slope else ops.relu(x)
        return y if self.max_value is None else ops.minimum(y, self.max_value)


@register_layer
class LeakyReLU(SameShapeLayer):
    """`x` where it is positive, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope : float, default 0.3
        Factor of negative inputs, at least 0; 0.3 by default, as in Keras (the function `fastnn.ops.leaky_relu` has 0.2).
    **kwargs
        As for `Layer`.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = number("negative_slope", negative_slope, low=0)

    def call(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, self.negative_slope)


@register_layer
class PReLU(SameShapeLayer):
    """`x` where it is positive, else ``alpha * x`` with a factor that is learned (He et al. 2015).

    Parameters
    ----------
    alpha_initializer : str, Initializer or callable, default "zeros"
        See `fastnn.initializers.get`.
    alpha_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    shared_axes : sequence of int, optional
        Axes along which the factor is one: (1, 2) gives channels_last images a factor per channel.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    alpha : Variable, a sample's shape with extent 1 along `shared_axes`
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        shared_axes: Sequence[int] | int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.shared_axes = (shared_axes,) if isinstance(shared_axes, int) else tuple(shared_axes or ())

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        self.input_axes = ("batch", *(f"axis {axis}" for axis in range(1, rank)))
        if any(not 1 <= axis < rank for axis in self.shared_axes):
            raise ValueError(f"shared_axes of {self._described()} must be from 1 to {rank - 1}; got {self.shared_axes}")
        own_axes = [axis for axis in range(1, rank) if axis not in self.shared_axes]
        extents = {axis: self._known_extent(input_shape, axis, f"elements along axis {axis}") for axis in own_axes}
        shape = [extents.get(axis, 1) for axis in range(1, rank)]
        self.alpha = self.add_weight(shape, self.alpha_initializer, None, True, self.alpha_regularizer, "alpha")

    def call(self, x: Tensor) -> Tensor:
        return ops.prelu(x, self.alpha)


@register_layer
class ELU(SameShapeLayer):
    """`x` where it is positive, else ``alpha * (exp(x) - 1)``.

    Parameters
    ----------
    alpha : float, default 1.0
        What the output tends to for large negative inputs is ``-alpha``; at least 0.
    **kwargs
        As for `Layer`.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = number("alpha", alpha, low=0)

    def call(self, x: Tensor) -> Tensor:
        return ops.elu(x, self.alpha)


@register_layer
class Softmax(SameShapeLayer):
    """``exp(x) / sum(exp(x))`` along an axis.

    Parameters
    ----------
    axis : int, default -1
        The axis.
    **kwargs
        As for `Layer`.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis)

    def call(self, x: Tensor) -> Tensor:
        return ops.softmax(x, self.axis)


@register_layer
class Sigmoid(SameShapeLayer):
    """``1 / (1 + exp(-x))``, the unipolar sigmoid."""

    def call(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


@register_layer
class BipolarSigmoid(SameShapeLayer):
    """``(1 - exp(-x)) / (1 + exp(-x))``."""

    def call(self, x: Tensor) -> Tensor:
        return ops.bipolar_sigmoid(x)


@register_layer
class Tanh(SameShapeLayer):
    """The hyperbolic tangent."""

    def call(self, x: Tensor) -> Tensor:
        return ops.tanh(x)
