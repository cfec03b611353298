"""fastnn.compat.nnfs: numbers printed in the book, the book's formulas in NumPy, and scripts as the book writes them."""

import subprocess
import sys

import numpy as np
import pytest

from fastnn.compat import nnfs
from fastnn.compat.nnfs.datasets import sine_data, spiral_data, vertical_data


@pytest.fixture
def initialized():
    """``nnfs.init()`` for one test: NumPy as the package leaves it."""
    kept = np.zeros, np.eye, np.dot, np.random.randn
    nnfs.init()
    yield
    np.zeros, np.eye, np.dot, np.random.randn = kept


@pytest.fixture(params=["plain", "initialized"])
def numpy_state(request):
    """Both states of NumPy; the dtype of new weights."""
    if request.param == "initialized":
        request.getfixturevalue("initialized")
        return np.float32
    np.random.seed(0)
    return np.float64


def network(hidden=3, **regularizers):
    return (
        nnfs.Layer_Dense(2, hidden, **regularizers),
        nnfs.Activation_ReLU(),
        nnfs.Layer_Dense(hidden, 3),
        nnfs.Activation_Softmax_Loss_CategoricalCrossentropy(),
    )


def forward(layers, X, y):
    dense1, relu, dense2, loss = layers
    dense1.forward(X)
    relu.forward(dense1.output)
    dense2.forward(relu.output)
    return loss.forward(dense2.output, y)


def backward(layers, y):
    dense1, relu, dense2, loss = layers
    loss.backward(loss.output, y)
    dense2.backward(loss.dinputs)
    relu.backward(dense2.dinputs)
    dense1.backward(relu.dinputs)


def train(optimizer, steps, hidden=64):
    X, y = spiral_data(100, 3)
    layers = network(hidden)
    for _ in range(steps):
        loss = forward(layers, X, y)
        backward(layers, y)
        optimizer.pre_update_params()
        optimizer.update_params(layers[0])
        optimizer.update_params(layers[2])
        optimizer.post_update_params()
    return layers, loss, np.mean(layers[3].output.argmax(axis=1) == y)


# ---- numbers that the book prints


def test_first_outputs_losses_and_gradients_are_those_of_the_book(initialized):
    X, y = spiral_data(samples=100, classes=3)
    layers = network()
    loss = forward(layers, X, y)
    np.testing.assert_allclose(
        layers[0].output[1:5],
        [
            [-1.0475188e-04, 1.1395361e-04, -4.7983500e-05],
            [-2.7414842e-04, 3.1729150e-04, -8.6921798e-05],
            [-4.2188365e-04, 5.2666257e-04, -5.5912682e-05],
            [-5.7707680e-04, 7.1401405e-04, -8.9430439e-05],
        ],
        rtol=1e-6,
    )
    np.testing.assert_allclose(layers[3].output[4], [0.33333233, 0.3333324, 0.33333528], rtol=0, atol=4e-8)
    assert loss == pytest.approx(1.0986104, abs=2e-7)
    assert np.mean(layers[3].output.argmax(axis=1) == y) == pytest.approx(0.34)
    backward(layers, y)
    near = dict(rtol=2e-5, atol=2e-9)
    np.testing.assert_allclose(
        layers[0].dweights, [[1.5766358e-04, 7.8368575e-05, 4.7324404e-05], [1.8161036e-04, 1.1045571e-05, -3.3096316e-05]], **near
    )
    np.testing.assert_allclose(layers[0].dbiases, [[-3.6055347e-04, 9.6611722e-05, -1.0367142e-04]], **near)
    np.testing.assert_allclose(
        layers[2].dweights,
        [
            [5.4410957e-05, 1.0741142e-04, -1.6182236e-04],
            [-4.0791339e-05, -7.1678100e-05, 1.1246944e-04],
            [-5.3011299e-05, 8.5817286e-05, -3.2805994e-05],
        ],
        **near,
    )
    # 300 terms of 1e-3 that nearly cancel
    np.testing.assert_allclose(layers[2].dbiases, [[-1.0732794e-05, -9.4590941e-06, 2.0027626e-05]], rtol=0, atol=1e-7)


