"""Trainings that are interrupted end as if they had not been: the same weights to the bit, the same history, the same files."""

import json
import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import fastnn
from fastnn import callbacks, layers, losses, ops, optimizers, random
from fastnn.callbacks import BackupAndRestore
from fastnn.datasets import image_folder
from fastnn.optimizers import schedules
from fastnn.saving import ModelFileError

RNG = np.random.default_rng(12)
ROWS = RNG.standard_normal((40, 6)).astype(np.float32)
LABELS = RNG.integers(0, 3, 40)


def network(optimizer="adam", dtype="float32", units=5):
    """A network with everything that training changes: weights, moving averages, dropout, and a layer no file can describe."""
    model = fastnn.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(units, activation=lambda x: ops.tanh(x), dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.Dropout(0.3, dtype=dtype),
            layers.Dense(3, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return model


class InterruptAt(callbacks.Callback):
    """Ctrl-C in the second batch of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1:
            raise KeyboardInterrupt


class Counter(callbacks.Callback):
    """A callback of the user's own with a state of every kind."""

    saved_attributes = ("seen",)

    def __init__(self):
        self.seen = {"epochs": 0, "best": None, "sums": [np.zeros(2), 0.5]}

    def on_epoch_end(self, epoch, logs=None):
        self.seen["epochs"] += 1
        self.seen["best"] = min(logs["loss"], self.seen["best"] or np.inf)
        self.seen["sums"][0] += [1, logs["loss"]]


def fit(model, folder, epochs=6, interrupt=None, extra=(), **arguments):
    backup = BackupAndRestore(folder, delete_checkpoint=False)
    given = [backup, *extra, *([] if interrupt is None else [InterruptAt(interrupt)])]
    settings = {"batch_size": 16, "verbose": 0, "validation_split": 0.25, **arguments}
    return model.fit(ROWS, LABELS, epochs=epochs, callbacks=given, **settings)


def interrupted(make, folder, at, **arguments):
    """Train, stop in the middle of some epochs, and go on each time with a model made anew, as another process would."""
    for seed, epoch in enumerate(at):
        fastnn.set_seed(seed)
        with pytest.raises(KeyboardInterrupt):
            fit(make(), folder, interrupt=epoch, **arguments)
    fastnn.set_seed(100)
    model = make()
    return model, fit(model, folder, **arguments)


def assert_same(one, other):
    for mine, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data, strict=True)
    for key, array in one.optimizer.get_state().items():
        np.testing.assert_array_equal(other.optimizer.get_state()[key], array, strict=True)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 2, 0.9)),
    "nesterov": lambda: optimizers.SGD(0.05, momentum=0.8, nesterov=True),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.01, rho=0.8),
    "adam": lambda: optimizers.Adam(schedules.CosineDecay(0.01, 12, warmup_target=0.02, warmup_steps=3)),
    "adamw, clipped": lambda: optimizers.AdamW(1 / 3, weight_decay=0.01, clipnorm=0.5),
}


@pytest.mark.filterwarnings("ignore:.*runs step by step in Python")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_interrupted_trainings_end_with_the_same_bits(tmp_path, name, dtype):
    fastnn.set_seed(0)
    whole = network(OPTIMIZERS[name](), dtype)
    history = fit(whole, tmp_path / "whole")
    after = random.generator().bit_generator.state
    model, rest = interrupted(lambda: network(OPTIMIZERS[name](), dtype), tmp_path / "parts", at=[2, 2, 5])
    assert_same(model, whole)
    assert (rest.epoch, rest.history) == (history.epoch, history.history)
    assert random.generator().bit_generator.state == after


def test_callbacks_go_on_where_they_were(tmp_path):
    def extra(folder):
        return [
            callbacks.EarlyStopping("loss", patience=3, min_delta=1, restore_best_weights=True, start_from_epoch=1),
            callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=1, cooldown=1),
            callbacks.ModelCheckpoint(folder / "{epoch}.safetensors", "loss", save_best_only=True, save_weights_only=True),
            callbacks.CSVLogger(folder / "log.csv"),
            Counter(),
        ]

    def make():
        layers.clear_session()  # automatic names as in another process
        return network(optimizers.Adam(0.01))

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    fastnn.set_seed(0)
    whole, watching = make(), extra(tmp_path / "whole")
    history = fit(whole, tmp_path / "whole", epochs=9, extra=watching)

    # before the checkpoint of an epoch that the log and the saved models have already
    def interrupt(epoch, logs):
        if epoch == 3:
            raise KeyboardInterrupt

    after = callbacks.LambdaCallback(on_epoch_end=interrupt)
    fastnn.set_seed(0)
    with pytest.raises(KeyboardInterrupt):
        fit(make(), tmp_path / "parts", epochs=9, extra=[*extra(tmp_path / "parts"), after])
    model, going_on = make(), extra(tmp_path / "parts")
    rest = fit(model, tmp_path / "parts", epochs=9, extra=going_on)

    assert rest.history == history.history and len(set(history.history["learning_rate"])) > 1
    assert len(rest.epoch) < 9  # stopped early, at the same epoch
    assert_same(model, whole)
    for one, other in zip(going_on, watching, strict=True):
        for name in one.saved_attributes:
            assert repr(getattr(one, name)) == repr(getattr(other, name))
    assert sorted(os.listdir(tmp_path / "parts")) == sorted(os.listdir(tmp_path / "whole"))
    for name in os.listdir(tmp_path / "whole"):
        if name != "latest.safetensors":
            assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_training_that_was_stopped_does_not_go_on(tmp_path):
    stop = callbacks.LambdaCallback()
    stop.on_epoch_end = lambda epoch, logs: setattr(stop.model, "stop_training", epoch == 1)
    model = network()
    fit(model, tmp_path, extra=[stop])
    other = network()
    assert fit(other, tmp_path, extra=[callbacks.LambdaCallback()]).epoch == [0, 1]
    assert_same(other, model)


