"""Deep Learning from Scratch, both volumes, against loops, formulas, central differences, and numbers that the books print."""

import numpy as np
import pytest

from fastnn.compat.dlfs import functions, gradient, layers, optimizer, trainer, util
from fastnn.compat.dlfs2 import layers as layers2
from fastnn.compat.dlfs2 import optimizer as optimizer2
from fastnn.compat.dlfs2 import trainer as trainer2


def rows_by_loops(x, fh, fw, stride, pad):
    n, c, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out_h, out_w = (height + 2 * pad - fh) // stride + 1, (width + 2 * pad - fw) // stride + 1
    rows = []
    for i, y, z in np.ndindex(n, out_h, out_w):
        rows.append(padded[i, :, y * stride : y * stride + fh, z * stride : z * stride + fw].reshape(-1))
    return np.array(rows, dtype=np.float64).reshape(n * out_h * out_w, c * fh * fw)


def conv_by_rows(x, w, b, stride, pad):
    n, _, height, width = x.shape
    filters, _, fh, fw = w.shape
    out_h, out_w = (height + 2 * pad - fh) // stride + 1, (width + 2 * pad - fw) // stride + 1
    out = rows_by_loops(x, fh, fw, stride, pad) @ w.reshape(filters, -1).T + b
    return out.reshape(n, out_h, out_w, filters).transpose(0, 3, 1, 2)


def gradient_of(f, x, dout=1.0, h=1e-5):
    """Central differences of sum(f() * dout) by the elements of x, which are changed in place."""
    result = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        old = x[index]
        x[index] = old + h
        above = np.sum(f() * dout)
        x[index] = old - h
        result[index] = (above - np.sum(f() * dout)) / (2 * h)
        x[index] = old
    return result


# ---- common.util

GEOMETRIES = [  # image, filter, stride, pad
    ((7, 7), (5, 5), 1, 0),
    ((6, 8), (3, 2), 2, 1),
    ((5, 7), (1, 4), 1, 2),
    ((8, 8), (3, 3), 2, 0),  # the last row and column are not reached
    ((4, 5), (2, 2), 3, 0),
]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64"])
@pytest.mark.parametrize(("image", "window", "stride", "pad"), GEOMETRIES)
def test_im2col(image, window, stride, pad, dtype):
    x = np.random.default_rng(0).integers(-9, 9, size=(2, 3, *image)).astype(dtype)
    col = util.im2col(x, *window, stride, pad)
    assert col.dtype == np.float64  # whatever came
    np.testing.assert_array_equal(col, rows_by_loops(x, *window, stride, pad))
    np.testing.assert_array_equal(util.im2col(np.asfortranarray(x), *window, stride, pad), col)


@pytest.mark.parametrize(("image", "window", "stride", "pad"), GEOMETRIES)
def test_col2im_is_the_transpose(image, window, stride, pad):
    shape = 2, 3, *image
    col = np.random.default_rng(1).integers(-9, 9, size=util.im2col(np.zeros(shape), *window, stride, pad).shape)
    expected = np.zeros(shape)
    for index in np.ndindex(shape):
        one = np.zeros(shape)
        one[index] = 1
        expected[index] = (rows_by_loops(one, *window, stride, pad) * col).sum()
    image = util.col2im(col.astype(np.float32), shape, *window, stride, pad)
    assert image.dtype == np.float64
    np.testing.assert_array_equal(image, expected)


def test_small_helpers():
    assert util.im2col(np.zeros((1, 3, 7, 7)), 5, 5).shape == (9, 75)  # section 7.4.3
    assert util.im2col(np.zeros((10, 3, 7, 7)), 5, 5).shape == (90, 75)
    assert util.conv_output_size(28, 5) == 24.0 and isinstance(util.conv_output_size(28, 5), float)
    assert util.conv_output_size(7, 3, stride=3, pad=1) == 3.0
    np.random.seed(3)
    x, t = util.shuffle_dataset(np.arange(10).reshape(5, 2), np.arange(5))
    np.random.seed(3)
    order = np.random.permutation(5)
    np.testing.assert_array_equal(t, order)
    np.testing.assert_array_equal(x[:, 0], 2 * order)
    curve = np.linspace(0, 1, 40) ** 2
    smooth = util.smooth_curve(curve)
    window = np.kaiser(11, 2) / np.kaiser(11, 2).sum()
    assert smooth.shape == curve.shape
    assert smooth[20] == pytest.approx((window * curve[15:26]).sum())
    assert smooth[0] == pytest.approx((window * curve[[5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5]]).sum())
    assert smooth[-1] == pytest.approx((window * curve[[-6, -5, -4, -3, -2, -1, -1, -2, -3, -4, -5]]).sum())


# ---- common.functions and common.gradient


