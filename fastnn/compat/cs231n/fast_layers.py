"""CS231n's ``cs231n.fast_layers``: convolution and max pooling, in all the variants that the course has, by the same kernels.

Other than the course's they are right for Fortran-ordered images, windows that are not square, and pooling windows that overlap.
"""

import numpy as np

from ... import kernels as _kernels
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require
from ..as_numpy import unpacked as _unpacked
from . import patches as _patches
from . import windows as _windows
from .im2col import *  # noqa: F403 (the course's module passes these on)
from .im2col_cython import col2im_6d_cython, col2im_cython, im2col_cython  # noqa: F401


class _Columns:
    """The course's ``x_cols``, made when somebody asks for them: the kernels need none."""

    def __init__(self, x, w, conv_param, batch_last):
        self._arguments = x, w, conv_param, batch_last

    def __array__(self, dtype=None, copy=None):
        x, w, conv_param, batch_last = self._arguments
        x, filters = np.asarray(x), np.shape(w)
        cols = _patches.columns(x, *filters[2:], conv_param["pad"], conv_param["stride"])
        if not batch_last:
            cols = np.ascontiguousarray(cols.reshape(len(cols), -1, len(x)).swapaxes(1, 2)).reshape(cols.shape)
        return cols.astype(dtype or cols.dtype, copy=False)

    def __getattr__(self, name):
        if name.startswith("__"):  # NumPy looks for other protocols before __array__
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def __reduce__(self):
        return np.asarray(self).__reduce__()


def conv_forward_im2col(x, w, b, conv_param):
    """Convolve; the stride has to divide.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
    w : array_like, shape (F, C, HH, WW)
    b : array_like, shape (F,)
    conv_param : dict
        ``"stride"`` and ``"pad"``, integers.

    Returns
    -------
    out : ndarray, shape (N, F, 1 + (H + 2 * pad - HH) / stride, 1 + (W + 2 * pad - WW) / stride)
    cache : tuple
        ``(x, w, b, conv_param, x_cols)``, the columns as `im2col_cython` orders them.
    """
    out = _windows.conv_forward(x, w, b, conv_param, exact=True)
    return out, (x, w, b, conv_param, _Columns(x, w, conv_param, batch_last=True))


def conv_forward_strides(x, w, b, conv_param):
    """Convolve as `conv_forward_im2col` does; rows and columns that the last step does not reach are left out.

    In the cache the columns are in the order (image, row, column).
    """
    out = _windows.conv_forward(x, w, b, conv_param)
    return out, (x, w, b, conv_param, _Columns(x, w, conv_param, batch_last=False))


def conv_backward_strides(dout, cache):
    """Return the gradients ``dx, dw, db``, from the cache of any of the convolutions.

    Parameters
    ----------
    dout : array_like, shape of the output
    cache : tuple

    Returns
    -------
    dx, dw, db : ndarray
        Of the shapes of x, w and b.
    """
    return _windows.conv_backward(dout, cache)


conv_backward_im2col = conv_backward_strides
conv_forward_fast = conv_forward_strides
conv_backward_fast = conv_backward_strides


def max_pool_forward_fast(x, pool_param):
    """Take the largest element of each window.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
    pool_param : dict
        ``"pool_height"``, ``"pool_width"`` and ``"stride"``, integers.

    Returns
    -------
    out : ndarray, shape (N, C, 1 + (H - pool_height) / stride, 1 + (W - pool_width) / stride)
    cache : tuple
        ``("reshape", ...)`` where square windows tile the image, else ``("im2col", ...)``. In the first case equal maxima share
        the gradient, in the second the first one gets it.
    """
    tiles = _tiles(np.shape(x), pool_param)
    out, cache = (max_pool_forward_reshape if tiles else max_pool_forward_im2col)(x, pool_param)
    return out, ("reshape" if tiles else "im2col", cache)


def max_pool_backward_fast(dout, cache):
    """Return the gradient by x, from the cache of `max_pool_forward_fast`."""
    method, inner = _unpacked(cache, "max_pool_forward_fast", "method, cache of the method")
    backward = {"reshape": max_pool_backward_reshape, "im2col": max_pool_backward_im2col}
    if not isinstance(method, str) or method not in backward:
        raise ValueError(f"the cache of max_pool_forward_fast begins with 'reshape' or 'im2col'; got {type(method).__name__}")
    return backward[method](dout, inner)


def max_pool_forward_reshape(x, pool_param):
    """Take the largest element of each window, where square windows tile the image; the cache is ``(x, x_reshaped, out)``."""
    x = np.asarray(x)
    _require(
        _tiles(x.shape, pool_param),
        "windows must tile the images (N, C, H, W): pool_height = pool_width = stride, which divides H and W",
        x=x.shape,
        pool_param=pool_param,
    )
    out, _ = _windows.pool_forward(x, pool_param)
    n, c, height, width = x.shape
    size = pool_param["stride"]
    return out, (x, x.reshape(n, c, height // size, size, width // size, size), out)


def max_pool_backward_reshape(dout, cache):
    """Return the gradient by x, from the cache of `max_pool_forward_reshape`. Equal maxima share it equally."""
    x, x_reshaped, out = _unpacked(cache, "max_pool_forward_reshape", "x, x_reshaped, out")
    (dout,), dtype = _promoted(dout=dout)
    _require(dout.shape == out.shape, f"dout must have the shape of the output, {out.shape}", dout=dout.shape)
    size = x_reshaped.shape[3]
    largest = (x_reshaped == out[:, :, :, None, :, None]).reshape(x.shape).astype(dout.dtype)
    # a mean over the window, times its size, is the number of maxima; a window with a NaN in it has none that equals it
    share = _kernels.avgpool2d_forward(largest, size, data_format="channels_first")
    dout = np.divide(dout, share, out=np.zeros_like(dout), where=share > 0)
    dx = _kernels.avgpool2d_backward(dout, x.shape, size, data_format="channels_first")
    dx *= largest
    return dx.astype(np.result_type(dtype, x), copy=False)


def max_pool_forward_im2col(x, pool_param):
    """Take the largest element of each window; windows may overlap, the stride has to divide."""
    x = np.asarray(x)
    out, argmax = _windows.pool_forward(x, pool_param, exact=True)
    return out, (x, argmax, pool_param)


def max_pool_backward_im2col(dout, cache):
    """Return the gradient by x, from the cache of `max_pool_forward_im2col`. Of equal maxima the first gets it."""
    return _windows.pool_backward(dout, *_unpacked(cache, "max_pool_forward_im2col", "x, argmax, pool_param"))


def _tiles(shape, pool_param):
    height, width, size = _windows.pool_window(pool_param)
    return len(shape) == 4 and height == width == size and shape[2] % size == shape[3] % size == 0
