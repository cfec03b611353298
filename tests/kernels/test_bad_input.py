"""Bad input: a ValueError or TypeError that names the argument, on every backend; no crash, and no wrong answer in silence."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.backends import BACKENDS, kernels_of
from fastnn.kernels.spec import FAMILIES, OPS

from .cases import BACKEND_PARAMS, Case, conv_case, read_only

X, W, B = np.ones((2, 5, 6, 3), np.float32), np.ones((3, 2, 3, 4), np.float32), np.ones(4, np.float32)
ROWS, MATRIX = np.ones((4, 3), np.float32), np.ones((3, 2), np.float32)
IMAGES = np.ones((2, 4, 5, 3), np.float32)
NAN = float("nan")


@pytest.fixture(params=BACKEND_PARAMS)
def backend(request):
    if not BACKENDS[request.param].installed():
        pytest.skip(f"the backend {request.param} is not installed")
    with kernels.use_backend(request.param):
        yield request.param


def conv(x=X, w=W, b=B, **arguments):
    return kernels.conv2d_forward(x, w, b, **arguments)


def pool(**arguments):
    return kernels.maxpool2d_forward(X, **arguments)


#: what is called, the error, and what its text must say: the argument, what was given, what was expected
CALLS = {
    # no array of numbers
    "None": (lambda: kernels.relu_forward(None), TypeError, "x .*None"),
    "None for w": (lambda: kernels.dense_forward(ROWS, None), TypeError, "w .*None"),
    "text": (lambda: kernels.relu_forward("abc"), TypeError, "x .*real numbers.*abc"),
    "array of text": (lambda: kernels.matmul(np.array([["a"]]), MATRIX), TypeError, "a .*real numbers.*U1"),
    "complex": (lambda: conv(x=X.astype(complex)), TypeError, "x .*real numbers.*complex128"),
    "objects": (lambda: kernels.softmax_forward(np.array([[None]])), TypeError, "x .*real numbers.*object"),
    "extended precision": (lambda: kernels.tanh_forward(np.ones(2, np.longdouble)), TypeError, "x .*64 bits"),
    "dates": (lambda: kernels.tanh_forward(np.array(["2020-01-01"], "datetime64[D]")), TypeError, "x .*datetime64"),
    "records": (lambda: kernels.tanh_forward(np.zeros(2, "f4,f4")), TypeError, "x .*real numbers"),
    "ragged list": (lambda: kernels.mse_forward([[1, 2], [3]], ROWS), ValueError, "pred .*list"),
    "masked": (lambda: kernels.relu_forward(np.ma.masked_less([1.0, -1.0], 0)), TypeError, "x .*mask"),
    "dict": (lambda: kernels.relu_forward({"a": 1}), TypeError, "x .*real numbers"),
    # shapes
    "rank of x": (lambda: conv(x=X[0]), ValueError, r"x .*n, ih, iw, c.*\(5, 6, 3\)"),
    "rank of w": (lambda: conv(w=W[0]), ValueError, r"w .*kh, kw, cg, co.*\(2, 3, 4\)"),
    "rank of rows": (lambda: kernels.dense_forward(X, MATRIX), ValueError, r"x .*n, k.*\(2, 5, 6, 3\)"),
    "scalar": (lambda: kernels.dense_forward(1.0, MATRIX), ValueError, r"x .*n, k.*\(\)"),
    "channels": (lambda: conv(w=W[:, :, :2]), ValueError, r"w .*3 / 1 = 3.*2"),
    "channels_first": (lambda: conv(w=W.T, b=None, data_format="channels_first"), ValueError, "w .*5 / 1 = 5.*3"),
    "channels first in channels_last": (
        lambda: conv(x=np.ones((2, 3, 7, 7)), w=np.ones((4, 3, 2, 2))),
        ValueError,
        r"b .*co=2.*\(4,\); images \(N, C, H, W\) .* need data_format='channels_first'",
    ),
    "stride, of what fits": (lambda: conv(x=np.ones((2, 3, 7, 3)), w=np.ones((3, 3, 3, 4)), stride=0), ValueError, "got 0$"),
    "channels first in channels_last, without bias": (
        lambda: conv(x=np.ones((2, 3, 7, 7)), w=np.ones((4, 3, 2, 2)), b=None),
        ValueError,
        r"rows: .*; images \(N, C, H, W\) .* need data_format='channels_first'",
    ),
    "bias": (lambda: conv(b=B[:3]), ValueError, r"b .*co=4.*\(3,\)"),
    "bias of a column": (lambda: kernels.dense_forward(ROWS, MATRIX, [[1], [2]]), ValueError, r"b .*\(m=2\).*\(2, 1\)"),
    "inner": (lambda: kernels.matmul(ROWS, ROWS), ValueError, r"b .*k=3.*\(4, 3\)"),
    "target": (lambda: kernels.mse_forward(ROWS, ROWS[:, :2]), ValueError, r"target .*c=3.*\(4, 2\)"),
    "no broadcasting": (lambda: kernels.mse_forward(ROWS, ROWS[:1]), ValueError, r"target .*m=4.*\(1, 3\)"),
    "dy and y": (lambda: kernels.relu_backward(ROWS, ROWS.T), ValueError, r"y .*\(4, 3\).*\(3, 4\)"),
    "dy of conv": (lambda: kernels.conv2d_backward_input(X[..., [0] * 4], W, X.shape), ValueError, "dy .*3 x 5.*5 x 6"),
    "dy of pool": (lambda: kernels.avgpool2d_backward(X, X.shape), ValueError, r"dy .*oh=2.*\(2, 5, 6, 3\)"),
    "input_shape": (lambda: kernels.avgpool2d_backward(X, (5, 6, 3)), ValueError, r"input_shape .*\(5, 6, 3\)"),
    "input_shape of floats": (lambda: kernels.avgpool2d_backward(X, (2.0, 5, 6, 3)), TypeError, "input_shape .*2.0"),
    "input_shape None": (lambda: kernels.avgpool2d_backward(X, None), TypeError, "input_shape .*None"),
    "negative input_shape": (lambda: kernels.avgpool2d_backward(X, (2, -5, 6, 3)), ValueError, "input_shape .*-5"),
    "cols": (lambda: kernels.col2im(ROWS, X.shape, 2), ValueError, r"cols .*\(40, 12\).*\(4, 3\)"),
    "gamma": (lambda: kernels.batchnorm_forward(X, B, B), ValueError, r"gamma .*c=3.*\(4,\)"),
    "dy of batchnorm": (lambda: kernels.batchnorm_backward(ROWS, X, *[B] * 3), ValueError, r"dy .*\(2, 5, 6, 3\).*\(4, 3\)"),
    "batchnorm of a vector": (lambda: kernels.batchnorm_forward(B, B, B), ValueError, r"x .*2 axes.*\(4,\)"),
    "softmax of a number": (lambda: kernels.softmax_forward(1.0), ValueError, r"x .*last axis.*\(\)"),
    "loss of a number": (lambda: kernels.mse_forward(1.0, 2.0), ValueError, "pred .*scalar"),
    "transpose of 4 axes": (lambda: kernels.transpose(X), ValueError, r"x .*\(2, 5, 6, 3\)"),
    # nothing in it, or nothing comes out
    "no channels": (lambda: conv(x=X[..., :0], w=W[:, :, :0]), ValueError, r"x .*axis c.*\(2, 5, 6, 0\)"),
    "no rows": (lambda: pool(pool_size=6), ValueError, r"rows: .*\(5 \+ 0 - 1 \* \(6 - 1\) - 1\) // 6 \+ 1 = 0"),
    "window beyond the image": (lambda: conv(x=X[:, :2]), ValueError, r"rows: .*\(2 \+ 0 - 1 \* \(3 - 1\) - 1\) // 1"),
    "dilation beyond the image": (lambda: conv(dilation=(1, 6)), ValueError, r"columns: .*6 \* \(2 - 1\)"),
    "no filters": (lambda: conv(w=W[..., :0], b=None), ValueError, r"w .*axis co.*\(3, 2, 3, 0\)"),
    "no classes": (lambda: kernels.softmax_forward(np.ones((2, 0))), ValueError, r"x .*last axis.*\(2, 0\)"),
    "no features": (lambda: kernels.dense_forward(ROWS[:, :0], MATRIX[:0]), ValueError, "x .*axis k"),
    # parameters
    "negative stride": (lambda: conv(stride=-1), ValueError, "stride .*-1"),
    "zero stride": (lambda: pool(stride=(1, 0)), ValueError, "stride .*0"),
    "stride of a float": (lambda: conv(stride=1.5), TypeError, "stride .*1.5"),
    "stride of three": (lambda: conv(stride=(1, 1, 1)), ValueError, r"stride .*\(1, 1, 1\)"),
    "huge stride": (lambda: conv(stride=2**40), ValueError, "stride .*1099511627776"),
    "zero dilation": (lambda: conv(dilation=0), ValueError, "dilation .*0"),
    "zero pool": (lambda: pool(pool_size=0), ValueError, "pool_size .*0"),
    "pool of text": (lambda: pool(pool_size="2"), TypeError, "pool_size .*'2'"),
    "kernel_size None": (lambda: kernels.im2col(X, None), TypeError, "kernel_size .*None"),
    "padding in a word": (lambda: conv(padding="SAME"), ValueError, "padding .*'valid', 'same'.*'SAME'"),
    "padding of an axis": (lambda: kernels.conv_output_size(9, 3, padding="full"), ValueError, "padding .*'valid', 'same'.*'full'"),
    "stride of an axis": (lambda: kernels.conv_output_size(9, 3, stride=0), ValueError, "stride .*1.*0"),
    "negative padding": (lambda: conv(padding=-1), ValueError, "padding .*-1"),
    "negative side": (lambda: conv(padding=((0, 0), (-2, 0))), ValueError, "padding .*-2"),
    "three paddings": (lambda: conv(padding=(1, 1, 1)), ValueError, r"padding .*\(1, 1, 1\)"),
    "padding None": (lambda: conv(padding=None), TypeError, "padding .*None"),
    "padding of the whole window": (lambda: pool(padding=2), ValueError, "padding .*pool_size .*2"),
    "groups": (lambda: conv(groups=2), ValueError, "groups .*3 channels.*2"),
    "groups and filters": (lambda: conv(w=W[:, :, :1], groups=3), ValueError, "groups .*4 output.*3"),
    "zero groups": (lambda: conv(groups=0), ValueError, "groups .*0"),
    "data_format": (lambda: conv(data_format="NHWC"), ValueError, "data_format .*'channels_last'.*'NHWC'"),
    "data_format of pool": (lambda: pool(data_format=None), ValueError, "data_format .*None"),
    "factors": (lambda: kernels.prelu_forward(np.ones((2, 3)), np.ones(2)), ValueError, r"x .*alpha, \(2,\); got shape \(2, 3\)"),
    "activation": (lambda: conv(activation="rellu"), ValueError, "activation .*relu.*'rellu'"),
    "activation not fused": (
        lambda: kernels.dense_forward(ROWS, MATRIX, activation="softmax"),
        ValueError,
        "activation .*'softmax'",
    ),
    "activation as function": (lambda: conv(activation=kernels.relu_forward), ValueError, "activation .*function"),
    "alpha without use": (lambda: conv(activation="relu", alpha=0.1), ValueError, "alpha .*'relu'.*0.1"),
    "negative alpha": (lambda: kernels.leaky_relu_forward(ROWS, -0.1), ValueError, "alpha .*0.*-0.1"),
    "alpha NaN": (lambda: kernels.elu_forward(ROWS, NAN), ValueError, "alpha .*nan"),
    "alpha None": (lambda: kernels.elu_forward(ROWS, None), TypeError, "alpha .*None"),
    "alpha array": (lambda: kernels.elu_forward(ROWS, ROWS), TypeError, "alpha .*number"),
    "negative eps": (lambda: kernels.batchnorm_forward(ROWS, *[ROWS[0]] * 2, eps=-1), ValueError, "eps .*-1"),
    "rate 1": (lambda: kernels.dropout_forward(ROWS, 1.0, 0), ValueError, "rate .*1.0"),
    "negative rate": (lambda: kernels.dropout_backward(ROWS, -0.5, np.zeros(2, np.uint64)), ValueError, "rate .*-0.5"),
    "state of floats": (lambda: kernels.dropout_forward(ROWS, 0.5, np.zeros(2)), TypeError, "state .*uint64.*float64"),
    "state of three": (lambda: kernels.dropout_forward(ROWS, 0.5, np.zeros(3, np.uint64)), ValueError, r"state .*\(2,\).*\(3,\)"),
    "state None": (lambda: kernels.dropout_forward(ROWS, 0.5, None), TypeError, "state .*None"),
    "negative seed": (lambda: kernels.dropout_forward(ROWS, 0.5, -1), TypeError, "state .*-1"),
    "used": (lambda: kernels.dropout_backward(ROWS, 0.5, 3), TypeError, "used .*3"),
    "motion of six": (lambda: kernels.affine_warp(IMAGES, np.ones((2, 6))), ValueError, r"motion .*7.*\(2, 6\)"),
    "motion of one": (lambda: kernels.affine_warp(IMAGES, np.ones((1, 7))), ValueError, r"motion .*n=2.*\(1, 7\)"),
    "motion NaN": (lambda: kernels.affine_warp(IMAGES, np.full((2, 7), np.nan)), ValueError, "motion .*finite"),
    "motion of a million": (lambda: kernels.affine_warp(IMAGES, np.full((2, 7), 1e7)), ValueError, "motion .*1e"),
    "fill mode": (lambda: kernels.affine_warp(IMAGES, np.ones((2, 7)), fill_mode="mirror"), ValueError, "fill_mode .*mirror"),
    "order": (lambda: kernels.affine_warp(IMAGES, np.ones((2, 7)), interpolation=1), ValueError, "interpolation .*1"),
    "no pixels": (lambda: kernels.affine_warp(IMAGES, np.ones((2, 7)), (0, 3)), ValueError, "output_size .*0"),
    "range": (lambda: kernels.contrast_brightness(IMAGES, np.ones((2, 2)), (1, 0)), ValueError, r"value_range .*\(1, 0\)"),
    "change": (lambda: kernels.contrast_brightness(IMAGES, np.ones((2, 3))), ValueError, r"change .*2.*\(2, 3\)"),
    "rows": (lambda: kernels.random_uniform([0.0], [1.0], -1, np.zeros(2, np.uint64)), ValueError, "n .*-1"),
    "lows": (lambda: kernels.random_uniform([0.0], [1.0, 2.0], 1, np.zeros(2, np.uint64)), ValueError, r"high .*k=1.*\(2,\)"),
    "negative penalty": (lambda: kernels.penalty_forward(ROWS, l1=-1), ValueError, "l1 .*-1"),
    "negative m": (lambda: kernels.weighted_mean_backward(1.0, -1), ValueError, "m .*-1"),
    "dmean": (lambda: kernels.weighted_mean_backward([1.0, 2.0], 2), ValueError, r"dmean .*one element.*\(2,\)"),
    "weight": (lambda: kernels.weighted_mean_forward(B, B[:3]), ValueError, r"weight .*m=4.*\(3,\)"),
    "step 0": (lambda: kernels.adam_step(*[ROWS.copy() for _ in range(4)], 0.1, 0), ValueError, "step .*1.*0"),
    "step NaN": (lambda: kernels.adam_step(*[ROWS.copy() for _ in range(4)], 0.1, np.array([NAN])), ValueError, "step .*nan"),
    # classes and indices
    "NaN label": (lambda: kernels.softmax_xent_forward(ROWS, [0, 1, NAN, 2]), ValueError, "target .*NaN"),
    "float labels": (lambda: kernels.softmax_xent_forward(ROWS, np.zeros(4)), TypeError, "target .*integers.*float64"),
    "label beyond": (lambda: kernels.softmax_xent_forward(ROWS, [0, 1, 2, 3]), ValueError, r"target .*\[0, 3\).*to 3"),
    "negative label": (lambda: kernels.softmax_xent_backward(B, ROWS, [0, -1, 2, 1]), ValueError, r"target .*\[0, 3\).*-1"),
    "label beyond int32": (lambda: kernels.softmax_xent_forward(ROWS, [0, 1, 2, 2**32]), ValueError, "target .*int32.*4294967296"),
    "labels of text": (lambda: kernels.softmax_xent_forward(ROWS, ["a", "b", "c", "d"]), TypeError, "target .*"),
    "too few labels": (lambda: kernels.softmax_xent_forward(ROWS, [0, 1]), ValueError, r"target .*\(4,\).*\(4, 3\).*\(2,\)"),
    "logits of one axis": (lambda: kernels.softmax_xent_forward(ROWS[0], [0, 1, 2]), ValueError, r"logits .*\(3,\)"),
    "argmax beyond": (
        lambda: kernels.global_maxpool2d_backward(ROWS[:2], [[0, 0, 30]] * 2, X.shape),
        ValueError,
        r"argmax .*\[0, 30\)",
    ),
    "argmax of floats": (lambda: kernels.maxpool2d_backward(X, X, X.shape), TypeError, "argmax .*integers.*float32"),
    "index beyond": (lambda: kernels.gather(ROWS, [4]), ValueError, r"index .*\[0, 4\).*4"),
    "negative index": (lambda: kernels.gather(ROWS, [-1]), ValueError, r"index .*\[0, 4\).*-1"),
    "index of floats": (lambda: kernels.gather(ROWS, np.array([0.0])), TypeError, "index .*integers"),
    "index of two axes": (lambda: kernels.gather(ROWS, [[0]]), ValueError, r"index .*\(1, 1\)"),
    "from nothing": (lambda: kernels.gather(ROWS[:0], [0]), ValueError, r"index .*\[0, 0\)"),
    "dtype of gather": (lambda: kernels.gather(ROWS, [0], dtype="int8"), TypeError, "dtype .*int8"),
    # updated in place
    "list in place": (lambda: kernels.sgd_step([1.0], [1.0], 0.1), TypeError, "w .*in place.*list"),
    "integers in place": (lambda: kernels.sgd_step(np.ones(2, int), B[:2], 0.1), TypeError, "w .*float32 or float64.*int64"),
    "read-only in place": (lambda: kernels.sgd_step(read_only(B), B, 0.1), ValueError, "w .*in place.*read-only"),
    "strided in place": (lambda: kernels.sgd_step(ROWS[:, 0], B, 0.1), ValueError, "w .*in place.*C-contiguous"),
    "g": (lambda: kernels.sgd_step(B.copy(), B[:3], 0.1), ValueError, r"g .*\(4,\).*\(3,\)"),
    "state of another dtype": (lambda: kernels.momentum_step(B.copy(), B, np.zeros(4), 0.1), TypeError, "v .*float32.*float64"),
    "state of another shape": (lambda: kernels.momentum_step(B.copy(), B, B[:3].copy(), 0.1), ValueError, r"v .*\(4,\).*\(3,\)"),
    "lr of text": (lambda: kernels.sgd_step(B.copy(), B, "0.1"), TypeError, "lr .*'0.1'"),
    "lr of float32": (lambda: kernels.sgd_step(B.copy(), B, np.ones(1, np.float32)), ValueError, "lr .*float64.*float32"),
    "total": (lambda: kernels.accumulate(B, B[:3].copy()), ValueError, r"x .*\(3,\).*\(4,\)"),
    "average": (lambda: kernels.moving_average(B, read_only(B)), ValueError, "average .*read-only"),
    "momentum": (lambda: kernels.moving_average(B, B.copy(), momentum=1.5), ValueError, "momentum .*1.5"),
    "count": (lambda: kernels.increment(np.zeros(1, int)), TypeError, "count .*float64.*int64"),
    # calls
    "unknown keyword": (lambda: conv(strides=2), TypeError, "strides"),
    "missing argument": (lambda: kernels.matmul(ROWS), TypeError, "b"),
    "backend": (lambda: kernels.use_backend("fortran"), ValueError, "backend .*'cython'.*'fortran'"),
}


@pytest.mark.parametrize("name", CALLS)
def test_public_function(backend, name):
    call, error, text = CALLS[name]
    with pytest.raises(error, match=f"(?s){text}"):
        call()


def test_nan_goes_through(backend):
    """NaN is no error in an array of reals, but never vanishes on the way either."""
    x = np.array([[1.0, NAN], [2.0, 3.0]])
    for name in ("relu", "sigmoid", "tanh", "leaky_relu", "elu", "selu", "softplus", "gelu", "silu"):
        assert np.isnan(getattr(kernels, f"{name}_forward")(x)).tolist() == [[False, True], [False, False]]
    assert np.isnan(kernels.prelu_forward(x, [0.5, 0.5])).tolist() == [[False, True], [False, False]]
    for name in ("mse", "mae", "huber", "hinge", "perceptron", "sigmoid_xent", "half_poisson", "binary_xent", "xent"):
        assert np.isnan(getattr(kernels, f"{name}_forward")(x, np.ones((2, 2)))).tolist() == [True, False], name
    assert np.isnan(kernels.softmax_xent_forward(x, [0, 0])[0]).tolist() == [True, False]
    assert np.isnan(kernels.dense_forward(x, np.eye(2), activation="relu")).tolist() == [[True, True], [False, False]]
    images = np.zeros((1, 4, 4, 1))
    images[0, 1, 1] = NAN
    assert np.isnan(kernels.maxpool2d_forward(images)[0][0, ..., 0]).tolist() == [[True, False], [False, False]]
    assert np.isnan(kernels.avgpool2d_forward(images)[0, ..., 0]).tolist() == [[True, False], [False, False]]


# --- the bare compiled kernels ---------------------------------------------------------------------------------------

#: extents without two that are equal
EXTENTS = {
    **{"n": 3, "m": 4, "k": 5, "c": 6, "r": 7, "s": 2, "t": 8, "e": 13, "h": 14},
    **{"ih": 9, "iw": 10, "oh": 11, "ow": 12, "*": (2, 3)},
}


def legal_arguments(op_name):
    op = OPS[op_name]
    if "pad_top" in {p.name for p in op.params}:
        return conv_case(op_name, n=3, image=5, window=2, c=4, co=6 if "conv" in op_name else 4, groups=2).arguments("float32")
    return Case(op_name, EXTENTS, {p.name: 0.5 if p.kind == "float" else 1 for p in op.params}).arguments("float32")


def changes(op_name):
    """Yield wrong calls of a kernel: (what is wrong, arguments by name, text that the error must match)."""
    op = OPS[op_name]
    legal = legal_arguments(op_name)
    shared = {a.name: [b.name for b in op.arrays if set(a.axis_names) & set(b.axis_names)] for a in op.arrays}
    for array in op.arrays:
        value = np.nan_to_num(legal[array.name])
        yield "number", legal | {array.name: 1.0}, array.name
        yield "list", legal | {array.name: value.tolist()}, array.name
        yield "int16", legal | {array.name: value.astype(np.int16)}, array.name
        yield "complex64", legal | {array.name: value.astype(np.complex64)}, array.name
        if value.itemsize > 1:
            yield "big-endian", legal | {array.name: value.astype(value.dtype.newbyteorder(">"))}, array.name
        if value.size > 1:
            yield "strided", legal | {array.name: np.repeat(value, 2, axis=-1)[..., ::2]}, array.name
        if array.role != "in":
            yield "read-only", legal | {array.name: read_only(value)}, array.name
        if not array.optional:
            yield "None", legal | {array.name: None}, array.name
        if array.axes != "*":
            yield "rank", legal | {array.name: value[None]}, array.name
        for axis, name in enumerate(array.axis_names):
            if name.isdigit() or any(name in b.axis_names for b in op.arrays if b is not array):
                longer = np.concatenate([value, value.take([0], axis)], axis)
                yield f"axis {name}", legal | {array.name: longer}, "|".join(shared[array.name])
    reals = [a.name for a in op.arrays if a.kind == "real"]
    if len(reals) > 1:
        yield "mixed", legal | {reals[-1]: legal[reals[-1]].astype(np.float64)}, reals[-1]
    for param in op.params:
        yield "text", legal | {param.name: "1"}, param.name
        if param.kind == "int":
            yield "float", legal | {param.name: 1.0}, param.name
            yield "below", legal | {param.name: -1}, param.name
            yield "huge", legal | {param.name: 2**70}, param.name
        if param.name in ("groups", "stride_h", "stride_w", "dilation_h", "dilation_w", "pool_h", "pool_w"):
            yield "zero", legal | {param.name: 0}, param.name
    if "groups" in legal:
        yield "groups", legal | {"groups": 4}, "groups"


@pytest.mark.parametrize("op_name", [op.name for ops in FAMILIES.values() for op in ops])
@pytest.mark.parametrize("compiled", ["cython", "numba"])
def test_bare_kernel(compiled, op_name):
    if not BACKENDS[compiled].installed():
        pytest.skip(f"the backend {compiled} is not installed")
    kernel = kernels_of(compiled)[op_name]
    kernel(*legal_arguments(op_name).values())
    for what, arguments, text in changes(op_name):
        with pytest.raises((TypeError, ValueError)) as error:
            kernel(*arguments.values())
            pytest.fail(f"{what} of {text}: no error")
        assert re.search(rf"\b({text})\b", str(error.value)), (what, str(error.value))
    with pytest.raises(TypeError, match=op_name):
        kernel(*list(legal_arguments(op_name).values())[:-1])
    with pytest.raises(TypeError, match=op_name):
        kernel(*legal_arguments(op_name).values(), None)


@pytest.mark.skipif(not BACKENDS["cython"].installed(), reason="the compiled backend is not installed")
@pytest.mark.parametrize("op_name", [op.name for ops in FAMILIES.values() for op in ops])
def test_attempt(op_name):
    """What fits is computed as by a call of the kernel; what does not is left to others, with nothing done."""
    op, kernel, legal = OPS[op_name], kernels_of("cython")[op_name], legal_arguments(op_name)
    inputs, params, outputs = (tuple(legal[a.name] for a in group) for group in (op.inputs, op.params, op.outputs))

    def attempt(arguments):
        return kernel.attempt(*(tuple(arguments[a.name] for a in group) for group in (op.inputs, op.params, op.outputs)))

    expected = tuple(output.copy() for output in outputs)
    kernel(*inputs, *params, *expected)
    for what, arguments, _ in changes(op_name):
        if any(arguments[p.name] is not legal[p.name] for p in op.params) or (what == "number" and attempt(arguments)):
            continue  # parameters are known to be right, and a number may stand for an array of one float64
        before = [np.copy(arguments[a.name]) for a in op.outputs]
        assert attempt(arguments) is None, what
        for array, old in zip(op.outputs, before, strict=True):
            np.testing.assert_array_equal(arguments[array.name], old, err_msg=what)
    legal = legal_arguments(op_name)
    for array in op.inputs:
        if array.below and array.name != "order":
            for wrong in (-1, EXTENTS[array.below], 2**40):
                assert attempt(legal | {array.name: np.full(legal[array.name].shape, wrong)}) is None
            legal[array.name] = legal[array.name].astype(np.int64)
    for array in op.arrays:
        if legal[array.name].size > 1:
            assert attempt(legal | {array.name: legal[array.name].view(np.recarray)}) is None
    assert (attempt(legal) is None) == bool(op.product)
    if op.product:
        return
    for array, wanted in zip(op.outputs, expected, strict=True):
        np.testing.assert_array_equal(legal[array.name], wanted, err_msg=array.name)
    with pytest.raises(TypeError, match=op_name):
        kernel.attempt(inputs, (*params, 1))
    fresh = kernel.attempt(inputs, params)
    if fresh is not None:
        for got, wanted in zip(fresh, expected, strict=True):
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)


def test_functions_attempt_first(monkeypatch):
    """Arrays that need no conversion never reach the checks, which take longer than a small kernel."""
    x, w, rows = (np.ones((3, 3), np.float32) for _ in range(3))
    label = np.array([0, 2, 1])
    monkeypatch.setattr("fastnn.kernels.functions.checks._converted", None)
    monkeypatch.setattr("fastnn.kernels.functions.checks.plain_array", None)
    with kernels.use_backend("cython"):
        for name in ("relu", "sigmoid", "tanh", "elu", "softmax"):
            y = getattr(kernels, f"{name}_forward")(x)
            getattr(kernels, f"{name}_backward")(rows, y)
        kernels.matmul(x, w)
        kernels.dense_forward(x, w, rows[0].copy(), activation="tanh")
        kernels.dense_backward_input(rows, w)
        kernels.dense_backward_weight(x, rows)
        loss, _ = kernels.softmax_xent_forward(x, label)
        kernels.softmax_xent_backward(loss, x, label)
        kernels.mse_backward(kernels.mse_forward(x, rows), x, rows)
        kernels.weighted_mean_forward(loss)
        kernels.sgd_step(w, rows, 0.1)
        kernels.adam_step(w, rows, np.ones_like(w), np.ones_like(w), 0.1, 1)
        kernels.accumulate(rows, w, 0.5)
        kernels.add(x, rows)
