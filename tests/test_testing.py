"""`fastnn.testing`: right gradients pass, planted mistakes are found and named."""

import inspect

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.autodiff import Tensor, Variable, record
from fastnn.layers.augmentation import RandomImageLayer
from fastnn.testing import GradientError, check_layer, gradcheck

pytestmark = pytest.mark.usefixtures("fresh")


def cube(x, factor=3.0, where=None):
    """x**3 as an op of its own, whose VJP is right for factor 3; `where` limits a wrong factor to one element."""
    x = ops.cast(x, "float64")

    def vjp(dy, needs):
        factors = np.full(x.shape, 3.0 if where is not None else factor)
        if where is not None:
            factors[where] = factor
        return (dy * Tensor(factors) * x * x,)

    return record("cube", (x,), Tensor(x.data**3), vjp)


# --------------------------------------------------------------------- gradcheck


@pytest.mark.parametrize(
    ("f", "inputs"),
    [
        (lambda x: x, 2.0),
        (cube, np.array([[1.0, -2.0], [0.0, 4.0]])),
        (lambda x: 3.0 * x[1], np.arange(3, dtype=np.float32)),
        (ops.softmax, np.array([[0.3, -1, 2]])),
        (lambda x, w, b: ops.dense(x, w, b, "tanh"), [[[1, 2]], [[0.1, -0.4], [0.3, 0.2]], [0.5, -0.5]]),
        (lambda x, y: x / y, (Tensor(np.array([1.0, 2.0])), np.array([1e6, -3e-3]))),
        (lambda x, y: x, [1.0, 2.0]),  # no path from y, and a slope of 0
        (ops.relu, np.array([1.0, -1.0])),
        (lambda x: ops.getitem(x, slice(0, 0)), np.ones(3)),
        (ops.exp, np.ones((0, 2))),
        (ops.square, [Variable([[1.0, 2.0]], dtype="float64")]),
    ],
)
def test_right_gradients_pass(f, inputs):
    assert gradcheck(f, inputs) is True


@pytest.mark.parametrize("factor", [0.0, 2.0, 3.001, -3.0, np.nan])
def test_a_wrong_vjp_is_found(factor):
    with pytest.raises(GradientError):
        gradcheck(lambda x: cube(x, factor), np.array([[1.0, -2.0], [0.5, 4.0]]))


def test_the_worst_element_is_named():
    x, w = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, 1.5]]), np.array([2.0])
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda w, x: ops.sum(cube(x, 4.5, where=(slice(None), 2)) * w), [w, x])
    error = caught.value
    assert isinstance(error, AssertionError)
    assert error.input == "inputs[1]" and error.index == (0, 2)  # error 81 * 2, at (1, 2) a quarter of it
    assert error.analytic == pytest.approx(2 * 4.5 * 9) and error.numeric == pytest.approx(2 * 3 * 9, rel=1e-8)
    assert error.relative_error == pytest.approx(1 / 3, rel=1e-6)
    assert str(error).splitlines() == [
        "the gradient of f is not that of central differences in",
        "  2 of 6 elements of inputs[1], shape (2, 3)",
        f"worst: element [0, 2] of inputs[1], at 3: tape 81, central differences {error.numeric:.10g}, "
        "relative error 0.333 (rtol 1e-05, atol 1e-07)",
    ]


def test_every_wrong_input_is_counted():
    def f(x, y, z):
        return cube(x, 2.0) + cube(y) + cube(z, 3.1)

    with pytest.raises(GradientError) as caught:
        gradcheck(f, [np.ones(3), np.ones(3), np.array([1.0, 0.0, 1.0])])
    lines = str(caught.value).splitlines()
    assert lines[0] == "the gradient of the weighted sum of f is not that of central differences in"
    assert lines[1:3] == ["  3 of 3 elements of inputs[0], shape (3,)", "  2 of 3 elements of inputs[2], shape (3,)"]
    assert caught.value.input == "inputs[0]"


def test_a_scalar_input_has_no_index():
    with pytest.raises(GradientError) as caught:
        gradcheck(lambda x: cube(x, 2.0), 2.0)
    assert "1 of 1 elements of inputs[0], shape ()\nworst: inputs[0], at 2: tape 8, " in str(caught.value)
    assert caught.value.index == ()


