"""The book's ``common.util``: im2col, col2im, and small helpers."""

import numpy as np

from ... import kernels as _kernels
from ...kernels.functions.checks import integer as _integer
from ..as_numpy import as_array as _as_array
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require


def smooth_curve(x):
    """Return a curve of losses smoothed by a Kaiser window of 11 points (beta 2), its ends continued by mirror images."""
    x = _as_array("x", x)
    window = np.kaiser(11, 2)
    smooth = np.convolve(window / window.sum(), np.concatenate([x[10:0:-1], x, x[:-11:-1]]), mode="valid")
    return smooth[5:-5]


def shuffle_dataset(x, t):
    """Return `x` and `t` with their samples in one new order, drawn by ``np.random.permutation``."""
    x, t = np.asarray(x), np.asarray(t)
    _require(len(x) == len(t), "x and t must have as many samples", x=x.shape, t=t.shape)
    order = np.random.permutation(len(x))
    return x[order], t[order]


def conv_output_size(input_size, filter_size, stride=1, pad=0):
    """Return ``(input_size + 2 * pad - filter_size) / stride + 1`` as a float, with a fraction where the stride does not divide."""
    return (input_size + 2 * pad - filter_size) / stride + 1


def im2col(input_data, filter_h, filter_w, stride=1, pad=0):
    """Return the patches of images, one in each row.

    Parameters
    ----------
    input_data : array_like, shape (N, C, H, W)
    filter_h, filter_w, stride, pad : int

    Returns
    -------
    ndarray of float64, shape (N * OH * OW, C * filter_h * filter_w)
        OH = (H + 2 * pad - filter_h) // stride + 1, and OW likewise.
    """
    x = _float64("input_data", input_data)
    _output_size(x.shape, filter_h, filter_w, stride, pad)
    return _kernels.im2col(x, (filter_h, filter_w), stride, pad, data_format="channels_first")


def col2im(col, input_shape, filter_h, filter_w, stride=1, pad=0):
    """Return images as the sums of their patches, each put back at its place.

    Parameters
    ----------
    col : array_like, shape (N * OH * OW, C * filter_h * filter_w)
        Rows as `im2col` makes them; any shape of as many elements.
    input_shape : (int, int, int, int)
        N, C, H, W.
    filter_h, filter_w, stride, pad : int

    Returns
    -------
    ndarray of float64, shape `input_shape`
    """
    col = _float64("col", col)
    out_h, out_w = _output_size(input_shape, filter_h, filter_w, stride, pad)
    shape = input_shape[0] * out_h * out_w, input_shape[1] * filter_h * filter_w
    _require(
        col.size == shape[0] * shape[1], f"col must have shape (N * OH * OW, C * filter_h * filter_w) = {shape}", col=col.shape
    )
    return _kernels.col2im(col.reshape(shape), input_shape, (filter_h, filter_w), stride, pad, data_format="channels_first")


def _float64(name, value):
    (array,), _ = _promoted(**{name: value})
    return array.astype(np.float64, copy=False)


def _output_size(shape, filter_h, filter_w, stride, pad):
    """Return OH and OW; raise ValueError with the formula if there is no such output."""
    given = {"shape": tuple(shape), "filter_h": filter_h, "filter_w": filter_w, "stride": stride, "pad": pad}
    formula = "images of shape (N, C, H, W) give (H + 2 * pad - filter_h) // stride + 1 rows, and columns likewise"
    _require(len(shape) == 4, formula, **given)
    for name in ("filter_h", "filter_w", "stride", "pad"):
        _integer(name, given[name], low=0 if name == "pad" else 1)
    out = [(size + 2 * pad - window) // stride + 1 for size, window in zip(shape[2:], (filter_h, filter_w), strict=True)]
    _require(min(out) >= 1, f"{formula}; these must be at least 1", **given)
    return out
