"""The NumPy reference against what does not share its code: loops, numbers worked by hand, known answers, central differences."""

import importlib
import inspect
import math
from itertools import product

import numpy as np
import pytest

from fastnn.kernels.numpy_ref import activation, augment, conv, data, loss, metric, norm, optim, pool, step
from fastnn.kernels.spec import FAMILIES, FAMILY_OF, OPS
from fastnn.kernels.spec.activation import FUSED, SELU_ALPHA, SELU_SCALE
from fastnn.kernels.spec.augment import FILL_MODES, INTERPOLATIONS

from .user_functions import record

DTYPES = {"int32": np.int32, "uint8": np.uint8, "uint64": np.uint64, "float64": np.float64}
ACTIVATION_NAMES = [op.name.removesuffix("_forward") for op in FAMILIES["activation"] if op.name.endswith("_forward")]


def kernel(name):
    return getattr(importlib.import_module(f"fastnn.kernels.numpy_ref.{FAMILY_OF[name]}"), name)


def fresh(shape, dtype=np.float64):
    """An output as a kernel may find it: full of what must not show in the result."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 99, dtype)


def elementwise(name, *args):
    """Run an op whose one output has the shape of its first array."""
    out = fresh(np.shape(args[0]))
    kernel(name)(*(np.asarray(a, dtype=np.float64) if np.ndim(a) or i == 0 else a for i, a in enumerate(args)), out)
    return out


# --- every op, from the spec -----------------------------------------------------------------------------------------------------

#: extents that fit together for every op: a 5 x 6 image with 4 channels in two groups, windows 2 x 3, stride 2 x 1, padding 1 x 1
EXTENTS = {
    **{"n": 3, "m": 4, "k": 5, "c": 4, "p": 2, "r": 6, "s": 3, "t": 7, "e": 8, "h": 1},
    **{"ih": 5, "iw": 6, "oh": 3, "ow": 6, "kh": 2, "kw": 3, "cg": 2, "co": 6},
}
PARAMS = {
    **{"stride_h": 2, "stride_w": 1, "pad_top": 1, "pad_left": 1, "dilation_h": 1, "dilation_w": 1, "groups": 2},
    **{"pool_h": 2, "pool_w": 3, "activation": FUSED["tanh"], "alpha": 0.3, "delta": 0.7, "eps": 1e-3, "relu": 0, "rate": 0.4},
    **{"momentum": 0.9, "rho": 0.8, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.01},
    **{"same_zoom": 0, "fill_mode": FILL_MODES["reflect"], "interpolation": INTERPOLATIONS["bilinear"], "fill_value": 0.25},
    **{"low": -0.5, "high": 0.75},
    **{"scale": 0.5, "offset": -0.25, "l1": 0.01, "l2": 0.02, "threshold": 0.5, "count": 3.0},
}
POSITIVE = {"var", "a", "v", "probs"}


def shape_of(array, extents):
    if array.axes == "*":
        return (3, 5)
    return tuple(int(axis) if axis.isdigit() else extents[axis] for axis in array.axis_names)


def sample(array, extents, rng, op_name):
    """Return an argument for an array of the spec: a value that is legal for the op."""
    shape = shape_of(array, extents)
    bound = {"label": "c", "index": "r"}.get(array.name)
    if array.name == "argmax":
        return rng.integers(0, extents["ih"] * extents["iw"], shape, dtype=np.int32)
    if bound:
        return rng.integers(0, extents[bound], shape, dtype=np.int32)
    if array.kind != "real":
        return rng.integers(1, 200, shape).astype(DTYPES[array.kind])
    if array.name in POSITIVE or (op_name.startswith("binary_xent") and array.name in ("pred", "target")):
        return rng.uniform(0.05, 0.95, shape)
    return rng.standard_normal(shape)


def arguments(op, extents, seed=0):
    """Return legal inputs and outputs of an op, float64, by name."""
    rng = np.random.default_rng(seed)
    values = {a.name: sample(a, extents, rng, op.name) for a in op.arrays if a.role != "out"}
    for a in op.outputs:
        if a.role == "out":
            values[a.name] = fresh(shape_of(a, extents), DTYPES.get(a.kind, np.float64))
    return values


def run(op, values, params=PARAMS):
    if "function" in {p.name for p in op.params}:
        params = params | {"function": record(op.name).address}
    kernel(op.name)(*(values[a.name] if a.name in values else params[a.name] for a in (*op.inputs, *op.params, *op.outputs)))


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_signature_is_the_specs(op):
    assert tuple(inspect.signature(kernel(op.name)).parameters) == op.argument_names
    assert kernel(op.name).__doc__


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_outputs_are_written_whole_and_inputs_left_alone(op):
    values = arguments(op, EXTENTS)
    inputs = {a.name: values[a.name].copy() for a in op.inputs}
    for a in op.inputs:
        values[a.name].flags.writeable = False
    run(op, values)
    for a in op.outputs:
        assert np.isfinite(values[a.name]).all(), a.name
    for name, before in inputs.items():
        assert np.array_equal(values[name], before), name


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_float32_is_the_float64_result_rounded_once(op):
    """float32 numbers computed as float64 arrays and as float32 arrays give the same, but for the last rounding."""
    narrow = {
        name: value.astype(np.float32) if name in {a.name for a in op.arrays if a.kind == "real"} else value
        for name, value in arguments(op, EXTENTS).items()
    }
    wide = {name: value.astype(np.float64) if value.dtype == np.float32 else value.copy() for name, value in narrow.items()}
    run(op, narrow)
    run(op, wide)
    for a in op.outputs:
        assert np.array_equal(narrow[a.name], wide[a.name].astype(narrow[a.name].dtype)), a.name


#: results that are NaN for an empty batch
UNDEFINED = {f"batchnorm_{pooled}forward": ("mean", "var") for pooled in ("", "maxpool_", "avgpool_")}
UNDEFINED["weighted_mean_forward"] = ("mean",)


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_empty_batch(op):
    """Sums over no samples are 0, a mean over no samples is NaN, and what is updated by none stays as it was."""
    rows_are_samples = FAMILY_OF[op.name] in ("loss", "metric", "norm") or op.name.startswith("softmax")
    batch = "m" if rows_are_samples else "n"
    undefined = UNDEFINED.get(op.name, ())
    values = arguments(op, EXTENTS | {batch: 0})
    before = {a.name: values[a.name].copy() for a in op.outputs}
    run(op, values)
    for a in op.outputs:
        result = values[a.name]
        if batch in a.axis_names:
            assert result.size == 0
        elif not any(batch in other.axis_names for other in op.inputs):  # it has no batch and runs as ever
            assert not np.array_equal(result, before[a.name], equal_nan=True), a.name
        elif a.name in undefined:
            assert np.isnan(result).all(), a.name
        elif a.role == "inout":
            assert np.array_equal(result, before[a.name]), a.name
        else:
            assert not result.any(), a.name


def test_optional_bias():
    rng = np.random.default_rng(1)
    for name in ("dense_forward", "conv2d_forward"):
        values = arguments(OPS[name], EXTENTS)
        without = {**values, "b": None, "y": values["y"].copy()}
        zero = {**values, "b": np.zeros_like(values["b"]), "y": values["y"].copy()}
        run(OPS[name], without)
        run(OPS[name], zero)
        assert np.array_equal(without["y"], zero["y"])
    for name in ("dense_backward_weight", "conv2d_backward_weight"):
        values = arguments(OPS[name], EXTENTS)
        without = {**values, "dw": values["dw"].copy(), "db": None}
        run(OPS[name], values)
        run(OPS[name], without)
        assert np.array_equal(without["dw"], values["dw"])
    losses, mean = rng.uniform(size=4), fresh(1)
    loss.weighted_mean_forward(losses, None, mean)
    assert mean[0] == pytest.approx(sum(losses) / 4)
    dloss = fresh(4)
    loss.weighted_mean_backward(np.array([2.0]), None, dloss)
    assert np.array_equal(dloss, [0.5] * 4)


# --- gradients -------------------------------------------------------------------------------------------------------------------

#: padding on all sides, dilation, an image no larger than the window, a stride beyond the window, one group per channel
CONVOLUTIONS = {
    "strided, padded, grouped": {},
    "dilated": {"kh": 3, "kw": 2, "dilation_h": 2, "dilation_w": 3, "pad_top": 2, "pad_left": 0, "stride_h": 1, "oh": 4, "ow": 3},
    "window as large as the image": {"kh": 5, "kw": 6, "pad_top": 0, "pad_left": 0, "oh": 1, "ow": 1},
    "stride beyond the window": {"kh": 1, "kw": 2, "stride_h": 3, "stride_w": 4, "pad_top": 0, "pad_left": 0, "oh": 2, "ow": 2},
    "padding beyond the window": {"kh": 1, "kw": 1, "pad_top": 3, "pad_left": 2, "oh": 6, "ow": 9},
    "depthwise, two filters a channel": {"groups": 4, "cg": 1, "co": 8},
    "one group": {"groups": 1, "cg": 4, "co": 3},
}
POOLS = {
    "overlapping, padded": {},
    "apart": {"pool_h": 2, "pool_w": 2, "stride_h": 2, "stride_w": 3, "pad_top": 0, "pad_left": 0, "oh": 2, "ow": 2},
    "whole image": {"pool_h": 5, "pool_w": 6, "stride_h": 5, "stride_w": 6, "pad_top": 0, "pad_left": 0, "oh": 1, "ow": 1},
}
GEOMETRIES = {"conv": CONVOLUTIONS, "gradients": CONVOLUTIONS, "pool": POOLS, "rewritten": POOLS, "recomputed": POOLS}


BACKWARD_CASES = [
    pytest.param(op, geometry, id=f"{op.name} {label}".strip())
    for op in OPS.values()
    if "_backward" in op.name
    for label, geometry in GEOMETRIES.get(FAMILY_OF[op.name], {"": {}}).items()
]


def gradient_of(op, geometry):
    """Return the gradients that backward op `op` computes and the central differences of its forward op, by input name."""
    noun, _, rest = op.name.partition("_backward")
    forward = OPS.get(f"{noun}_forward__{rest.rpartition('__')[2]}", OPS[f"{noun}_forward"])
    extents, params = EXTENTS | geometry, PARAMS | {"activation": FUSED["linear"]} | geometry
    values = arguments(forward, extents)
    state = values.get("state", np.empty(0)).copy()
    run(forward, values, params)

    rng = np.random.default_rng(5)
    cotangents = {a.name: rng.standard_normal(shape_of(a, extents)) for a in op.inputs if a.name[0] == "d" and a.name[1:] in values}
    given = {a.name: cotangents.get(a.name, values.get(a.name)) for a in op.inputs}
    results = {a.name: fresh(shape_of(a, extents)) for a in op.outputs}
    run(op, {**given, **results}, params)

    def objective():
        trial = {**values, **{a.name: values[a.name].copy() for a in forward.outputs}}
        trial |= {"state": state.copy()} if state.size else {}
        run(forward, trial, params)
        return sum((cotangent * trial[name[1:]]).sum() for name, cotangent in cotangents.items())

    return results, {name: central_differences(objective, values[name[1:]]) for name in results}


def central_differences(objective, x, h=1e-5):
    differences = np.empty_like(x)
    for index in np.ndindex(x.shape):
        centre = x[index]
        x[index] = centre + h
        above = objective()
        x[index] = centre - h
        differences[index] = (above - objective()) / (2 * h)
        x[index] = centre
    return differences


BACKWARD_CASES.append(pytest.param(OPS["batchnorm_avgpool_backward"], {"activation": FUSED["softplus"]}, id="activated pixels"))


@pytest.mark.parametrize(("op", "geometry"), BACKWARD_CASES)
def test_backward_is_the_gradient_of_forward(op, geometry):
    results, expected = gradient_of(op, geometry)
    for name, result in results.items():
        assert np.abs(expected[name]).max() > 0
        assert np.abs(result - expected[name]).max() <= 1e-6 * np.abs(expected[name]).max(), name


# --- linear ----------------------------------------------------------------------------------------------------------------------


def test_dense_by_hand():
    y = fresh((1, 2))
    x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0, -4.0], [5.0, 1.0]]), np.array([0.5, -1.0])
    kernel("dense_forward")(x, w, b, FUSED["linear"], 0.0, y)
    assert np.array_equal(y, [[13.5, -3.0]])
    kernel("dense_forward")(x, w, b, FUSED["leaky_relu"], 0.1, y)
    assert np.allclose(y, [[13.5, -0.3]], rtol=1e-15)


def test_dense_in_halves_by_hand():
    y, second = fresh((2, 1)), fresh((2, 1))
    # the rows are (1, 2, 3) and (4, 5, 6)
    x, w, b = np.array([[1.0, 4.0, 2.0], [3.0, 5.0, 6.0]]), np.array([[100.0], [10.0], [1.0]]), np.array([0.5])
    kernel("dense_forward__halves")(x, w, b, FUSED["linear"], 0.0, y, second)
    assert y.tolist() == [[123.5], [456.5]]
    assert second.tolist() == [[23], [56]]
    kernel("dense_descent__halves")(x, np.array([[1.0], [-1.0]]), np.array([2.0]), w, b)
    assert w.ravel().tolist() == [106, 16, 7]
    assert b.tolist() == [0.5]


@pytest.mark.parametrize("name", FUSED)
def test_fused_activation_is_the_activation(name):
    params = (0.3,) if name in ("leaky_relu", "elu") else ()
    for op_name in ("dense_forward", "conv2d_forward"):
        values = arguments(OPS[op_name], EXTENTS)
        run(OPS[op_name], values, PARAMS | {"activation": FUSED["linear"]})
        expected = elementwise(f"{name}_forward", values["y"], *params)
        run(OPS[op_name], values, PARAMS | {"activation": FUSED[name]})
        assert np.array_equal(values["y"], expected)


# --- conv ------------------------------------------------------------------------------------------------------------------------


def pixel(x, n, row, column, c):
    """Return a pixel, zero outside the image."""
    return x[n, row, column, c] if 0 <= row < x.shape[1] and 0 <= column < x.shape[2] else 0.0


def im2col_by_loops(x, shape, p):
    cols = np.empty(shape)
    for n, o, q, plane, i, j, c in np.ndindex(shape):
        row = o * p["stride_h"] - p["pad_top"] + i * p["dilation_h"]
        column = q * p["stride_w"] - p["pad_left"] + j * p["dilation_w"]
        cols[n, o, q, plane, i, j, c] = pixel(x[:, plane], n, row, column, c)
    return cols


@pytest.mark.parametrize("geometry", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_im2col_and_col2im_by_loops(geometry):
    extents, params = EXTENTS | geometry, PARAMS | geometry
    values = arguments(OPS["im2col"], extents)
    run(OPS["im2col"], values, params)
    assert np.array_equal(values["cols"], im2col_by_loops(values["x"], values["cols"].shape, params))

    back = arguments(OPS["col2im"], extents)
    run(OPS["col2im"], back, params)
    expected = np.zeros(back["x"].shape)
    for n, o, q, plane, i, j, c in np.ndindex(back["cols"].shape):
        row = o * params["stride_h"] - params["pad_top"] + i * params["dilation_h"]
        column = q * params["stride_w"] - params["pad_left"] + j * params["dilation_w"]
        if 0 <= row < expected.shape[2] and 0 <= column < expected.shape[3]:
            expected[n, plane, row, column, c] += back["cols"][n, o, q, plane, i, j, c]
    assert np.allclose(back["x"], expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("geometry", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolution_by_loops(geometry):
    extents, params = EXTENTS | geometry, PARAMS | geometry | {"activation": FUSED["linear"]}
    values = arguments(OPS["conv2d_forward"], extents)
    x, w, b = values["x"], values["w"], values["b"]
    cols = im2col_by_loops(x[:, None], shape_of(OPS["im2col"].outputs[0], extents | {"p": 1}), params)[:, :, :, 0]
    expected = np.empty(values["y"].shape)
    for n, o, q, f in np.ndindex(expected.shape):
        first = f // (extents["co"] // params["groups"]) * extents["cg"]  # of the channels that the filter's group reads
        expected[n, o, q, f] = b[f] + sum(
            cols[n, o, q, i, j, first + c] * w[i, j, c, f]
            for i, j, c in product(range(extents["kh"]), range(extents["kw"]), range(extents["cg"]))
        )
    run(OPS["conv2d_forward"], values, params)
    assert np.allclose(values["y"], expected, rtol=1e-13, atol=1e-13)


def test_convolution_by_hand():
    """A 3 x 3 image, a 2 x 2 window, padding 1 at the top and left only; no flip of the filter."""
    x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    w = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(2, 2, 1, 1)
    y = fresh((1, 3, 3, 1))
    conv.conv2d_forward(x, w, None, 1, 1, 1, 1, 1, 1, 1, FUSED["linear"], 0.0, y)
    assert y[0, :, :, 0].tolist() == [[1000, 2100, 3200], [4010, 5421, 6532], [7040, 8754, 9865]]


# --- pool ------------------------------------------------------------------------------------------------------------------------


def windows_by_loops(x, shape, p):
    """Yield for each output its index and the (value, place) of the pixels in its window, in row-major order."""
    for n, o, q, c in np.ndindex(shape):
        rows = range(o * p["stride_h"] - p["pad_top"], o * p["stride_h"] - p["pad_top"] + p["pool_h"])
        columns = range(q * p["stride_w"] - p["pad_left"], q * p["stride_w"] - p["pad_left"] + p["pool_w"])
        inside = [(i, j) for i in rows for j in columns if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]]
        yield (n, o, q, c), [(x[n, i, j, c], i * x.shape[2] + j) for i, j in inside]


@pytest.mark.parametrize("geometry", POOLS.values(), ids=POOLS)
def test_pooling_by_loops(geometry):
    extents, params = EXTENTS | geometry, PARAMS | geometry
    maximum, average = arguments(OPS["maxpool2d_forward"], extents), arguments(OPS["avgpool2d_forward"], extents)
    maximum["x"][...] = np.round(maximum["x"])  # many ties
    run(OPS["maxpool2d_forward"], maximum, params)
    run(OPS["avgpool2d_forward"], average, params)
    ties = 0
    for index, window in windows_by_loops(maximum["x"], maximum["y"].shape, params):
        largest = max(value for value, _ in window)
        ties += sum(value == largest for value, _ in window) > 1
        assert maximum["y"][index] == largest
        assert maximum["argmax"][index] == next(place for value, place in window if value == largest)
    assert ties > 0
    for index, window in windows_by_loops(average["x"], average["y"].shape, params):
        assert average["y"][index] == pytest.approx(math.fsum(value for value, _ in window) / len(window), rel=1e-13, abs=1e-15)


def maxpool_2x2(rows):
    x = np.array(rows, dtype=np.float64).reshape(1, 2, 2, 1)
    y, argmax = fresh((1, 1, 1, 1)), fresh((1, 1, 1, 1), np.int32)
    pool.maxpool2d_forward(x, 2, 2, 1, 1, 0, 0, y, argmax)
    return y.item(), argmax.item()


def test_maxpool_edge_rules():
    assert maxpool_2x2([[1, 3], [3, 2]]) == (3, 1)  # the first of a tie
    value, place = maxpool_2x2([[1, 3], [np.nan, np.nan]])
    assert math.isnan(value) and place == 2  # the first NaN
    value, place = maxpool_2x2([[np.nan, np.inf], [3, 4]])
    assert math.isnan(value) and place == 0
    assert maxpool_2x2([[-np.inf, -np.inf], [-np.inf, -np.inf]]) == (-np.inf, 0)


def test_maxpool_padding_takes_no_part():
    x, y, argmax = np.full((1, 2, 2, 1), -5.0), fresh((1, 3, 3, 1)), fresh((1, 3, 3, 1), np.int32)
    pool.maxpool2d_forward(x, 2, 2, 1, 1, 1, 1, y, argmax)
    assert (y == -5).all()
    assert argmax[0, :, :, 0].tolist() == [[0, 0, 1], [0, 0, 1], [2, 2, 3]]


def test_maxpool_backward_adds_where_windows_overlap():
    dx = fresh((1, 2, 2, 1))
    argmax = np.array([1, 1, 3, 1], dtype=np.int32).reshape(1, 2, 2, 1)
    pool.maxpool2d_backward(np.array([1.0, 10.0, 100.0, 1000.0]).reshape(1, 2, 2, 1), argmax, dx)
    assert dx.ravel().tolist() == [0, 1011, 0, 100]


def test_global_average():
    x, y = np.arange(12.0).reshape(1, 2, 3, 2), fresh((1, 2))
    pool.global_avgpool2d_forward(x, y)
    assert y.tolist() == [[5, 6]]


# --- norm ------------------------------------------------------------------------------------------------------------------------


def test_batchnorm_by_hand():
    x, gamma, beta = np.array([[1.0, 10.0], [3.0, 10.0]]), np.array([2.0, 3.0]), np.array([0.5, -1.0])
    y, mean, var = fresh((2, 2)), fresh(2), fresh(2)
    norm.batchnorm_forward(x, gamma, beta, 3.0, y, mean, var)
    assert (mean.tolist(), var.tolist()) == ([2, 10], [1, 0])  # the variance is the biased one
    assert y.tolist() == [[-0.5, -1], [1.5, -1]]  # 2 * (1 - 2) / sqrt(1 + 3) + 0.5
    norm.batchnorm_inference(x, gamma, beta, np.array([1.0, 4.0]), np.array([1.0, 6.0]), 3.0, y)
    assert y.tolist() == [[0.5, 5], [2.5, 5]]


def test_layernorm_by_hand():
    x, gamma, beta = np.array([[1.0, 3.0], [10.0, 10.0]]), np.array([2.0, 3.0]), np.array([0.5, -1.0])
    y, mean, var = fresh((2, 2)), fresh(2), fresh(2)
    norm.layernorm_forward(x, gamma, beta, 3.0, y, mean, var)
    assert (mean.tolist(), var.tolist()) == ([2, 10], [1, 0])
    assert y.tolist() == [[-0.5, 0.5], [0.5, -1]]


def test_moving_average():
    average = np.array([1.0, 2.0])
    norm.moving_average(np.array([3.0, 2.0]), 0.75, average)
    assert average.tolist() == [1.5, 2]


def uint64s(*words):
    return tuple(np.uint64(word) for word in words)


PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)
ONES = (0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2
ZEROS = (0,) * 4, (0,) * 2


@pytest.mark.parametrize(
    ("rounds", "counter_and_key", "answer"),
    [
        (7, ZEROS, (0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48)),
        (7, ONES, (0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662)),
        (7, PI, (0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A)),
        (10, ZEROS, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (10, ONES, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (10, PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    ],
)
def test_philox_known_answers(rounds, counter_and_key, answer):
    """The known-answer vectors that come with Random123, the authors' own implementation."""
    counter, key = counter_and_key
    assert norm.philox4x32(uint64s(*counter), uint64s(*key), rounds) == answer


