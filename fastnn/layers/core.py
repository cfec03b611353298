"""Input, Dense, Activation and Rescaling."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .. import activations, initializers, ops, regularizers
from ..autodiff import Tensor
from ..kernels.functions.checks import integer
from .base import Layer, SameShapeLayer, Shape, get_activation, sample_shape
from .registry import register_layer


@register_layer
class InputLayer(SameShapeLayer):
    """The shape of a model's inputs, as first element of a `fastnn.Sequential`; also called `Input`.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, None for an extent that is not fixed.
    batch_size : int, optional
        Number of samples, if it is fixed.
    dtype : {"float32", "float64"}, optional
        Type of the inputs.
    name : str, optional
        "input_layer" by default.

    Examples
    --------
    >>> from fastnn import layers
    >>> layers.Input((28, 28, 1)).batch_shape
    (None, 28, 28, 1)
    """

    def __init__(
        self, shape: Sequence[int | None], batch_size: int | None = None, dtype: Any = None, name: str | None = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.shape = sample_shape("shape", shape)
        self.batch_size = None if batch_size is None else integer("batch_size", batch_size, low=1)
        self.build(self.batch_shape)

    @property
    def batch_shape(self) -> Shape:
        """Shape of a batch of inputs."""
        return (self.batch_size, *self.shape)

    def call(self, x: Tensor) -> Tensor:
        return x

    def get_config(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "batch_size": self.batch_size, "dtype": self.dtype.name, "name": self.name}


Input = InputLayer


@register_layer
class Dense(Layer):
    """``activation(x @ kernel + bias)``, on the last axis of the inputs.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str or callable, optional
        See `fastnn.activations.get`.
    use_bias : bool, default True
        Whether there is a bias.
    kernel_initializer, bias_initializer : str, Initializer or callable, default "glorot_uniform" and "zeros"
        See `fastnn.initializers.get`.
    kernel_regularizer, bias_regularizer : str, Regularizer or callable, optional
        See `fastnn.regularizers.get`.
    **kwargs
        As for `Layer`.

    Attributes
    ----------
    kernel : Variable, shape (inputs, units)
    bias : Variable, shape (units,), or None

    See Also
    --------
    Flatten : Makes rows of images, which a dense layer needs before it.
    fastnn.ops.dense : The same as a function of tensors.
    fastnn.kernels.dense_forward : The same as a function of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Dense(10, activation="relu", kernel_regularizer="l2")
    >>> layer(np.ones((32, 784))).shape
    (32, 10)
    >>> layer.kernel.shape, layer.bias.shape
    ((784, 10), (10,))
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = integer("units", units, low=1)
        self.activation = get_activation(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def build(self, input_shape: Shape) -> None:
        inputs = self._known_extent(input_shape, -1, "features (the last axis)")
        self.kernel = self.add_weight((inputs, self.units), self.kernel_initializer, None, True, self.kernel_regularizer, "kernel")
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight((self.units,), self.bias_initializer, None, True, self.bias_regularizer, "bias")

    def call(self, x: Tensor) -> Tensor:
        fused, after = activations.split(self.activation)
        rows = x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))
        y = ops.dense(rows, self.kernel, self.bias, activation=fused)
        if x.ndim != 2:
            y = ops.reshape(y, (*x.shape[:-1], self.units))
        return y if after is None else after(y)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        self._check_input(input_shape)
        return (*input_shape[:-1], self.units)

    def _check_input(self, shape: Sequence[int | None]) -> None:
        if len(shape) < 2:
            raise ValueError(
                f"{self._described()} needs inputs of shape (batch, features); got {tuple(shape)}. "
                "A single sample needs a batch axis: x[None]; samples of one feature: x[:, None]"
            )
        super()._check_input(shape)

    def _input_advice(self, shape: Sequence[int | None]) -> str:
        if len(shape) > 2:
            return "Put layers.Flatten() before it to make one row of each sample"
        return "The number of features is fixed by the first inputs that the layer was built for"


@register_layer
class Activation(SameShapeLayer):
    """An activation as a layer of its own.

    Parameters
    ----------
    activation : str or callable
        See `fastnn.activations.get`.
    **kwargs
        As for `Layer`.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = get_activation(activation)

    def call(self, x: Tensor) -> Tensor:
        return self.activation(x)


@register_layer
class Rescaling(SameShapeLayer):
    """``x * scale + offset``, for example ``Rescaling(1 / 255)`` for images of bytes.

    Parameters
    ----------
    scale, offset : float or sequence of float
        One number, or one for each element of the last axis (the channels of channels_last images).
    **kwargs
        As for `Layer`.
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("scale", scale), ("offset", offset)):
            if np.asarray(value).dtype.kind not in "iuf":
                raise TypeError(f"{name} must be a number, or numbers; got {value!r}")
        self.scale, self.offset = scale, offset

    def build(self, input_shape: Shape) -> None:
        channels = self._known_extent(input_shape, -1, "channels (the last axis)")
        for name, value in (("scale", self.scale), ("offset", self.offset)):
            if np.shape(value) not in ((), (1,), (channels,)):
                raise ValueError(
                    f"{name} of {self._described()} must be one number, or {channels} numbers for inputs of shape "
                    f"{input_shape}; got shape {np.shape(value)}"
                )
        self._channels = channels

    @cached_property
    def _terms(self) -> list[Tensor]:
        """Scale, offset, mean and variance, made at the first use: a file that claims many channels must not take memory."""
        return [Tensor(np.full(self._channels, value, self.dtype)) for value in (self.scale, self.offset, 0.0, 1.0)]

    def call(self, x: Tensor) -> Tensor:
        if np.ndim(self.scale) == 0 and np.ndim(self.offset) == 0:
            return ops.rescale(x, self.scale, self.offset)
        # of each channel: batch normalization with mean 0 and variance 1 is this same map, and there is a kernel for it
        rows = ops.reshape(x, (-1, x.shape[-1]))
        scale, offset, mean, variance = self._terms
        return ops.reshape(ops.batchnorm_inference(rows, scale, offset, mean, variance, eps=0.0), x.shape)
