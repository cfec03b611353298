"""The gradient of a batch normalization that computes again, from its input, what the activation behind it gave.

`fastnn/rewrites.py` puts it in the place of several gradients on backends that have it: those where reading an image costs more
than computing it. The forward pass is in `rewritten.py`.
"""

from .op import Op, ints, reals
from .pool import WINDOW
from .rewritten import ACTIVATED, GRADIENT_TOLERANCE, GRADIENTS, NORMALIZED

OPS = (
    Op(
        "batchnorm_avgpool_backward",
        "dx, dgamma, dbeta of batchnorm_avgpool_forward; relu as in batchnorm_backward",
        inputs=(*reals(("dy", "n oh ow c")), *NORMALIZED, *reals(("mean", "c"), ("var", "c"))),
        params=(*ACTIVATED, *ints("relu", low=0), *WINDOW),
        outputs=GRADIENTS,
        tolerance=GRADIENT_TOLERANCE,
    ),
)
