"""Activations as formulas, and of a block that is still in the cache: what dense and convolution kernels fuse."""

from ..custom.elementary import exp, expm1_of_negative, log1p_of_fraction
from ..spec.activation import FUSED, SELU_ALPHA, SELU_SCALE
from .custom import apply
from .pointers import inline, is_null, offset
from .vmath import of_reals

# Comparisons are written so that NaN takes the branch that keeps it.


def relu(x):
    return x.at_least(0.0)


def sigmoid(x):
    e = exp(-x.intrinsic("fabs"))
    return e.where(x.compare("<", 0.0), 1.0) / (e + 1.0)


def tanh(x):
    # from expm1 of a negative number: nothing overflows and small x keep their digits
    e = expm1_of_negative(x.intrinsic("fabs") * -2.0)
    return (-e / (e + 2.0)).intrinsic("copysign", x)


def bipolar_sigmoid(x):
    return tanh(x * 0.5)


def leaky_relu(x, alpha):
    return x.where(x.compare(">", 0.0), x * alpha)


def elu(x, alpha):
    positive = x.compare(">", 0.0)
    return x.where(positive, alpha * expm1_of_negative(x.like(0.0).where(positive, x)))


def selu(x):
    return elu(x, x.like(SELU_ALPHA)) * SELU_SCALE


def softplus(x):
    return relu(x) + log1p_of_fraction(exp(-x.intrinsic("fabs")))


def _in_place(formula):
    """Return a function that replaces n elements by what a formula gives; of those with a parameter, `alpha`."""
    function = of_reals(formula)

    @inline
    def replace(y, n):
        for i in range(n):
            y[i] = function(y[i])

    @inline
    def replace_with(y, n, alpha):
        for i in range(n):
            y[i] = function(y[i], alpha)

    return replace_with if formula in (leaky_relu, elu) else replace


(RELU, _relu), (SIGMOID, _sigmoid), (TANH, _tanh), (BIPOLAR_SIGMOID, _bipolar_sigmoid) = (
    (FUSED[formula.__name__], _in_place(formula)) for formula in (relu, sigmoid, tanh, bipolar_sigmoid)
)
(LEAKY_RELU, _leaky_relu), (ELU, _elu), (SELU, _selu), (SOFTPLUS, _softplus) = (
    (FUSED[formula.__name__], _in_place(formula)) for formula in (leaky_relu, elu, selu, softplus)
)


@inline
def activate(y, n, code, alpha):
    """y = activation(y) for n elements."""
    if code == RELU:
        _relu(y, n)
    elif code == SIGMOID:
        _sigmoid(y, n)
    elif code == TANH:
        _tanh(y, n)
    elif code == BIPOLAR_SIGMOID:
        _bipolar_sigmoid(y, n)
    elif code == LEAKY_RELU:
        _leaky_relu(y, n, alpha)
    elif code == ELU:
        _elu(y, n, alpha)
    elif code == SELU:
        _selu(y, n)
    elif code == SOFTPLUS:
        _softplus(y, n)


# what a dense or convolution kernel does with results from `first` on: that of the built-in activations, that of the user's


@inline
def finish(call, first, n):
    activate(offset(call.y, first), n, call.activation, call.alpha)


@inline
def finish_custom(call, first, n):
    slope = call.slope if is_null(call.slope) else offset(call.slope, first)
    apply(call.function, offset(call.y, first), slope, n)
