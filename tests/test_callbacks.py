"""Callbacks, most of them driven by a model that only plays back logs."""

import csv
import math
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from tqdm import tqdm

import fastnn
from fastnn import callbacks, layers, optimizers
from fastnn.callbacks import CallbackList, History


class PlayedModel:
    """Has the weight `epoch + 1` after each epoch, and keeps what is saved."""

    input_shape = (None, 4)

    def __init__(self, optimizer=None):
        self.optimizer = optimizer or optimizers.SGD(0.1)
        self.stop_training = False
        self.weights = [np.array([0.0])]
        self.saved = []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights

    def save(self, path):
        self.saved.append(path)
        with open(path, "w") as file:
            file.write("model")

    def save_weights(self, path):
        self.saved.append(path)
        with open(path, "w") as file:
            file.write("weights")


def train(callback, logs, model=None, batches=1, verbose=0, samples=None):
    """Play epochs with the given logs, a dict of lists; return the history and the model."""
    model = model or PlayedModel()
    history = History()
    epochs = len(next(iter(logs.values())))
    params = {"epochs": epochs, "steps": batches, "samples": samples, "verbose": verbose}
    # the history first: it must get what the callbacks after it put into the logs
    calls = CallbackList([history, *([callback] if callback else [])], model, params, verbose)
    calls.on_train_begin()
    for epoch in range(epochs):
        calls.on_epoch_begin(epoch)
        values = {name: series[epoch] for name, series in logs.items() if series[epoch] is not None}
        for batch in range(batches):
            calls.on_train_batch_begin(batch)
            calls.on_train_batch_end(batch, {k: v for k, v in values.items() if not k.startswith("val_")})
        model.weights = [np.array([epoch + 1.0])]
        calls.on_test_begin()
        calls.on_test_end({})
        calls.on_epoch_end(epoch, values)
        if model.stop_training:
            break
    calls.on_train_end()
    return history, model


# Callback, CallbackList, History


HOOKS = {
    "on_train_begin": 0,
    "on_train_end": 0,
    "on_epoch_begin": 1,
    "on_epoch_end": 1,
    "on_train_batch_begin": 1,
    "on_train_batch_end": 1,
    "on_test_begin": 0,
    "on_test_end": 0,
    "on_test_batch_begin": 1,
    "on_test_batch_end": 1,
}
ORDER = [
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_test_end",
    "on_epoch_end",
    "on_train_end",
]


def test_every_hook_is_called():
    called = []
    methods = {hook: lambda self, *args, hook=hook: called.append((hook, len(args) - 1)) for hook in HOOKS}
    spy = type("Spy", (callbacks.Callback,), methods)()
    model = fastnn.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2)), np.ones((4, 1))
    model.fit(x, y, validation_data=(x, y), callbacks=[spy], verbose=0)
    assert called == [(hook, HOOKS[hook]) for hook in ORDER]
    assert spy.model is model and spy.params["epochs"] == 1


def test_the_short_names_of_batch_hooks():
    called = []

    class Short(callbacks.Callback):
        def on_batch_begin(self, batch, logs=None):
            called.append(("begin", batch))

        def on_batch_end(self, batch, logs=None):
            called.append(("end", batch, logs["loss"]))

    train(Short(), {"loss": [1.0]}, batches=2)
    assert called == [("begin", 0), ("end", 0, 1.0), ("begin", 1), ("end", 1, 1.0)]


