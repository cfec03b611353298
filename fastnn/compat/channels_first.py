"""Convolution of images (N, C, H, W) by filters (F, C, HH, WW), which several courses have in this order.

Some images at a time are brought into the kernels' order and back, so that this happens in the processor's near caches and takes no
memory that the system would first have to hand out.
"""

from collections.abc import Iterator

import numpy as np

from ..kernels import conv2d_backward_input, conv2d_backward_weight, conv2d_forward
from ..kernels.functions.layout import filters_first, filters_last, images_last
from ..kernels.table import call

PIECE_BYTES = 1 << 21  # of images and results together


def conv2d(x, w, b, stride, padding):
    """Return the convolution plus b, for C-contiguous arrays of one float type."""
    out = ((size + 2 * padding - window) // stride + 1 for size, window in zip(x.shape[2:], w.shape[2:], strict=True))
    w, y = filters_last(w), np.empty((len(x), len(w), *out), x.dtype)
    for piece in _pieces(x, y):
        _write(conv2d_forward(images_last(x[piece]), w, b, stride, padding), y[piece])
    return y


def conv2d_gradients(dout, x, w, stride, padding):
    """Return the gradients by x, w and the bias of ``sum(dout * conv2d(x, w, b))``, for C-contiguous arrays of one float type."""
    size, w = w.shape[2:], filters_last(w)
    dx, dw, db = np.empty_like(x), np.zeros_like(w), np.zeros(w.shape[3], w.dtype)
    for piece in _pieces(x, dout):
        images, errors = images_last(x[piece]), images_last(dout[piece])
        _write(conv2d_backward_input(errors, w, images.shape, stride, padding), dx[piece])
        for total, part in zip((dw, db), conv2d_backward_weight(images, errors, size, stride, padding), strict=True):
            total += part
    return dx, filters_first(dw), db


def _write(images: np.ndarray, out: np.ndarray) -> None:
    """Write images (N, H, W, C) to `out`, (N, C, H, W)."""
    n, c, height, width = out.shape
    call("transpose", images.reshape(n, height * width, c), out.reshape(n, c, height * width))


def _pieces(x: np.ndarray, y: np.ndarray) -> Iterator[slice]:
    """Yield slices of the batch, pieces of about the same size."""
    n = len(x)
    pieces = max(min((x.nbytes + y.nbytes) // PIECE_BYTES, n), 1)
    for i in range(pieces):
        yield slice(i * n // pieces, (i + 1) * n // pieces)
