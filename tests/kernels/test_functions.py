"""The public functions: what they compute, in both layouts and from arrays of any kind; geometry; docstrings."""

from __future__ import annotations

import importlib
import inspect
import math
import pickle
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastnn import kernels
from fastnn.kernels import functions, table
from fastnn.kernels.backends import BACKENDS
from fastnn.kernels.functions import geometry
from fastnn.kernels.spec import OPS

from .cases import BACKEND_PARAMS, read_only

RNG = np.random.default_rng(20)


@pytest.fixture(params=BACKEND_PARAMS, autouse=True)
def backend(request):
    if not BACKENDS[request.param].installed():
        pytest.skip(f"the backend {request.param} is not installed")
    with kernels.use_backend(request.param):
        yield request.param


def normal(*shape, dtype="float64"):
    return RNG.standard_normal(shape).astype(dtype)


def close(got, wanted, rtol=1e-12, atol=1e-12):
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


# --- what they compute: the formula, written once more ---------------------------------------------------------------------------


def test_linear():
    x, w, b, dy = normal(4, 3), normal(3, 5), normal(5), normal(4, 5)
    close(kernels.matmul(x, w), x @ w)
    close(kernels.dense_forward(x, w), x @ w)
    close(kernels.dense_forward(x, w, b, activation="tanh"), np.tanh(x @ w + b))
    close(kernels.dense_forward(x, w, b, "leaky_relu"), np.where(x @ w + b > 0, x @ w + b, 0.2 * (x @ w + b)))
    close(kernels.dense_forward(x, w, b, "leaky_relu", alpha=0.5), np.where(x @ w + b > 0, x @ w + b, 0.5 * (x @ w + b)))
    close(kernels.dense_backward_input(dy, w), dy @ w.T)
    dw, db = kernels.dense_backward_weight(x, dy)
    close(dw, x.T @ dy)
    close(db, dy.sum(0))
    assert kernels.dense_backward_weight(x, dy, bias=False)[1] is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_few_rows(dtype, backend):
    """Compiled kernels treat few rows, narrow and short matrices apart, and read past rows that end inside a vector."""
    tolerance = {"float32": 1e-5, "float64": 1e-13}[dtype]
    for n, k, m in product((1, 2, 3), (1, 3, 10, 16, 33, 70), (1, 2, 5, 10, 16, 17, 31, 40)):
        x, w, dy = normal(n, k, dtype=dtype), normal(k, m, dtype=dtype), normal(n, m, dtype=dtype)
        w[-1, 0] = w[k // 2, -1] = np.inf  # in one row or column only: 0 times what stands beside a row must not be added
        with np.errstate(invalid="ignore"):
            close(kernels.dense_forward(x, w), (x.astype("float64") @ w).astype(dtype), tolerance, tolerance)
            close(kernels.dense_backward_input(dy, w), (dy.astype("float64") @ w.T).astype(dtype), tolerance, tolerance)


def conv_by_loops(x, w, b, stride, pad, dilation, groups):
    """Convolve (N, H, W, C) with (KH, KW, C / groups, C_out), pixel by pixel."""
    (top, bottom), (left, right) = pad
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    kh, kw, cg, co = w.shape
    oh = len(range(0, x.shape[1] - dilation[0] * (kh - 1), stride[0]))
    ow = len(range(0, x.shape[2] - dilation[1] * (kw - 1), stride[1]))
    y = np.zeros((len(x), oh, ow, co)) + b
    for n, i, j, o in np.ndindex(y.shape):
        group = o // (co // groups)
        for a, c in product(range(kh), range(kw)):
            pixel = x[n, i * stride[0] + a * dilation[0], j * stride[1] + c * dilation[1], group * cg : (group + 1) * cg]
            y[n, i, j, o] += pixel @ w[a, c, :, o]
    return y


CONVOLUTIONS = [
    # image, filters, arguments, and what they come to: stride, padding on each side, dilation
    ((2, 5, 6, 3), (3, 2, 3, 4), {}, (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((2, 5, 6, 3), (3, 2, 3, 4), {"stride": 2, "padding": 1}, (2, 2), ((1, 1), (1, 1)), (1, 1)),
    ((2, 5, 6, 3), (3, 2, 3, 4), {"stride": (1, 3), "padding": (2, 0)}, (1, 3), ((2, 2), (0, 0)), (1, 1)),
    ((1, 5, 6, 2), (3, 2, 2, 1), {"padding": ((2, 1), (0, 3)), "dilation": (1, 2)}, (1, 1), ((2, 1), (0, 3)), (1, 2)),
    ((2, 5, 6, 3), (3, 2, 3, 4), {"padding": "same"}, (1, 1), ((1, 1), (0, 1)), (1, 1)),
    ((2, 5, 6, 3), (4, 3, 3, 2), {"padding": "same", "stride": 2}, (2, 2), ((1, 2), (0, 1)), (1, 1)),
    ((2, 5, 6, 4), (2, 2, 2, 6), {"groups": 2}, (1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((0, 5, 6, 3), (5, 6, 3, 2), {}, (1, 1), ((0, 0), (0, 0)), (1, 1)),
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("image", "filters", "arguments", "stride", "pad", "dilation"), CONVOLUTIONS)
def test_convolution(image, filters, arguments, stride, pad, dilation, data_format):
    x, w, b = normal(*image), normal(*filters), normal(filters[3])
    wanted = conv_by_loops(x, w, b, stride, pad, dilation, arguments.get("groups", 1))
    dy = normal(*wanted.shape)
    to_x, to_w = (lambda a: a, lambda a: a) if data_format == "channels_last" else (images_first, filters_first)
    y = kernels.conv2d_forward(to_x(x), to_w(w), b, **arguments, data_format=data_format)
    close(y, to_x(wanted))
    # the gradients are the transposed map: <dy, conv(x, w)> = <dx, x> = <dw, w>, for every x and every w
    dx = kernels.conv2d_backward_input(to_x(dy), to_w(w), to_x(x).shape, **arguments, data_format=data_format)
    dw, db = kernels.conv2d_backward_weight(to_x(x), to_x(dy), filters[:2], **arguments, data_format=data_format)
    assert dx.shape == to_x(x).shape and dw.shape == to_w(w).shape
    close(db, dy.sum((0, 1, 2)))
    for _ in range(3):
        other_x, other_w = normal(*image), normal(*filters)
        conv = conv_by_loops(other_x, w, 0, stride, pad, dilation, arguments.get("groups", 1))
        close((dx * to_x(other_x)).sum(), (conv * dy).sum(), atol=1e-10)
        conv = conv_by_loops(x, other_w, 0, stride, pad, dilation, arguments.get("groups", 1))
        close((dw * to_w(other_w)).sum(), (conv * dy).sum(), atol=1e-10)


def images_first(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def filters_first(w):
    return np.ascontiguousarray(w.transpose(3, 2, 0, 1))


def test_im2col_and_col2im():
    x, w = normal(2, 6, 5, 3), normal(3, 2, 3, 4)
    arguments = {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2)}
    y = conv_by_loops(x, w, 0, (2, 1), ((1, 0), (0, 2)), (1, 2), 1)
    cols = kernels.im2col(x, (3, 2), **arguments)
    close(cols @ w.reshape(-1, 4), y.reshape(-1, 4))
    cols_first = kernels.im2col(images_first(x), (3, 2), **arguments, data_format="channels_first")
    close(cols_first @ filters_first(w).reshape(4, -1).T, y.reshape(-1, 4))
    close(cols_first.reshape(-1, 3, 3, 2), cols.reshape(-1, 3, 2, 3).transpose(0, 3, 1, 2))
    # col2im is the transpose: <cols, im2col(x)> = <col2im(cols), x>
    other = normal(*cols.shape)
    back = kernels.col2im(other, x.shape, (3, 2), **arguments)
    close((back * x).sum(), (other * cols).sum())
    back = kernels.col2im(other, images_first(x).shape, (3, 2), **arguments, data_format="channels_first")
    close((back * images_first(x)).sum(), (other * cols_first).sum())


def pool_by_loops(x, size, stride, pad, reduce):
    (top, bottom), (left, right) = pad
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=np.nan)
    rows = range(0, x.shape[1] - size[0] + 1, stride[0])
    columns = range(0, x.shape[2] - size[1] + 1, stride[1])
    windows = [[reduce(x[:, i : i + size[0], j : j + size[1]], axis=(1, 2)) for j in columns] for i in rows]
    return np.transpose(windows, (2, 0, 1, 3))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("arguments", "size", "stride", "pad"),
    [
        ({}, (2, 2), (2, 2), ((0, 0), (0, 0))),
        ({"pool_size": 3, "stride": 1}, (3, 3), (1, 1), ((0, 0), (0, 0))),
        ({"pool_size": (2, 3), "stride": 2, "padding": "same"}, (2, 3), (2, 2), ((0, 1), (0, 1))),
        ({"pool_size": 3, "padding": ((2, 1), (0, 1))}, (3, 3), (3, 3), ((2, 1), (0, 1))),
    ],
)
def test_pooling(arguments, size, stride, pad, data_format):
    to_x = images_first if data_format == "channels_first" else np.asarray
    x = normal(2, 7, 6, 3)
    largest = pool_by_loops(x, size, stride, pad, np.nanmax)
    y, argmax = kernels.maxpool2d_forward(to_x(x), **arguments, data_format=data_format)
    close(y, to_x(largest))
    assert argmax.dtype == np.int32 and argmax.shape == y.shape
    axes = (0, 3, 1, 2) if data_format == "channels_last" else (0, 1, 2, 3)
    places = argmax.transpose(axes).reshape(2, 3, -1)
    pixels = x.transpose(0, 3, 1, 2).reshape(2, 3, -1)
    close(np.take_along_axis(pixels, places, axis=2), largest.transpose(0, 3, 1, 2).reshape(2, 3, -1))
    dy = normal(*largest.shape)
    dx = kernels.maxpool2d_backward(to_x(dy), argmax, to_x(x).shape, data_format=data_format)
    step = 1e-6 * to_x(normal(*x.shape))  # the directional derivative, which is exact where no maximum changes its place
    ahead, behind = (kernels.maxpool2d_forward(to_x(x) + s, **arguments, data_format=data_format)[0] for s in (step, -step))
    close((dx * step).sum(), ((ahead - behind) / 2 * to_x(dy)).sum(), rtol=1e-6)
    y = kernels.avgpool2d_forward(to_x(x), **arguments, data_format=data_format)
    close(y, to_x(pool_by_loops(x, size, stride, pad, np.nanmean)))
    other = normal(*x.shape)  # linear: <dy, avgpool(other)> = <dx, other>
    dx = kernels.avgpool2d_backward(to_x(dy), to_x(x).shape, **arguments, data_format=data_format)
    close((dx * to_x(other)).sum(), (dy * pool_by_loops(other, size, stride, pad, np.nanmean)).sum())


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_global_pooling(data_format):
    to_x = images_first if data_format == "channels_first" else np.asarray
    x, dy = normal(2, 4, 5, 3), normal(2, 3)
    close(kernels.global_avgpool2d_forward(to_x(x), data_format), x.mean((1, 2)))
    spread = np.broadcast_to(dy[:, None, None, :] / 20, x.shape)
    close(kernels.global_avgpool2d_backward(dy, to_x(x).shape, data_format), to_x(spread))
    y, argmax = kernels.global_maxpool2d_forward(to_x(x), data_format)
    close(y, x.max((1, 2)))
    np.testing.assert_array_equal(argmax, x.reshape(2, 20, 3).argmax(1))
    dx = kernels.global_maxpool2d_backward(dy, argmax, to_x(x).shape, data_format)
    close(dx, to_x(np.where(x == x.max((1, 2), keepdims=True), dy[:, None, None, :], 0)))


@pytest.mark.parametrize("shape", [(7, 3), (2, 4, 5, 3), (4, 5, 3)], ids=str)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_batchnorm(shape, data_format):
    first = data_format == "channels_first"
    x, dy = normal(*shape), normal(*shape)
    gamma, beta, mean, var = normal(3), normal(3), normal(3), RNG.uniform(0.5, 2, 3)
    axes = tuple(range(len(shape) - 1))
    place = (lambda a: np.moveaxis(a, -1, 1)) if first else np.asarray

    def by_hand(x, mean, var):
        return gamma * (x - mean) / np.sqrt(var + 0.01) + beta

    y, got_mean, got_var = kernels.batchnorm_forward(place(x), gamma, beta, eps=0.01, data_format=data_format)
    close(got_mean, x.mean(axes))
    close(got_var, x.var(axes))
    close(y, place(by_hand(x, x.mean(axes), x.var(axes))))
    y = kernels.batchnorm_inference(place(x), gamma, beta, mean, var, eps=0.01, data_format=data_format)
    close(y, place(by_hand(x, mean, var)))
    dx, dgamma, dbeta = kernels.batchnorm_backward(place(dy), place(x), gamma, got_mean, got_var, 0.01, data_format)
    close(dbeta, dy.sum(axes))
    close(dgamma, (dy * (x - x.mean(axes)) / np.sqrt(x.var(axes) + 0.01)).sum(axes))
    step = 1e-6 * normal(*shape)
    ahead, behind = (by_hand(v, v.mean(axes), v.var(axes)) for v in (x + step, x - step))
    close((dx * place(step)).sum(), ((ahead - behind) / 2 * dy).sum(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(7, 4), (2, 3, 4)], ids=str)
def test_layernorm(shape):
    x, dy, gamma, beta = normal(*shape), normal(*shape), normal(4), normal(4)

    def by_hand(x):
        return gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) + beta

    y, mean, var = kernels.layernorm_forward(x, gamma, beta)
    close(y, by_hand(x))
    close(mean, x.mean(-1))
    close(var, x.var(-1))
    dx, dgamma, dbeta = kernels.layernorm_backward(dy, x, gamma, mean, var)
    axes = tuple(range(len(shape) - 1))
    close(dbeta, dy.sum(axes))
    close(dgamma, (dy * (by_hand(x) - beta) / gamma).sum(axes))
    step = 1e-6 * normal(*shape)
    close((dx * step).sum(), ((by_hand(x + step) - by_hand(x - step)) / 2 * dy).sum(), rtol=1e-6)


def test_moving_average():
    average = np.array([1.0, 2.0])
    assert kernels.moving_average([3, 4], average, momentum=0.75) is None
    close(average, [1.5, 2.5])


def test_dropout_state():
    x = np.ones((50, 40), np.float32)
    state = np.array([5, 0], np.uint64)
    y, used = kernels.dropout_forward(x, 0.25, state)
    assert state.tolist() == [5, 1] and used.tolist() == [5, 0]
    assert set(np.unique(y)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert 0.2 < (y == 0).mean() < 0.3
    np.testing.assert_array_equal(kernels.dropout_backward(x, 0.25, used), y)
    again, _ = kernels.dropout_forward(x, 0.25, 5)
    np.testing.assert_array_equal(again, y)
    np.testing.assert_array_equal(kernels.dropout_forward(x, 0.25, 5)[0], y)
    assert (kernels.dropout_forward(x, 0.25, state)[0] != y).any()
    np.testing.assert_array_equal(kernels.dropout_forward(x, 0, state)[0], x)


#: activation -> itself and its derivative, at scalars
ACTIVATIONS = {
    "linear": (lambda x: x, lambda x: 1),
    "relu": (lambda x: max(x, 0), lambda x: x > 0),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
    "bipolar_sigmoid": (lambda x: math.tanh(x / 2), lambda x: (1 - math.tanh(x / 2) ** 2) / 2),
    "leaky_relu": (lambda x: x if x > 0 else 0.2 * x, lambda x: 1 if x > 0 else 0.2),
    "elu": (lambda x: x if x > 0 else math.expm1(x), lambda x: 1 if x > 0 else math.exp(x)),
    "selu": (
        lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
        lambda x: 1.0507009873554805 * (1 if x > 0 else 1.6732632423543772 * math.exp(x)),
    ),
    "softplus": (lambda x: math.log1p(math.exp(x)), lambda x: 1 / (1 + math.exp(-x))),
    "gelu": (
        lambda x: x * (1 + math.erf(x / 2**0.5)) / 2,
        lambda x: (1 + math.erf(x / 2**0.5)) / 2 + x * math.exp(-x * x / 2) / (2 * math.pi) ** 0.5,
    ),
    "silu": (
        lambda x: x / (1 + math.exp(-x)),
        lambda x: (1 + math.exp(-x) + x * math.exp(-x)) / (1 + math.exp(-x)) ** 2,
    ),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    f, derivative = (np.vectorize(g, otypes=[float]) for g in ACTIVATIONS[name])
    forward, backward = getattr(kernels, f"{name}_forward"), getattr(kernels, f"{name}_backward")
    x, dy = normal(2, 3, 4), normal(2, 3, 4)
    y = forward(x)
    close(y, f(x))
    close(backward(dy, x if name in ("gelu", "silu") else y), dy * derivative(x))
    assert forward(np.float32(0.5)).shape == ()
    assert forward(np.zeros((0, 3))).shape == (0, 3)


def test_activation_parameter():
    close(kernels.leaky_relu_forward([-1.0, 2.0], alpha=0.25), [-0.25, 2])
    close(kernels.leaky_relu_backward([1.0, 1.0], [-0.25, 2.0], alpha=0.25), [0.25, 1])
    close(kernels.elu_forward(np.array([-1.0]), alpha=3), 3 * np.expm1([-1.0]))
    close(kernels.elu_backward(np.array([1.0]), 3 * np.expm1([-1.0]), alpha=3), 3 * np.exp([-1.0]))


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (2, 3, 4)], ids=str)
def test_prelu(shape):
    x, alpha, dy = normal(2, 3, 4), normal(*shape), normal(2, 3, 4)
    close(kernels.prelu_forward(x, alpha), np.where(x > 0, x, alpha * x))
    dx, dalpha = kernels.prelu_backward(dy, x, alpha)
    close(dx, np.where(x > 0, dy, alpha * dy))
    close(dalpha, np.where(x > 0, 0, dy * x).sum(axis=tuple(range(3 - len(shape)))))


def test_softmax():
    x, dy = normal(2, 3, 4), normal(2, 3, 4)
    y = kernels.softmax_forward(x)
    close(y, np.exp(x) / np.exp(x).sum(-1, keepdims=True))
    close(kernels.softmax_forward([1e30, 0, -1e30]), [1, 0, 0])
    jacobian = np.einsum("abi,ij->abij", y, np.eye(4)) - np.einsum("abi,abj->abij", y, y)
    close(kernels.softmax_backward(dy, y), np.einsum("abij,abi->abj", jacobian, dy))


def test_losses():
    p, t = np.array([[0.5, 2.0], [-1.0, 0.25]]), np.array([[1.0, -1.0], [-1.0, 1.0]])
    close(kernels.mse_forward(p, t), [(0.25 + 9) / 2, (0 + 0.5625) / 2])
    close(kernels.mae_forward(p, t), [(0.5 + 3) / 2, 0.75 / 2])
    close(kernels.huber_forward(p, t, delta=1), [(0.125 + 2.5) / 2, 0.28125 / 2])
    close(kernels.hinge_forward(p, t), [(0.5 + 3) / 2, 0.75 / 2])
    close(kernels.perceptron_forward(p, t), [2 / 2, 0])
    close(kernels.half_poisson_forward(np.log([[2.0, 3.0]]), [[2.0, 0.0]]), [3 / 2])
    q, target = np.array([[0.25, 0.5]]), np.array([[1.0, 0.0]])
    close(kernels.binary_xent_forward(q, target), [(math.log(4) + math.log(2)) / 2])
    close(kernels.sigmoid_xent_forward(np.log(q / (1 - q)), target), [(math.log(4) + math.log(2)) / 2])
    close(kernels.xent_forward(q, target), [math.log(4)])
    close(kernels.weighted_mean_forward([1.0, 3.0]), [2])
    close(kernels.weighted_mean_forward([1.0, 3.0], [1, 0.5]), [1.25])
    close(kernels.weighted_mean_backward(2.0, 4), [0.5] * 4)
    close(kernels.weighted_mean_backward([2.0], 2, [1, 0.5]), [1, 0.5])
    close(kernels.penalty_forward([1.0, -2.0], l1=0.5, l2=0.25), [1.5 + 1.25])
    close(kernels.penalty_backward(2.0, [1.0, -2.0, 0], l1=0.5, l2=0.25), [2, -3, 0])
    close(kernels.penalty_backward(2.0, [1.0, -2.0, 0], l1=0.5, l2=0.25, gradient=[1, 1, 7]), [3, -2, 7])


@pytest.mark.parametrize(
    "name", ["mse", "mae", "huber", "hinge", "perceptron", "binary_xent", "sigmoid_xent", "half_poisson", "xent"]
)
@pytest.mark.parametrize("shape", [(5, 3), (5,), (2, 3, 4)], ids=str)
def test_gradient_of_loss(name, shape):
    forward, backward = getattr(kernels, f"{name}_forward"), getattr(kernels, f"{name}_backward")
    pred = RNG.uniform(0.1, 0.9, shape)
    target = RNG.choice([-1.0, 1.0], shape) if name in ("hinge", "perceptron") else RNG.uniform(0, 1, shape)
    step = 1e-6 * normal(*shape)
    loss = forward(pred, target)
    samples = pred.size // (shape[-1] if len(shape) > 1 else 1)
    assert loss.shape == (samples,)
    dloss = normal(samples)
    gradient = backward(dloss, pred, target)
    assert gradient.shape == shape
    close((gradient * step).sum(), ((forward(pred + step, target) - forward(pred - step, target)) / 2 * dloss).sum(), rtol=1e-5)


def test_one_output_as_vector_or_column():
    p, t = np.array([1.0, 2.0]), np.array([[1.5], [0.0]])
    close(kernels.mse_forward(p, t), [0.25, 4])
    close(kernels.mse_forward(t, p), [0.25, 4])
    assert kernels.mse_backward(np.ones(2), p, t).shape == (2,)
    assert kernels.mse_backward(np.ones(2), t, p).shape == (2, 1)


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3)], ids=str)
def test_softmax_xent(shape):
    logits = normal(*shape)
    samples = math.prod(shape[:-1])
    label = RNG.integers(0, 3, shape[:-1])
    probs = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    onehot = np.eye(3)[label]
    wanted = -np.log((probs * onehot).sum(-1)).reshape(samples)
    dloss = normal(samples)
    gradient = dloss.reshape(*shape[:-1], 1) * (probs - onehot)
    for target in (label, label[..., None], label.tolist(), label.astype(np.uint8), onehot, onehot.astype(int)):
        loss, got = kernels.softmax_xent_forward(logits, target)
        close(loss, wanted)
        close(got, probs)
        close(kernels.softmax_xent_backward(dloss, probs, target), gradient)
    soft = probs[..., ::-1].copy()
    close(kernels.softmax_xent_forward(logits, soft)[0], -(soft * np.log(probs)).sum(-1).reshape(samples))
    close(kernels.softmax_xent_forward([[1e30, 0.0]], [1])[0], [1e30], rtol=1e-6)


