"""Every op's values and derivatives: against central differences, NumPy and numbers worked by hand."""

from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import pytest

from fastnn import ops
from fastnn.autodiff import GradientTape, Tensor, Variable, constant
from fastnn.kernels import table


@dataclass
class Case:
    """A function of tensors made of one op, and where to differentiate it."""

    op: str
    function: Any
    inputs: tuple
    orders: int = 2  # of derivatives promised

    def __str__(self):
        return self.op


SEEDS = count()


def values(*shape, low=-2.0, high=2.0, away_from=()):
    """Return numbers drawn anew at each call, none within 0.05 of the points where a derivative jumps."""
    rng = np.random.default_rng([2024, next(SEEDS)])
    x = rng.uniform(low, high, shape)
    for point in away_from:
        near = np.abs(x - point) < 0.05
        x[near] = point + 0.1
    return x


def distinct(*shape):
    """Return numbers at least 0.1 apart, in random order."""
    n = int(np.prod(shape))
    return 0.1 * np.random.default_rng(n).permutation(n).reshape(shape) - 0.05 * n


def probabilities(*shape):
    p = values(*shape, low=0.1, high=1.0)
    return p / p.sum(-1, keepdims=True)


A = values(3, 4)
SIGNS = np.sign(values(5, 3))
IMAGES = values(2, 5, 4, 3)
IMAGES_FIRST = values(2, 3, 5, 4)
SEED = 77
LABELS = np.array([0, 3, 1, 1, 2], np.int32)

