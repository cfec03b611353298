"""Mistakes that can be computed without complaint: what `compile`, `fit` and `evaluate` warn of, and what they do not."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = X[:, :1]


def compiled(units=1, activation=None, loss="mse", rate=0.01, after=()):
    model = fastnn.Sequential([layers.Dense(8, activation="relu"), layers.Dense(units, activation=activation), *after])
    model.compile(optimizers.SGD(rate), loss)
    return model


BINARY_LOGITS = losses.BinaryCrossentropy(from_logits=True)
SPARSE_LOGITS = losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, "softmax", "binary_crossentropy"), "softmax of a single output.*is always 1.*'sigmoid'"),
        ((1, "softmax", "mse"), "softmax of a single output"),
        ((3, "relu", "sparse_categorical_crossentropy"), "'relu', whose results are no probabilities.*activation='softmax'"),
        ((1, "tanh", "binary_crossentropy"), "'tanh', whose results are no probabilities.*activation='sigmoid'"),
        ((3, "sigmoid", SPARSE_LOGITS), "'sigmoid', whose results are no logits.*no activation"),
        ((3, "softmax", BINARY_LOGITS), "'softmax', whose results are no logits"),
        ((3, "relu", SPARSE_LOGITS), "'relu', whose results are no logits"),
    ],
)
def test_outputs_that_do_not_fit_the_loss(arguments, message):
    with pytest.warns(UserWarning, match=message) as warned:
        compiled(*arguments)
    assert warned[0].filename == __file__


def test_probabilities_for_a_loss_of_logits_are_probabilities_for_the_metrics_too():
    given = losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    model = fastnn.Sequential([layers.Dense(1, activation="sigmoid")])
    with pytest.warns(UserWarning, match="from_logits=True, but the last layer.*sigmoid.*it is taken as from_logits=False"):
        model.compile(optimizers.SGD(0.5), given, metrics=["accuracy"])
    y = (X[:, 0] > 0.5).astype(int)
    model.fit(X, y, epochs=20, verbose=0)
    loss, accuracy = model.evaluate(X, y)
    p = model.predict(X)[:, 0].astype(np.float64)
    t = 0.9 * y + 0.05
    assert accuracy == ((p > 0.5) == y).mean() > 0.9
    assert loss == pytest.approx(-(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), rel=1e-5)
    assert given.from_logits


@pytest.mark.parametrize("layer", [layers.ReLU(), layers.Activation("tanh")])
def test_an_activation_that_is_a_layer_counts_as_well(layer):
    with pytest.warns(UserWarning, match="no probabilities"):
        compiled(3, None, "categorical_crossentropy", after=[layer])


@pytest.mark.parametrize(
    ("units", "activation", "loss"),
    [
        (1, "sigmoid", "binary_crossentropy"),
        (5, "sigmoid", "binary_crossentropy"),
        (2, "softmax", "sparse_categorical_crossentropy"),
        (2, "softmax", "binary_crossentropy"),
        (3, "sigmoid", "categorical_crossentropy"),
        (3, None, SPARSE_LOGITS),
        (1, "tanh", "hinge"),
        (1, "relu", "mse"),
        (3, lambda x: x * x, "categorical_crossentropy"),
        (3, "softmax", None),
    ],
)
def test_what_may_be_meant_is_not_warned_of(units, activation, loss):
    compiled(units, activation, loss)


@pytest.mark.parametrize("batch_size", [16, 60])
def test_nan_in_the_inputs_is_named_once(batch_size):
    x = X.copy()
    x[7, 2], x[9, 1] = np.nan, np.inf
    with pytest.warns(RuntimeWarning) as warned:
        compiled().fit(x, Y, batch_size=batch_size, epochs=3, verbose=0)
    assert [str(warning.message) for warning in warned] == [
        "the loss of epoch 1 is nan: x[7, 2] is nan; there is NaN or infinity in 2 of 60 samples of x"
    ]
    assert warned[0].filename == __file__
    with pytest.warns(RuntimeWarning, match=r"the loss is nan: x\[7, 2\]"):
        compiled().evaluate(x, Y)


def test_a_training_that_diverges_names_the_rate_and_the_range_of_the_data():
    model = compiled(rate=5.0)
    with pytest.warns(
        RuntimeWarning, match=r"the loss of epoch \d+ is .*: x, from -\d+ to \d+, and y.*the learning rate, 5,"
    ) as warned:
        history = model.fit(1000 * X, Y, epochs=9, verbose=0).history["loss"]
    bad = int(np.flatnonzero(~np.isfinite(history))[0])
    assert f"the loss of epoch {bad + 1} is {history[bad]}:" in str(warned[0].message) and len(warned) == 1
    with pytest.warns(RuntimeWarning, match="are finite; the weights may not be"):
        model.evaluate(X, Y)


def test_nan_in_the_validation_data_is_not_taken_for_a_divergence():
    x = X.copy()
    x[3, 0] = np.nan
    with pytest.warns(
        RuntimeWarning, match=r"the val_loss of epoch 1 is nan: validation x\[3, 0\] is nan; .* in 1 of 60 samples of validation x"
    ):
        compiled().fit(X, Y, verbose=0, validation_data=(x, Y))


def test_batches_are_not_kept_to_be_looked_at():
    with pytest.warns(RuntimeWarning, match="there may be NaN or infinity in the data; the learning rate"):
        compiled().fit(((X * np.nan, Y) for _ in range(2)), verbose=0)


def test_accuracy_of_what_is_neither_0_nor_1():
    def fit(y, metric="accuracy", loss="mse"):
        model = fastnn.Sequential([layers.Dense(1)])
        model.compile("sgd", loss, metrics=[metric])
        return model.fit(X, y, verbose=0)

    with pytest.warns(UserWarning, match="'accuracy' tells 0 from 1, and y has other values.*'mae'") as warned:
        fit(Y)
    assert warned[0].filename == __file__ and len(warned) == 1
    with pytest.warns(UserWarning, match="such as -1,.*'sign_accuracy'"):
        fit(np.sign(Y))
    for y, metric, loss in ((Y > 0, "accuracy", "mse"), (np.sign(Y), "sign_accuracy", "mse"), (np.sign(Y), "accuracy", "hinge")):
        fit(y, metric, loss)


PIXELS = RNG.integers(0, 256, size=(40, 6, 6, 1), dtype=np.uint8)


def on_pixels(*first):
    model = fastnn.Sequential([layers.Input((6, 6, 1)), *first, layers.Flatten(), layers.Dense(2, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize("first", [[], [layers.RandomFlip(), layers.MaxPooling2D()], [layers.Conv2D(2, 3), layers.ReLU()]])
@pytest.mark.parametrize("x", [PIXELS, PIXELS.astype(np.float32)])
def test_pixels_that_are_not_scaled_are_told(first, x):
    model = on_pixels(*first)
    y = np.arange(40) % 2
    learns = next(layer.name for layer in model.layers if layer.weights)
    message = rf"x has values from 0 to 255, as pixels.*{learns!r}, gets.*layers\.Rescaling\(1 / 255\)"
    with pytest.warns(UserWarning, match=message) as warned:
        model.fit(x, y, verbose=0)
    assert warned[0].filename == __file__
    batches = [(x[:20], y[:20]), (x[20:], y[20:])]
    with pytest.warns(UserWarning, match=message) as warned:
        model.fit(Batches(batches), epochs=2, verbose=0)
    assert len(warned) == 1 and warned[0].filename == __file__


class Batches:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


class Squashed(layers.Layer):
    def call(self, x):
        return fastnn.ops.tanh(x)


@pytest.mark.parametrize(
    ("first", "x"),
    [
        (lambda: [layers.Rescaling(1 / 255)], PIXELS),
        (lambda: [layers.Flatten(), layers.BatchNormalization()], PIXELS),
        (lambda: [Squashed()], PIXELS),  # a layer of one's own may scale
        (lambda: [layers.Conv2D(2, 3), layers.BatchNormalization()], PIXELS),
        (list, PIXELS / 255),
        (list, PIXELS.astype(float) - 128),
        (list, PIXELS // 16),
    ],
)
def test_pixels_that_are_scaled_or_small_are_not_told(first, x):
    on_pixels(*first()).fit(x, np.arange(len(x)) % 2, verbose=0)
