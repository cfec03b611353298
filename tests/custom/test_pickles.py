"""Pickles take functions of one's own along, to processes that have not defined them."""

import math
import pickle
import subprocess
import sys

import numpy as np

import fastnn
from fastnn import layers

steepness = 2.0


def bent(x):
    return math.tanh(steepness * x)


@fastnn.activation
def wave(x):
    return bent(x) + np.maximum(x, 0.0)


@wave.derivative
def wave_slope(x):
    return steepness * (1 - bent(x) ** 2) + (1.0 if x > 0 else 0.0)


@fastnn.loss
def quartic(y_true, y_pred, scale=0.5):
    return scale * (y_pred - y_true) ** 4


@fastnn.optimizer_step
def heavy(w, g, velocity, lr=0.01, momentum=0.5):
    velocity = momentum * velocity - lr * g
    return w + velocity, velocity


rise = 0.25


def rising(x):
    return rise * x


@fastnn.activation
def bowed(x):
    return x if x > 0 else rising(x)


LOAD = """
import pickle, sys
import numpy as np
model = pickle.load(open(sys.argv[1], "rb"))
print(repr(model.fit(np.ones((4, 3)), np.ones((4, 1)), epochs=3, verbose=0).history["loss"]))
again = pickle.loads(pickle.dumps(model))
assert again.layers[0].activation is model.layers[0].activation and type(again.loss) is type(model.loss)
assert type(again.optimizer) is type(model.optimizer)
model.save(sys.argv[2])
import fastnn
fastnn.load_model(sys.argv[2])  # by their names
"""


def test_another_process_trains_on(tmp_path):
    fastnn.set_seed(0)
    model = fastnn.Sequential([layers.Input((3,)), layers.Dense(4, activation="wave"), layers.Dense(1)])
    model.compile(heavy(momentum=0.8), quartic)
    model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(model))
    command = [sys.executable, "-W", "error", "-c", LOAD, path, tmp_path / "model.safetensors"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    expected = model.fit(np.ones((4, 3)), np.ones((4, 1)), epochs=3, verbose=0).history["loss"]
    assert shown.stdout == f"{expected!r}\n", shown.stderr


def test_a_name_that_was_given_anew_changes_no_pickle():
    first = fastnn.activation(name="given_anew")(lambda x: x + 1)
    pickled = pickle.dumps(first)
    fastnn.activation(name="given_anew")(lambda x: x + 2)
    assert pickle.loads(pickled) is first


def test_globals_are_constants_from_the_decoration_on(monkeypatch):
    """Also of functions that it calls: in another process, and where it is compiled again."""
    monkeypatch.setitem(globals(), "rise", 0.5)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(-1.0))"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(bowed), capture_output=True, check=True)
    assert float(done.stdout) == bowed(-1.0) == -0.25
    again = bowed.derivative(lambda x: 1.0 if x > 0 else 0.25)
    assert again(-1.0) == -0.25 and bowed.record.source.function(-1.0) == -0.25


def test_variables_around_a_function_are_constants_too():
    def make(factor):
        made = fastnn.activation(name="scaled")(lambda x: factor * x)
        factor = 5.0
        return made

    assert make(2.0).record.source.function(1.0) == 2


def test_without_numba_it_says_what_to_install():
    """The pickle itself is made of Numba's copy of cloudpickle."""
    code = "import pickle, sys; sys.modules['numba'] = None; pickle.load(sys.stdin.buffer)"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(wave), capture_output=True)
    assert done.stderr.decode().splitlines()[-1].endswith("are compiled by Numba: pip install 'fastnn-kernels[numba]'")
