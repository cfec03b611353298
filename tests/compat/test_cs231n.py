"""CS231n's functions against loops written here, central differences, and the numbers and tolerances of the course's notebooks."""

import pickle

import numpy as np
import pytest

from fastnn.compat import channels_first
from fastnn.compat.cs231n import fast_layers, im2col, im2col_cython, layer_utils, layers, optim


def rel_error(x, y):
    """The course's measure: the largest |x - y| / max(1e-8, |x| + |y|)."""
    return np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y)))


def numerical_gradient(f, x, df, h=1e-5):
    """Central differences of sum(f(x) * df), changing x in place as the course's own does."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        old = x[index]
        x[index] = old + h
        above = f(x).copy()
        x[index] = old - h
        below = f(x).copy()
        x[index] = old
        gradient[index] = np.sum((above - below) * df) / (2 * h)
    return gradient


def conv_by_loops(x, w, b, stride, pad):
    n, _, height, width = x.shape
    filters, _, hh, ww = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.empty((n, filters, 1 + (height + 2 * pad - hh) // stride, 1 + (width + 2 * pad - ww) // stride))
    for i, f, r, c in np.ndindex(out.shape):
        out[i, f, r, c] = (padded[i, :, r * stride : r * stride + hh, c * stride : c * stride + ww] * w[f]).sum() + b[f]
    return out


def columns_by_loops(x, fh, fw, pad, stride):
    """Patches as (C * fh * fw, OH, OW, N)."""
    n, c, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = 1 + (height + 2 * pad - fh) // stride, 1 + (width + 2 * pad - fw) // stride
    cols = np.empty((c * fh * fw, rows, columns, n), dtype=x.dtype)
    for r, q, i in np.ndindex(rows, columns, n):
        cols[:, r, q, i] = padded[i, :, r * stride : r * stride + fh, q * stride : q * stride + fw].reshape(-1)
    return cols


def pool_by_loops(x, height, width, stride):
    n, c, h, w = x.shape
    out = np.empty((n, c, 1 + (h - height) // stride, 1 + (w - width) // stride))
    for i, j, r, q in np.ndindex(out.shape):
        out[i, j, r, q] = x[i, j, r * stride : r * stride + height, q * stride : q * stride + width].max()
    return out


# ---- convolution

GEOMETRIES = [  # image, filters (height, width), stride, pad
    ((7, 8), (3, 3), 1, 1),
    ((9, 7), (3, 3), 2, 1),
    ((6, 7), (2, 3), 1, 0),  # not square
    ((7, 6), (4, 1), 1, 2),
    ((8, 8), (3, 3), 2, 1),  # the last row and column are not reached
    ((5, 6), (2, 2), 3, 0),  # pixels between the windows are left out
    ((4, 4), (3, 3), 1, 3),  # windows that lie wholly in the padding
]


@pytest.mark.parametrize(("image", "size", "stride", "pad"), GEOMETRIES)
def test_convolution(image, size, stride, pad):
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(2, 3, *image)), rng.normal(size=(4, 3, *size)), rng.normal(size=4)
    conv_param = {"stride": stride, "pad": pad}
    expected = conv_by_loops(x, w, b, stride, pad)
    dout = rng.normal(size=expected.shape)
    results = []
    for forward, backward in (
        (layers.conv_forward_naive, layers.conv_backward_naive),
        (fast_layers.conv_forward_fast, fast_layers.conv_backward_fast),
    ):
        out, cache = forward(x, w, b, conv_param)
        assert out.flags.c_contiguous and out.shape == expected.shape
        assert rel_error(out, expected) < 1e-8
        gradients = backward(dout, cache)
        for gradient, argument in zip(gradients, (x, w, b), strict=True):
            numeric = numerical_gradient(lambda _: forward(x, w, b, conv_param)[0], argument, dout)  # noqa: B023
            assert gradient.shape == argument.shape
            np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)
        results.append((out, *gradients))
    for naive, fast in zip(*results, strict=True):
        assert rel_error(naive, fast) == 0


@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize(("image", "size", "stride", "pad"), GEOMETRIES)
def test_images_of_a_batch_have_gradients_of_their_own(image, size, stride, pad, channels):
    rng = np.random.default_rng(20)
    x, w, b = rng.normal(size=(9, channels, *image)), rng.normal(size=(4, channels, *size)), np.zeros(4)
    out, cache = fast_layers.conv_forward_fast(x, w, b, {"stride": stride, "pad": pad})
    dout = rng.normal(size=out.shape)
    dx, _, _ = fast_layers.conv_backward_fast(dout, cache)
    for i in range(9):
        alone, _, _ = fast_layers.conv_backward_fast(dout[i : i + 1], (x[i : i + 1], *cache[1:]))
        np.testing.assert_allclose(dx[i : i + 1], alone, rtol=1e-10, atol=1e-12)


def test_the_pieces_of_a_large_batch_are_put_together(monkeypatch):
    rng = np.random.default_rng(21)
    x, w, b = rng.normal(size=(5, 2, 6, 7)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
    expected = conv_by_loops(x, w, b, 1, 1)
    dout, results = rng.normal(size=expected.shape), []
    for images in (1, 2, 5):
        monkeypatch.setattr(channels_first, "PIECE_BYTES", (x.nbytes + dout.nbytes) * images // 5)
        out, cache = fast_layers.conv_forward_fast(x, w, b, {"stride": 1, "pad": 1})
        np.testing.assert_allclose(out, expected, rtol=1e-10, atol=1e-12)
        results.append(fast_layers.conv_backward_fast(dout, cache))
    for gradients in zip(*results, strict=True):
        for of_pieces in gradients[:2]:
            np.testing.assert_allclose(of_pieces, gradients[2], rtol=1e-10, atol=1e-12)


def test_convolution_has_the_notebooks_numbers():
    x = np.linspace(-0.1, 0.5, num=96).reshape(2, 3, 4, 4)
    w = np.linspace(-0.2, 0.3, num=144).reshape(3, 3, 4, 4)
    b = np.linspace(-0.1, 0.2, num=3)
    out, cache = layers.conv_forward_naive(x, w, b, {"stride": 2, "pad": 1})
    expected = [
        [
            [[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]],
            [[0.21027089, 0.21661097], [0.22847626, 0.23004637]],
            [[0.50813986, 0.54309974], [0.64082444, 0.67101435]],
        ],
        [
            [[-0.98053589, -1.03143541], [-1.19128892, -1.24695841]],
            [[0.69108355, 0.66880383], [0.59480972, 0.56776003]],
            [[2.36270298, 2.36904306], [2.38090835, 2.38247847]],
        ],
    ]
    assert rel_error(out, np.array(expected)) < 1e-7
    assert len(cache) == 4 and all(kept is given for kept, given in zip(cache, (x, w, b), strict=False))


@pytest.mark.parametrize("order", ["F", "transposed", "sliced"])
def test_order_in_memory_makes_no_difference(order):
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(3, 2, 5, 5)), rng.normal(size=(3, 2, 3, 3)), rng.normal(size=3)
    other = {
        "F": np.asfortranarray(x),
        "transposed": np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "sliced": np.repeat(x, 2, axis=0)[::2],
    }[order]
    assert not other.flags.c_contiguous
    out, cache = fast_layers.conv_forward_strides(other, w, b, {"stride": 1, "pad": 1})
    np.testing.assert_allclose(out, conv_by_loops(x, w, b, 1, 1), rtol=1e-12, atol=1e-12)
    dout = np.asfortranarray(rng.normal(size=out.shape))
    right = fast_layers.conv_backward_strides(np.ascontiguousarray(dout), (x, *cache[1:]))
    for gradient, expected in zip(fast_layers.conv_backward_strides(dout, cache), right, strict=True):
        np.testing.assert_array_equal(gradient, expected)
    np.testing.assert_array_equal(im2col_cython.im2col_cython(other, 3, 3, 1, 1), im2col_cython.im2col_cython(x, 3, 3, 1, 1))


def test_the_cache_has_the_columns():
    rng = np.random.default_rng(2)
    x, w, b = rng.normal(size=(2, 3, 5, 5)), rng.normal(size=(4, 3, 3, 3)), np.zeros(4)
    expected = columns_by_loops(x, 3, 3, 1, 2)
    *_, batch_last = fast_layers.conv_forward_im2col(x, w, b, {"stride": 2, "pad": 1})[1]
    *rest, batch_first = fast_layers.conv_forward_strides(x, w, b, {"stride": 2, "pad": 1})[1]
    assert all(kept is given for kept, given in zip(rest, (x, w, b), strict=False)) and rest[3] == {"stride": 2, "pad": 1}
    np.testing.assert_array_equal(batch_last, expected.reshape(27, -1))
    np.testing.assert_array_equal(batch_first, expected.transpose(0, 3, 1, 2).reshape(27, -1))
    weights = rng.normal(size=(4, 27))  # used as the course uses it
    np.testing.assert_allclose(weights.dot(batch_first), weights @ np.asarray(batch_first))
    np.testing.assert_allclose(np.ones((1, 18)).dot(batch_first.T)[0], expected.sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(batch_first)), batch_first)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("float32", "float32"), "float32"),
        (("float32", "float64"), "float64"),
        (("float16", "float16"), "float16"),
        (("int64", "float32"), "float64"),
        (("uint8", "float32"), "float32"),
    ],
)
def test_dtypes_follow_numpys_promotion(dtypes, expected):
    x = np.arange(32).reshape(1, 2, 4, 4).astype(dtypes[0])
    w = (np.arange(36).reshape(2, 2, 3, 3) % 5).astype(dtypes[1])
    b = np.zeros(2, dtype=dtypes[1])
    for forward in (fast_layers.conv_forward_fast, layers.conv_forward_naive):
        assert forward(x, w, b, {"stride": 1, "pad": 0})[0].dtype == expected
    out, cache = layers.affine_forward(x, np.resize(w, (32, 2)), b)
    assert out.dtype == expected
    for gradient in layers.affine_backward(out, cache):
        assert gradient.dtype == expected
    assert layers.relu_forward(x)[0].dtype == dtypes[0]
    assert im2col_cython.im2col_cython(x, 3, 3, 0, 1).dtype == dtypes[0]


def test_integers_and_lists():
    out, cache = layers.affine_forward([[1, 2], [3, 4]], [[1, 0, 2], [0, 1, 3]], [10, 20, 30])
    assert out.dtype == np.int64
    np.testing.assert_array_equal(out, [[11, 22, 38], [13, 24, 48]])
    dx, dw, db = layers.affine_backward([[1, 0, 0], [0, 1, 1]], cache)
    np.testing.assert_array_equal(dx, [[1, 0], [2, 4]])
    np.testing.assert_array_equal(dw, [[1, 3, 3], [2, 4, 4]])
    np.testing.assert_array_equal(db, [1, 1, 1])
    np.testing.assert_array_equal(layers.relu_forward([-1, 0, 2])[0], [0, 0, 2])
    image = [[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]
    out, _ = fast_layers.conv_forward_fast(image, [[[[1, 0], [0, -1]]]], [100], {"stride": 1, "pad": 0})
    np.testing.assert_array_equal(out, [[[[96, 96], [96, 96]]]])
    out, _ = fast_layers.max_pool_forward_fast(image, {"pool_height": 2, "pool_width": 2, "stride": 1})
    np.testing.assert_array_equal(out, [[[[5, 6], [8, 9]]]])


# ---- im2col and col2im


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("image", "size", "stride", "pad"), GEOMETRIES)
def test_columns(image, size, stride, pad, dtype):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 2, *image)).astype(dtype)
    cols = im2col_cython.im2col_cython(x, *size, pad, stride)
    expected = columns_by_loops(x, *size, pad, stride)
    assert cols.dtype == dtype
    np.testing.assert_array_equal(cols, expected.reshape(len(cols), -1))
    # the transpose: sum(cols * im2col(x)) = sum(col2im(cols) * x) for every x
    weights = rng.normal(size=cols.shape).astype(dtype)
    back = im2col_cython.col2im_cython(weights, *x.shape, *size, pad, stride)
    six = weights.reshape(2, *size, *expected.shape[1:]).transpose(0, 1, 2, 5, 3, 4)
    np.testing.assert_array_equal(im2col_cython.col2im_6d_cython(six, *x.shape, *size, pad, stride), back)
    summed = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        one = np.zeros(x.shape)
        one[index] = 1
        summed[index] = (columns_by_loops(one, *size, pad, stride).reshape(cols.shape) * weights).sum()
    np.testing.assert_allclose(back, summed, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-5 if dtype == "float32" else 1e-12)
    assert back.dtype == dtype


def test_index_arrays_pick_the_same_columns():
    x = np.random.default_rng(4).normal(size=(2, 3, 5, 7))
    k, i, j = im2col.get_im2col_indices(x.shape, 3, 2, padding=1, stride=1)
    assert k.shape == (18, 1) and i.shape == j.shape == (18, 5 * 8)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    picked = padded[:, k, i, j].transpose(1, 2, 0).reshape(18, -1)
    np.testing.assert_array_equal(im2col.im2col_indices(x, 3, 2, padding=1, stride=1), picked)
    back = im2col.col2im_indices(picked, x.shape, 3, 2, padding=1, stride=1)
    summed = np.zeros_like(padded)
    np.add.at(summed, (slice(None), k, i, j), picked.reshape(18, -1, 2).transpose(2, 0, 1))
    np.testing.assert_allclose(back, summed[:, :, 1:-1, 1:-1], rtol=1e-12)


# ---- pooling


@pytest.mark.parametrize(
    ("image", "pool"),
    [((8, 8), (2, 2, 2)), ((5, 6), (3, 2, 1)), ((7, 7), (3, 3, 2)), ((5, 5), (2, 2, 3)), ((6, 6), (3, 3, 3))],
)
def test_max_pooling(image, pool):
    rng = np.random.default_rng(5)
    x = rng.permutation(2 * 3 * image[0] * image[1]).reshape(2, 3, *image) / 10.0
    pool_param = dict(zip(("pool_height", "pool_width", "stride"), pool, strict=True))
    expected = pool_by_loops(x, *pool)
    dout = rng.normal(size=expected.shape)
    numeric = numerical_gradient(lambda x: pool_by_loops(x, *pool), x, dout)
    for forward, backward in (
        (layers.max_pool_forward_naive, layers.max_pool_backward_naive),
        (fast_layers.max_pool_forward_fast, fast_layers.max_pool_backward_fast),
    ):
        out, cache = forward(x, pool_param)
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_allclose(backward(dout, cache), numeric, atol=1e-8)
    assert cache[0] == ("reshape" if pool[0] == pool[1] == pool[2] and image[0] % pool[0] == 0 else "im2col")


def test_max_pooling_has_the_notebooks_numbers():
    x = np.linspace(-0.3, 0.4, num=96).reshape(2, 3, 4, 4)
    out, _ = layers.max_pool_forward_naive(x, {"pool_width": 2, "pool_height": 2, "stride": 2})
    np.testing.assert_allclose(out[0, 0], [[-0.26315789, -0.24842105], [-0.20421053, -0.18947368]], atol=1e-8)
    np.testing.assert_allclose(out[1, 2], [[0.32631579, 0.34105263], [0.38526316, 0.4]], atol=1e-8)


def test_equal_maxima():
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, :, 2:] = [[1, 3], [3, 2]]
    dout = np.array([[[[8.0, 6.0]]]])
    pool_param = {"pool_height": 2, "pool_width": 2, "stride": 2}
    _, cache = fast_layers.max_pool_forward_fast(x, pool_param)
    assert cache[0] == "reshape" and cache[1][0] is x and cache[1][1].shape == (1, 1, 1, 2, 2, 2)
    np.testing.assert_array_equal(fast_layers.max_pool_backward_fast(dout, cache), [[[[2, 2, 0, 3], [2, 2, 3, 0]]]])
    _, cache = fast_layers.max_pool_forward_im2col(x, pool_param)
    np.testing.assert_array_equal(fast_layers.max_pool_backward_im2col(dout, cache), [[[[8, 0, 0, 6], [0, 0, 0, 0]]]])


# ---- dense layers and losses


def test_affine_has_the_notebooks_numbers():
    x = np.linspace(-0.1, 0.5, num=240).reshape(2, 4, 5, 6)
    w = np.linspace(-0.2, 0.3, num=360).reshape(120, 3)
    b = np.linspace(-0.3, 0.1, num=3)
    out, cache = layers.affine_forward(x, w, b)
    assert rel_error(out, np.array([[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]])) < 1e-8
    assert all(kept is given for kept, given in zip(cache, (x, w, b), strict=True))


def test_affine_and_relu_gradients():
    rng = np.random.default_rng(6)
    x, w, b, dout = rng.normal(size=(4, 2, 3)), rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=(4, 5))
    out, cache = layer_utils.affine_relu_forward(x, w, b)
    np.testing.assert_allclose(out, np.maximum(0, x.reshape(4, 6) @ w + b), rtol=1e-12)
    for gradient, argument in zip(layer_utils.affine_relu_backward(dout, cache), (x, w, b), strict=True):
        numeric = numerical_gradient(lambda _: layer_utils.affine_relu_forward(x, w, b)[0], argument, dout)
        assert rel_error(gradient, numeric) < 1e-7
    np.testing.assert_array_equal(layers.relu_backward(np.ones(3), np.array([-1.0, 0.0, 2.0])), [0, 0, 1])


def test_losses():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(6, 4)), rng.integers(4, size=6)
    probabilities = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[range(6), y]).mean(), np.maximum(0, x - x[range(6), y][:, None] + 1).sum() / 6 - 1
    for loss, value in zip((layers.softmax_loss, layers.svm_loss), expected, strict=True):
        result, dx = loss(x, y)
        assert np.isscalar(result) and result == pytest.approx(value, rel=1e-12)
        numeric = numerical_gradient(lambda x: np.array(loss(x, y)[0]), x, 1.0)  # noqa: B023
        assert rel_error(dx, numeric) < 1e-6
    big, _ = layers.softmax_loss(np.array([[1e4, 0.0]]), np.array([1]))
    assert big == 1e4


def test_losses_of_small_random_scores_are_the_notebooks():
    np.random.seed(231)
    x, y = 0.001 * np.random.randn(50, 10), np.random.randint(10, size=50)
    assert layers.svm_loss(x, y)[0] == pytest.approx(9, abs=0.01)  # the notebook: "around 9", "close to 2.3"
    assert layers.softmax_loss(x, y)[0] == pytest.approx(np.log(10), abs=0.001)


# ---- normalization


def test_batchnorm_train_and_test():
    np.random.seed(231)
    a = np.maximum(0, np.random.randn(200, 50).dot(np.random.randn(50, 60))).dot(np.random.randn(60, 3))
    gamma, beta = np.array([1.0, 2.0, 3.0]), np.array([11.0, 12.0, 13.0])
    bn_param = {"mode": "train"}
    out, _ = layers.batchnorm_forward(a, gamma, beta, bn_param)
    np.testing.assert_allclose(out.mean(axis=0), beta, rtol=1e-12)
    np.testing.assert_allclose(out.std(axis=0), gamma, rtol=1e-6)
    np.testing.assert_allclose(bn_param["running_mean"], 0.1 * a.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(bn_param["running_var"], 0.1 * a.var(axis=0), rtol=1e-12)
    before = bn_param["running_mean"]
    kept = before.copy()
    layers.batchnorm_forward(2 * a, gamma, beta, bn_param)
    np.testing.assert_array_equal(before, kept)  # a new array takes its place
    np.testing.assert_allclose(bn_param["running_mean"], 0.29 * a.mean(axis=0), rtol=1e-12)
    bn_param["mode"] = "test"
    out, cache = layers.batchnorm_forward(a, gamma, beta, bn_param)
    expected = gamma * (a - bn_param["running_mean"]) / np.sqrt(bn_param["running_var"] + 1e-5) + beta
    np.testing.assert_allclose(out, expected, rtol=1e-10)
    with pytest.raises(ValueError, match="mode 'train'; got None"):
        layers.batchnorm_backward(out, cache)


def norm_cases():
    def batch(x, gamma, beta):
        return layers.batchnorm_forward(x, gamma, beta, {"mode": "train"})

    def layer(x, gamma, beta):
        return layers.layernorm_forward(x, gamma, beta, {})

    def spatial(x, gamma, beta):
        return layers.spatial_batchnorm_forward(x, gamma, beta, {"mode": "train", "eps": 1e-3})

    def group(x, gamma, beta):
        return layers.spatial_groupnorm_forward(x, gamma, beta, 2, {})

    return [
        ((6, 5), (5,), batch, layers.batchnorm_backward, lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)),
        ((6, 5), (5,), batch, layers.batchnorm_backward_alt, lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)),
        (
            (4, 5),
            (5,),
            layer,
            layers.layernorm_backward,
            lambda x: (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5),
        ),
        (
            (2, 3, 4, 5),
            (3,),
            spatial,
            layers.spatial_batchnorm_backward,
            lambda x: (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-3),
        ),
        ((2, 6, 3, 4), (1, 6, 1, 1), group, layers.spatial_groupnorm_backward, groups_normalized),
    ]


def groups_normalized(x):
    grouped = x.reshape(2, 2, 3, 3, 4)
    axes = (2, 3, 4)
    normalized = (grouped - grouped.mean(axes, keepdims=True)) / np.sqrt(grouped.var(axes, keepdims=True) + 1e-5)
    return normalized.reshape(x.shape)


@pytest.mark.parametrize(("shape", "scale", "forward", "backward", "normalized"), norm_cases())
def test_normalization(shape, scale, forward, backward, normalized):
    rng = np.random.default_rng(8)
    x, gamma, beta, dout = 5 * rng.normal(size=shape) + 12, rng.normal(size=scale), rng.normal(size=scale), rng.normal(size=shape)
    per_channel = (1, -1, 1, 1) if len(shape) == 4 else (1, -1)
    out, cache = forward(x, gamma, beta)
    np.testing.assert_allclose(out, normalized(x) * gamma.reshape(per_channel) + beta.reshape(per_channel), rtol=1e-9, atol=1e-11)
    for gradient, argument in zip(backward(dout, cache), (x, gamma, beta), strict=True):
        assert gradient.shape == argument.shape
        numeric = numerical_gradient(lambda _: forward(x, gamma, beta)[0], argument, dout)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-8)
    assert forward(x.astype("f4"), gamma.astype("f4"), beta.astype("f4"))[0].dtype == np.float32


def test_dropout_draws_from_the_global_generator():
    x = np.random.default_rng(9).normal(size=(5, 4)).astype(np.float32) + 10
    out, cache = layers.dropout_forward(x, {"p": 0.7, "mode": "train", "seed": 123})
    np.random.seed(123)
    mask = (np.random.rand(5, 4) < 0.7) / 0.7
    after = np.random.rand()
    np.testing.assert_array_equal(out, (x * mask).astype(np.float32))
    assert out.dtype == np.float32
    np.testing.assert_array_equal(layers.dropout_backward(np.ones((5, 4)), cache), mask)
    layers.dropout_forward(x, {"p": 0.7, "mode": "train", "seed": 123})
    assert np.random.rand() == after  # one array was drawn, nothing else
    out, cache = layers.dropout_forward(x, {"p": 0.7, "mode": "test"})
    np.testing.assert_array_equal(out, x)
    np.testing.assert_array_equal(layers.dropout_backward(x, cache), x)


# ---- update rules


def ramp(first, last):
    return np.linspace(first, last, num=20).reshape(4, 5)


def test_rules_have_the_notebooks_numbers():
    w, dw = ramp(-0.4, 0.6), ramp(-0.6, 0.4)
    next_w, config = optim.sgd_momentum(w, dw, {"learning_rate": 1e-3, "velocity": ramp(0.6, 0.9)})
    assert rel_error(next_w[0], np.array([0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789])) < 1e-7
    assert rel_error(config["velocity"][0], np.array([0.5406, 0.55475789, 0.56891579, 0.58307368, 0.59723158])) < 1e-7

    next_w, config = optim.rmsprop(w, dw, {"learning_rate": 1e-2, "cache": ramp(0.6, 0.9)})
    assert rel_error(next_w[0], np.array([-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247])) < 1e-7
    assert rel_error(config["cache"][0], np.array([0.5976, 0.6126277, 0.6277108, 0.64284931, 0.65804321])) < 1e-7

    next_w, config = optim.adam(w, dw, {"learning_rate": 1e-2, "m": ramp(0.6, 0.9), "v": ramp(0.7, 0.5), "t": 5})
    assert rel_error(next_w[0], np.array([-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977])) < 1e-7
    assert rel_error(config["v"][0], np.array([0.69966, 0.68908382, 0.67851319, 0.66794809, 0.65738853])) < 1e-7
    assert rel_error(config["m"][0], np.array([0.48, 0.49947368, 0.51894737, 0.53842105, 0.55789474])) < 1e-7
    assert config["t"] == 6
    np.testing.assert_array_equal(w, ramp(-0.4, 0.6))  # only sgd changes its argument


def test_sgd_updates_the_array_itself():
    for w in (ramp(0, 1), np.asfortranarray(ramp(0, 1)), ramp(0, 1).astype(np.float16)):
        next_w, config = optim.sgd(w, ramp(0, 100))
        assert next_w is w and config == {"learning_rate": 1e-2}
        np.testing.assert_allclose(w, 0, atol=1e-3)


@pytest.mark.parametrize("rule", [optim.sgd_momentum, optim.rmsprop, optim.adam])
def test_rules_start_from_an_empty_configuration(rule):
    w = np.ones((2, 3), dtype=np.float32)
    next_w, config = rule(w, np.full((2, 3), 0.5, dtype=np.float32))
    assert next_w is not w and next_w.dtype == np.float32 and config["learning_rate"] in (1e-2, 1e-3)
    again, same = rule(next_w, np.full((2, 3), 0.5, dtype=np.float32), config)
    assert same is config and (again < next_w).all() and (next_w < w).all()


# ---- layers together, and what course code may do to NumPy


def test_a_sandwich_of_layers():
    rng = np.random.default_rng(10)
    x, w, b, gamma, beta = (rng.normal(size=size) for size in ((2, 3, 8, 8), (3, 3, 3, 3), 3, 3, 3))
    conv_param, pool_param = {"stride": 1, "pad": 1}, {"pool_height": 2, "pool_width": 2, "stride": 2}

    def pooled():
        return layer_utils.conv_relu_pool_forward(x, w, b, conv_param, pool_param)

    out, cache = pooled()
    dout = rng.normal(size=out.shape)
    np.testing.assert_allclose(out, pool_by_loops(np.maximum(0, conv_by_loops(x, w, b, 1, 1)), 2, 2, 2), atol=1e-12)
    for gradient, argument in zip(layer_utils.conv_relu_pool_backward(dout, cache), (x, w, b), strict=True):
        numeric = numerical_gradient(lambda _: pooled()[0], argument, dout)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)

    dout = rng.normal(size=(2, 3, 8, 8))
    out, cache = layer_utils.conv_relu_forward(x, w, b, conv_param)
    np.testing.assert_allclose(out, np.maximum(0, conv_by_loops(x, w, b, 1, 1)), atol=1e-12)
    for gradient, argument in zip(layer_utils.conv_relu_backward(dout, cache), (x, w, b), strict=True):
        numeric = numerical_gradient(lambda _: layer_utils.conv_relu_forward(x, w, b, conv_param)[0], argument, dout)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-8)

    def normalized():
        return layer_utils.conv_bn_relu_forward(x, w, b, gamma, beta, conv_param, {"mode": "train"})

    gradients = layer_utils.conv_bn_relu_backward(dout, normalized()[1])
    for gradient, argument in zip(gradients, (x, w, b, gamma, beta), strict=True):
        np.testing.assert_allclose(gradient, numerical_gradient(lambda _: normalized()[0], argument, dout), rtol=1e-5, atol=1e-6)


def test_patched_numpy_makes_no_difference(monkeypatch):
    """Course code patches np.dot, and the default dtype of np.zeros and np.eye."""

    def everything():
        rng = np.random.default_rng(11)
        x, w, b = rng.normal(size=(2, 3, 6, 6)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
        out, cache = fast_layers.conv_forward_fast(x, w, b, {"stride": 2, "pad": 1})
        pooled, pool_cache = fast_layers.max_pool_forward_fast(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
        normal, bn_cache = layers.spatial_batchnorm_forward(x, b[:3], b[:3], {"mode": "train"})
        group, gn_cache = layers.spatial_groupnorm_forward(x, b[:3], b[:3], 3, {})
        scores, fc_cache = layers.affine_forward(out, w.reshape(36, 3), b[:3])
        return [
            out,
            *fast_layers.conv_backward_fast(out, cache),
            pooled,
            fast_layers.max_pool_backward_fast(pooled, pool_cache),
            normal,
            *layers.spatial_batchnorm_backward(normal, bn_cache),
            group,
            *layers.spatial_groupnorm_backward(group, gn_cache),
            scores,
            *layers.affine_backward(scores, fc_cache),
            *layers.softmax_loss(scores, np.array([0, 2])),
            *layers.svm_loss(scores, np.array([0, 2])),
            optim.adam(w, w)[0],
            im2col.im2col_indices(x, 3, 3),
        ]

    expected = everything()
    zeros = np.zeros
    monkeypatch.setattr(np, "dot", lambda *_: pytest.fail("np.dot was called"))
    monkeypatch.setattr(np, "zeros", lambda shape, dtype=np.float32: zeros(shape, dtype))
    monkeypatch.setattr(np, "eye", lambda *_, **__: pytest.fail("np.eye was called"))
    for patched, result in zip(everything(), expected, strict=True):
        assert patched.dtype == np.float64
        np.testing.assert_array_equal(patched, result)


def test_import_star_gives_the_courses_names():
    namespace = {}
    exec("from fastnn.compat.cs231n.fast_layers import *", namespace)
    course = {f"conv_{way}_{how}" for way in ("forward", "backward") for how in ("im2col", "strides", "fast")}
    course |= {f"max_pool_{way}_{how}" for way in ("forward", "backward") for how in ("fast", "reshape", "im2col")}
    course |= {"get_im2col_indices", "im2col_indices", "col2im_indices", "np"}
    course |= {"im2col_cython", "col2im_cython", "col2im_6d_cython"}
    assert set(namespace) - {"__builtins__"} == course


# ---- wrong arguments

X, W, B = np.zeros((2, 3, 5, 5)), np.zeros((4, 3, 3, 3)), np.zeros(4)
CONV = {"stride": 1, "pad": 1}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: fast_layers.conv_forward_fast(X, W[:, :2], B, CONV),
            ValueError,
            r"x \(N, C, H, W\).*H \+ 2 \* pad - HH.*\(2, 3, 5, 5\), w \(4, 2, 3, 3\)",
        ),
        (lambda: fast_layers.conv_forward_fast(X[0], W, B, CONV), ValueError, r"got x \(3, 5, 5\)"),
        (
            lambda: fast_layers.conv_forward_fast(X, W, B[:3], CONV),
            ValueError,
            r"gives.*got x \(2, 3, 5, 5\), w \(4, 3, 3, 3\), b \(3,\)",
        ),
        (
            lambda: fast_layers.conv_forward_fast(X, W, B, {"stride": 1}),
            KeyError,
            r"conv_param must be a dict with 'pad', 'stride'; got \{'stride': 1\}",
        ),
        (
            lambda: fast_layers.conv_forward_fast(X, W, B, {"stride": 1, "pad": 1.0}),
            TypeError,
            r"conv_param\['pad'\] must be an integer; got 1.0",
        ),
        (
            lambda: fast_layers.conv_forward_fast(X, W, B, {"stride": 0, "pad": 1}),
            ValueError,
            r"conv_param\['stride'\] must be an integer of at least 1",
        ),
        (
            lambda: fast_layers.conv_forward_fast(X[:, :, :2], W, B, {"stride": 1, "pad": 0}),
            ValueError,
            "larger than the padded image; got size 2, field 3",
        ),
        (
            lambda: fast_layers.conv_forward_im2col(X, W, B, {"stride": 3, "pad": 0}),
            ValueError,
            r"must be exact; it leaves 2.*size 5, field 3, padding 0, stride 3",
        ),
        (
            lambda: fast_layers.conv_backward_fast(X, (X, W, B, CONV)),
            ValueError,
            r"shape of the output, \(2, 4, 5, 5\).*got dout \(2, 3, 5, 5\)",
        ),
        (
            lambda: fast_layers.max_pool_forward_reshape(X, {"pool_height": 2, "pool_width": 2, "stride": 2}),
            ValueError,
            "must tile",
        ),
        (
            lambda: fast_layers.max_pool_forward_fast(X, {"pool_height": 2, "pool_width": 2, "stride": 2}),
            ValueError,
            "must be exact; it leaves 1",
        ),
        (lambda: im2col_cython.im2col_cython(X[0], 3, 3, 1, 1), ValueError, r"\(N, C, H, W\); got x \(3, 5, 5\)"),
        (
            lambda: im2col_cython.col2im_cython(np.zeros((27, 49)), 2, 3, 5, 5, 3, 3, 1, 1),
            ValueError,
            r"\(27, 50\); got cols \(27, 49\)",
        ),
        (lambda: im2col.im2col_indices(X, 2, 2, padding=0, stride=2), ValueError, "must be exact"),
        (
            lambda: layers.affine_forward(X, np.zeros((74, 3)), np.zeros(3)),
            ValueError,
            r"D = d_1.*got x \(2, 3, 5, 5\), w \(74, 3\)",
        ),
        (lambda: layers.affine_forward([[1, 2], [3]], np.zeros((2, 3)), np.zeros(3)), ValueError, "x must be an array of numbers"),
        (
            lambda: layers.affine_forward([["a", "b"]], np.zeros((2, 3)), np.zeros(3)),
            TypeError,
            "x must be an array of real numbers",
        ),
        (
            lambda: layers.affine_backward(np.zeros((2, 4)), (np.zeros((2, 5)), np.zeros((5, 3)), 0)),
            ValueError,
            r"\(2, 3\); got dout \(2, 4\)",
        ),
        (lambda: layers.softmax_loss(np.zeros((2, 3)), [0.0, 1.0]), ValueError, "integers from 0 to C - 1; got y of dtype float64"),
        (lambda: layers.softmax_loss(np.zeros((2, 3)), [1, 3]), ValueError, "C 3, y from 1 to 3"),
        (lambda: layers.svm_loss(np.zeros((2, 3)), [1, 2, 0]), ValueError, r"x \(2, 3\), y \(3,\)"),
        (lambda: layers.batchnorm_forward(X, B, B, {"mode": "train"}), ValueError, "spatial_batchnorm_forward"),
        (lambda: layers.batchnorm_forward(X[0, 0], B[:3], B, {"mode": "train"}), ValueError, r"shape \(5,\); got gamma \(3,\)"),
        (lambda: layers.batchnorm_forward(X[0, 0], B, B, {"mode": "eval"}), ValueError, "'train' or 'test'; got 'eval'"),
        (lambda: layers.batchnorm_forward(X[0, 0], B, B, {}), KeyError, "bn_param must be a dict with 'mode'; got {}"),
        (lambda: layers.batchnorm_forward(np.zeros((0, 4)), B, B, {"mode": "train"}), ValueError, "batch of at least one sample"),
        (
            lambda: layers.batchnorm_forward(np.ones((2, 4)), B, B, {"mode": "test", "running_mean": B[:3], "running_var": B}),
            ValueError,
            r"must have shape \(4,\).*running_mean \(3,\), running_var \(4,\)",
        ),
        (lambda: layers.dropout_forward(X, {"p": 0.5}), KeyError, "dropout_param must be a dict with 'p', 'mode'"),
        (lambda: layers.affine_forward(X[0, 0], np.zeros((5, 3)), np.zeros((3, 1))), ValueError, r"and b \(M,\).*got .*b \(3, 1\)"),
        (
            lambda: layers.affine_backward(np.zeros((5, 3)), X),
            ValueError,
            r"\(x, w, b\), the second result of affine_forward; got ndarray",
        ),
        (lambda: layers.dropout_backward(X, (X, X, X)), ValueError, r"\(dropout_param, mask\).*got 3 entries"),
        (lambda: layers.softmax_loss(np.zeros((0, 3)), []), ValueError, r"at least one sample.*x \(0, 3\)"),
        (lambda: fast_layers.conv_forward_fast(X, W, CONV, B), TypeError, "b must be an array of real numbers; got dict"),
        (lambda: fast_layers.conv_forward_fast(X, W, B, None), TypeError, "conv_param must be a dict with .*got NoneType"),
        (lambda: fast_layers.conv_backward_fast(X, (X, W)), ValueError, r"\(x, w, b, conv_param\).*got 2 entries"),
        (lambda: fast_layers.max_pool_forward_fast(X, {"stride": 2}), KeyError, "'pool_height', 'pool_width', 'stride'; got"),
        (lambda: fast_layers.max_pool_backward_fast(X, (X, CONV)), ValueError, "begins with 'reshape' or 'im2col'; got ndarray"),
        (lambda: optim.sgd(np.broadcast_to(1.0, 3), np.ones(3)), ValueError, "this array is read-only; give a copy"),
        (lambda: layers.spatial_groupnorm_forward(X, B[:3], B[:3], 2, {}), ValueError, "G must divide C.*G 2"),
        (lambda: layers.dropout_forward(X, {"p": 0, "mode": "train"}), ValueError, r"in \(0, 1\]; got 0"),
        (lambda: optim.sgd([1.0], [1.0]), TypeError, "w is updated in place.*got list"),
        (lambda: optim.sgd(np.arange(3), np.ones(3)), TypeError, "astype.*got dtype int64"),
        (lambda: optim.adam(np.ones(3), np.ones(4)), ValueError, r"w \(3,\), dw \(4,\)"),
    ],
)
def test_wrong_arguments_are_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()
