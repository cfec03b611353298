"""`Sequential.explain` against networks worked by hand, against the training step that it tells, and in print."""

import copy
from contextlib import nullcontext
from html.parser import HTMLParser

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, optimizers
from fastnn.autodiff import Variable

pytestmark = pytest.mark.usefixtures("fresh")


def half_squared_error(y, prediction):
    """The error that courses derive: its gradient by the prediction is ``prediction - y``."""
    return 0.5 * ops.sum(ops.square(prediction - y), axis=-1)


def course_network(loss=half_squared_error):
    """Two linear hidden units and a rectified output, W_0 = [[1, 0, 1], [-1, -1, 1]], W_1 = [[0, 1, -1]], biases first, rate 1."""
    model = fastnn.Sequential(
        [layers.Dense(2, dtype="float64", input_shape=(2,)), layers.Dense(1, activation="relu", dtype="float64")]
    )
    model.compile(optimizers.SGD(1.0), loss)
    model.set_weights([np.array([[0.0, -1], [1, 1]]), np.array([1.0, -1]), np.array([[1.0], [-1]]), np.array([0.0])])
    return model


#: x, t; Z_1, Z_2, A_2, delta_2, dW_1 with the bias first, delta_1, dW_0, W_1, W_0 after the update: columns as the course has them
COURSE_STEPS = [
    ([1, 0], 0, [1, -2], 3, 3, 3, [3, 3, -6], [3, -3], [[3, 3, 0], [-3, -3, 0]], [-3, -2, 5], [[-2, -3, 1], [2, 2, 1]]),
    ([-1, -1], 0, [0, -1], -8, 0, 0, [0, 0, 0], [0, 0], [[0, 0, 0], [0, 0, 0]], [-3, -2, 5], [[-2, -3, 1], [2, 2, 1]]),
    (
        [1, 1],
        1,
        [-4, 5],
        30,
        30,
        29,
        [29, -116, 145],
        [-58, 145],
        [[-58, -58, -58], [145, 145, 145]],
        [-32, 114, -140],
        [[56, 55, 59], [-143, -143, -144]],
    ),
]


def augmented(kernel, bias):
    """A layer's weights as a course writes them: a row per unit, the bias first."""
    return np.vstack([bias, kernel]).T


def test_the_numbers_of_a_network_worked_by_hand():
    model = course_network()
    for x, t, z_1, z_2, a_2, delta_2, dw_1, delta_1, dw_0, w_1, w_0 in COURSE_STEPS:
        told = model.explain([x], [[t]])
        hidden, output = told.layers
        np.testing.assert_array_equal(told.x, [x])
        np.testing.assert_array_equal(augmented(hidden.W, hidden.b), augmented(*model.get_weights()[:2]))
        np.testing.assert_array_equal(hidden.Z, [z_1])
        np.testing.assert_array_equal(hidden.A, [z_1])
        np.testing.assert_array_equal(output.Z, [[z_2]])
        np.testing.assert_array_equal(output.A, [[a_2]])
        np.testing.assert_array_equal(told.error, [[a_2 - t]])
        assert told.loss == 0.5 * (a_2 - t) ** 2 and told.penalty == 0
        np.testing.assert_array_equal(output.delta, [[delta_2]])
        np.testing.assert_array_equal(augmented(output.dW, output.db), [dw_1])
        np.testing.assert_array_equal(hidden.delta, [delta_1])
        np.testing.assert_array_equal(augmented(hidden.dW, hidden.db), dw_0)
        np.testing.assert_array_equal(augmented(output.new_W, output.new_b), [w_1])
        np.testing.assert_array_equal(augmented(hidden.new_W, hidden.new_b), w_0)
        model.set_weights([hidden.new_W, hidden.new_b, output.new_W, output.new_b])