unary = [
    *(
        Case(name, getattr(ops, name), (values(3, 4),))
        for name in ("negative", "exp", "expm1", "square", "sin", "cos", "tanh", "sigmoid", "bipolar_sigmoid", "softplus", "silu")
    ),
    Case("tan", ops.tan, (values(5, low=-1, high=1),)),
    *(Case(name, getattr(ops, name), (values(3, 4, low=0.3),)) for name in ("log", "sqrt", "log1p")),
    *(Case(name, getattr(ops, name), (values(3, 4, away_from=[0]),)) for name in ("abs", "relu", "leaky_relu", "elu", "selu")),
    Case("gelu", ops.gelu, (values(5),)),
    Case("elu", lambda x: ops.elu(x, 0.3), (values(7, away_from=[0]),)),
    Case("leaky_relu", lambda x: ops.leaky_relu(x, 0.3), (values(7, away_from=[0]),)),
    Case("clip", lambda x: ops.clip(x, -0.5, 1.0), (values(12, away_from=[-0.5, 1.0]),)),
    Case("rescale", lambda x: ops.rescale(x, -2.5, 0.5), (values(3, 4),)),
    Case("softmax", ops.softmax, (values(3, 4),)),
    Case("softmax", lambda x: ops.softmax(x, axis=1), (values(2, 3, 2),)),
    Case("log_softmax", ops.log_softmax, (values(3, 4),)),
    Case("log_softmax", lambda x: ops.log_softmax(x, axis=0), (values(3, 2),)),
    Case("cast", lambda x: ops.cast(x, "float64"), (values(3),)),
]
binary = [
    *(
        Case(name, getattr(ops, name), inputs)
        for name in ("add", "subtract", "multiply")
        for inputs in (
            (values(3, 4), values(3, 4)),
            (values(3, 4), values(4)),
            (values(3, 1), values(2, 1, 4)),
            (values(3), values()),
        )
    ),
    Case("add", lambda x: ops.add(x, x), (values(3),)),
    Case("multiply", lambda x: ops.multiply(x, 2.0), (values(3),)),
    Case("divide", ops.divide, (values(3, 4), values(4, low=0.5))),
    Case("divide", ops.divide, (values(1), values(2, 3, low=0.5))),
    Case("power", ops.power, (values(3, 4, low=0.3), values(4))),
    Case("power", lambda x: ops.power(x, 3), (values(3, 4),)),
    Case("pow", lambda x: ops.pow(x, np.array([0.0, 1.0, 2.0])), (values(2, 3),)),
    Case("power", lambda x: 2**x, (values(3),)),
    Case("maximum", ops.maximum, (distinct(3, 4), values(4) * 0.01 + 0.02)),
    Case("minimum", ops.minimum, (distinct(3, 4), values(4) * 0.01 + 0.02)),
    Case("where", lambda a, b: ops.where(A > 0, a, b), (values(3, 4), values(4))),
    Case("prelu", ops.prelu, (values(3, 4, away_from=[0]), values(4))),
    Case("prelu", ops.prelu, (values(3, 2, 4, away_from=[0]), values(1, 4))),
    Case("prelu", ops.prelu, (values(3, 2, 4, away_from=[0]), values(2, 1))),
]
reductions = [
    *(
        Case(name, function, (distinct(2, 3, 4),))
        for name in (
            "sum",
            "mean",
            "max",
            "min",
            "var",
            "std",
            "logsumexp",
            "reduce_sum",
            "reduce_mean",
            "reduce_max",
            "reduce_min",
        )
        for function in (
            getattr(ops, name),
            partial(getattr(ops, name), axis=1),
            partial(getattr(ops, name), axis=(0, -1), keepdims=True),
        )
    ),
]
shapes = [
    Case("reshape", lambda x: ops.reshape(x, (2, -1)), (values(3, 4),)),
    Case("expand_dims", lambda x: ops.expand_dims(x, 1), (values(3, 4),)),
    Case("squeeze", ops.squeeze, (values(3, 1, 2, 1),)),
    Case("squeeze", lambda x: ops.squeeze(x, 1), (values(3, 1, 2, 1),)),
    Case("broadcast_to", lambda x: ops.broadcast_to(x, (2, 3, 4)), (values(3, 1),)),
    Case("transpose", ops.transpose, (values(2, 3),)),
    Case("transpose", ops.transpose, (values(2, 3, 4),)),
    Case("transpose", lambda x: ops.transpose(x, (0, 2, 3, 1)), (values(2, 3, 2, 2),)),
    Case("transpose", lambda x: ops.transpose(x, (1, 0, 2)), (values(2, 3, 2),)),
    Case("swapaxes", lambda x: ops.swapaxes(x, -3, -1), (values(2, 3, 4),)),
    Case("moveaxis", lambda x: ops.moveaxis(x, 0, -1), (values(2, 3, 4),)),
    Case("moveaxis", lambda x: ops.moveaxis(x, -1, 1), (values(2, 3, 4),)),
    Case("getitem", lambda x: x[1], (values(3, 4),)),
    Case("getitem", lambda x: x[..., ::-2], (values(3, 4),)),
    Case("getitem", lambda x: x[np.array([0, 2, 0]), 1], (values(3, 4),)),
    Case("getitem", lambda x: ops.getitem(x, constant([[0, 1], [1, 1]])), (values(3, 2),)),
    Case("getitem", lambda x: x[A > 0], (values(3, 4),)),
    Case("concatenate", lambda a, b: ops.concatenate([a, b, a]), (values(2, 1), values(2, 3))),
    Case("concatenate", lambda a, b: ops.concatenate([a, b], axis=0), (values(2, 3), values(1, 3))),
    Case("stack", lambda a, b: ops.stack([a, b]), (values(2, 3), values(2, 3))),
    Case("stack", lambda a, b: ops.stack([a, b], axis=-1), (values(2, 3), values(2, 3))),
]
FUSED = ("relu", "sigmoid", "tanh", "bipolar_sigmoid", "elu", "selu", "softplus", "leaky_relu", "linear")
linear = [
    Case("dense", ops.dense, (values(3, 4), values(4, 2), values(2))),
    Case("dense", ops.dense, (values(3, 4), values(4, 2))),
    *(Case("dense", lambda x, w, b, f=f: ops.dense(x, w, b, activation=f), (values(2, 3), values(3, 2), values(2))) for f in FUSED),
    Case("dense", lambda x, w, b: ops.dense(x, w, b, "elu", 0.4), (values(2, 3), values(3, 2), values(2))),
    Case("matmul", ops.matmul, (values(3, 4), values(4, 2))),
    Case("matmul", ops.matmul, (values(4), values(4, 2))),
    Case("matmul", ops.matmul, (values(3, 4), values(4))),
    Case("matmul", ops.matmul, (values(4), values(4))),
    Case("matmul", ops.matmul, (values(2, 1, 3, 2), values(3, 2, 2))),
    Case("matmul", ops.matmul, (values(2, 3, 2), values(2))),
]