def test_functions_give_the_books_numbers():
    np.testing.assert_allclose(functions.sigmoid(np.array([-1.0, 1.0, 2.0])), [0.26894142, 0.73105858, 0.88079708], atol=5e-9)
    np.testing.assert_allclose(functions.softmax(np.array([0.3, 2.9, 4.0])), [0.01821127, 0.24519181, 0.73659691], atol=5e-9)
    np.testing.assert_allclose(
        functions.softmax(np.array([1010.0, 1000.0, 990.0])), [9.99954600e-01, 4.53978686e-05, 2.06106005e-09], rtol=1e-8
    )
    t = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    good = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
    bad = np.array([0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0])
    assert functions.sum_squared_error(good, t) == pytest.approx(0.0975, rel=1e-12)
    assert functions.sum_squared_error(bad, t) == pytest.approx(0.5975, rel=1e-12)
    assert functions.cross_entropy_error(good, t) == pytest.approx(0.51082545709933802, rel=1e-14)
    assert functions.cross_entropy_error(bad, t) == pytest.approx(2.3025840929945458, rel=1e-14)
    np.testing.assert_array_equal(functions.step_function(np.array([-1.0, 1.0, 2.0])), [0, 1, 1])
    assert functions.step_function(np.array([0.0])).dtype == int
    x = np.array([1.0, 0.5])
    assert functions.identity_function(x) is x


