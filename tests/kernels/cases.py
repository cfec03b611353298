"""Calls of every op, made from the spec: strategies for small and odd ones, and large ones for the blocked and parallel paths.

Shapes follow from the axes in the spec, values from the kind of an array. The tables here hold only what the spec does not say:
which axes depend on each other (windows, groups), and which values make sense (a variance is not negative, a label is a class).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st

from fastnn.kernels.backends import BACKENDS, kernels_of
from fastnn.kernels.spec import FAMILY_OF, OPS, Array, Op
from fastnn.kernels.spec.activation import FUSED
from fastnn.kernels.spec.augment import FILL_MODES, INTERPOLATIONS

from .user_functions import record

DTYPES = {"int32": np.int32, "uint8": np.uint8, "uint64": np.uint64, "float64": np.float64}
FLOATS = ("float32", "float64")
#: the backends as parameters of tests; those of a GPU run where there is one
BACKEND_PARAMS = [pytest.param(name, marks=[pytest.mark.gpu] if name == "cuda" else []) for name in BACKENDS]


def read_only(array):
    """Return a copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Case:
    """One call of an op: extents by axis name, parameters by name, and how the values of the arrays are drawn."""

    op_name: str
    extents: dict
    params: dict
    seed: int = 0
    #: values in steps of 1/4, so that equal ones meet: maxima, predictions and targets, corners
    ties: bool = False
    #: names of the optional arrays that are left out
    left_out: tuple[str, ...] = ()

    @property
    def op(self) -> Op:
        return OPS[self.op_name]

    def shape(self, array: Array) -> tuple[int, ...]:
        if array.axes == "*":
            return self.extents["*"]
        return tuple(int(axis) if axis.isdigit() else self.extents[axis] for axis in array.axis_names)

    def arguments(self, dtype: str) -> dict:
        """Return all arguments by name, in calling order: inputs and inouts with values, outputs full of NaN (or 0x55 bytes)."""
        rng = np.random.default_rng(self.seed)
        values = {}
        for array in (*self.op.inputs, *self.op.outputs):
            real = np.dtype(DTYPES.get(array.kind, dtype))
            if array.name in self.left_out:
                values[array.name] = None
            elif array.role == "out":
                values[array.name] = np.full(self.shape(array), np.nan if real.kind == "f" else 0x55, real)
            else:
                values[array.name] = np.asarray(self.value(array, rng)).astype(real)
        if self.op_name.endswith("_backward") and FAMILY_OF[self.op_name] == "activation" and "y" in values:
            values["y"] = output_of_forward(self.op_name, self.params, values["y"])
        if "function" in self.params:
            values["function"] = record(self.op_name).address
        return {name: values[name] if name in values else self.params[name] for name in self.op.argument_names}

    def in_windows(self, axis: str, side: str, rng: np.random.Generator) -> np.ndarray:
        """Return for each window along an axis a place inside it, and inside the image."""
        first = np.arange(self.extents[f"o{axis}"]) * self.params[f"stride_{axis}"] - self.params[f"pad_{side}"]
        last = np.minimum(first + self.params[f"pool_{axis}"], self.extents[f"i{axis}"])
        return rng.integers(np.maximum(first, 0), last)

    def value(self, array: Array, rng: np.random.Generator) -> np.ndarray:
        shape, e, name, op = self.shape(array), self.extents, array.name, self.op_name
        if name == "argmax" and "pool_h" in self.params:
            row, column = (self.in_windows(axis, side, rng) for axis, side in (("h", "top"), ("w", "left")))
            return np.full(shape, (row[:, None] * e["iw"] + column)[..., None])
        if name == "argmax":
            return rng.integers(0, e["ih"] * e["iw"], shape)
        if name == "row":
            return rng.integers(0, 40, self.shape(array)).astype(float)
        if name == "cursor":
            return np.array([rng.integers(0, e["t"]), rng.integers(0, e["s"] + 2)])
        if array.below:
            return rng.integers(0, e[array.below], shape)
        if name == "step":
            return rng.integers(1, 5, shape)
        if array.kind in ("uint8", "uint64", "int32"):
            info = np.iinfo(array.kind)
            return rng.integers(info.min, info.max, shape, dtype=array.kind, endpoint=True)
        if (op, name) in PROBABILITIES:
            return rng.choice([0, 1e-9, 0.25, 0.5, 1 - 1e-9, 1], shape) if self.ties else rng.uniform(0, 1, shape)
        if op.startswith(("hinge", "perceptron")) and name == "target":
            return rng.choice([-1.0, 1.0], shape)
        if op.startswith("half_poisson") and name == "target":
            return rng.integers(0, 9, shape) if self.ties else rng.uniform(0, 9, shape)
        if op == "binary_match" and name == "target":
            return rng.choice([0.0, 1.0], shape)
        values = rng.integers(-8, 9, shape) / 4 if self.ties else rng.standard_normal(shape)
        if name == "w" and "function" in self.params:  # sums of magnitude 1, as the derivative is
            return values / np.sqrt(max(1, np.prod(shape[:-1])))
        if name in ("var", "a", "lr") or (name == "v" and op.startswith("adam")):
            return np.abs(values)
        return values


