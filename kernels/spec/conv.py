"""Two-dimensional convolution (cross-correlation, as neural networks use the word), im2col and col2im.

Layout: images (N, H, W, C), filters (KH, KW, C / groups, C_out). Row `o` of an output reads input rows
``o * stride_h - pad_top + i * dilation_h`` for i < KH; what lies outside the image counts as zero. Padding at the bottom and right
is what the output extent implies.

Images of im2col and col2im consist of `p` planes: one of all channels, as elsewhere, or one for each channel (``c = 1``), which are
the images and the patches of channels_first.
"""

from collections.abc import Mapping

from .op import SUM_TOLERANCE, Array, Op, floats, ints, reals

WINDOW = (*ints("stride_h", "stride_w"), *ints("pad_top", "pad_left", low=0), *ints("dilation_h", "dilation_w"))
#: each group of filters reads its own share of the image's channels
GROUPED = ("c", "cg", "groups")


def flops(d: Mapping[str, int]) -> int:
    return 2 * d["n"] * d["oh"] * d["ow"] * d["co"] * d["kh"] * d["kw"] * d["cg"]


OPS = (
    Op(
        "im2col",
        "cols[n, oh, ow, p, i, j, c] = x[n, p, oh * stride_h - pad_top + i * dilation_h, ..., c], zero outside",
        inputs=reals(("x", "n p ih iw c")),
        params=WINDOW,
        outputs=reals(("cols", "n oh ow p kh kw c"), role="out"),
    ),
    Op(
        "col2im",
        "x = the sum of all patches, each put back at its place: the transpose of im2col",
        inputs=reals(("cols", "n oh ow p kh kw c")),
        params=WINDOW,
        outputs=reals(("x", "n p ih iw c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "conv2d_forward",
        "y = activation(x * w + b)",
        inputs=(*reals(("x", "n ih iw c"), ("w", "kh kw cg co")), Array("b", "co", optional=True)),
        params=(*WINDOW, *ints("groups"), *ints("activation", low=0), *floats("alpha")),
        outputs=reals(("y", "n oh ow co"), role="out"),
        tolerance=SUM_TOLERANCE,
        product=GROUPED,
        flops=flops,
    ),
    Op(
        "conv2d_custom_forward",
        "y = f(x * w + b) and slope = f'(x * w + b), f as in custom_forward",
        inputs=(*reals(("x", "n ih iw c"), ("w", "kh kw cg co")), Array("b", "co", optional=True)),
        params=(*WINDOW, *ints("groups"), *ints("function")),
        outputs=(Array("y", "n oh ow co", role="out"), Array("slope", "n oh ow co", role="out", optional=True)),
        tolerance=SUM_TOLERANCE,
        product=GROUPED,
        flops=flops,
    ),
    Op(
        "conv2d_backward_input",
        "dx = the gradient of sum(dy * conv2d(x, w)) by x",
        inputs=reals(("dy", "n oh ow co"), ("w", "kh kw cg co")),
        params=(*WINDOW, *ints("groups")),
        outputs=reals(("dx", "n ih iw c"), role="out"),
        tolerance=SUM_TOLERANCE,
        product=GROUPED,
        flops=flops,
    ),
    Op(
        "conv2d_backward_weight",
        "dw, db = the gradient of sum(dy * (conv2d(x, w) + b)) by w and b",
        inputs=reals(("x", "n ih iw c"), ("dy", "n oh ow co")),
        params=(*WINDOW, *ints("groups")),
        outputs=(Array("dw", "kh kw cg co", role="out"), Array("db", "co", role="out", optional=True)),
        tolerance=SUM_TOLERANCE,
        product=GROUPED,
        flops=flops,
    ),
)