def test_everything_stays_float32_after_init(initialized):
    layers, _, _ = train(nnfs.Optimizer_Adam(), steps=2)
    arrays = [array for layer in layers[:3] for array in vars(layer).values() if isinstance(array, np.ndarray)]
    assert len(arrays) > 15
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


def test_worked_examples_of_the_first_chapters():
    """One sample and three, given as lists, through the weights that chapters 2 to 4 use."""
    dense = nnfs.Layer_Dense(4, 3)
    dense.weights = np.array([[0.2, 0.8, -0.5, 1.0], [0.5, -0.91, 0.26, -0.5], [-0.26, -0.27, 0.17, 0.87]]).T
    dense.biases = np.array([[2.0, 3.0, 0.5]])
    dense.forward([1, 2, 3, 2.5])
    np.testing.assert_allclose(dense.output, [[4.8, 1.21, 2.385]])
    dense.forward([[1.0, 2.0, 3.0, 2.5], [2.0, 5.0, -1.0, 2.0], [-1.5, 2.7, 3.3, -0.8]])
    np.testing.assert_allclose(dense.output, [[4.8, 1.21, 2.385], [8.9, -1.81, 0.2], [1.41, 1.051, 0.026]])
    softmax = nnfs.Activation_Softmax()
    softmax.forward([[4.8, 1.21, 2.385]])
    np.testing.assert_allclose(softmax.output, [[0.89528266, 0.02470831, 0.08000903]], atol=5e-9)
    outputs = [[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]]
    loss = nnfs.Loss_CategoricalCrossentropy()
    assert loss.calculate(outputs, [0, 1, 1]) == pytest.approx(0.38506088005216804)
    assert loss.calculate(outputs, [[1, 0, 0], [0, 1, 0], [0, 1, 0]]) == pytest.approx(0.38506088005216804)


def test_softmax_with_cross_entropy_backward_in_two_steps_and_in_one():
    """Chapter 9's example: both ways give the same gradient."""
    outputs, targets = np.array([[0.7, 0.1, 0.2], [0.1, 0.5, 0.4], [0.02, 0.9, 0.08]]), np.array([0, 1, 1])
    expected = [[-0.1, 0.03333333, 0.06666667], [0.03333333, -0.16666667, 0.13333333], [0.00666667, -0.03333333, 0.02666667]]
    combined = nnfs.Activation_Softmax_Loss_CategoricalCrossentropy()
    combined.backward(outputs, targets)
    np.testing.assert_allclose(combined.dinputs, expected, atol=1e-8)
    loss, softmax = nnfs.Loss_CategoricalCrossentropy(), nnfs.Activation_Softmax()
    softmax.output = outputs
    loss.backward(outputs, targets)
    softmax.backward(loss.dinputs)
    np.testing.assert_allclose(softmax.dinputs, expected, atol=1e-8)


# ---- against the book's formulas


def book_rules(name):
    """One update of an array as the book writes it: (w, dw, state, iteration) -> new w; state is a dict of arrays."""

    def sgd(w, g, s, t):
        return w - 0.5 * g

    def momentum(w, g, s, t):
        s["momentums"] = 0.9 * s["momentums"] - 0.5 * g
        return w + s["momentums"]

    def adagrad(w, g, s, t):
        s["cache"] = s["cache"] + g**2
        return w - 0.5 * g / (np.sqrt(s["cache"]) + 1e-7)

    def rmsprop(w, g, s, t):
        s["cache"] = 0.99 * s["cache"] + 0.01 * g**2
        return w - 0.5 * g / (np.sqrt(s["cache"]) + 1e-7)

    def adam(w, g, s, t):
        s["momentums"] = 0.9 * s["momentums"] + 0.1 * g
        s["cache"] = 0.999 * s["cache"] + 0.001 * g**2
        corrected = s["cache"] / (1 - 0.999 ** (t + 1))
        return w - 0.5 * s["momentums"] / (1 - 0.9 ** (t + 1)) / (np.sqrt(corrected) + 1e-7)

    return locals()[name]