def conv(**options):
    return lambda x, w, b=None: ops.conv2d(x, w, b, **options)


convolutions = [
    Case("conv2d", conv(), (IMAGES, values(2, 3, 3, 2), values(2))),
    Case("conv2d", conv(padding="same", activation="tanh"), (IMAGES, values(3, 3, 3, 2), values(2))),
    Case("conv2d", conv(stride=2, padding=1, dilation=2), (IMAGES, values(2, 2, 3, 2))),
    Case("conv2d", conv(groups=3, padding=((0, 1), (2, 0))), (IMAGES, values(2, 2, 1, 3), values(3))),
    Case("conv2d", conv(data_format="channels_first", stride=(2, 1)), (IMAGES_FIRST, values(2, 3, 2, 2), values(2))),
]
POOLED, POOLED_FIRST = distinct(2, 5, 4, 2), distinct(2, 2, 5, 4)
pooling = [
    *(
        case
        for name in ("maxpool2d", "avgpool2d")
        for pool in (getattr(ops, name),)
        for case in (
            Case(name, pool, (POOLED,)),
            Case(name, lambda x, p=pool: p(x, 3, 1, "same"), (POOLED,)),
            Case(name, lambda x, p=pool: p(x, (2, 3), data_format="channels_first"), (POOLED_FIRST,)),
        )
    ),
    *(
        case
        for name in ("global_avgpool2d", "global_maxpool2d")
        for pool in (getattr(ops, name),)
        for case in (Case(name, pool, (POOLED,)), Case(name, lambda x, p=pool: p(x, "channels_first"), (POOLED_FIRST,)))
    ),
]
MEAN, VARIANCE = values(3), values(3, low=0.5)
norms = [
    Case("batchnorm", lambda *a: ops.batchnorm(*a)[0], (values(6, 3), values(3), values(3)), orders=1),
    Case("batchnorm", lambda *a: ops.batchnorm(*a, eps=0.1)[0], (IMAGES, values(3), values(3)), orders=1),
    Case(
        "batchnorm", lambda *a: ops.batchnorm(*a, data_format="channels_first")[0], (IMAGES_FIRST, values(3), values(3)), orders=1
    ),
    Case("batchnorm_inference", lambda *a: ops.batchnorm_inference(*a, MEAN, VARIANCE), (values(4, 3), values(3), values(3))),
    Case("batchnorm_inference", lambda *a: ops.batchnorm_inference(*a, MEAN, VARIANCE), (IMAGES, values(3), values(3))),
    Case(
        "batchnorm_inference",
        lambda *a: ops.batchnorm_inference(*a, MEAN, VARIANCE, data_format="channels_first"),
        (IMAGES_FIRST, values(3), values(3)),
    ),
    Case("layernorm", ops.layernorm, (values(4, 5), values(5), values(5)), orders=1),
    Case("layernorm", ops.layernorm, (values(2, 3, 4), values(4), values(4)), orders=1),
    Case("dropout", lambda x: ops.dropout(x, 0.4, SEED), (values(4, 5),)),
]
T = values(5, 3)
losses = [
    *(Case(name, partial(getattr(ops, name), target=T), (T + 0.3 + distinct(5, 3),)) for name in ("mse", "mae")),
    Case("mse", lambda p: ops.mse(p, T[:, 0]), (values(5),)),
    Case("mse", lambda p: ops.mse(p, T.reshape(5, 1, 3)), (values(5, 1, 3),)),
    Case("huber", lambda p: ops.huber(p, T), (T + values(5, 3, away_from=[-1, 0, 1]),)),
    Case("huber", lambda p: ops.huber(p, T, 0.5), (T + values(5, 3, away_from=[-0.5, 0, 0.5]),)),
    Case("hinge", lambda p: ops.hinge(p, SIGNS), (values(5, 3, away_from=[-1, 1]),)),
    Case("perceptron", lambda p: ops.perceptron(p, SIGNS), (values(5, 3, away_from=[0]),)),
    Case("sigmoid_xent", lambda p: ops.sigmoid_xent(p, SIGNS > 0), (values(5, 3),)),
    Case("sigmoid_xent", lambda p: ops.sigmoid_xent(p, SIGNS[:, 0] > 0), (values(5),)),
    Case("half_poisson", lambda p: ops.half_poisson(p, 4.0 * (SIGNS > 0)), (values(5, 3),)),
    Case("binary_xent", lambda p: ops.binary_xent(p, SIGNS > 0), (values(5, 3, low=0.1, high=0.9),)),
    Case("xent", lambda p: ops.xent(p, ops.one_hot(LABELS, 4)), (probabilities(5, 4),)),
    Case("softmax_xent", lambda z: ops.softmax_xent(z, LABELS), (values(5, 4),)),
    Case("softmax_xent", partial(ops.softmax_xent, target=1.5 * probabilities(5, 4)), (values(5, 4),)),
    Case("weighted_mean", ops.weighted_mean, (values(6),)),
    Case("weighted_mean", ops.weighted_mean, (values(6), values(6))),
    Case("penalty", lambda w: ops.penalty(w, 0.3, 0.2), (values(3, 4, away_from=[0]),)),
]
CASES = [*unary, *binary, *reductions, *shapes, *linear, *convolutions, *pooling, *norms, *losses]
#: ops whose result does not vary with their input, or not continuously, or that are for images as they come
NO_DERIVATIVE = {
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "sign", "argmax", "argmin", "one_hot"),
    *("stop_gradient", "zeros", "ones", "zeros_like", "ones_like", "convert_to_tensor", "convert_to_numpy"),
    *("affine_warp", "contrast_brightness"),
}


