"""Both gradients of a convolution in one: what is made of `dy` for one serves the other.

`fastnn/rewrites.py` puts this op in the place of the two, on backends that have it.
"""

from .conv import GROUPED, WINDOW, flops
from .op import SUM_TOLERANCE, Array, Op, ints, reals

OPS = (
    Op(
        "conv2d_backward",
        "dx of conv2d_backward_input, or with relu, where x is that activation's output, the gradient by what it activates; "
        "dw and db of conv2d_backward_weight",
        inputs=reals(("x", "n ih iw c"), ("dy", "n oh ow co"), ("w", "kh kw cg co")),
        params=(*WINDOW, *ints("groups"), *ints("relu", low=0)),
        outputs=(*reals(("dx", "n ih iw c"), ("dw", "kh kw cg co"), role="out"), Array("db", "co", role="out", optional=True)),
        tolerance=SUM_TOLERANCE,
        product=GROUPED,
        flops=lambda d: 2 * flops(d),
    ),
)
