"""Activations of one's own: against Python's arithmetic, central differences, and the same function made of ops."""

import copy
import math
import pickle
import re
import sys
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

offset = 0.25


def squared(x, factor=0.5):
    return factor * x**2


@fastnn.activation
def mish(x):
    """The self-regularized activation of Misra 2019."""
    return x * math.tanh(math.log1p(math.exp(x)))


@fastnn.activation
def patchwork(x, slope=0.1):
    """Branches, loops, local variables, constants, a function that it calls, and what ints become."""
    if x < -1:
        return 0
    total = x
    for i in range(1, 3):
        total += squared(x) / i
    return max(slope * x, min(total, 2.0)) + abs(x - 0.3) * offset


@fastnn.activation
def as_in_numpy(x):
    """NumPy's names for what Python and math call otherwise, and functions that are constant in pieces."""
    whole = int(4 * x) + round(0.3 * x) * float(x > 1)
    bent = np.where(x >= 0.5, np.square(x), np.clip(x, -2, 0.25)) + np.maximum(x, np.minimum(0.1 * x, 3.0)) * np.sign(x)
    return whole + bent + np.power(x, 3) / 50 + np.abs(x) + np.arctan(x) + math.copysign(x * x, x) + np.float32(0.5)


def mish_of_ops(x):
    return x * ops.tanh(ops.softplus(x))


def slopes(function, x):
    """Return the derivative of an activation by the tape."""
    v = fastnn.Variable(x)
    with fastnn.GradientTape() as tape:
        y = function(v)
    return tape.gradient(y, v).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [mish, patchwork, as_in_numpy])
def test_values_are_pythons_and_slopes_those_of_differences(function, dtype):
    x = np.random.default_rng(0).normal(scale=3, size=1009).astype(dtype)
    python = np.vectorize(function.__wrapped__, otypes=[np.float64])
    wide = x.astype(np.float64)
    tolerance = 1e-6 if dtype == "float32" else 1e-14
    y = function(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y.numpy(), python(wide), rtol=tolerance, atol=tolerance)
    differences = (python(wide + 1e-6) - python(wide - 1e-6)) / 2e-6
    np.testing.assert_allclose(slopes(function, x), differences, rtol=1e-5, atol=1e-5)


