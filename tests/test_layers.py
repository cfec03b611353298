"""Layers against naive loops, Keras's parameter counts and central differences."""

import copy
import json
import math
import pickle
import re

import numpy as np
import pytest

import fastnn
from fastnn import activations, initializers, layers, ops, random, regularizers
from fastnn.autodiff import GradientTape, Tensor, Variable
from fastnn.layers import registry

pytestmark = pytest.mark.usefixtures("fresh")

IMAGES = (2, 7, 6, 4)


def numbers(shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


def first(images):
    """channels_last images as channels_first."""
    return images.transpose(0, 3, 1, 2)


# ---------------------------------------------------------------- naive computing


def same_padding(size, window, stride, dilation):
    reach = dilation * (window - 1) + 1
    total = max((math.ceil(size / stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def windows(x, size, stride, padding, dilation=(1, 1), fill=0.0):
    """Yield (row, column, window of shape (n, rows, columns, c)) of the output of a sliding window."""
    if padding == "valid":
        pads = [(0, 0), (0, 0)]
    elif padding == "same":
        pads = [same_padding(x.shape[1 + i], size[i], stride[i], dilation[i]) for i in range(2)]
    else:
        pads = padding
    x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    reach = [dilation[i] * (size[i] - 1) + 1 for i in range(2)]
    for i, row in enumerate(range(0, x.shape[1] - reach[0] + 1, stride[0])):
        for j, column in enumerate(range(0, x.shape[2] - reach[1] + 1, stride[1])):
            yield i, j, x[:, row : row + reach[0] : dilation[0], column : column + reach[1] : dilation[1]]


def naive_windows(function, *arguments, **options):
    """Return ``function(window)`` of shape (n, c) for each window, as images."""
    results = {(i, j): function(window) for i, j, window in windows(*arguments, **options)}
    rows, columns = 1 + max(i for i, _ in results), 1 + max(j for _, j in results)
    return np.stack([np.stack([results[i, j] for j in range(columns)], axis=1) for i in range(rows)], axis=1)


def naive_conv(x, kernel, bias, stride, padding, dilation, groups=1):
    each_in, each_out = x.shape[3] // groups, kernel.shape[3] // groups

    def at(window):
        return np.concatenate(
            [
                np.einsum(
                    "nijc,ijco->no",
                    window[..., g * each_in : (g + 1) * each_in],
                    kernel[..., g * each_out : (g + 1) * each_out],
                )
                for g in range(groups)
            ],
            axis=1,
        )

    return naive_windows(at, x, kernel.shape[:2], stride, padding, dilation) + bias


def naive_depthwise(x, kernel, stride, padding, dilation):
    def at(window):
        return np.einsum("nijc,ijcm->ncm", window, kernel).reshape(len(window), -1)

    return naive_windows(at, x, kernel.shape[:2], stride, padding, dilation)


WINDOWS = [
    ((3, 3), (1, 1), "valid", (1, 1)),
    ((3, 3), (1, 1), "same", (1, 1)),
    ((2, 3), (2, 1), "same", (1, 1)),
    ((5, 2), (3, 2), "same", (1, 1)),
    ((3, 2), (2, 3), "valid", (1, 1)),
    ((1, 1), (4, 4), "valid", (1, 1)),
    ((2, 2), (1, 1), "valid", (3, 2)),
    ((3, 3), (1, 1), "same", (2, 2)),
    ((7, 6), (1, 1), "valid", (1, 1)),
    ((3, 3), (2, 2), ((1, 1), (0, 2)), (1, 1)),
]


def check_images(layer, x, expected, training=None):
    """Check a layer's output and its shapes, in the layout that the layer was made for."""
    if layer.data_format == "channels_first":
        x = first(x)
        expected = first(expected) if expected.ndim == 4 else expected
    unknown = (None, *x.shape[1:])
    assert layer.compute_output_shape(x.shape) == expected.shape
    assert layer.compute_output_shape(unknown) == (None, *expected.shape[1:])
    y = layer(x, training=training)
    assert y.shape == expected.shape and y.dtype == layer.dtype
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-11, atol=1e-11)
    assert layer.input_shape == unknown
    assert layer.output_shape == (None, *expected.shape[1:])


# ------------------------------------------------------------------- convolutions


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("size", "stride", "padding", "dilation"), WINDOWS)
class TestConvolutions:
    @pytest.mark.parametrize("groups", [1, 2])
    def test_conv2d(self, size, stride, padding, dilation, data_format, groups):
        layer = layers.Conv2D(
            6,
            size,
            stride,
            padding,
            data_format=data_format,
            dilation_rate=dilation,
            groups=groups,
            bias_initializer="random_normal",
            dtype="float64",
        )
        x = numbers(IMAGES)
        layer.build((None, *(first(x) if data_format == "channels_first" else x).shape[1:]))
        kernel, bias = layer.get_weights()
        assert kernel.shape == (*size, 4 // groups, 6)
        check_images(layer, x, naive_conv(x, kernel, bias, stride, padding, dilation, groups))

    @pytest.mark.parametrize("multiplier", [1, 3])
    def test_depthwise_conv2d(self, size, stride, padding, dilation, data_format, multiplier):
        layer = layers.DepthwiseConv2D(
            size, stride, padding, multiplier, data_format, dilation, bias_initializer="random_normal", dtype="float64"
        )
        x = numbers(IMAGES)
        layer.build((None, *(first(x) if data_format == "channels_first" else x).shape[1:]))
        kernel, bias = layer.get_weights()
        assert kernel.shape == (*size, 4, multiplier)
        check_images(layer, x, naive_depthwise(x, kernel, stride, padding, dilation) + bias)

    def test_separable_conv2d(self, size, stride, padding, dilation, data_format):
        layer = layers.SeparableConv2D(
            5, size, stride, padding, data_format, dilation, 2, bias_initializer="random_normal", dtype="float64"
        )
        x = numbers(IMAGES)
        layer.build((None, *(first(x) if data_format == "channels_first" else x).shape[1:]))
        depthwise, pointwise, bias = layer.get_weights()
        between = naive_depthwise(x, depthwise, stride, padding, dilation)
        check_images(layer, x, between @ pointwise[0, 0] + bias)


def test_padding_may_be_numbers():
    x = numbers(IMAGES)
    for padding, sides in [(1, ((1, 1), (1, 1))), ((1, 0), ((1, 1), (0, 0))), ("SAME", "same")]:
        layer = layers.Conv2D(3, 3, padding=padding, dtype="float64")
        layer.build((None, *IMAGES[1:]))
        check_images(layer, x, naive_conv(x, *layer.get_weights(), (1, 1), sides, (1, 1)))


def test_the_same_seed_gives_the_same_weights_in_both_layouts():
    last = layers.Conv2D(6, 3, kernel_initializer=initializers.GlorotUniform(seed=1))
    last.build((None, 8, 8, 3))
    other = layers.Conv2D(6, 3, data_format="channels_first", kernel_initializer=initializers.GlorotUniform(seed=1))
    other.build((None, 3, 8, 8))
    np.testing.assert_array_equal(last.kernel.numpy(), other.kernel.numpy())


# ------------------------------------------------------------------------ pooling


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(("size", "stride", "padding", "dilation"), [w for w in WINDOWS if w[3] == (1, 1)])
class TestPooling:
    def test_max(self, size, stride, padding, dilation, data_format):
        layer = layers.MaxPooling2D(size, stride, padding, data_format, dtype="float64")
        x = numbers(IMAGES)
        expected = naive_windows(lambda w: w.max(axis=(1, 2)), x, size, stride, padding, fill=-np.inf)
        check_images(layer, x, expected)

    def test_average(self, size, stride, padding, dilation, data_format):
        layer = layers.AveragePooling2D(size, stride, padding, data_format, dtype="float64")
        x = numbers(IMAGES)
        expected = naive_windows(lambda w: np.nanmean(w, axis=(1, 2)), x, size, stride, padding, fill=np.nan)
        check_images(layer, x, expected)


def test_pooling_defaults():
    assert layers.MaxPooling2D().compute_output_shape((None, 28, 28, 3)) == (None, 14, 14, 3)
    assert layers.MaxPooling2D(3).strides == (3, 3)
    assert layers.AveragePooling2D(padding="same").compute_output_shape((None, 7, 7, 3)) == (None, 4, 4, 3)
    assert layers.MaxPool2D is layers.MaxPooling2D


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("cls", "function"), [(layers.GlobalAveragePooling2D, np.mean), (layers.GlobalMaxPooling2D, np.max)])
def test_global_pooling(cls, function, keepdims, data_format):
    x = numbers(IMAGES)
    check_images(cls(data_format, keepdims, dtype="float64"), x, function(x, axis=(1, 2), keepdims=keepdims))


# -------------------------------------------------------------------------- dense


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (2, 3, 2, 3), (0, 3)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_dense(shape, use_bias):
    layer = layers.Dense(4, use_bias=use_bias, bias_initializer="random_normal", dtype="float64")
    x = numbers(shape)
    y = layer(x)
    kernel, *bias = layer.get_weights()
    assert len(bias) == use_bias and (layer.bias is not None) == use_bias
    assert y.shape == layer.compute_output_shape(shape) == (*shape[:-1], 4)
    np.testing.assert_allclose(y.numpy(), np.einsum("...i,io->...o", x, kernel) + (bias[0] if use_bias else 0), rtol=1e-12)


NAIVE_ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.where(x > 0, x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "bipolar_sigmoid": lambda x: (1 - np.exp(-x)) / (1 + np.exp(-x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / np.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum(axis=-1, keepdims=True)),
    "exponential": np.exp,
}


@pytest.mark.parametrize("name", sorted(activations.FUNCTIONS))
@pytest.mark.parametrize("form", ["name", "function", "layer"])
def test_activations(name, form):
    activation = {"name": name, "function": activations.get(name), "layer": layers.Activation(name, dtype="float64")}[form]
    x = numbers((6, 5))
    expected = NAIVE_ACTIVATIONS[name]
    dense = layers.Dense(4, activation, dtype="float64")
    np.testing.assert_allclose(dense(x).numpy(), expected(x @ dense.kernel.numpy()), rtol=1e-10)
    images = numbers(IMAGES)
    conv = layers.Conv2D(3, 2, activation=activation, dtype="float64")
    conv.build(IMAGES)
    naive = naive_conv(images, *conv.get_weights(), (1, 1), "valid", (1, 1))
    np.testing.assert_allclose(conv(images).numpy(), expected(naive), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layers.Activation(activation, dtype="float64")(x).numpy(), expected(x), rtol=1e-12)


def test_activation_of_ones_own():
    layer = layers.Dense(4, activation=lambda x: ops.square(x) + 1.0, dtype="float64")
    x = numbers((6, 5))
    np.testing.assert_allclose(layer(x).numpy(), (x @ layer.kernel.numpy()) ** 2 + 1, rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.ReLU(), lambda x: np.maximum(x, 0)),
        (layers.ReLU(max_value=0.5), lambda x: np.clip(x, 0, 0.5)),
        (layers.ReLU(6.0, 0.1), lambda x: np.minimum(np.where(x > 0, x, 0.1 * x), 6)),
        (layers.LeakyReLU(), lambda x: np.where(x > 0, x, 0.3 * x)),
        (layers.LeakyReLU(negative_slope=0.01), lambda x: np.where(x > 0, x, 0.01 * x)),
        (layers.ELU(0.5), lambda x: np.where(x > 0, x, 0.5 * (np.exp(x) - 1))),
        (layers.PReLU("ones", shared_axes=[1]), lambda x: x),
        (layers.PReLU(initializers.Constant(0.25)), lambda x: np.where(x > 0, x, 0.25 * x)),
        (layers.Softmax(), NAIVE_ACTIVATIONS["softmax"]),
        (layers.Softmax(axis=1), lambda x: np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)),
        (layers.Sigmoid(), NAIVE_ACTIVATIONS["sigmoid"]),
        (layers.BipolarSigmoid(), NAIVE_ACTIVATIONS["bipolar_sigmoid"]),
        (layers.Tanh(), NAIVE_ACTIVATIONS["tanh"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_activation_layers(layer, expected):
    x = numbers((3, 4, 5)).astype(np.float32)
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape) == x.shape
    np.testing.assert_allclose(y.numpy(), expected(x), rtol=2e-6, atol=1e-6)


def test_prelu_has_a_factor_for_each_element_that_is_not_shared():
    layer = layers.PReLU(shared_axes=[1, 2])
    layer.build((None, 8, 9, 5))
    assert layer.alpha.shape == (1, 1, 5)
    with pytest.raises(ValueError, match="shared_axes .* from 1 to 1; got"):
        layers.PReLU(shared_axes=[2])(numbers((2, 3)))


@pytest.mark.parametrize("shared_axes", [None, [1, 2], [1, 2, 3]])
def test_steps_with_prelu_are_replayed(shared_axes):  # else fit would warn
    model = fastnn.Sequential([layers.PReLU("ones", shared_axes=shared_axes), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(numbers((12, 3, 4, 2)), numbers((12, 1)), batch_size=4, epochs=2, verbose=0)
    assert (model.layers[0].alpha.numpy() != 1).all()


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_outputs_of_sigmoid_and_softmax_remember_their_logits(name):
    x = 1e4 * numbers((3, 4))
    dense = layers.Dense(2, activation=name, dtype="float64")
    np.testing.assert_allclose(dense(x).logits.numpy(), x @ dense.kernel.numpy(), rtol=1e-12)
    np.testing.assert_array_equal(layers.Activation(name, dtype="float64")(x).logits.numpy(), x)


# ------------------------------------------------------- normalization and dropout


def naive_normalized(x, axes, eps):
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + eps), mean.ravel(), variance.ravel()


@pytest.mark.parametrize(
    ("shape", "axis", "channel"),
    [
        ((6, 4), -1, 1),
        ((6, 4), 1, 1),
        ((3, 5, 4), -1, 2),
        (IMAGES, -1, 3),
        (IMAGES, 3, 3),
        (IMAGES, 1, 1),
        ((2, 3, 2, 3, 4), -1, 4),
    ],
)
def test_batch_normalization(shape, axis, channel):
    layer = layers.BatchNormalization(axis, momentum=0.9, epsilon=1e-2, dtype="float64")
    x = 3 * numbers(shape) + 1
    layer.build((None, *shape[1:]))
    assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert layer.trainable_weights == [layer.gamma, layer.beta]
    gamma, beta = numbers((2, shape[channel]))
    mean, variance = numbers(shape[channel], 2), numbers(shape[channel], 3) ** 2
    layer.set_weights([gamma, beta, mean, variance])

    def along_channel(vector):
        return vector.reshape([-1 if i == channel else 1 for i in range(len(shape))])

    expected = (x - along_channel(mean)) / np.sqrt(along_channel(variance) + 1e-2) * along_channel(gamma) + along_channel(beta)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), mean)

    axes = tuple(i for i in range(len(shape)) if i != channel)
    normalized, batch_mean, batch_variance = naive_normalized(x, axes, 1e-2)
    y = layer(x, training=True)
    np.testing.assert_allclose(y.numpy(), normalized * along_channel(gamma) + along_channel(beta), rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.9 * mean + 0.1 * batch_mean, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 * variance + 0.1 * batch_variance, rtol=1e-12)
    assert layer.compute_output_shape(shape) == shape == y.shape


def test_batch_normalization_begins_with_no_effect():
    x = numbers((4, 3))
    np.testing.assert_allclose(layers.BatchNormalization(dtype="float64")(x).numpy(), x / np.sqrt(1.001), rtol=1e-12)


def test_frozen_batch_normalization_uses_its_moving_averages():
    layer = layers.BatchNormalization(dtype="float64")
    x = numbers((4, 3)) + 5
    layer(x)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_array_equal(layer(x, training=True).numpy(), layer(x).numpy())
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("cls", [layers.BatchNormalization, layers.LayerNormalization])
def test_normalization_without_offset_or_factor(cls, center, scale):
    layer = cls(center=center, scale=scale, beta_initializer="random_normal", gamma_initializer="random_normal", dtype="float64")
    x = numbers((5, 4))
    y = layer(x, training=True)
    normalized, _, _ = naive_normalized(x, 0 if cls is layers.BatchNormalization else 1, 1e-3)
    expected = normalized * (layer.gamma.numpy() if scale else 1) + (layer.beta.numpy() if center else 0)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-11)
    assert [w.name for w in layer.trainable_weights] == ["gamma"] * scale + ["beta"] * center


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 4), IMAGES])
def test_layer_normalization(shape):
    layer = layers.LayerNormalization(epsilon=1e-2, beta_initializer="random_normal", dtype="float64")
    x = 3 * numbers(shape) + 1
    normalized, _, _ = naive_normalized(x, -1, 1e-2)
    np.testing.assert_allclose(layer(x).numpy(), normalized + layer.beta.numpy(), rtol=1e-11, atol=1e-12)


