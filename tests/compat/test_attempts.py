"""Arrays that kernels take as they are reach them without conversions, which take longer than the kernel of a small layer."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn.compat import as_numpy, given
from fastnn.compat.coursera import columns, dnn
from fastnn.compat.cs231n import layer_utils, layers, optim
from fastnn.compat.dlfs import layers as dlfs
from fastnn.compat.dlfs2 import layers as dlfs2
from fastnn.kernels import use_backend
from fastnn.kernels.backends import BACKENDS

pytestmark = pytest.mark.skipif(not BACKENDS["cython"].installed(), reason="the compiled backend is not installed")

X, W, B, DOUT = np.ones((4, 3)), np.ones((3, 2)), np.ones(2), np.ones((4, 2))


@pytest.fixture(autouse=True)
def no_conversions(monkeypatch):
    for module in as_numpy, given, columns, layers, optim, dlfs, dlfs2:
        for name in ("promoted", "_promoted", "as_float", "real", "_in_place"):
            monkeypatch.setattr(module, name, None, raising=False)
    with use_backend("cython"):
        yield


def test_cs231n():
    out, cache = layer_utils.affine_relu_forward(X, W, B)
    np.testing.assert_array_equal(out, np.full((4, 2), 4.0))
    _, dout = layers.softmax_loss(out, np.array([0, 1, 0, 1]))
    _, dw, _ = layer_utils.affine_relu_backward(dout, cache)
    np.testing.assert_allclose(optim.sgd(W.copy(), dw)[0], W)  # the classes are as frequent as they are probable


@pytest.mark.parametrize("course", [dlfs, dlfs2])
def test_deep_learning_from_scratch(course):
    layer = course.Affine(W, B)
    np.testing.assert_array_equal(layer.forward(X), np.full((4, 2), 4.0))
    np.testing.assert_array_equal(layer.backward(DOUT), np.full((4, 3), 2.0))
    dw, db = (layer.dW, layer.db) if course is dlfs else layer.grads
    np.testing.assert_array_equal(dw, np.full((3, 2), 4.0))
    np.testing.assert_array_equal(db, [4.0, 4.0])


def test_coursera():
    A, cache = dnn.linear_activation_forward(X.T.copy(), W.T.copy(), B.reshape(2, 1), "relu")
    np.testing.assert_array_equal(A, np.full((2, 4), 4.0))
    dA, dW, db = dnn.linear_activation_backward(np.ones((2, 4)), cache, "relu")
    np.testing.assert_array_equal(dA, np.full((3, 4), 2.0))
    np.testing.assert_array_equal(dW, np.ones((2, 3)))
    np.testing.assert_array_equal(db, np.ones((2, 1)))
    parameters = dnn.update_parameters({"W1": W.T.copy(), "b1": B.reshape(2, 1)}, {"dW1": dW, "db1": db}, 0.5)
    np.testing.assert_array_equal(parameters["W1"], np.full((2, 3), 0.5))
