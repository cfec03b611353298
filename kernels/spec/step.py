"""What a replayed training step does around its arithmetic: take the next batch's samples and learning rate."""

from .op import Array, Op

OPS = (
    Op(
        "begin_step",
        "index = order[cursor[0] + i] (round the end), lr = rates[cursor[1]] (the last one stays); cursor += (n, 1)",
        inputs=(Array("order", "t", "int32", below="t"), Array("rates", "s", "float64")),
        outputs=(
            Array("index", "n", "int32", "out"),
            Array("lr", "1", "float64", "out"),
            Array("cursor", "2", "float64", "inout"),
        ),
    ),
    Op(
        "gather_int32",
        "y[i] = x[index[i]]",
        inputs=(Array("x", "r s", "int32"), Array("index", "n", "int32", below="r")),
        outputs=(Array("y", "n s", "int32", "out"),),
    ),
    Op(
        "end_epoch",
        "log[row] = totals[:, 0] / totals[:, 1] (0 where nothing was collected); row += 1, round the end; totals = 0",
        inputs=(),
        outputs=(
            Array("totals", "k 2", "float64", "inout"),
            Array("log", "e k", "float64", "inout"),
            Array("row", "1", "float64", "inout"),
        ),
    ),
)
