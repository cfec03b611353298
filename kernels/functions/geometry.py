"""Windows that slide over an image: padding, stride, dilation and the size of what comes out. One axis first, then both.

Along an axis, a window of `window` elements `dilation` apart covers ``dilation * (window - 1) + 1`` positions, and::

    output = (size + before + after - dilation * (window - 1) - 1) // stride + 1

"valid" is no padding. "same" is the least padding with ``output = ceil(size / stride)``; where it is odd, the larger half comes
after (at the bottom and at the right), as in TensorFlow and Keras.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from .checks import integer, pair

#: padding along one axis: "valid", "same" or (before, after)
AxisPadding = str | tuple[int, int]
#: an amount along both axes, or (rows, columns)
Pair = int | Sequence[int]
#: padding of an image: "valid", "same", an integer, (rows, columns), or ((top, bottom), (left, right))
Padding = str | int | Sequence[int | Sequence[int]]


def resolve_padding(padding: AxisPadding, size: int, window: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Return the padding before and after one axis.

    Parameters
    ----------
    padding : "valid", "same" or (int, int)
        In a word, or the padding before and after as it is returned.
    size, window, stride, dilation : int
        Extent of the image, of the window, step of the window, step between the window's elements.

    Returns
    -------
    before, after : int
    """
    if isinstance(padding, str):
        _check_word(padding)
        if padding == "valid":
            return 0, 0
        total = max((-(-size // stride) - 1) * stride + dilation * (window - 1) + 1 - size, 0)
        return total // 2, total - total // 2
    return pair("padding", padding, low=0)


def conv_output_size(
    size: int | None, window: int, stride: int = 1, padding: AxisPadding = "valid", dilation: int = 1
) -> int | None:
    """Return the output's extent along one axis, by the formula at the top of this module.

    Parameters
    ----------
    size : int or None
        Extent of the image; None (not known yet) gives None.
    window, stride, dilation : int
        Extent of the window, step of the window, step between the window's elements.
    padding : "valid", "same" or (int, int), default "valid"
        Padding before and after.

    Raises
    ------
    ValueError, TypeError
        If not one window fits, or an argument is none of the above.

    Examples
    --------
    >>> from fastnn import kernels
    >>> kernels.conv_output_size(28, window=3)
    26
    >>> kernels.conv_output_size(28, window=3, stride=2, padding="same")
    14
    """
    window, stride, dilation = integer("window", window, 1), integer("stride", stride, 1), integer("dilation", dilation, 1)
    if size is None:
        return None
    before, after = resolve_padding(padding, size, window, stride, dilation)
    output = (size + before + after - dilation * (window - 1) - 1) // stride + 1
    if output < 1:
        raise ValueError(
            f"the output would be empty: (size + padding - dilation * (window - 1) - 1) // stride + 1 = "
            f"({size} + {before + after} - {dilation} * ({window} - 1) - 1) // {stride} + 1 = {output}, expected at least 1; "
            f"use a smaller window or dilation, or padding='same'"
        )
    return output


def split_padding(padding: Any) -> tuple[AxisPadding, AxisPadding]:
    """Return the padding of rows and of columns.

    Parameters
    ----------
    padding : "valid", "same", int, (int, int) or ((int, int), (int, int))
        In words; the same on all four sides; (rows, columns); ((top, bottom), (left, right)).

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or negative.
    """
    if isinstance(padding, str):
        _check_word(padding)
        return padding, padding
    if isinstance(padding, (tuple, list)) and len(padding) == 2 and all(isinstance(side, (tuple, list)) for side in padding):
        return pair("padding (top, bottom)", padding[0], low=0), pair("padding (left, right)", padding[1], low=0)
    rows, columns = pair("padding", padding, low=0)
    return (rows, rows), (columns, columns)


def _check_word(padding: str) -> None:
    if padding not in ("valid", "same"):
        raise ValueError(f"padding must be 'valid', 'same', an integer or integers for each side; got {padding!r}")


class Window(NamedTuple):
    """A window on an image, with all its amounts as (rows, columns)."""

    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    #: ((top, bottom), (left, right))
    pad: tuple[tuple[int, int], tuple[int, int]]
    #: rows and columns of the output
    output: tuple[int, int]

    @property
    def conv_params(self) -> tuple[int, ...]:
        """The spec's stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w."""
        return (*self.stride, self.pad[0][0], self.pad[1][0], *self.dilation)

    @property
    def pool_params(self) -> tuple[int, ...]:
        """The spec's pool_h, pool_w, stride_h, stride_w, pad_top, pad_left."""
        return (*self.size, *self.stride, self.pad[0][0], self.pad[1][0])


def conv_window(
    image: tuple[int, int], kernel_size: Pair, stride: Pair = 1, padding: Padding = "valid", dilation: Pair = 1
) -> Window:
    """Return the window of a convolution on images of `image` = (rows, columns).

    Parameters
    ----------
    kernel_size, stride, dilation : int or (int, int)
        At least 1.
    padding : "valid", "same", int, (int, int) or ((int, int), (int, int))
        As in `split_padding`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it should be, or the output would be empty.
    """
    return _window(
        image, pair("kernel_size", kernel_size), pair("stride", stride), split_padding(padding), pair("dilation", dilation)
    )


def pool_window(image: tuple[int, int], pool_size: Pair, stride: Pair | None = None, padding: Padding = "valid") -> Window:
    """Return the window of a pooling on images of `image` = (rows, columns); `stride` None is `pool_size`.

    Raises
    ------
    ValueError, TypeError
        As `conv_window`; also if the padding is not smaller than the window: each window has to meet the image.
    """
    size = pair("pool_size", pool_size)
    window = _window(image, size, size if stride is None else pair("stride", stride), split_padding(padding), (1, 1))
    if max(window.pad[0]) >= size[0] or max(window.pad[1]) >= size[1]:
        raise ValueError(f"padding must be smaller than pool_size {size}, or a window would lie outside the image; got {padding!r}")
    return window


@functools.lru_cache(maxsize=1024)
def _window(
    image: tuple[int, int],
    size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[AxisPadding, AxisPadding],
    dilation: tuple[int, int],
) -> Window:
    pad: list[tuple[int, int]] = []
    output: list[Any] = []
    for axis, name in enumerate(("rows", "columns")):
        try:
            output.append(conv_output_size(image[axis], size[axis], stride[axis], padding[axis], dilation[axis]))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        pad.append(resolve_padding(padding[axis], image[axis], size[axis], stride[axis], dilation[axis]))
    return Window(size, stride, dilation, (pad[0], pad[1]), (output[0], output[1]))


def check_groups(groups: Any, channels: int, filters: int) -> int:
    """Return `groups` as int; raise ValueError unless it divides the image's channels and the number of filters."""
    groups = integer("groups", groups, low=1)
    if channels % groups or filters % groups:
        raise ValueError(f"groups must divide the image's {channels} channels and the {filters} output channels; got {groups}")
    return groups