#: arrays of probabilities
PROBABILITIES = {(f"{op}_{way}", "target") for op in ("binary_xent", "sigmoid_xent", "xent") for way in ("forward", "backward")}
PROBABILITIES |= {(f"binary_xent_{way}", "pred") for way in ("forward", "backward")}
PROBABILITIES |= {(f"xent_{way}", "probs") for way in ("forward", "backward")}
PROBABILITIES |= {(f"softmax_xent{kind}_backward", "probs") for kind in ("", "_onehot")}


#: numbers at which formulas break: where exp overflows or vanishes, where 1 + exp(x) is 1, near 0, and what is no number
EXTREMES = [0.0, 1e-30, 1e-6, 1e-3, 1.0, 9.0, 18.0, 40.0, 87.0, 89.0, 104.0, 710.0, 1e4, 1e30, np.inf]
EXTREMES = np.array([np.nan, *EXTREMES, *(-x for x in EXTREMES)])


def output_of_forward(backward_name, params, x):
    """Return an array that the activation may have for output: what the reference makes of `x`."""
    y = np.full(x.shape, np.nan, x.dtype)
    kernels_of("numpy")[backward_name.replace("_backward", "_forward")](x, *params.values(), y)
    return y


# --- small cases -----------------------------------------------------------------------------------------------------------------

#: float parameters: the values that may come
FLOAT_PARAMS = {
    "alpha": [0.0, 0.2, 1.0],
    "delta": [0.0, 0.5, 1.0],
    "eps": [1e-3, 1e-7],
    "momentum": [0.0, 0.9, 1.0],
    "rho": [0.0, 0.9],
    "beta1": [0.0, 0.9],
    "beta2": [0.5, 0.999],
    "weight_decay": [0.0, 0.004],
    "rate": [0.0, 0.25, 0.5, 0.999],
    "scale": [1.0, -0.5, 1 / 255],
    "offset": [0.0, 0.25],
    "l1": [0.0, 0.1],
    "l2": [0.0, 0.1],
    "threshold": [0.5, 0.0],
    "count": [1.0, 32.0],
    "low": [-1.0, 0.0],
    "high": [1.0, 0.5],
    "fill_value": [0.0, -0.75],
}
#: integer parameters that stand for a choice
CHOICES = {
    "same_zoom": (0, 1),
    "relu": (0, 1),
    "fill_mode": tuple(FILL_MODES.values()),
    "interpolation": tuple(INTERPOLATIONS.values()),
}


#: families whose windows are those of poolings
WITH_POOLS = ("pool", "rewritten", "recomputed")


def sizes(low=1, high=5):
    """Small extents, odd ones and 1 among them, and now and then one beyond a vector's width."""
    return st.one_of(st.integers(low, high), st.sampled_from([7, 16, 17, 33]))


@st.composite
def cases(draw, op_name: str) -> Case:
    """A legal small call of an op."""
    op = OPS[op_name]
    params = {p.name: draw(st.sampled_from(FLOAT_PARAMS[p.name])) for p in op.params if p.kind == "float"}
    if "pad_top" in {p.name for p in op.params}:
        extents, integers = draw(windows(op))
        params |= integers
    else:
        extents = {axis: draw(sizes()) for axis in op.axes}
        if "ih" in extents and op_name == "maxpool2d_backward":
            extents |= {"oh": draw(sizes(high=3)), "ow": draw(sizes(high=3))}
    if "activation" in {p.name for p in op.params}:
        params["activation"] = draw(st.sampled_from(sorted(FUSED.values())))
    if "function" in {p.name for p in op.params}:
        params["function"] = None  # see Case.arguments
    params |= {p.name: draw(st.sampled_from(CHOICES[p.name])) for p in op.params if p.name in CHOICES}
    if "size" in extents:
        extents["*"] = tuple(draw(st.lists(sizes(low=0), max_size=3)))
    batch = op.inputs[0].axis_names[0] if op.inputs else "1"
    if batch in ("n", "m") and draw(st.integers(0, 7)) == 0:
        extents[batch] = 0
    return Case(
        op_name,
        extents,
        {p.name: params[p.name] for p in op.params},  # in calling order
        draw(st.integers(0, 2**32 - 1)),
        draw(st.booleans()),
        tuple(a.name for a in op.arrays if a.optional and a.role != "inout" and draw(st.booleans())),
    )


