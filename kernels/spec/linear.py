"""Dense layers: matrix product with bias and fused activation, and its gradients."""

from .op import SUM_TOLERANCE, Array, Op, floats, ints, reals

OPS = (
    Op(
        "dense_forward",
        "y = activation(x @ w + b)",
        inputs=(*reals(("x", "n k"), ("w", "k m")), Array("b", "m", optional=True)),
        params=(*ints("activation", low=0), *floats("alpha")),
        outputs=reals(("y", "n m"), role="out"),
        tolerance=SUM_TOLERANCE,
        flops=lambda d: 2 * d["n"] * d["k"] * d["m"],
    ),
    Op(
        "dense_custom_forward",
        "y = f(x @ w + b) and slope = f'(x @ w + b), f as in custom_forward",
        inputs=(*reals(("x", "n k"), ("w", "k m")), Array("b", "m", optional=True)),
        params=ints("function"),
        outputs=(Array("y", "n m", role="out"), Array("slope", "n m", role="out", optional=True)),
        tolerance=SUM_TOLERANCE,
        flops=lambda d: 2 * d["n"] * d["k"] * d["m"],
    ),
    Op(
        "dense_backward_input",
        "dx = dy @ w.T",
        inputs=reals(("dy", "n m"), ("w", "k m")),
        outputs=reals(("dx", "n k"), role="out"),
        tolerance=SUM_TOLERANCE,
        flops=lambda d: 2 * d["n"] * d["k"] * d["m"],
    ),
    Op(
        "dense_backward_weight",
        "dw = x.T @ dy, db = dy summed over samples",
        inputs=reals(("x", "n k"), ("dy", "n m")),
        outputs=(Array("dw", "k m", role="out"), Array("db", "m", role="out", optional=True)),
        tolerance=SUM_TOLERANCE,
        flops=lambda d: 2 * d["n"] * d["k"] * d["m"],
    ),
)