def test_every_op_has_a_gradient_case():
    assert {case.op for case in CASES} | NO_DERIVATIVE == set(ops.__all__)
    assert all(hasattr(ops, name) for name in ops.__all__)


def slope(function, inputs, which, direction, h=1e-3):
    """Return the derivative of sum(function * direction) by one input: central differences of fourth order."""
    result = np.empty(inputs[which].shape)
    for index in np.ndindex(result.shape):

        def at(step, index=index):
            moved = [np.array(x) for x in inputs]
            moved[which][index] += step
            return (function(*map(Tensor, moved)).data * direction).sum()

        result[index] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    return result


def check(function, inputs, tolerance):
    """Compare the gradient by every input with central differences, relative to the largest of it."""
    variables = [Variable(x) for x in inputs]
    with GradientTape() as tape:
        y = function(*variables)
    direction = np.random.default_rng(5).uniform(0.5, 1.5, y.shape)
    gradients = tape.gradient(y, variables, Tensor(direction), unconnected_gradients="zero")
    for which, gradient in enumerate(gradients):
        assert gradient.shape == inputs[which].shape
        assert gradient.dtype == np.float64
        expected = slope(function, inputs, which, direction)
        error = np.abs(gradient.data - expected).max() / max(np.abs(expected).max(), 1e-2)
        assert error <= tolerance, f"input {which}: relative error {error}\n{gradient.data}\n{expected}"


def derivative(function, which):
    """Return the gradient of a function by one input as a function of its inputs and the gradient of its output."""

    def gradient(*inputs_and_dy):
        *inputs, dy = inputs_and_dy
        with GradientTape() as tape:
            tape.watch(inputs)
            y = function(*inputs)
        return tape.gradient(y, inputs[which], dy, unconnected_gradients="zero")

    return gradient


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_slope(case):
    check(case.function, case.inputs, tolerance=1e-6)