def test_optimizers():
    g = np.array([0.5, -1.0])

    def after(update, *state, **params):
        w = np.array([1.0, 2.0])
        arrays = [np.array(s, float) for s in state]
        assert update(w, g, *arrays, **params) is None
        return [w, *arrays]

    w = np.array([1.0, 2.0])
    close(after(kernels.sgd_step, lr=0.1)[0], w - 0.1 * g)
    v = 0.9 * np.array([0.3, 0.4]) - 0.1 * g
    close(after(kernels.momentum_step, [0.3, 0.4], lr=0.1), [w + v, v])
    close(after(kernels.nesterov_step, [0.3, 0.4], lr=0.1), [w + 0.9 * v - 0.1 * g, v])
    a = np.array([0.3, 0.4]) + g**2
    close(after(kernels.adagrad_step, [0.3, 0.4], lr=0.1, eps=0.01), [w - 0.1 * g / np.sqrt(a + 0.01), a])
    a = 0.8 * np.array([0.3, 0.4]) + 0.2 * g**2
    close(after(kernels.rmsprop_step, [0.3, 0.4], lr=0.1, rho=0.8, eps=0.01), [w - 0.1 * g / np.sqrt(a + 0.01), a])
    m, v = 0.8 * np.array([0.3, 0.4]) + 0.2 * g, 0.7 * np.array([0.1, 0.2]) + 0.3 * g**2
    adam = 0.1 * math.sqrt(1 - 0.7**3) / (1 - 0.8**3) * m / (np.sqrt(v) + 0.01)
    params = {"lr": 0.1, "step": 3, "beta1": 0.8, "beta2": 0.7, "eps": 0.01}
    close(after(kernels.adam_step, [0.3, 0.4], [0.1, 0.2], **params), [w - adam, m, v])
    decayed = w - 0.1 * 0.05 * w
    close(after(kernels.adamw_step, [0.3, 0.4], [0.1, 0.2], **params, weight_decay=0.05), [decayed - adam, m, v])