OPTIMIZERS = {
    "sgd": lambda: nnfs.Optimizer_SGD(0.5),
    "momentum": lambda: nnfs.Optimizer_SGD(0.5, momentum=0.9),
    "adagrad": lambda: nnfs.Optimizer_Adagrad(0.5),
    "rmsprop": lambda: nnfs.Optimizer_RMSprop(0.5, rho=0.99),
    "adam": lambda: nnfs.Optimizer_Adam(0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_follow_the_books_formulas(name):
    rng = np.random.default_rng(1)
    layer, optimizer = nnfs.Layer_Dense(3, 2), OPTIMIZERS[name]()
    layer.weights[...] = rng.normal(size=(3, 2))
    array = layer.weights
    expected = {"weights": layer.weights.copy(), "biases": layer.biases.copy()}
    state = {key: {"momentums": np.zeros(w.shape), "cache": np.zeros(w.shape)} for key, w in expected.items()}
    for step in range(5):
        # gradients of the size of epsilon are where the conventions differ
        layer.dweights, layer.dbiases = rng.normal(size=(3, 2)) * 10.0 ** -(2 * step), rng.normal(size=(1, 2)) * 1e-7
        layer.dweights[0, 0] = 0.0
        for key, dw in ("weights", layer.dweights), ("biases", layer.dbiases):
            expected[key] = book_rules(name)(expected[key], dw, state[key], step)
        optimizer.pre_update_params()
        optimizer.update_params(layer)
        optimizer.post_update_params()
        np.testing.assert_allclose(layer.weights, expected["weights"], rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(layer.biases, expected["biases"], rtol=1e-12, atol=1e-14)
    assert layer.weights is array
    for key, kept in ("weights", "weight"), ("biases", "bias"):
        for word in "momentums", "cache":
            if hasattr(layer, f"{kept}_{word}"):
                np.testing.assert_allclose(getattr(layer, f"{kept}_{word}"), state[key][word], rtol=1e-12)
    assert hasattr(layer, "weight_cache") == (name in ("adagrad", "rmsprop", "adam"))
    assert hasattr(layer, "bias_momentums") == (name in ("momentum", "adam"))


def test_learning_rate_decays_before_the_update():
    optimizer = nnfs.Optimizer_SGD(1.0, decay=0.1)
    rates = []
    for _ in range(3):
        optimizer.pre_update_params()
        rates.append(optimizer.current_learning_rate)
        optimizer.post_update_params()
    np.testing.assert_allclose(rates, [1.0, 1 / 1.1, 1 / 1.2])


def central_difference(f, x, h=1e-6):
    gradient = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + h
        above = f()
        x[place] = kept - h
        gradient[place] = (above - f()) / (2 * h)
        x[place] = kept
    return gradient


@pytest.mark.parametrize(
    "loss, target",
    [
        (nnfs.Loss_CategoricalCrossentropy(), np.array([2, 0, 1, 1])),
        (nnfs.Loss_CategoricalCrossentropy(), np.eye(3)[[2, 0, 1, 1]]),
        (nnfs.Loss_BinaryCrossentropy(), np.array([[0, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0]])),
        (nnfs.Loss_MeanSquaredError(), np.arange(12).reshape(4, 3) / 12),
        (nnfs.Loss_MeanAbsoluteError(), np.arange(12).reshape(4, 3) / 12),
    ],
)
def test_loss_gradients(loss, target):
    pred = np.random.default_rng(2).uniform(0.1, 0.9, size=(4, 3))
    loss.backward(pred, target)
    np.testing.assert_allclose(loss.dinputs, central_difference(lambda: loss.calculate(pred, target), pred), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["ReLU", "Sigmoid", "Softmax", "Linear"])
def test_activation_gradients(name):
    rng = np.random.default_rng(3)
    x, dvalues, layer = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), getattr(nnfs, f"Activation_{name}")()

    def total():
        layer.forward(x)
        return (layer.output * dvalues).sum()

    expected = central_difference(total, x)
    total()
    layer.backward(dvalues)
    np.testing.assert_allclose(layer.dinputs, expected, rtol=1e-6, atol=1e-9)


def test_dense_gradients_with_all_regularizers():
    rng = np.random.default_rng(4)
    layer, loss = nnfs.Layer_Dense(3, 2, 0.1, 0.2, 0.3, 0.4), nnfs.Loss()
    layer.weights, layer.biases = rng.normal(size=(3, 2)), rng.normal(size=(1, 2))
    x, dvalues = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))

    def total():
        layer.forward(x)
        return (layer.output * dvalues).sum() + loss.regularization_loss(layer)

    expected = {name: central_difference(total, getattr(layer, name)) for name in ("weights", "biases")}
    expected_inputs = central_difference(total, x)
    layer.backward(dvalues)
    np.testing.assert_allclose(layer.dweights, expected["weights"], rtol=1e-6)
    np.testing.assert_allclose(layer.dbiases, expected["biases"], rtol=1e-6)
    np.testing.assert_allclose(layer.dinputs, expected_inputs, rtol=1e-6)
    w, b = layer.weights, layer.biases
    by_hand = 0.1 * np.abs(w).sum() + 0.2 * (w**2).sum() + 0.3 * np.abs(b).sum() + 0.4 * (b**2).sum()
    assert loss.regularization_loss(layer) == pytest.approx(by_hand)