def test_random_word_of_an_element():
    """Element 6 is word 2 of block 1; the seed is the key, the step the upper half of the counter."""
    state = np.array([0x299F31D0A4093822, 0x0370734413198A2E], dtype=np.uint64)
    words = norm.random_words(state, 7)
    assert words.shape == (7,)
    assert words[6] == norm.philox4x32(uint64s(1, 0, 0x13198A2E, 0x03707344), uint64s(0xA4093822, 0x299F31D0))[2]


def dropout(x, rate, state):
    y, used = fresh(x.shape), fresh(2, np.uint64)
    norm.dropout_forward(x, rate, y, used, state)
    return y, used


def test_dropout():
    x = np.random.default_rng(2).uniform(1, 2, (100, 101))
    state = np.array([7, 2**64 - 1], dtype=np.uint64)
    y, used = dropout(x, 0.3, state)
    assert (used.tolist(), state.tolist()) == ([7, 2**64 - 1], [7, 0])
    kept = norm.random_words(used, x.size).reshape(x.shape) >= round(0.3 * 2**32)
    assert abs(kept.mean() - 0.7) < 0.02  # 4 standard deviations
    assert np.array_equal(y, np.where(kept, x / 0.7, 0))

    dx = fresh(x.shape)
    norm.dropout_backward(x, used, 0.3, dx)
    assert np.array_equal(dx, y)
    fewer, _ = dropout(x[:40].copy(), 0.3, used.copy())
    assert np.array_equal(fewer, y[:40])  # an element's number depends on its place alone
    later, _ = dropout(x, 0.3, state)
    assert 0.5 < ((later > 0) == kept).mean() < 0.66  # independent masks agree in 0.7**2 + 0.3**2 = 58 %