def test_functions():
    x = np.array([[-2.0, 0.0, 3.0], [1.0, 900.0, -900.0]])
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(functions.sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(functions.sigmoid_grad(x), functions.sigmoid(x) * (1 - functions.sigmoid(x)), rtol=1e-12)
    np.testing.assert_array_equal(functions.relu(x), np.maximum(0, x))
    np.testing.assert_array_equal(functions.relu_grad(x), [[0, 1, 1], [1, 1, 0]])
    np.testing.assert_allclose(functions.softmax(x).sum(axis=-1), 1)
    assert functions.sigmoid(0.5) == pytest.approx(0.6224593312018546, rel=1e-14) and np.isscalar(functions.sigmoid(0.5))
    assert functions.relu(np.array([-1, 2])).dtype == np.array([1]).dtype
    assert functions.sigmoid(np.array([1], dtype=np.float16)).dtype == np.float16
    y = np.array([[0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    expected = -(np.log(0.8 + 1e-7) + np.log(0.5 + 1e-7)) / 2
    for t in ([1, 0], [[1], [0]], [[0, 1], [1, 0]], np.array([1, 0], dtype=np.uint8)):
        assert functions.cross_entropy_error(y, np.array(t)) == pytest.approx(expected, rel=1e-6)
    assert functions.cross_entropy_error(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-7))
    expected = -(np.log(functions.softmax(x)[0, 2] + 1e-7) + np.log(1 + 1e-7)) / 2
    assert functions.softmax_loss(x, np.array([2, 1])) == pytest.approx(expected, rel=1e-12)


def test_numerical_gradients():
    def f(x):
        return x[0] ** 2 + x[1] ** 2

    for point, expected in (([3.0, 4.0], [6, 8]), ([0.0, 2.0], [0, 4]), ([3.0, 0.0], [6, 0])):  # section 4.4
        x = np.array(point)
        np.testing.assert_allclose(gradient.numerical_gradient(f, x), expected, atol=1e-9)
        np.testing.assert_array_equal(x, point)
    seen = []
    x = np.array([[3.0, 4.0], [0.0, 2.0]])
    np.testing.assert_allclose(gradient.numerical_gradient_2d(f, x), [[6, 8], [0, 4]], atol=1e-9)
    gradient.numerical_gradient(lambda given: seen.append(given is x) or x.sum(), x)
    assert all(seen)  # f may look at the array itself

    def fails(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        gradient.numerical_gradient(fails, x)
    np.testing.assert_array_equal(x, [[3, 4], [0, 2]])


# ---- common.layers


@pytest.mark.parametrize(("image", "window", "stride", "pad"), GEOMETRIES)
def test_convolution(image, window, stride, pad):
    rng = np.random.default_rng(4)
    x, w, b = rng.normal(size=(2, 3, *image)), rng.normal(size=(4, 3, *window)), rng.normal(size=4)
    layer = layers.Convolution(w, b, stride, pad)
    assert layer.W is w and layer.b is b and layer.col is None and layer.dW is None
    out = layer.forward(x)
    np.testing.assert_allclose(out, conv_by_rows(x, w, b, stride, pad), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(layer.col, rows_by_loops(x, *window, stride, pad))
    np.testing.assert_array_equal(layer.col_W, w.reshape(4, -1).T)
    dout = rng.normal(size=out.shape)
    dx = layer.backward(dout)
    for analytic, argument in ((dx, x), (layer.dW, w), (layer.db, b)):
        numeric = gradient_of(lambda: layers.Convolution(w, b, stride, pad).forward(x), argument, dout)
        assert analytic.shape == argument.shape and analytic.dtype == np.float64
        np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-8)


def test_convolution_computes_in_float64():
    x = np.random.default_rng(5).normal(size=(2, 1, 4, 4)).astype(np.float16)
    w, b = np.ones((1, 1, 2, 2), dtype=np.float16), np.zeros(1, dtype=np.float32)
    out = layers.Convolution(w, b).forward(x)
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, conv_by_rows(x.astype(float), w.astype(float), 0, 1, 0))
    assert layers.Pooling(2, 2).forward(x).dtype == np.float64


def test_a_layer_reads_its_arrays_anew():
    w, b, x = np.ones((2, 3)), np.zeros(3), np.ones((1, 2))
    layer = layers.Affine(w, b)
    layer.forward(x)
    w *= 5
    b += 1
    np.testing.assert_array_equal(layer.forward(x), [[11, 11, 11]])
    layer.W = np.zeros((2, 3))  # as networks do that load their parameters from a file
    np.testing.assert_array_equal(layer.forward(x), [[1, 1, 1]])


def test_affine_takes_images():
    rng = np.random.default_rng(6)
    x, w, b, dout = rng.normal(size=(4, 2, 3, 3)), rng.normal(size=(18, 5)), rng.normal(size=5), rng.normal(size=(4, 5))
    layer = layers.Affine(w, b)
    np.testing.assert_allclose(layer.forward(x), x.reshape(4, 18) @ w + b, rtol=1e-12)
    assert layer.original_x_shape == x.shape and layer.x.shape == (4, 18)
    dx = layer.backward(dout)
    np.testing.assert_allclose(dx, (dout @ w.T).reshape(x.shape), rtol=1e-12)
    np.testing.assert_allclose(layer.dW, x.reshape(4, 18).T @ dout, rtol=1e-12)
    np.testing.assert_allclose(layer.db, dout.sum(axis=0), rtol=1e-12)
    assert layers.Affine(w, b).forward(x.astype(np.float32)).dtype == np.float64  # as parameters from np.random.randn are
    assert layers.Affine(w.astype("f4"), b.astype("f4")).forward(x.astype("f4")).dtype == np.float32
    np.testing.assert_array_equal(layers.Affine(np.array([[2], [1]]), np.array([1])).forward([[1, 2], [3, 4]]), [[5], [11]])


def test_relu_writes_into_dout():
    layer = layers.Relu()
    x = np.array([[1.0, -0.5], [0.0, 3.0]])
    out = layer.forward(x)
    np.testing.assert_array_equal(out, [[1, 0], [0, 3]])
    assert out is not x
    np.testing.assert_array_equal(layer.mask, [[False, True], [True, False]])
    dout = np.full((2, 2), 7.0)
    assert layer.backward(dout) is dout
    np.testing.assert_array_equal(dout, [[7, 0], [0, 7]])
    transposed = np.full((2, 2), 7.0).T
    assert layer.backward(transposed) is transposed


def test_sigmoid_layer():
    layer, x = layers.Sigmoid(), np.random.default_rng(7).normal(size=(3, 4))
    out = layer.forward(x)
    assert layer.out is out
    np.testing.assert_allclose(layer.backward(np.full((3, 4), 2.0)), 2 * out * (1 - out), rtol=1e-12)


@pytest.mark.parametrize("form", ["labels", "column", "one-hot", "bytes"])
def test_softmax_with_loss(form):
    rng = np.random.default_rng(8)
    x, label = rng.normal(size=(5, 4)), rng.integers(4, size=5)
    t = {"labels": label, "column": label[:, None], "one-hot": np.eye(4)[label], "bytes": label.astype(np.uint8)}[form]
    layer = layers.SoftmaxWithLoss()
    loss = layer.forward(x, t)
    assert layer.loss == loss == pytest.approx(-np.log(layer.y[range(5), label] + 1e-7).mean(), rel=1e-12)
    assert layer.t is t
    expected = (layer.y - np.eye(4)[label]) / 5
    np.testing.assert_allclose(layer.backward(), expected, atol=1e-15)
    np.testing.assert_allclose(layer.backward(dout=3), expected, atol=1e-15)  # the book's layer ignores it
    np.testing.assert_allclose(layer.backward(), gradient_of(lambda: layers.SoftmaxWithLoss().forward(x, t), x), atol=1e-6)


def test_dropout_is_not_inverted_and_draws_from_the_global_generator():
    x = np.ones((4, 5), dtype=np.float32)
    layer = layers.Dropout(0.3)
    np.random.seed(5)
    out = layer.forward(x)
    np.random.seed(5)
    mask = np.random.rand(4, 5) > 0.3
    np.testing.assert_array_equal(out, mask)
    np.testing.assert_array_equal(layer.mask, mask)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(layer.backward(np.full((4, 5), 2.0)), 2 * mask)
    np.testing.assert_allclose(layer.forward(x, train_flg=False), 0.7, rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 4), (5, 2, 3, 2)])
def test_batch_normalization_counts_each_pixel_by_itself(shape):
    rng = np.random.default_rng(9)
    features = int(np.prod(shape[1:]))
    x, gamma, beta, dout = rng.normal(size=shape), rng.normal(size=features), rng.normal(size=features), rng.normal(size=shape)
    layer = layers.BatchNormalization(gamma, beta)
    out = layer.forward(x)
    rows = x.reshape(len(x), -1)
    mean, var = rows.mean(axis=0), rows.var(axis=0)
    np.testing.assert_allclose(out, (gamma * (rows - mean) / np.sqrt(var + 1e-6) + beta).reshape(shape), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean, 0.1 * mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(layer.running_var, 0.1 * var, rtol=1e-12)
    np.testing.assert_allclose(layer.xc, rows - mean, atol=1e-14)
    np.testing.assert_allclose(layer.std, np.sqrt(var + 1e-6), rtol=1e-12)
    np.testing.assert_allclose(layer.xn, (rows - mean) / np.sqrt(var + 1e-6), atol=1e-12)
    assert layer.batch_size == len(x) and layer.input_shape == shape
    dx = layer.backward(dout)
    for analytic, argument in ((dx, x), (layer.dgamma, gamma), (layer.dbeta, beta)):
        numeric = gradient_of(lambda: layers.BatchNormalization(gamma, beta).forward(x), argument, dout)
        np.testing.assert_allclose(analytic, numeric, rtol=1e-5, atol=1e-7)
    test = layer.forward(x, train_flg=False)
    expected = gamma * (rows - layer.running_mean) / np.sqrt(layer.running_var + 1e-6) + beta
    np.testing.assert_allclose(test, expected.reshape(shape), rtol=1e-9, atol=1e-12)
    given = np.zeros(features)
    layers.BatchNormalization(gamma, beta, running_mean=given, running_var=np.ones(features)).forward(x)
    assert not given.any()  # the averages are new arrays


@pytest.mark.parametrize(("window", "stride"), [((2, 2), 2), ((3, 2), 1), ((2, 3), 3)])
def test_pooling(window, stride):
    rng = np.random.default_rng(10)
    x = rng.permutation(2 * 3 * 6 * 7).reshape(2, 3, 6, 7) / 100
    layer = layers.Pooling(*window, stride=stride)
    out = layer.forward(x)
    rows = rows_by_loops(x, *window, stride, 0).reshape(-1, window[0] * window[1])
    np.testing.assert_array_equal(out.transpose(0, 2, 3, 1).reshape(-1), rows.max(axis=1))
    np.testing.assert_array_equal(layer.arg_max, rows.argmax(axis=1))
    dout = rng.normal(size=out.shape)
    dx = layer.backward(dout)
    np.testing.assert_allclose(dx, gradient_of(lambda: layers.Pooling(*window, stride=stride).forward(x), x, dout), atol=1e-8)
    assert layers.Pooling(2, 2).stride == 2


def test_pooling_gives_ties_to_the_first_and_pads_with_nothing():
    x = np.full((1, 1, 4, 4), -3.0)
    layer = layers.Pooling(2, 2, stride=2)
    layer.forward(x)
    np.testing.assert_array_equal(layer.backward(np.ones((1, 1, 2, 2)))[0, 0], [[1, 0, 1, 0], [0] * 4, [1, 0, 1, 0], [0] * 4])
    padded = layers.Pooling(2, 2, stride=2, pad=1)
    np.testing.assert_array_equal(padded.forward(x), np.full((1, 1, 3, 3), -3.0))
    np.testing.assert_array_equal(padded.arg_max, [3, 2, 2, 1, 0, 0, 1, 0, 0])


class ConvNet:
    """The book's network of section 7.5: conv, relu, pool, affine, relu, affine, softmax."""

    def __init__(self, image=(1, 10, 10), filters=10, size=3, hidden=10, classes=10, std=0.01):
        conv_size = image[1] - size + 1
        self.params = {
            "W1": std * np.random.randn(filters, image[0], size, size),
            "b1": np.zeros(filters),
            "W2": std * np.random.randn(filters * (conv_size // 2) ** 2, hidden),
            "b2": np.zeros(hidden),
            "W3": std * np.random.randn(hidden, classes),
            "b3": np.zeros(classes),
        }
        p = self.params
        self.layers = [
            layers.Convolution(p["W1"], p["b1"]),
            layers.Relu(),
            layers.Pooling(2, 2, stride=2),
            layers.Affine(p["W2"], p["b2"]),
            layers.Relu(),
            layers.Affine(p["W3"], p["b3"]),
        ]
        self.last = layers.SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last.forward(self.predict(x), t)

    def accuracy(self, x, t):
        return np.mean(np.argmax(self.predict(x), axis=1) == t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last.backward(1)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        conv, affine, output = (self.layers[i] for i in (0, 3, 5))
        return {"W1": conv.dW, "b1": conv.db, "W2": affine.dW, "b2": affine.db, "W3": output.dW, "b3": output.db}


def test_the_books_gradient_check():
    np.random.seed(11)
    network = ConvNet(std=0.1)
    x, t = np.random.rand(100).reshape(1, 1, 10, 10), np.array([1]).reshape(1, 1)
    analytic = network.gradient(x, t)
    for name, array in network.params.items():
        numeric = gradient.numerical_gradient(lambda _: network.loss(x, t), array)
        assert analytic[name].shape == array.shape
        assert np.average(np.abs(analytic[name] - numeric)) < 1e-6, name  # the loss has 1e-7 in its logarithm


def stripes(samples):
    """Images of horizontal (0) and vertical (1) stripes with noise."""
    rng = np.random.default_rng(12)
    t = rng.integers(2, size=samples)
    x = rng.normal(scale=0.3, size=(samples, 1, 10, 10))
    for image, label in zip(x, t, strict=True):
        (image[0] if label == 0 else image[0].T)[::2] += 1
    return x, t


def test_trainer(capsys):
    x, t = stripes(120)
    np.random.seed(13)
    network = ConvNet(filters=4, hidden=8, classes=2, std=0.1)
    arrays = dict(network.params)
    run = trainer.Trainer(
        network, x[:80], t[:80], x[80:], t[80:], epochs=4, mini_batch_size=10, optimizer="Adam", evaluate_sample_num_per_epoch=40,
        optimizer_param={"lr": 0.01},
    )  # fmt: skip
    after_network = np.random.get_state()
    run.train()
    assert isinstance(run.optimizer, optimizer.Adam) and run.max_iter == run.current_iter == len(run.train_loss_list) == 32
    assert run.current_epoch == len(run.train_acc_list) == len(run.test_acc_list) == 4
    assert run.train_loss_list[-1] < 0.3 < run.train_loss_list[0] and run.test_acc_list[-1] > 0.9
    assert all(network.params[name] is array for name, array in arrays.items())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"train loss:{run.train_loss_list[0]}"
    assert lines[1] == f"=== epoch:1, train acc:{run.train_acc_list[0]}, test acc:{run.test_acc_list[0]} ==="
    assert lines[-2] == "=============== Final Test Accuracy ===============" and len(lines) == 32 + 4 + 2
    ended = np.random.rand()
    np.random.set_state(after_network)
    for _ in range(32):
        np.random.choice(80, 10)
    assert ended == np.random.rand()  # the batches were all that was drawn
    with pytest.raises(ValueError, match="one of sgd, momentum.*got 'rms'"):
        trainer.Trainer(network, x, t, x, t, optimizer="rms")


# ---- common.optimizer


def by_formula(rule, w, g, state, lr):
    """One step of a rule on arrays, as the book writes it; `state` starts empty."""
    zero = np.zeros_like(w)
    if rule == "SGD":
        return w - lr * g
    if rule in ("Momentum", "Nesterov"):
        v = state["v"] = 0.9 * state.get("v", zero) - lr * g
        return w + v if rule == "Momentum" else w + 0.9 * 0.9 * v - 1.9 * lr * g
    if rule in ("AdaGrad", "RMSprop"):
        h = state.get("h", zero)
        h = state["h"] = h + g * g if rule == "AdaGrad" else 0.99 * h + (1 - 0.99) * g * g
        return w - lr * g / (np.sqrt(h) + 1e-7)
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = 0.9 * state.get("m", zero) + 0.1 * g
    v = state["v"] = 0.999 * state.get("v", zero) + 0.001 * g**2
    return w - lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)


RULES = ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", [dict, list])
def test_rules(rule, kind):
    rng = np.random.default_rng(14)
    start = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4), "F": np.asfortranarray(rng.normal(size=(2, 5)))}
    names = list(start) if kind is dict else range(3)
    params = {name: array.copy(order="K") for name, array in start.items()}
    params = params if kind is dict else list(params.values())
    expected = dict(zip(names, (array.copy() for array in start.values()), strict=True))
    arrays = [params[name] for name in names]
    step = getattr(optimizer if kind is dict else optimizer2, rule)(lr=0.05)
    states = {name: {} for name in names}
    for _ in range(4):
        grads = {name: rng.normal(size=params[name].shape) for name in names}
        grads[names[1]][0] = 0  # where nothing was accumulated yet, 1e-7 is all that is divided by
        step.update(params, grads if kind is dict else list(grads.values()))
        for name in names:
            expected[name] = by_formula(rule, expected[name], grads[name], states[name], 0.05)
            np.testing.assert_allclose(params[name], expected[name], rtol=1e-12, atol=1e-14)
    assert all(params[name] is array for name, array in zip(names, arrays, strict=True))
    for attribute in ("v", "h", "m"):
        if attribute in states[names[0]]:
            for name in names:
                np.testing.assert_allclose(getattr(step, attribute)[name], states[name][attribute], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rule", RULES)
def test_rules_on_plain_numbers(rule):
    """Section 6.1 compares the rules on f(x, y) = x**2 / 20 + y**2, its parameters two numbers."""
    params, state = {"x": -7.0, "y": 2}, ({}, {})
    expected = [-7.0, 2.0]
    step = getattr(optimizer, rule)(lr=0.1)
    for _ in range(3):
        grads = {"x": params["x"] / 10.0, "y": 2.0 * params["y"]}
        expected = [by_formula(rule, np.float64(w), g, s, 0.1) for w, g, s in zip(expected, grads.values(), state, strict=True)]
        step.update(params, grads)
        np.testing.assert_allclose([params["x"], params["y"]], expected, rtol=1e-12)


def test_adam_counts_its_steps_and_float32_stays():
    step, params = optimizer.Adam(), {"W": np.ones((2, 2), dtype=np.float32)}
    array = params["W"]
    step.update(params, {"W": np.ones((2, 2))})
    assert step.iter == 1 and array is params["W"] and array.dtype == step.m["W"].dtype == np.float32
    np.testing.assert_allclose(array, 0.999, rtol=1e-5)


# ---- volume 2


def test_products_write_their_gradients_in_place():
    rng = np.random.default_rng(15)
    w, b = rng.normal(size=(3, 4)), rng.normal(size=4)
    for shape in ((5, 3), (2, 5, 3), (3,)):
        x, dout = rng.normal(size=shape), rng.normal(size=(*shape[:-1], 4))
        for layer, out in ((layers2.Affine(w, b), x @ w + b), (layers2.MatMul(w), x @ w)):
            assert layer.params[0] is w
            collected = list(layer.grads)
            np.testing.assert_allclose(layer.forward(x), out, rtol=1e-12)
            np.testing.assert_allclose(layer.backward(dout), dout @ w.T, rtol=1e-12)
            assert all(kept is grad for kept, grad in zip(collected, layer.grads, strict=True))
            np.testing.assert_allclose(collected[0], x.reshape(-1, 3).T @ dout.reshape(-1, 4), rtol=1e-12)
            if len(collected) == 2:
                np.testing.assert_allclose(collected[1], dout.reshape(-1, 4).sum(axis=0), rtol=1e-12)
    assert layers2.MatMul(w.astype("f")).forward(np.ones((1, 3), "f")).dtype == np.float32


def test_softmax_layers():
    rng = np.random.default_rng(16)
    x, t, dout = rng.normal(size=(5, 4)), rng.integers(4, size=5), rng.normal(size=(5, 4))
    layer = layers2.Softmax()
    layer.forward(x)
    np.testing.assert_allclose(layer.backward(dout), gradient_of(lambda: layers2.Softmax().forward(x), x, dout), atol=1e-8)
    layer = layers2.SoftmaxWithLoss()
    loss = layer.forward(x, np.eye(4)[t])
    np.testing.assert_array_equal(layer.t, t)
    assert loss == layers2.SoftmaxWithLoss().forward(x, t) == pytest.approx(-np.log(layer.y[range(5), t] + 1e-7).mean())
    np.testing.assert_allclose(layer.backward(dout=3), 3 * (layer.y - np.eye(4)[t]) / 5, atol=1e-15)
    assert layer.params == layer.grads == []


def test_sigmoid_with_loss():
    rng = np.random.default_rng(17)
    x, t = rng.normal(size=6), rng.integers(2, size=6)
    layer = layers2.SigmoidWithLoss()
    y = 1 / (1 + np.exp(-x))
    assert layer.forward(x, t) == layer.loss == pytest.approx(-np.log(np.where(t == 1, y, 1 - y) + 1e-7).mean())
    np.testing.assert_allclose(layer.backward(2), 2 * (y - t) / 6, rtol=1e-12)
    sigmoid = layers2.Sigmoid()
    np.testing.assert_allclose(sigmoid.forward(x), y, rtol=1e-12)
    np.testing.assert_allclose(sigmoid.backward(np.ones(6)), y * (1 - y), rtol=1e-12)
    assert sigmoid.params == sigmoid.grads == layers2.Dropout().params == []


def test_embedding():
    w = np.arange(12.0).reshape(4, 3)
    layer = layers2.Embedding(w)
    (collected,) = layer.grads
    np.testing.assert_array_equal(layer.forward([1, 3, 1]), w[[1, 3, 1]])
    collected[...] = 99
    assert layer.backward(np.ones((3, 3))) is None
    assert layer.grads[0] is collected
    np.testing.assert_array_equal(collected, [[0] * 3, [2] * 3, [0] * 3, [1] * 3])


class TwoLayerNet:
    def __init__(self, inputs, hidden, outputs):
        w1, b1 = 0.01 * np.random.randn(inputs, hidden), np.zeros(hidden)
        w2, b2 = 0.01 * np.random.randn(hidden, outputs), np.zeros(outputs)
        self.layers = [layers2.Affine(w1, b1), layers2.Sigmoid(), layers2.Affine(w2, b2)]
        self.last = layers2.SoftmaxWithLoss()
        self.params = [array for layer in self.layers for array in layer.params]
        self.grads = [array for layer in self.layers for array in layer.grads]

    def forward(self, x, t):
        for layer in self.layers:
            x = layer.forward(x)
        return self.last.forward(x, t)

    def backward(self):
        dout = self.last.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)


def spiral():
    """The spirals of volume 2, chapter 1: 100 points in each of 3 arms, one-hot targets."""
    np.random.seed(1984)
    x, t = np.zeros((300, 2)), np.zeros((300, 3), dtype=int)
    for arm in range(3):
        for i in range(100):
            radius = i / 100
            angle = arm * 4.0 + 4.0 * radius + np.random.randn() * 0.2
            x[100 * arm + i] = radius * np.sin(angle), radius * np.cos(angle)
            t[100 * arm + i, arm] = 1
    return x, t


def test_spirals_are_learned_as_the_book_prints_it(capsys):
    x, t = spiral()
    run = trainer2.Trainer(TwoLayerNet(2, 10, 3), optimizer2.SGD(lr=1.0))
    run.fit(x, t, max_epoch=300, batch_size=30, eval_interval=10)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(run.loss_list) == run.current_epoch == 300
    assert lines[0].startswith("| epoch 1 |  iter 1 / 10 | time 0[s] | loss 1.1")
    assert run.loss_list[-1] < 0.13  # the book prints 0.11


def test_shared_parameters_get_the_sum_of_their_gradients():
    w, tied, other = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3).T.copy(), np.ones(2)
    params, grads = [w, other, w, tied], [np.ones((2, 3)), np.ones(2), 2 * np.ones((2, 3)), 4 * np.ones((3, 2))]
    first = grads[0]
    kept, sums = trainer2.remove_duplicate(params, grads)
    assert [array is given for array, given in zip(kept, (w, other), strict=True)] == [True, True]
    assert sums[0] is first and (first == 7).all() and (sums[1] == 1).all() and len(params) == len(grads) == 4


def test_large_gradients_are_clipped():
    class Model:
        params, grads = [np.zeros(2)], [np.array([30.0, 40.0])]

        def forward(self, x, t):
            return 0.0

        def backward(self):
            self.grads[0][...] = [30.0, 40.0]

    trainer2.Trainer(Model(), optimizer2.SGD(lr=1.0)).fit(
        np.zeros(4), np.zeros(4), 1, batch_size=4, max_grad=5.0, eval_interval=None
    )
    np.testing.assert_allclose(Model.params[0], [-3, -4], rtol=1e-6)


# ---- what course code may do to NumPy, and names


def test_patched_numpy_makes_no_difference(monkeypatch):
    """Course code patches np.dot, and the default dtype of np.zeros and np.eye."""

    def everything():
        np.random.seed(18)
        network = ConvNet(filters=3, hidden=4, classes=3)
        grads = network.gradient(np.random.rand(2, 1, 10, 10), np.array([0, 2]))
        norm = layers.BatchNormalization(np.ones(4), np.zeros(4))
        rows = np.random.rand(5, 4)
        two = TwoLayerNet(4, 3, 3)
        two.forward(rows, np.array([0, 1, 2, 0, 1]))
        two.backward()
        arrays = [*grads.values(), norm.forward(rows), norm.backward(rows), norm.running_mean, *two.grads]
        for rule in RULES:
            params = {name: array.copy() for name, array in grads.items()}
            getattr(optimizer, rule)().update(params, grads)
            arrays += params.values()
        return arrays

    expected = everything()
    zeros = np.zeros
    monkeypatch.setattr(np, "dot", lambda *_: pytest.fail("np.dot was called"))
    monkeypatch.setattr(np, "zeros", lambda shape, dtype=np.float64: zeros(shape, dtype))
    monkeypatch.setattr(np, "eye", lambda *_, **__: pytest.fail("np.eye was called"))
    for patched, result in zip(everything(), expected, strict=True):
        assert patched.dtype == np.float64
        np.testing.assert_array_equal(patched, result)


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("dlfs.functions", "identity_function step_function sigmoid sigmoid_grad relu relu_grad softmax sum_squared_error "
                           "mean_squared_error cross_entropy_error softmax_loss np"),
        ("dlfs.layers", "Relu Sigmoid Affine SoftmaxWithLoss Dropout BatchNormalization Convolution Pooling im2col col2im "
                        "identity_function step_function sigmoid sigmoid_grad relu relu_grad softmax sum_squared_error "
                        "mean_squared_error cross_entropy_error softmax_loss np"),
        ("dlfs.util", "smooth_curve shuffle_dataset conv_output_size im2col col2im np"),
        ("dlfs.gradient", "numerical_gradient numerical_gradient_2d np"),
        ("dlfs.optimizer", "SGD Momentum Nesterov AdaGrad RMSprop Adam np"),
        ("dlfs.trainer", "Trainer SGD Momentum Nesterov AdaGrad RMSprop Adam np"),
        ("dlfs2.layers", "MatMul Affine Softmax SoftmaxWithLoss Sigmoid SigmoidWithLoss Dropout Embedding softmax sigmoid "
                         "cross_entropy_error GPU np"),
        ("dlfs2.functions", "sigmoid relu softmax cross_entropy_error np"),
        ("dlfs2.optimizer", "SGD Momentum Nesterov AdaGrad RMSprop Adam np"),
    ],
)  # fmt: skip
def test_import_star_gives_the_books_names(module, names):
    namespace = {}
    exec(f"from fastnn.compat.{module} import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(names.split())


# ---- wrong arguments

IMAGES = np.zeros((2, 3, 5, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: util.im2col(IMAGES[0], 3, 3), ValueError, r"\(H \+ 2 \* pad - filter_h\) // stride \+ 1.*got shape \(3, 5, 5\)"),
        (lambda: util.im2col(IMAGES, 6, 3), ValueError, "must be at least 1; got .*filter_h 6, filter_w 3, stride 1, pad 0"),
        (lambda: util.im2col(IMAGES, 3, 3, stride=1.5), TypeError, "stride must be an integer; got 1.5"),
        (lambda: util.im2col(IMAGES, 3, 3, pad=-1), ValueError, "pad must be an integer of at least 0"),
        (lambda: util.col2im(np.zeros((9, 27)), (2, 3, 5, 5), 3, 3), ValueError, r"\(18, 27\); got col \(9, 27\)"),
        (lambda: util.shuffle_dataset(np.zeros((3, 2)), np.zeros(4)), ValueError, r"x \(3, 2\), t \(4,\)"),
        (
            lambda: layers.Affine(np.zeros((4, 2)), np.zeros(2)).forward(np.zeros((3, 5))),
            ValueError,
            r"x @ W \+ b; got x \(3, 5\), W \(4, 2\)",
        ),
        (
            lambda: layers.Affine(np.zeros((5, 2)), np.zeros(3)).forward(np.zeros((3, 5))),
            ValueError,
            r"b \(out,\), and gives x @ W \+ b; got .*W \(5, 2\), b \(3,\)",
        ),
        (
            lambda: layers.Convolution(np.zeros((2, 1, 3, 3)), np.zeros(2)).forward(IMAGES),
            ValueError,
            r"H \+ 2 \* pad - FH.*W \(2, 1, 3, 3\)",
        ),
        (lambda: layers.Pooling(6, 2).forward(IMAGES), ValueError, "must be at least 1; got .*filter_h 6"),
        (lambda: layers.Pooling(2, 2).forward(IMAGES[0]), ValueError, r"N, C, H, W.*got x \(3, 5, 5\)"),
        (
            lambda: layers.SoftmaxWithLoss().forward(np.zeros((2, 3)), np.array([0.0, 1.0])),
            ValueError,
            "integer labels.*dtype float64",
        ),
        (lambda: layers.SoftmaxWithLoss().forward(np.zeros((2, 3)), np.array([0, 3])), ValueError, "C 3, t from 0 to 3"),
        (lambda: layers.SoftmaxWithLoss().forward(np.zeros((2, 3)), np.array([0, 1, 2])), ValueError, r"y \(2, 3\), t \(3,\)"),
        (
            lambda: layers.BatchNormalization(np.ones(3), np.zeros(3)).forward(np.zeros((2, 4))),
            ValueError,
            r"D is C \* H \* W for images; got x \(.*\), gamma \(3,\)",
        ),
        (
            lambda: layers.Affine(np.zeros((5, 2)), np.zeros((2, 1))).forward(np.zeros((2, 5))),
            ValueError,
            r"b \(out,\).*got .*b \(2, 1\)",
        ),
        (
            lambda: layers.SoftmaxWithLoss().forward(np.zeros((2, 3)), np.eye(3)[:2].T),
            ValueError,
            r"\(N, C\) of one-hot rows; got y \(2, 3\), t \(3, 2\)",
        ),
        (lambda: functions.sum_squared_error(np.ones(3), np.ones(4)), ValueError, r"the same shape.*got y \(3,\), t \(4,\)"),
        (lambda: optimizer.SGD().update({"W": np.ones(3)}, {"b": np.ones(3)}), KeyError, r"'W' is not among \['b'\]"),
        (lambda: gradient.numerical_gradient(np.sin, np.ones(3)), ValueError, r"f must return one number.*shape \(3,\)"),
        (lambda: gradient.numerical_gradient(sum, np.arange(3)), TypeError, "floats, as x.astype"),
        (lambda: gradient.numerical_gradient(sum, [1.0]), TypeError, "got list"),
        (
            lambda: optimizer.SGD().update({"W": np.arange(3)}, {"W": np.ones(3)}),
            TypeError,
            r"params\['W'\] is updated in place.*int64",
        ),
        (
            lambda: optimizer.Adam().update({"W": np.ones(3)}, {"W": np.ones(4)}),
            ValueError,
            r"grads\['W'\] must have the shape.*\(3,\); got \(4,\)",
        ),
        (lambda: layers2.MatMul(np.zeros((3, 2))).forward(np.zeros((4, 2))), ValueError, r"got x \(4, 2\), W \(3, 2\)"),
        (lambda: layers2.Embedding(np.zeros((3, 2))).forward([0.5]), ValueError, "idx of dtype float64"),
    ],
)
def test_wrong_arguments_are_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_one_hot_rows_of_one_sample_may_lack_the_axis_of_samples():
    layer = layers.SoftmaxWithLoss()
    loss = layer.forward(np.array([[1.0, 2.0, 4.0]]), np.array([0, 0, 1]))
    assert loss == pytest.approx(-np.log(np.exp(4) / (np.exp(1) + np.exp(2) + np.exp(4)) + 1e-7), rel=1e-12)
    assert layer.backward().shape == (1, 3)