def test_dropout():
    x = numbers((100, 200)).astype(np.float32)
    layer = layers.Dropout(0.3, seed=7)
    np.testing.assert_array_equal(layer(x).numpy(), x)
    first_step, second_step = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    np.testing.assert_array_equal(layer.state, [7, 2])
    for y in (first_step, second_step):
        assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)
        np.testing.assert_allclose(y[y != 0], x[y != 0] / 0.7, rtol=1e-6)
    assert np.mean((first_step == 0) & (second_step == 0)) == pytest.approx(0.09, abs=0.01)
    again = layers.Dropout(0.3, seed=7)
    np.testing.assert_array_equal(again(x, training=True).numpy(), first_step)
    np.testing.assert_array_equal(again(x, training=True).numpy(), second_step)
    np.testing.assert_array_equal(layers.Dropout(0.0)(x, training=True).numpy(), x)


def test_dropout_takes_its_seed_from_the_process():
    fastnn.set_seed(5)
    seeds = [int(layers.Dropout(0.5).state[0]) for _ in range(2)]
    fastnn.set_seed(5)
    assert [int(layers.Dropout(0.5).state[0]) for _ in range(2)] == seeds
    assert seeds[0] != seeds[1]


# ------------------------------------------------------------ reshaping and scaling


def test_flatten():
    x = numbers(IMAGES)
    np.testing.assert_array_equal(layers.Flatten(dtype="float64")(x).numpy(), x.reshape(2, -1))
    np.testing.assert_array_equal(layers.Flatten("channels_first", dtype="float64")(first(x)).numpy(), x.reshape(2, -1))
    sequences = x[:, 0].swapaxes(1, 2)
    np.testing.assert_array_equal(layers.Flatten("channels_first", dtype="float64")(sequences).numpy(), x[:, 0].reshape(2, -1))
    np.testing.assert_array_equal(layers.Flatten(dtype="float64")(x[:, 0, 0, 0]).numpy(), x[:, 0, 0, :1])
    assert layers.Flatten().compute_output_shape((None, 3, 4, 5)) == (None, 60)
    assert layers.Flatten().compute_output_shape((None, None, 4, 5)) == (None, None)
    assert layers.Flatten()(np.zeros((0, 3, 4), np.float32)).shape == (0, 12)


