"""Pooling over windows of an image (N, H, W, C); what lies outside the image takes no part."""

from .op import SUM_TOLERANCE, Array, Op, ints, reals

WINDOW = (*ints("pool_h", "pool_w", "stride_h", "stride_w"), *ints("pad_top", "pad_left", low=0))

OPS = (
    Op(
        "maxpool2d_forward",
        "y = the largest element of each window, argmax = its place row * W + column in the image",
        inputs=reals(("x", "n ih iw c")),
        params=WINDOW,
        outputs=(Array("y", "n oh ow c", role="out"), Array("argmax", "n oh ow c", "int32", "out")),
        source="Ties go to the first maximum in row-major order; a NaN in a window is its maximum.",
    ),
    Op(
        "maxpool2d_backward",
        "dx = dy added at the place of each window's maximum",
        inputs=(*reals(("dy", "n oh ow c")), Array("argmax", "n oh ow c", "int32")),
        outputs=reals(("dx", "n ih iw c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "avgpool2d_forward",
        "y = the mean of the elements of each window that lie inside the image",
        inputs=reals(("x", "n ih iw c")),
        params=WINDOW,
        outputs=reals(("y", "n oh ow c"), role="out"),
    ),
    Op(
        "avgpool2d_backward",
        "dx = dy spread evenly over each window",
        inputs=reals(("dy", "n oh ow c")),
        params=WINDOW,
        outputs=reals(("dx", "n ih iw c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "global_avgpool2d_forward",
        "y = the mean over rows and columns",
        inputs=reals(("x", "n ih iw c")),
        outputs=reals(("y", "n c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "global_avgpool2d_backward",
        "dx = dy / (H * W) everywhere",
        inputs=reals(("dy", "n c")),
        outputs=reals(("dx", "n ih iw c"), role="out"),
    ),
)