def test_a_batch_has_the_mean_gradient():
    x, t = [step[0] for step in COURSE_STEPS], [[step[1]] for step in COURSE_STEPS]
    model = course_network()
    alone = [model.explain([sample], [target]) for sample, target in zip(x, t, strict=True)]
    told = model.explain(x, t)
    for k in range(2):
        np.testing.assert_allclose(told.layers[k].dW, np.mean([one.layers[k].dW for one in alone], axis=0), rtol=1e-14)
        np.testing.assert_allclose(told.layers[k].delta, np.vstack([one.layers[k].delta for one in alone]) / 3, rtol=1e-14)


def test_mean_squared_error_doubles_what_the_course_has():
    told = course_network("mse").explain([[1, 0]], [[0]])
    assert told.layers[1].delta.tolist() == [[6]] and told.error.tolist() == [[3]]


def rich_model(optimizer, dtype="float32"):
    model = fastnn.Sequential(
        [
            layers.Input((8, 8, 2), dtype=dtype),
            layers.Conv2D(3, 3, activation="tanh", kernel_regularizer="l2", dtype=dtype),
            layers.MaxPooling2D(dtype=dtype),
            layers.BatchNormalization(dtype=dtype),
            layers.ReLU(dtype=dtype),
            layers.SeparableConv2D(4, 2, activation="gelu", dtype=dtype),
            layers.Dropout(0.4, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(6, activation=layers.ELU(0.5, dtype=dtype), dtype=dtype),
            layers.LayerNormalization(dtype=dtype, trainable=False),
            layers.Dense(3, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def digits(n=5):
    generator = np.random.default_rng(1)
    return generator.normal(size=(n, 8, 8, 2)), np.arange(n) % 3


OPTIMIZERS = {
    "adam": lambda: optimizers.Adam(0.01),
    "momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "clipped": lambda: optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
    "schedule": lambda: optimizers.RMSprop(optimizers.schedules.ExponentialDecay(0.01, 1, 0.5)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_told_is_what_the_next_training_step_does(optimizer):
    model = rich_model(OPTIMIZERS[optimizer](), "float64")
    x, y = digits()
    with pytest.warns(UserWarning, match="step by step in Python") if optimizer == "clipped" else nullcontext():
        model.train_on_batch(x, y)
    told = model.explain(x, y)
    (loss, _) = model.train_on_batch(x, y)
    assert told.loss == pytest.approx(loss, rel=1e-12)
    assert told.learning_rate == model.optimizer.lr[0] == {"adam": 0.01, "schedule": 0.005}.get(optimizer, 0.1)
    moved = 0
    for step, layer in zip(told.layers, model.layers, strict=True):
        assert len(step.weights) == len(layer.weights)
        for weight, variable in zip(step.weights.values(), layer.weights, strict=True):
            np.testing.assert_allclose(weight.updated, variable.numpy(), rtol=1e-10, atol=1e-13, err_msg=weight.symbol)
            moved += not np.array_equal(weight.updated, weight.value)
    assert moved == 2 + 4 + 3 + 2 + 2  # all but gamma and beta of the frozen layer


def state_of(model):
    return {
        "weights": model.get_weights(),
        "versions": [weight.version for weight in model.weights],
        "dropout": [layer.state.copy() for layer in model.layers if isinstance(layer, layers.Dropout)],
        "optimizer": model.optimizer.get_state(),
        "activations": [layer.activation for layer in model.layers if hasattr(layer, "activation")],
        "attributes": [set(vars(layer)) for layer in model.layers],
    }


def assert_same_state(found, expected):
    assert found.keys() == expected.keys()
    for name in ("weights", "dropout"):
        for a, b in zip(found[name], expected[name], strict=True):
            assert a.tobytes() == b.tobytes() and a.dtype == b.dtype
    assert found["optimizer"].keys() == expected["optimizer"].keys()
    for name, array in expected["optimizer"].items():
        assert found["optimizer"][name].tobytes() == array.tobytes(), name
    for name in ("versions", "activations", "attributes"):
        assert found[name] == expected[name]


@pytest.mark.parametrize("trained", [False, True])
def test_the_model_stays_as_it_is_bit_for_bit(trained):
    x, y = digits()
    model = rich_model(optimizers.Adam(0.01))
    if trained:
        model.train_on_batch(x, y)
    else:
        model(x[:1])
    before = copy.deepcopy(state_of(model))
    before["activations"] = state_of(model)["activations"]
    told = model.explain(x, y)
    str(told), told._repr_html_()
    assert_same_state(state_of(model), before)


def test_training_goes_on_as_if_nothing_had_been_explained():
    x, y = digits()
    results = []
    for explained in (False, True):
        fastnn.set_seed(3)
        model = rich_model(optimizers.Adam(0.01))
        for _ in range(3):
            if explained:
                model.explain(x, y)
            model.train_on_batch(x, y)
        results.append(model.get_weights())
    for with_explanation, without in zip(*results, strict=True):
        assert with_explanation.tobytes() == without.tobytes()


def test_numbers_agree_with_central_differences_of_the_loss():
    x, y = digits(3)
    model = rich_model("sgd", "float64")
    told = model.explain(x, y)
    h = 1e-6
    for layer, step in zip(model.layers, told.layers, strict=True):
        for variable, weight in zip(layer.trainable_weights, step.weights.values(), strict=False):
            index = tuple(extent // 2 for extent in variable.shape)
            value = variable.data[index]
            sides = []
            for shifted in (value + h, value - h):
                variable.data[index] = shifted
                sides.append(model.explain(x, y).loss)
            variable.data[index] = value
            assert weight.gradient[index] == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=1e-5, abs=1e-8), weight.symbol


def test_shapes_and_which_layers_show_what():
    x, y = digits()
    told = rich_model("sgd").explain(x, y)
    conv, pool, norm, relu, separable, dropout, flatten, hidden, frozen, output = told.layers
    assert conv.Z.shape == conv.A.shape == conv.delta.shape == (5, 6, 6, 3)
    np.testing.assert_allclose(conv.A, np.tanh(conv.Z), rtol=1e-5)
    assert conv.W.shape == conv.dW.shape == (3, 3, 2, 3) and conv.db.shape == conv.new_b.shape == (3,)
    for step in (pool, relu, dropout, flatten):
        assert step.Z is step.W is step.b is step.dW is step.new_W is None and not step.weights
        assert step.delta.shape == step.A.shape
    assert norm.Z is None and norm.W is None
    assert list(norm.weights) == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert norm.weights["gamma"].gradient.shape == (3,) and norm.weights["moving_mean"].gradient is None
    assert separable.Z.shape == separable.A.shape == (5, 2, 2, 4)
    assert list(separable.weights) == ["depthwise_kernel", "pointwise_kernel", "bias"]
    np.testing.assert_allclose(hidden.A, np.where(hidden.Z > 0, hidden.Z, 0.5 * np.expm1(hidden.Z)), rtol=1e-5)
    assert all(weight.gradient is None for weight in frozen.weights.values())
    assert [step.number for step in told.layers] == list(range(1, 11))
    # what a softmax with cross-entropy is known for
    np.testing.assert_allclose(told.error, output.A - np.eye(3)[y], rtol=1e-6)
    np.testing.assert_allclose(output.delta, told.error / 5, rtol=1e-4, atol=1e-7)
    assert told.penalty > 0 and told.loss > told.penalty


def test_the_printed_formulas_hold():
    """Every formula is a Python expression in NumPy's notation; evaluate it."""
    model = fastnn.Sequential(
        [
            layers.Conv2D(2, 2, activation="relu", dtype="float64", input_shape=(4, 4, 2)),
            layers.Conv2D(2, 2, use_bias=False, dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(5, activation="tanh", dtype="float64"),
            layers.Dense(4, use_bias=False, activation="sigmoid", dtype="float64"),
            layers.Dense(3, dtype="float64"),
            layers.Dense(2, activation="softmax", dtype="float64"),
        ]
    )
    model.compile(optimizers.SGD(0.5), "categorical_crossentropy")
    generator = np.random.default_rng(0)
    told = model.explain(generator.normal(size=(3, 4, 4, 2)), np.eye(2)[[0, 1, 1]])
    values = {"y": told.y, "A_0": told.x}
    for section in told.sections:
        for row in section.rows:
            values[row.label.split(" = ")[0].replace("new ", "new_")] = row.value
    functions = {
        "conv2d": lambda x, w: ops.conv2d(x, w).numpy(),
        "relu": lambda z: np.maximum(z, 0),
        "tanh": np.tanh,
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        "linear": lambda z: z,
        "Flatten": lambda a: a.reshape(len(a), -1),
        "categorical_crossentropy": lambda y, a: -(y * np.log(a)).sum(axis=1).mean(),
        "tanh_slope": lambda z: 1 - np.tanh(z) ** 2,
        "sigmoid_slope": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    }
    checked = []
    for section in told.sections:
        for row in section.rows:
            symbol, *forms = row.label.replace("new ", "new_").split(" = ")
            for form in forms:
                if not form.startswith("dL/d"):
                    expected = eval(form.replace("'", "_slope"), functions, values)
                    np.testing.assert_allclose(row.value, expected, rtol=1e-9, atol=1e-12, err_msg=row.label)
                    checked.append(row.label)
    assert checked == [
        "Z_1 = conv2d(A_0, W_0) + b_0",
        "A_1 = relu(Z_1)",
        "Z_2 = conv2d(A_1, W_1)",
        "A_2 = linear(Z_2)",
        "A_3 = Flatten(A_2)",
        "Z_4 = A_3 @ W_3 + b_3",
        "A_4 = tanh(Z_4)",
        "Z_5 = A_4 @ W_4",
        "A_5 = sigmoid(Z_5)",
        "Z_6 = A_5 @ W_5 + b_5",
        "A_6 = linear(Z_6)",
        "Z_7 = A_6 @ W_6 + b_6",
        "A_7 = softmax(Z_7)",
        "error = A_7 - y",
        "L = categorical_crossentropy(y, A_7)",
        "dW_6 = A_6.T @ delta_7",
        "db_6 = delta_7.sum(axis=0)",
        "delta_6 = dL/dZ_6 = delta_7 @ W_6.T",
        "dW_5 = A_5.T @ delta_6",
        "db_5 = delta_6.sum(axis=0)",
        "delta_5 = dL/dZ_5 = (delta_6 @ W_5.T) * sigmoid'(Z_5)",
        "dW_4 = A_4.T @ delta_5",
        "delta_4 = dL/dZ_4 = (delta_5 @ W_4.T) * tanh'(Z_4)",
        "dW_3 = A_3.T @ delta_4",
        "db_3 = delta_4.sum(axis=0)",
        "delta_3 = dL/dA_3 = delta_4 @ W_3.T",
        *[f"new {w} = {w} - 0.5 * d{w}" for w in ("W_0", "b_0", "W_1", "W_3", "b_3", "W_4", "W_5", "b_5", "W_6", "b_6")],
    ]


def test_no_formula_where_it_would_not_hold():
    model = fastnn.Sequential(
        [
            layers.Dense(4, activation="softmax", kernel_regularizer="l2", input_shape=(3, 2)),
            layers.Dense(4, activation=lambda z: ops.sin(z) * 2),
            layers.Flatten(),
            layers.Dense(2, kernel_regularizer="l2", activation=lambda z: ops.sin(z)),
            layers.Dense(1),
        ]
    )
    model.compile(optimizers.SGD(0.5, momentum=0.9), "mse")
    told = model.explain(np.ones((2, 3, 2)), [0.5, 1])
    labels = [row.label for section in told.sections for row in section.rows]
    for label in ("delta_1 = dL/dZ_1", "dW_0 = dL/dW_0", "db_0 = dL/db_0", "dW_1 = dL/dW_1", "delta_2 = dL/dZ_2", "dW_3 = dL/dW_3"):
        assert label in labels
    assert "db_3 = delta_4.sum(axis=0)" in labels and "delta_4 = dL/dZ_4" in labels and "new W_3" in labels
    assert {"penalties on weights", "L, the sum of both"} <= set(labels)


def test_the_whole_text():
    assert str(course_network().explain([[1, 0]], [[0]])) == (
        """One training step of 'sequential' with 1 sample; samples lie along the first axis

Input
  A_0  (1, 2)  [[1. 0.]]

Forward, layer 1: dense (Dense)
  W_0                    (2, 2)  [[ 0. -1.]
                                  [ 1.  1.]]
  b_0                    (2,)    [ 1. -1.]
  Z_1 = A_0 @ W_0 + b_0  (1, 2)  [[ 1. -2.]]
  A_1 = linear(Z_1)      (1, 2)  [[ 1. -2.]]

Forward, layer 2: dense_1 (Dense)
  W_1                    (2, 1)  [[ 1.]
                                  [-1.]]
  b_1                    (1,)    [0.]
  Z_2 = A_1 @ W_1 + b_1  (1, 1)  [[3.]]
  A_2 = relu(Z_2)        (1, 1)  [[3.]]

Loss
  y                               (1, 1)  [[0.]]
  error = A_2 - y                 (1, 1)  [[3.]]
  L = half_squared_error(y, A_2)  ()      4.5

Backward, layer 2: dense_1 (Dense)
  delta_2 = dL/dZ_2           (1, 1)  [[3.]]
  dW_1 = A_1.T @ delta_2      (2, 1)  [[ 3.]
                                       [-6.]]
  db_1 = delta_2.sum(axis=0)  (1,)    [3.]

Backward, layer 1: dense (Dense)
  delta_1 = dL/dZ_1 = delta_2 @ W_1.T  (1, 2)  [[ 3. -3.]]
  dW_0 = A_0.T @ delta_1               (2, 2)  [[ 3. -3.]
                                                [ 0.  0.]]
  db_0 = delta_1.sum(axis=0)           (2,)    [ 3. -3.]

Update number 1 by SGD, learning rate 1
  new W_0 = W_0 - 1 * dW_0  (2, 2)  [[-3.  2.]
                                     [ 1.  1.]]
  new b_0 = b_0 - 1 * db_0  (2,)    [-2.  2.]
  new W_1 = W_1 - 1 * dW_1  (2, 1)  [[-2.]
                                     [ 5.]]
  new b_1 = b_1 - 1 * db_1  (1,)    [-3.]"""
    )


def test_precision_and_long_arrays():
    model = fastnn.Sequential([layers.Dense(1, use_bias=False, dtype="float64", input_shape=(500,))])
    model.compile("sgd", "mse")
    model.set_weights([np.full((500, 1), 1 / 3)])
    told = model.explain(np.ones((40, 500)), np.zeros(40), precision=2)
    assert "0.33]" in str(told) and "0.333" not in str(told)
    told.precision = 6
    text = str(told)
    assert "0.333333]" in text and "0.3333333" not in text
    assert "(500, 1)" in text and "(40, 500)" in text and "..." in text
    assert len(text) < 10_000 and max(map(len, text.splitlines())) < 132
    assert repr(told).startswith("<Explanation: One training step of 'sequential' with 40 samples")
    images = rich_model("sgd").explain(*digits())
    assert len(str(images).splitlines()) < 450 and "\n\n   " not in str(images)


class Table(HTMLParser):
    """Reads rows of cells, checks that tags are closed, and notes all tags."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.open, self.tags = [], [], set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "tr" in self.open:
            self.rows[-1][-1] += data


def test_the_table_has_the_numbers_of_the_text():
    told = course_network().explain([[1, 0]], [[0]])
    table = Table(told._repr_html_())
    assert ["Z1 = A0 @ W0 + b0", "(1, 2)", "[[ 1. -2.]]"] in table.rows
    assert ["dW1 = A1T @ δ2", "(2, 1)", "[[ 3.]\n [-6.]]"] in table.rows
    assert ["new W1 = W1 - 1 * dW1", "(2, 1)", "[[-2.]\n [ 5.]]"] in table.rows
    assert [row[0] for row in table.rows if len(row) == 1] == [section.title for section in told.sections]
    assert sum(len(row) == 3 for row in table.rows) == sum(len(section.rows) for section in told.sections)


def test_the_table_escapes_every_name():
    evil = "<script>alert('&')</script>"

    def named(function):
        function.__name__ = evil
        return function

    class Scale(layers.Layer):
        def build(self, input_shape):
            self.factor = self.add_weight((1,), "ones", name=evil)

        def call(self, x):
            return x * self.factor

    Scale.__name__ = evil
    model = fastnn.Sequential(name=evil)
    model.add(layers.Dense(2, name=evil, activation=named(lambda z: z * 1.0), input_shape=(2,)))
    model.add(Scale(name="scale"))
    model.compile(type(evil, (optimizers.SGD,), {})(0.1), named(lambda y, p: ops.sum(ops.square(p - y), axis=-1)))
    text = model.explain([[1, 2]], [[1, 2]])._repr_html_()
    table = Table(text)
    assert table.tags == {"table", "caption", "tbody", "tr", "th", "td", "pre", "sub", "sup"}
    cells = " ".join(cell for row in table.rows for cell in row)
    assert cells.count(evil) >= 8
    assert "<script" not in text


def test_where_the_loss_goes_round_a_softmax_layer():
    model = fastnn.Sequential([layers.Dense(3, input_shape=(2,)), layers.Softmax()])
    model.compile("sgd", "sparse_categorical_crossentropy")
    told = model.explain([[1, 2]], [1])
    assert told.layers[1].delta is None
    assert "none: L is computed from A_1, the logits" in str(told)
    np.testing.assert_allclose(told.layers[0].delta, told.error, rtol=1e-5)


def test_no_error_of_logits_or_of_targets_of_another_form():
    model = fastnn.Sequential([layers.Dense(3, input_shape=(2,))])
    model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    told = model.explain([[1, 2]], [1])
    assert told.error is None and "error" not in str(told)


def test_layers_that_are_made_of_layers_and_built_late():
    class Block(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first, self.second = layers.Conv2D(2, 1, activation="relu"), layers.Conv2D(2, 1)
            self.calls = 0

        def call(self, x):
            self.calls += 1
            return self.second(self.first(x))

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 2)

    model = fastnn.Sequential([layers.Input((None, None, 3)), Block(), layers.GlobalAveragePooling2D()])
    model.compile(optimizers.SGD(0.5), "mse")
    told = model.explain(np.random.default_rng(0).normal(size=(2, 4, 4, 3)), np.zeros((2, 2)))
    block = told.layers[0]
    assert block.Z is None and list(block.weights) == ["kernel", "bias", "kernel_1", "bias_1"]
    for weight, variable in zip(block.weights.values(), model.weights, strict=True):
        np.testing.assert_array_equal(weight.value, variable.numpy())
        np.testing.assert_allclose(weight.updated, weight.value - 0.5 * weight.gradient, rtol=1e-6)
    calls = model.layers[0].calls
    model.explain(np.ones((2, 4, 4, 3)), np.zeros((2, 2)))
    assert model.layers[0].calls == calls + 1  # only that which builds what is not built


def test_an_activation_with_weights_of_its_own():
    model = fastnn.Sequential([layers.Dense(4, activation=layers.PReLU("ones", "l2"), dtype="float64", input_shape=(3,))])
    model.compile("sgd", "mse")
    told = model.explain(np.random.default_rng(0).normal(size=(2, 3)), np.zeros((2, 4)))
    step = told.layers[0]
    assert list(step.weights) == ["kernel", "bias", "alpha"] and step.weights["alpha"].symbol == "alpha_0"
    np.testing.assert_allclose(step.A, step.Z, rtol=1e-6)  # alpha is 1
    expected = (np.minimum(step.Z, 0) * 2 * step.A / 8).sum(axis=0) + 2 * 0.01
    np.testing.assert_allclose(step.weights["alpha"].gradient, expected, rtol=1e-5)
    assert told.penalty == pytest.approx(0.04)


def test_an_activation_in_the_midst_of_a_layer_is_not_its_last_step():
    class Gate(layers.Layer):
        def build(self, input_shape):
            self.activation = fastnn.activations.get("sigmoid")
            self.w = self.add_weight((input_shape[-1],), "ones", name="w")

        def call(self, x):
            return x * self.activation(x * self.w)

    model = fastnn.Sequential([Gate(input_shape=(3,))])
    model.compile("sgd", "mse")
    told = model.explain(np.ones((1, 3)), np.zeros((1, 3)))
    assert told.layers[0].Z is None and told.layers[0].delta.shape == (1, 3)


def test_bytes_weights_without_gradient_and_models_without_weights():
    class Idle(layers.Layer):
        def build(self, input_shape):
            self.unused = self.add_weight((2,), "ones", name="unused")

        def call(self, x):
            return x

    model = fastnn.Sequential([layers.Flatten(input_shape=(2, 2)), layers.Rescaling(1 / 255), Idle(), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match=r"no gradient for the variables \['unused'\]"):
        told = model.explain(np.full((1, 2, 2), 255, np.uint8), [1])
    np.testing.assert_array_equal(told.layers[0].A, np.full((1, 4), 255, np.float32))
    np.testing.assert_array_equal(told.layers[1].A, np.ones((1, 4), np.float32))
    assert told.layers[2].weights["unused"].gradient is None
    bare = fastnn.Sequential([layers.Flatten(input_shape=(2, 2))])
    bare.compile("sgd", "mse")
    told = bare.explain(np.ones((1, 2, 2)), np.zeros((1, 4)))
    assert told.loss == 1 and told.layers[0].delta.tolist() == [[0.5] * 4]
    assert not any(section.title.startswith("Update") for section in told.sections)


def test_the_story_keeps_its_own_numbers():
    x, y = np.array([[1.0, 0.0]]), np.array([[0.0]])
    model = course_network("mse")
    told = model.explain(x, y)
    text = str(told)
    x[:], y[:] = 7, 7
    model.train_on_batch(x, y)
    assert str(told) == text and told.x.tolist() == [[1, 0]] and told.layers[0].W.tolist() == [[0, -1], [1, 1]]


def test_what_cannot_be_explained_is_an_error():
    model = fastnn.Sequential([layers.Dense(1, input_shape=(2,))])
    with pytest.raises(RuntimeError, match="compile"):
        model.explain([[1, 2]], [1])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"x must have shape \(n, 2\)"):
        model.explain([[1, 2, 3]], [1])
    with pytest.raises(ValueError, match="x has no samples"):
        model.explain(np.ones((0, 2)), np.ones((0, 1)))


def test_an_outer_tape_still_has_its_gradient():
    model = course_network()
    with fastnn.GradientTape() as tape:
        y = model([[1.0, 0.0]]) * Variable(2.0, dtype="float64")
    model.explain([[1, 0]], [[0]])
    assert tape.gradient(y, model.layers[1].kernel).numpy().tolist() == [[2], [-4]]
