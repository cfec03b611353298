"""Sequential: what it learns, says and refuses; recorded steps against the same steps one by one."""

import copy
import gc
import io
import pickle
import sys
import threading
import types
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, losses, metrics, ops, optimizers
from fastnn.autodiff import GradientTape, Tensor
from fastnn.data import split_validation
from fastnn.kernels import table
from fastnn.kernels.backends import BACKENDS
from fastnn.program import Program
from fastnn.training import ArraySource

INSTALLED = [name for name, backend in BACKENDS.items() if name != "cuda" and backend.installed()]
RNG = np.random.default_rng(3)
IMAGES = RNG.random((50, 8, 8, 1)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)


@pytest.fixture(params=INSTALLED)
def backend(request):
    with fastnn.use_backend(request.param):
        yield request.param


def cnn(seed=0, **compile_arguments):
    fastnn.set_seed(seed)
    model = fastnn.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    arguments = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**{**arguments, **compile_arguments})
    return model


def train_by_hand(model, x, y, batch_size, epochs=1, weight=None):
    """The loop that a reader of the Keras guide would write."""
    history = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            with GradientTape() as tape:
                pred = model(x[part], training=True)
                loss = model.loss(y[part], pred, None if weight is None else weight[part])
                for penalty in model.losses:
                    loss = loss + penalty
            gradients = tape.gradient(loss, model.trainable_weights)
            model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
            total += float(loss) * len(y[part])
        history.append(total / len(x))
    return history


def assert_same_weights(one, other, tolerance=2e-5):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_replayed_fit_equals_the_loop_by_hand(backend):
    fitted, stepped = cnn(), cnn()
    history = fitted.fit(IMAGES, LABELS, batch_size=16, epochs=3, shuffle=False, verbose=0)
    by_hand = train_by_hand(stepped, IMAGES, LABELS, 16, epochs=3)
    assert_same_weights(fitted, stepped)
    np.testing.assert_allclose(history.history["loss"], by_hand, rtol=1e-4)


def test_relu_before_max_pooling_is_differentiated_at_the_pooled_elements():
    model = fastnn.Sequential([layers.Input((6, 6, 1)), layers.Conv2D(3, 3, activation="relu"), layers.MaxPooling2D(2)])
    with table.record(run=False) as recording, GradientTape() as tape:
        loss = losses.MeanSquaredError()(np.zeros((5, 2, 2, 3), np.float32), model(Tensor(np.ones((5, 6, 6, 1), np.float32))))
        gradients = tape.gradient(loss, model.trainable_weights)
    calls = Program(recording.calls, [gradient.data for gradient in gradients]).calls
    assert [args[0].shape for name, args in calls if name == "relu_backward"] == [(5, 2, 2, 3)]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no resource module")