def test_data():
    x = normal(2, 3, 4)
    close(kernels.transpose(x), x.transpose(0, 2, 1))
    close(kernels.transpose(x[0]), x[0].T)
    images = RNG.integers(0, 256, (5, 3, 2), dtype=np.uint8)
    batch = kernels.gather(images, [4, 0, 4], scale=1 / 255)
    assert batch.dtype == np.float32
    close(batch, images[[4, 0, 4]] / 255, rtol=1e-6)
    assert kernels.gather(images, [0], dtype="float64").dtype == np.float64
    close(kernels.gather(x, [1, 1], offset=1.0), x[[1, 1]] + 1)
    assert kernels.gather(x, [1], dtype="float32").dtype == np.float32
    assert kernels.gather(x, []).shape == (0, 3, 4)
    total = np.ones((2, 3, 4))
    kernels.accumulate(x, total, scale=0.5)
    close(total, 1 + 0.5 * x)
    close(kernels.add(x, total), x + total)
    count = np.array([4.0])
    kernels.increment(count)
    assert count.tolist() == [5]


# --- arrays of any kind ----------------------------------------------------------------------------------------------------------

X, W, B = normal(3, 5, 6, 2, dtype="float32"), normal(3, 2, 2, 4, dtype="float32"), normal(4, dtype="float32")
LOGITS = normal(5, 3, dtype="float32")