def test_only_those_who_ask_for_it_see_every_batch():
    class PerBatch(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    seldom = [
        callbacks.Callback(),
        History(),
        callbacks.EarlyStopping(),
        callbacks.ModelCheckpoint("x"),
        callbacks.TerminateOnNaN(),
        callbacks.ProgressBar(),
        callbacks.LambdaCallback(on_epoch_end=print),
    ]
    always = [
        PerBatch(),
        callbacks.ModelCheckpoint("x", save_freq=3),
        callbacks.LambdaCallback(on_train_batch_begin=print),
        callbacks.LambdaCallback(on_batch_end=print),
    ]
    assert not CallbackList(seldom).every_batch
    for callback in always:
        assert callback.every_batch and CallbackList([*seldom, callback]).every_batch


def test_history_keeps_one_value_per_epoch():
    history, _ = train(None, {"loss": [3.0, 2.0], "val_loss": [4.0, 5.0]})
    assert history.epoch == [0, 1] and history.history == {"loss": [3.0, 2.0], "val_loss": [4.0, 5.0]}


def test_what_is_no_callback_is_an_error():
    for thing in (History, print, None):
        with pytest.raises(TypeError, match="instances of fastnn.callbacks.Callback"):
            CallbackList([thing])


# monitored values


@pytest.mark.parametrize(
    "make",
    [
        callbacks.EarlyStopping,
        callbacks.ReduceLROnPlateau,
        lambda monitor="val_loss": callbacks.ModelCheckpoint("x", monitor, save_best_only=True),
    ],
)
def test_a_monitored_name_that_is_not_there_is_an_error(make):
    with pytest.raises(ValueError, match="monitors 'val_loss'; in the logs there is 'loss', 'accuracy'; validation needs"):
        train(make(), {"loss": [1.0], "accuracy": [0.5]})
    with pytest.raises(ValueError, match="monitors 'acc'; in the logs there is 'loss'$"):
        train(make(monitor="acc"), {"loss": [1.0]})
    with pytest.raises(ValueError, match="monitors 'val_acc'; in the logs there is 'val_loss'$"):
        train(make(monitor="val_acc"), {"val_loss": [1.0]})


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("val_loss", "min"),
        ("loss", "min"),
        ("accuracy", "max"),
        ("val_sparse_categorical_accuracy", "max"),
        ("acc", "max"),
        ("val_auc", "max"),
        ("mse", "min"),
        ("val_mean_absolute_error", "min"),
        ("binary_crossentropy", "min"),
    ],
)
def test_mode_goes_by_the_name(monitor, mode):
    assert callbacks.EarlyStopping(monitor).mode == mode


def test_mode_must_be_given_for_other_names():
    with pytest.raises(ValueError, match="mode must be given for 'r2'"):
        callbacks.EarlyStopping("r2")
    assert callbacks.EarlyStopping("r2", mode="max").mode == "max"
    with pytest.raises(ValueError, match="mode must be 'auto', 'min' or 'max'; got 'best'"):
        callbacks.EarlyStopping(mode="best")
    callbacks.ModelCheckpoint("x", "r2")  # saves always: needs no mode


# EarlyStopping


@pytest.mark.parametrize(
    ("arguments", "losses", "epochs"),
    [
        ({}, [5, 4, 4, 3], 3),
        ({"patience": 2}, [5, 4, 4, 4.5, 3], 4),
        ({"patience": 2}, [5, 4, 4.5, 3, 4, 4, 2], 6),
        ({"patience": 2}, [5, 4, 3, 2], 4),
        ({"min_delta": 0.5}, [5, 4, 3.6, 3], 3),
        ({"patience": 1, "baseline": 2.5}, [5, 4, 3], 2),
        ({"patience": 2, "baseline": 4.5}, [5, 4, 4.2, 4.1, 3], 4),
        ({"start_from_epoch": 2}, [5, 6, 7, 8, 9], 4),
        ({"patience": 2}, [math.nan, math.nan, math.nan], 2),
        ({"patience": 2}, [math.nan, 5, 4, 3], 4),
        ({"monitor": "val_accuracy"}, [0.1, 0.2, 0.2, 0.3], 3),
        ({"monitor": "val_accuracy", "min_delta": 0.05}, [0.1, 0.2, 0.24, 0.3], 3),
    ],
)
def test_early_stopping_stops_after(arguments, losses, epochs):
    callback = callbacks.EarlyStopping(**arguments)
    history, model = train(callback, {callback.monitor: losses})
    assert len(history.epoch) == epochs
    assert model.stop_training == (epochs < len(losses))


@pytest.mark.parametrize(("losses", "best"), [([5, 3, 4, 4], 2), ([5, 4, 3], 3), ([math.nan, math.nan], 1), ([math.nan, 3, 4], 2)])
def test_early_stopping_restores_the_best_weights(losses, best):
    callback = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    _, model = train(callback, {"val_loss": losses})
    assert model.weights[0] == best and callback.best_epoch == best - 1
    _, model = train(callbacks.EarlyStopping(patience=2), {"val_loss": losses})
    assert model.weights[0] == len(losses)


def test_early_stopping_starts_anew_with_each_training(capsys):
    callback = callbacks.EarlyStopping(patience=1, verbose=1, restore_best_weights=True)
    train(callback, {"val_loss": [1.0, 2.0]})
    assert capsys.readouterr().out == "Epoch 2: early stopping\nRestoring the weights of the best epoch: 1\n"
    history, _ = train(callback, {"val_loss": [5.0, 4.0, 3.0]})
    assert len(history.epoch) == 3


