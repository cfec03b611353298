"""Layers that change images at random while a model trains, each image in its own way; otherwise they leave them as they are.

What they draw is a function of the layer's seed and the number of batches it has seen, as in `Dropout`, for any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import kernels, ops
from ..autodiff import Tensor
from ..kernels.functions.checks import integer
from ..kernels.spec.augment import FILL_MODES, INTERPOLATIONS
from .base import Shape
from .images import ImageLayer
from .randomness import RandomLayer
from .registry import register_layer

#: (low, high) that a number is drawn from
Range = tuple[float, float]
ONE, ZERO = (1.0, 1.0), (0.0, 0.0)
#: a sign: half of the numbers are negative
EITHER = (-1.0, 1.0)


class RandomImageLayer(RandomLayer, ImageLayer):
    """A layer that draws numbers for each image of a batch.

    Parameters
    ----------
    seed, data_format, **kwargs
        As for `RandomFlip`.
    """

    def __init__(self, seed: int | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(seed, data_format=data_format, **kwargs)

    def _draw(self, n: int, *ranges: Range) -> np.ndarray:
        low, high = np.array(ranges, np.float64).T.copy()
        return kernels.random_uniform(low, high, n, self.state)

    def _warp(
        self,
        x: Tensor,
        zoom: tuple[Range, Range] = (ONE, ONE),
        angle: Range = ZERO,
        shift: tuple[Range, Range] = (ZERO, ZERO),
        flip: tuple[Range, Range] = (ONE, ONE),
        **options: Any,
    ) -> Tensor:
        """Return `x` with motions drawn from these ranges, for rows and for columns; options as for `ops.affine_warp`."""
        motion = self._draw(len(x), *zoom, angle, *shift, *flip)
        return ops.affine_warp(x, motion, data_format=self.data_format, **options)


class RandomWarp(RandomImageLayer):
    """A layer that moves the pixels of each image.

    Parameters
    ----------
    fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        As for `RandomTranslation`.
    """

    def __init__(
        self,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        for name, value, known in (("fill_mode", fill_mode, FILL_MODES), ("interpolation", interpolation, INTERPOLATIONS)):
            if value not in tuple(known):
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}")
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = float(fill_value)

    @property
    def _filling(self) -> dict[str, Any]:
        return {"fill_mode": self.fill_mode, "interpolation": self.interpolation, "fill_value": self.fill_value}


@register_layer
class RandomFlip(RandomImageLayer):
    """Half of the images mirrored, in training.

    Parameters
    ----------
    mode : {"horizontal_and_vertical", "horizontal", "vertical"}, default "horizontal_and_vertical"
        Left and right, top and bottom, or each of the two by itself.
    seed : int, optional
        For the same changes in each run; drawn from the process's generator (`fastnn.set_seed`) by default.
    data_format : {"channels_last", "channels_first"}, optional
        (batch, height, width, channels), the default, or (batch, channels, height, width).
    **kwargs
        As for `Layer`.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> model = fastnn.Sequential([
    ...     layers.Input((128, 128, 3)),
    ...     layers.Rescaling(1 / 255),
    ...     layers.RandomFlip("horizontal"),
    ...     layers.RandomZoom(0.2),
    ...     layers.Conv2D(32, 3, activation="relu"),
    ... ])
    """

    def __init__(
        self, mode: str = "horizontal_and_vertical", seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        if mode not in ("horizontal_and_vertical", "horizontal", "vertical"):
            raise ValueError(f"mode must be 'horizontal_and_vertical', 'horizontal' or 'vertical'; got {mode!r}")
        self.mode = mode

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        vertical, horizontal = (EITHER if way in self.mode else ONE for way in ("vertical", "horizontal"))
        return self._warp(x, flip=(vertical, horizontal), interpolation="nearest") if training else x


@register_layer
class RandomTranslation(RandomWarp):
    """Images shifted, in training.

    Parameters
    ----------
    height_factor, width_factor : float or (float, float)
        By which share of the height down and of the width to the right, at least and at most; f is (-f, f).
    fill_mode : {"reflect", "constant", "nearest", "wrap"}, default "reflect"
        What comes in at the edges a b c d: d c b a | a b c d | d c b a, `fill_value`, a a a | a b c d | d d d, or
        a b c d | a b c d | a b c d.
    interpolation : {"bilinear", "nearest"}, default "bilinear"
        Whether four pixels are mixed or the nearest one is taken.
    seed : int, optional
        For the same changes in each run; drawn from the process's generator (`fastnn.set_seed`) by default.
    fill_value : float, default 0.0
        What comes in at the edges if `fill_mode` is "constant".
    data_format, **kwargs
        As for `RandomFlip`.
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._factors = _range("height_factor", height_factor), _range("width_factor", width_factor)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training:
            return x
        extents, _ = self._split_shape(x.shape)
        down, right = (_scaled(factor, float(extent or 0)) for factor, extent in zip(self._factors, extents, strict=True))
        return self._warp(x, shift=(down, right), **self._filling)


