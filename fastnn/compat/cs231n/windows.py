"""Convolution and max pooling of images (N, C, H, W), which `layers` and `fast_layers` share."""

import numpy as np

from ... import kernels as _kernels
from ...kernels.functions.checks import integer
from ..as_numpy import as_array, entries, promoted, require, unpacked
from ..channels_first import conv2d, conv2d_gradients
from .patches import output_size

CONVOLUTION = (
    "a convolution takes x (N, C, H, W), w (F, C, HH, WW) and b (F,), and gives "
    "(N, F, 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride)"
)
POOLING = "pooling takes x (N, C, H, W) and gives (N, C, 1 + (H - pool_height) // stride, 1 + (W - pool_width) // stride)"


def conv_forward(x, w, b, conv_param, exact=False):
    """Return the convolution; with `exact`, the stride has to divide."""
    (x, w, b), dtype = promoted(x=x, w=w, b=b)
    conv_shape(x, w, conv_param, exact)
    require(b.size in (1, len(w)), CONVOLUTION, x=x.shape, w=w.shape, b=b.shape)
    y = conv2d(x, w, np.broadcast_to(b.reshape(-1), len(w)), conv_param["stride"], conv_param["pad"])
    return y.astype(dtype, copy=False)


def conv_backward(dout, cache):
    """Return the gradients by x, w and b of ``sum(dout * conv_forward(x, w, b, conv_param))``; the cache may have columns."""
    with_columns = isinstance(cache, tuple | list) and len(cache) == 5
    x, w, _, conv_param = unpacked(cache[:4] if with_columns else cache, "the convolution", "x, w, b, conv_param")
    dtypes = [as_array(name, array).dtype for name, array in (("dout", dout), ("x", x), ("w", w))]
    (dout, x, w), _ = promoted(dout=dout, x=x, w=w)
    shape = conv_shape(x, w, conv_param)
    require(dout.shape == shape, f"dout must have the shape of the output, {shape}: {CONVOLUTION}", dout=dout.shape)
    dx, dw, db = conv2d_gradients(dout, x, w, conv_param["stride"], conv_param["pad"])
    of_dout, of_x, of_w = dtypes
    return (
        dx.astype(np.result_type(of_dout, of_w), copy=False),
        dw.astype(np.result_type(of_dout, of_x), copy=False),
        db.astype(of_dout, copy=False),
    )


def conv_shape(x, w, conv_param, exact=False):
    """Return the shape of the output; raise ValueError if there is none."""
    require(x.ndim == 4 and w.ndim == 4 and x.shape[1] == w.shape[1], CONVOLUTION, x=x.shape, w=w.shape)
    pad, stride = _integers("conv_param", conv_param, pad=0, stride=1)
    return (len(x), len(w), *(output_size(x.shape[i], w.shape[i], pad, stride, exact) for i in (2, 3)))


def pool_forward(x, pool_param, exact=False):
    """Return the maxima of the windows, and where they are in the image; the first one where several are equal."""
    (x,), dtype = promoted(x=x)
    pool_shape(x, pool_param, exact)
    height, width, stride = pool_window(pool_param)
    y, argmax = _kernels.maxpool2d_forward(x, (height, width), stride, data_format="channels_first")
    return y.astype(dtype, copy=False), argmax


def pool_backward(dout, x, argmax, pool_param):
    """Return the gradient by x of ``sum(dout * pool_forward(x, pool_param))``."""
    (dout,), dtype = promoted(dout=dout)
    x = as_array("x", x)
    shape = pool_shape(x, pool_param)
    require(dout.shape == shape, f"dout must have the shape of the output, {shape}: {POOLING}", dout=dout.shape)
    return _kernels.maxpool2d_backward(dout, argmax, x.shape, data_format="channels_first").astype(
        np.result_type(dtype, x), copy=False
    )


def pool_shape(x, pool_param, exact=False):
    """Return the shape of the output; raise ValueError if there is none."""
    require(x.ndim == 4, POOLING, x=x.shape)
    height, width, stride = pool_window(pool_param)
    rows, columns = output_size(x.shape[2], height, 0, stride, exact), output_size(x.shape[3], width, 0, stride, exact)
    return (*x.shape[:2], rows, columns)


def pool_window(pool_param):
    """Return height, width and stride of the window."""
    return _integers("pool_param", pool_param, pool_height=1, pool_width=1, stride=1)


def _integers(name, settings, **least):
    """Return entries of a dict of settings, integers of at least these."""
    values = zip(least, entries(name, settings, *least), strict=True)
    return [integer(f"{name}[{key!r}]", value, least[key]) for key, value in values]
