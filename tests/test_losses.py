"""Losses against their formulas in float64 NumPy and against scikit-learn; gradients against central differences; bad targets."""

import numpy as np
import pytest
from sklearn.metrics import hinge_loss, log_loss

from fastnn import losses, ops
from fastnn.autodiff import GradientTape, Tensor, Variable
from fastnn.kernels import table

RNG = np.random.default_rng(7)
M, C = 6, 4


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def onehot(labels, classes):
    return (np.asarray(labels)[..., None] == np.arange(classes)).astype(np.float64)


def huber_formula(t, p, delta):
    d = np.abs(p - t)
    return np.where(d <= delta, 0.5 * d**2, delta * (d - 0.5 * delta)).mean(axis=-1)


PRED = RNG.normal(size=(M, C))
REAL = RNG.normal(size=(M, C))
LABELS = np.array([0, 3, 1, 1, 2, 0])
SIGNS = RNG.choice([-1.0, 1.0], size=(M, C))
UNIT = RNG.uniform(size=(M, C))
PROBS = softmax(PRED)
DISTRIBUTION = softmax(REAL)
OF_LABELS = -np.log(PROBS[np.arange(M), LABELS])
OF_DISTRIBUTION = -(DISTRIBUTION * np.log(PROBS)).sum(axis=1)

#: loss, targets, predictions, the loss of each sample by its formula
CASES = {
    "mse": (losses.MeanSquaredError(), REAL, PRED, ((PRED - REAL) ** 2).mean(axis=1)),
    "mae": (losses.MeanAbsoluteError(), REAL, PRED, np.abs(PRED - REAL).mean(axis=1)),
    "huber": (losses.Huber(), REAL, PRED, huber_formula(REAL, PRED, 1.0)),
    "huber 0.3": (losses.Huber(delta=0.3), REAL, PRED, huber_formula(REAL, PRED, 0.3)),
    "hinge": (losses.Hinge(), SIGNS, PRED, np.maximum(0, 1 - SIGNS * PRED).mean(axis=1)),
    "perceptron": (losses.Perceptron(), SIGNS, PRED, np.maximum(0, -SIGNS * PRED).mean(axis=1)),
    "sparse logits": (losses.SparseCategoricalCrossentropy(from_logits=True), LABELS, PRED, OF_LABELS),
    "sparse": (losses.SparseCategoricalCrossentropy(), LABELS, PROBS, OF_LABELS),
    "categorical logits": (losses.CategoricalCrossentropy(from_logits=True), DISTRIBUTION, PRED, OF_DISTRIBUTION),
    "categorical": (losses.CategoricalCrossentropy(), DISTRIBUTION, PROBS, OF_DISTRIBUTION),
    "smoothed": (
        losses.CategoricalCrossentropy(label_smoothing=0.2),
        onehot(LABELS, C),
        PROBS,
        -((0.8 * onehot(LABELS, C) + 0.05) * np.log(PROBS)).sum(axis=1),
    ),
    "binary logits": (
        losses.BinaryCrossentropy(from_logits=True),
        UNIT,
        PRED,
        (-UNIT * np.log(sigmoid(PRED)) - (1 - UNIT) * np.log(1 - sigmoid(PRED))).mean(axis=1),
    ),
    "binary": (losses.BinaryCrossentropy(), UNIT, PROBS, (-UNIT * np.log(PROBS) - (1 - UNIT) * np.log(1 - PROBS)).mean(axis=1)),
    "binary smoothed": (
        losses.BinaryCrossentropy(label_smoothing=0.1),
        (SIGNS + 1) / 2,
        PROBS,
        -((0.45 * SIGNS + 0.5) * np.log(PROBS) + (0.5 - 0.45 * SIGNS) * np.log(1 - PROBS)).mean(axis=1),
    ),
}


def with_reduction(loss, reduction):
    return type(loss).from_config({**loss.get_config(), "reduction": reduction})