def test_more_epochs_after_the_end_and_an_initial_epoch(tmp_path):
    fastnn.set_seed(3)
    whole = network()
    history = fit(whole, tmp_path / "whole", epochs=6, initial_epoch=1)
    fastnn.set_seed(3)
    fit(network(), tmp_path / "parts", epochs=3, initial_epoch=1)
    model = network()
    rest = fit(model, tmp_path / "parts", epochs=6, initial_epoch=1)
    assert rest.epoch == history.epoch == [1, 2, 3, 4, 5] and rest.history == history.history
    assert_same(model, whole)


def test_in_a_notebook_the_same_model_goes_on(tmp_path):
    fastnn.set_seed(4)
    whole = network()
    fit(whole, tmp_path / "whole")
    fastnn.set_seed(4)
    model = network()
    with pytest.raises(KeyboardInterrupt):
        fit(model, tmp_path / "parts", interrupt=3)
    fit(model, tmp_path / "parts")
    assert_same(model, whole)


def test_batches_that_are_given(tmp_path):
    batches = [(ROWS[i : i + 10], LABELS[i : i + 10]) for i in range(0, 40, 10)]

    class Batches:
        """An order by the process's random numbers, and one by its own."""

        saved_attributes = ("begun",)
        begun = 0

        def __iter__(self):
            self.begun += 1
            own = np.random.default_rng(self.begun).permutation(4)
            return (batches[own[i]] for i in random.generator().permutation(4))

        def __len__(self):
            return 4

    whole, model = network(), network()
    whole.set_weights(model.get_weights())
    for dropout in (whole.layers[2], model.layers[2]):
        dropout.state[:] = 5, 0
    fastnn.set_seed(5)
    whole.fit(Batches(), epochs=4, verbose=0)
    fastnn.set_seed(5)
    model.fit(Batches(), epochs=2, verbose=0, callbacks=[BackupAndRestore(tmp_path, delete_checkpoint=False)])
    other = network()
    other.fit(Batches(), epochs=4, verbose=0, callbacks=[BackupAndRestore(tmp_path)])
    assert_same(other, whole)


def test_pictures_in_a_seeded_order(tmp_path):
    for number in range(12):
        folder = tmp_path / "pictures" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        picture = RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")

    def train(model, epochs):
        pictures = image_folder(tmp_path / "pictures", image_size=(4, 4), batch_size=5, seed=3, verbose=False)
        model.fit(pictures, epochs=epochs, verbose=0, callbacks=[BackupAndRestore(tmp_path / str(id(model)), False)])

    def make():
        model = fastnn.Sequential([layers.Input((4, 4, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)])
        model.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    whole, parts = make(), make()
    parts.set_weights(whole.get_weights())
    train(whole, 4)
    train(parts, 2)
    train(parts, 4)
    assert_same(parts, whole)


def test_the_checkpoint_goes_when_training_is_done(tmp_path):
    for made in (tmp_path / "a" / "b", tmp_path / "with more"):
        network().fit(ROWS, LABELS, epochs=1, verbose=0, callbacks=[BackupAndRestore(made)])
        assert not made.exists()
        made.mkdir()
        (made / "notes.txt").write_text("precious")
    assert (made / "notes.txt").exists()
    network().fit(ROWS, LABELS, epochs=1, verbose=0, callbacks=[BackupAndRestore(made)])
    assert os.listdir(made) == ["notes.txt"]


def test_a_checkpoint_holds_weights_and_no_model(tmp_path):
    model = network()
    fit(model, tmp_path, epochs=1)
    other = network()
    other.load_weights(tmp_path / "latest.safetensors")
    for mine, theirs in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data)
    with pytest.raises(ModelFileError, match="weights alone"):
        fastnn.load_model(tmp_path / "latest.safetensors")


