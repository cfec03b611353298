"""Convolution of images (N, C, H, W) by filters (F, C, HH, WW), which several courses have in this order."""

from ..kernels import conv2d_backward_input, conv2d_backward_weight
from ..kernels.functions.layout import filters_first, filters_last, images_first, images_last


def conv2d_gradients(dout, x, w, stride, padding):
    """Return the gradients by x, w and the bias of ``sum(dout * conv2d(x, w))``, for C-contiguous arrays of one float type.

    Each array is brought into the kernels' order once, for both gradients.
    """
    dout, x = images_last(dout), images_last(x)
    dx = conv2d_backward_input(dout, filters_last(w), x.shape, stride, padding)
    dw, db = conv2d_backward_weight(x, dout, w.shape[2:], stride, padding)
    return images_first(dx), filters_first(dw), db
