"""A gradient and the step of SGD that is its only reader in one: the gradient is never stored.

`fastnn/rewrites.py` puts these ops in the place of the two, on backends that have them.
"""

from .op import SUM_TOLERANCE, Array, Op, reals
from .optim import LR

OPS = (
    Op(
        "dense_descent",
        "w -= lr * x.T @ dy; b -= lr * dy summed over samples",
        inputs=(*reals(("x", "n k"), ("dy", "n m")), LR),
        outputs=(Array("w", "k m", role="inout"), Array("b", "m", role="inout", optional=True)),
        tolerance=SUM_TOLERANCE,
        flops=lambda d: 2 * d["n"] * d["k"] * d["m"],
    ),
)