def test_dropout_keeps_a_word_at_the_threshold():
    state = np.array([1, 2], dtype=np.uint64)
    word = int(norm.random_words(state, 1)[0])
    assert dropout(np.ones(1), word / 2**32, state.copy())[0] > 0
    assert dropout(np.ones(1), (word + 1) / 2**32, state.copy())[0] == 0


def test_numbers_drawn_for_images():
    state, value = np.array([7, 3], np.uint64), fresh((5, 3))
    augment.random_uniform(np.array([0.0, -2.0, 4.0]), np.array([1.0, 2.0, 4.0]), value, state)
    words = norm.random_words(np.array([7, 3], np.uint64), 15).reshape(5, 3) / 2**32
    np.testing.assert_array_equal(value, np.stack([words[:, 0], 4 * words[:, 1] - 2, np.full(5, 4.0)], axis=1))
    assert state.tolist() == [7, 4]


#: the fill modes as SciPy calls them
SCIPY_MODES = {"reflect": "reflect", "constant": "grid-constant", "nearest": "nearest", "wrap": "grid-wrap"}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("fill_mode", FILL_MODES)
def test_affine_warp_against_scipy(fill_mode, interpolation):
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((6, 5, 7, 2)), fresh((6, 4, 9, 2))
    motion = rng.uniform(-1, 1, (6, 7)) * [1, 1, 3, 9, 9, 1, 1] + [1.2, 1.2, 0, 0, 0, 0, 0]
    augment.affine_warp(x, motion, 0, FILL_MODES[fill_mode], INTERPOLATIONS[interpolation], 0.25, y)
    for image, (zoom_h, zoom_w, angle, shift_h, shift_w, flip_h, flip_w), got in zip(x, motion, y, strict=True):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = turn @ np.diag([zoom_h * np.sign(flip_h), zoom_w * np.sign(flip_w)])
        offset = np.array([2, 3]) - [shift_h, shift_w] - matrix @ [1.5, 4]
        order = INTERPOLATIONS[interpolation]
        for c in range(2):
            wanted = ndimage.affine_transform(
                image[..., c], matrix, offset, (4, 9), order=order, mode=SCIPY_MODES[fill_mode], cval=0.25, prefilter=False
            )
            np.testing.assert_allclose(got[..., c], wanted, rtol=0, atol=1e-12)