@pytest.mark.parametrize(
    ("target", "shape"), [((6, 28), (6, 28)), ((-1, 4), (42, 4)), ((168,), (168,)), ((2, -1, 7, 1), (2, 12, 7, 1))]
)
def test_reshape(target, shape):
    x = numbers(IMAGES)
    layer = layers.Reshape(target, dtype="float64")
    np.testing.assert_array_equal(layer(x).numpy(), x.reshape(2, *shape))
    assert layer.compute_output_shape((None, *IMAGES[1:])) == layer.output_shape == (None, *shape)
    assert layers.Reshape((-1, 4)).compute_output_shape((None, None, 4)) == (None, None, 4)


def test_reshape_and_flatten_are_views():
    x = Tensor(numbers(IMAGES).astype(np.float32))
    assert np.shares_memory(layers.Flatten()(x).data, x.data)
    assert np.shares_memory(layers.Reshape((-1, 4))(x).data, x.data)


@pytest.mark.parametrize(
    ("scale", "offset"), [(1 / 255, 0.0), (2.0, -1.0), ([1.0, 2.0, 3.0, 4.0], -0.5), (0.5, [0.0, 1.0, 2.0, 3.0])]
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_rescaling(scale, offset, dtype):
    x = np.random.default_rng(0).integers(0, 256, IMAGES).astype(dtype)
    y = layers.Rescaling(scale, offset)(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), x * np.array(scale) + np.array(offset), rtol=1e-6, atol=1e-6)


def test_training_uses_kernels_only():
    """A step of each layer can be replayed, but for the activations that say that they have no kernel."""
    from fastnn.kernels import table

    x = Tensor(numbers((3, 8, 8, 2)).astype(np.float32))
    row = [
        layers.Rescaling(0.5, 1.0),
        layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(2, activation="gelu"),
        layers.SeparableConv2D(4, 2, activation="sigmoid"),
        layers.Reshape((4, 4, 4)),
        layers.MaxPooling2D(2),
        layers.Reshape((4, 2, 2)),
        layers.Conv2D(3, 1, data_format="channels_first", activation=layers.LeakyReLU()),
        layers.AveragePooling2D(2, strides=1, padding="same", data_format="channels_first"),
        layers.Dropout(0.5),
        layers.Flatten("channels_first"),
        layers.Dense(6, activation="tanh"),
        layers.LayerNormalization(),
        layers.Dense(3, activation="softmax"),
    ]
    for layer in row:
        x = layer(x)

    labels = Tensor(np.array([0, 1, 2], np.int32))

    def step(x):
        with GradientTape() as tape:
            for layer in row:
                x = layer(x, training=True)
            loss = ops.add(ops.weighted_mean(ops.softmax_xent(x.logits, labels)), row[1].losses[0])
        tape.gradient(loss, [w for layer in row for w in layer.trainable_weights])

    with table.record() as recording:
        step(Tensor(numbers((3, 8, 8, 2)).astype(np.float32)))
    assert len(recording.calls) > 2 * len(row)
    assert recording.python_steps == []


# ------------------------------------------------------------------------ weights