@pytest.mark.parametrize("case", CASES)
def test_formula(case):
    loss, y_true, y_pred, expected = CASES[case]
    weight = np.linspace(0.5, 2, M)
    np.testing.assert_allclose(with_reduction(loss, "none")(y_true, y_pred).numpy(), expected, rtol=1e-12)
    (function,) = (function for cls, function in losses.LOSSES.values() if cls is type(loss))
    arguments = {name: value for name, value in loss.get_config().items() if name not in ("name", "reduction")}
    np.testing.assert_allclose(function(y_true, y_pred, **arguments).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(float(loss(y_true, y_pred)), expected.mean(), rtol=1e-12)
    np.testing.assert_allclose(float(with_reduction(loss, "sum")(y_true, y_pred)), expected.sum(), rtol=1e-12)
    np.testing.assert_allclose(float(loss(y_true, y_pred, weight)), (expected * weight).sum() / M, rtol=1e-12)
    np.testing.assert_allclose(with_reduction(loss, "none")(y_true, y_pred, weight).numpy(), expected * weight, rtol=1e-12)
    single = loss(y_true, y_pred.astype(np.float32))
    assert single.dtype == np.float32 and single.shape == ()
    np.testing.assert_allclose(float(single), expected.mean(), rtol=2e-6)


@pytest.mark.parametrize("case", CASES)
def test_gradient_by_central_differences(case):
    loss, y_true, y_pred, _ = CASES[case]
    weight = np.linspace(0.5, 2, M)
    x = Variable(y_pred)
    with GradientTape() as tape:
        value = loss(y_true, x, weight)
    gradient = tape.gradient(value, x).numpy()
    h = 1e-6
    numeric = np.empty_like(y_pred)
    for i in np.ndindex(*y_pred.shape):
        moved = [y_pred.copy(), y_pred.copy()]
        moved[0][i] += h
        moved[1][i] -= h
        numeric[i] = (float(loss(y_true, moved[0], weight)) - float(loss(y_true, moved[1], weight))) / (2 * h)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-9)


def test_cross_entropies_equal_scikit_learns():
    expected = log_loss(LABELS, PROBS)
    for loss, y in ((losses.SparseCategoricalCrossentropy(), LABELS), (losses.CategoricalCrossentropy(), onehot(LABELS, C))):
        np.testing.assert_allclose(float(loss(y, PROBS)), expected, rtol=1e-12)
    y = np.array([0, 1, 1, 0, 1, 0])
    p = UNIT[:, 0]
    np.testing.assert_allclose(float(losses.BinaryCrossentropy()(y, p)), log_loss(y, p), rtol=1e-12)
    np.testing.assert_allclose(float(losses.Hinge()(y, PRED[:, 0])), hinge_loss(y, PRED[:, 0]), rtol=1e-12)


def test_worked_numbers():
    # -log 0.5 and -log 0.25: the mean of ln 2 and 2 ln 2
    probs = [[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]
    np.testing.assert_allclose(float(losses.SparseCategoricalCrossentropy()([0, 2], probs)), 1.5 * np.log(2), rtol=1e-6)
    # 1 - 0.5 and max(0, 1 - 2): (0.5 + 0) / 2
    assert float(losses.Hinge()([1, -1], [0.5, -2.0])) == 0.25
    # wrong by 0.5, right
    assert float(losses.Perceptron()([1, -1], [-0.5, -2.0])) == 0.25


@pytest.mark.parametrize("name", ["sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"])
def test_logits_of_a_link_are_used_so_that_nothing_overflows(name):
    """The probability of the label is 0 in float32: from it, the loss would be clipped at 16 and its gradient 0."""
    z = Variable(np.array([[-500.0, 500.0]], np.float32))
    link = ops.sigmoid if name == "binary_crossentropy" else ops.softmax
    y = {"sparse_categorical_crossentropy": [0]}.get(name, [[1, 0]])
    with GradientTape() as tape:
        loss = losses.get(name)(y, link(z))
    # of softmax 500 - -500; of two sigmoids the mean of 500 and 500
    assert float(loss) == (500 if name == "binary_crossentropy" else 1000)
    slope = 0.5 if name == "binary_crossentropy" else 1.0
    np.testing.assert_allclose(tape.gradient(loss, z).numpy(), [[-slope, slope]], rtol=1e-6)


def test_logits_of_the_other_link_are_not_used():
    p = ops.softmax(Tensor(PRED))
    expected = (-UNIT * np.log(PROBS) - (1 - UNIT) * np.log(1 - PROBS)).mean()
    np.testing.assert_allclose(float(losses.BinaryCrossentropy()(UNIT, p)), expected, rtol=1e-12)
    p = sigmoid(PRED) / sigmoid(PRED).sum(axis=1, keepdims=True)
    expected = -np.log(p[np.arange(M), LABELS]).mean()
    for loss, y in ((losses.SparseCategoricalCrossentropy(), LABELS), (losses.CategoricalCrossentropy(), onehot(LABELS, C))):
        np.testing.assert_allclose(float(loss(y, ops.sigmoid(Tensor(PRED)))), expected, rtol=1e-12)


def test_probabilities_of_classes_are_brought_to_the_sum_1_as_in_keras():
    y, p = [0, 1], [[0.9, 0.8, 0.7], [0.2, 0.3, 0.1]]
    for loss, targets in ((losses.SparseCategoricalCrossentropy(), y), (losses.CategoricalCrossentropy(), onehot(y, 3))):
        assert float(loss(targets, p)) == pytest.approx(0.8369883, rel=1e-6)  # Keras 3.15
        x = Variable(p)
        with GradientTape() as tape:
            value = loss(targets, x)
        # of -log(p[y] / sum(p)): more of everything changes nothing
        np.testing.assert_allclose((tape.gradient(value, x) * x).numpy().sum(axis=1), 0, atol=1e-6)


def test_from_logits_of_a_softmax_warns_and_uses_its_logits():
    with pytest.warns(UserWarning, match="from_logits=True"):
        value = losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, ops.softmax(Tensor(PRED)))
    np.testing.assert_allclose(float(value), OF_LABELS.mean(), rtol=1e-12)