@pytest.mark.parametrize("case", [case for case in CASES if case.orders == 2], ids=str)
def test_second_derivative_is_the_slope_of_the_first(case):
    y = case.function(*map(Tensor, case.inputs))
    for which in range(len(case.inputs)):
        check(derivative(case.function, which), (*case.inputs, values(*y.shape)), tolerance=1e-6)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "bipolar_sigmoid", "softplus", "silu", "gelu", "elu", "selu", "softmax"])
def test_third_derivatives_of_activations(name):
    x, dy, ddy = values(1, 4, away_from=[0]), values(1, 4), values(1, 4)
    check(derivative(derivative(getattr(ops, name), 0), 0), (x, dy, ddy), tolerance=1e-6)


@pytest.mark.parametrize("case", [case for case in CASES if case.orders == 1], ids=str)
def test_an_op_with_one_derivative_says_so(case):
    x = Variable(case.inputs[0])
    with GradientTape() as outer:
        with GradientTape() as tape:
            y = case.function(x, *case.inputs[1:])
        dx = tape.gradient(y, x)
    with pytest.raises(NotImplementedError, match=f"{case.op} has only a first derivative"):
        outer.gradient(dx, x)


def test_a_loss_does_not_silently_skip_the_derivative_by_its_target():
    target = Variable(values(5, 3))
    for loss in (ops.mse, ops.softmax_xent):
        with GradientTape() as tape:
            y = loss(values(5, 3), target)
        with pytest.raises(NotImplementedError, match="by its target; use stop_gradient"):
            tape.gradient(y, target)
    with GradientTape() as tape:
        y = ops.mse(values(5, 3), ops.stop_gradient(target))
    assert tape.gradient(y, target) is None


@pytest.mark.parametrize("pool", [ops.global_avgpool2d, ops.global_maxpool2d])
def test_no_images_have_channels_too(pool):
    assert pool(np.zeros((0, 4, 5, 3), np.float32)).shape == (0, 3)
    assert pool(np.zeros((0, 3, 4, 5), np.float32), "channels_first").shape == (0, 3)


@pytest.mark.parametrize("clipped", [0.0, 1.0, -0.5, 1.5])
def test_clipped_probabilities_have_derivatives_zero(clipped):
    for loss in (ops.binary_xent, ops.xent):
        p = Variable([[clipped, 0.5]], dtype="float64")
        with GradientTape() as outer:
            with GradientTape() as tape:
                y = loss(p, [[1.0, 0.0]])
            first = tape.gradient(y, p)
        assert first[0, 0].numpy() == 0
        assert outer.gradient(first, p)[0, 0].numpy() == 0