def test_gradient_of_a_magnitude_at_zero_is_one():
    layer = nnfs.Layer_Dense(1, 2, bias_regularizer_l1=0.5)
    layer.forward([[1.0]])
    layer.backward([[0.0, 0.0]])
    np.testing.assert_array_equal(layer.dbiases, [[0.5, 0.5]])


def test_clipping_of_the_cross_entropies(numpy_state):
    """Certain and wrong: -log(1e-7); the binary gradient is that of the clipped probability."""
    certain = np.array([[0, 1], [1, 0]], dtype=numpy_state)
    loss = nnfs.Loss_CategoricalCrossentropy()
    assert loss.calculate(certain, np.array([0, 1])) == pytest.approx(16.118095, rel=1e-6)
    loss.backward(certain, np.array([1, 0]))
    np.testing.assert_array_equal(loss.dinputs, [[0, -0.5], [-0.5, 0]])  # no 0 / 0
    binary = nnfs.Loss_BinaryCrossentropy()
    binary.backward(np.array([[0.0], [1.0]], dtype=numpy_state), np.array([[1], [1]]))
    np.testing.assert_allclose(binary.dinputs, [[-0.5e7], [-0.5]], rtol=1e-5)


def test_dropout_draws_the_books_numbers(numpy_state):
    x = np.ones((4, 6), dtype=numpy_state)
    dropout = nnfs.Layer_Dropout(0.25)
    np.random.seed(5)
    dropout.forward(x)
    np.random.seed(5)
    mask = np.random.binomial(1, 0.75, size=(4, 6)) / 0.75
    np.testing.assert_allclose(dropout.output, mask, rtol=1e-6)
    assert 0 < (mask == 0).sum() < 24
    dropout.backward(2 * x)
    np.testing.assert_allclose(dropout.dinputs, 2 * mask, rtol=1e-6)
    dropout.forward(x, training=False)
    np.testing.assert_array_equal(dropout.output, x)
    assert dropout.output is not x


def test_weights_are_drawn_from_the_legacy_generator(numpy_state):
    layer = nnfs.Layer_Dense(3, 4)
    np.random.seed(0)
    np.testing.assert_array_equal(layer.weights, 0.01 * np.random.randn(3, 4))
    assert layer.weights.dtype == layer.biases.dtype == numpy_state
    assert layer.biases.shape == (1, 4) and not layer.biases.any()


