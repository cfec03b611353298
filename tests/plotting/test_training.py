"""What callbacks record for pictures: histograms, and TensorBoard's event files."""

import struct
import sys
import time

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboardX.proto.event_pb2 import Event

import fastnn
from fastnn import layers
from fastnn.callbacks import HistogramRecorder, TensorBoard
from fastnn.plotting import HistogramsDisplay

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X @ [[1.0], [2.0], [3.0]]


def trained(*callbacks, epochs=2, rate=0.1, **arguments):
    """Return a linear model of weights that begin with zero, and its history."""
    out = layers.Dense(1, kernel_initializer="zeros", name="out", kernel_regularizer=fastnn.regularizers.L2(0.5), dtype="float64")
    model = fastnn.Sequential([layers.Input((3,)), layers.Dropout(0.5, name="drop", dtype="float64"), out])
    model.compile(fastnn.optimizers.SGD(rate), "mse")
    history = model.fit(X, Y, batch_size=20, epochs=epochs, verbose=0, callbacks=callbacks, **arguments)
    return model, history


class TestHistogramRecorder:
    def test_weights_before_training_and_after_each_epoch(self):
        recorder = HistogramRecorder(bins=7)
        model, _ = trained(recorder)
        assert recorder.epochs == [0, 1, 2] and recorder.gradients == {}
        assert list(recorder.weights) == ["out/kernel", "out/bias"]
        for name, weight in zip(recorder.weights, model.get_weights(), strict=True):
            assert len(recorder.weights[name]) == 3
            counts, edges = recorder.weights[name][-1]
            assert (counts.shape, edges.shape) == ((7,), (8,))
            assert counts.sum() == weight.size and edges[0] <= weight.min() <= weight.max() <= edges[-1]
        counts, edges = recorder.weights["out/kernel"][0]
        assert counts.tolist() == [0, 0, 0, 3, 0, 0, 0] and edges[0] == -edges[-1] and edges[-1] < 0.01  # all are zero

    def test_gradients_of_the_objective_without_dropout(self):
        recorder = HistogramRecorder(X, Y, bins=1000)
        model, _ = trained(recorder)
        kernel, bias = model.get_weights()
        error = X @ kernel + bias - Y
        by_hand = 2 * X.T @ error / len(X) + 2 * 0.5 * kernel  # of the mean squared error and of 0.5 * sum(w**2)
        counts, edges = recorder.gradients["out/kernel"][-1]
        middles = (edges[:-1] + edges[1:])[counts > 0] / 2
        np.testing.assert_allclose(middles, np.sort(by_hand[:, 0]), atol=edges[1] - edges[0])
        assert len(recorder.gradients["out/bias"]) == 3

    def test_recording_changes_nothing(self):
        results = []
        for callbacks in ([], [HistogramRecorder(X, Y)]):
            fastnn.set_seed(1)
            results.append(trained(*callbacks)[0].get_weights())
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_what_is_not_finite_is_left_out(self):
        recorder = HistogramRecorder(X, Y)
        with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="learning rate, 1e\\+30, may be too high"):
            trained(recorder, epochs=30, rate=1e30)
        counts, edges = recorder.weights["out/kernel"][-1]
        assert counts.sum() == 0 and np.isfinite(edges).all()
        HistogramsDisplay.from_recorder(recorder)

    def test_weights_that_are_not_trained_have_no_gradients(self):
        model = fastnn.Sequential([layers.Input((3,)), layers.BatchNormalization(name="norm"), layers.Dense(1, name="out")])
        model.compile("sgd", "mse")
        recorder = HistogramRecorder(X, Y)
        model.fit(X, Y, verbose=0, callbacks=[recorder])
        assert set(recorder.weights) - set(recorder.gradients) == {"norm/moving_mean", "norm/moving_variance"}

    def test_batches_that_build_the_model(self):
        model = fastnn.Sequential([layers.Dense(1, name="out")])
        model.compile("sgd", "mse")
        recorder = HistogramRecorder()
        model.fit([(X, Y)].__iter__(), steps_per_epoch=1, verbose=0, callbacks=[recorder])
        assert recorder.epochs == [1]

    def test_bad_input(self):
        with pytest.raises(ValueError, match="x and y must be given both, or neither"):
            HistogramRecorder(X)
        with pytest.raises(ValueError, match="bins must be a positive integer; got 0"):
            HistogramRecorder(bins=0)


