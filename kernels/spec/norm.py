"""Normalization over the batch or over a sample's features, and dropout."""

from .op import SUM_TOLERANCE, Array, Op, floats, ints, reals

OPS = (
    Op(
        "batchnorm_forward",
        "y = gamma * (x - mean) / sqrt(var + eps) + beta with the batch's mean and (biased) variance of each column",
        inputs=reals(("x", "m c"), ("gamma", "c"), ("beta", "c")),
        params=floats("eps"),
        outputs=reals(("y", "m c"), ("mean", "c"), ("var", "c"), role="out"),
        tolerance=SUM_TOLERANCE,
        source="Ioffe & Szegedy 2015, algorithm 1",
    ),
    Op(
        "batchnorm_inference",
        "y = gamma * (x - mean) / sqrt(var + eps) + beta with given mean and variance",
        inputs=reals(("x", "m c"), ("gamma", "c"), ("beta", "c"), ("mean", "c"), ("var", "c")),
        params=floats("eps"),
        outputs=reals(("y", "m c"), role="out"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "batchnorm_backward",
        "dx, dgamma, dbeta of batchnorm_forward; with relu = 1, x is what relu returned, and dx the gradient by what it was given",
        inputs=reals(("dy", "m c"), ("x", "m c"), ("gamma", "c"), ("mean", "c"), ("var", "c")),
        params=(*floats("eps"), *ints("relu", low=0)),
        outputs=reals(("dx", "m c"), ("dgamma", "c"), ("dbeta", "c"), role="out"),
        tolerance={"float32": 1e-4, "float64": 1e-11},
    ),
    Op(
        "moving_average",
        "average = momentum * average + (1 - momentum) * value",
        inputs=reals(("value", "*")),
        params=floats("momentum"),
        outputs=reals(("average", "*"), role="inout"),
    ),
    Op(
        "layernorm_forward",
        "y = gamma * (x - mean) / sqrt(var + eps) + beta with the mean and (biased) variance of each row",
        inputs=reals(("x", "m c"), ("gamma", "c"), ("beta", "c")),
        params=floats("eps"),
        outputs=reals(("y", "m c"), ("mean", "m"), ("var", "m"), role="out"),
        tolerance=SUM_TOLERANCE,
        source="Ba, Kiros & Hinton 2016",
    ),
    Op(
        "layernorm_backward",
        "dx, dgamma, dbeta of layernorm_forward",
        inputs=reals(("dy", "m c"), ("x", "m c"), ("gamma", "c"), ("mean", "m"), ("var", "m")),
        params=floats("eps"),
        outputs=reals(("dx", "m c"), ("dgamma", "c"), ("dbeta", "c"), role="out"),
        tolerance={"float32": 1e-4, "float64": 1e-11},
    ),
    Op(
        "dropout_forward",
        "y = x / (1 - rate) where element i's random number is at least rate, else 0; used = state; state[1] += 1",
        inputs=reals(("x", "*")),
        params=floats("rate"),
        outputs=(
            *reals(("y", "*"), role="out"),
            Array("used", "2", "uint64", "out"),
            Array("state", "2", "uint64", "inout"),
        ),
        source=(
            "state is (seed, step). Random words: Philox4x32-7 (Salmon et al. 2011) with key (seed low, seed high) and counter "
            "(i // 4 low, i // 4 high, step low, step high), word i % 4; element i is kept when word >= round(rate * 2**32)."
        ),
    ),
    Op(
        "dropout_backward",
        "dx = dy / (1 - rate) at the elements that dropout_forward kept when its state was `used`, else 0",
        inputs=(*reals(("dy", "*")), Array("used", "2", "uint64")),
        params=floats("rate"),
        outputs=reals(("dx", "*"), role="out"),
    ),
)
