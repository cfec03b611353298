"""Random changes of images, for layers that augment data. They have no derivative: images are not learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Tensor, as_tensor, record


def affine_warp(x: Any, motion: np.ndarray, **options: Any) -> Tensor:
    """Return images zoomed, turned, shifted and mirrored; has no derivative.

    Parameters
    ----------
    x : Tensor, shape (n, h, w, c), or (n, c, h, w) for channels_first
    motion : ndarray, shape (n, 7)
    **options
        These and `motion` as for `fastnn.kernels.affine_warp`.
    """
    x = as_tensor(x)
    return record("affine_warp", (x,), Tensor(kernels.affine_warp(x.data, motion, **options)), _no_derivative)


def contrast_brightness(x: Any, change: np.ndarray, value_range: Any = (0.0, 255.0), data_format: str = "channels_last") -> Tensor:
    """Return images with contrast and brightness changed; has no derivative.

    Parameters
    ----------
    x : Tensor, shape (n, h, w, c), or (n, c, h, w) for channels_first
    change : ndarray, shape (n, 2)
    value_range : (float, float), default (0.0, 255.0)
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        All as for `fastnn.kernels.contrast_brightness`.
    """
    x = as_tensor(x)
    y = kernels.contrast_brightness(x.data, change, value_range, data_format)
    return record("contrast_brightness", (x,), Tensor(y), _no_derivative)


def _no_derivative(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("random changes of images have no derivative: put them before all layers with weights")