class TestHistogramsDisplay:
    def test_a_column_for_each_epoch(self):
        recorder = HistogramRecorder(X, Y, bins=5)
        trained(recorder)
        for what in ("weights", "gradients"):
            display = HistogramsDisplay.from_recorder(recorder, what=what)
            assert [axes.get_title() for axes in display.axes_] == ["out/kernel", "out/bias"]
            for name, histograms in getattr(recorder, what).items():
                shades = np.ma.filled(display.meshes_[name].get_array(), 0)
                corners = display.meshes_[name].get_coordinates()
                assert shades.shape == (5, 5) and not shades[:, 1::2].any()  # between the columns there are others of no width
                for i, (counts, edges) in enumerate(histograms):
                    np.testing.assert_allclose(shades[:, 2 * i], counts / counts.max())
                    np.testing.assert_allclose(corners[:, 2 * i : 2 * i + 2, 0], [[i - 0.5, i + 0.5]] * 6)
                    np.testing.assert_array_equal(corners[:, 2 * i, 1], edges)
                    np.testing.assert_array_equal(corners[:, 2 * i + 1, 1], edges)

    def test_names_and_axes(self):
        recorder = HistogramRecorder()
        trained(recorder)
        figure = Figure()
        display = HistogramsDisplay.from_recorder(recorder, names=["out/bias"], ax=figure.subplots())
        assert list(display.meshes_) == ["out/bias"] and display.figure_ is figure
        with pytest.raises(ValueError, match=r"names must be a list of some of 'out/kernel', 'out/bias'; got \['kernel'\]"):
            display.plot(names=["kernel"])
        with pytest.raises(ValueError, match="ax must be 2 axes, one for each of out/kernel, out/bias; got 1"):
            display.plot(figure.axes[0])

    def test_bad_input(self):
        recorder = HistogramRecorder()
        with pytest.raises(ValueError, match="recorder has recorded no weights: give it to fit first"):
            HistogramsDisplay.from_recorder(recorder)
        trained(recorder)
        with pytest.raises(ValueError, match=r"has recorded no gradients; they need HistogramRecorder\(x, y\)"):
            HistogramsDisplay.from_recorder(recorder, what="gradients")
        with pytest.raises(ValueError, match="what must be 'weights' or 'gradients'; got 'losses'"):
            HistogramsDisplay.from_recorder(recorder, what="losses")
        with pytest.raises(TypeError, match="recorder must be a fastnn.callbacks.HistogramRecorder; got dict"):
            HistogramsDisplay.from_recorder({})


def events(folder):
    """Read event files: records of a length, its checksum, an event and its checksum."""
    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return [(event.step, value) for event in found for value in event.summary.value]


def scalars(folder):
    curves = {}
    for step, value in events(folder):
        if value.HasField("simple_value"):
            curves.setdefault(value.tag, []).append((step, pytest.approx(value.simple_value)))
    return curves


class TestTensorBoard:
    def test_training_and_validation_are_two_runs(self, tmp_path):
        _, history = trained(TensorBoard(tmp_path), epochs=3, validation_split=0.25)
        rows = {name: list(enumerate(values)) for name, values in history.history.items()}
        expected = {"epoch_loss": rows["loss"], "epoch_learning_rate": [(0, 0.1), (1, 0.1), (2, 0.1)]}
        assert scalars(tmp_path / "train") == expected
        assert scalars(tmp_path / "validation") == {"epoch_loss": rows["val_loss"]}

    def test_histograms_of_weights(self, tmp_path):
        model, _ = trained(TensorBoard(tmp_path / "runs" / "1", histogram_freq=2), epochs=3)
        found = [
            (step, value.tag, value.histo) for step, value in events(tmp_path / "runs" / "1" / "train") if value.HasField("histo")
        ]
        assert [row[:2] for row in found] == [(0, "out/kernel"), (0, "out/bias"), (2, "out/kernel"), (2, "out/bias")]
        kernel = model.get_weights()[0]
        last = found[2][2]
        assert (last.num, last.min, last.max, last.sum) == pytest.approx((3, kernel.min(), kernel.max(), kernel.sum()))

    def test_an_epoch_is_in_the_file_while_training_goes_on(self, tmp_path):
        def wait_for_it(epoch, logs):
            while epoch and len(scalars(tmp_path / "train")) < 2 and time.monotonic() < end:
                time.sleep(0.1)
            found.append(len(scalars(tmp_path / "train")))

        found, end = [], time.monotonic() + 20
        trained(TensorBoard(tmp_path), fastnn.callbacks.LambdaCallback(on_epoch_begin=wait_for_it))
        assert found == [0, 2]

    def test_without_the_library_the_error_names_the_extra(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
        with pytest.raises(ImportError, match=r"TensorBoard needs tensorboardX: pip install 'fastnn-kernels\[tensorboard\]'"):
            trained(TensorBoard(tmp_path))

    def test_bad_input(self):
        with pytest.raises(ValueError, match="histogram_freq must be a number of epochs, not negative; got -1"):
            TensorBoard(histogram_freq=-1)
