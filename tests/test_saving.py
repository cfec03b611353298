"""Model files: what is read is what was written, to the bit; a crash loses nothing; a hostile file gets an error, no more."""

import copy
import io
import json
import os
import pickle
import signal
import stat
import struct
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers, losses, metrics, ops, optimizers, random
from fastnn.layers.registry import _classes
from fastnn.optimizers import schedules
from fastnn.saving import ModelFileError

# some layers and losses are no kernels alone; that they are not replayed does not matter here
pytestmark = pytest.mark.filterwarnings("ignore:.*runs step by step in Python")

FUZZ = settings(max_examples=120, deadline=None, derandomize=True, database=None)
RNG = np.random.default_rng(11)
ROWS = RNG.standard_normal((40, 6)).astype(np.float32)
IMAGES = RNG.standard_normal((12, 6, 6, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 40)


def small(**compile_arguments):
    """A network with everything that has a state: weights, moving averages, dropout."""
    model = fastnn.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(5, activation="tanh", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    arguments = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
    model.compile(**{**arguments, **compile_arguments})
    return model


def fit(model, epochs, **arguments):
    model.fit(ROWS, LABELS, batch_size=16, epochs=epochs, verbose=0, **arguments)


def assert_same_weights(one, other):
    assert len(one.weights) == len(other.weights) > 0
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data, strict=True)


def header_of(data):
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(header, body):
    """A file made by hand: length, JSON, values."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def with_entry(data, change):
    """A model file with its JSON changed in place by a function, as somebody would who leaves the digest out."""
    header, body = header_of(data)
    entry = json.loads(header["__metadata__"]["fastnn"])
    del entry["sha256"]
    changed = change(entry)
    header["__metadata__"]["fastnn"] = json.dumps(entry if changed is None else changed)
    return with_header(header, body)


def loaded(tmp_path, data):
    path = tmp_path / "hostile.fastnn"
    path.write_bytes(data)
    return fastnn.load_model(path)


@pytest.fixture(scope="module")
def model_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.fastnn"
    fastnn.set_seed(0)
    model = small()
    fit(model, 1)
    model.save(path)
    return path.read_bytes()


# ------------------------------------------------------------------ round trip

IMAGE_STACKS = {
    "Conv2D": [layers.Conv2D(4, 3, strides=2, padding="same", groups=2, activation="relu", kernel_initializer="he_normal")],
    "Conv2D first": [layers.Conv2D(3, (2, 3), padding=((1, 0), (2, 1)), data_format="channels_first", use_bias=False)],
    "DepthwiseConv2D": [layers.DepthwiseConv2D(3, depth_multiplier=2, dilation_rate=2, depthwise_regularizer="l1_l2")],
    "SeparableConv2D": [layers.SeparableConv2D(5, 3, activation=layers.LeakyReLU(0.1))],
    "MaxPooling2D": [layers.MaxPooling2D(3, strides=2, padding="same")],
    "AveragePooling2D": [layers.AveragePooling2D((2, 3))],
    "GlobalAveragePooling2D": [layers.GlobalAveragePooling2D(keepdims=True)],
    "GlobalMaxPooling2D": [layers.GlobalMaxPooling2D()],
    "BatchNormalization": [layers.BatchNormalization(momentum=0.5, epsilon=0.01, scale=False)],
    "BatchNormalization first": [layers.BatchNormalization(axis=1, center=False)],
    "LayerNormalization": [layers.LayerNormalization(gamma_initializer=fastnn.initializers.Constant(2.0))],
    "LayerNormalization plain": [layers.LayerNormalization(center=False, scale=False)],
    "PReLU": [layers.PReLU(alpha_initializer="ones", shared_axes=(1, 2))],
    "ReLU": [layers.ReLU(max_value=1.5, negative_slope=0.1)],
    "LeakyReLU": [layers.LeakyReLU(0.2)],
    "ELU": [layers.ELU(0.7)],
    "Softmax": [layers.Softmax()],
    "Sigmoid": [layers.Sigmoid()],
    "Tanh": [layers.Tanh()],
    "BipolarSigmoid": [layers.BipolarSigmoid()],
    "Activation": [layers.Activation("gelu")],
    "Dropout": [layers.Dropout(0.4, seed=3)],
    "RandomFlip": [layers.RandomFlip("vertical")],
    "RandomCrop": [layers.RandomCrop(4, 3, seed=1)],
    "RandomTranslation": [layers.RandomTranslation(0.2, (0.0, 0.5), "constant", fill_value=1)],
    "RandomRotation": [layers.RandomRotation(0.2, "nearest", data_format="channels_first")],
    "RandomZoom": [layers.RandomZoom(0.3, interpolation="nearest")],
    "RandomContrast": [layers.RandomContrast(0.3, value_range=(-1, 1))],
    "RandomBrightness": [layers.RandomBrightness((0.1, 0.2), value_range=(-1, 1))],
    "Flatten": [layers.Flatten(data_format="channels_first")],
    "Reshape": [layers.Reshape((9, -1))],
    "Rescaling": [layers.Rescaling(np.array([1.0, 2.0, 3.0, 4.0]), offset=-1)],
    "Dense": [layers.Dense(np.int64(2), activation=ops.relu, bias_initializer="random_normal", trainable=False)],
}


def test_every_layer_class_has_a_round_trip():
    ours = {name for name, cls in _classes.items() if cls.__module__.startswith("fastnn.")}
    assert ours - {"InputLayer"} == {name.split()[0] for name in IMAGE_STACKS}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stack", IMAGE_STACKS)
def test_a_loaded_layer_computes_the_same_bits(tmp_path, stack, dtype):
    fastnn.set_seed(1)
    # made anew from their configuration, since layers stay built with the dtype they were first used with
    made = [{**layers.serialize(layer), "config": {**layer.get_config(), "dtype": dtype}} for layer in IMAGE_STACKS[stack]]
    made = json.loads(json.dumps(made, default=int))
    model = fastnn.Sequential([layers.Input(IMAGES.shape[1:]), *map(layers.deserialize, made), layers.Flatten(dtype=dtype)])
    model.add(layers.Dense(2, dtype=dtype))
    model.compile("sgd", "mse")
    model.fit(IMAGES, np.zeros((len(IMAGES), 2)), epochs=1, verbose=0)
    model.save(tmp_path / "m")
    other = fastnn.load_model(tmp_path / "m")
    assert other.get_config() == model.get_config()
    assert_same_weights(other, model)
    assert [w.name for w in other.trainable_weights] == [w.name for w in model.trainable_weights]
    np.testing.assert_array_equal(other.predict(IMAGES), model.predict(IMAGES), strict=True)
    assert other.predict(IMAGES).dtype == dtype


def test_names_of_classes_are_kept(tmp_path):
    model = small()
    model.save(tmp_path / "model")
    assert fastnn.load_model(tmp_path / "model").class_names is None
    model.class_names = ["cat", "dog", "Füchse"]
    model.save(tmp_path / "model")
    assert fastnn.load_model(tmp_path / "model").class_names == model.class_names


def test_a_model_without_input_shape_and_a_model_never_compiled(tmp_path):
    model = fastnn.Sequential([layers.Flatten(), layers.Dense(2)], name="lazy")
    with pytest.raises(ValueError, match="not built"):
        model.save(tmp_path / "m")
    expected = model.predict(IMAGES)
    model.save(tmp_path / "m")
    other = fastnn.load_model(str(tmp_path / "m"))
    assert (other.name, other.input_shape, other.optimizer) == ("lazy", (None, 6, 6, 4), None)
    np.testing.assert_array_equal(other.predict(IMAGES), expected)
    with pytest.raises(RuntimeError, match="compile"):
        fit(other, 1)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 2, 0.9)),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "nesterov": lambda: optimizers.SGD(0.05, momentum=0.8, nesterov=True),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.01, rho=0.8),
    "adam": lambda: optimizers.Adam(schedules.CosineDecay(0.01, 12, warmup_target=0.02, warmup_steps=3)),
    "adamw": lambda: optimizers.AdamW(1 / 3, weight_decay=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_two_epochs_and_two_after_loading_are_four(tmp_path, name):
    fastnn.set_seed(5)
    whole = small(optimizer=OPTIMIZERS[name]())
    fit(whole, 4)

    fastnn.set_seed(5)
    half = small(optimizer=OPTIMIZERS[name]())
    fit(half, 2)
    half.save(tmp_path / "m")
    rest = fastnn.load_model(tmp_path / "m")
    assert type(rest.optimizer) is type(whole.optimizer)
    assert rest.optimizer.get_config() == half.optimizer.get_config()
    fit(rest, 2)
    assert_same_weights(rest, whole)
    assert rest.optimizer.iterations == whole.optimizer.iterations == 12
    for key, array in whole.optimizer.get_state().items():
        np.testing.assert_array_equal(rest.optimizer.get_state()[key], array)
    np.testing.assert_array_equal(rest.get_layer(index=2).state, whole.get_layer(index=2).state)


def test_training_goes_on_in_another_process(tmp_path):
    fastnn.set_seed(6)
    model = small()
    fit(model, 1, shuffle=False)
    model.save(tmp_path / "m")
    np.savez(tmp_path / "data", x=ROWS, y=LABELS)
    code = (
        "import numpy as np, fastnn\n"
        "data = np.load('data.npz'); model = fastnn.load_model('m')\n"
        "model.fit(data['x'], data['y'], batch_size=16, epochs=2, shuffle=False, verbose=0); model.save('further')\n"
    )
    environment = {**os.environ, "FASTNN_BACKEND": fastnn.kernels.active_backend()}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=60)
    fit(model, 2, shuffle=False)
    assert_same_weights(fastnn.load_model(tmp_path / "further"), model)


def test_saving_and_loading_leave_the_random_numbers_of_the_process_alone(tmp_path):
    fastnn.set_seed(7)
    model = small()
    before = copy.deepcopy(random.generator().bit_generator.state)
    model.save(tmp_path / "m")
    fastnn.load_model(tmp_path / "m")
    (tmp_path / "m").write_bytes((tmp_path / "m").read_bytes()[:-1])
    with pytest.raises(ModelFileError):
        fastnn.load_model(tmp_path / "m")
    assert random.generator().bit_generator.state == before


def test_optimizer_state_follows_the_weights_when_layers_were_frozen_first(tmp_path):
    fastnn.set_seed(8)
    # two layers of the same shapes, trained in the other order, so that mere numbers would mix their states up
    model = fastnn.Sequential([layers.Input((6,)), layers.Dense(6), layers.Dense(6), layers.Dense(3, activation="softmax")])
    model.layers[0].trainable = False
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    fit(model, 1)
    model.layers[0].trainable = True
    model.compile(model.optimizer, "sparse_categorical_crossentropy")
    fit(model, 1)
    model.save(tmp_path / "m")
    other = fastnn.load_model(tmp_path / "m")
    for one in (model, other):
        fit(one, 1, shuffle=False)
    assert_same_weights(other, model)


@pytest.mark.parametrize(
    "loss, y",
    [
        (losses.SparseCategoricalCrossentropy(from_logits=True), LABELS),
        (losses.CategoricalCrossentropy(label_smoothing=0.1, reduction="sum"), np.eye(3)[LABELS]),
        (losses.Huber(0.5), np.eye(3)[LABELS]),
        ("hinge", np.eye(3)[LABELS]),
        (losses.mean_absolute_error, np.eye(3)[LABELS]),
    ],
    ids=["logits", "categorical", "huber", "hinge", "function"],
)
def test_loss_and_metrics_come_back(tmp_path, loss, y):
    watched = ["mse", metrics.MeanAbsoluteError(name="distance")]
    if y is LABELS:
        watched = ["accuracy", metrics.SparseTopKCategoricalAccuracy(k=2), metrics.SparseCategoricalAccuracy()]
    activation = None if "from_logits=True" in str(loss) else "softmax"
    model = fastnn.Sequential([layers.Input((6,)), layers.Dense(3, activation=activation)])
    model.compile("sgd", loss, watched)
    model.save(tmp_path / "m")
    other = fastnn.load_model(tmp_path / "m")
    assert other.metrics_names == model.metrics_names
    assert other.loss.get_config() == model.loss.get_config()
    assert other.evaluate(ROWS, y) == model.evaluate(ROWS, y)


# -------------------------------------------------------------- code of one's own


def own_loss(y_true, y_pred):
    return losses.mean_squared_error(y_true, y_pred)


def own_metric(y_true, y_pred):
    return np.abs(y_true - y_pred).max(axis=-1)


@layers.register_layer
class SavedBlock(layers.Layer):
    """A layer that holds layers, and state of its own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.steps = [layers.Dense(units), layers.Dense(units, activation="relu")]
        self.dropout = layers.Dropout(0.5)
        self.calls = np.zeros(1, np.int64)

    def build(self, input_shape):
        self.scale = self.add_weight((self.units,), "ones", name="scale")
        self.shift = self.add_weight((self.units,), "zeros", name="scale")
        for step in self.steps:
            step.build(input_shape)
            input_shape = (None, self.units)

    def call(self, x):
        self.calls += 1
        for step in self.steps:
            x = step(x)
        return self.dropout(x * self.scale + self.shift)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def state_arrays(self):
        return {"calls": self.calls}


def test_a_registered_layer_with_layers_in_it(tmp_path):
    model = fastnn.Sequential([layers.Input((6,)), SavedBlock(4, name="first"), SavedBlock(4, name="second")])
    model.set_weights([RNG.standard_normal(w.shape) for w in model.weights])
    model(ROWS, training=True)
    model.save(tmp_path / "m")
    # automatic names have moved on since: those of inner layers must not matter
    other = fastnn.load_model(tmp_path / "m")
    assert_same_weights(other, model)
    assert other.layers[1].calls == model.layers[1].calls > 0
    np.testing.assert_array_equal(other(ROWS, training=True).numpy(), model(ROWS, training=True).numpy())
    assert set(safetensors.numpy.load_file(tmp_path / "m")) == {
        f"layers/{name}/{path}"
        for name in ("first", "second")
        for path in (
            "scale", "scale_1", "dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias", "dropout/state", "calls",
        )
    }  # fmt: skip


class Unregistered(layers.Layer):
    def call(self, x):
        return x

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


def late_block():
    """A registered layer whose inner weights appear at the first call, which loading does not make."""
    block = SavedBlock(4)
    block.late = layers.Dense(4)
    block.late.build((None, 4))
    return block


@pytest.mark.parametrize(
    "layer, message",
    [
        (lambda: Unregistered(), "Unregistered.*register_layer"),
        (lambda: layers.Dense(2, activation=lambda x: ops.relu(x), name="mine"), "layer 'mine'.*register_layer"),
        (lambda: layers.Dense(2, kernel_initializer=lambda shape, dtype: np.ones(shape, dtype)), "'dense.*'.*<lambda>"),
        (lambda: layers.Dense(2, kernel_regularizer=lambda w: ops.sum(w)), "'dense.*'.*<lambda>"),
        (late_block, "arrays are not those of the model: .*/dense_2/bias"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, layer, message):
    model = fastnn.Sequential([layers.Input((6,)), layer()])
    (tmp_path / "m").write_bytes(b"old")
    with pytest.raises(ValueError, match=message):
        model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m"]


def test_own_losses_and_metrics_are_left_out_with_a_warning_and_training_goes_on(tmp_path):
    fastnn.set_seed(9)
    targets = np.eye(3)[LABELS]
    model = small(loss=own_loss, metrics=[own_metric, "mae"])
    model.fit(ROWS, targets, verbose=0)
    with pytest.warns(UserWarning, match="the loss 'own_loss' and the metric 'own_metric' of model") as caught:
        model.save(tmp_path / "m")
    assert caught[0].filename == __file__
    other = fastnn.load_model(tmp_path / "m")
    np.testing.assert_array_equal(other.predict(ROWS), model.predict(ROWS))
    with pytest.raises(RuntimeError, match="compile"):
        other.fit(ROWS, targets, verbose=0)
    other.compile(other.optimizer, own_loss)
    for one in (model, other):
        one.fit(ROWS, targets, shuffle=False, verbose=0)
    assert_same_weights(other, model)


def test_what_compile_warned_of_is_not_told_again(tmp_path):
    model = fastnn.Sequential([layers.Input((6,)), layers.Dense(3, activation="relu")])
    with pytest.warns(UserWarning, match="whose results are no probabilities"):
        model.compile("sgd", "categorical_crossentropy")
    model.save(tmp_path / "m")  # warnings are errors
    assert fastnn.load_model(tmp_path / "m").loss.name == "categorical_crossentropy"


def test_an_own_optimizer_leaves_the_model_uncompiled_with_a_warning(tmp_path):
    class Adam(optimizers.Adam):  # the name of a known class, which must not be made instead
        pass

    with pytest.warns(UserWarning, match="the optimizer Adam"):
        small(optimizer=Adam()).save(tmp_path / "m")
    assert fastnn.load_model(tmp_path / "m").optimizer is None

    class Steps(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 0.1

    with pytest.warns(UserWarning, match="the optimizer SGD"):
        small(optimizer=optimizers.SGD(Steps())).save(tmp_path / "m")
    assert fastnn.load_model(tmp_path / "m").optimizer is None


# --------------------------------------------------------------- the file itself


def test_any_reader_of_safetensors_finds_the_arrays(tmp_path):
    model = small()
    fit(model, 1)
    model.layers[0].kernel.data = np.asfortranarray(model.layers[0].kernel.data)  # memory order must not matter
    model.save(tmp_path / "m")
    with safetensors.safe_open(tmp_path / "m", framework="np") as file:
        names = [layer.name for layer in model.layers]
        np.testing.assert_array_equal(file.get_tensor(f"layers/{names[0]}/kernel"), model.layers[0].kernel.data)
        np.testing.assert_array_equal(file.get_tensor(f"layers/{names[1]}/moving_mean"), model.layers[1].moving_mean.data)
        np.testing.assert_array_equal(file.get_tensor(f"layers/{names[2]}/state"), model.layers[2].state)
        assert file.get_tensor(f"layers/{names[2]}/state").dtype == np.uint64
        np.testing.assert_array_equal(file.get_tensor("optimizer/step"), [3.0])
        assert file.get_tensor(f"optimizer/{names[3]}/bias/v").shape == (3,)
        entry = json.loads(file.metadata()["fastnn"])
    assert [layer["class_name"] for layer in entry["model"]["layers"]] == ["Dense", "BatchNormalization", "Dropout", "Dense"]
    assert entry["compile"]["optimizer"]["class_name"] == "Adam"


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = small()
    model.save(tmp_path / "one")
    fastnn.load_model(tmp_path / "one").save(tmp_path / "two")
    one, two = ((header_of((tmp_path / name).read_bytes())) for name in ("one", "two"))
    assert one[1] == two[1]
    assert json.loads(one[0]["__metadata__"]["fastnn"]) == json.loads(two[0]["__metadata__"]["fastnn"])


def failing(*args, **kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["replace", "fsync"])
@pytest.mark.parametrize("method", ["save", "save_weights"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, method):
    model = small()
    model.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    fit(model, 1)
    monkeypatch.setattr(os, step, failing)
    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'm'}'"):
        getattr(model, method)(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


def test_an_interrupt_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    model = small()
    model.save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be synced here")
def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor):
        mode = os.fstat(descriptor).st_mode
        order.append("folder" if stat.S_ISDIR(mode) else f"file of {os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def noted_replace(source, target):
        order.append("replace")
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    small().save(tmp_path / "m")
    assert order == [f"file of {(tmp_path / 'm').stat().st_size} bytes", "replace", "folder"]


@pytest.mark.skipif(os.name != "posix", reason="kills by a signal")
def test_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    code = (
        "import fastnn; from fastnn import layers\n"
        "model = fastnn.Sequential([layers.Input((200,)), layers.Dense(500)]); number = 0\n"
        "while True:\n"
        "    number += 1; model.set_weights([w.data * 0 + number for w in model.weights])\n"
        "    model.save('m'); print(number, flush=True)\n"
    )
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE) as process:
            first = int(process.stdout.readline())
            time.sleep(RNG.uniform(0.01, 0.05))
            process.send_signal(signal.SIGKILL)
            last = int((process.stdout.read().split() or [first])[-1])
        values = np.concatenate([w.data.ravel() for w in fastnn.load_model(tmp_path / "m").weights])
        assert (values == values[0]).all() and last <= values[0] <= last + 1


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_are_kept(tmp_path):
    model = small()
    mask = os.umask(0o027)
    try:
        model.save(tmp_path / "new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o600)
    (tmp_path / "link").symlink_to("new")
    fit(model, 1)
    model.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
    assert_same_weights(fastnn.load_model(tmp_path / "new"), model)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_pipes_and_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="is no file.*pipe"):
            small().save(tmp_path / name)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        fastnn.load_model(tmp_path / "missing")
    with pytest.raises(OSError):
        fastnn.load_model(tmp_path)
    with pytest.raises(FileNotFoundError):
        small().save(tmp_path / "missing" / "m")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        small().save(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


# ----------------------------------------------------------------- weights alone


def test_weights_alone_go_into_a_model_with_other_names(tmp_path):
    model, other = small(), small()
    fit(model, 1)
    model.save_weights(tmp_path / "w")
    stored = safetensors.numpy.load_file(tmp_path / "w")
    assert len(stored) == len(model.weights) and not any(name.startswith("optimizer") for name in stored)
    model.save(tmp_path / "m")
    assert [layer.name for layer in model.layers] != [layer.name for layer in other.layers]
    for name in ("w", "m"):
        other = small()
        other.load_weights(tmp_path / name)
        assert_same_weights(other, model)
        np.testing.assert_array_equal(other.predict(ROWS), model.predict(ROWS))
    with pytest.raises(ModelFileError, match="weights alone"):
        fastnn.load_model(tmp_path / "w")


def test_weights_of_the_other_float_type_are_converted(tmp_path):
    one = fastnn.Sequential([layers.Input((6,)), layers.Dense(3)])
    two = fastnn.Sequential([layers.Input((6,)), layers.Dense(3, dtype="float64")])
    one.save_weights(tmp_path / "w")
    two.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(two.layers[0].kernel.data, one.layers[0].kernel.data.astype(np.float64), strict=True)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ([layers.Dense(3), layers.Dense(4)], r"holds 2 weights; model .* has 4"),
        ([layers.Dense(4)], r"/kernel', float32 of shape \(6, 3\), in the place of .*/kernel', float32 of shape \(6, 4\)"),
        ([layers.BatchNormalization(), layers.Flatten()], "holds 2 weights"),
        ([layers.LayerNormalization()], "/kernel'.* in the place of .*/gamma'"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(tmp_path, wrong, message):
    fastnn.Sequential([layers.Input((6,)), layers.Dense(3)]).save_weights(tmp_path / "w")
    model = fastnn.Sequential([layers.Input((6,)), *wrong])
    before = model.get_weights()
    with pytest.raises(ModelFileError, match=message):
        model.load_weights(tmp_path / "w")
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_of_an_unbuilt_model():
    for method in ("save_weights", "load_weights"):
        with pytest.raises(ValueError, match="not built"):
            getattr(fastnn.Sequential([layers.Dense(3)]), method)("anywhere")


# ------------------------------------------------------------------ hostile files


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def foreign_files():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", b"0" * 10**6)
    plain = safetensors.numpy.save({"weight": np.ones(3, np.float32)}, {"format": "pt"})
    body = np.ones(2, np.float32).tobytes()
    one = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    return {
        "empty": b"",
        "short": b"\x01\x00\x00",
        "text": b"once upon a time there was a model that " * 20,
        "pickle": pickle.dumps(Bomb()),
        "zip": archive.getvalue(),
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "zeros": bytes(1000),
        "header of 2**63 bytes": struct.pack("<Q", 2**63) + b"{}",
        "header of 90 MB that is not there": struct.pack("<Q", 90_000_000) + b"{}",
        "no header": struct.pack("<Q", 0),
        "header is a list": struct.pack("<Q", 2) + b"[]",
        "header is nested": struct.pack("<Q", 200_000) + b"[" * 200_000,
        "header is not UTF-8": struct.pack("<Q", 4) + b'{"\xff"',
        "another program's": plain,
        "no metadata": with_header(one, body),
        "metadata is a list": with_header({**one, "__metadata__": []}, body),
        "metadata is a number": with_header({**one, "__metadata__": {"fastnn": 1}}, body),
        "tensor beyond the end": with_header({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}, body),
        "tensor of another size than its bytes": with_header({"w": {**one["w"], "shape": [10**12]}}, body),
        "tensor of terabytes": with_header({"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}, body),
        "tensor whose size overflows": with_header({"w": {**one["w"], "shape": [2**62, 8]}}, body),
        "tensor of negative size": with_header({"w": {**one["w"], "shape": [-2]}}, body),
        "tensor of an unknown type": with_header({"w": {**one["w"], "dtype": "F1024"}}, body),
        "tensor of a type that NumPy lacks": with_header({"w": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}, body),
        "tensors that overlap": with_header({**one, "v": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, body),
        "bytes that no tensor has": with_header(one, body + b"more"),
    }


FOREIGN = foreign_files()


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="hostile.fastnn"):
        loaded(tmp_path, FOREIGN[name])
    with pytest.raises(ModelFileError, match="hostile.fastnn"):
        small().load_weights(tmp_path / "hostile.fastnn")
    assert os.listdir(tmp_path) == ["hostile.fastnn"]  # nothing was executed


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts all of a process's memory in this limit")
def test_foreign_files_take_little_memory(tmp_path):
    for number, data in enumerate(FOREIGN.values()):
        (tmp_path / str(number)).write_bytes(data)
    code = """
import os, resource, fastnn
from fastnn.saving import ModelFileError
with open("/proc/self/status") as status:
    used = next(int(line.split()[1]) for line in status if line.startswith("VmData"))
limit = used * 1024 + 20 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
for name in os.listdir():
    try:
        fastnn.load_model(name)
    except ModelFileError:
        print(name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert len(done.stdout.split()) == len(FOREIGN), done.stderr


def test_truncated_files(tmp_path, model_bytes):
    for size in {*range(0, len(model_bytes), 41), *range(20), *range(len(model_bytes) - 20, len(model_bytes))}:
        with pytest.raises(ModelFileError):
            loaded(tmp_path, model_bytes[:size])


def nothing_but_a_model_or_the_error(tmp_path, data):
    try:
        model = loaded(tmp_path, data)
    except ModelFileError as error:
        assert "hostile.fastnn" in str(error)
    else:
        assert isinstance(model, fastnn.Sequential)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@FUZZ
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes(folder, model_bytes, flips):
    data = bytearray(model_bytes)
    for place, mask in flips:
        data[place % len(data)] ^= mask
    nothing_but_a_model_or_the_error(folder, bytes(data))


@FUZZ
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_in_the_arrays_is_found(folder, model_bytes, place, bit):
    start = 8 + struct.unpack("<Q", model_bytes[:8])[0]
    data = bytearray(model_bytes)
    data[start + place % (len(data) - start)] ^= 1 << bit
    with pytest.raises(ModelFileError, match="hostile.fastnn.* is damaged.*digest"):
        loaded(folder, bytes(data))
    with pytest.raises(ModelFileError, match="digest"):
        small().load_weights(folder / "hostile.fastnn")


def test_a_changed_setting_is_found(tmp_path, model_bytes):
    changed = model_bytes.replace(b'epsilon\\": 0.001', b'epsilon\\": 0.009')
    assert changed != model_bytes
    with pytest.raises(ModelFileError, match="digest"):
        loaded(tmp_path, changed)


def test_a_file_without_a_digest(tmp_path, model_bytes):
    assert_same_weights(loaded(tmp_path, with_entry(model_bytes, lambda entry: None)), loaded(tmp_path, model_bytes))


@FUZZ
@given(place=st.integers(0, 10**6), mask=st.integers(1, 255))
def test_flipped_bytes_of_the_header(folder, model_bytes, place, mask):
    data = bytearray(model_bytes)
    data[8 + place % struct.unpack("<Q", model_bytes[:8])[0]] ^= mask
    nothing_but_a_model_or_the_error(folder, bytes(data))


@FUZZ
@given(data=st.binary(max_size=300), length=st.none() | st.integers(0, 400))
def test_random_bytes(folder, data, length):
    with pytest.raises(ModelFileError):
        loaded(folder, data if length is None else struct.pack("<Q", length) + data)


SCALARS = st.none() | st.booleans() | st.integers(-(10**13), 10**13) | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS | st.sampled_from(["Dense", "Dropout", "Conv2D", "relu", "adam", "l2", "float64", "channels_first"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """All paths into a JSON value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@settings(FUZZ, max_examples=200)
@given(data=st.data())
def test_any_json_in_any_place_of_the_description(folder, model_bytes, data):
    def change(entry):
        path = data.draw(st.sampled_from([path for path in places(entry) if path]))
        holder = entry
        for key in path[:-1]:
            holder = holder[key]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[path[-1]]
        else:
            holder[path[-1]] = data.draw(JSON)

    nothing_but_a_model_or_the_error(folder, with_entry(model_bytes, change))


def dense(entry):
    return entry["model"]["layers"][0]["config"]


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda e: e["model"]["layers"][0].update(class_name="Evil"), "no layer class called 'Evil'"),
        (lambda e: e["model"]["layers"][0].update(class_name="os.system"), "no layer class called 'os.system'"),
        (lambda e: e["model"]["layers"][0].update(class_name=["Dense"]), "no layer class"),
        (lambda e: e["model"]["layers"].insert(0, "Dense"), "class_name"),
        (lambda e: e["model"]["layers"].pop(), "arrays are not those of the model: layers/dense"),
        (lambda e: e["model"].update(layers=None), "TypeError|iterable"),
        (lambda e: dense(e).update(units=4), "shape"),
        (lambda e: dense(e).update(units=-1), "units"),
        (lambda e: dense(e).update(rows=4), "rows"),
        (lambda e: dense(e).update(activation="__import__"), "activation"),
        (lambda e: dense(e).update(activation={"class_name": "Evil", "config": {}}), "Evil"),
        (lambda e: dense(e).update(kernel_regularizer={"class_name": "eval"}), "eval"),
        (lambda e: dense(e).update(dtype="float64"), "float64"),
        (lambda e: e["compile"]["optimizer"].update(class_name="Evil"), "optimizer"),
        (lambda e: e["compile"]["optimizer"].update(class_name="SGD"), "SGD|beta"),
        (lambda e: e["compile"].update(loss={"class_name": "FunctionLoss", "config": {"function": "eval"}}), "loss"),
        (lambda e: e["compile"]["metrics"].append("os.system"), "metric"),
        (lambda e: e["model"].update(class_names=["cat", 3]), "class_names must be a list of strings"),
        (lambda e: e.update(compile=None), "arrays are not those of the model: optimizer/"),
        (lambda e: e.pop("compile"), "KeyError: 'compile'"),
        (lambda e: e.update(version=2), "version 2"),
        (lambda e: e.update(weights=["layers/none"]), "weights"),
        (lambda e: e.update(weights={}), "weights"),
        (lambda e: e.pop("version"), "version"),
        (lambda e: [e], "damaged"),
    ],
)
def test_descriptions_that_lie(tmp_path, model_bytes, change, message):
    def in_place(entry):
        result = change(entry)
        return result if isinstance(result, list) and result == [entry] else None

    with pytest.raises(ModelFileError, match=message):
        loaded(tmp_path, with_entry(model_bytes, in_place))


def test_nesting_deeper_than_python_goes(tmp_path, model_bytes):
    header, body = header_of(model_bytes)
    header["__metadata__"]["fastnn"] = "[" * 200_000
    with pytest.raises(ModelFileError):
        loaded(tmp_path, with_header(header, body))

    def nest(entry):
        for _ in range(200):
            dense(entry)["activation"] = {"class_name": "Activation", "config": {"activation": dense(entry)["activation"]}}

    nothing_but_a_model_or_the_error(tmp_path, with_entry(model_bytes, nest))


def without(tensors, ending):
    name = next(name for name in tensors if name.endswith(ending))
    return {other: array for other, array in tensors.items() if other != name}


def replaced(tensors, ending, change):
    name = next(name for name in tensors if name.endswith(ending))
    return {**tensors, name: change(tensors[name])}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: without(t, "/bias/m"), "arrays are not those of the model"),
        (lambda t: without(t, "optimizer/step"), "optimizer/step"),
        (lambda t: without(t, "/state"), "arrays are not those of the model: layers/dropout"),
        (lambda t: without(t, "/moving_mean"), "lists weights that it does not hold"),
        (lambda t: {**t, "layers/more/kernel": np.ones(2)}, "layers/more/kernel"),
        (lambda t: {**t, "../../etc/passwd": np.ones(2)}, "etc/passwd"),
        (lambda t: replaced(t, "/kernel/v", np.transpose), "kernel/v|shape"),
        (lambda t: replaced(t, "optimizer/step", lambda a: a.astype(np.int64)), "step"),
        (lambda t: replaced(t, "/state", lambda a: a.astype(np.int64)), "uint64.*int64"),
        (lambda t: replaced(t, "/gamma", lambda a: a.astype(np.float64)), "float32.*float64"),
        (lambda t: replaced(t, "/gamma", lambda a: a[:0]), r"shape \(5,\).*shape \(0,\)"),
    ],
)
def test_arrays_that_are_not_those_of_the_model(tmp_path, model_bytes, change, message):
    header, _ = header_of(with_entry(model_bytes, lambda entry: None))
    tensors = {name: np.ascontiguousarray(array) for name, array in change(safetensors.numpy.load(model_bytes)).items()}
    with pytest.raises(ModelFileError, match=message):
        loaded(tmp_path, safetensors.numpy.save(tensors, header["__metadata__"]))


CLAIMS = {
    "inputs": ([layers.Dense(2)], "inputs"),
    "units": ([layers.Dense(2)], "units"),
    "filters": ([layers.Reshape((3, 2, 1)), layers.Conv2D(2, 1)], "filters"),
    "window": ([layers.Reshape((3, 2, 1)), layers.Conv2D(2, 1, padding="same")], "kernel_size"),
    "rescaling": ([layers.Rescaling(2.0)], "inputs"),
    "normalization": ([layers.LayerNormalization(center=False, scale=False), layers.Dropout(0.5)], "inputs"),
    "normalization with weights": ([layers.LayerNormalization()], "inputs"),
    "batch normalization": ([layers.BatchNormalization(center=False, scale=False)], "inputs"),
    "factors": ([layers.PReLU()], "inputs"),
}


@pytest.mark.parametrize("extent", [2 * 10**9, 10**12])
@pytest.mark.parametrize("name", CLAIMS)
def test_claims_cost_no_memory(tmp_path, memory_below, name, extent):
    """A file of a few kB that claims huge extents is refused, or loaded, without memory for them."""
    stack, what = CLAIMS[name]
    model = fastnn.Sequential([layers.Input((6,)), *map(layers.deserialize, map(layers.serialize, stack))])
    model.save(tmp_path / "m")

    def claim(entry):
        if what == "inputs":
            entry["model"]["input_shape"] = [None, extent]
        else:
            entry["model"]["layers"][-1]["config"][what] = [extent, 1] if what == "kernel_size" else extent

    data = with_entry((tmp_path / "m").read_bytes(), claim)
    with memory_below(1_000_000):
        nothing_but_a_model_or_the_error(tmp_path, data)
    if model.weights:
        with pytest.raises(ModelFileError, match="more than there are values for|below 2\\*\\*31"):
            loaded(tmp_path, data)


@pytest.mark.parametrize(
    "name, message", [("m.keras", "fastnn's format"), ("m.h5", "fastnn's format"), ("m.onnx", "export_onnx writes")]
)
def test_a_name_of_others_files_is_taken_with_a_warning(tmp_path, name, message):
    model = fastnn.Sequential([layers.Input((2,)), layers.Dense(1)])
    with pytest.warns(UserWarning, match=f"{name}.*{message}"):
        model.save(tmp_path / name)
    np.testing.assert_array_equal(fastnn.load_model(tmp_path / name).get_weights()[0], model.get_weights()[0])
    with pytest.warns(UserWarning, match=f"{name}.*{message}") as warned:
        model.save_weights(tmp_path / name)
    assert warned[0].filename == __file__


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"])
def test_files_of_keras_and_pytorch_hold_no_model(tmp_path, start):
    (tmp_path / "m.keras").write_bytes(start + b"rest")
    with pytest.raises(
        ModelFileError, match=r"'.*m.keras' is a file of Keras or PyTorch.*make the model and call its load_weights"
    ):
        fastnn.load_model(tmp_path / "m.keras")


def test_random_numbers_that_another_thread_draws_meanwhile_do_not_come_again(tmp_path):
    drawn = []

    @layers.register_layer
    class Slow(layers.Dropout):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            other = threading.Thread(target=lambda: drawn.append(random.generator().random()))
            other.start()
            other.join()

    model = fastnn.Sequential([layers.Input((3,)), Slow(0.5)])
    model.save(tmp_path / "m")
    fastnn.load_model(tmp_path / "m")
    drawn.append(random.generator().random())
    assert len(drawn) == len(set(drawn)) == 4