# ModelCheckpoint


def test_checkpoint_after_each_epoch_with_values_in_the_name(tmp_path):
    path = tmp_path / "new" / "{epoch:02d}-{val_loss:.2f}.model"
    _, model = train(callbacks.ModelCheckpoint(path), {"val_loss": [1.234, 0.5]})
    assert model.saved == [str(tmp_path / "new" / name) for name in ("01-1.23.model", "02-0.50.model")]
    assert (tmp_path / "new" / "02-0.50.model").read_text() == "model"


@pytest.mark.parametrize(
    ("arguments", "logs", "saved"),
    [
        ({}, {"val_loss": [3, 2, 2, 4, 1]}, [1, 2, 5]),
        ({"monitor": "accuracy"}, {"accuracy": [0.1, 0.3, 0.2, 0.4]}, [1, 2, 4]),
        ({"monitor": "r2", "mode": "max"}, {"r2": [0.1, 0.3, 0.2]}, [1, 2]),
        ({"initial_value_threshold": 2.5}, {"val_loss": [3, 2, 1]}, [2, 3]),
        ({}, {"val_loss": [math.nan, 2, math.nan]}, [2]),
    ],
)
def test_checkpoint_of_the_best_only(tmp_path, arguments, logs, saved):
    callback = callbacks.ModelCheckpoint(tmp_path / "{epoch}", save_best_only=True, save_weights_only=True, **arguments)
    _, model = train(callback, logs)
    assert model.saved == [str(tmp_path / str(epoch)) for epoch in saved]
    assert (tmp_path / str(saved[0])).read_text() == "weights"


def test_checkpoint_every_so_many_batches(tmp_path, capsys):
    callback = callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=3, verbose=1)
    _, model = train(callback, {"loss": [1.0, 1.0]}, batches=4)
    assert model.saved == [str(tmp_path / name) for name in ("1-3", "2-2")]
    assert capsys.readouterr().out.splitlines()[0] == f"Epoch 1: saved model to {tmp_path / '1-3'}"


def test_checkpoint_names_that_cannot_be_filled_in_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be filled in \('val_loss'\); there is epoch, loss"):
        train(callbacks.ModelCheckpoint(tmp_path / "{val_loss}"), {"loss": [1.0]})
    for freq in (0, -1, "batch", 1.5, True):
        with pytest.raises(ValueError, match="save_freq"):
            callbacks.ModelCheckpoint("x", save_freq=freq)


# learning rates


def test_scheduler_sets_the_rate_of_each_epoch():
    model = PlayedModel()
    history, _ = train(callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)), {"loss": [1.0] * 3}, model)
    assert history.history["learning_rate"] == [0.1, 0.05, 0.1 / 3] and model.optimizer.learning_rate == 0.1 / 3
    history, _ = train(callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5), {"loss": [1.0] * 3})
    assert history.history["learning_rate"] == [0.05, 0.025, 0.0125]


def test_scheduler_passes_errors_of_its_function_on():
    def schedule(epoch, lr):
        return lr + "1"

    with pytest.raises(TypeError, match="unsupported operand"):
        train(callbacks.LearningRateScheduler(schedule), {"loss": [1.0]})
    with pytest.raises(TypeError, match="must return a float; got None"):
        train(callbacks.LearningRateScheduler(lambda epoch: None), {"loss": [1.0]})
    for schedule in (0.1, max):  # max does not tell its arguments
        with pytest.raises(TypeError, match="schedule must be a function that tells its arguments, .*; got (0.1|<built-in)"):
            callbacks.LearningRateScheduler(schedule)


@pytest.mark.parametrize(
    ("arguments", "losses", "rates"),
    [
        ({"patience": 2, "factor": 0.5}, [5, 5, 5, 5, 5], [0.1, 0.1, 0.05, 0.05, 0.025]),
        ({"patience": 1, "factor": 0.1}, [5, 4, 4, 3, 3], [0.1, 0.1, 0.01, 0.01, 0.001]),
        ({"patience": 1, "factor": 0.5, "cooldown": 2}, [5] * 6, [0.1, 0.05, 0.05, 0.025, 0.025, 0.0125]),
        ({"patience": 1, "factor": 0.1, "min_lr": 0.03}, [5] * 4, [0.1, 0.03, 0.03, 0.03]),
        ({"patience": 1, "factor": 0.5, "min_delta": 0.5}, [5, 4.6, 4.4], [0.1, 0.05, 0.05]),
        ({"patience": 1, "factor": 0.5, "monitor": "val_accuracy"}, [0.5, 0.6, 0.6], [0.1, 0.1, 0.05]),
    ],
)
def test_rate_is_reduced_on_a_plateau(arguments, losses, rates):
    callback = callbacks.ReduceLROnPlateau(**arguments)
    seen = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: after.append(model.optimizer.learning_rate))
    after, model = [], PlayedModel()
    calls = CallbackList([callback, seen], model)
    calls.on_train_begin()
    for epoch, value in enumerate(losses):
        logs = {callback.monitor: value}
        calls.on_epoch_end(epoch, logs)
        assert logs["learning_rate"] == ([0.1] + after)[epoch]  # the rate that the epoch had
    assert after == pytest.approx(rates, rel=1e-12)


