"""Learning curves, of finished and of running trainings."""

import sys
import time
import types

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn
from fastnn import estimators, layers, plotting
from fastnn.callbacks import CallbackList, History, LivePlot
from fastnn.plotting import HistoryDisplay

CURVES = {"loss": [0.9, 0.5, 0.4], "accuracy": [0.3, 0.6, 0.7], "val_loss": [1.0, 0.7, 0.8], "val_accuracy": [0.2, 0.5, 0.4]}


def drawn(display):
    """Return the data of the lines, by name."""
    return {name: (list(line.get_xdata()), list(line.get_ydata())) for name, line in display.lines_.items()}


def test_a_history_has_a_panel_for_each_quantity():
    history = History()
    history.extend([4, 5, 6], CURVES)
    display = HistoryDisplay.from_history(history)
    assert drawn(display) == {name: ([5, 6, 7], values) for name, values in CURVES.items()}
    assert [axes.get_ylabel() for axes in display.axes_] == ["loss", "accuracy"]
    for axes, name in zip(display.axes_, ("loss", "accuracy"), strict=True):
        assert [line.get_label() for line in axes.lines] == ["training", "validation"]
        assert axes.lines[1] is display.lines_[f"val_{name}"]
        assert [text.get_text() for text in axes.get_legend().get_texts()] == ["training", "validation"]
    assert display.figure_ is plt.gcf()


def test_of_a_fit():
    x = np.random.default_rng(0).normal(size=(40, 3))
    model = fastnn.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(x, x[:, :1], epochs=3, validation_split=0.5, verbose=0)
    assert drawn(HistoryDisplay.from_history(history)) == {name: ([1, 2, 3], column) for name, column in history.history.items()}


def test_names_choose_and_order_the_panels():
    display = HistoryDisplay.from_history(CURVES, names=["accuracy"])
    assert list(display.lines_) == ["accuracy", "val_accuracy"]
    display.plot(names=["accuracy", "loss"])
    assert [axes.get_ylabel() for axes in display.axes_] == ["accuracy", "loss"]
    with pytest.raises(ValueError, match=r"names must be a list of some of 'loss', 'accuracy'; got \['mse'\]"):
        display.plot(names=["mse"])
    with pytest.raises(ValueError, match="got 'loss'"):
        display.plot(names="loss")


def test_where_it_is_drawn():
    before = plt.get_fignums()
    figure = Figure()
    mine = figure.subplots(2)
    display = HistoryDisplay.from_history(CURVES, ax=mine)
    assert list(display.axes_) == list(mine) and display.figure_ is figure
    assert HistoryDisplay.from_history(CURVES, names=["loss"], ax=mine[0]).axes_[0] is mine[0]
    empty = Figure()
    assert [axes.figure for axes in HistoryDisplay.from_history(CURVES, ax=empty).axes_] == [empty, empty]
    assert plt.get_fignums() == before
    with pytest.raises(ValueError, match="ax must be 2 axes, one for each of loss, accuracy; got 1"):
        HistoryDisplay.from_history(CURVES, ax=mine[0])


def test_panels_wrap_and_long_names_are_cut():
    curves = {name: [1.0, 2.0] for name in ("loss", "a", "b", "m" * 60)}
    display = HistoryDisplay.from_history(curves)
    assert len(display.figure_.axes) == 4
    assert len(display.axes_[3].get_ylabel()) < 40 and display.axes_[3].get_ylabel().endswith("…")
    assert display.axes_[3].get_subplotspec().rowspan.start == 1
    assert display.axes_[0].get_legend() is None  # one curve needs none


def test_epochs_have_markers_unless_they_are_many():
    assert HistoryDisplay.from_history({"loss": [1.0]}).lines_["loss"].get_marker() == "o"
    assert HistoryDisplay.from_history({"loss": [1.0] * 500}).lines_["loss"].get_marker() in ("None", None, "")


@pytest.mark.parametrize("epochs", [1, 2, 3, 12, 30, 500])
def test_epochs_are_whole_numbers_from_1(epochs):
    axes = HistoryDisplay.from_history({"loss": [1.0] * epochs}).axes_[0]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert shown and all(tick == int(tick) >= 1 for tick in shown)
    assert epochs > 1 or shown == [1]