def test_parameters_in_a_list_are_replaced():
    params = {"w": [1.0, 2.0]}
    optimizer.SGD(lr=0.5).update(params, {"w": np.array([1.0, 4.0])})
    np.testing.assert_array_equal(params["w"], [0.5, 0.0])


W, B, FILTERS = np.zeros((5, 2)), np.zeros(2), np.zeros((2, 3, 3, 3))


@pytest.mark.parametrize(
    "layer",
    [
        *[layers.Relu(), layers.Sigmoid(), layers.Affine(W, B), layers.SoftmaxWithLoss(), layers.Dropout()],
        *[layers.BatchNormalization(B, B), layers.Convolution(FILTERS, B), layers.Pooling(2, 2)],
        *[layers2.MatMul(W), layers2.Affine(W, B), layers2.Softmax(), layers2.SoftmaxWithLoss(), layers2.Sigmoid()],
        *[layers2.SigmoidWithLoss(), layers2.Dropout(), layers2.Embedding(W)],
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_backward_needs_forward(layer):
    with pytest.raises(RuntimeError, match=f"{type(layer).__name__}.backward needs .*call forward first"):
        layer.backward(np.ones((3, 2)))


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        *[(layers.Affine(W, B), np.ones((3, 5))), (layers2.Affine(W, B), np.ones((3, 5)))],
        *[(layers.Convolution(FILTERS, B), IMAGES), (layers.Pooling(2, 2), IMAGES)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_backward_takes_gradients_of_the_output(layer, x):
    y = layer.forward(x)
    with pytest.raises(ValueError, match="dout must have the shape of the output"):
        layer.backward(y[:1])