@pytest.mark.parametrize(
    ("layer", "input_shape", "params", "not_trainable"),
    [
        (layers.Conv2D(40, 3), (256, 256, 3), 1_120, 0),
        (layers.Conv2D(72, 3), (128, 128, 40), 25_992, 0),
        (layers.Conv2D(280, (3, 3)), (16, 16, 220), 554_680, 0),
        (layers.Conv2D(16, 5, use_bias=False), (32, 32, 6), 5 * 5 * 6 * 16, 0),
        (layers.Conv2D(64, 3, groups=4), (32, 32, 16), 3 * 3 * 4 * 64 + 64, 0),
        (layers.BatchNormalization(), (256, 256, 40), 160, 80),
        (layers.BatchNormalization(scale=False), (40,), 120, 80),
        (layers.LayerNormalization(), (40,), 80, 0),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (9, 9, 8), 3 * 3 * 8 * 2 + 16, 0),
        (layers.SeparableConv2D(64, 3), (28, 28, 32), 3 * 3 * 32 + 32 * 64 + 64, 0),
        (layers.SeparableConv2D(10, (3, 5), depth_multiplier=4, use_bias=False), (28, 28, 3), 15 * 3 * 4 + 12 * 10, 0),
        (layers.Dense(128), (9216,), 1_179_776, 0),
        (layers.Dense(96), (280,), 26_976, 0),
        (layers.Dense(1, use_bias=False), (7, 5), 5, 0),
        (layers.PReLU(), (4, 5), 20, 0),
        (layers.Dropout(0.5), (4, 5), 0, 0),
        (layers.MaxPooling2D(), (4, 5, 6), 0, 0),
        (layers.Flatten(), (4, 5, 6), 0, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_parameter_counts(layer, input_shape, params, not_trainable):
    with pytest.raises(ValueError, match="is not built yet"):
        layer.count_params()
    layer.build((None, *input_shape))
    assert layer.count_params() == params
    assert sum(w.size for w in layer.non_trainable_weights) == not_trainable
    assert sum(w.size for w in layer.trainable_weights) == params - not_trainable


def cats_and_dogs():
    """The network of the published table, of 990,685 parameters."""
    for filters in (40, 72, 144, 220, 280):
        yield layers.Conv2D(filters, kernel_size=(3, 3), activation="relu", padding="same")
        yield layers.BatchNormalization()
        yield layers.MaxPooling2D(pool_size=(2, 2))
    yield layers.GlobalAveragePooling2D()
    yield layers.Dense(96, activation="relu")
    yield layers.Dropout(0.4)
    yield layers.Dense(1, activation="sigmoid")


def test_the_published_table_of_a_network():
    shape, rows, trainable = (None, 256, 256, 3), [], 0
    for layer in cats_and_dogs():
        layer.build(shape)
        shape = layer.output_shape
        rows.append((layer.name, shape, layer.count_params()))
        trainable += sum(w.size for w in layer.trainable_weights)
    assert rows == [
        ("conv2d", (None, 256, 256, 40), 1_120),
        ("batch_normalization", (None, 256, 256, 40), 160),
        ("max_pooling2d", (None, 128, 128, 40), 0),
        ("conv2d_1", (None, 128, 128, 72), 25_992),
        ("batch_normalization_1", (None, 128, 128, 72), 288),
        ("max_pooling2d_1", (None, 64, 64, 72), 0),
        ("conv2d_2", (None, 64, 64, 144), 93_456),
        ("batch_normalization_2", (None, 64, 64, 144), 576),
        ("max_pooling2d_2", (None, 32, 32, 144), 0),
        ("conv2d_3", (None, 32, 32, 220), 285_340),
        ("batch_normalization_3", (None, 32, 32, 220), 880),
        ("max_pooling2d_3", (None, 16, 16, 220), 0),
        ("conv2d_4", (None, 16, 16, 280), 554_680),
        ("batch_normalization_4", (None, 16, 16, 280), 1_120),
        ("max_pooling2d_4", (None, 8, 8, 280), 0),
        ("global_average_pooling2d", (None, 280), 0),
        ("dense", (None, 96), 26_976),
        ("dropout", (None, 96), 0),
        ("dense_1", (None, 1), 97),
    ]
    assert sum(params for _, _, params in rows) == 990_685
    assert trainable == 989_173


def test_names():
    expected = ["dense", "dense_1", "re_lu", "leaky_re_lu", "separable_conv2d", "depthwise_conv2d", "global_max_pooling2d", "elu"]
    made = [
        layers.Dense(1),
        layers.Dense(1),
        layers.ReLU(),
        layers.LeakyReLU(),
        layers.SeparableConv2D(1, 1),
        layers.DepthwiseConv2D(1),
        layers.GlobalMaxPooling2D(),
        layers.ELU(),
    ]
    assert [layer.name for layer in made] == expected
    assert layers.Dense(1, name="head").name == "head"
    assert layers.Dense(1).name == "dense_2"
    layers.clear_session()
    assert layers.Dense(1).name == "dense"


def test_set_weights():
    layer = layers.Dense(2)
    layer.build((None, 3))
    kernel = layer.kernel
    layer.set_weights([np.arange(6).reshape(3, 2), [5, 6]])
    assert layer.kernel is kernel
    np.testing.assert_array_equal(kernel.numpy(), [[0, 1], [2, 3], [4, 5]])
    copies = layer.get_weights()
    copies[0][:] = 9
    np.testing.assert_array_equal(layer.bias.numpy(), [5, 6])
    assert kernel.numpy()[0, 0] == 0
    with pytest.raises(ValueError, match="weights must be 2 arrays for layer 'dense' .*; got 1"):
        layer.set_weights([np.zeros((3, 2))])
    with pytest.raises(ValueError, match=r"weight 'bias' of layer 'dense' \(Dense\) has shape \(2,\).*\(3,\)"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    assert kernel.numpy()[2, 1] == 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(dtype):
    layer = layers.Dense(2, dtype=dtype)
    for x in ([[1, 2]], [[1.0, 2.0]], np.ones((1, 2), np.float16), np.ones((1, 2), np.float64), np.ones((1, 2), np.uint8)):
        assert layer(x).dtype == dtype
    assert {w.dtype for w in layer.weights} == {np.dtype(dtype)}
    with pytest.raises(ValueError, match="dtype must be 'float32' or 'float64'; got 'float16'"):
        layers.Dense(2, dtype="float16")


def test_build_happens_once():
    layer = layers.Dense(2)
    layer.build((None, 3))
    kernel = layer.kernel
    layer.build((None, 3))
    layer(np.ones((1, 3)))
    assert layer.kernel is kernel and len(layer.weights) == 2


def test_a_build_that_failed_leaves_nothing():
    layer = layers.Conv2D(2, 5)
    with pytest.raises(ValueError, match="output would be empty"):
        layer.build((None, 4, 4, 3))
    assert not layer.built
    layer.build((None, 8, 8, 1))
    assert layer.count_params() == 5 * 5 * 2 + 2
    assert layer(np.ones((1, 8, 8, 1))).shape == (1, 4, 4, 2)


def test_input_shape_of_a_first_layer():
    assert layers.Dense(2, input_shape=(3,)).batch_input_shape == (None, 3)
    assert layers.Dense(2, input_dim=3).batch_input_shape == (None, 3)
    assert layers.Dense(2).batch_input_shape is None
    assert layers.Conv2D(2, 3, input_shape=[None, 28, 1]).batch_input_shape == (None, None, 28, 1)
    with pytest.raises(TypeError, match="input_shape must be a tuple.*got 784"):
        layers.Dense(2, input_shape=784)
    with pytest.raises(ValueError, match="input_shape must be made of positive integers"):
        layers.Dense(2, input_shape=(0,))


def test_input():
    layer = layers.Input(shape=(28, 28, 1), batch_size=3)
    assert layer.batch_shape == (3, 28, 28, 1)
    assert layer.name == "input_layer"
    assert layers.Input((5,)).batch_shape == (None, 5)
    assert isinstance(layers.Input((5,)), layers.InputLayer)
    with pytest.raises(TypeError, match="shape must be a tuple"):
        layers.Input(5)


def test_unknown_extents():
    assert layers.Conv2D(4, 3).compute_output_shape((None, None, 10, 3)) == (None, None, 8, 4)
    assert layers.Conv2D(4, 3, 2, "same").compute_output_shape((5, 9, None, 3)) == (5, 5, None, 4)
    assert layers.DepthwiseConv2D(3).compute_output_shape((None, 5, 5, None)) == (None, 3, 3, None)
    assert layers.MaxPooling2D().compute_output_shape((None, None, None, 3)) == (None, None, None, 3)
    layer = layers.Conv2D(4, 3)
    layer.build((None, None, None, 3))
    assert layer(np.ones((1, 5, 6, 3))).shape == (1, 3, 4, 4)


# ----------------------------------------------------------------------- trainable


def test_trainable():
    layer = layers.Dense(2)
    layer.build((None, 3))
    assert layer.trainable_weights == layer.trainable_variables == [layer.kernel, layer.bias]
    layer.trainable = False
    assert layer.trainable_weights == [] and layer.non_trainable_weights == [layer.kernel, layer.bias]
    with GradientTape() as tape:
        layer(np.ones((1, 3)))
    assert tape.watched_variables() == ()
    layer.trainable = True
    assert layer.trainable_weights == [layer.kernel, layer.bias]


def test_a_layer_frozen_before_it_is_built():
    layer = layers.BatchNormalization(trainable=False)
    layer.build((None, 3))
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 4
    layer.trainable = True
    assert layer.trainable_weights == [layer.gamma, layer.beta]


# -------------------------------------------------------------------- regularizers


def test_penalties():
    layer = layers.Dense(2, kernel_regularizer=regularizers.L1L2(0.5, 0.25), bias_regularizer="l2", bias_initializer="ones")
    layer.build((None, 3))
    kernel = numbers((3, 2))
    layer.set_weights([kernel, [3, 4]])
    expected = [0.5 * np.abs(kernel).sum() + 0.25 * (kernel**2).sum(), 0.01 * 25]
    np.testing.assert_allclose([float(penalty) for penalty in layer.losses], expected, rtol=1e-5)
    assert all(penalty.shape == () for penalty in layer.losses)
    layer.trainable = False
    assert layer.losses == []


def test_penalties_have_gradients():
    layer = layers.Dense(2, kernel_regularizer=regularizers.L1L2(0.5, 0.25), dtype="float64")
    layer.build((None, 3))
    with GradientTape() as tape:
        (penalty,) = layer.losses
    w = layer.kernel.numpy()
    np.testing.assert_allclose(tape.gradient(penalty, layer.kernel).numpy(), 0.5 * np.sign(w) + 0.5 * w, rtol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        *[layers.Dense(2), layers.Conv2D(2, 3), layers.DepthwiseConv2D(3), layers.SeparableConv2D(2, 3)],
        *[layers.BatchNormalization(), layers.LayerNormalization(), layers.PReLU()],
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_each_weight_has_the_initializer_and_the_regularizer_of_its_name(layer):
    config = layer.get_config()
    names = [argument.removesuffix("_initializer") for argument in config if argument.endswith("_initializer")]
    assert names
    for name in names:
        penalty = {f"{name}_regularizer": "l1"} if f"{name}_regularizer" in config else {}
        made = type(layer)(**{**config, f"{name}_initializer": initializers.Constant(7), **penalty})
        made.build((None, 4, 5, 3))
        (weight,) = (weight for weight in made.weights if (weight.data == 7).all())
        assert weight.name.endswith((name, "kernel")) and weight.trainable == bool(penalty)
        assert [float(loss) for loss in made.losses] == pytest.approx([0.01 * 7 * weight.size] if penalty else [])


@pytest.mark.parametrize(
    ("identifier", "l1", "l2"),
    [
        ("l1", 0.01, 0.0),
        ("l2", 0.0, 0.01),
        ("L2", 0.0, 0.01),
        ("l1_l2", 0.01, 0.01),
        (regularizers.L1(0.3), 0.3, 0.0),
        (regularizers.l2(0.3), 0.0, 0.3),
        (regularizers.l1_l2(l1=0.1, l2=0.2), 0.1, 0.2),
        ({"class_name": "L1L2", "config": {"l1": 0.1, "l2": 0.2}}, 0.1, 0.2),
    ],
)
def test_regularizers(identifier, l1, l2):
    w = numbers((3, 4))
    regularizer = regularizers.get(identifier)
    expected = l1 * np.abs(w).sum() + l2 * (w**2).sum()
    assert float(regularizer(w)) == pytest.approx(expected, rel=1e-12)
    again = regularizers.get(regularizers.serialize(regularizer))
    assert type(again) is type(regularizer)
    assert float(again(w)) == pytest.approx(expected, rel=1e-12)


def test_bad_regularizers():
    assert regularizers.get(None) is None
    with pytest.raises(ValueError, match="one of 'l1', 'l2', 'l1_l2'; got 'l3'"):
        regularizers.get("l3")
    with pytest.raises(ValueError, match="got 'Evil'"):
        regularizers.get({"class_name": "Evil", "config": {}})
    with pytest.raises(TypeError, match="got 0.01"):
        regularizers.get(0.01)
    with pytest.raises(ValueError, match="l2 must be a finite number that is not negative; got -1"):
        regularizers.L2(-1)


# ----------------------------------------------------------------------- gradients

DOUBLE = {"dtype": "float64"}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.Dense(3, "tanh", **DOUBLE), (4, 5)),
        (layers.Dense(3, "sigmoid", kernel_regularizer="l1_l2", bias_regularizer="l2", **DOUBLE), (4, 2, 5)),
        (layers.Dense(3, "softmax", **DOUBLE), (4, 5)),
        (layers.Dense(3, "gelu", **DOUBLE), (4, 5)),
        (layers.Conv2D(4, 3, 2, "same", groups=2, activation="relu", **DOUBLE), (2, 5, 6, 2)),
        (layers.Conv2D(3, (2, 3), padding=((1, 0), (2, 1)), activation="softplus", **DOUBLE), (2, 5, 6, 2)),
        (layers.Conv2D(3, 2, dilation_rate=2, activation="elu", data_format="channels_first", **DOUBLE), (2, 2, 5, 6)),
        (layers.DepthwiseConv2D(3, 2, "same", 2, activation="selu", **DOUBLE), (2, 5, 6, 3)),
        (layers.SeparableConv2D(4, 3, 1, "same", "channels_first", depth_multiplier=2, activation="silu", **DOUBLE), (2, 3, 5, 4)),
        (layers.BatchNormalization(gamma_initializer="random_normal", **DOUBLE), (6, 3)),
        (layers.BatchNormalization(axis=1, gamma_initializer="random_normal", **DOUBLE), (2, 3, 4, 2)),
        (layers.BatchNormalization(scale=False, **DOUBLE), (3, 4, 2)),
        (layers.LayerNormalization(gamma_initializer="random_normal", **DOUBLE), (2, 3, 4)),
        (layers.PReLU("random_normal", shared_axes=1, **DOUBLE), (2, 3, 4)),
        (layers.MaxPooling2D(3, 2, "same", **DOUBLE), (2, 5, 6, 2)),
        (layers.AveragePooling2D(3, 2, "same", "channels_first", **DOUBLE), (2, 2, 5, 6)),
        (layers.GlobalAveragePooling2D(keepdims=True, **DOUBLE), (2, 5, 6, 2)),
        (layers.GlobalMaxPooling2D("channels_first", **DOUBLE), (2, 2, 5, 6)),
        (layers.Dropout(0.4, seed=1, **DOUBLE), (4, 5)),
        (layers.Flatten("channels_first", **DOUBLE), (2, 2, 3, 4)),
        (layers.Reshape((-1, 2), **DOUBLE), (2, 3, 4)),
        (layers.Rescaling([0.5, 2.0], 1.0, **DOUBLE), (3, 2)),
        (layers.ReLU(1.0, 0.2, **DOUBLE), (4, 5)),
        (layers.Softmax(axis=1, **DOUBLE), (2, 3, 4)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, layers.Layer) else "",
)
def test_gradients_against_central_differences(layer, shape):
    x = Variable(numbers(shape))
    layer.build((None, *shape[1:]))
    rng = np.random.default_rng(2)
    for weight in layer.trainable_weights:
        weight.assign(weight.numpy() + 0.1 * rng.normal(size=weight.shape))
    factors = rng.normal(size=layer(x).shape)
    moving = [w.numpy() for w in layer.non_trainable_weights]

    def loss():
        if isinstance(layer, layers.Dropout):
            layer.state[1] = 0
        total = ops.sum(layer(x, training=True) * Tensor(factors))
        for penalty in layer.losses:
            total = total + penalty
        return total

    variables = [x, *layer.trainable_weights]
    with GradientTape() as tape:
        total = loss()
    gradients = tape.gradient(total, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        expected = np.empty(variable.shape)
        for index in np.ndindex(*variable.shape):
            value = variable.data[index]
            sides = []
            for h in (1e-5, -1e-5):
                variable.data[index] = value + h
                sides.append(float(loss().numpy()))
            variable.data[index] = value
            expected[index] = (sides[0] - sides[1]) / 2e-5
        scale = max(np.abs(expected).max(), 1e-3)
        assert np.abs(gradient.numpy() - expected).max() <= 1e-6 * scale, variable.name
    if moving:
        assert not np.array_equal(moving[0], layer.non_trainable_weights[0].numpy())


# ------------------------------------------------------------------- configuration

CONFIGURED = [
    (lambda: layers.Input((28, 28, 1), batch_size=2, dtype="float64", name="in"), None),
    (lambda: layers.Dense(3, "relu", False, initializers.HeNormal(seed=1), kernel_regularizer="l2"), (4, 5)),
    (lambda: layers.Dense(3, layers.LeakyReLU(0.1), input_shape=(5,), trainable=False, dtype="float64"), (4, 5)),
    (lambda: layers.Conv2D(4, (3, 2), 2, "same", None, 1, 2, activations.gelu, kernel_initializer="he_uniform"), (2, 5, 6, 2)),
    (
        lambda: layers.Conv2D(4, 3, padding=((1, 0), (2, 1)), data_format="channels_first", input_shape=(2, None, None)),
        (2, 2, 5, 6),
    ),
    (lambda: layers.DepthwiseConv2D(3, 2, "same", 2, depthwise_regularizer=regularizers.L1(0.1)), (2, 5, 6, 2)),
    (lambda: layers.SeparableConv2D(4, 3, depth_multiplier=2, pointwise_initializer=initializers.Constant(0.5)), (2, 5, 6, 2)),
    (lambda: layers.MaxPooling2D(3, (1, 2), "same", "channels_first"), (2, 2, 5, 6)),
    (lambda: layers.AveragePooling2D((3, 2), padding=1), (2, 5, 6, 2)),
    (lambda: layers.GlobalAveragePooling2D("channels_first", keepdims=True), (2, 2, 5, 6)),
    (lambda: layers.GlobalMaxPooling2D(), (2, 5, 6, 2)),
    (lambda: layers.BatchNormalization(1, 0.9, 1e-4, center=False, moving_mean_initializer="ones"), (2, 3, 4, 2)),
    (lambda: layers.LayerNormalization(epsilon=1e-5, gamma_regularizer=regularizers.L2(0.5)), (2, 3)),
    (lambda: layers.Dropout(0.25, seed=3), (2, 3)),
    (lambda: layers.RandomFlip("horizontal", seed=2), (2, 5, 6, 2)),
    (lambda: layers.RandomCrop(3, np.int64(4), data_format="channels_first"), (2, 2, 5, 6)),
    (lambda: layers.RandomTranslation((-0.1, 0.2), 0.3, "wrap", "nearest"), (2, 5, 6, 2)),
    (lambda: layers.RandomRotation(0.1, "constant", fill_value=0.5), (2, 5, 6, 2)),
    (lambda: layers.RandomZoom((-0.1, np.float32(0.25)), (0.1, 0.2)), (2, 5, 6, 2)),
    (lambda: layers.RandomContrast((0.2, 0.5), (0, 1)), (2, 5, 6, 2)),
    (lambda: layers.RandomBrightness(0.2, [-1.0, 1.0]), (2, 5, 6, 2)),
    (lambda: layers.Flatten("channels_first"), (2, 2, 5, 6)),
    (lambda: layers.Reshape((-1, 2)), (2, 6)),
    (lambda: layers.Rescaling(1 / 255, np.array([1.0, 2.0])), (3, 2)),
    (lambda: layers.Activation("bipolar_sigmoid"), (3, 2)),
    (lambda: layers.Activation(activations.swish), (3, 2)),
    (lambda: layers.ReLU(6, 0.1), (3, 2)),
    (lambda: layers.LeakyReLU(0.1), (3, 2)),
    (lambda: layers.PReLU("random_normal", "l1", shared_axes=[1]), (3, 2, 2)),
    (lambda: layers.ELU(0.5), (3, 2)),
    (lambda: layers.Softmax(1), (3, 2, 2)),
    (lambda: layers.Sigmoid(), (3, 2)),
    (lambda: layers.BipolarSigmoid(), (3, 2)),
    (lambda: layers.Tanh(), (3, 2)),
]


@pytest.mark.parametrize(("make", "shape"), CONFIGURED)
def test_config_round_trip(make, shape):
    layer = make()
    described = json.loads(json.dumps(layers.serialize(layer)))
    again = layers.deserialize(described)
    assert type(again) is type(layer)
    assert json.loads(json.dumps(layers.serialize(again))) == described
    assert (again.name, again.trainable, again.dtype) == (layer.name, layer.trainable, layer.dtype)
    assert again.batch_input_shape == layer.batch_input_shape
    if shape is not None:
        x = numbers(shape)
        layer(x)
        again.build((None, *shape[1:]))
        assert [w.shape for w in again.weights] == [w.shape for w in layer.weights]
        assert [w.name for w in again.weights] == [w.name for w in layer.weights]
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again(x).numpy(), layer(x).numpy())
        np.testing.assert_array_equal([float(p) for p in again.losses], [float(p) for p in layer.losses])


def test_every_class_has_a_round_trip_test():
    assert {type(make()) for make, _ in CONFIGURED} >= {
        cls for cls in registry._classes.values() if cls.__module__.startswith("fastnn.")
    }


def test_loading_runs_only_registered_classes():
    with pytest.raises(ValueError, match="no layer class called 'os.system'.*register_layer"):
        layers.deserialize({"class_name": "os.system", "config": {}})
    with pytest.raises(ValueError, match="no layer class called 'Layer'"):
        layers.deserialize({"class_name": "Layer", "config": {}})
    with pytest.raises(ValueError, match="configuration of a Dense does not fit: .*unitz"):
        layers.deserialize({"class_name": "Dense", "config": {"units": 3, "unitz": 3}})
    for foreign in ([], {"class_name": "Dense"}, {"class_name": ["Dense"], "config": {}}, {"class_name": "Dense", "config": []}):
        with pytest.raises(ValueError, match="layer"):
            layers.deserialize(foreign)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "pickle"])