@pytest.mark.parametrize("kind", [estimators.MLPClassifier, SklearnMLPClassifier])
def test_of_an_estimator(kind):
    x = np.random.default_rng(0).normal(size=(60, 2))
    estimator = kind((4,), max_iter=5, early_stopping=True, n_iter_no_change=10, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        estimator.fit(x, x[:, 0] > 0)
    display = HistoryDisplay.from_estimator(estimator)
    curves = {"loss": estimator.loss_curve_, "val_score": estimator.validation_scores_}
    if kind is estimators.MLPClassifier:
        curves["val_loss"] = estimator.validation_loss_curve_
    assert drawn(display) == {name: ([1, 2, 3, 4, 5], list(values)) for name, values in curves.items()}
    assert [axes.get_ylabel() for axes in display.axes_] == ["loss", "score"]


def test_of_an_estimator_at_the_end_of_a_pipeline_or_the_best_of_a_search():
    x = np.random.default_rng(0).normal(size=(60, 2))
    classifier = estimators.MLPClassifier((4,), max_iter=5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), classifier)
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [classifier.alpha]}, cv=2)
    for fitted in (pipeline, search):
        with pytest.warns(match="Maximum iterations"):
            fitted.fit(x, x[:, 0] > 0)
    losses = pipeline[-1].loss_curve_
    for fitted in (pipeline, search):
        assert drawn(HistoryDisplay.from_estimator(fitted)) == {"loss": ([1, 2, 3, 4, 5], losses)}
    with pytest.raises(ValueError, match=r"must be fitted and have a loss_curve_ .*; got StandardScaler\(\)"):
        HistoryDisplay.from_estimator(make_pipeline(StandardScaler()))


def test_bad_input():
    with pytest.raises(TypeError, match="history must be what fit returned, or a dict of lists; got list"):
        HistoryDisplay.from_history([0.5])
    for empty in ({}, History()):
        with pytest.raises(ValueError, match="history is empty: train for at least one epoch"):
            HistoryDisplay.from_history(empty)
    with pytest.raises(ValueError, match="a value for each of its 3 epochs; 'f1' has 2"):
        HistoryDisplay.from_history({"loss": [1, 2, 3], "f1": [1, 2]})
    with pytest.raises(ValueError, match="must be fitted and have a loss_curve_"):
        HistoryDisplay.from_estimator(estimators.MLPClassifier())


# the picture of a running training


def play(callback, epochs, pause=lambda: None):
    calls = CallbackList([callback])
    calls.on_train_begin()
    for epoch in range(epochs):
        pause()
        calls.on_epoch_end(epoch, {"loss": 1 / (epoch + 1), **({"f1": 0.5} if epoch % 2 else {})})
    calls.on_train_end()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is set."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


@pytest.fixture
def window(monkeypatch, clock):
    """A backend that has windows; what each showing showed. Showing takes a second."""
    shown = []

    def pause(seconds):
        clock.now += 1
        shown.append([len(line.get_xdata()) for axes in plt.gcf().axes for line in axes.lines])

    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "test")
    monkeypatch.setattr(plt, "pause", pause)
    return shown


def test_a_window_shows_each_epoch(window, clock):
    callback = LivePlot()
    play(callback, 3, lambda: setattr(clock, "now", clock.now + 100))
    assert window == [[1], [2, 1], [3, 1], [3, 1]]
    assert drawn(callback.display_) == {"loss": ([1, 2, 3], [1, 1 / 2, 1 / 3]), "f1": ([2], [0.5])}
    assert len(plt.get_fignums()) == 1
    assert not callback.every_batch


def test_drawing_takes_a_fifth_of_the_time_at_most(window, clock):
    play(LivePlot(["loss"]), 12, lambda: setattr(clock, "now", clock.now + 1))
    assert window == [[1], [5], [9], [12]]


def test_a_notebook_shows_one_picture_that_changes(monkeypatch, clock):
    shown = []

    class Handle:
        def display(self, data):
            shown.append(data)

        update = display

    contents = {"HTML": str, "Image": bytes, "DisplayHandle": Handle}
    modules = {"ipykernel": None, "IPython": {}, "IPython.display": contents}
    for name, content in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(content or {})
        monkeypatch.setitem(sys.modules, name, module)
    before = plt.get_fignums()
    play(LivePlot(), 2)
    assert shown[0] == "" and len(shown) == 4
    assert all(picture.startswith(b"\x89PNG") for picture in shown[1:])
    assert plt.get_fignums() == before


def test_without_a_screen_a_warning_says_so_and_training_goes_on():
    before = plt.get_fignums()
    with pytest.warns(match="LivePlot draws nothing: this is no notebook, and matplotlib's backend has no windows"):
        play(LivePlot(), 2)
    assert plt.get_fignums() == before


# the package


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.delitem(vars(plotting), "HistoryDisplay", raising=False)
    for module in ("history", "canvas"):
        monkeypatch.delitem(sys.modules, f"fastnn.plotting.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.ticker", None)
    with pytest.raises(ImportError, match=r"HistoryDisplay needs matplotlib: pip install 'fastnn-kernels\[plot\]'"):
        plotting.HistoryDisplay  # noqa: B018
    with pytest.raises(AttributeError, match="'fastnn.plotting' has no attribute 'Histories'"):
        plotting.Histories  # noqa: B018


def test_every_public_name_is_there():
    assert set(plotting.__all__) == {name for name in plotting._HOMES if name.endswith("Display")} <= set(dir(plotting))
    for name, home in plotting._HOMES.items():
        assert getattr(plotting, name).__module__ == f"fastnn.plotting.{home}"
