"""Convolution, im2col and col2im: a loop over the elements of the window, each a shifted copy or a matrix product."""

import numpy as np

from .activation import apply_custom, apply_fused
from .precision import in_float64
from .windows import taps


@in_float64
def im2col(x, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, cols):
    cols[...] = 0
    for i, j, at_cols, at_x in taps(
        x.shape[2:4], cols.shape[1:3], cols.shape[4:6], (stride_h, stride_w), (pad_top, pad_left), (dilation_h, dilation_w)
    ):
        cols[:, :, :, :, i, j][at_cols] = np.moveaxis(x, 1, 3)[at_x]


@in_float64
def col2im(cols, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, x):
    x[...] = 0
    for i, j, at_cols, at_x in taps(
        x.shape[2:4], cols.shape[1:3], cols.shape[4:6], (stride_h, stride_w), (pad_top, pad_left), (dilation_h, dilation_w)
    ):
        np.moveaxis(x, 1, 3)[at_x] += cols[:, :, :, :, i, j][at_cols]


@in_float64
def conv2d_forward(x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, activation, alpha, y):
    _convolve(x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, y)
    apply_fused(activation, alpha, y)


@in_float64
def conv2d_custom_forward(x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, function, y, slope):
    _convolve(x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, y)
    apply_custom(function, y, slope)


def _convolve(x, w, b, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, y):
    y[...] = 0 if b is None else b
    for i, j, at_y, at_x in taps(
        x.shape[1:3], y.shape[1:3], w.shape[:2], (stride_h, stride_w), (pad_top, pad_left), (dilation_h, dilation_w)
    ):
        for channels, filters in _groups(w, groups):
            y[..., filters][at_y] += x[..., channels][at_x] @ w[i, j, :, filters]


@in_float64
def conv2d_backward_input(dy, w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, dx):
    dx[...] = 0
    for i, j, at_y, at_x in taps(
        dx.shape[1:3], dy.shape[1:3], w.shape[:2], (stride_h, stride_w), (pad_top, pad_left), (dilation_h, dilation_w)
    ):
        for channels, filters in _groups(w, groups):
            dx[..., channels][at_x] += dy[..., filters][at_y] @ w[i, j, :, filters].T


@in_float64
def conv2d_backward_weight(x, dy, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w, groups, dw, db):
    for i, j, at_y, at_x in taps(
        x.shape[1:3], dy.shape[1:3], dw.shape[:2], (stride_h, stride_w), (pad_top, pad_left), (dilation_h, dilation_w)
    ):
        for channels, filters in _groups(dw, groups):
            pixels, errors = x[..., channels][at_x], dy[..., filters][at_y]
            dw[i, j, :, filters] = pixels.reshape(-1, pixels.shape[-1]).T @ errors.reshape(-1, errors.shape[-1])
    if db is not None:
        db[...] = dy.sum(axis=(0, 1, 2))


def _groups(w, groups):
    """Return for each group the slice of the image's channels that it reads and the slice of the filters that read them."""
    channels, filters = w.shape[2], w.shape[3] // groups
    return [(slice(g * channels, (g + 1) * channels), slice(g * filters, (g + 1) * filters)) for g in range(groups)]