def test_callbacks_that_set_the_rate_refuse_a_schedule():
    for callback in (callbacks.ReduceLROnPlateau("loss"), callbacks.LearningRateScheduler(lambda epoch: 0.1)):
        model = PlayedModel(optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 10)))
        with pytest.raises(ValueError, match="the optimizer has a CosineDecay"):
            train(callback, {"loss": [1.0]}, model)
    with pytest.raises(ValueError, match="factor"):
        callbacks.ReduceLROnPlateau(factor=1.0)


# CSVLogger


def rows_of(path, delimiter=","):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_csv_has_a_row_for_each_epoch(tmp_path):
    path = tmp_path / "log.csv"
    train(callbacks.CSVLogger(path), {"loss": [1 / 3, 0.25], "val_loss": [2.0, 1.5]})
    assert path.read_text() == f"epoch,loss,val_loss\n0,{1 / 3},2.0\n1,0.25,1.5\n"
    train(callbacks.CSVLogger(path, separator=";"), {"loss": [1.0]})
    assert path.read_text() == "epoch;loss\n0;1.0\n"


def test_csv_can_be_appended_to(tmp_path):
    path = tmp_path / "log.csv"
    for _ in range(2):
        train(callbacks.CSVLogger(path, append=True), {"loss": [1.0, 2.0]})
    assert path.read_text() == "epoch,loss\n0,1.0\n1,2.0\n0,1.0\n1,2.0\n"


def test_csv_loses_no_name_that_comes_up_later(tmp_path):
    path = tmp_path / "log.csv"
    train(callbacks.CSVLogger(path), {"loss": [3.0, 2.0, 1.0], "val_loss": [None, 5.0, None]})
    assert [tuple(row.values()) for row in rows_of(path)] == [("0", "3.0", "NA"), ("1", "2.0", "5.0"), ("2", "1.0", "NA")]
    train(callbacks.CSVLogger(path, append=True), {"accuracy": [0.5]})
    assert rows_of(path)[1] == {"epoch": "1", "loss": "2.0", "val_loss": "5.0", "accuracy": "NA"}
    assert rows_of(path)[3] == {"epoch": "0", "loss": "NA", "val_loss": "NA", "accuracy": "0.5"}


def test_csv_of_before_stays_until_there_is_something_new(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss\n0,5.0\n")
    callbacks.CSVLogger(path).on_train_begin()
    assert path.read_text() == "epoch,loss\n0,5.0\n"
    train(callbacks.CSVLogger(path), {"loss": [1.0]})
    assert path.read_text() == "epoch,loss\n0,1.0\n"


def test_csv_keeps_its_rows_if_it_cannot_be_written_anew(tmp_path, monkeypatch):
    path = tmp_path / "log.csv"
    train(callbacks.CSVLogger(path), {"loss": [1.0]})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        train(callbacks.CSVLogger(path, append=True), {"loss": [2.0], "accuracy": [0.5]})
    assert path.read_text() == "epoch,loss\n0,1.0\n"


def test_csv_is_utf_8_everywhere(tmp_path):
    train(callbacks.CSVLogger(tmp_path / "log.csv"), {"größe": [1.0, 2.0]})
    assert (tmp_path / "log.csv").read_bytes().decode() == "epoch,größe\n0,1.0\n1,2.0\n"


# the others


def test_lambda_callback_calls_its_functions():
    called = []
    callback = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: called.append((epoch, logs["loss"])),
        on_train_end=lambda logs: called.append("end"),
        on_train_batch_end=lambda batch, logs: called.append(f"batch {batch}"),
    )
    train(callback, {"loss": [1.0, 2.0]})
    assert called == ["batch 0", (0, 1.0), "batch 0", (1, 2.0), "end"]
    with pytest.raises(TypeError, match="no hook 'on_epoch'"):
        callbacks.LambdaCallback(on_epoch=print)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_training_terminates_on_nan(bad, capsys):
    history, model = train(callbacks.TerminateOnNaN(), {"loss": [1.0, bad, 1.0]}, batches=2)
    assert model.stop_training and len(history.epoch) == 2
    assert capsys.readouterr().out == f"Batch 1: the loss is {bad}, training stops\n"