def test_affine_warp_by_hand():
    image = np.arange(6.0).reshape(1, 2, 3, 1)

    def warped(motion, fill_mode="constant", interpolation="bilinear", same_zoom=0):
        y = fresh(image.shape)
        given = np.array([[motion.get(name, start) for name, start in zip(MOTION, (1, 1, 0, 0, 0, 1, 1), strict=True)]], float)
        augment.affine_warp(image, given, same_zoom, FILL_MODES[fill_mode], INTERPOLATIONS[interpolation], -1.0, y)
        return y[0, :, :, 0].tolist()

    MOTION = ("zoom_h", "zoom_w", "angle", "shift_h", "shift_w", "flip_h", "flip_w")
    assert warped({}) == [[0, 1, 2], [3, 4, 5]]
    assert warped({"flip_w": -0.1}) == [[2, 1, 0], [5, 4, 3]]
    assert warped({"flip_h": -3}) == [[3, 4, 5], [0, 1, 2]]
    assert warped({"shift_w": 1}) == [[-1, 0, 1], [-1, 3, 4]]
    assert warped({"shift_w": 2}, "wrap") == [[1, 2, 0], [4, 5, 3]]
    assert warped({"shift_w": 2}, "reflect") == [[1, 0, 0], [4, 3, 3]]
    assert warped({"shift_h": -1}, "nearest") == [[3, 4, 5], [3, 4, 5]]
    assert warped({"shift_w": 0.5}) == [[-0.5, 0.5, 1.5], [1, 3.5, 4.5]]
    assert warped({"shift_w": 0.25}, interpolation="nearest") == [[0, 1, 2], [3, 4, 5]]
    assert warped({"zoom_w": 0.5}) == [[0.5, 1, 1.5], [3.5, 4, 4.5]]  # nearer: half of the width
    assert warped({"zoom_h": 1, "zoom_w": 0.5}, same_zoom=1) == [[0, 1, 2], [3, 4, 5]]
    quarter = warped({"angle": np.pi / 2}, interpolation="nearest", fill_mode="nearest")
    assert quarter[1][1] in (1, 4) and quarter[0][1] != quarter[1][1]