def test_copies(duplicate):
    layer = layers.Conv2D(3, 2, activation="relu", kernel_regularizer="l2")
    x = numbers(IMAGES)
    y = layer(x).numpy()
    twin = duplicate(layer)
    np.testing.assert_array_equal(twin(x).numpy(), y)
    twin.kernel.assign(np.zeros(twin.kernel.shape))
    assert [float(p) for p in twin.losses] == [0.0]
    np.testing.assert_array_equal(layer(x).numpy(), y)


# ------------------------------------------------------------- layers of ones own


class Linear(layers.Layer):
    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal", regularizer="l2", name="w")
        self.b = Variable(np.zeros(self.units, np.float32), name="b")
        self.count = self.add_weight(initializer="zeros", trainable=False, name="count")

    def call(self, x):
        return ops.matmul(x, self.w) + self.b


class TestAddWeight:
    def test_a_name_before_the_shape_is_taken_as_keras_2_does(self):
        layer = layers.Layer()
        made = layer.add_weight("w", (2, 3), initializer="ones"), layer.add_weight("w", shape=[2, np.int64(3)], initializer="ones")
        for weight in (*made, layer.add_weight((2, 3), "ones", name="w")):
            np.testing.assert_array_equal(weight.numpy(), np.ones((2, 3), np.float32), strict=True)
            assert weight.name == "w"
        assert layer.add_weight("scalar").shape == ()

    def test_an_initializer_that_gives_another_shape(self):
        with pytest.raises(ValueError, match=r"the initializer of .* must return shape \(2, 3\); got \(2,\)"):
            layers.Layer().add_weight((2, 3), lambda shape, dtype: np.ones(2))

    @pytest.mark.parametrize("shape", ["w", 3, None, (None, 3), (2.0, 3)])
    def test_a_shape_is_integers(self, shape):
        with pytest.raises(ValueError, match=f"weight 'w' of .* must be a tuple of integers; got {re.escape(repr(shape))}"):
            layers.Layer().add_weight(shape=shape, name="w")