class TestValues:
    """Values of ops that are not the kernels' (these have tests of their own)."""

    @pytest.mark.parametrize(
        ("name", "reference"),
        [
            *(
                (name, getattr(np, name))
                for name in ("exp", "expm1", "log", "log1p", "sqrt", "square", "sin", "cos", "tan", "tanh")
            ),
            *(
                (name, getattr(np, name))
                for name in ("negative", "abs", "sign", "sum", "mean", "max", "min", "var", "std", "argmax")
            ),
            *((name, getattr(np, name)) for name in ("argmin", "squeeze", "transpose", "zeros_like", "ones_like")),
            ("logsumexp", lambda x: np.log(np.exp(x).sum())),
        ],
    )
    def test_unary_ops_are_numpys(self, name, reference):
        x = values(3, 1, 4, low=0.1)
        y = getattr(ops, name)(x)
        np.testing.assert_allclose(y.data, reference(x), rtol=1e-13)
        assert y.shape == np.shape(reference(x))

    @pytest.mark.parametrize(
        "name",
        [
            "add",
            "subtract",
            "multiply",
            "divide",
            "power",
            "maximum",
            "minimum",
            "equal",
            "not_equal",
            "less",
            "less_equal",
            "greater",
        ]
        + ["greater_equal", "matmul"],
    )
    @pytest.mark.parametrize("shapes", [((3, 3), (3, 3)), ((2, 3, 3), (3, 3)), ((3, 3), (3,))])
    def test_binary_ops_are_numpys(self, name, shapes):
        a, b = (np.round(values(*shape, low=0.6, high=3.4)) for shape in shapes)
        y = getattr(ops, name)(a, b)
        np.testing.assert_allclose(y.data, getattr(np, name)(a, b), rtol=1e-13)

    def test_softmax_along_any_axis_and_its_logarithm(self):
        x = values(2, 3, 4)
        for axis in (0, 1, 2, -1):
            e = np.exp(x)
            expected = e / e.sum(axis, keepdims=True)
            np.testing.assert_allclose(ops.softmax(x, axis).data, expected, rtol=1e-13)
            np.testing.assert_allclose(ops.log_softmax(x, axis).data, np.log(expected), rtol=1e-12)
        np.testing.assert_array_equal(ops.log_softmax([[1e4, 0.0]]).data, [[0, -1e4]])

    def test_only_a_softmax_over_classes_and_a_sigmoid_remember_their_logits(self):
        x = constant(values(2, 3))
        assert ops.softmax(x).logits is x and ops.softmax(x).link == "softmax"
        assert ops.sigmoid(x).logits is x and ops.sigmoid(x).link == "sigmoid"
        assert ops.softmax(x, axis=0).logits is None and ops.tanh(x).link is None
        assert (ops.softmax(x) * 1.0).logits is None

    def test_one_hot(self):
        np.testing.assert_array_equal(ops.one_hot([2, 0, 5], 3).data, [[0, 0, 1], [1, 0, 0], [0, 0, 0]])

    def test_logsumexp_of_large_and_infinite_numbers(self):
        np.testing.assert_allclose(ops.logsumexp([1e4, 1e4]).numpy(), 1e4 + np.log(2))
        with np.errstate(divide="ignore"):
            assert ops.logsumexp([-np.inf, -np.inf]).numpy() == -np.inf

    def test_transpose_by_the_kernel_or_numpy_is_the_same(self):
        x = values(2, 3, 4, 5)
        for order in ((0, 2, 3, 1), (0, 3, 1, 2), (1, 2, 3, 0), (0, 1, 3, 2), (3, 2, 1, 0), (2, 0, 3, 1), (0, 1, 2, 3)):
            for array in (x, x[:, ::-1]):
                y = ops.transpose(array, order)
                np.testing.assert_array_equal(y.data, array.transpose(order))
                assert y.data.flags.c_contiguous
        with pytest.raises(ValueError, match="axes must name each of the 4 axes once"):
            ops.transpose(x, (0, 1, 1, 2))
        with pytest.raises(ValueError, match="axes must name"):
            ops.transpose(x, (1, 0))