def test_logits_where_probabilities_are_expected_are_an_error():
    for name in ("sparse_categorical_crossentropy", "categorical_crossentropy", "binary_crossentropy"):
        y = LABELS if name.startswith("sparse") else onehot(LABELS, C)
        with pytest.raises(ValueError, match="y_pred must be probabilities.*from_logits=True"):
            losses.get(name)(y, PRED)


@pytest.mark.parametrize("name", ["mse", "binary_crossentropy", "hinge"])
@pytest.mark.parametrize("true_shape", [(M,), (M, 1)])
@pytest.mark.parametrize("pred_shape", [(M,), (M, 1)])
def test_an_axis_of_extent_1_may_be_missing_on_either_side(name, true_shape, pred_shape):
    y, p = (SIGNS[:, 0] + 1) / 2, UNIT[:, 0]
    loss = with_reduction(losses.get(name), "none")
    expected = loss(y.reshape(M, 1), p.reshape(M, 1)).numpy()
    assert expected.shape == (M,)
    np.testing.assert_array_equal(loss(y.reshape(true_shape), p.reshape(pred_shape)).numpy(), expected)


def test_predictions_with_positions():
    """Samples times positions: losses have the shape of the predictions without the last axis, and samples can be weighted."""
    z = RNG.normal(size=(2, 3, C))
    y = np.array([[0, 1, 2], [3, 3, 0]])
    each = -np.log(np.take_along_axis(softmax(z), y[..., None], axis=-1)[..., 0])
    for y_true, loss in ((y, losses.SparseCategoricalCrossentropy), (onehot(y, C), losses.CategoricalCrossentropy)):
        np.testing.assert_allclose(loss(True, reduction="none")(y_true, z).numpy(), each, rtol=1e-12)
        np.testing.assert_allclose(loss()(y_true, softmax(z)).numpy(), each.mean(), rtol=1e-12)
        np.testing.assert_allclose(float(loss(True, reduction="sum")(y_true, z)), each.sum(), rtol=1e-12)
        weighted = (each * np.array([[1.0], [3.0]])).sum() / 6
        np.testing.assert_allclose(float(loss(True)(y_true, z, [1.0, 3.0])), weighted, rtol=1e-12)


@pytest.mark.parametrize("name", ["hinge", "perceptron"])
def test_margin_losses_take_0_and_1_as_signs(name):
    loss = losses.get(name)
    assert float(loss((SIGNS + 1) / 2, PRED)) == float(loss(SIGNS, PRED))
    assert float(loss(np.ones((M, C)), PRED)) == float(loss(np.ones((M, C), bool), PRED))