def test_contrast_and_brightness_by_hand():
    x, y = np.array([0.0, 4.0, 10.0, 10.0]).reshape(2, 2, 1, 1), fresh((2, 2, 1, 1))
    augment.contrast_brightness(x, np.array([[0.5, 1.0], [3.0, -2.0]]), 0.0, 7.5, y)
    assert y.ravel().tolist() == [2, 4, 7.5, 7.5]
    x[0, 0] = np.nan
    augment.contrast_brightness(x, np.ones((2, 2)), 0.0, 7.5, y)
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()


def test_dropout_of_nothing_and_of_all():
    x, state = np.array([1.0, np.inf, -3.0]), np.array([0, 0], dtype=np.uint64)
    assert np.array_equal(dropout(x, 0.0, state)[0], x)
    assert np.array_equal(dropout(x, 1.0, state)[0], np.zeros(3))


# --- activation ------------------------------------------------------------------------------------------------------------------


#: value and derivative at a point, as a textbook has them, from another library
TEXTBOOK = {
    "linear": (lambda x: x, lambda x: 1),
    "relu": (lambda x: max(x, 0), lambda x: float(x > 0)),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "tanh": (math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    "bipolar_sigmoid": (
        lambda x: (1 - math.exp(-x)) / (1 + math.exp(-x)),
        lambda x: 2 * math.exp(-x) / (1 + math.exp(-x)) ** 2,
    ),
    "leaky_relu": (lambda x: x if x > 0 else 0.3 * x, lambda x: 1 if x > 0 else 0.3),
    "elu": (lambda x: x if x > 0 else 0.3 * (math.exp(x) - 1), lambda x: 1 if x > 0 else 0.3 * math.exp(x)),
    "selu": (
        lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * (math.exp(x) - 1)),
        lambda x: SELU_SCALE * (1 if x > 0 else SELU_ALPHA * math.exp(x)),
    ),
    "softplus": (lambda x: math.log(1 + math.exp(x)), lambda x: 1 / (1 + math.exp(-x))),
    "gelu": (
        lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
        lambda x: (1 + math.erf(x / math.sqrt(2))) / 2 + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    ),
    "silu": (
        lambda x: x / (1 + math.exp(-x)),
        lambda x: (1 + math.exp(-x) + x * math.exp(-x)) / (1 + math.exp(-x)) ** 2,
    ),
}