@register_layer
class RandomRotation(RandomWarp):
    """Images turned about their middle, in training.

    Parameters
    ----------
    factor : float or (float, float)
        By which share of a full turn, counter-clockwise, at least and at most; f is (-f, f).
    fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        As for `RandomTranslation`.
    """

    def __init__(
        self,
        factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = factor
        self._angle = _scaled(_range("factor", factor), 2 * math.pi)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        return self._warp(x, angle=self._angle, **self._filling) if training else x


@register_layer
class RandomZoom(RandomWarp):
    """Images made smaller or larger about their middle, in training.

    Parameters
    ----------
    height_factor : float or (float, float)
        By how much more (above 0, things get smaller) or less of the image's height is shown, at least and at most; f is (-f, f).
    width_factor : float or (float, float), optional
        The same of its width; by default what is drawn for the height holds for the width too, and proportions stay.
    fill_mode, interpolation, seed, fill_value, data_format, **kwargs
        As for `RandomTranslation`.
    """

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float] | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        height = _range("height_factor", height_factor)
        width = height if width_factor is None else _range("width_factor", width_factor)
        self._zoom = (1 + height[0], 1 + height[1]), (1 + width[0], 1 + width[1])

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training:
            return x
        return self._warp(x, zoom=self._zoom, same_zoom=self.width_factor is None, **self._filling)


