"""Metrics against scikit-learn, over several batches and with weights."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, mean_squared_error, top_k_accuracy_score

from fastnn import losses, metrics, ops
from fastnn.autodiff import Tensor
from fastnn.kernels import table

RNG = np.random.default_rng(3)
M, C = 60, 5
LABELS = RNG.integers(0, C, M)
SCORES = RNG.normal(size=(M, C)) + 0.7 * (LABELS[:, None] == np.arange(C))
ONEHOT = (LABELS[:, None] == np.arange(C)).astype(np.float64)
BINARY = RNG.integers(0, 2, M)
PROBABILITY = RNG.uniform(size=M)
REAL, PRED = RNG.normal(size=(2, M, 3))
WEIGHT = RNG.uniform(0.1, 2, size=M)
PREDICTED = SCORES.argmax(axis=1)

#: metric, targets, predictions, the value by scikit-learn for some sample weights
CASES = {
    "sparse": (metrics.SparseCategoricalAccuracy, LABELS, SCORES, lambda w: accuracy_score(LABELS, PREDICTED, sample_weight=w)),
    "categorical": (metrics.CategoricalAccuracy, ONEHOT, SCORES, lambda w: accuracy_score(LABELS, PREDICTED, sample_weight=w)),
    "binary": (metrics.BinaryAccuracy, BINARY, PROBABILITY, lambda w: accuracy_score(BINARY, PROBABILITY > 0.5, sample_weight=w)),
    "binary 0.2": (
        lambda: metrics.BinaryAccuracy(threshold=0.2),
        BINARY,
        PROBABILITY[:, None],
        lambda w: accuracy_score(BINARY, PROBABILITY > 0.2, sample_weight=w),
    ),
    "sign": (
        metrics.SignAccuracy,
        2 * BINARY - 1,
        PROBABILITY - 0.5,
        lambda w: accuracy_score(BINARY, PROBABILITY > 0.5, sample_weight=w),
    ),
    "equality": (metrics.Accuracy, LABELS, PREDICTED, lambda w: accuracy_score(LABELS, PREDICTED, sample_weight=w)),
    "top 2": (
        lambda: metrics.TopKCategoricalAccuracy(k=2),
        ONEHOT,
        SCORES,
        lambda w: top_k_accuracy_score(LABELS, SCORES, k=2, sample_weight=w),
    ),
    "sparse top 3": (
        lambda: metrics.SparseTopKCategoricalAccuracy(k=3),
        LABELS,
        SCORES,
        lambda w: top_k_accuracy_score(LABELS, SCORES, k=3, sample_weight=w),
    ),
    "mse": (metrics.MeanSquaredError, REAL, PRED, lambda w: mean_squared_error(REAL, PRED, sample_weight=w)),
    "mae": (metrics.MeanAbsoluteError, REAL, PRED, lambda w: mean_absolute_error(REAL, PRED, sample_weight=w)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_scikit_learn_over_batches(case, weighted):
    make, y_true, y_pred, expected = CASES[case]
    metric = make()
    assert metric.result() == 0.0
    for part in (slice(0, 7), slice(7, 40), slice(40, M)):
        metric.update_state(y_true[part], y_pred[part], WEIGHT[part] if weighted else None)
    result = metric.result()
    assert type(result) is float and 0 < expected(None) != 1
    assert result == pytest.approx(expected(WEIGHT if weighted else None), rel=1e-12)
    metric.reset_state()
    assert metric.result() == 0.0
    assert metric(Tensor(np.asarray(y_true)), Tensor(np.asarray(y_pred))) == pytest.approx(expected(None), rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_sample_values_are_kernel_calls_that_average_to_the_result(case):
    """Training adds these up inside its recorded steps, with targets as the losses prepare them."""
    make, y_true, y_pred, expected = CASES[case]
    metric = make()
    if metric.sample_values is None:
        assert isinstance(metric, (metrics.Accuracy, metrics.TopKCategoricalAccuracy, metrics.SparseTopKCategoricalAccuracy))
        return
    pred = y_pred.astype(np.float32)
    target = y_true.astype(np.int32 if case == "sparse" else np.float32)
    with table.record() as recording:
        values = metric.sample_values(target, pred)
    assert recording.calls and not recording.python_steps
    assert values.shape == (M,) and values.dtype == np.float32
    assert values.mean() == pytest.approx(expected(None), rel=1e-6)


def test_worked_numbers():
    assert metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]]) == 0.5
    assert metrics.SparseTopKCategoricalAccuracy(k=2)([2, 0], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]]) == 1.0
    assert metrics.SparseTopKCategoricalAccuracy(k=1)([2, 0], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]]) == 0.0
    assert metrics.BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]) == 0.75
    # multi-label: the share of the outputs
    assert metrics.BinaryAccuracy()([[1, 0], [1, 1]], [[0.9, 0.9], [0.9, 0.9]]) == 0.75
    assert metrics.MeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]]) == 0.25


def test_ties_go_to_the_first_class_and_count_for_top_k():
    pred = [[0.5, 0.5]]
    assert metrics.SparseCategoricalAccuracy()([0], pred) == 1
    assert metrics.SparseCategoricalAccuracy()([1], pred) == 0
    assert metrics.SparseTopKCategoricalAccuracy(k=1)([1], pred) == 1
    assert metrics.SparseTopKCategoricalAccuracy(k=1)([1], [[0.5, np.nan]]) == 0


def test_predictions_with_positions():
    pred = RNG.normal(size=(2, 3, C))
    y = RNG.integers(0, C, (2, 3))
    y[0] = pred[0].argmax(axis=-1)
    y[1] = (pred[1].argmax(axis=-1) + 1) % C
    for metric, y_true in ((metrics.SparseCategoricalAccuracy(), y), (metrics.CategoricalAccuracy(), np.eye(C)[y])):
        assert metric(y_true, pred) == 0.5
        metric.reset_state()
        assert metric(y_true, pred, [3.0, 1.0]) == 0.75


def test_mean():
    mean = metrics.Mean(name="loss")
    mean.update_state(2.0)
    mean.update_state([4.0, 9.0])
    assert mean.result() == 5.0 and mean.name == "loss"
    mean.reset_state()
    mean.update_state(Tensor(np.float32([1, 3])), sample_weight=[3, 1])
    assert mean.result() == 1.5


# get


@pytest.mark.parametrize(
    ("loss", "width", "y_true", "kind", "value"),
    [
        ("sparse_categorical_crossentropy", 3, [1, 0], metrics.SparseCategoricalAccuracy, 0.5),
        ("categorical_crossentropy", 3, [[0, 1, 0], [1, 0, 0]], metrics.CategoricalAccuracy, 0.5),
        ("binary_crossentropy", 1, [1, 1], metrics.BinaryAccuracy, 0.5),
        ("mse", 1, [1, 0], metrics.BinaryAccuracy, 1.0),
        ("hinge", 1, [1, -1], metrics.SignAccuracy, 0.5),
        ("perceptron", 1, [1, 0], metrics.SignAccuracy, 0.5),
        ("mse", 3, [[0, 1, 0], [1, 0, 0]], None, 0.5),
        ("hinge", 3, [[-1, 1, -1], [1, -1, -1]], None, 0.5),
        (lambda y_true, y_pred: ops.mse(y_pred, y_true), 3, [1, 0], None, 0.5),
        (None, 3, [[1], [0]], None, 0.5),
        (None, 1, [1, 1], metrics.BinaryAccuracy, 0.5),
    ],
)
def test_accuracy_is_the_one_that_fits(loss, width, y_true, kind, value):
    pred = {3: [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], 1: [[0.7], [0.2]]}[width]
    loss = None if loss is None else losses.get(loss)
    for name in ("accuracy", "acc"):
        metric = metrics.get(name, (None, width), loss)
        assert metric.name == name
        assert kind is None or type(metric) is kind
        assert metric(y_true, pred) == value
    if loss is None:
        assert metrics.get("accuracy")(y_true, pred) == value


def test_accuracy_of_logits_has_its_threshold_at_0():
    pred, y = [[0.3], [-0.3]], [1, 0]
    from_logits = losses.BinaryCrossentropy(from_logits=True)
    for name in ("accuracy", "binary_accuracy"):
        assert metrics.get(name, (None, 1), from_logits)(y, pred) == 1.0
        assert metrics.get(name, (None, 1), losses.BinaryCrossentropy())(y, pred) == 0.5


@pytest.mark.parametrize("name", metrics.METRICS)
def test_get_by_name(name):
    metric = metrics.get(name)
    assert type(metric) is metrics.METRICS[name] and metric.name == name
    assert metrics.get(metric) is metric
    assert type(metrics.get({"class_name": type(metric).__name__})) is type(metric)
    again = metrics.get(metrics.serialize(metric))
    assert type(again) is type(metric) and again.get_config() == metric.get_config()


def test_losses_are_metrics_too():
    metric = metrics.get("binary_crossentropy")
    metric.update_state(BINARY[:20], PROBABILITY[:20])
    metric.update_state(BINARY[20:], PROBABILITY[20:])
    expected = -np.log(np.where(BINARY, PROBABILITY, 1 - PROBABILITY)).mean()
    assert metric.name == "binary_crossentropy" and metric.result() == pytest.approx(expected, rel=1e-12)


def test_functions_of_ones_own():
    def largest_error(y_true, y_pred):
        return np.abs(y_true - y_pred).max(axis=1)

    metric = metrics.get(largest_error)
    assert metric.name == "largest_error"
    metric.update_state(REAL[:10], PRED[:10], WEIGHT[:10])
    metric.update_state(REAL[10:], PRED[10:], WEIGHT[10:])
    assert metric.result() == pytest.approx(np.average(np.abs(REAL - PRED).max(axis=1), weights=WEIGHT), rel=1e-12)


def test_a_function_that_returns_one_number_counts_by_samples():
    metric = metrics.get(lambda y_true, y_pred: ops.mean(ops.square(y_true - y_pred)))
    for part in (slice(0, 50), slice(50, M)):
        metric.update_state(REAL[part], PRED[part])
    assert metric.result() == pytest.approx(((REAL - PRED) ** 2).mean(), rel=1e-12)
    with pytest.raises(ValueError, match="sample_weight"):
        metric.update_state(REAL, PRED, WEIGHT)


def test_targets_of_a_function_have_the_rank_of_the_predictions():
    """(m,) with (m, 1) would broadcast to (m, m)."""
    metric = metrics.get(lambda y_true, y_pred: np.abs(y_true - y_pred))
    assert metric(REAL[:, 0], PRED[:, :1]) == pytest.approx(np.abs(REAL[:, 0] - PRED[:, 0]).mean(), rel=1e-12)


# bad input


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred", "message"),
    [
        ("sparse_categorical_accuracy", [5], [[0.1, 0.9]], r"\[0, 2\)"),
        ("sparse_categorical_accuracy", [0.5], [[0.1, 0.9]], "whole numbers"),
        ("sparse_categorical_accuracy", [[0, 1]], [[0.1, 0.9]], "categorical_accuracy"),
        ("sparse_categorical_accuracy", [0, 1], [[0.1, 0.9]], "labels of shape"),
        ("sparse_categorical_accuracy", [0], [[0.9]], "binary_accuracy"),
        ("categorical_accuracy", [1], [[0.1, 0.9]], "one-hot"),
        ("binary_accuracy", [-1.0], [0.9], r"\[0, 1\]"),
        ("binary_accuracy", [1, 0], [0.9], "shape of y_pred"),
        ("sign_accuracy", [2.0], [0.9], "-1 or 1"),
        ("mse", [[1.0, 2.0]], [[1.0]], "shape of y_pred"),
        ("mae", [np.nan], [1.0], "finite"),
        ("sparse_top_k_categorical_accuracy", [3], [[0.1, 0.9]], r"\[0, 2\)"),
    ],
)
def test_bad_targets_are_errors(name, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metrics.get(name).update_state(y_true, y_pred)


def test_bad_weights_and_arguments_are_errors():
    for weight, message in ((WEIGHT[:-1], "shape"), (np.full(M, np.nan), "finite")):
        with pytest.raises(ValueError, match=f"sample_weight.*{message}"):
            metrics.MeanSquaredError().update_state(REAL, PRED, weight)
    with pytest.raises(ValueError, match="k must be"):
        metrics.TopKCategoricalAccuracy(k=0)
    with pytest.raises(ValueError, match="'accuracy'.*got 'accurate'"):
        metrics.get("accurate")
    for thing in (3, None, metrics.Mean):
        with pytest.raises(TypeError, match="metric must be"):
            metrics.get(thing)
    with pytest.raises(ValueError, match="must return 60 values or one"):
        metrics.get(lambda y_true, y_pred: np.ones(3)).update_state(REAL, PRED)
