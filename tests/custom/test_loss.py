"""Losses of one's own: against NumPy, and the same function as a built-in loss."""

import copy
import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers


@fastnn.loss
def log_cosh(y_true, y_pred):
    """log(cosh(d)) without overflow."""
    d = abs(y_pred - y_true)
    return d + math.log1p(math.exp(-2 * d)) - math.log(2)


@fastnn.loss
def bent(y_true, y_pred, delta=1.0):
    """Huber's loss."""
    d = abs(y_pred - y_true)
    return 0.5 * d**2 if d <= delta else delta * (d - 0.5 * delta)


def test_values_and_gradients():
    rng = np.random.default_rng(0)
    pred, target, weight = rng.normal(size=(40, 3)) * 3, rng.normal(size=(40, 3)), rng.uniform(size=40)
    expected = np.log(np.cosh(pred - target)).mean(axis=1)
    v = fastnn.Variable(pred)
    with fastnn.GradientTape() as tape:
        loss = log_cosh(target, v, weight)
    assert float(loss) == pytest.approx((expected * weight).mean(), rel=1e-13)
    np.testing.assert_allclose(tape.gradient(loss, v).numpy(), np.tanh(pred - target) * weight[:, None] / 120, rtol=1e-12)
    each = type(log_cosh)(reduction="none")(target, pred.astype(np.float32))
    assert each.dtype == np.float32
    np.testing.assert_allclose(each.numpy(), expected, rtol=1e-5)
    assert log_cosh.name == "log_cosh" and log_cosh.__doc__.startswith("log(cosh")


def model():
    fastnn.set_seed(1)
    return fastnn.Sequential([layers.Input((5,)), layers.Dense(7, activation="tanh"), layers.Dense(2)])


@pytest.mark.parametrize("backend", ["cython", "numpy"])
def test_training_is_that_of_the_built_in_loss(backend):
    """Also that it is replayed: a step that is not warns, and warnings are errors."""
    rng = np.random.default_rng(2)
    x, y, weight = rng.normal(size=(30, 5)), 3 * rng.normal(size=(30, 2)), rng.uniform(size=30)
    losses = []
    with fastnn.use_backend(backend):
        for loss in ("bent", bent, "huber"):
            trained = model()
            trained.compile("adam", loss)
            losses.append(trained.fit(x, y, sample_weight=weight, batch_size=8, epochs=3, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-5)
    assert losses[0] == losses[1]


def test_derivative_of_the_users():
    def square(y_true, y_pred):
        return (y_pred - y_true) ** 2

    given = fastnn.loss(derivative=lambda t, p: 2 * (p - t))(square)
    with pytest.raises(ValueError, match=r"for loss 'square' is wrong at y_true = 2, y_pred = -3.93: it is 11.86, .* -11.86"):
        fastnn.loss(derivative=lambda t, p: 2 * (t - p))(square)
    with pytest.raises(ValueError, match="wrong at"):
        given.derivative(lambda t, p: p - t)
    with pytest.raises(ValueError, match=r"wrong at y_true = 2, y_pred = -100: it is 0, .* -204"):  # only far out
        given.derivative(lambda t, p: 2 * (p - t) if abs(p - t) < 20 else 0.0)
    v = fastnn.Variable([[3.0]])
    with fastnn.GradientTape() as tape:
        loss = given([[1.0]], v)
    assert tape.gradient(loss, v).numpy() == 4


def test_a_loss_of_probabilities_need_not_be_defined_elsewhere():
    def divergence(y_true, y_pred):
        return 0.0 if y_true == 0 else y_true * math.log(y_true / y_pred)

    assert float(fastnn.loss(divergence)([[1.0, 0.0]], [[0.5, 0.5]])) == pytest.approx(math.log(2) / 2, rel=1e-6)
    with pytest.raises(ValueError, match=r"'careless' must be finite for targets 0 and 1 .* it is nan at y_true = 0.0"):
        fastnn.loss(name="careless")(lambda t, p: t * math.log(t / p))
    with pytest.raises(ValueError, match=r"the derivative of loss 'cusp' must be finite"):
        fastnn.loss(name="cusp")(lambda t, p: math.sqrt(abs(p - 0.5)))


def test_bad_functions():
    with pytest.raises(TypeError, match=r"must take 2 numbers, y_true and y_pred; it takes \(y\)"):
        fastnn.loss(name="one")(lambda y: y)
    with pytest.raises(TypeError, match="loss 'turned' must take y_true before y_pred"):
        fastnn.loss(name="turned")(lambda y_pred, y_true: y_pred)
    with pytest.raises(ValueError, match="'mse' is built in"):
        fastnn.loss(name="mse")(lambda t, p: p - t)
    with pytest.raises(TypeError, match="loss 'pair' must return a number; it returns a tuple of 2"):
        fastnn.loss(name="pair")(lambda t, p: (p, t))
    with pytest.raises(ValueError, match=r"y_true must have the shape of y_pred, \(2, 1\)"):
        log_cosh([[1.0]], np.ones((2, 1)))


def test_no_second_derivative_and_none_by_the_target():
    p, t = fastnn.Variable([[1.0]]), fastnn.Variable([[2.0]])
    with fastnn.GradientTape() as outer:
        with fastnn.GradientTape() as inner:
            loss = log_cosh([[0.0]], p)
        slope = inner.gradient(loss, p)
    with pytest.raises(NotImplementedError, match="fastnn.loss has only a first derivative"):
        outer.gradient(slope, p)
    with fastnn.GradientTape() as tape:
        loss = log_cosh(t, p)
    with pytest.raises(NotImplementedError, match="no derivative by its target"):
        tape.gradient(loss, t)


def test_files_copies_and_pickles(tmp_path, error_elsewhere):
    saved = model()
    saved.compile("sgd", log_cosh)
    saved.fit(np.ones((2, 5)), np.ones((2, 2)), verbose=0)
    saved.save(tmp_path / "model.safetensors")
    loaded = fastnn.load_model(tmp_path / "model.safetensors")
    assert type(loaded.loss) is type(log_cosh)
    for copied in (copy.deepcopy(log_cosh), pickle.loads(pickle.dumps(log_cosh))):
        assert type(copied) is type(log_cosh) and copied.get_config() == log_cosh.get_config()
    shown = error_elsewhere(tmp_path / "model.safetensors")
    assert "'log_cosh'" in shown and "@fastnn.loss" in shown