class Noise(layers.Layer):
    def call(self, x, training=False):
        return x + 1.0 if training else x


class Block(layers.Layer):
    """Layers in attributes and in a list, made in the constructor and built by the first call."""

    def __init__(self, width):
        super().__init__()
        self.width = width
        self.dense = layers.Dense(width)
        self.more = [Linear(width), Linear(2)]
        self.noise = Noise()

    def call(self, x):
        x = self.dense(x)
        for layer in self.more:
            x = layer(x)
        return self.noise(x)


def test_a_layer_of_ones_own():
    layer = Linear(3)
    x = numbers((2, 5)).astype(np.float32)
    y = layer(x)
    np.testing.assert_allclose(y.numpy(), x @ layer.w.numpy(), rtol=1e-5)
    assert layer.name == "linear"
    assert {w.name for w in layer.trainable_weights} == {"w", "b"}
    assert [w.name for w in layer.non_trainable_weights] == ["count"]
    assert layer.count_params() == 5 * 3 + 3 + 1
    assert layer.output_shape == (None, 3)
    assert len(layer.losses) == 1
    with GradientTape() as tape:
        total = ops.sum(layer(x))
    np.testing.assert_allclose(tape.gradient(total, layer.b).numpy(), [2, 2, 2])


def test_layers_in_a_layer():
    block = Block(6)
    block.build((None, 5))
    assert len(block.trainable_weights) == 6 and len(block.non_trainable_weights) == 2
    assert block.output_shape == (None, 2)
    assert block.count_params() == (5 * 6 + 6) + (6 * 6 + 6 + 1) + (6 * 2 + 2 + 1)
    assert len(block.losses) == 2
    assert len({id(w) for w in block.weights}) == 8
    block.trainable = False
    assert block.trainable_weights == [] and block.more[0].trainable_weights == []
    block.trainable = True
    assert len(block.trainable_weights) == 6


