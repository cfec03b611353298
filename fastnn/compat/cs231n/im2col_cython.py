"""CS231n's ``cs231n.im2col_cython``, which then need not be built. Windows need not be square here."""

from ... import kernels as _kernels
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require
from . import patches as _patches


def im2col_cython(x, field_height, field_width, padding, stride):
    """Return the patches of images as columns.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W)
    field_height, field_width, padding, stride : int

    Returns
    -------
    ndarray, shape (C * field_height * field_width, OH * OW * N)
        Rows in the order (channel, row, column) of the window; columns in the order (row, column, image).
    """
    return _patches.columns(x, field_height, field_width, padding, stride)


def col2im_cython(cols, N, C, H, W, field_height, field_width, padding, stride):
    """Return images (N, C, H, W) as the sums of the columns that `im2col_cython` makes of them."""
    return _patches.from_columns(cols, N, C, H, W, field_height, field_width, padding, stride)


def col2im_6d_cython(cols, N, C, H, W, HH, WW, pad, stride):
    """Return images (N, C, H, W) as the sums of patches `cols` of shape (C, HH, WW, N, OH, OW)."""
    (array,), dtype = _promoted(cols=cols)
    out = _patches.output_size(H, HH, pad, stride), _patches.output_size(W, WW, pad, stride)
    shape = (C, HH, WW, N, *out)
    _require(array.shape == shape, f"cols must have shape (C, HH, WW, N, out_h, out_w) = {shape}", cols=array.shape)
    batch_last = _kernels.transpose(array.reshape(C * HH * WW, N, out[0] * out[1]))
    return _patches.from_columns(batch_last.reshape(C * HH * WW, -1), N, C, H, W, HH, WW, pad, stride).astype(dtype, copy=False)
