"""Optimizers of one's own: against NumPy, and rules of built-in optimizers."""

import copy
import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers


@fastnn.optimizer_step
def lion(w, g, m, lr=1e-4, beta=0.9, beta_2=0.99):
    """Chen et al. 2023."""
    update = beta * m + (1 - beta) * g
    sign = 1.0 if update > 0 else -1.0 if update < 0 else 0.0
    return w - lr * sign, beta_2 * m + (1 - beta_2) * g


@fastnn.optimizer_step
def descent(w, g, lr):
    return w - lr * g


@fastnn.optimizer_step
def own_adam(w, g, m, v, lr, step, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    return w - lr * math.sqrt(1 - beta_2**step) / (1 - beta_1**step) * m / (math.sqrt(v) + epsilon), m, v


def model():
    fastnn.set_seed(1)
    return fastnn.Sequential([layers.Input((5,)), layers.Dense(7, activation="tanh"), layers.Dense(2)])


def history(optimizer, **kwargs):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 5)), rng.normal(size=(30, 2))
    trained = model()
    trained.compile(optimizer, "mse")
    return trained.fit(x, y, batch_size=8, epochs=3, verbose=0, **kwargs).history["loss"], trained


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lion_by_hand(dtype):
    rng = np.random.default_rng(0)
    w, m = rng.normal(size=(9, 5)), np.zeros((9, 5))
    v, optimizer = fastnn.Variable(w.astype(dtype)), lion(0.01, beta=0.8)
    for _ in range(5):
        g = rng.normal(size=(9, 5)).astype(dtype)
        optimizer.apply_gradients([(g, v)])
        w -= 0.01 * np.sign(0.8 * m + 0.2 * g)
        m = 0.99 * m + 0.01 * g
    np.testing.assert_allclose(v.numpy(), w, rtol=1e-5 if dtype == "float32" else 1e-13)
    np.testing.assert_allclose(optimizer.get_state()["0/m"], m, rtol=1e-4 if dtype == "float32" else 1e-13, atol=1e-8)


@pytest.mark.parametrize("backend", ["cython", "numpy"])
def test_training_is_that_of_the_built_in_optimizers(backend):
    """Also that it is replayed: a step that is not warns, and warnings are errors."""
    with fastnn.use_backend(backend):
        np.testing.assert_allclose(history("own_adam")[0], history("adam")[0], rtol=1e-5)
        np.testing.assert_allclose(history(descent(0.1))[0], history(fastnn.optimizers.SGD(0.1))[0], rtol=1e-6)


def test_configuration():
    made = lion(beta=0.5, clipnorm=1.0)
    assert made.learning_rate == 1e-4 and descent().learning_rate == 0.001
    assert made.get_config() | {"learning_rate": 0} == {
        **{"name": "lion", "learning_rate": 0, "beta": 0.5, "beta_2": 0.99},
        **{"clipnorm": 1.0, "clipvalue": None, "global_clipnorm": None},
    }
    assert isinstance(fastnn.optimizers.get("lion"), lion) and lion.__name__ == "lion"
    schedule = fastnn.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    assert lion(schedule).learning_rate == 0.1
    with pytest.raises(TypeError, match="^lion has no argument 'gamma'; its arguments are beta, beta_2, learning_rate, clipnorm"):
        lion(gamma=1.0)
    with pytest.raises(TypeError, match="beta must be a number"):
        lion(beta="high")


def test_bad_functions():
    def refused(function, text, error=TypeError):
        with pytest.raises(error, match=text):
            fastnn.optimizer_step(name="refused")(function)

    refused(lambda w, g, m: (w, m), r"'refused' must take \(w, g, then its slots, lr .*; it takes \(w, g, m\)")
    refused(lambda w: w, "must take")
    refused(lambda g, w, lr: w - lr * g, r"must take \(w, g, .*; it takes \(g, w, lr\)")
    refused(lambda w, g, a, b, c, d, lr: w, "at most 3 slots; it has 4")
    refused(lambda w, g, m, lr: w, "must return the updated parameter and its slot; it returns a number")
    refused(lambda w, g, lr: (w, g), "must return the updated parameter, and has no slots; it returns a tuple of 2")
    refused(lambda w, g, m, lr: (w, g > 0), "its slot; it returns a tuple of 2: a number, True or False")
    refused(lambda w, g, v, lr: (w - g / math.sqrt(v + g * g), v + g * g), "update 1, gradient 0.0 result 1 is nan", ValueError)
    refused(lambda w, g, lr, name=1.0: w, "must not call a hyper-parameter 'name'")
    refused(lambda w, g, lr, nesterov="yes": w, "nesterov must be a number")
    refused(lambda w, g, lr: print(w), "calls print", ValueError)
    refused(lambda w, g, a, lr: (w - lr * g / math.sqrt(a - 1), a), "finite numbers; in update 1, gradient 0.3", ValueError)
    with pytest.raises(ValueError, match="'adam' is built in"):
        fastnn.optimizer_step(name="adam")(lambda w, g, lr: w)


def test_files_copies_and_pickles(tmp_path, error_elsewhere):
    """Training goes on where it stopped."""
    losses, trained = history(lion(0.01))
    trained.save(tmp_path / "model.safetensors")
    x, y = np.ones((4, 5)), np.ones((4, 2))
    copies = [fastnn.load_model(tmp_path / "model.safetensors"), copy.deepcopy(trained), pickle.loads(pickle.dumps(trained))]
    wanted = trained.fit(x, y, epochs=3, verbose=0).history["loss"]
    for copied in copies:
        assert copied.fit(x, y, epochs=3, verbose=0).history["loss"] == wanted
    shown = error_elsewhere(tmp_path / "model.safetensors")
    assert "'lion'" in shown and "@fastnn.optimizer_step" in shown