BAD_TARGETS = [
    ("mse", np.zeros((M, C + 1)), r"shape of y_pred, \(6, 4\); got \(6, 5\)"),
    ("mse", np.zeros(M), "one-hot"),
    ("mse", np.zeros((M - 1, C)), "shape of y_pred"),
    ("mae", np.where(REAL > 0, np.nan, REAL), "finite"),
    ("huber", np.where(REAL > 0, np.inf, REAL), "finite"),
    ("hinge", 2 * SIGNS, "-1 or 1"),
    ("hinge", np.where(SIGNS > 0, 0, SIGNS), "-1 and 0 together"),
    ("perceptron", np.full((M, C), np.nan), "finite"),
    ("sparse_categorical_crossentropy", LABELS + 1, r"\[0, 4\)"),
    ("sparse_categorical_crossentropy", LABELS - 1, r"\[0, 4\)"),
    ("sparse_categorical_crossentropy", LABELS + 0.5, "whole numbers; got 0.5"),
    ("sparse_categorical_crossentropy", np.where(LABELS > 2, np.nan, LABELS), "whole numbers; got nan"),
    ("sparse_categorical_crossentropy", onehot(LABELS, C), "categorical_crossentropy"),
    ("sparse_categorical_crossentropy", LABELS[:-1], "labels of shape"),
    ("sparse_categorical_crossentropy", np.zeros((M, 2)), "labels of shape"),
    ("categorical_crossentropy", LABELS, "sparse_categorical_crossentropy"),
    ("categorical_crossentropy", np.full((M, C), np.nan), "finite"),
    ("binary_crossentropy", 2 * UNIT, r"\[0, 1\]"),
    ("binary_crossentropy", SIGNS, r"\[0, 1\].*got values from -1"),
    ("binary_crossentropy", LABELS, "shape of y_pred"),
]


@pytest.mark.parametrize(("name", "y_true", "message"), BAD_TARGETS)
def test_bad_targets_are_errors(name, y_true, message):
    with pytest.raises(ValueError, match=message):
        losses.get(name)(y_true, PROBS)


def test_targets_that_are_no_numbers_are_errors():
    for name in losses.LOSSES:
        for y_true in (np.array(["a"] * M), np.full(M, None), np.full(M, 1j)):
            with pytest.raises(TypeError, match="y_true"):
                losses.get(name)(y_true, PROBS)


def test_one_output_for_classes_is_an_error():
    for name in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
        with pytest.raises(ValueError, match="binary_crossentropy"):
            losses.get(name)(np.zeros((M, 1)), np.full((M, 1), 0.5))


def test_sample_weights_that_do_not_fit_are_errors():
    loss = losses.MeanSquaredError()
    for weight, message in ((np.ones(M - 1), "shape"), (np.ones((M, C)), "shape"), (np.full(M, np.nan), "finite")):
        with pytest.raises(ValueError, match=f"sample_weight.*{message}"):
            loss(REAL, PRED, weight)
    with pytest.raises(TypeError, match="sample_weight"):
        loss(REAL, PRED, ["a"] * M)
    assert float(loss(REAL, PRED, np.ones((M, 1)))) == float(loss(REAL, PRED))


def test_what_is_right_passes_through_without_a_copy():
    """Recorded steps are replayed on the same buffers: a copy made by Python would go stale, and so is announced."""
    pred = PROBS.astype(np.float32)
    right = {
        "mse": REAL.astype(np.float32),
        "hinge": SIGNS.astype(np.float32),
        "binary_crossentropy": UNIT.astype(np.float32),
        "categorical_crossentropy": onehot(LABELS, C).astype(np.float32),
        "sparse_categorical_crossentropy": LABELS.astype(np.int32),
    }
    for name, y_true in right.items():
        with table.record() as recording:
            prepared = losses.get(name).prepare_targets(y_true, (None, C), np.float32)
        assert np.shares_memory(prepared, y_true), name
        assert not recording.python_steps, name
        with table.record() as recording:
            prepared = losses.get(name).prepare_targets(y_true.astype(np.float64), pred.shape, np.float32)
        assert prepared.dtype == y_true.dtype and np.array_equal(prepared, y_true), name
        assert recording.python_steps, name
    column = LABELS.astype(np.int32)[:, None]
    prepared = losses.get("sparse_categorical_crossentropy").prepare_targets(column, pred.shape, np.float32)
    assert prepared.shape == (M,) and np.shares_memory(prepared, column)