def test_a_path_that_left_the_tape_is_named():
    with pytest.raises(GradientError, match=r"no path from inputs\[1\] to the result"):
        gradcheck(lambda x, y: x * Tensor(np.sin(y.data)), [1.0, 2.0])


def test_a_kink_is_named():
    with pytest.raises(GradientError, match=r"the slope is 0 on the left and 1 on the right: a kink"):
        gradcheck(lambda x: ops.relu(x)[1], np.array([3.0, 0.0]))
    for smooth, x in ((lambda x: cube(x, 2.0), 1.0), (lambda x: record("", (x,), Tensor(x.data**2), lambda dy, _: (dy,)), 0.0)):
        with pytest.raises(GradientError) as caught:
            gradcheck(smooth, x)
        assert "kink" not in str(caught.value)


def test_weights_are_not_all_alike():
    """The sum of a softmax is constant: with ones for weights, a VJP that returns 0 would pass."""

    def softmax(x):
        return record("softmax", (x,), Tensor(ops.softmax(x).data), lambda dy, needs: (dy * 0.0,))

    with pytest.raises(GradientError):
        gradcheck(softmax, np.array([[0.1, 0.2, 0.3]]))


def test_tolerances():
    def f(x):
        return cube(x, 3.01)

    assert gradcheck(f, 2.0, rtol=0.01)
    assert gradcheck(f, 2.0, atol=0.1)
    with pytest.raises(GradientError, match=r"rtol 0\.001, atol 0\.01"):
        gradcheck(f, 2.0, rtol=1e-3, atol=1e-2)
    assert gradcheck(lambda x: x * 0.0, 1.0, rtol=0.0, atol=0.0)
    with pytest.raises(GradientError):  # the error of a wide step: eps**2
        gradcheck(cube, 1.0, eps=0.1)


def test_inputs_have_their_values_back():
    x, t, v = np.array([1.0, 2.0]), Tensor(np.array([3.0, 0.1])), Variable([0.7, 0.3], dtype="float64", trainable=False)
    before = [x.tobytes(), t.data.tobytes(), v.data.tobytes()]
    assert gradcheck(lambda x, t, v: x * t * v, [x, t, v])

    def fails_later(x):
        fails_later.calls += 1
        if fails_later.calls == 4:
            raise ArithmeticError
        return x * v

    fails_later.calls = 0
    with pytest.raises(ArithmeticError):
        gradcheck(lambda w: fails_later(w), [v])
    assert [x.tobytes(), t.data.tobytes(), v.data.tobytes()] == before


def test_a_variable_that_the_function_closes_over():
    w = Variable(np.array([[0.3], [0.4]]))
    assert gradcheck(lambda x, _: ops.tanh(x @ w), [[[1.0, 2.0]], w])


def test_a_tape_from_before_knows_that_a_variable_was_shifted():
    v = Variable(2.0, dtype="float64")
    with fastnn.GradientTape() as tape:
        y = v * v
    gradcheck(ops.square, [v])
    with pytest.raises(RuntimeError, match="new values"):
        tape.gradient(y, v)


