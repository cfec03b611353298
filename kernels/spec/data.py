"""Moving data: gathering batches, changing layouts, accumulating."""

from .op import SUM_TOLERANCE, Array, Op, floats, reals

OPS = (
    Op(
        "transpose",
        "y[n, c, r] = x[n, r, c]: images between channels_last and channels_first, and matrices",
        inputs=reals(("x", "n r c")),
        outputs=reals(("y", "n c r"), role="out"),
    ),
    Op(
        "gather",
        "y[i] = x[index[i]] * scale + offset",
        inputs=(Array("x", "r s"), Array("index", "n", "int32", below="r")),
        params=floats("scale", "offset"),
        outputs=reals(("y", "n s"), role="out"),
    ),
    Op(
        "gather_uint8",
        "y[i] = x[index[i]] * scale + offset, from bytes",
        inputs=(Array("x", "r s", "uint8"), Array("index", "n", "int32", below="r")),
        params=floats("scale", "offset"),
        outputs=reals(("y", "n s"), role="out"),
    ),
    Op(
        "rescale",
        "y = x * scale + offset",
        inputs=reals(("x", "*")),
        params=floats("scale", "offset"),
        outputs=reals(("y", "*"), role="out"),
    ),
    Op(
        "accumulate",
        "total += scale * x",
        inputs=reals(("x", "*")),
        params=floats("scale"),
        outputs=reals(("total", "*"), role="inout"),
        tolerance=SUM_TOLERANCE,
    ),
    Op(
        "add",
        "y = a + b",
        inputs=reals(("a", "*"), ("b", "*")),
        outputs=reals(("y", "*"), role="out"),
    ),
    Op(
        "increment",
        "count += 1",
        inputs=(),
        outputs=(Array("count", "1", "float64", "inout"),),
    ),
)