def test_layers_in_a_layer_for_images_of_any_size():
    class Images(layers.Layer):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 3)

        def call(self, x):
            return self.conv(x)

        def compute_output_shape(self, input_shape):
            return self.conv.compute_output_shape(input_shape)

    layer = Images()
    layer.build((None, None, None, 3))
    assert layer.output_shape == (None, None, None, 2)
    assert layer(np.ones((1, 5, 6, 3))).shape == (1, 3, 4, 2)
    assert len(layer.trainable_weights) == 2


def test_inner_layers_inherit_training():
    block = Block(6)
    x = numbers((2, 5))
    np.testing.assert_allclose(block(x, training=True).numpy(), block(x).numpy() + 1, rtol=1e-6)
    np.testing.assert_allclose(block(x, training=False).numpy(), block(x).numpy())


def test_build_by_super():
    class Inherited(Linear):
        def build(self, input_shape):
            super().build(input_shape)
            self.factor = self.add_weight(shape=(self.units,), initializer="ones", name="factor")
            self.built = True

        def call(self, x):
            return super().call(x) * self.factor

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], *self.factor.shape)

    layer = Inherited(3)
    assert layer(numbers((2, 5))).shape == (2, 3)
    assert sorted(w.name for w in layer.weights) == ["b", "count", "factor", "w"]
    assert layer.input_shape == (None, 5)


def test_registering_a_layer(monkeypatch):
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    assert layers.register_layer(Linear) is Linear
    layer = layers.deserialize(layers.serialize(Linear(3, name="mine")))
    assert isinstance(layer, Linear) and (layer.units, layer.name) == (3, "mine")
    layers.register_layer(Block)
    block = layers.deserialize(layers.serialize(Block(7)))
    assert (block.width, block.name) == (7, "block")
    layers.register_layer(Linear)
    with pytest.raises(ValueError, match="'Dense' is registered already: fastnn.layers.core.Dense"):
        layers.register_layer(type("Dense", (layers.Layer,), {}))