@pytest.mark.parametrize("name", TEXTBOOK)
def test_activation_against_the_textbook(name):
    x = np.array([-3.0, -1.0, -0.25, 0.0, 0.5, 2.0, 4.0])
    params = (0.3,) if name in ("leaky_relu", "elu") else ()
    value, derivative = TEXTBOOK[name]
    y = elementwise(f"{name}_forward", x, *params)
    assert np.allclose(y, [value(v) for v in x], rtol=1e-13, atol=1e-15)
    saved = x if name in ("gelu", "silu") else y
    dx = elementwise(f"{name}_backward", np.full(7, -2.0), saved, *params)
    assert np.allclose(dx, [-2 * derivative(v) for v in x], rtol=1e-12, atol=1e-15)


def test_every_activation_is_tested():
    assert set(TEXTBOOK) | {"softmax", "prelu", "custom"} == set(ACTIVATION_NAMES)  # custom: tests/custom


def test_prelu_by_hand():
    x, alpha, dy = (
        np.array([[2.0, -1.0], [-3.0, 0.0], [-1.0, -4.0]]),
        np.array([0.5, 10.0]),
        np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    )
    y, dx, dalpha = fresh(x.shape), fresh(x.shape), fresh(2)
    kernel("prelu_forward")(x, alpha, y)
    kernel("prelu_backward")(dy, x, alpha, dx, dalpha)
    assert y.tolist() == [[2, -10], [-1.5, 0], [-0.5, -40]]
    assert dx.tolist() == [[1, 20], [1.5, 40], [2.5, 60]]
    assert dalpha.tolist() == [3 * -3 + 5 * -1, 2 * -1 + 6 * -4]


EXTREMES = [-np.inf, -1e300, -1e30, -1e4, 1e4, 1e30, 1e300, np.inf]
SIGNS = np.array([0.0] * 4 + [1.0] * 4)


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("linear", EXTREMES, 1 + 0 * SIGNS),
        ("relu", [0] * 4 + EXTREMES[4:], SIGNS),
        ("sigmoid", SIGNS, 0 * SIGNS),
        ("tanh", 2 * SIGNS - 1, 0 * SIGNS),
        ("bipolar_sigmoid", 2 * SIGNS - 1, 0 * SIGNS),
        ("leaky_relu", [-np.inf, -3e299, -3e29, -3e3, *EXTREMES[4:]], 0.3 + 0.7 * SIGNS),
        ("elu", [-0.3] * 4 + EXTREMES[4:], SIGNS),
        ("selu", [-SELU_SCALE * SELU_ALPHA] * 4 + [SELU_SCALE * x for x in EXTREMES[4:]], SELU_SCALE * SIGNS),
        ("softplus", [0] * 4 + EXTREMES[4:], SIGNS),
        ("gelu", [0] * 4 + EXTREMES[4:], SIGNS),
        ("silu", [0] * 4 + EXTREMES[4:], SIGNS),
    ],
)
def test_activation_at_extremes(name, values, slopes):
    params = (0.3,) if name in ("leaky_relu", "elu") else ()
    y = elementwise(f"{name}_forward", EXTREMES, *params)
    assert np.allclose(y, values, rtol=1e-15, atol=0)
    saved = EXTREMES if name in ("gelu", "silu") else y
    dx = elementwise(f"{name}_backward", [1.0] * 8, saved, *params)
    assert np.allclose(dx, slopes, rtol=1e-15, atol=0)


@pytest.mark.parametrize("name", TEXTBOOK)
def test_activation_of_nan_is_nan(name):
    params = (0.3,) if name in ("leaky_relu", "elu") else ()
    assert np.isnan(elementwise(f"{name}_forward", [np.nan], *params)).all()


@pytest.mark.parametrize("name", TEXTBOOK)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3, 2, 2)])
def test_activation_takes_any_shape(name, shape):
    params = (0.3,) if name in ("leaky_relu", "elu") else ()
    x = np.random.default_rng(3).standard_normal(shape)
    flat = elementwise(f"{name}_forward", x.reshape(-1), *params)
    assert np.array_equal(elementwise(f"{name}_forward", x, *params), flat.reshape(shape))


def test_lower_tails_keep_their_digits():
    """Published to 10 digits: Phi(-10) = 7.619853024e-24; exp(-40) = 4.248354255e-18."""
    assert elementwise("gelu_forward", [-10.0])[0] == pytest.approx(-7.619853024e-23, rel=1e-9, abs=0)
    for name in ("sigmoid", "softplus"):
        assert elementwise(f"{name}_forward", [-40.0])[0] == pytest.approx(4.248354255e-18, rel=1e-9, abs=0)


def test_softmax():
    x = np.array([[0.0, math.log(3)], [1e30, -1e30], [1e30, 1e30], [-1e300, -1e300], [-np.inf, 5.0], [1.7e308, -1.7e308]])
    y = fresh(x.shape)
    activation.softmax_forward(x, y)
    assert np.allclose(y, [[0.25, 0.75], [1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1], [1, 0]], rtol=1e-15, atol=0)


# --- loss ------------------------------------------------------------------------------------------------------------------------


def losses(name, pred, target, *params):
    """Return the losses and, for dloss = 1, the gradients of one output for each prediction."""
    pred, target = (np.array(values, dtype=np.float64)[:, None] for values in (pred, target))
    forward, backward = fresh(len(pred)), fresh(pred.shape)
    kernel(f"{name}_forward")(pred, target, *params, forward)
    kernel(f"{name}_backward")(np.ones(len(pred)), pred, target, *params, backward)
    return forward.tolist(), backward[:, 0].tolist()