@register_layer
class RandomCrop(RandomImageLayer):
    """A part of each image, from a place of its own in training; otherwise the middle.

    Parameters
    ----------
    height, width : int
        Of the part.
    seed, data_format, **kwargs
        As for `RandomFlip`.

    Notes
    -----
    Outside training, and of images that are smaller than the part, it is the largest window in the middle that has the part's
    proportions, scaled to its size.
    """

    def __init__(self, height: int, width: int, seed: int | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.height, self.width = integer("height", height, low=1), integer("width", width, low=1)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        (height, width), _ = self._split_shape(x.shape)
        image, parts = (int(height or 0), int(width or 0)), (self.height, self.width)
        rest = [whole - part for whole, part in zip(image, parts, strict=True)]
        size: dict[str, Any] = {"output_size": parts}
        if training and min(rest) >= 0:
            # the corner is a whole number from 0 to `spare`; the middle of the part is so far from that of the image
            down, right = ((spare / 2 + 0.5, -spare / 2 - 0.5) for spare in rest)
            return self._warp(x, shift=(down, right), interpolation="nearest", **size)
        motion = np.ones((len(x), 7), np.float64)
        window = zip(*self.middle(image), image, parts, strict=True)
        for axis, (corner, extent, whole, part) in enumerate(window):
            motion[:, axis] = extent / part
            motion[:, 3 + axis] = (whole - extent) / 2 - corner
        motion[:, 2] = 0
        return ops.affine_warp(x, motion, fill_mode="nearest", data_format=self.data_format, **size)

    def middle(self, image: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return corner and extents of the window in the middle of images of (rows, columns) that is taken outside training."""
        rows = max(1, min(image[0], image[1] * self.height // self.width))
        columns = max(1, min(image[1], image[0] * self.width // self.height))
        return ((image[0] - rows) // 2, (image[1] - columns) // 2), (rows, columns)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> Shape:
        _, channels = self._split_shape(input_shape)
        return self._joined_shape(input_shape[0], (self.height, self.width), channels)


class RandomColors(RandomImageLayer):
    """A layer that changes each image's contrast and brightness: ``(x - mean) * c + mean + b``, kept in a range.

    Parameters
    ----------
    factor : float or (float, float)
        How much, see the layer.
    value_range : (float, float)
        The range that pixels have: (0, 1) behind ``Rescaling(1 / 255)``.
    seed, data_format, **kwargs
        As for `RandomFlip`.
    """

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, data_format, **kwargs)
        self.factor, self.value_range = factor, _value_range(value_range)
        self._ranges = self._changes()

    def _changes(self) -> tuple[Range, Range]:
        """Return the ranges that c and b are drawn from."""
        raise NotImplementedError

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if not training:
            return x
        return ops.contrast_brightness(x, self._draw(len(x), *self._ranges), self.value_range, self.data_format)


@register_layer
class RandomContrast(RandomColors):
    """Contrast changed, in training: ``(x - mean) * c + mean`` with the mean of each channel, kept in a range.

    Parameters
    ----------
    factor : float or (float, float)
        c is drawn from 1 - the first to 1 + the second; f is (f, f).
    value_range : (float, float), default (0, 255)
        The range that pixels have: (0, 1) behind ``Rescaling(1 / 255)``.
    seed, data_format, **kwargs
        As for `RandomFlip`.
    """

    def _changes(self) -> tuple[Range, Range]:
        lower, upper = _pair("factor", self.factor, 0, 1)
        return (1 - lower, 1 + upper), ZERO


@register_layer
class RandomBrightness(RandomColors):
    """Pixels made brighter or darker, in training, kept in a range.

    Parameters
    ----------
    factor : float or (float, float)
        By which share of the range, at least and at most; f is (-f, f).
    value_range : (float, float), default (0, 255)
        The range that pixels have: (0, 1) behind ``Rescaling(1 / 255)``.
    seed, data_format, **kwargs
        As for `RandomFlip`.
    """

    def _changes(self) -> tuple[Range, Range]:
        return ONE, _scaled(_range("factor", self.factor), self.value_range[1] - self.value_range[0])


def _pair(name: str, factor: Any, low: float, high: float) -> Range:
    """Return two numbers, or one number twice."""
    numbers = tuple(factor) if isinstance(factor, (tuple, list)) else (factor, factor)
    if len(numbers) != 2 or not all(_is_number(number) and low <= number <= high for number in numbers):
        raise ValueError(f"{name} must be a number, or two, from {low} to {high}; got {factor!r}")
    return float(numbers[0]), float(numbers[1])


def _range(name: str, factor: Any) -> Range:
    """Return the lowest and the highest of two numbers, or minus and plus one number."""
    first, second = _pair(name, factor, -1, 1)
    return (-abs(first), abs(first)) if _is_number(factor) else (min(first, second), max(first, second))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _value_range(value_range: Any) -> Range:
    numbers = tuple(value_range) if isinstance(value_range, (tuple, list)) else ()
    if len(numbers) != 2 or not all(_is_number(value) for value in numbers) or not numbers[0] < numbers[1]:
        raise ValueError(f"value_range must be two numbers (low, high), low < high; got {value_range!r}")
    return float(numbers[0]), float(numbers[1])


def _scaled(bounds: Range, scale: float) -> Range:
    return bounds[0] * scale, bounds[1] * scale
