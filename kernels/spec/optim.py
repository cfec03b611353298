"""One optimizer step on one parameter array, in place. Update rules and defaults are Keras's.

`lr` (and Adam's `step`, counted from 1) are arrays of one float64: a recorded step reads them anew each time it is replayed.
"""

from .op import Array, Op, floats, ints, reals

LR = Array("lr", "1", "float64")
STEP = Array("step", "1", "float64")


def _step(
    name: str, summary: str, state: tuple[str, ...], params: tuple[str, ...] = (), source: str = "", counts: bool = False
) -> Op:
    return Op(
        name,
        summary,
        inputs=(*reals(("g", "*")), LR, *((STEP,) if counts else ())),
        params=floats(*params),
        outputs=reals(*((a, "*") for a in ("w", *state)), role="inout"),
        source=source,
    )


OPS = (
    _step("sgd_step", "w -= lr * g", ()),
    _step("momentum_step", "v = momentum * v - lr * g; w += v", ("v",), ("momentum",)),
    _step("nesterov_step", "v = momentum * v - lr * g; w += momentum * v - lr * g", ("v",), ("momentum",)),
    _step("adagrad_step", "a += g**2; w -= lr * g / sqrt(a + eps)", ("a",), ("eps",), "Duchi, Hazan & Singer 2011"),
    _step(
        "rmsprop_step",
        "a = rho * a + (1 - rho) * g**2; w -= lr * g / sqrt(a + eps)",
        ("a",),
        ("rho", "eps"),
        "Tieleman & Hinton 2012",
    ),
    _step(
        "adam_step",
        "m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g**2; "
        "w -= lr * sqrt(1 - beta2**step) / (1 - beta1**step) * m / (sqrt(v) + eps)",
        ("m", "v"),
        ("beta1", "beta2", "eps"),
        "Kingma & Ba 2015, section 2 (last paragraph), the form with eps outside the bias correction",
        counts=True,
    ),
    _step(
        "adamw_step",
        "w -= lr * weight_decay * w; then adam_step",
        ("m", "v"),
        ("beta1", "beta2", "eps", "weight_decay"),
        "Loshchilov & Hutter 2019",
        counts=True,
    ),
    Op(
        "custom_step",
        "w, s1, s2, s3 = f(w, g, s1, s2, s3, lr, step, *params), f the user's function whose record is at `function`; slots "
        "that it has not are None",
        inputs=(*reals(("g", "*")), LR, STEP, Array("params", "h", "float64")),
        params=ints("function"),
        outputs=(
            Array("w", "*", role="inout"),
            *(Array(slot, "*", role="inout", optional=True) for slot in ("s1", "s2", "s3")),
        ),
    ),
)