#: every function of math there is -> numbers at which it has a derivative
ELEMENTARY = {
    **dict.fromkeys(
        ["exp", "exp2", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh", "asinh", "erf", "erfc", "cbrt"], 0.0
    ),
    **dict.fromkeys(["log", "log1p", "log2", "log10", "sqrt", "acosh"], 2.5),
    **{"asin": 0.0, "acos": 0.0, "atanh": 0.0, "floor": 0.25, "ceil": 0.25, "trunc": 0.25, "fabs": 0.5},
}


def test_every_function_of_math():
    from fastnn.kernels.custom import compile, elementary

    names = [name for name in ELEMENTARY if hasattr(math, name)]
    assert {*names, "pow", "copysign", "isnan", "isinf", "isfinite"} == set(elementary.FUNCTIONS)
    # one function that chooses, since each is compiled for itself
    lines = "".join(f"    if which == {i}: return math.{name}(x)\n" for i, name in enumerate(names))
    exec(f"def choose(x, which):\n{lines}    return x", {"math": math}, scope := {})
    chosen = compile._compiled(scope["choose"], "function")
    for dtype in (np.float32, np.float64):
        evaluate = evaluator(chosen, dtype)
        for i, name in enumerate(names):
            x = ELEMENTARY[name] + np.linspace(-0.45, 0.45, 20)
            if "asin acos atanh floor ceil trunc fabs".find(name) < 0:
                x = np.concatenate([x, ELEMENTARY[name] * np.array([1.0, 30, 80]) if ELEMENTARY[name] else [-80.0, -9, 3, 7, 80]])
            x = x.astype(dtype).astype(np.float64)
            python = np.vectorize(getattr(math, name), otypes=[np.float64])
            y, slope = evaluate(x, i)
            np.testing.assert_allclose(y, python(x), rtol=6 * np.finfo(dtype).eps, atol=2 * np.finfo(dtype).eps, err_msg=name)
            h = 1e-6 * np.maximum(1, abs(x))
            expected = (python(x + h) - python(x - h)) / (2 * h)
            np.testing.assert_allclose(slope, expected, rtol=2e-5, atol=1e-7, err_msg=name)


def evaluator(function, dtype):
    """Return a function that gives values and slopes of a compiled function of two numbers at an array and a number."""
    import numba

    from fastnn.kernels.custom.scalar import argument, slope, value

    @numba.njit
    def evaluate(x, which, y, dy):
        for i in range(len(x)):
            result = function(argument(x[i]), which)
            y[i], dy[i] = value(result, x[i]), slope(result, x[i])

    def call(x, which):
        x = x.astype(dtype)
        y, dy = np.empty_like(x), np.empty_like(x)
        evaluate(x, which, y, dy)
        return y, dy

    return call


def test_numbers_arrays_and_tensors():
    assert mish(1) == pytest.approx(0.8650983882673103, rel=1e-15) and isinstance(mish(1.0), float)
    assert mish([1.0, 2.0]).dtype == np.float32
    assert mish(np.ones((2, 3))).shape == (2, 3)
    assert mish.__doc__.startswith("The self") and mish.__name__ == mish.name == "mish" and repr(mish) == "<activation 'mish'>"


def test_float32_overflow_inside_the_formula_harms_nobody():
    """exp(x) is inf beyond 88.7 in float32 and beyond 709.8 in float64; mish is x there, with slope 1."""
    for dtype, edge in (("float32", 88.7), ("float64", 709.7)):
        x = np.array([edge, edge + 0.2, 1e4, 1e30, -edge, -1e4, -1e30], dtype)
        np.testing.assert_allclose(mish(x).numpy()[:4], x[:4])
        np.testing.assert_allclose(slopes(mish, x)[:4], 1)
        assert (abs(mish(x).numpy()[4:]) < 1e-30).all() and (abs(slopes(mish, x)[4:]) < 1e-30).all()
    assert np.isnan(mish(np.array([np.nan])).numpy()).all()


def test_not_finite():
    with pytest.raises(ValueError, match=r"'root' must be finite .* it is nan at x = -0.005"):
        fastnn.activation(name="root")(lambda x: math.sqrt(x))
    with pytest.raises(ValueError, match=r"'sinc' must be finite .* at x = 0 "):
        fastnn.activation(name="sinc")(lambda x: math.sin(x) / x)
    with pytest.raises(ValueError, match=r"derivative of activation 'cusp' must be finite; it is \S+ at x = 0 .*derivative="):
        fastnn.activation(name="cusp")(lambda x: math.sqrt(abs(x)))


def test_nan_farther_out_is_told():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        @fastnn.activation
        def quotient(x):
            return (math.exp(x) - math.exp(-x)) / (math.exp(x) + math.exp(-x))

    texts = [str(w.message) for w in caught]
    for dtype, edge in (("float32", 88.7), ("float64", 709.8)):
        (told, *_) = [float(re.search(r"x = (\S+) and", text)[1]) for text in texts if dtype in text]
        assert abs(told) == pytest.approx(edge, rel=1e-3)
    assert all("test_activation.py" in w.filename for w in caught)


def test_powers_whose_exponents_are_variables():
    def polynomial(x, lowest=0.0):
        total = x**lowest
        for i in range(3):
            total += x**i
        return total

    made = fastnn.activation(polynomial)
    assert slopes(made, [0.0, 2.0]).tolist() == [1, 1 + 2 * 2]


def test_what_numpy_computes_on_the_way_does_not_warn():
    """Here warnings are errors."""
    assert fastnn.activation(name="guarded")(lambda x: np.where(x > 0, np.sqrt(x), 0.0))(4.0) == 2


def test_corners_and_jumps_are_no_errors():
    def corner(x):
        return x if x > 0.25 else 0.25

    def jump(x):
        return 1 if x >= 0.5 else 0

    assert slopes(fastnn.activation(corner), [0.0, 1.0]).tolist() == [0, 1]
    assert fastnn.activation(jump)([0.0, 0.5]).numpy().tolist() == [0, 1] and slopes(fastnn.activation(jump), [0.5]) == 0


def test_derivative_of_the_users():
    def cubic(x):
        return x**3

    good = fastnn.activation(derivative=lambda x: 3 * x * x)(cubic)
    assert slopes(good, [2.0]) == 12
    with pytest.raises(ValueError, match=r"derivative given for activation 'cubic' is wrong at x = -10: it is 200, .* give 300"):
        fastnn.activation(derivative=lambda x: 2 * x * x)(cubic)

    with pytest.raises(ValueError, match="wrong at x"):  # in a small region
        fastnn.activation(derivative=lambda x: 0.0 if 1 < x < 1.2 else 3 * x * x)(cubic)

    with pytest.raises(ValueError, match=r"wrong at x = 100: it is 0, .* give 30000"):  # only far out
        fastnn.activation(derivative=lambda x: 3 * x * x if x < 20 else 0.0)(cubic)

    @good.derivative
    def again(x):
        return x * x * 3

    assert again is good and slopes(good, [2.0]) == 12
    with pytest.raises(ValueError, match="wrong at x"):
        good.derivative(lambda x: 2 * x * x)
    assert slopes(good, [2.0]) == 12  # a refused derivative changes nothing
    with pytest.raises(TypeError, match=r"derivative of activation 'cubic' .* must take one number"):
        good.derivative(lambda x, y: x)


def dense_model(activation, dtype):
    fastnn.set_seed(3)
    kwargs = {"activation": activation, "dtype": dtype}
    return fastnn.Sequential(
        [
            *(layers.Input((7,), dtype=dtype), layers.Dense(33, **kwargs), layers.Dense(5, **kwargs)),
            *(layers.Activation(activation, dtype=dtype), layers.Dense(1, dtype=dtype)),
        ]
    )


def conv_model(activation, dtype):
    fastnn.set_seed(3)
    kwargs = {"activation": activation, "dtype": dtype}
    return fastnn.Sequential(
        [
            layers.Input((13, 14, 3), dtype=dtype),
            layers.Conv2D(32, 3, padding="same", **kwargs),
            layers.Conv2D(32, 3, padding="same", **kwargs),  # by Winograd's algorithm
            layers.DepthwiseConv2D(3, **kwargs),
            layers.Conv2D(4, 1, groups=2, **kwargs),
            layers.Conv2D(6, 3, strides=2, data_format="channels_first", **kwargs),
            layers.Flatten(dtype=dtype),
            layers.Dense(1, dtype=dtype),
        ]
    )


@pytest.mark.parametrize("backend", ["cython", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("build", "shape"), [(dense_model, (24, 7)), (conv_model, (6, 13, 14, 3))])
@pytest.mark.filterwarnings("ignore:training of:UserWarning")  # the function made of ops is not replayed
def test_training_is_that_of_the_same_function_made_of_ops(build, shape, dtype, backend):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=shape), rng.normal(size=(shape[0], 1))
    losses = []
    with fastnn.use_backend(backend):
        for activation in ("mish", mish_of_ops):
            model = build(activation, dtype)
            model.compile(fastnn.optimizers.SGD(0.05), "mse")
            losses.append(model.fit(x, y, batch_size=6, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5 if dtype == "float32" else 1e-12)


def test_the_step_is_replayed_and_fused():
    """Nothing of it runs in Python, and the dense kernel applies the function: no call of its own for that."""
    from fastnn.kernels import table

    model = dense_model(mish, "float32")
    model.compile("sgd", "mse")
    x = np.ones((4, 7), np.float32)
    with table.record() as recording, fastnn.GradientTape() as tape:
        tape.gradient(ops.mean(model(fastnn.Variable(x, trainable=False))), model.trainable_weights)
    names = [name for name, _ in recording.calls]
    assert names.count("dense_custom_forward") == 2 and names.count("custom_forward") == 1  # that of the layer Activation
    assert names.count("custom_backward") == 3
    model.fit(x, np.ones((4, 1)), verbose=0)  # a step that is not replayed warns, and warnings are errors


def test_prediction_needs_no_slope():
    from fastnn.kernels import table

    with table.record() as recording:
        ops.dense(np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), None, mish.record)
    assert recording.calls[-1][0] == "dense_custom_forward" and recording.calls[-1][1][-1] is None


def test_second_derivative_is_refused():
    for function in (mish, lambda x: ops.dense(ops.reshape(x, (1, 1)), np.ones((1, 1), np.float32), None, mish.record)):
        x = fastnn.Variable([1.0])
        with fastnn.GradientTape() as outer:
            with fastnn.GradientTape() as inner:
                y = function(x)
            slope = inner.gradient(y, x)
        with pytest.raises(NotImplementedError, match="fastnn.activation has only a first derivative"):
            outer.gradient(slope, x)


def test_registering_again_replaces_the_name_and_leaves_layers_alone():
    first = fastnn.activation(name="again")(lambda x: x + 1)
    layer = layers.Dense(1, activation="again")
    second = fastnn.activation(name="again")(lambda x: x + 2)
    assert layer.activation is first and layers.Dense(1, activation="again").activation is second


def test_copies_and_pickles_are_the_function_itself():
    assert copy.deepcopy(mish) is copy.copy(mish) is mish
    loaded = pickle.loads(pickle.dumps(dense_model("mish", "float32")))
    assert loaded.layers[0].activation is mish


def test_files(tmp_path, error_elsewhere):
    model = dense_model("mish", "float32")
    model.save(tmp_path / "model.safetensors")
    x = np.ones((2, 7), np.float32)
    assert np.array_equal(fastnn.load_model(tmp_path / "model.safetensors").predict(x), model.predict(x))
    shown = error_elsewhere(tmp_path / "model.safetensors")
    assert "'mish'" in shown and "@fastnn.activation" in shown


def test_without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(ImportError, match=r"pip install 'fastnn-kernels\[numba\]'"):
        fastnn.activation(name="plain")(lambda x: x)


def test_another_kind_of_function_is_refused():
    """Kernels would call it with other arrays: the process would end."""
    from fastnn import kernels

    loss = fastnn.loss(name="difference")(lambda t, p: p - t)
    step = fastnn.optimizer_step(name="downhill")(lambda w, g, m, lr, beta=0.5: (w - lr * g, m))
    with pytest.raises(TypeError, match="activation must be a name, a function or None; got loss 'difference'"):
        layers.Dense(1, activation=loss)
    x, w = np.ones((1, 1)), np.ones((1, 1, 1, 1))
    wanted = r"function must be the attribute `record` of what fastnn.{} made; got {}"
    calls = (
        ("activation", lambda record: kernels.custom_forward(x, record)),
        ("activation", lambda record: kernels.dense_custom_forward(x, x, function=record)),
        ("activation", lambda record: kernels.conv2d_custom_forward(w, w, function=record)),
        ("loss", lambda record: kernels.custom_loss_forward(x, x, record)),
        ("optimizer_step", lambda record: kernels.custom_step(x, x, [], 0.1, 1, [0.0], record)),
    )
    for kind, call in calls:
        for record in {"activation": mish.record, "loss": loss.record, "optimizer_step": step.record, "none": mish}.items():
            if record[0] != kind:
                with pytest.raises(TypeError, match=wanted.format(kind, "that of" if record[0] != "none" else "<activation")):
                    call(record[1])
    for slots, params in (([], [0.0]), ([x.copy()], [0.0, 1.0])):
        with pytest.raises(ValueError, match="'downhill' needs 1 slots and params of 1 numbers; got"):
            kernels.custom_step(x, x, slots, 0.1, 1, params, step.record)


def test_what_to_do_about_a_function_of_numbers_that_nothing_decorates():
    for function in (lambda x: math.exp(x), lambda x: x if x > 0 else 0):
        with pytest.raises(ValueError, match=r"; @fastnn.activation and @fastnn.loss compile functions that are written for one"):
            layers.Dense(2, activation=function)([[1.0], [2.0]])
    with pytest.raises(TypeError, match="; @fastnn.optimizer_step makes one of an update rule"):
        dense_model("relu", "float32").compile(lambda w, g, lr: w - lr * g, "mse")


def test_a_numba_that_does_not_fit_numpy_says_so_itself(monkeypatch, tmp_path):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.1 or less. Got NumPy 2.9.')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "numba")
    with pytest.raises(ImportError, match=r"^Numba needs NumPy 2.1 or less"):
        fastnn.activation(name="plain")(lambda x: x)


def test_explain_names_it():
    model = dense_model("mish", "float32")
    model.compile("sgd", "mse")
    text = str(model.explain(np.ones((1, 7)), np.ones((1, 1))))
    assert "A_2 = mish(Z_2)" in text and "(delta_2 @ W_1.T) * mish'(Z_1)" in text