def test_data_sets():
    np.random.seed(6)
    X, y = spiral_data(10, 3)
    np.random.seed(6)
    for label in range(3):
        t = (np.linspace(label * 4, (label + 1) * 4, 10) + np.random.randn(10) * 0.2) * 2.5
        r = np.linspace(0, 1, 10)
        np.testing.assert_allclose(X[10 * label : 10 * label + 10], np.stack([r * np.sin(t), r * np.cos(t)], axis=1))
    np.testing.assert_array_equal(y, np.repeat([0, 1, 2], 10))
    assert y.dtype == np.uint8
    np.random.seed(6)
    X, _ = vertical_data(10, 2)
    np.random.seed(6)
    draws = [np.random.randn(10) for _ in range(4)]
    np.testing.assert_allclose(X[10:], np.stack([draws[2] * 0.1 + 1 / 3, draws[3] * 0.1 + 0.5], axis=1))
    X, y = sine_data()
    assert X.shape == y.shape == (1000, 1)
    np.testing.assert_allclose(y[250], 1.0)


# ---- training


def test_spiral_is_learned_with_adam(initialized):
    """The book's chapter 10 has accuracy 0.93 after 1,000 of its 10,000 steps."""
    _, loss, accuracy = train(nnfs.Optimizer_Adam(learning_rate=0.05, decay=5e-7), steps=1000)
    assert accuracy > 0.9
    assert loss < 0.25


def classifier():
    model = nnfs.Model()
    model.add(nnfs.Layer_Dense(2, 64, weight_regularizer_l2=5e-4, bias_regularizer_l2=5e-4))
    model.add(nnfs.Activation_ReLU())
    model.add(nnfs.Layer_Dropout(0.1))
    model.add(nnfs.Layer_Dense(64, 3))
    model.add(nnfs.Activation_Softmax())
    model.set(
        loss=nnfs.Loss_CategoricalCrossentropy(),
        optimizer=nnfs.Optimizer_Adam(learning_rate=0.05, decay=5e-5),
        accuracy=nnfs.Accuracy_Categorical(),
    )
    model.finalize()
    return model


def test_model_trains_evaluates_and_prints(numpy_state, capsys):
    X, y = spiral_data(100, 3)
    order = np.random.default_rng(9).permutation(300)
    X, y = X[order], y[order]
    model = classifier()
    model.train(X, y, epochs=20, batch_size=100, print_every=2, validation_data=(X, y))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "epoch: 1" and lines[1].startswith("step: 0, acc: ") and lines[2].startswith("step: 2, ")
    assert lines[3].startswith("training, acc: ") and "reg_loss: " in lines[3] and ", lr: 0.04999" in lines[3]
    assert lines[4].startswith("validation, acc: ") and lines[5] == "epoch: 2" and len(lines) == 100
    model.evaluate(X, y, batch_size=64)
    whole = capsys.readouterr().out
    model.evaluate(X, y)
    assert capsys.readouterr().out == whole
    output = model.predict(X, batch_size=128)
    assert output.shape == (300, 3) and output.dtype == numpy_state
    accuracy = np.mean(model.output_layer_activation.predictions(output) == y)
    assert f"acc: {accuracy:.3f}" in whole and accuracy > 0.45


def test_model_backward_is_the_gradient_of_its_loss():
    model = classifier()
    model.layers.pop(2)  # the dropout
    model.finalize()
    X, y = np.random.default_rng(7).normal(size=(6, 2)), np.array([0, 1, 2, 2, 1, 0])
    model.layers[0].weights *= 50

    def total():
        return sum(model.loss.calculate(model.forward(X, training=True), y, include_regularization=True))

    expected = central_difference(total, model.layers[0].weights)
    model.backward(model.forward(X, training=True), y)
    np.testing.assert_allclose(model.layers[0].dweights, expected, rtol=1e-5, atol=1e-8)