class TestDtypes:
    """What becomes of the dtypes that meet in an op."""

    @pytest.mark.parametrize("scalar", [2, 2.5, np.float64(2.5), np.int64(2), [1.0, 2.0], [1, 2]])
    def test_scalars_and_lists_take_the_dtype_of_the_floats_they_meet(self, scalar):
        for dtype in ("float32", "float64"):
            x = constant([1, 2], dtype)
            for y in (x * scalar, scalar * x, x + scalar, scalar - x, x / scalar, scalar / x, x**scalar, scalar**x):
                assert y.dtype == dtype

    def test_a_python_float_keeps_its_digits(self):
        assert (constant([1.0], "float64") * 0.1).numpy()[0] == 0.1

    @pytest.mark.parametrize(
        ("one", "other", "dtype"),
        [
            (1.0, [2.0, 3.0], np.float32),
            (np.float64(1.0), [2.0, 3.0], np.float64),
            (np.float64(1.0), 2.0, np.float64),
            (np.float32(1.0), np.float64(2.0), np.float64),
            (np.int64(1), [2.0, 3.0], np.float32),
        ],
    )
    def test_without_a_tensor_the_order_does_not_matter(self, one, other, dtype):
        for op in (ops.add, ops.maximum, partial(ops.where, [True, False])):
            assert op(one, other).dtype == op(other, one).dtype == dtype

    def test_integers_take_the_dtype_of_floats(self):
        x = constant([1.0, 2.0])
        for integers in (np.array([1, 2]), constant([1, 2]), np.array([1, 2], np.uint8), np.array([True, False])):
            assert (x * integers).dtype == np.float32

    def test_integers_stay_integers_but_for_division(self):
        assert (constant([1, 2]) * 3).dtype == np.int32
        assert (constant([1, 2]) ** 2).dtype == np.int32
        np.testing.assert_array_equal((constant([1, 2]) / 4).data, np.array([0.25, 0.5], np.float32), strict=True)
        assert (constant([1, 2]) * 2.5).dtype == np.float32
        assert ops.exp([1, 2]).dtype == np.float32
        assert ops.mean([1, 2]).numpy() == 1.5

    def test_float32_and_float64_give_float64_and_gradients_of_their_own_dtype(self):
        a, b = Variable([1.0, 2.0]), Variable(np.array([3.0, 4.0]))
        for function in (lambda: a * b, lambda: ops.dense(ops.reshape(a, (1, 2)), ops.reshape(b, (2, 1)))):
            with GradientTape() as tape:
                y = function()
            da, db = tape.gradient(y, [a, b])
            assert (y.dtype, da.dtype, db.dtype) == (np.float64, np.float32, np.float64)
            np.testing.assert_array_equal(da.data, [3, 4])
            np.testing.assert_array_equal(db.data, [1, 2])

    def test_a_target_takes_the_dtype_of_the_prediction(self):
        loss = ops.mse(constant([[1.0, 2.0]]), np.array([[0.0, 0.0]]))
        assert loss.dtype == np.float32 and loss.numpy() == 2.5


class TestCornersByHand:
    """Derivatives where two branches meet."""

    @pytest.mark.parametrize(
        ("function", "x", "expected"),
        [
            (ops.abs, [0.0], [0]),
            (ops.relu, [0.0], [0]),
            (ops.leaky_relu, [0.0], [0.2]),
            (lambda x: ops.maximum(x, 1.0), [1.0], [1]),
            (lambda x: ops.maximum(1.0, x), [1.0], [0]),
            (lambda x: ops.minimum(x, 1.0), [1.0], [1]),
            (lambda x: ops.clip(x, -1, 1), [-1.0, 1.0, 2.0], [1, 1, 0]),
            (ops.max, [3.0, 1.0, 3.0], [0.5, 0, 0.5]),
            (ops.min, [1.0, 1.0, 3.0], [0.5, 0.5, 0]),
            (lambda x: x**2, [0.0], [0]),
            (lambda x: x**1, [0.0], [1]),
            (lambda x: x**0, [0.0], [0]),
            (lambda x: x**-1, [2.0], [-0.25]),
        ],
    )
    def test_gradient(self, function, x, expected):
        x = Variable(x)
        with GradientTape() as tape:
            y = function(x)
        np.testing.assert_allclose(tape.gradient(y, x).data, np.asarray(expected, np.float32))

    def test_derivatives_of_powers_at_zero_up_to_the_fourth(self):
        x = Variable(0.0)
        with GradientTape(persistent=True) as tape:
            y = x**3
            derivatives = []
            for _ in range(4):
                y = tape.gradient(y, x)
                derivatives.append(float(y))
        assert derivatives == [0, 0, 6, 0]

    def test_the_first_of_equal_maxima_in_a_window_gets_the_gradient(self):
        x = Variable(np.ones((1, 2, 2, 1)))
        with GradientTape() as tape:
            y = ops.maxpool2d(x)
        np.testing.assert_array_equal(tape.gradient(y, x).data.ravel(), [1, 0, 0, 0])


