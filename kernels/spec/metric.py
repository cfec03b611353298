"""Metrics of each sample, and the running sums that they are collected in."""

from .op import Array, Op, floats, reals

TOTAL = Array("total", "2", "float64", "inout")

OPS = (
    Op(
        "sparse_match",
        "match = 1 where the first largest prediction is the label's, else 0",
        inputs=(*reals(("pred", "m c")), Array("label", "m", "int32", below="c")),
        outputs=reals(("match", "m"), role="out"),
    ),
    Op(
        "categorical_match",
        "match = 1 where the first largest prediction stands where the first largest target does, else 0",
        inputs=reals(("pred", "m c"), ("target", "m c")),
        outputs=reals(("match", "m"), role="out"),
    ),
    Op(
        "binary_match",
        "match = the share of a sample's outputs with (pred > threshold) == target",
        inputs=reals(("pred", "m c"), ("target", "m c")),
        params=floats("threshold"),
        outputs=reals(("match", "m"), role="out"),
    ),
    Op(
        "collect_samples",
        "total += (sum(value), m)",
        inputs=reals(("value", "m")),
        outputs=(TOTAL,),
    ),
    Op(
        "collect_mean",
        "total += (value * count, count)",
        inputs=reals(("value", "1")),
        params=floats("count"),
        outputs=(TOTAL,),
    ),
)
