"""Ops that nobody calls: `fastnn/rewrites.py` puts them in the place of others, on backends that have them.

`batchnorm_*pool` is a batch normalization, the activation and the pooling behind it, in one: the images between them are never
stored. Without a pooling, windows are single pixels.
"""

from .op import SUM_TOLERANCE, Array, Op, floats, ints, reals
from .pool import WINDOW

NORMALIZED = reals(("x", "n ih iw c"), ("gamma", "c"), ("beta", "c"))
STATISTICS = reals(("mean", "c"), ("var", "c"), role="out")
GRADIENTS = reals(("dx", "n ih iw c"), ("dgamma", "c"), ("dbeta", "c"), role="out")
#: eps is that of the normalization, activation and alpha are as in dense_forward
ACTIVATED = (*floats("eps"), *ints("activation", low=0), *floats("alpha"))
#: as that of batchnorm_backward
GRADIENT_TOLERANCE = {"float32": 1e-4, "float64": 1e-11}

OPS = (
    Op(
        "batchnorm_maxpool_forward",
        "y, argmax = maxpool2d_forward of activation(z), where z, mean, var = batchnorm_forward of x's pixels",
        inputs=NORMALIZED,
        params=(*ACTIVATED, *WINDOW),
        outputs=(Array("y", "n oh ow c", role="out"), Array("argmax", "n oh ow c", "int32", "out"), *STATISTICS),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "batchnorm_maxpool_backward",
        "dx, dgamma, dbeta of batchnorm_maxpool_forward without activation; relu as in batchnorm_backward",
        inputs=(
            *reals(("dy", "n oh ow c")),
            Array("argmax", "n oh ow c", "int32"),
            *reals(("x", "n ih iw c"), ("gamma", "c"), ("mean", "c"), ("var", "c")),
        ),
        params=(*floats("eps"), *ints("relu", low=0), *WINDOW),
        outputs=GRADIENTS,
        tolerance=GRADIENT_TOLERANCE,
    ),
    Op(
        "batchnorm_avgpool_forward",
        "y = avgpool2d_forward of activation(z), where z, mean, var = batchnorm_forward of x's pixels",
        inputs=NORMALIZED,
        params=(*ACTIVATED, *WINDOW),
        outputs=(Array("y", "n oh ow c", role="out"), *STATISTICS),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "maxpool2d_backward__gather",
        "maxpool2d_backward where the windows are known: each pixel adds, in order, what its own windows send",
        inputs=(*reals(("dy", "n oh ow c")), Array("argmax", "n oh ow c", "int32")),
        params=WINDOW,
        outputs=reals(("dx", "n ih iw c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
)