def network(data_format):
    """Return variables and the loss of a small network made of all that built-in layers are made of."""
    rng = np.random.default_rng(0)
    first = data_format == "channels_first"
    images = rng.normal(size=(4, 2, 6, 6) if first else (4, 6, 6, 2)).astype("float32")
    shapes = [(3, 2, 3, 3) if first else (3, 3, 2, 3), (3,), (3,), (3,), (12, 5), (5,), (5, 4), (4,)]
    variables = [Variable(rng.normal(size=shape).astype("float32")) for shape in shapes]
    state = np.array([3, 0], np.uint64)
    labels = Tensor(np.array([0, 1, 2, 3], np.int32))
    weight = Tensor(np.ones(4, np.float32))

    def loss(x):
        w, b, gamma, beta, w1, b1, w2, b2 = variables
        x = ops.conv2d(x, w, b, data_format=data_format, activation="relu")
        x = ops.maxpool2d(x, data_format=data_format)
        x, *_ = ops.batchnorm(x, gamma, beta, data_format=data_format)
        if first:
            x = ops.transpose(x, (0, 2, 3, 1))
        x = ops.dropout(ops.reshape(x, (4, 12)), 0.25, state)
        x = ops.gelu(ops.dense(x, w1, b1, activation="tanh"))
        probs = ops.softmax(ops.dense(x, w2, b2))
        total = ops.weighted_mean(ops.softmax_xent(probs.logits, labels), weight)
        return ops.add(total, ops.add(ops.penalty(w, l2=0.1), ops.penalty(w1, l1=0.1)))

    return images, variables, loss


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_training_step_of_built_in_ops_is_kernel_calls_only(data_format):
    images, variables, loss = network(data_format)
    with table.record() as recording:
        with GradientTape() as tape:
            y = loss(Tensor(images))
        gradients = tape.gradient(y, variables)
    assert recording.python_steps == []
    assert all(gradient.shape == variable.shape for gradient, variable in zip(gradients, variables, strict=True))
    names = [name for name, _ in recording.calls]
    assert "conv2d_backward_weight" in names
    assert "conv2d_backward_input" not in names, "nobody asked for the gradient by the images"

    before = [gradient.data.copy() for gradient in gradients]
    for gradient in gradients:
        gradient.data.fill(np.nan)
    state = next(args[-1] for name, args in recording.calls if name == "dropout_forward")
    state[1] = 0  # the step, that the same elements are dropped
    for name, args in recording.calls:
        table.call(name, *args)
    for gradient, value in zip(gradients, before, strict=True):
        np.testing.assert_array_equal(gradient.data, value)


@pytest.mark.parametrize(
    "function",
    [
        *(
            lambda x, name=name: getattr(ops, name)(x)
            for name in ("exp", "log", "sqrt", "sin", "sum", "mean", "max", "argmax", "negative")
        ),
        *(lambda x, name=name: getattr(ops, name)(x, 2.0) for name in ("add", "multiply", "divide", "power", "maximum", "equal")),
        lambda x: x[0],
        lambda x: ops.stack([x, x]),
        lambda x: ops.concatenate([x, x]),
        lambda x: ops.where(True, x, 0.0),
        lambda x: ops.cast(x, "float64"),
        lambda x: ops.broadcast_to(x, (2, 2, 2)),
        lambda x: ops.reshape(Tensor(x.data.T), (4,)),
        lambda x: Variable(x).assign(x),
        lambda x: Variable(x).value,
        lambda x: ops.cast(constant([1, 2]), "float32"),
        lambda x: ops.add(x, Tensor(np.ones((2, 2), np.int32))),
        lambda x: ops.dense(x, np.ones((2, 2), np.float32)),  # another array the next time, perhaps
        lambda x: ops.add(Tensor(np.ones((), np.float32)), 0.5),
        lambda x: constant([1.0, 2.0]),
    ],
)
def test_what_numpy_computes_announces_itself(function):
    x = constant([[1.0, 2.0], [3.0, 4.0]])
    with table.record() as recording:
        function(x)
    assert recording.python_steps