def test_get_config_of_a_layer_of_ones_own():
    class Hidden(layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.n = units

    class Told(Hidden):
        def get_config(self):
            return {**super().get_config(), "units": self.n}

    with pytest.raises(NotImplementedError, match="argument 'units' but has no attribute of that name"):
        Hidden(3).get_config()
    assert Told.from_config(Told(3).get_config()).n == 3


def test_calls_that_are_mistakes():
    class Forgotten(layers.Layer):
        pass

    class NumPy(layers.Layer):
        def call(self, x):
            return np.asarray(x)

    with pytest.raises(NotImplementedError, match="Forgotten must define call"):
        Forgotten()(numbers((2, 3)))
    with pytest.raises(TypeError, match="call of layer 'num_py' .NumPy. must return a Tensor.*got ndarray"):
        NumPy()(numbers((2, 3)))
    with pytest.raises(TypeError, match=r"got the layer 'input_layer'.*Sequential"):
        layers.Dense(3)(layers.Input((4,)))


def test_a_layer_whose_init_was_not_called_says_so():
    class Hasty(layers.Layer):
        def __init__(self, units):
            self.units = units

        def call(self, x):
            return x

    for use in (lambda: Hasty(3)([[1.0]]), lambda: fastnn.Sequential([Hasty(3)]), lambda: Hasty(3).trainable):
        with pytest.raises(AttributeError, match=r"__init__ of Hasty must call super\(\).__init__"):
            use()
    with pytest.raises(AttributeError, match="'Dense' object has no attribute 'kernl'"):
        _ = layers.Dense(3).kernl


# -------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            layers.Conv2D(3, 3, name="c"),
            (5, 28, 28),
            r"layer 'c' \(Conv2D\) needs inputs of shape \(batch, height, width, channels\); got \(.*28, 28\)\. .*x\[..., None\]",
        ),
        (layers.Conv2D(3, 3, data_format="channels_first"), (5, 28, 28), r"\(batch, channels, height, width\).*x\[:, None\]"),
        (layers.MaxPooling2D(), (5, 784), r"got \(.*784\)\. Make images .*Reshape\(\(28, 28, 1\)\)"),
        (layers.Dense(3), (5,), r"needs inputs of shape \(batch, features\); got \(.*x\[None\]"),
        (layers.Conv2D(3, 3), (2, 2, 4, 1), r"layer .*the output would be empty.*\(2 \+ 0 - 1 \* \(3 - 1\) - 1\).*padding='same'"),
        (layers.MaxPooling2D(3), (2, 2, 4, 1), r"on inputs of shape \(None, 2, 4, 1\).*the output would be empty"),
        (layers.Conv2D(4, 3, groups=2), (2, 5, 5, 3), "groups .* must divide the number of input channels: .*groups=2"),
        (layers.BatchNormalization(axis=2), (2, 5, 5, 3), r"axis of layer .* must be 1 or 3 for inputs .*; got 2"),
        (layers.LayerNormalization(axis=1), (2, 5, 5, 3), r"axis of layer .* must be 3 for inputs .*; got 1"),
        (layers.Reshape((3, 4)), (2, 11), r"cannot make samples of shape \(3, 4\) .*: 11 elements do not fit into 12"),
        (layers.Reshape((3, 4)), (2, 24), "24 elements do not fit into 12"),
        (layers.Reshape((3, -1)), (2, 11), "11 elements do not fit into 3"),
        (layers.Rescaling([1.0, 2.0]), (2, 3), "scale of layer .* must be one number, or 3 numbers"),
    ],
)
def test_inputs_that_do_not_fit(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(numbers(shape))
    assert not layer.built


@pytest.mark.parametrize(
    ("layer", "built_for", "shape", "message"),
    [
        (layers.Dense(3, name="d"), (784,), (28, 28), r"'d' \(Dense\) needs .*\(batch, 784\)|.*784.*got \(2, 28, 28\).*Flatten"),
        (layers.Dense(3), (4,), (5,), r"\(batch, 4\); got \(2, 5\)\. The number of features is fixed"),
        (layers.Conv2D(3, 3), (8, 8, 3), (8, 8, 1), r"\(batch, height, width, 3\); got \(2, 8, 8, 1\)\. The number of channels"),
        (
            layers.Conv2D(3, 3),
            (8, 8, 3),
            (3, 8, 8),
            r"look like channels_first images: give the layer data_format='channels_first'",
        ),
        (layers.BatchNormalization(), (4,), (5,), r"\(batch, 4\); got \(2, 5\)"),
        (layers.BatchNormalization(axis=1), (3, 8, 8), (5,), r"\(batch, 3, height, width\); got \(2, 5\)"),
        (layers.PReLU(), (4, 5), (4,), r"\(batch, 4, 5\); got \(2, 4\)"),
    ],
)
def test_inputs_that_do_not_fit_a_built_layer(layer, built_for, shape, message):
    layer.build((None, *built_for))
    with pytest.raises(ValueError, match=message):
        layer(numbers((2, *shape)))


def test_channels_must_be_known():
    with pytest.raises(ValueError, match="needs to know the number of channels of its inputs; got shape"):
        layers.Conv2D(3, 3).build((None, 8, 8, None))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dense(0), "units must be an integer of at least 1.*got 0"),
        (lambda: layers.Dense("3"), "units must be an integer; got '3'"),
        (lambda: layers.Dense(3, "relo"), "activation must be one of .*'relu'.*got 'relo'"),
        (lambda: layers.Dense(3, 5), "activation must be a name, a function or None; got 5"),
        (lambda: layers.Dense(3, kernel_initializer="he"), "initializer must be one of"),
        (lambda: layers.Dense(3, name=""), "name must be a string that is not empty"),
        (lambda: layers.Conv2D(3, (3, 3, 3)), "kernel_size must be an integer or two integers"),
        (lambda: layers.Conv2D(3, 3, strides=-1), "strides must be an integer of at least 1.*got -1"),
        (lambda: layers.Conv2D(3, 3, padding="full"), "padding must be 'valid', 'same'.*got 'full'"),
        (lambda: layers.Conv2D(3, 3, data_format="NHWC"), "data_format must be 'channels_last' or 'channels_first'; got 'NHWC'"),
        (lambda: layers.Conv2D(3, 3, groups=2), "groups must divide filters: filters=3, groups=2"),
        (lambda: layers.MaxPooling2D(0), "pool_size must be an integer of at least 1"),
        (lambda: layers.BatchNormalization(momentum=2), "momentum must be from 0 to 1; got 2"),
        (lambda: layers.BatchNormalization(epsilon=0), "epsilon must be positive; got 0"),
        (lambda: layers.Dropout(1.0), "rate must be at least 0 and less than 1.*got 1.0"),
        (lambda: layers.Dropout(0.5, seed=-1), "seed must be an integer from 0"),
        (lambda: layers.Reshape((2.5, 2)), "target_shape must be an integer; got 2.5"),
        (lambda: layers.Reshape((-1, -1)), "target_shape must be made of positive integers, one of which may be -1"),
        (
            lambda: layers.Dense(3, activaton="relu"),
            "^Dense has no argument 'activaton'; its arguments are units, activation, .*, name,",
        ),
        (lambda: layers.MaxPooling2D(2, stride=2), "^MaxPooling2D has no argument 'stride'; .* pool_size, strides, padding, "),
        (lambda: layers.Dropout(0.5, seed=1.5), "seed must be an integer; got 1.5"),
        (lambda: layers.ReLU(max_value=-1), "max_value must be at least 0; got -1"),
        (lambda: layers.ReLU(negative_slope=-0.1), "negative_slope must be at least 0; got -0.1"),
        (lambda: layers.LeakyReLU(-0.1), "negative_slope must be at least 0; got -0.1"),
        (lambda: layers.ELU(float("nan")), "alpha must be at least 0; got nan"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_the_same_seed_gives_the_same_layer():
    def weights():
        fastnn.set_seed(3)
        layer = layers.SeparableConv2D(4, 3)
        layer.build((None, 5, 5, 2))
        return layer.get_weights()

    for one, other in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert random.generator() is random.generator()


def test_automatic_names_keep_clear_of_given_ones():
    layers.clear_session()
    layers.Dense(1, name="dense_3")
    layers.Dense(1, name="hidden")
    assert [layers.Dense(1).name, layers.Dense(1).name] == ["dense_4", "dense_5"]
    layers.clear_session()
    assert layers.Dense(1).name == "dense"
