"""CS231n's ``cs231n.im2col``: im2col by index arrays there, by kernels here. Strides have to divide, as there."""

import numpy as np

from . import patches as _patches


def get_im2col_indices(x_shape, field_height, field_width, padding=1, stride=1):
    """Return index arrays ``(k, i, j)`` with which ``x_padded[:, k, i, j]`` are the patches of each image.

    Parameters
    ----------
    x_shape : (int, int, int, int)
        N, C, H, W.
    field_height, field_width, padding, stride : int

    Returns
    -------
    k : ndarray of int, shape (C * field_height * field_width, 1)
        Channels.
    i, j : ndarray of int, shape (C * field_height * field_width, OH * OW)
        Rows and columns of the padded image.
    """
    _, channels, height, width = x_shape
    rows = _patches.output_size(height, field_height, padding, stride, exact=True)
    columns = _patches.output_size(width, field_width, padding, stride, exact=True)
    k, i, j = np.indices((channels, field_height, field_width)).reshape(3, -1, 1)
    y, x = np.indices((rows, columns)).reshape(2, 1, -1)
    return k, i + stride * y, j + stride * x


def im2col_indices(x, field_height, field_width, padding=1, stride=1):
    """Return what `fastnn.compat.cs231n.im2col_cython.im2col_cython` does."""
    return _patches.columns(x, field_height, field_width, padding, stride, exact=True)


def col2im_indices(cols, x_shape, field_height=3, field_width=3, padding=1, stride=1):
    """Return images of `x_shape` as the sums of the columns that `im2col_indices` makes of them."""
    return _patches.from_columns(cols, *x_shape, field_height, field_width, padding, stride, exact=True)