@st.composite
def windows(draw, op: Op):
    """Extents and parameters of an op with a window: convolutions with groups; poolings where each window meets the image."""
    pooling = FAMILY_OF[op.name] in WITH_POOLS
    extents, params = {"n": draw(st.integers(1, 3))}, {}
    for axis, side in (("h", "top"), ("w", "left")):
        window = draw(st.integers(1, 5))
        dilation = 1 if pooling else draw(st.sampled_from([1, 1, 2, 3]))
        reach = dilation * (window - 1) + 1
        before = draw(st.integers(0, window - 1 if pooling else 4))
        after = draw(st.integers(0, window - 1 if pooling else 4))
        # from "the window fits just once, as large as the image" up
        image = max(1, reach - before - after) + draw(st.one_of(st.just(0), st.integers(0, 9)))
        stride = draw(st.sampled_from([1, 1, 2, 3, window + 2]))  # also beyond the window
        extents |= {f"i{axis}": image, f"o{axis}": (image + before + after - reach) // stride + 1, f"k{axis}": window}
        params |= {f"pool_{axis}": window, f"stride_{axis}": stride, f"pad_{side}": before, f"dilation_{axis}": dilation}
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, filters = draw(sizes(high=4)), draw(sizes(high=4))
    extents |= {"c": channels * groups, "cg": channels, "co": filters * groups, "p": draw(st.sampled_from([1, 1, 2, 3]))}
    params["groups"] = groups
    return extents, {p.name: params[p.name] for p in op.params if p.name in params}


# --- large cases -----------------------------------------------------------------------------------------------------------------


def conv_case(op_name, n, image, window, c, co, stride=1, pad=0, dilation=1, groups=1):
    """A convolution on square images, with the same padding on both sides; `stride` for rows and columns, or for each."""
    strides = stride if isinstance(stride, tuple) else (stride, stride)
    oh, ow = ((image + 2 * pad - dilation * (window - 1) - 1) // each + 1 for each in strides)
    extents = {"n": n, "ih": image, "iw": image, "oh": oh, "ow": ow, "kh": window, "kw": window}
    extents |= {"c": c, "cg": c // groups, "co": co, "p": 2}
    values = {
        "stride_h": strides[0],
        "stride_w": strides[1],
        "pad_top": pad,
        "pad_left": pad,
        "dilation_h": dilation,
        "dilation_w": dilation,
    }
    values |= {"pool_h": window, "pool_w": window, "groups": groups, "activation": FUSED["leaky_relu"], "alpha": 0.2}
    values |= {"function": None, "eps": 1e-3, "relu": 1}
    return Case(op_name, extents, {p.name: values[p.name] for p in OPS[op_name].params}, seed=7)


CONVOLUTIONS = [
    dict(n=5, image=28, window=3, c=1, co=32),  # the first layer of a network for digits
    dict(n=4, image=37, window=5, c=1, co=20, stride=(2, 1), pad=3, dilation=2),
    dict(n=9, image=31, window=3, c=3, co=25, stride=2, pad=1),
    dict(n=3, image=23, window=4, c=4, co=600, stride=3, pad=2, dilation=2, groups=2),  # filters beyond what is packed at a time
    dict(n=3, image=26, window=3, c=32, co=64),
    dict(n=16, image=18, window=3, c=16, co=16),  # many tiles of Winograd's algorithm
    dict(n=2, image=19, window=3, c=37, co=51, pad=1),  # nothing divides anything
    dict(n=19, image=11, window=3, c=21, co=37, pad=1),  # nor images into as many chunks as there are
    dict(n=5, image=21, window=5, c=35, co=22, pad=2),  # Winograd's algorithm with small tiles
    dict(n=17, image=12, window=5, c=32, co=64),
    dict(n=1, image=7, window=5, c=70, co=40, pad=2),  # fewer of them than filters
    dict(n=1, image=137, window=5, c=16, co=16),  # rows of tiles as long as a block
    dict(n=9, image=14, window=5, c=6, co=16),
    dict(n=2, image=33, window=5, c=16, co=24, stride=2, pad=2, dilation=2),
    dict(n=3, image=32, window=3, c=48, co=48, pad=1, groups=48),  # depthwise
    dict(n=2, image=17, window=3, c=70, co=70, stride=2, pad=1, groups=70),
    dict(n=2, image=41, window=5, c=7, co=7, stride=(1, 3), pad=5, dilation=2, groups=7),  # fewer channels than a vector's
    dict(n=2, image=18, window=3, c=10, co=30, stride=2, pad=1, groups=10),  # three filters for each channel
    dict(n=3, image=17, window=3, c=24, co=36, groups=3),
    dict(n=7, image=15, window=1, c=64, co=96),
    dict(n=1, image=20, window=5, c=300, co=12, pad=2),  # many channels
    dict(n=3, image=12, window=3, c=256, co=17, pad=1),  # as many as there is room for on a stack
    dict(n=3, image=8, window=8, c=20, co=40),  # as large as the image
    dict(n=1, image=130, window=9, c=7, co=5, pad=2),  # rows of pixels longer than a block
]
POOLINGS = [
    dict(n=5, image=26, window=2, c=32, co=32, stride=2),
    dict(n=3, image=29, window=3, c=19, co=19, stride=2, pad=1),
    dict(n=150, image=14, window=2, c=1, co=1, stride=2),
    dict(n=2, image=33, window=5, c=33, co=33, stride=1, pad=2),
    dict(n=40, image=15, window=2, c=6, co=6, stride=2),  # so few channels that vectors go on into other pixels
    dict(n=40, image=15, window=2, c=12, co=12, stride=2),
    dict(n=1, image=2, window=4, c=6, co=6, stride=2, pad=2),  # where there are none
    dict(n=3, image=13, window=2, c=300, co=300, stride=2),  # more columns than are summed at a time
    dict(n=9, image=20, window=1, c=24, co=24, stride=1),
]
MATRICES = [
    dict(n=64, k=784, m=128),
    dict(n=1, k=1000, m=300),
    dict(n=131, k=257, m=67),
    dict(n=513, k=5, m=3),
    dict(n=3, k=1031, m=1),
    dict(n=1, k=1031, m=10),  # rows shorter than a vector
    dict(n=1, k=517, m=27),
    dict(n=40, k=1501, m=33),
    dict(n=73, k=388, m=28),  # two threads have so few rows each that they would read B in place
]
TRANSPOSITIONS = [
    dict(n=67, r=103, c=97),
    dict(n=9, r=5003, c=3),  # so few columns, or rows, that no block fits them
    dict(n=70, r=2, c=701),
]
#: extents of the other ops, by family
LARGE = {
    "pool": dict(n=33, ih=21, iw=23, c=70),
    "norm": dict(m=2011, c=67),
    "activation": dict(m=1501, c=101),
    "loss": dict(m=5003, c=37),
    "metric": dict(m=5003, c=37),
    "data": dict(n=67, r=103, c=97, s=997),
    "halves": dict(n=67, r=103, s=997),
    "augment": dict(n=33, ih=21, iw=23, c=70, k=7),
    "step": dict(t=3001, s=11, n=257, r=701, k=3, e=19),
    "optim": {"h": 1},
}
SIZE = 200_003


def large_cases(op_name: str) -> list[Case]:
    """Deterministic calls that are large enough for blocking, vector loops with a rest, and threads."""
    op = OPS[op_name]
    family = FAMILY_OF[op_name]
    names = {p.name for p in op.params}
    if "pad_top" in names:
        return [conv_case(op_name, **shape) for shape in (POOLINGS if family in WITH_POOLS else CONVOLUTIONS)]
    values = {name: choices[1] for name, choices in (FLOAT_PARAMS | CHOICES).items()}
    values |= {"activation": FUSED["leaky_relu"], "function": None}
    params = {p.name: values[p.name] for p in op.params}
    if op_name == "transpose":
        listed = TRANSPOSITIONS
    elif op_name.startswith("dense"):
        listed = MATRICES
    else:
        listed = [{**LARGE[family], "oh": 10, "ow": 11, "*": (SIZE,)}]
    return [Case(op_name, extents, params, seed=7) for extents in listed]