class Nothing(callbacks.Callback):
    saved_attributes = ("value",)
    value = 1


@pytest.mark.parametrize(
    "model, arguments, message",
    [
        ({"optimizer": "rmsprop"}, {}, "optimizer was Adam, and is RMSprop; .*beta_1 was 0.9, and is None"),
        ({"optimizer": optimizers.Adam(beta_1=0.8)}, {}, "beta_1 was 0.9, and is 0.8$"),
        ({"units": 4}, {}, r"'layers/0/kernel' must be float32 of shape \(6, 4\), as the model has it; got .*\(6, 5\)"),
        ({"dtype": "float64"}, {}, "must be float64"),
        ({}, {"batch_size": 10}, "steps was 2, and is 3$"),
        ({}, {"validation_split": 0.5}, "samples was 30, and is 20$"),
        ({}, {"extra": [Nothing()]}, r"callbacks was \['History'\], and is \['Nothing', 'History'\]$"),
    ],
)
def test_checkpoints_of_another_training(tmp_path, model, arguments, message):
    fit(network(), tmp_path, epochs=1)
    other = network(**model)
    before = other.get_weights()
    with pytest.raises(ModelFileError, match=f"is not of this training: .*{message}"):
        fit(other, tmp_path, **arguments)
    for one, weight in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, one)


def test_other_files_in_the_place_of_the_checkpoint(tmp_path):
    model = fastnn.Sequential([layers.Input((6,)), layers.Dense(3)])
    model.save(tmp_path / "latest.safetensors")
    with pytest.raises(ModelFileError, match="is no checkpoint"):
        fit(network(), tmp_path)
    (tmp_path / "latest.safetensors").write_bytes(b"")
    with pytest.raises(ModelFileError, match="damaged"):
        fit(network(), tmp_path)


def test_what_a_checkpoint_cannot_hold(tmp_path):
    watching = Nothing()
    watching.value = object()
    fit(network(), tmp_path, epochs=1)
    before = (tmp_path / "latest.safetensors").read_bytes()
    (tmp_path / "latest.safetensors").rename(tmp_path / "kept")
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        fit(network(), tmp_path, extra=[watching])
    assert sorted(os.listdir(tmp_path)) == ["kept"] and (tmp_path / "kept").read_bytes() == before


PROGRESS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.just("array"), inner, max_size=3),
    max_leaves=4,
)


def places(value, path=()):
    """All paths into a JSON value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    fit(network(), folder, epochs=1, extra=[Counter()])
    return folder / "latest.safetensors"


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_any_json_in_any_place_of_the_progress(tmp_path_factory, checkpoint, data):
    content = checkpoint.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    entry = json.loads(header["__metadata__"]["fastnn"])
    del entry["sha256"]
    path = data.draw(st.sampled_from([path for path in places(entry) if path and path[0] in ("progress", "training")]))
    holder = entry
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = data.draw(PROGRESS)
    folder = tmp_path_factory.mktemp("fuzz")
    tensors = safetensors.numpy.load(content)
    (folder / "latest.safetensors").write_bytes(safetensors.numpy.save(tensors, {"fastnn": json.dumps(entry)}))
    try:
        # the values of a callback's own state are its own matter: it is not asked again after the last epoch
        fit(network(), folder, epochs=0, extra=[Counter()])
    except ValueError as error:
        assert "latest.safetensors" in str(error)


@pytest.mark.skipif(os.name != "posix", reason="kills by a signal")
def test_kills_at_any_moment_cost_no_more_than_the_epoch_at_hand(tmp_path):
    code = """
import numpy as np, fastnn
from fastnn import callbacks, layers
fastnn.set_seed(1)
x = np.random.default_rng(0).standard_normal((600, 20)).astype("float32")
model = fastnn.Sequential([layers.Input((20,)), layers.Dense(300, activation="tanh"), layers.Dropout(0.5), layers.Dense(1)])
model.compile("adam", "mse")
said = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: print(epoch, flush=True))
model.fit(x, x[:, :1], epochs=100, batch_size=50, verbose=0, callbacks=[callbacks.BackupAndRestore("backup"), said])
model.save_weights(OUTPUT)
"""
    subprocess.run([sys.executable, "-c", code.replace("OUTPUT", "'whole'")], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    begun = 0
    for pause in np.random.default_rng(2).uniform(0, 0.02, 3):
        with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE) as process:
            first, *_ = [int(process.stdout.readline()) for _ in range(4)]
            assert first in (begun, begun + 1)  # the checkpoint of the last epoch may have been complete already
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            begun = int((process.stdout.read().split() or [first + 3])[-1])
    assert 9 <= begun < 99
    subprocess.run([sys.executable, "-c", code.replace("OUTPUT", "'parts'")], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["parts", "whole"]
