"""Random changes of images: drawing them, turning and shifting images, contrast and brightness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..spec.augment import FILL_MODES, INTERPOLATIONS
from ..table import call, skips_kernels
from .checks import F64, U64, data_format_is_first, in_place, inputs, integer, number, pair
from .layout import images_first, images_last

#: motions beyond this do not fit the integers that kernels count rows with, by a wide margin
LARGEST_MOTION = 1e6


def random_uniform(low: Any, high: Any, n: int, state: int | np.ndarray) -> np.ndarray:
    """Draw numbers between `low` and `high`, a row of them for each of `n` images.

    They depend on `state` and their place only: not on the backend, not on the number of threads.

    Parameters
    ----------
    low, high : array_like, shape (k,)
        Where each number of a row lies, `high` not included; the same number twice for one that is fixed.
    n : int
        Number of rows, at least 0.
    state : ndarray of uint64, shape (2,)
        Seed and step, as in `dropout_forward`; advanced in place by one step.

    Returns
    -------
    ndarray of float64, shape (n, k)

    Raises
    ------
    ValueError, TypeError
        If an argument is none of the above.
    """
    (low, high), extents = inputs("random_uniform", low, high)
    value = np.empty((integer("n", n, 0), extents["k"]), F64)
    call("random_uniform", low, high, value, in_place("state", state, U64, (2,)))
    return value


def affine_warp(
    x: Any,
    motion: Any,
    output_size: Sequence[int] | None = None,
    fill_mode: str = "reflect",
    interpolation: str = "bilinear",
    fill_value: float = 0.0,
    same_zoom: bool = False,
    data_format: str = "channels_last",
) -> np.ndarray:
    """Return images zoomed, turned, shifted and mirrored, each by numbers of its own.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images; N may be 0.
    motion : array_like, shape (N, 7)
        For each image: how many rows of `x` one row of the result spans (2 shows everything half as large), the same for columns;
        an angle in radians, counter-clockwise; by how many rows down and columns to the right the image moves; a negative number
        where rows are to be mirrored, and one where columns are. All about the middle of the image.
    output_size : (int, int), optional
        Rows and columns of the result; those of `x` by default.
    fill_mode : "reflect", "constant", "nearest" or "wrap", default "reflect"
        What lies beyond the edges a b c d: d c b a | a b c d | d c b a, `fill_value`, a a a | a b c d | d d d, or
        a b c d | a b c d | a b c d.
    interpolation : "bilinear" or "nearest", default "bilinear"
        Whether four pixels are mixed or the nearest one is taken.
    fill_value : float, default 0.0
        For "constant".
    same_zoom : bool, default False
        Whether the number for rows is that for columns too, and the second number of `motion` is not used.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x` and the result.

    Returns
    -------
    ndarray, shape (N, OH, OW, C) or (N, C, OH, OW)
        float64 if `x` is, else float32.

    Raises
    ------
    ValueError, TypeError
        If an argument is none of the above, or a number of `motion` is not finite or beyond a million.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import kernels
    >>> image = np.reshape([1.0, 2.0, 3.0], (1, 1, 3, 1))
    >>> to_the_right = [[1, 1, 0, 0, 1, 1, 1]]
    >>> kernels.affine_warp(image, to_the_right, fill_mode="constant").ravel()
    array([0., 1., 2.])
    >>> mirrored = [[1, 1, 0, 0, 0, 1, -1]]
    >>> kernels.affine_warp(image, mirrored).ravel()
    array([3., 2., 1.])
    """
    first = data_format_is_first(data_format)
    (x, motion), extents = inputs("affine_warp", x, motion, data_format=data_format)
    modes = [_choice("fill_mode", fill_mode, FILL_MODES), _choice("interpolation", interpolation, INTERPOLATIONS)]
    if not skips_kernels() and not np.all(np.abs(motion) <= LARGEST_MOTION):
        raise ValueError(f"motion must be finite, and at most {LARGEST_MOTION:g}")
    size = (extents["ih"], extents["iw"]) if output_size is None else pair("output_size", output_size)
    images = images_last(x) if first else x
    y = np.empty((len(images), *size, extents["c"]), x.dtype, like=x)
    call("affine_warp", images, motion, int(bool(same_zoom)), *modes, number("fill_value", fill_value), y)
    return images_first(y) if first else y


def contrast_brightness(
    x: Any, change: Any, value_range: Sequence[float] = (0.0, 255.0), data_format: str = "channels_last"
) -> np.ndarray:
    """Return images with contrast and brightness changed: ``(x - mean) * factor + mean + shift``, kept in a range.

    Parameters
    ----------
    x : array_like, shape (N, H, W, C) or (N, C, H, W)
        Images; N may be 0. Each channel has its own mean.
    change : array_like, shape (N, 2)
        Factor and shift of each image.
    value_range : (float, float), default (0.0, 255.0)
        Results below the first number become it, those above the second become that.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The layout of `x` and the result.

    Returns
    -------
    ndarray
        Of the shape of `x`; float64 if `x` is, else float32.

    Raises
    ------
    ValueError, TypeError
        If an argument is none of the above.
    """
    first = data_format_is_first(data_format)
    low, high = (number("value_range", value) for value in value_range)
    if not low < high:
        raise ValueError(f"value_range must be (low, high) with low < high; got {tuple(value_range)!r:.60}")
    (x, change), _ = inputs("contrast_brightness", x, change, data_format=data_format)
    images = images_last(x) if first else x
    y = np.empty(images.shape, x.dtype, like=x)
    call("contrast_brightness", images, change, low, high, y)
    return images_first(y) if first else y


def _choice(name: str, value: Any, numbers: Mapping[str, int]) -> int:
    if not isinstance(value, str) or value not in numbers:
        raise ValueError(f"{name} must be one of {', '.join(numbers)}; got {value!r:.60}")
    return numbers[value]