# ProgressBar


def test_a_notebook_without_widgets_has_a_bar_of_text_and_no_warning():
    code = """
        import sys, types

        sys.modules["IPython"] = sys.modules["ipykernel.zmqshell"] = types.ModuleType("IPython")
        sys.modules["IPython"].get_ipython = object
        sys.modules["ipywidgets"] = None

        import numpy as np
        import fastnn

        model = fastnn.Sequential([fastnn.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.zeros((8, 2)), np.zeros((8, 1)), verbose=1)
        """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert "8/8" in ran.stderr and "Warning" not in ran.stderr


def test_the_bar_shows_loss_metrics_speed_and_time_left(capsys):
    train(None, {"loss": [2.0, 1.0], "accuracy": [0.5, 0.75], "val_loss": [3.0, 0.0001]}, batches=4, samples=100, verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    last = [line.split("\r")[-1] for line in err.rstrip("\n").split("\n")]
    assert len(last) == 2
    assert last[0].startswith("Epoch 1/2 ") and last[1].startswith("Epoch 2/2 ")
    assert "100/100 [" in last[0] and " samples/s, 00:00 left, loss: 2.0000, accuracy: 0.5000, val_loss: 3.0000]" in last[0]
    assert "val_loss: 1.0000e-04" in last[1]


def test_the_bar_counts_images_and_where_the_number_is_unknown_batches(capsys):
    model = PlayedModel()
    model.input_shape = (None, 28, 28, 1)
    train(None, {"loss": [2.0]}, model, samples=10, verbose=1)
    assert " images/s" in capsys.readouterr().err
    params = {"epochs": 1, "steps": None, "samples": None}
    calls = CallbackList([], model, params, verbose=1)
    calls.on_epoch_begin(0)
    for batch in range(3):
        calls.on_train_batch_end(batch, {"loss": 2.0})
    calls.on_epoch_end(0, {"loss": 2.0})
    last = capsys.readouterr().err.split("\r")[-1]
    assert last.startswith("Epoch 1/1 3 [") and " batches/s" in last and "loss: 2.0000" in last


def test_verbose_2_prints_a_line_per_epoch(capsys):
    train(None, {"loss": [2.0, 1.0], "accuracy": [0.5, 0.75]}, samples=100, verbose=2)
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == "" and len(lines) == 2
    assert lines[1].startswith("Epoch 2/2 - 0.0 s - ") and lines[1].endswith(" samples/s - loss: 1.0000 - accuracy: 0.7500")


def test_auto_prints_lines_where_there_is_no_terminal(capsys):
    train(None, {"loss": [2.0]}, verbose="auto")
    assert capsys.readouterr().out.startswith("Epoch 1/1 - ")
    with pytest.raises(ValueError, match="verbose"):
        callbacks.ProgressBar(3)


def test_messages_do_not_tear_the_bar(capsys):
    callback = callbacks.LearningRateScheduler(lambda epoch: 0.1, verbose=1)
    train(callback, {"loss": [2.0]}, verbose=1)
    out, err = capsys.readouterr()
    assert out == "Epoch 1: learning rate 0.1\n"
    assert err.rstrip("\n").split("\r")[-1].startswith("Epoch 1/1 ")


@pytest.mark.parametrize("hook", HOOKS)
def test_an_error_of_a_callback_is_told_and_leaves_no_bar(hook, capsys):
    def fail(*arguments):
        raise ArithmeticError(hook)

    model = fastnn.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 2), np.float32)
    with pytest.raises(ArithmeticError, match=f"^{hook}$") as told:  # which keeps the frames, as a notebook does
        model.fit(x, x[:, :1], verbose=1, validation_data=(x, x[:, :1]), callbacks=[callbacks.LambdaCallback(**{hook: fail})])
    assert not tqdm._instances, told
    model.fit(x, x[:, :1], verbose=0)


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_programs_without_a_console_train(verbose, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    train(callbacks.LearningRateScheduler(lambda epoch: 0.1, verbose=1), {"loss": [2.0]}, verbose=verbose)