@pytest.mark.parametrize(
    ("f", "inputs", "error", "message"),
    [
        ([1.0], ops.square, TypeError, "f must be a function of tensors; got list"),
        (ops.square, [], ValueError, "inputs must be an array, or a list of at least one"),
        (ops.square, ["a"], TypeError, r"inputs\[0\] must be real numbers"),
        (ops.square, [1.0, np.array([1j])], TypeError, r"inputs\[1\] must be real numbers; got dtype complex128"),
        (ops.square, [np.array([True])], TypeError, "got dtype bool"),
        (ops.square, [Variable(1.0)], TypeError, r"inputs\[0\] must be of float64.*got a variable of float32"),
        (lambda x: np.sin(x.data), 1.0, TypeError, "f must return a Tensor made of fastnn.ops; got float64"),
        (lambda x: ops.cast(x, "float32"), 1.0, TypeError, "must compute in float64.*it returns float32"),
        (lambda x: layers.Dense(2)(x), np.ones((1, 3)), TypeError, "Layers need dtype='float64'"),
        (ops.log, 0.0, ValueError, "f must be finite at the inputs"),
        (lambda x: x * np.random.default_rng().normal(), 1.0, ValueError, "f must return the same for the same inputs"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_cannot_be_checked_is_an_error(f, inputs, error, message):
    with pytest.raises(error, match=message):
        gradcheck(f, inputs)


def test_central_differences_that_leave_the_domain_are_no_agreement():
    with np.errstate(invalid="ignore"), pytest.raises(GradientError, match="central differences nan"):
        gradcheck(ops.sqrt, 1e-8)


# ------------------------------------------------------------------- check_layer

LAYERS = [
    (layers.Dense(3, "relu", kernel_regularizer="l2"), (4,)),
    (layers.Dense(2, layers.PReLU(), dtype="float64"), (2, 3)),
    (layers.Conv2D(2, 3, 2, "same", activation="gelu"), (4, 3, 2)),
    (layers.Conv2D(2, 2, data_format="channels_first", use_bias=False), (2, 3, 4)),
    (layers.DepthwiseConv2D(2, depth_multiplier=2), (3, 3, 2)),
    (layers.SeparableConv2D(3, 2, activation="softmax"), (3, 4, 2)),
    (layers.MaxPooling2D(), (4, 4, 2)),
    (layers.AveragePooling2D(2, 1, "same"), (3, 3, 1)),
    (layers.GlobalAveragePooling2D(), (3, 3, 2)),
    (layers.GlobalMaxPooling2D(), (3, 3, 2)),
    (layers.BatchNormalization(), (4,)),
    (layers.LayerNormalization(trainable=False), (4,)),
    (layers.Dropout(0.4), (5,)),
    (layers.Flatten(), (2, 3)),
    (layers.Reshape((-1, 2)), (2, 3)),
    (layers.Rescaling([0.5, 2.0], 1.0), (2,)),
    (layers.Activation("silu"), (3,)),
    (layers.ReLU(1.0, 0.2), (3,)),
    (layers.LeakyReLU(), (3,)),
    (layers.ELU(), (3,)),
    (layers.PReLU(), (3,)),
    (layers.Softmax(axis=1), (2, 3)),
    (layers.Sigmoid(), (3,)),
    (layers.BipolarSigmoid(), (3,)),
    (layers.Tanh(), (3,)),
    (layers.Input((3,)), (3,)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_the_layers_of_this_package_pass(layer, shape):
    assert check_layer(layer, shape) is True


def test_there_is_a_case_for_every_layer():
    classes = {c for c in vars(layers).values() if inspect.isclass(c) and issubclass(c, layers.Layer)} - {layers.Layer}
    without_derivative = {c for c in classes if issubclass(c, RandomImageLayer)}
    assert {type(layer) for layer, _ in LAYERS} == classes - without_derivative


def test_the_layer_itself_stays_as_it_is():
    layer = layers.BatchNormalization()
    layer(np.ones((2, 4)))
    before = [array.tobytes() for array in layer.get_weights()]
    check_layer(layer, (3,))
    assert [array.tobytes() for array in layer.get_weights()] == before and layer.input_shape == (None, 4)
    unbuilt = layers.Dense(2)
    check_layer(unbuilt, (3,))
    assert not unbuilt.built


class Scale(layers.Layer):
    """A factor per feature; the planted mistakes are in subclasses."""

    def build(self, input_shape):
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        self.offset = self.add_weight((input_shape[-1],), "zeros", name="offset")

    def call(self, x):
        return x * self.factor + self.offset

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


def test_a_right_layer_of_ones_own_passes():
    assert check_layer(Scale(), (4,))
    assert check_layer(Scale(), (2, 4))


def test_a_wrong_gradient_by_a_weight_is_named():
    class Wrong(Scale):
        def call(self, x):
            y = Tensor(x.data * self.factor.data)
            return record("scale", (x, self.factor), y, lambda dy, needs: (dy * self.factor, ops.sum(dy, 0))) + self.offset

    with pytest.raises(GradientError) as caught:
        check_layer(Wrong(), (2,))
    message = str(caught.value)
    assert message.startswith("the gradient of the weighted sum of layer 'wrong' (Wrong) with training=False is not that of")
    assert "2 of 2 elements of factor (trainable_weights[0]), shape (2,)" in message
    assert "the input" not in message and "offset" not in message


def test_a_wrong_gradient_by_the_input_in_training_alone_is_named():
    class Wrong(Scale):
        def call(self, x, training=False):
            y = super().call(x)
            return record("identity", (y,), Tensor(y.data), lambda dy, needs: (-dy,)) if training else y

    with pytest.raises(GradientError, match=r"with training=True is not .*\n  6 of 6 elements of the input, shape \(3, 2\)"):
        check_layer(Wrong(), (2,))


@pytest.mark.parametrize(
    ("wrong_shape", "said"),
    [
        (lambda shape: (*shape[:-1], shape[-1] + 1), r"\(3, 5\)"),
        (lambda shape: (3, *shape[1:]), r"\(None, 4\).* says \(3, 4\)"),
    ],
)
def test_a_wrong_output_shape_is_named(wrong_shape, said):
    class Wrong(Scale):
        def compute_output_shape(self, input_shape):
            return wrong_shape(input_shape)

    with pytest.raises(AssertionError, match=rf"compute_output_shape\(.*{said}.*call returns \(3, 4\)"):
        check_layer(Wrong(), (4,))


def test_a_configuration_that_loses_something_is_named():
    class Forgetful(Scale):
        def __init__(self, power=1.0, **kwargs):
            super().__init__(**kwargs)
            self.power = power

        @classmethod
        def from_config(cls, config):
            return super().from_config({key: value for key, value in config.items() if key != "power"})

    class Incomplete(Scale):
        def __init__(self, power, **kwargs):
            super().__init__(**kwargs)
            self.power = power

        def get_config(self):
            return {"name": self.name}

    class Secretive(Scale):
        def __init__(self, power, **kwargs):
            super().__init__(**kwargs)
            self._power = power

    assert check_layer(Forgetful(), (2,))
    with pytest.raises(AssertionError, match=r"changes the configuration of layer .* \(Forgetful\): 'power' from 2\.0 to 1\.0"):
        check_layer(Forgetful(2.0), (2,))
    with pytest.raises(AssertionError, match=r"\(Incomplete\) cannot be made again by from_config\(get_config\(\)\): .*power"):
        check_layer(Incomplete(2.0), (2,))
    with pytest.raises(AssertionError, match=r"\(Secretive\) cannot be made again .*no attribute of that name"):
        check_layer(Secretive(2.0), (2,))


def test_state_starts_the_same_for_every_call():
    class Noisy(Scale):
        """Multiplies with numbers of a generator in training, and counts its calls in a layer within."""

        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.generator = np.random.default_rng(5)
            self.normalization = layers.BatchNormalization(dtype=self.dtype)
            self.dropout = layers.Dropout(0.5, dtype=self.dtype)

        def call(self, x, training=False):
            x = self.dropout(self.normalization(super().call(x)))
            return x * Tensor(self.generator.normal(size=x.shape)) if training else x

    assert check_layer(Noisy(), (3,))


def test_what_cannot_be_checked_of_a_layer_is_an_error():
    class Float32Inside(Scale):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = layers.Dense(2)

        def call(self, x):
            return self.inner(x)

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 2)

    class Random(Scale):
        def call(self, x):
            return x * np.random.default_rng().normal()

    with pytest.raises(TypeError, match="layer must be a fastnn.layers.Layer; got <function relu"):
        check_layer(ops.relu, (2,))
    with pytest.raises(ValueError, match="must be known in all axes"):
        check_layer(Scale(), (None, 2))
    with pytest.raises(
        TypeError, match=r"kernel \(trainable_weights\[2\]\) must be of float64.*layers in the layer dtype=self.dtype"
    ):
        check_layer(Float32Inside(), (2,))
    with pytest.raises(ValueError, match="layer 'random' .* must return the same for the same inputs"):
        check_layer(Random(), (2,))