def test_a_thousand_steps_take_no_more_memory_than_the_first():
    import resource

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in KB, on macOS in bytes

    model = cnn()
    model.fit(IMAGES, LABELS, batch_size=10, verbose=0)
    before = peak()
    model.fit(IMAGES, LABELS, batch_size=10, epochs=1000 * 10 // len(IMAGES), verbose=0)
    assert peak() <= 1.02 * before


class Louder(layers.Layer):
    """A layer that decides by the values of its input."""

    def call(self, inputs, training=False):
        return ops.relu(inputs) if inputs.numpy().sum() > 0 else ops.tanh(inputs)


def test_a_layer_that_looks_at_values_looks_every_time():
    model = fastnn.Sequential([layers.Input((2,)), Louder()])
    with pytest.warns(UserWarning, match="step by step in Python"):
        up = model.predict(np.array([[2.0, -1.0]]), verbose=0)
    down = model.predict(np.array([[-2.0, 1.0]]), verbose=0)
    np.testing.assert_array_equal(up, [[2, 0]])
    np.testing.assert_allclose(down, np.tanh([[-2.0, 1.0]]), rtol=1e-6)


def test_trainings_of_other_arrays_go_on_with_the_recorded_steps(monkeypatch):
    parts = [(slice(0, 25), 10), (slice(25, 50), 10), (slice(3, 38), 10), (slice(0, 8), 10)]  # the last smaller than a batch
    model, reference = cnn(), cnn()
    recordings = []
    record = fastnn.kernels.table.record
    monkeypatch.setattr(fastnn.kernels.table, "record", lambda run: recordings.append(None) or record(run))
    for part, batch_size in parts:
        model.fit(IMAGES[part], LABELS[part], batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    assert len(recordings) == 3  # batches of 10, 5 and 8 samples
    for part, batch_size in parts:
        reference._forget_steps()
        reference.fit(IMAGES[part], LABELS[part], batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    for got, expected in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_one_step_epochs_of_other_arrays_go_on_with_the_recorded_step():
    model, reference = cnn(), cnn()
    for part in (slice(0, 20), slice(20, 40), slice(0, 30)):
        model.fit(IMAGES[part], LABELS[part], batch_size=32, epochs=5, verbose=0)
        reference._forget_steps()
        reference.fit(IMAGES[part], LABELS[part], batch_size=32, epochs=5, verbose=0)
    for got, expected in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("data", [lambda images: (images, LABELS), lambda images: (iter([(images, LABELS)]),)])
def test_a_trained_model_keeps_no_data(data):
    images = IMAGES.copy()
    alive = weakref.ref(images)
    model = cnn()
    model.fit(*data(images), verbose=0)
    del images
    gc.collect()
    assert alive() is None


def test_more_samples_than_kernels_can_count_are_refused():
    x = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (2**31, 1), (0, 0))
    with pytest.raises(ValueError, match="x must have at most 2147483647 samples, got 2147483648"):
        ArraySource(x, x, None, np.zeros(1), 1)


def test_every_epoch_takes_all_samples_in_an_order_of_its_own():
    seen = []

    def spy(y_true, y_pred):
        seen.extend(y_true[:, 0].tolist())
        return 0.0

    model = fastnn.Sequential([layers.Input((1,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[spy])
    x = np.arange(10.0)[:, None]
    model.fit(x, x, batch_size=3, epochs=2, verbose=0)
    first, second = seen[:10], seen[10:]
    assert sorted(first) == sorted(second) == list(range(10)) and first != second and first != sorted(first)
    seen.clear()
    model.fit(x, x, batch_size=3, shuffle=False, verbose=0)
    assert seen == list(range(10))


TRAININGS = {
    "fit": lambda model: model.fit(IMAGES, LABELS, verbose=0),
    "fit of batches": lambda model: model.fit(iter([(IMAGES, LABELS)]), verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(IMAGES, LABELS),
}


@pytest.mark.parametrize("training", TRAININGS)
def test_what_is_frozen_between_trainings_stays_as_it_is_until_it_thaws(training):
    model, train = cnn(), TRAININGS[training]
    train(model)
    frozen, statistics = model.layers[0].kernel, model.layers[1].moving_mean
    model.layers[0].trainable = model.layers[1].trainable = False
    before = frozen.numpy(), statistics.numpy()
    train(model)
    np.testing.assert_array_equal(frozen.numpy(), before[0])
    np.testing.assert_array_equal(statistics.numpy(), before[1])
    model.layers[0].trainable = model.layers[1].trainable = True
    train(model)
    assert not np.array_equal(frozen.numpy(), before[0])
    assert not np.array_equal(statistics.numpy(), before[1])


class Wrapped(layers.Layer):
    """A layer around one that others may hold as well."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def test_a_layer_that_two_layers_hold_counts_once():
    shared = layers.Dense(3, kernel_regularizer="l2", use_bias=False)
    model = fastnn.Sequential([layers.Input((3,)), Wrapped(shared), Wrapped(shared)])
    model.compile(optimizers.SGD(0.1), "mse")
    assert model.weights == model.trainable_weights == [shared.kernel] and model.count_params() == 9
    w, x = shared.kernel.numpy().astype(np.float64), np.eye(3)
    model.fit(x, np.zeros((3, 3)), batch_size=3, verbose=0)
    y = x @ w @ w
    dy = 2 * y / y.size
    gradient = x.T @ dy @ w.T + (x @ w).T @ dy + 2 * 0.01 * w
    np.testing.assert_allclose(shared.kernel.numpy(), w - 0.1 * gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adagrad", "adamw"])
def test_replay_follows_every_optimizer_and_schedule(optimizer):
    def compiled():
        made = optimizers.get(optimizer)
        made.learning_rate = optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)
        return cnn(optimizer=made)

    fitted, stepped = compiled(), compiled()
    fitted.fit(IMAGES, LABELS, batch_size=10, epochs=2, shuffle=False, verbose=0)
    train_by_hand(stepped, IMAGES, LABELS, 10, epochs=2)
    assert_same_weights(fitted, stepped)
    assert fitted.optimizer.iterations == 10


def test_losses_of_a_hundred_steps_agree_between_reference_eager_and_replayed_steps(backend):
    x, y = IMAGES[:40], LABELS[:40]
    with fastnn.use_backend("numpy"):
        reference = train_by_hand(cnn(), x, y, 10, epochs=25)
    replayed = cnn().fit(x, y, batch_size=10, epochs=25, shuffle=False, verbose=0).history["loss"]
    np.testing.assert_allclose(train_by_hand(cnn(), x, y, 10, epochs=25), reference, rtol=1e-4)
    np.testing.assert_allclose(replayed, reference, rtol=1e-4)


@pytest.mark.parametrize("compiled", ["cython", "numba"])
def test_one_and_two_threads_give_the_same_bits(compiled):
    if compiled not in INSTALLED:
        pytest.skip(f"the backend {compiled} is not installed")
    weights = []
    before = fastnn.get_num_threads()
    try:
        for count in (1, 2):
            fastnn.set_num_threads(count)
            fastnn.set_seed(5)
            model = fastnn.Sequential(
                [
                    layers.Input((28, 28, 1)),
                    layers.Conv2D(32, 3, activation="relu"),
                    layers.Conv2D(40, 3, activation="tanh"),
                    layers.BatchNormalization(),
                    layers.MaxPooling2D(),
                    layers.Dropout(0.5),
                    layers.Flatten(),
                    layers.Dense(128, activation="relu"),
                    layers.Dense(10, activation="softmax"),
                ]
            )
            model.compile("adam", "sparse_categorical_crossentropy")
            x = np.random.default_rng(0).random((96, 28, 28, 1)).astype(np.float32)
            with fastnn.use_backend(compiled):
                model.fit(x, np.arange(96) % 10, batch_size=32, epochs=2, verbose=0)
            weights.append(model.get_weights())
    finally:
        fastnn.set_num_threads(before)
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    runs = []
    for seed in (7, 7, 8):
        model = cnn(seed)
        model.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0)
        runs.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


def test_an_iterable_of_batches_trains_like_arrays():
    arrays, batches = cnn(), cnn()
    arrays.fit(IMAGES, LABELS, batch_size=16, epochs=2, shuffle=False, verbose=0)

    class Batches:
        def __len__(self):
            raise TypeError("as a PyTorch loader of an iterable data set")

        def __iter__(self):
            for start in range(0, 50, 16):
                yield IMAGES[start : start + 16], LABELS[start : start + 16]

    history = batches.fit(Batches(), epochs=2, verbose=0)
    assert_same_weights(arrays, batches)
    np.testing.assert_allclose(history.history["loss"], arrays.history.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(batches.evaluate(Batches()), arrays.evaluate(IMAGES, LABELS), rtol=1e-5)
    expected = batches.predict(IMAGES)
    for kind in (tuple, list, lambda batch: batch[0], lambda batch: list(batch[0])):
        np.testing.assert_allclose(batches.predict(kind(batch) for batch in Batches()), expected, atol=1e-6)


def test_sample_weights_of_whole_numbers_count_like_copies():
    weighted, copied = cnn(optimizer=optimizers.SGD(0.1)), cnn(optimizer=optimizers.SGD(0.1))
    for model in (weighted, copied):
        for layer in model.layers:
            if isinstance(layer, layers.Dropout):
                layer.rate = 0.0
        model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    x, y = IMAGES[:6], LABELS[:6]
    # without batch normalization's statistics in the way: evaluate is linear in the weights
    plain = weighted.evaluate(x, y, sample_weight=np.array([1, 1, 1, 3, 0, 0]))
    penalty = sum(float(p) for p in weighted.losses)
    rows = [0, 1, 2, 3, 3, 3]
    again = copied.evaluate(x[rows], y[rows])
    np.testing.assert_allclose(plain - penalty, again - penalty, rtol=1e-5)


def test_class_weight_is_the_sample_weight_of_each_class():
    by_class, by_sample, one_hot = cnn(), cnn(), cnn(loss="categorical_crossentropy")
    by_class.fit(IMAGES, LABELS, batch_size=16, class_weight={0: 2.0, 2: 0.5}, shuffle=False, verbose=0)
    one_hot.fit(IMAGES, np.eye(3)[LABELS], batch_size=16, class_weight={0: 2.0, 2: 0.5}, shuffle=False, verbose=0)
    by_sample.fit(IMAGES, LABELS, batch_size=16, sample_weight=np.choose(LABELS, [2.0, 1.0, 0.5]), shuffle=False, verbose=0)
    assert_same_weights(by_class, by_sample, 0)
    assert_same_weights(one_hot, by_sample)


@pytest.mark.parametrize("negative", [0, -1])
@pytest.mark.parametrize(("targets", "loss"), [((0, 1), "hinge"), ((-1, 1), "hinge"), ((0, 1), "bce"), ((0.1, 0.9), "bce")])
def test_class_weight_of_a_single_output(targets, loss, negative):
    def loss_of(**weights):
        fastnn.set_seed(0)
        model = fastnn.Sequential([layers.Input((4,)), layers.Dense(1, activation="sigmoid" if loss == "bce" else None)])
        model.compile("sgd", loss)
        return model.train_on_batch(IMAGES[:, 0, :4, 0], np.take(targets, LABELS > 0), **weights)

    expected = loss_of(sample_weight=np.where(LABELS > 0, 0.5, 3.0))
    assert loss_of(class_weight={negative: 3.0, 1: 0.5}) == expected != loss_of()


def test_classes_at_several_positions_have_no_weight():
    model = fastnn.Sequential([layers.Input((8, 8)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"class_weight needs a class for each sample.*\(n, 8, 3\): give sample_weight"):
        model.fit(IMAGES[..., 0], np.zeros((50, 8), int), class_weight={0: 2.0}, verbose=0)


def test_images_of_any_size_are_predicted_in_batches():
    model = fastnn.Sequential([layers.Input((None, None, 1)), layers.Conv2D(2, 3)])
    images = RNG.random((300, 5, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(model.predict(images), model(images).numpy())
    assert model.predict(images[:0]).shape == (0, 3, 2, 2)


def test_models_may_share_a_layer_for_images_of_different_sizes():
    conv = layers.Conv2D(2, 3)
    small = fastnn.Sequential([layers.Input((8, 8, 1)), conv])
    large = fastnn.Sequential([layers.Input((10, 9, 1)), conv, layers.Flatten(), layers.Dense(3)])
    assert small.output_shape == (None, 6, 6, 2)
    assert large.layers[-1].input_shape == (None, 8 * 7 * 2)
    assert large.predict(np.ones((300, 10, 9, 1), np.float32)).shape == (300, 3)
    large.pop()
    assert large.output_shape == (None, 8 * 7 * 2)


def test_a_model_cannot_be_built_for_inputs_that_its_weights_do_not_fit():
    model = fastnn.Sequential([layers.Conv2D(2, 3), layers.GlobalAveragePooling2D()])
    for shape in ((None, 8, 8, 1), (None, 5, 7, 1)):
        model.build(shape)
        assert model.input_shape == shape
    with pytest.raises(ValueError, match=r"needs inputs of shape \(batch, height, width, 1\); got \(None, 8, 8, 3\)"):
        model.build((None, 8, 8, 3))
    assert model.input_shape == (None, 5, 7, 1)


def test_a_sum_over_samples_is_replayed_too():
    def trained(reduction, rate):
        fastnn.set_seed(0)
        model = fastnn.Sequential([layers.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")])
        model.compile(optimizers.SGD(rate), losses.SparseCategoricalCrossentropy(reduction=reduction))
        model.fit(IMAGES, LABELS, batch_size=25, shuffle=False, verbose=0)  # warnings are errors
        return model

    assert_same_weights(trained("sum", 0.1 / 25), trained("sum_over_batch_size", 0.1))


def test_weights_of_samples_and_classes_are_the_losses_and_not_the_metrics():
    def computed_by_python(y, pred):
        return np.abs(np.asarray(pred)[:, 0] - 0.3)

    model = cnn(metrics=["accuracy", computed_by_python])
    weights = np.linspace(0, 4, len(IMAGES))
    plain, weighted = model.evaluate(IMAGES, LABELS), model.evaluate(IMAGES, LABELS, sample_weight=weights)
    assert weighted[1:] == plain[1:]
    assert weighted[0] != plain[0]
    one, other = cnn(optimizer=optimizers.SGD(1e-12)), cnn(optimizer=optimizers.SGD(1e-12))
    options = {"batch_size": 50, "shuffle": False, "verbose": 0}
    assert (
        one.fit(IMAGES, LABELS, **options).history["accuracy"]
        == other.fit(IMAGES, LABELS, class_weight={0: 50.0}, **options).history["accuracy"]
    )


def test_forgotten_flatten():
    model = fastnn.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Dense(3)])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="layer Flatten or GlobalAveragePooling2D is missing"):
        model.fit(IMAGES, LABELS, verbose=0)


@pytest.mark.parametrize(
    "class_weight, error, message",
    [
        ("balanced", TypeError, "class_weight must be a dict.*'balanced'; balanced ones are"),
        ([1.0, 2.0], TypeError, "class_weight must be a dict"),
        ({"0": 2.0}, ValueError, "class '0', and the model's classes are 0 to 2"),
        ({3: 2.0}, ValueError, "class 3"),
        ({0.5: 2.0}, ValueError, "class 0.5"),
        ({0: -1.0}, ValueError, r"class_weight\[0\]"),
        ({0: float("inf")}, ValueError, r"class_weight\[0\] must be finite"),
        ({0: "2"}, TypeError, r"class_weight\[0\] must be a number"),
    ],
)
def test_weights_of_classes_that_are_none(class_weight, error, message):
    with pytest.raises(error, match=message):
        cnn().fit(IMAGES, LABELS, class_weight=class_weight, verbose=0)


@pytest.mark.parametrize(("samples", "share", "trained"), [(50, 0.25, 37), (100, 0.1, 90), (10, 0.01, 9)])
def test_validation_split_rounds_down_what_is_trained_on(samples, share, trained):  # as Keras does
    x = np.arange(samples)
    (x_train, *_), (x_held, *_) = split_validation(x, x, None, share)
    np.testing.assert_array_equal(x_train, x[:trained])
    np.testing.assert_array_equal(x_held, x[trained:])


def test_validation_split_takes_the_last_samples():
    split, given, weight = cnn(), cnn(), np.linspace(0, 3, 50)
    one = split.fit(IMAGES, LABELS, sample_weight=weight, validation_split=0.2, shuffle=False, verbose=0).history
    held = IMAGES[40:], LABELS[40:], weight[40:]
    arguments = {"sample_weight": weight[:40], "validation_data": held, "shuffle": False, "verbose": 0}
    two = given.fit(IMAGES[:40], LABELS[:40], **arguments).history
    assert one == two
    assert one["val_loss"][0] == pytest.approx(given.evaluate(*held[:2], sample_weight=held[2])[0], rel=1e-6)
    assert set(one) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_evaluate_does_not_depend_on_the_batch_size_and_matches_numpy():
    model = cnn()
    model.fit(IMAGES, LABELS, epochs=2, verbose=0)
    loss, accuracy = model.evaluate(IMAGES, LABELS, batch_size=7)
    np.testing.assert_allclose(model.evaluate(IMAGES, LABELS, batch_size=50), [loss, accuracy], rtol=1e-5)
    p = model.predict(IMAGES, batch_size=11)
    penalty = sum(float(value) for value in model.losses)
    np.testing.assert_allclose(loss, -np.log(p[np.arange(50), LABELS]).mean() + penalty, rtol=1e-4)
    assert accuracy == pytest.approx((p.argmax(1) == LABELS).mean())


def test_uint8_images_count_like_their_floats():
    raw = RNG.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    one, two = cnn(), cnn()
    one.fit(raw, LABELS[:20], batch_size=8, shuffle=False, verbose=0)
    two.fit(raw.astype(np.float32), LABELS[:20], batch_size=8, shuffle=False, verbose=0)
    assert_same_weights(one, two, 0)
    np.testing.assert_array_equal(one.predict(raw), one.predict(raw.astype(np.float64)))


def test_numbers_that_are_objects_count_like_numbers():
    """As a table whose columns have several types gives them."""
    plain = cnn()
    plain.fit(IMAGES, LABELS, epochs=2, verbose=0)
    objects = cnn()
    objects.fit(IMAGES.astype(object), LABELS.astype(object), epochs=2, verbose=0)
    assert_same_weights(plain, objects)


def test_grey_images_without_channel_axis_are_taken():
    model = cnn()
    np.testing.assert_array_equal(model.predict(IMAGES[..., 0]), model.predict(IMAGES))


def test_metrics_without_a_kernel_are_computed_too():
    def share_of_first_class(y_true, y_pred):
        return np.asarray(y_pred)[:, 0]

    model = cnn(metrics=["accuracy", share_of_first_class, metrics.SparseTopKCategoricalAccuracy(k=2)])
    history = model.fit(IMAGES, LABELS, batch_size=16, epochs=2, verbose=0).history
    assert list(history) == ["loss", "accuracy", "share_of_first_class", "sparse_top_k_categorical_accuracy"]
    results = model.evaluate(IMAGES, LABELS, batch_size=16, return_dict=True)
    p = model.predict(IMAGES)
    assert results["share_of_first_class"] == pytest.approx(p[:, 0].mean(), rel=1e-5)
    top = np.argsort(-p, axis=1)[:, :2]
    assert results["sparse_top_k_categorical_accuracy"] == pytest.approx((top == LABELS[:, None]).any(1).mean())


def test_metrics_of_one_name():
    model = cnn(metrics=["accuracy", metrics.SparseTopKCategoricalAccuracy(2), metrics.SparseTopKCategoricalAccuracy(3)])
    with pytest.raises(ValueError, match="metrics must have different names"):
        model.fit(IMAGES, LABELS, verbose=0)


def test_metrics_begin_anew_with_each_training():
    used = metrics.SparseTopKCategoricalAccuracy(k=1)
    used.update_state(LABELS, np.eye(3)[LABELS])  # all of them right
    fastnn.set_seed(0)
    model = fastnn.Sequential([layers.Flatten(), layers.Dense(3, activation="softmax")])
    model.compile(optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=[used, "accuracy"])
    history = model.fit(iter([(IMAGES, LABELS)]), verbose=0).history
    assert history["sparse_top_k_categorical_accuracy"] == history["accuracy"]


def test_a_layer_in_python_runs_eagerly_and_says_so_once():
    class Square(layers.Layer):
        def call(self, x):
            return x * x

    def build(square):
        fastnn.set_seed(1)
        model = fastnn.Sequential([layers.Input((4,)), layers.Dense(3), square, layers.Dense(2, activation="softmax")])
        model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    x, y = RNG.random((20, 4)).astype(np.float32), np.arange(20) % 2
    model, by_hand = build(Square()), build(Square())
    with pytest.warns(UserWarning, match="multiply") as caught:
        model.fit(x, y, batch_size=5, epochs=3, shuffle=False, verbose=0)
    assert len(caught) == 1
    train_by_hand(by_hand, x, y, 5, epochs=3)
    assert_same_weights(model, by_hand)


def test_train_on_batch_equals_fit_on_that_batch():
    one, two = cnn(), cnn()
    for _ in range(3):
        loss, accuracy = one.train_on_batch(IMAGES[:16], LABELS[:16])
    history = two.fit(IMAGES[:16], LABELS[:16], batch_size=16, epochs=3, shuffle=False, verbose=0).history
    assert_same_weights(one, two, 0)
    assert (loss, accuracy) == pytest.approx((history["loss"][-1], history["accuracy"][-1]))


def test_results_of_one_batch_are_those_of_evaluate_and_predict():
    model = cnn()
    assert model.test_on_batch(IMAGES, LABELS) == pytest.approx(model.evaluate(IMAGES, LABELS, batch_size=50))
    weight = np.linspace(0, 2, 50)
    assert model.test_on_batch(IMAGES, LABELS, weight)[0] == pytest.approx(model.evaluate(IMAGES, LABELS, sample_weight=weight)[0])
    np.testing.assert_array_equal(model.predict_on_batch(IMAGES), model.predict(IMAGES, batch_size=50))


def test_several_threads_predict_with_one_model():
    model = cnn()
    expected = model.predict(IMAGES)
    wrong = []

    def work(first):
        for i in range(first, first + 200):
            part = slice(i % 50, i % 50 + 1 + i % 11)  # of more sizes than there are steps in the cache
            # a row by itself and one of fifty take different blockings: equal but for rounding
            if not np.allclose(model.predict(IMAGES[part]), expected[part], atol=1e-6):
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(7 * number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_several_threads_train_their_own_models():
    alone = cnn(4)
    alone.fit(IMAGES, LABELS, batch_size=16, epochs=3, shuffle=False, verbose=0)
    models = [cnn(4) for _ in range(4)]
    workers = [
        threading.Thread(
            target=m.fit, args=(IMAGES, LABELS), kwargs={"batch_size": 16, "epochs": 3, "shuffle": False, "verbose": 0}
        )
        for m in models
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for model in models:
        assert_same_weights(model, alone, 0)


def test_callbacks_see_every_batch_they_ask_for():
    seen = []

    class Count(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append((batch, logs["loss"]))

    cnn().fit(IMAGES, LABELS, batch_size=8, epochs=2, callbacks=[Count()], verbose=0)
    assert [batch for batch, _ in seen] == [*range(7), *range(7)]
    assert all(np.isfinite(loss) for _, loss in seen)


def test_an_interrupted_fit_leaves_a_model_that_goes_on():
    class Interrupt(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    model = cnn()
    before = model.get_weights()
    with pytest.raises(KeyboardInterrupt):
        model.fit(IMAGES, LABELS, batch_size=8, callbacks=[Interrupt()], verbose=0)
    assert not np.array_equal(model.get_weights()[0], before[0])
    assert np.isfinite(model.fit(IMAGES, LABELS, batch_size=8, verbose=0).history["loss"][0])


def test_a_regression_of_floats_and_several_outputs():
    x = RNG.standard_normal((200, 3))
    y = x @ np.array([[1.0, 0.5], [-2.0, 0.0], [0.5, 1.0]]) + 0.25
    fastnn.set_seed(0)
    model = fastnn.Sequential([layers.Dense(2, dtype="float64")])
    model.compile(optimizers.SGD(0.1), "mse", metrics=["mae"])
    history = model.fit(x, y, epochs=60, verbose=0).history
    assert history["loss"][-1] < 1e-6
    np.testing.assert_allclose(model.get_weights()[1], [0.25, 0.25], atol=1e-3)
    assert model.predict(x).dtype == np.float64


def test_a_model_without_input_is_built_by_its_first_data():
    model = fastnn.Sequential([layers.Dense(4, activation="relu"), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", losses.BinaryCrossentropy())
    with pytest.raises(ValueError, match="not built"):
        model.count_params()
    model.fit(RNG.random((8, 5)), np.arange(8) % 2, verbose=0)
    assert model.count_params() == 5 * 4 + 4 + 4 + 1
    assert model.input_shape == (None, 5)


def test_summary_is_the_table_that_keras_prints():
    lines = []
    model = fastnn.Sequential([layers.Input((4,)), layers.Dense(3, name="hidden"), layers.Dense(1, name="out")], name="net")
    model.summary(lines.append)
    assert lines == [
        'Model: "net"\n'
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓\n"
        "┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃\n"
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩\n"
        "│ hidden (Dense)                  │ (None, 3)              │            15 │\n"
        "├─────────────────────────────────┼────────────────────────┼───────────────┤\n"
        "│ out (Dense)                     │ (None, 1)              │             4 │\n"
        "└─────────────────────────────────┴────────────────────────┴───────────────┘\n"
        " Total params: 19 (76.00 B)\n"
        " Trainable params: 19 (76.00 B)\n"
        " Non-trainable params: 0 (0.00 B)"
    ]


@pytest.mark.parametrize(("encoding", "rule"), [("utf-8", "┏━━━"), ("cp1252", "+==="), ("ascii", "+===")])
def test_summary_is_printed_with_what_stdout_can_show(encoding, rule, monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    model = fastnn.Sequential([layers.Input((4,)), layers.Dense(3, name="größe")])
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        model.summary()
    stdout.seek(0)
    lines = stdout.read().splitlines()
    assert lines[1].startswith(rule) and len({len(line) for line in lines[1:6]}) == 1
    assert ("größe" if encoding != "ascii" else "gr??e") in lines[4]


def test_summary_of_models_that_share_layers_shows_the_shapes_of_each():
    shared = [layers.Conv2D(2, 3), layers.Flatten()]
    models = [fastnn.Sequential([layers.Input((size, size, 1)), *shared]) for size in (8, 5)]
    for model, conv, flat in zip(models, ("(None, 6, 6, 2)", "(None, 3, 3, 2)"), ("(None, 72)", "(None, 18)"), strict=True):
        assert shapes_in_summary(model) == [conv, flat]
    assert shapes_in_summary(fastnn.Sequential(shared)) == ["?", "?"]  # it is not built, though its layers are


def shapes_in_summary(model):
    lines = []
    model.summary(lines.append)
    return [line.split("│")[2].strip() for line in lines[0].splitlines() if line.startswith("│")]


def test_a_model_is_itself_after_get_config():
    model = cnn()
    again = fastnn.Sequential.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(IMAGES), model.predict(IMAGES))
    assert again.get_config() == model.get_config()


class Numbered:
    """Batches by number, as Keras's data sets give them: its items never end."""

    def __getitem__(self, number):
        return IMAGES[number * 10 : number * 10 + 10], LABELS[number * 10 : number * 10 + 10]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.fit(IMAGES[:, :7], LABELS), ValueError, r"x must have shape \(n, 8, 8, 1\)"),
        (lambda m: m.fit(IMAGES, LABELS[:49]), ValueError, "x has 50, y has 49"),
        (lambda m: m.fit(IMAGES, LABELS + 1), ValueError, "y_true"),
        (lambda m: m.fit(IMAGES, np.where(LABELS == 1, np.nan, LABELS)), ValueError, "nan"),
        (lambda m: m.fit(IMAGES, None), ValueError, "y must be"),
        (lambda m: m.fit(IMAGES, np.array(["cat", "dog"] * 25)), TypeError, r"names such as 'cat': .*np.unique"),
        (lambda m: m.fit(IMAGES, ["cat", "dog"] * 25), TypeError, r"names such as 'cat': .*np.unique"),
        (lambda m: m.compile("sgd", "mse", metrics=["acuracy"]), ValueError, "metric must be one of.*'acuracy'"),
        (lambda m: m.fit(IMAGES.astype(str), LABELS), TypeError, "x must be numeric"),
        (
            lambda m: m.fit(IMAGES.astype(str).astype(object) + "?", LABELS),
            TypeError,
            "x must be numeric.*could not convert string",
        ),
        (lambda m: m.fit(IMAGES, np.array(["cat", "dog"] * 25, object)), TypeError, r"names such as 'cat': .*np.unique"),
        (lambda m: m.fit(IMAGES, np.array([1, None] * 25, object)), TypeError, "y_true must be numbers; got None"),
        (lambda m: m.fit(types.SimpleNamespace(toarray=None), LABELS), TypeError, r"x must be dense.*x.toarray\(\) is dense"),
        (lambda m: m.fit((IMAGES, LABELS)), ValueError, "x must be one array, of samples of one shape"),
        (lambda m: m.predict(np.ma.masked_array(IMAGES, IMAGES > 0)), TypeError, "x must be an array without a mask"),
        (lambda m: m.fit(iter([(IMAGES, LABELS)]), LABELS), ValueError, "y must be left out where x gives batches"),
        (lambda m: m.fit({1: 2}.values(), LABELS), ValueError, "y must be left out where x gives batches.*dict_values"),
        (lambda m: m.predict(IMAGES.transpose(0, 3, 1, 2)), ValueError, r"x must have shape.*got.*x\.transpose\(0, 2, 3, 1\)"),
        (lambda m: m.fit(iter([(IMAGES, LABELS)]), epochs=2, verbose=0), ValueError, "a generator gives its batches only once"),
        (lambda m: m.fit(IMAGES, LABELS, batch_size=-1), ValueError, "batch_size"),
        (lambda m: m.fit(IMAGES[:0], LABELS[:0]), ValueError, "no samples"),
        (lambda m: m.fit(IMAGES, LABELS, validation_split=1.0), ValueError, "validation_split"),
        (lambda m: m.fit(IMAGES[:1], LABELS[:1], validation_split=0.1), ValueError, "of 1 samples leaves nothing to train on"),
        (lambda m: m.fit(IMAGES, LABELS, validation_split=0.1, validation_data=(IMAGES, LABELS)), ValueError, "not both"),
        (lambda m: m.compile(loss=losses.MeanSquaredError(reduction="none")), ValueError, "loss must have the reduction"),
        (lambda m: m.fit(IMAGES, LABELS, sample_weight=np.ones(3)), ValueError, "sample_weight"),
        (lambda m: m.fit(IMAGES, LABELS, sample_weight=-np.ones(50)), ValueError, "sample_weight"),
        (lambda m: m.fit(IMAGES, LABELS, steps_per_epoch=3), ValueError, "steps_per_epoch"),
        (lambda m: m.fit(iter([(IMAGES, LABELS)]), batch_size=10), ValueError, "batch_size need arrays"),
        (lambda m: m.fit(iter([(IMAGES, LABELS)]), steps_per_epoch=0), ValueError, "steps_per_epoch must be .* at least 1"),
        (lambda m: m.fit(iter([(IMAGES, LABELS)]), epochs=2), ValueError, "x gave no batches.* a generator gives"),
        (lambda m: m.evaluate(iter([(IMAGES, LABELS)]), sample_weight=np.ones(50)), ValueError, "sample_weight needs arrays"),
        (lambda m: m.fit(IMAGES, LABELS, validation_data=iter([])), ValueError, "validation_data gave no batches"),
        (lambda m: m.fit(IMAGES, LABELS, validation_batch_size=0), ValueError, "validation_batch_size must be"),
        (lambda m: m.fit(iter([(IMAGES[:0], LABELS[:0])])), ValueError, "no samples"),
        (lambda m: m.train_on_batch(IMAGES[:0], LABELS[:0]), ValueError, "no samples"),
        (lambda m: m.evaluate(IMAGES[:0], LABELS[:0]), ValueError, "no samples"),
        (lambda m: m.evaluate(IMAGES, LABELS, batch_size=0), ValueError, "batch_size must be"),
        (lambda m: m.evaluate(iter([])), ValueError, "x gave no batches"),
        (lambda m: m.predict(IMAGES, batch_size=2.5), TypeError, "batch_size must be an integer"),
        (lambda m: m.predict(iter([])), ValueError, "x gave no batches"),
        (lambda m: m.predict([[1.0], [1.0, 2.0]]), ValueError, "x must be one array"),
        (lambda m: m.predict(3.0), ValueError, "scalar"),
        (lambda m: m.predict(IMAGES[0, ..., 0]), ValueError, r"got \(8, 8\); a single sample is a batch of one, x\[None\]"),
        (lambda m: m.predict(IMAGES[0]), ValueError, r"got \(8, 8, 1\); a single sample"),
        (lambda m: m.predict("seven.png"), TypeError, "x must be numeric, got an array of dtype <U9"),
        (lambda m: m.predict({"x": IMAGES}), TypeError, "x must be numeric.*not 'dict'"),
        (lambda m: m.fit(Numbered()), TypeError, "got a Numbered, which has items by number but no __iter__"),
        (lambda m: m.fit([(IMAGES, LABELS), (IMAGES[:9], LABELS[:9])]), ValueError, "batches come from .*, not from a list"),
        (lambda m: m.fit(IMAGES, LABELS, validation_data=[(IMAGES, LABELS)]), ValueError, "got list .batches .* not from a list"),
        (lambda m: m.set_weights([]), ValueError, "arrays for model .*; got 0"),
        (lambda m: m.add("dense"), TypeError, "layer must be"),
        (lambda m: m.add(layers.Input((3,))), ValueError, "before all other"),
        (lambda m: m.get_layer("nothing"), ValueError, "no layer is called"),
        (lambda m: fastnn.Sequential([layers.Dense(1)]).fit(IMAGES, LABELS), RuntimeError, "compile"),
        (lambda m: fastnn.Sequential().pop(), ValueError, "no layers"),
        (lambda m: fastnn.Sequential([layers.Dense(2, name="a"), layers.Dense(2, name="a")]), ValueError, "names must differ"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call(cnn())


class Batches:
    """Batches by number, as Keras's Sequence has them; `given` notes which were asked for."""

    def __init__(self, *batches):
        self.batches, self.given = batches, []

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, number):
        self.given.append(number)
        return self.batches[number]

    def __iter__(self):
        return (self[number] for number in range(len(self)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Batches((IMAGES[:, :7], LABELS)), r"x must have shape \(n, 8, 8, 1\)"),
        (Batches((IMAGES, LABELS + 7)), "y_true must be"),
        (Batches(IMAGES), r"batches must be \(x, y\)"),
        ((IMAGES[:, :7], LABELS), r"x must have shape \(n, 8, 8, 1\)"),
        ((IMAGES[:5], LABELS), "x and y must have as many samples: x has 5, y has 50"),
        ((IMAGES.astype(str), LABELS), "x must be numeric"),
        ((IMAGES, LABELS, np.ones(3)), "sample_weight must have shape"),
    ],
)
def test_validation_data_that_does_not_fit_is_told_before_training(data, message):
    model = cnn()
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"validation_data does not fit: {message}"):
        model.fit(IMAGES, LABELS, validation_data=data)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_of_validation_batches_by_number_the_first_is_looked_at_and_no_other_iterable_is_touched():
    halves = (IMAGES[:25], LABELS[:25]), (IMAGES[25:], LABELS[25:])
    by_number, once, empty = Batches(*halves), iter(halves), Batches()
    histories = [
        cnn().fit(IMAGES, LABELS, validation_data=data, shuffle=False, verbose=0).history
        for data in (by_number, once, (IMAGES, LABELS))
    ]
    assert by_number.given == [0, 0, 1]
    assert histories[0] == histories[1]
    np.testing.assert_allclose(histories[0]["val_loss"], histories[2]["val_loss"], rtol=1e-5)
    with pytest.raises(ValueError, match="validation_data gave no batches"):
        cnn().fit(IMAGES, LABELS, validation_data=empty, verbose=0)


def test_a_layer_that_does_not_fit_is_not_added():
    model = cnn()
    with pytest.raises(ValueError, match="needs inputs of shape"):
        model.add(layers.Conv2D(2, 3))
    assert model.predict(IMAGES).shape == (50, 3)


def test_a_model_with_nothing_to_train():
    model = cnn()
    for layer in model.layers:
        layer.trainable = False
    with pytest.raises(ValueError, match="no variables to train"):
        model.fit(IMAGES, LABELS, verbose=0)


def test_a_tape_outside_sees_the_whole_model():
    model = cnn()
    x = fastnn.Variable(IMAGES[:2])
    with GradientTape() as tape:
        value = ops.sum(model(x))
    gradient = tape.gradient(value, x)
    assert gradient.shape == (2, 8, 8, 1)
    np.testing.assert_allclose(gradient.numpy(), 0, atol=1e-5)  # softmax outputs always sum to 1


def test_epochs_of_one_step_run_ahead_like_one_by_one(backend):
    class Watch(callbacks.Callback):
        """Makes `fit` stop at every epoch."""

    def history_of(callback_list, **arguments):
        fastnn.set_seed(2)
        model = fastnn.Sequential([layers.Input((2,)), layers.Dense(3, activation="tanh"), layers.Dense(1, activation="sigmoid")])
        schedule = optimizers.schedules.InverseTimeDecay(0.5, 10, 0.5)
        model.compile(optimizers.SGD(schedule), "binary_crossentropy", metrics=["accuracy"])
        x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])
        history = model.fit(x, y, batch_size=4, callbacks=callback_list, verbose=0, **arguments)
        return model, history

    ahead, one = history_of([], epochs=300)
    stepwise, other = history_of([Watch()], epochs=300)
    assert one.history == other.history
    assert one.epoch == list(range(300)) == other.epoch
    assert_same_weights(ahead, stepwise, 0)
    assert history_of([], epochs=7, initial_epoch=5)[1].epoch == [5, 6]


def test_copies_and_pickles_train_on_alike():
    model = cnn()
    model.fit(IMAGES, LABELS, batch_size=25, verbose=0, shuffle=False)
    model.fit(iter([(IMAGES, LABELS)]), verbose=0)
    model.predict(IMAGES)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for each in (model, *others):
        each.fit(IMAGES, LABELS, batch_size=25, verbose=0, shuffle=False)
    for other in others:
        assert all(a is not b for a, b in zip(other.weights, model.weights, strict=True))
        for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"epochs": 1.5}, TypeError, "epochs must be an integer; got 1.5"),
        ({"epochs": -1}, ValueError, "epochs must be an integer of at least 0"),
        ({"batch_size": 32.0}, TypeError, "batch_size must be an integer; got 32.0"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1"),
        ({"callbacks": fastnn.callbacks.EarlyStopping()}, TypeError, "callbacks must be a list of callbacks; got EarlyStopping"),
        ({"validation_data": np.ones((4, 3))}, ValueError, r"validation_data must be \(x, y\).*; got ndarray"),
    ],
)
def test_arguments_of_fit_that_are_wrong(arguments, error, message):
    model = fastnn.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(error, match=message):
        model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0, **arguments)


def test_what_should_be_a_list():
    with pytest.raises(TypeError, match=r"layers must be a list of layers.*; got Dense alone"):
        fastnn.Sequential(layers.Dense(3), layers.Dense(2))
    with pytest.raises(TypeError, match=r"metrics must be a list, \['accuracy'\]; got 'accuracy'"):
        fastnn.Sequential([layers.Dense(3)]).compile("sgd", "mse", metrics="accuracy")