@pytest.mark.parametrize(
    ("loss", "y_true", "link"),
    [
        (losses.SparseCategoricalCrossentropy(), LABELS.astype(np.int32), ops.softmax),
        (losses.CategoricalCrossentropy(label_smoothing=0.1), onehot(LABELS, C).astype(np.float32), ops.softmax),
        (losses.BinaryCrossentropy(label_smoothing=0.1), UNIT.astype(np.float32), ops.sigmoid),
        (losses.Huber(), REAL.astype(np.float32), ops.tanh),
        (losses.Hinge(), SIGNS.astype(np.float32), ops.relu),
    ],
)
def test_a_loss_and_its_gradient_are_kernel_calls_alone(loss, y_true, link):
    x = Variable(PRED.astype(np.float32))
    with table.record() as recording:
        with GradientTape() as tape:
            value = loss(y_true, link(x), np.ones(M, np.float32))
        tape.gradient(value, x)
    assert recording.calls and not recording.python_steps


def test_functions_of_ones_own():
    def cube(y_true, y_pred):
        assert y_true.dtype == y_pred.dtype and y_true.shape == y_pred.shape == (M, 1)
        return ops.power(ops.abs(y_true - y_pred), 3.0)

    y, p = REAL[:, 0], Variable(PRED[:, :1])
    loss = losses.get(cube)
    assert loss.name == "cube" and losses.get(loss) is loss
    with GradientTape() as tape:
        value = loss(y, p)
    each = np.abs(p.numpy()[:, 0] - y)
    np.testing.assert_allclose(float(value), (each**3).mean(), rtol=1e-12)
    np.testing.assert_allclose(tape.gradient(value, p).numpy()[:, 0], 3 * each**2 * np.sign(p.numpy()[:, 0] - y) / M, rtol=1e-12)
    weight = np.linspace(0, 1, M)
    np.testing.assert_allclose(float(loss(y, p, weight)), (each**3 * weight).mean(), rtol=1e-12)


def test_a_function_that_returns_one_number():
    loss = losses.get(lambda y_true, y_pred: ops.mean(ops.square(y_true - y_pred)))
    np.testing.assert_allclose(float(loss(REAL, PRED)), ((REAL - PRED) ** 2).mean(), rtol=1e-12)
    with pytest.raises(ValueError, match="sample_weight"):
        loss(REAL, PRED, np.ones(M))


def test_a_function_in_numpy_is_an_error():
    with pytest.raises(TypeError, match="fastnn.ops"):
        losses.get(lambda y_true, y_pred: np.square(np.asarray(y_true) - np.asarray(y_pred)))(REAL, PRED)


def test_a_class_of_ones_own():
    class Asymmetric(losses.Loss):
        def call(self, y_true, y_pred):
            d = y_pred - y_true
            return ops.mean(ops.maximum(d, -3 * d), axis=-1)

    d = PRED - REAL
    np.testing.assert_allclose(float(Asymmetric()(REAL, PRED)), np.maximum(d, -3 * d).mean(), rtol=1e-12)


def test_a_derivative_by_the_targets_is_refused_not_forgotten():
    t = Variable(REAL)
    with GradientTape() as tape:
        value = losses.MeanSquaredError()(t, PRED)
    with pytest.raises(NotImplementedError, match="target"):
        tape.gradient(value, t)


@pytest.mark.parametrize("name", [*losses.LOSSES, *losses.ALIASES])
def test_get_by_name_and_by_function(name):
    cls, function = losses.LOSSES[losses.ALIASES.get(name, name)]
    for identifier in (name, name.upper(), cls.__name__, function, {"class_name": cls.__name__}):
        assert type(losses.get(identifier)) is cls


@pytest.mark.parametrize("case", CASES)
def test_configurations_make_the_same_loss_again(case):
    loss, y_true, y_pred, _ = CASES[case]
    again = losses.get(losses.serialize(loss))
    assert type(again) is type(loss) and repr(again) == repr(loss)
    assert float(again(y_true, y_pred)) == float(loss(y_true, y_pred))


def test_get_refuses_what_is_no_loss():
    with pytest.raises(ValueError, match="'mean_squared_error'.*got 'squared'"):
        losses.get("squared")
    for thing in (3, None, losses.Hinge):
        with pytest.raises(TypeError, match="loss must be"):
            losses.get(thing)
    with pytest.raises(ValueError, match="reduction"):
        losses.Hinge(reduction="average")
    with pytest.raises(ValueError, match="delta"):
        losses.Huber(delta=0)
    with pytest.raises(ValueError, match="label_smoothing"):
        losses.BinaryCrossentropy(label_smoothing=2)
