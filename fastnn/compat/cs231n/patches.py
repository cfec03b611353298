"""The columns of im2col in the two orders in which CS231n has them, and back.

Rows are the elements of the window, (channel, row, column). Columns are its places, (row, column, image) with the batch innermost.
"""

import numpy as np

from ... import kernels as _kernels
from ...kernels.functions.checks import integer
from ..as_numpy import promoted, require


def output_size(size: int, field: int, padding: int, stride: int, exact: bool = False) -> int:
    """Return ``1 + (size + 2 * padding - field) // stride``.

    Raises
    ------
    ValueError
        If no window fits; with `exact` also if the division leaves a rest.
    """
    field, padding, stride = integer("field", field, 1), integer("padding", padding, 0), integer("stride", stride, 1)
    formula = "the output has 1 + (size + 2 * padding - field) // stride rows or columns"
    given = {"size": size, "field": field, "padding": padding, "stride": stride}
    rest = (size + 2 * padding - field) % stride
    require(size + 2 * padding >= field, f"{formula}, but the window is larger than the padded image", **given)
    require(not (exact and rest), f"{formula}, and here the division must be exact; it leaves {rest}", **given)
    return 1 + (size + 2 * padding - field) // stride


def columns(x, height, width, padding, stride, exact=False):
    """Return the columns (C * height * width, OH * OW * N) of images (N, C, H, W)."""
    (x,), dtype = promoted(x=x)
    require(x.ndim == 4, "x must have shape (N, C, H, W)", x=x.shape)
    n, c, h, w = x.shape
    grid = _Grid(h, w, height, width, padding, stride, exact)
    shape = c * height * width, grid.rows * grid.columns * n
    if grid.outside:
        return np.zeros(shape, dtype=dtype)
    pixels = x if grid.whole else x[:, :, : grid.height, : grid.width]
    pixels = _kernels.transpose(pixels.reshape(n, c * grid.height * grid.width)).reshape(c, grid.height, grid.width, n)
    return _kernels.im2col(pixels, **grid.exchanged).reshape(shape).astype(dtype, copy=False)


def from_columns(cols, n, c, h, w, height, width, padding, stride, exact=False):
    """Return the images (N, C, H, W) that are the sums of columns (C * height * width, OH * OW * N)."""
    (cols,), dtype = promoted(cols=cols)
    grid = _Grid(h, w, height, width, padding, stride, exact)
    shape = c * height * width, grid.rows * grid.columns * n
    require(cols.shape == shape, f"cols must have shape (C * field_height * field_width, OH * OW * N) = {shape}", cols=cols.shape)
    if grid.outside:
        return np.zeros((n, c, h, w), dtype=dtype)
    pixels = _kernels.col2im(cols, (c, grid.height, grid.width, n), **grid.exchanged)
    summed = _kernels.transpose(pixels.reshape(-1, n)).reshape(n, c, grid.height, grid.width).astype(dtype, copy=False)
    if grid.whole:
        return summed
    x = np.zeros((n, c, h, w), dtype=dtype)
    x[:, :, : grid.height, : grid.width] = summed
    return x


class _Grid:
    """The places of a window on an image.

    The kernel puts the places of the window outside and the elements of the window inside. CS231n wants them the other way
    round. Both step over the image's rows and columns, one by the stride and one by the dilation, so the kernel is told that the
    grid of places is the window, and the stride its dilation.
    """

    def __init__(self, h, w, height, width, padding, stride, exact):
        self.rows, self.columns = output_size(h, height, padding, stride, exact), output_size(w, width, padding, stride, exact)
        reach = stride * (self.rows - 1) + height - padding, stride * (self.columns - 1) + width - padding
        #: rows and columns of the image that any window sees; the last ones may be left over
        self.height, self.width = min(h, reach[0]), min(w, reach[1])
        self.whole = (self.height, self.width) == (h, w)
        self.outside = self.height < 1 or self.width < 1  # all windows lie in the padding
        self.exchanged = {
            "kernel_size": (self.rows, self.columns),
            "stride": 1,
            "padding": ((padding, reach[0] - self.height), (padding, reach[1] - self.width)),
            "dilation": stride,
        }