def test_pointwise_losses_by_hand():
    assert losses("mse", [1, 5], [3, 5]) == ([4, 0], [-4, 0])
    assert losses("mae", [1, 5, 7], [3, 5, 5]) == ([2, 0, 2], [-1, 0, 1])
    assert losses("huber", [0, 0, 0, 0], [1, 2, -3, -np.inf], 2.0) == ([0.5, 2, 4, np.inf], [-1, -2, 2, 2])
    assert losses("hinge", [0.5, 1, 3, -2], [1, 1, 1, 1]) == ([0.5, 0, 0, 3], [-1, 0, 0, -1])
    assert losses("hinge", [0.5, -1], [-1, -1]) == ([1.5, 0], [1, 0])
    assert losses("perceptron", [0.5, 0, -2], [1, 1, 1]) == ([0, 0, 2], [0, -1, -1])
    assert losses("perceptron", [0.5, 0, -2], [-1, -1, -1]) == ([0.5, 0, 0], [1, 1, 0])


def test_a_loss_is_the_mean_over_outputs():
    loss_out, dpred = fresh(1), fresh((1, 4))
    pred, target = np.array([[1.0, 2.0, 3.0, 4.0]]), np.zeros((1, 4))
    loss.mse_forward(pred, target, loss_out)
    loss.mse_backward(np.array([10.0]), pred, target, dpred)
    assert (loss_out.tolist(), dpred.tolist()) == ([7.5], [[5, 10, 15, 20]])


def test_sigmoid_xent():
    values, slopes = losses("sigmoid_xent", [0, math.log(3), math.log(3), 1e4, 1e4, -1e30, -1e30], [1, 1, 0, 1, 0, 1, 0])
    assert np.allclose(values, [math.log(2), math.log(4 / 3), math.log(4), 0, 1e4, 1e30, 0], rtol=1e-14, atol=0)
    assert np.allclose(slopes, [-0.5, -0.25, 0.75, 0, 1, -1, 0], rtol=1e-14, atol=0)


def test_half_poisson():
    values, slopes = losses("half_poisson", [0, math.log(3), math.log(3), -800, 2], [1, 3, 0, 0, 5])
    assert np.allclose(values, [0, 0, 3, 0, math.exp(2) - 5 + 5 * (math.log(5) - 2)], rtol=1e-14, atol=1e-15)
    assert np.allclose(slopes, [0, 0, 3, 0, math.exp(2) - 5], rtol=1e-14, atol=1e-15)
    assert np.isnan(losses("half_poisson", [np.nan, 0], [0, np.nan])).all()


def test_binary_xent_clips():
    values, slopes = losses("binary_xent", [0.25, 0.25, 0, 0, 1, 1, np.nan], [1, 0, 1, 0, 1, 0, 1])
    worst, best = -math.log(1e-7), -math.log(1 - 1e-7)
    assert np.allclose(values[:6], [math.log(4), math.log(4 / 3), worst, best, best, worst], rtol=1e-8, atol=0)
    assert np.allclose(slopes[:6], [-4, 4 / 3, 0, 0, 0, 0], rtol=1e-14, atol=0)
    assert math.isnan(values[6]) and math.isnan(slopes[6])


LOGITS = np.array([[0.0, math.log(2), math.log(5)], [1e30, 0, -1e30], [1e4, 1e4, -np.inf]])
PROBS = np.array([[1 / 8, 2 / 8, 5 / 8], [1, 0, 0], [0.5, 0.5, 0]])


def test_softmax_xent():
    label, losses_out, probs, dlogits = np.array([1, 1, 0], dtype=np.int32), fresh(3), fresh((3, 3)), fresh((3, 3))
    loss.softmax_xent_forward(LOGITS, label, losses_out, probs)
    assert np.allclose(probs, PROBS, rtol=1e-14, atol=0)
    assert np.allclose(losses_out, [math.log(4), 1e30, math.log(2)], rtol=1e-14, atol=0)
    loss.softmax_xent_backward(np.array([8.0, 1.0, 2.0]), PROBS, label, dlogits)
    assert dlogits.tolist() == [[1, -6, 5], [1, -1, 0], [-1, 1, 0]]


def test_softmax_xent_onehot():
    """Also with targets that do not sum to 1."""
    target = np.array([[0.0, 3.0, 1.0], [0.5, 0.5, 0.0]])
    losses_out, probs, dlogits = fresh(2), fresh((2, 3)), fresh((2, 3))
    loss.softmax_xent_onehot_forward(LOGITS[:2], target, losses_out, probs)
    assert np.allclose(probs, PROBS[:2], rtol=1e-14, atol=0)
    assert np.allclose(losses_out, [3 * math.log(4) + math.log(8 / 5), 0.5e30], rtol=1e-14, atol=0)
    loss.softmax_xent_onehot_backward(np.array([2.0, 1.0]), PROBS[:2], target, dlogits)
    assert np.allclose(dlogits, [[1, -4, 3], [0.5, -0.5, 0]], rtol=1e-14, atol=0)


