"""From arrays of images to what can be shown."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.images import check_data_format


def as_fractions(images: Any, data_format: str = "channels_last") -> np.ndarray:
    """Return images as floats in [0, 1], of shape (n, height, width) or (n, height, width, 3 or 4).

    Parameters
    ----------
    images : array_like, shape (n, height, width) or (n, height, width, channels)
        With 1, 3 (red, green, blue) or 4 (and opacity) channels. Integers are taken as bytes, floats in [0, 1] as they are, and any
        others are stretched, all alike, from their least to their largest value.
    data_format : {"channels_last", "channels_first"}
        Where the channels are.

    Raises
    ------
    ValueError
        If the shape is another one.
    """
    array = np.asarray(images)
    if check_data_format(data_format) == "channels_first" and array.ndim == 4:
        array = np.moveaxis(array, 1, -1)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.dtype.kind not in "fiub" or not (array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (3, 4))):
        raise ValueError(
            f"images must have shape (n, height, width), or 1, 3 or 4 channels besides ({data_format}); "
            f"got {np.shape(images)} of type {array.dtype}"
        )
    if array.dtype.kind in "iu" and array.size and array.min() >= 0 and array.max() <= 255:
        return array / 255.0
    array = array.astype(np.float64)
    low, high = (array.min(initial=0), array.max(initial=1))
    return (array - low) / (high - low)