def test_regression_and_binary_models(initialized, capsys):
    X, y = sine_data(100)
    model = nnfs.Model()
    for layer in (nnfs.Layer_Dense(1, 32), nnfs.Activation_ReLU(), nnfs.Layer_Dense(32, 32), nnfs.Activation_ReLU()):
        model.add(layer)
    model.add(nnfs.Layer_Dense(32, 1))
    model.add(nnfs.Activation_Linear())
    model.layers[0].weights *= 10  # the book's remedy for a start that does not learn
    model.layers[2].weights *= 10
    model.layers[4].weights *= 10
    model.set(
        loss=nnfs.Loss_MeanSquaredError(), optimizer=nnfs.Optimizer_Adam(0.005, decay=1e-3), accuracy=nnfs.Accuracy_Regression()
    )
    model.finalize()
    model.train(X, y, epochs=300, print_every=1000)
    assert model.accuracy.precision == pytest.approx(np.std(y) / 250)
    assert np.mean((model.predict(X) - y) ** 2) < 2e-3

    X, y = spiral_data(100, 2)
    model = nnfs.Model()
    for layer in (nnfs.Layer_Dense(2, 64), nnfs.Activation_ReLU(), nnfs.Layer_Dense(64, 1), nnfs.Activation_Sigmoid()):
        model.add(layer)
    model.set(
        loss=nnfs.Loss_BinaryCrossentropy(),
        optimizer=nnfs.Optimizer_Adam(0.02, decay=5e-7),
        accuracy=nnfs.Accuracy_Categorical(binary=True),
    )
    model.finalize()
    model.train(X, y.reshape(-1, 1), epochs=300, print_every=1000)
    accuracy = float(capsys.readouterr().out.splitlines()[-1].split()[2].rstrip(","))
    assert accuracy == pytest.approx(np.mean(model.output_layer_activation.predictions(model.predict(X)) == y[:, None]), abs=0.02)
    assert accuracy > 0.7


def test_parameters_and_models_are_saved_and_loaded(tmp_path, capsys):
    X, y = spiral_data(20, 3)
    model, other = classifier(), classifier()
    model.train(X, y)
    model.save_parameters(tmp_path / "parameters")
    other.load_parameters(tmp_path / "parameters")
    np.testing.assert_array_equal(other.predict(X), model.predict(X))
    model.save(tmp_path / "model")
    loaded = nnfs.Model.load(tmp_path / "model")
    assert not hasattr(loaded.layers[0], "inputs") and hasattr(model.layers[0], "inputs")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.random.seed(8)
    model.train(X, y)
    np.random.seed(8)
    loaded.train(X, y)  # the optimizer and its state have come along
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


SCRIPT = """
import numpy as np
import nnfs
from nnfs import *
from nnfs.datasets import spiral_data

nnfs.init()
X, y = spiral_data(samples=100, classes=3)
dense1 = Layer_Dense(2, 3)
activation1 = Activation_ReLU()
dense2 = Layer_Dense(3, 3)
loss_activation = Activation_Softmax_Loss_CategoricalCrossentropy()
dense1.forward(X)
activation1.forward(dense1.output)
dense2.forward(activation1.output)
loss = loss_activation.forward(dense2.output, y)
print('%.4f' % loss, np.dot(X[:1], X[:1].T).dtype, np.zeros(2).dtype, np.eye(2).dtype, np.zeros(2, 'int8').dtype)
"""