def unaligned(array):
    """A copy of the array that starts at an odd address."""
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    copy = buffer[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


VARIANTS = {
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "every second element": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": unaligned,
    "subclass": lambda a: a.view(type("Sub", (np.ndarray,), {})),
    "list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_array_of_any_kind(variant):
    change = VARIANTS[variant]
    calls = [
        (kernels.conv2d_forward, (X, W, B), {}),
        (kernels.conv2d_backward_input, (X[..., :1], W[..., :1]), {"input_shape": (3, 7, 7, 2)}),
        (kernels.im2col, (X,), {"kernel_size": 2}),
        (kernels.maxpool2d_forward, (X,), {}),
        (kernels.batchnorm_forward, (X, B[:2], B[2:]), {}),
        (kernels.dense_forward, (X[0, 0], W[0, 0], B), {}),
        (kernels.softmax_forward, (LOGITS,), {}),
        (kernels.gelu_forward, (X,), {}),
        (kernels.mse_forward, (LOGITS, LOGITS[::-1].copy()), {}),
        (kernels.softmax_xent_forward, (LOGITS, np.array([0, 1, 2, 0, 1])), {}),
        (kernels.softmax_xent_forward, (LOGITS, np.array([0, 1, 2, 0, 1], np.int32)), {}),
        (kernels.global_maxpool2d_backward, (X[:, 0, 0], np.array([[0, 1]] * 3, np.int32), X.shape), {}),
        (kernels.gather, (X, np.array([2, 0])), {}),
    ]
    for function, arrays, arguments in calls:
        wanted = function(*(np.ascontiguousarray(a) if isinstance(a, np.ndarray) else a for a in arrays), **arguments)
        got = function(*(change(a) if isinstance(a, np.ndarray) else a for a in arrays), **arguments)
        for one, other in zip(got, wanted, strict=True) if isinstance(got, tuple) else [(got, wanted)]:
            assert one.dtype == other.dtype and type(one) is np.ndarray
            np.testing.assert_array_equal(one, other)


class Foreign:
    """An array of another library, with a dtype that NumPy does not know."""

    dtype = "foreign.float64"

    def __array__(self, dtype=None, copy=None):
        return np.ones((2, 2))


def test_array_of_another_library():
    assert kernels.matmul(Foreign(), np.ones((2, 2), np.float32)).dtype == "float64"
    assert kernels.relu_forward(Foreign()).dtype == "float64"


def test_dtype_of_results():
    ones = np.ones((2, 2))
    for dtype, wanted in [("float16", "float32"), ("int64", "float32"), ("uint8", "float32"), ("bool", "float32")]:
        assert kernels.relu_forward(ones.astype(dtype)).dtype == wanted
        assert kernels.matmul(ones.astype(dtype), ones).dtype == "float64"
        assert kernels.matmul(ones.astype(dtype), ones.astype("float32")).dtype == wanted
    assert kernels.matmul([[1.5]], [[2]]).dtype == "float32"  # a list has no precision of its own
    assert kernels.matmul([[0.1]], np.array([[1.0]])).item() == 0.1  # and loses none to a float64 array
    assert kernels.matmul(ones, ones.astype("float32")).dtype == "float64"
    assert kernels.conv2d_forward(X, W.astype("float64")).dtype == "float64"
    with np.errstate(all="raise"):
        assert kernels.relu_forward(np.array([1e300], ">f8")).dtype == "float64"


def test_right_arrays_pass_uncopied():
    """What the kernel got are the very objects that the caller gave: a recorded call goes on seeing the caller's buffers."""
    x, w, b = (np.ones(shape, np.float32) for shape in ((2, 3), (3, 4), (4,)))
    images, filters = np.ones((2, 5, 5, 3)), np.ones((3, 3, 3, 2))
    label, order, lr, count, state = np.zeros(2, np.int32), np.zeros(3, np.int32), np.ones(1), np.ones(1), np.zeros(2, np.uint64)
    calls = [
        (kernels.dense_forward, (x, w, b)),
        (kernels.dense_backward_weight, (x, np.ones((2, 4), np.float32))),
        (kernels.relu_backward, (x, x)),
        (kernels.mse_forward, (x, x)),
        (kernels.softmax_xent_forward, (x, label)),
        (kernels.conv2d_forward, (images, filters)),
        (kernels.maxpool2d_forward, (images,)),
        (kernels.weighted_mean_forward, (np.ones(3), np.ones(3))),
        (kernels.gather, (x, order)),
        (kernels.adam_step, (x, x.copy(), x.copy(), x.copy(), lr, count)),
        (kernels.accumulate, (x, x.copy())),
        (kernels.increment, (count,)),
    ]
    for function, arrays in calls:
        with table.record() as recording:
            function(*arrays)
        assert not recording.python_steps
        addresses = {a.__array_interface__["data"][0] for a in recording.calls[-1][1] if isinstance(a, np.ndarray)}
        for array in arrays:
            assert array.__array_interface__["data"][0] in addresses, function
    with table.record() as recording:
        kernels.dropout_forward(x, 0.5, state)
    assert recording.calls[0][1][-1] is state


@pytest.mark.parametrize(
    "call",
    [
        lambda: kernels.relu_forward([1.0]),
        lambda: kernels.relu_forward(np.ones((2, 4))[:, ::2]),
        lambda: kernels.gather(np.ones((4, 2), np.uint8)[::2], np.zeros(1, np.int32)),
        lambda: kernels.sgd_step(np.ones(2), np.ones(2), lr=0.1),
        lambda: kernels.dropout_forward(np.ones(2), 0.5, 3),
    ],
)
def test_recording_learns_of_copies(call):
    """A step with one of these cannot be replayed: the kernel did not work on the caller's own buffer."""
    with table.record() as recording:
        call()
    assert len(recording.python_steps) == 1


# --- geometry --------------------------------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, database=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 5), st.integers(0, 4), st.integers(0, 4), st.integers(1, 3))
def test_output_size_counts_windows(size, window, stride, before, after, dilation):
    reach = [i * dilation for i in range(window)]
    starts = [s for s in range(-before, size + after, stride) if s + reach[-1] < size + after]
    assume(starts)
    assert kernels.conv_output_size(size, window, stride, (before, after), dilation) == len(starts)


@settings(derandomize=True, deadline=None, database=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 5), st.integers(1, 3))
def test_same_padding_is_the_least_that_keeps_the_size(size, window, stride, dilation):
    before, after = kernels.resolve_padding("same", size, window, stride, dilation)
    assert 0 <= after - before <= 1
    wanted = math.ceil(size / stride)
    assert kernels.conv_output_size(size, window, stride, "same", dilation) == wanted
    if before + after > 0:
        less = size + before + after - 1 - dilation * (window - 1)
        assert less < 1 or (less - 1) // stride + 1 < wanted


def test_geometry_by_hand():
    assert kernels.conv_output_size(28, 3) == 26
    assert kernels.conv_output_size(28, 3, padding="same", stride=2) == 14
    assert kernels.resolve_padding("same", 28, 3, 2) == (0, 1)  # TensorFlow's rule: the odd one goes to the end
    assert kernels.resolve_padding("same", 224, 7, 2) == (2, 3)
    assert kernels.conv_output_size(None, 3) is None
    assert geometry.split_padding(2) == ((2, 2), (2, 2))
    assert geometry.split_padding((1, 2)) == ((1, 1), (2, 2))
    assert geometry.split_padding([[1, 2], [3, 4]]) == ((1, 2), (3, 4))


# --- the functions as objects ----------------------------------------------------------------------------------------------------

PUBLIC = {name: getattr(kernels, name) for name in functions.__all__}


@pytest.mark.parametrize("name", PUBLIC)
def test_signature_and_docstring(name):
    function = PUBLIC[name]
    assert function.__name__ == function.__qualname__ == name
    assert pickle.loads(pickle.dumps(function)) is function
    doc = inspect.getdoc(function)
    assert "Parameters\n------" in doc
    for parameter in inspect.signature(function).parameters:
        assert f"{parameter} : " in doc or f"{parameter}, " in doc or f", {parameter}" in doc or f"{parameter}\n" in doc
    assert "{" not in doc.replace('{"channels_last", "channels_first"}', "")


def test_every_op_has_its_function():
    """An op of the arithmetic is public under its own name; ops that only a recorded step uses are not."""
    families = ("linear", "conv", "pool", "norm", "activation", "optim", "augment")
    wanted = {op.name for family in families for op in importlib.import_module(f"fastnn.kernels.spec.{family}").OPS}
    assert wanted <= set(PUBLIC)
    assert {name for name in PUBLIC if name.endswith("_step")} == {name for name in OPS if name.endswith("_step")} - {"begin_step"}


def test_import_is_light(backend):
    code = """
        import sys, fastnn.kernels
        heavy = {"numba", "sklearn", "scipy", "matplotlib", "fastnn.kernels.numpy_ref", "fastnn.kernels.cython_aot"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", inspect.cleandoc(code)], check=True)


def test_handbook_names_every_axis():
    handbook = (Path(__file__).parents[2] / "kernels" / "README.md").read_text(encoding="utf-8")
    alphabet = "".join(line.split("|")[1] for line in handbook.splitlines() if line.startswith("| `"))
    axes = {axis for op in OPS.values() for axis in op.axes}
    assert set(re.findall(r"`(\w+)`", alphabet)) == axes
