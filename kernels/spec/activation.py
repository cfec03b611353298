"""Activations and their derivatives; which can be fused into dense and conv2d, and by which code."""

from .op import SUM_TOLERANCE, Array, Op, floats, ints, reals

#: activation -> code in the `activation` parameter of dense_forward and conv2d_forward. All of these have a derivative
#: that follows from the output alone, so the fused call needs to keep nothing else.
FUSED = {
    "linear": 0,
    "relu": 1,
    "sigmoid": 2,
    "tanh": 3,
    "bipolar_sigmoid": 4,
    "leaky_relu": 5,
    "elu": 6,
    "selu": 7,
    "softplus": 8,
}
#: activations with a parameter `alpha`, and its default (Keras's)
ALPHA_DEFAULT = {"leaky_relu": 0.2, "elu": 1.0}
#: activations whose derivative needs the input instead of the output
FROM_INPUT = ("gelu", "silu")

#: SELU's constants, Klambauer et al. 2017
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946

_SUMMARIES = {
    "linear": "x",
    "relu": "max(x, 0); derivative 0 at 0",
    "sigmoid": "1 / (1 + exp(-x)) (unipolar sigmoid)",
    "tanh": "tanh(x)",
    "bipolar_sigmoid": "(1 - exp(-x)) / (1 + exp(-x)) = tanh(x / 2)",
    "leaky_relu": "x where x > 0, else alpha * x; derivative alpha at 0",
    "elu": "x where x > 0, else alpha * (exp(x) - 1)",
    "selu": "scale * elu(x, alpha) with the constants of Klambauer et al. 2017",
    "softplus": "log(1 + exp(x))",
    "gelu": "x * Phi(x), Phi the normal distribution function (exact, by erf)",
    "silu": "x * sigmoid(x)",
}


def _pair(name: str, formula: str) -> tuple[Op, Op]:
    params = floats("alpha") if name in ALPHA_DEFAULT else ()
    saved = "x" if name in FROM_INPUT else "y"
    return (
        Op(
            f"{name}_forward",
            f"y = {formula}",
            inputs=reals(("x", "*")),
            params=params,
            outputs=reals(("y", "*"), role="out"),
        ),
        Op(
            f"{name}_backward",
            f"dx = dy * the derivative of {name}, from its {'input x' if saved == 'x' else 'output y'}",
            inputs=reals(("dy", "*"), (saved, "*")),
            params=params,
            outputs=reals(("dx", "*"), role="out"),
        ),
    )


OPS = (
    *(op for name, formula in _SUMMARIES.items() for op in _pair(name, formula)),
    Op(
        "custom_forward",
        "y = f(x) and slope = f'(x), f the user's function whose record is at the address `function` (kernels/custom/record.py)",
        inputs=reals(("x", "*")),
        params=ints("function"),
        outputs=(Array("y", "*", role="out"), Array("slope", "*", role="out", optional=True)),
    ),
    Op(
        "custom_backward",
        "dx = dy * slope",
        inputs=reals(("dy", "*"), ("slope", "*")),
        outputs=reals(("dx", "*"), role="out"),
    ),
    Op(
        "prelu_forward",
        "y = x where x > 0, else alpha * x, with a factor for each column",
        inputs=reals(("x", "m c"), ("alpha", "c")),
        outputs=reals(("y", "m c"), role="out"),
        source="He et al. 2015",
    ),
    Op(
        "prelu_backward",
        "dx = dy where x > 0, else alpha * dy; dalpha = the sum in each column of dy * x where x <= 0",
        inputs=reals(("dy", "m c"), ("x", "m c"), ("alpha", "c")),
        outputs=reals(("dx", "m c"), ("dalpha", "c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "softmax_forward",
        "y = exp(x - max) / sum(exp(x - max)) in each row",
        inputs=reals(("x", "m c")),
        outputs=reals(("y", "m c"), role="out"),
    ),
    Op(
        "softmax_backward",
        "dx = y * (dy - sum(dy * y)) in each row",
        inputs=reals(("dy", "m c"), ("y", "m c")),
        outputs=reals(("dx", "m c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
)