def test_a_script_of_the_book_runs_by_its_own_imports(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "fastnn.compat.run", "--course", "nnfs", str(script)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1.0986", "float32", "float32", "float32", "int8"]


# ---- what does not fit


def test_shapes_that_do_not_fit_are_explained():
    dense = nnfs.Layer_Dense(784, 64)
    with pytest.raises(
        ValueError, match=r"\(samples, 784\) for weights of shape \(784, 64\).*@ weights.*got \(5, 28, 28\); flatten"
    ):
        dense.forward(np.zeros((5, 28, 28)))
    dense.forward(np.zeros((5, 784)))
    with pytest.raises(ValueError, match=r"shape of output, \(5, 64\); got \(5, 10\)"):
        dense.backward(np.zeros((5, 10)))
    relu = nnfs.Activation_ReLU()
    relu.forward(np.zeros((5, 64)))
    with pytest.raises(ValueError, match=r"shape of output, \(5, 64\); got \(5, 10\)"):
        relu.backward(np.zeros((5, 10)))
    loss = nnfs.Loss_CategoricalCrossentropy()
    probs = np.full((4, 3), 1 / 3)
    with pytest.raises(ValueError, match=r"\(4,\), the class of each sample, or \(4, 3\), one-hot rows; got \(4, 1\); flatten"):
        loss.calculate(probs, np.zeros((4, 1), dtype=int))
    with pytest.raises(ValueError, match=r"in \[0, 3\) for 3 classes; got values from 1 to 3"):
        loss.calculate(probs, [1, 2, 3, 1])
    with pytest.raises(ValueError, match=r"element by element; got \(3, 4\)"):
        nnfs.Loss_MeanSquaredError().calculate(probs, np.zeros((3, 4)))
    with pytest.raises(ValueError, match="binary=True"):
        nnfs.Accuracy_Categorical().compare(np.ones((4, 1)), np.ones(4))
    with pytest.raises(ValueError, match=r"at least 0 and less than 1; got 1"):
        nnfs.Layer_Dropout(1)


def test_calls_in_the_wrong_order_are_explained():
    layer = nnfs.Layer_Dense(2, 2)
    with pytest.raises(ValueError, match="call its backward before update_params"):
        nnfs.Optimizer_SGD().update_params(layer)
    layer.forward([[1, 2]])
    layer.backward([[1, 1]])
    layer.weights = [[1, 2], [3, 4]]
    with pytest.raises(TypeError, match="weights must be an array of float32 or float64.*got list"):
        nnfs.Optimizer_SGD().update_params(layer)
    model = nnfs.Model()
    model.add(layer)
    with pytest.raises(ValueError, match=r"set\(loss="):
        model.finalize()
    with pytest.raises(ValueError, match=r"call finalize\(\) first"):
        model.predict([[1, 2]])


def test_a_layer_whose_arrays_were_replaced_is_updated():
    layer = nnfs.Layer_Dense(3, 2)
    layer.set_parameters(np.arange(6.0).reshape(2, 3).T, np.ones((1, 2), dtype=np.float32))
    layer.forward([[1, 1, 1]])
    layer.backward([[1, 2]])
    nnfs.Optimizer_SGD().update_params(layer)
    np.testing.assert_array_equal(layer.weights, [[-1, 1], [0, 2], [1, 3]])
    np.testing.assert_array_equal(layer.biases, [[0, -1]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nnfs.Layer_Dense(2, 2).backward(np.ones((1, 2))), "Layer_Dense has no inputs yet: call its forward first"),
        (
            lambda: nnfs.Activation_Softmax().backward(np.ones((1, 2))),
            "Activation_Softmax has no output yet: call its forward first",
        ),
        (lambda: nnfs.Layer_Dropout(0.5).backward(np.ones((1, 2))), "Layer_Dropout has no binary_mask yet: call its forward first"),
        (lambda: nnfs.Loss_MeanSquaredError().dinputs, "Loss_MeanSquaredError has no dinputs yet: call its backward first"),
        (lambda: nnfs.Activation_ReLU().weights, "'Activation_ReLU' object has no attribute 'weights'"),
    ],
)
def test_what_a_pass_sets_is_not_there_before(call, message):
    with pytest.raises(AttributeError, match=message):
        call()


def test_training_needs_an_optimizer_and_an_accuracy():
    model = nnfs.Model()
    model.add(nnfs.Layer_Dense(2, 1))
    model.set(loss=nnfs.Loss_MeanSquaredError())
    model.finalize()
    with pytest.raises(ValueError, match=r"set\(optimizer=..., accuracy=...\)"):
        model.train(np.ones((3, 2)), np.ones((3, 1)))