def test_xent_clips():
    probs, target = np.array([[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    losses_out, dprobs = fresh(2), fresh((2, 3))
    loss.xent_forward(probs, target, losses_out)
    assert np.allclose(losses_out, [math.log(4) - math.log(1e-7), -math.log(1 - 1e-7)], rtol=1e-8, atol=0)
    loss.xent_backward(np.array([2.0, 1.0]), probs, target, dprobs)
    assert np.array_equal(dprobs, [[-8, 0, 0], [0, 0, 0]])


def test_weighted_mean_and_penalty():
    mean, dloss, penalty, dw = fresh(1), fresh(2), fresh(1), fresh(3)
    weight, w = np.array([3.0, 1.0]), np.array([-2.0, 0.0, 1.0])
    loss.weighted_mean_forward(np.array([2.0, 4.0]), weight, mean)
    loss.weighted_mean_backward(np.array([10.0]), weight, dloss)
    assert (mean.tolist(), dloss.tolist()) == ([5], [15, 5])  # divided by the number of samples, not by the sum of weights
    loss.penalty_forward(w, 0.5, 0.25, penalty)
    loss.penalty_backward(np.array([2.0]), w, None, 0.5, 0.25, dw)
    assert (penalty.tolist(), dw.tolist()) == ([2.75], [-3, 0, 2])


# --- metric ----------------------------------------------------------------------------------------------------------------------


def test_metrics_by_hand():
    pred = np.array([[0.1, 0.7, 0.7], [0.9, 0.5, 0.2], [np.nan, 0.1, 0.6]])
    target = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    match = fresh(3)
    metric.sparse_match(pred, np.array([1, 2, 2], dtype=np.int32), match)
    assert match.tolist() == [1, 0, 1]  # the first of a tie; NaN is never the largest
    metric.categorical_match(pred, target, match)
    assert match.tolist() == [1, 0, 1]
    metric.binary_match(pred, target, 0.5, match)
    assert np.allclose(match, [2 / 3, 0, 1])  # exactly at the threshold is below it


def test_collecting_by_hand():
    total = np.array([1.0, 2.0])
    metric.collect_samples(np.array([0.5, 4.0]), total)
    assert total.tolist() == [5.5, 4]
    metric.collect_mean(np.array([0.25]), 4.0, total)
    assert total.tolist() == [6.5, 8]


# --- optim -----------------------------------------------------------------------------------------------------------------------


ADAM_STEP = 0.1 * math.sqrt(7) / 3 * 1.5 / (math.sqrt(7.75) + 0.1)


@pytest.mark.parametrize(
    ("name", "params", "state", "expected"),
    [
        # w = 1, g = 2, lr = 0.1 throughout; expected: w, then the state
        ("sgd_step", (), (), (0.8,)),
        ("momentum_step", (0.5,), (0.4,), (1.0, 0.0)),  # v = 0.2 - 0.2
        ("nesterov_step", (0.5,), (0.8,), (0.9, 0.2)),  # v = 0.4 - 0.2; w = 1 + 0.1 - 0.2
        ("adagrad_step", (1.0,), (4.0,), (1 - 0.2 / 3, 8.0)),  # a = 4 + 4; sqrt(8 + 1) = 3
        ("rmsprop_step", (0.75, 1.0), (32 / 3,), (1 - 0.2 / math.sqrt(10), 9.0)),  # a = 8 + 1
        # step 2: m = 1/2 + 2/2, v = 9 * 3/4 + 4/4, correction sqrt(1 - 9/16) / (1 - 1/4) = sqrt(7) / 3
        ("adam_step", (0.5, 0.75, 0.1), (1.0, 9.0), (1 - ADAM_STEP, 1.5, 7.75)),
        ("adamw_step", (0.5, 0.75, 0.1, 0.3), (1.0, 9.0), (0.97 - ADAM_STEP, 1.5, 7.75)),
    ],
)
def test_optimizer_step_by_hand(name, params, state, expected):
    arrays = [np.array([[value]]) for value in (1.0, *state)]
    count = (np.array([2.0]),) if name.startswith("adam") else ()
    kernel(name)(np.array([[2.0]]), np.array([0.1]), *count, *params, *arrays)
    assert np.allclose([a.item() for a in arrays], expected, rtol=1e-14, atol=1e-16)


def test_first_adam_step_is_the_learning_rate():
    """Kingma & Ba, section 2.1: a step is about lr, whatever the scale of the gradient."""
    w = np.zeros(3)
    optim.adam_step(np.array([1e-3, -1.0, 1e6]), np.array([0.01]), np.array([1.0]), 0.9, 0.999, 1e-12, w, np.zeros(3), np.zeros(3))
    assert np.allclose(w, [-0.01, 0.01, -0.01], rtol=1e-6)


# --- data ------------------------------------------------------------------------------------------------------------------------


def test_gather():
    index, y = np.array([2, 0, 2], dtype=np.int32), fresh((3, 2), np.float32)
    expected = [[2, 2.5], [0, 0.5], [2, 2.5]]
    data.gather(np.arange(6, dtype=np.float32).reshape(3, 2), index, 0.5, 0.0, y)
    assert y.tolist() == expected
    data.gather_uint8(np.array([[0, 1], [2, 3], [4, 255]], dtype=np.uint8), index, 2.0, -1.0, y)
    assert y.tolist() == [[7, 509], [-1, 1], [7, 509]]


def test_gather_in_halves():
    x, index, y = np.arange(6).reshape(2, 3), np.array([1, 0, 1], dtype=np.int32), fresh((3, 3))
    for name, kind in (("gather__halves", np.float64), ("gather_uint8__halves", np.uint8)):
        kernel(name)(x.astype(kind), index, 10.0, 1.0, y)
        assert y.ravel().tolist() == [31, 1, 31, 41, 51, 11, 21, 41, 51]


def test_transpose_add_accumulate_increment():
    x, y = np.arange(12.0).reshape(2, 2, 3), fresh((2, 3, 2))
    data.transpose(x, y)
    assert y[1].tolist() == [[6, 9], [7, 10], [8, 11]]
    total = np.array([1.0, 2.0])
    data.rescale(np.array([[2.0, -4.0]]), 0.5, 3.0, scaled := np.full((1, 2), np.nan))
    np.testing.assert_array_equal(scaled, [[4.0, 1.0]])
    data.accumulate(np.array([10.0, 20.0]), 0.5, total)
    assert total.tolist() == [6, 12]
    both = fresh(2)
    data.add(total, np.array([1.0, -2.0]), both)
    assert both.tolist() == [7, 10]
    count = np.array([41.0])
    data.increment(count)
    assert count[0] == 42


# --- step ------------------------------------------------------------------------------------------------------------------------


def test_begin_step_by_hand():
    order, rates = np.array([4, 5, 6], dtype=np.int32), np.array([0.5, 0.25])
    index, lr, cursor = fresh(2, np.int32), fresh(1), np.zeros(2)
    taken = []
    for _ in range(3):
        step.begin_step(order, rates, index, lr, cursor)
        taken.append((index.tolist(), lr[0], cursor.tolist()))
    assert taken == [([4, 5], 0.5, [2, 1]), ([6, 4], 0.25, [4, 2]), ([5, 6], 0.25, [6, 3])]


def test_gather_int32():
    y = fresh((3, 1), np.int32)
    step.gather_int32(np.array([[7], [8]], dtype=np.int32), np.array([1, 1, 0], dtype=np.int32), y)
    assert y.ravel().tolist() == [8, 8, 7]


def test_end_epoch_by_hand():
    totals, log, row = np.array([[6.0, 4.0], [0.0, 0.0]]), np.full((2, 2), 9.0), np.array([1.0])
    step.end_epoch(totals, log, row)
    assert log.tolist() == [[9, 9], [1.5, 0]]
    assert totals.tolist() == [[0, 0], [0, 0]]
    step.end_epoch(totals + 1, log, row)  # round the end
    assert log[0].tolist() == [1, 1]
    assert row[0] == 3
