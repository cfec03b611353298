"""What a function of the user's may not do is refused before anything is compiled, with a message that names it and its line."""

import fractions
import functools
import math

import numpy as np
import pytest
from numpy import maximum, tanh

import fastnn
from fastnn.custom import checks
from fastnn.kernels.custom.record import Record

history = []
scale = 2.0
third = fractions.Fraction(1, 3)
root = math.isqrt


def scale_of(x):
    return x


def recursive(x):
    return x if x < 1 else recursive(x - 1)


def shouts(x):
    print("x is", x)
    return x


def refused(function, text, error=ValueError, name=None):
    with pytest.raises(error) as caught:
        fastnn.activation(function, name=name)
    assert text in str(caught.value)
    return str(caught.value)


def test_side_effects():
    def appends(x):
        history.append(x)
        return x

    def counts(x):
        global scale
        scale = scale + 1
        return x

    total = 0.0

    def adds(x):
        nonlocal total
        total = total + x
        return x

    def writes(x):
        history[0] = x
        return x

    def raises(x):
        if x < 0:
            raise ArithmeticError
        return x

    message = refused(shouts, "calls print")
    line = shouts.__code__.co_firstlineno + 1
    assert (
        message.startswith("activation 'shouts' cannot be compiled: it calls print")
        and f"(line {line} of test_source.py)" in message
    )
    assert "math" in message and "comparisons" in message  # what it may do
    refused(shouts, "activation 'loud' cannot be compiled: it calls print", name="loud")
    refused(appends, "uses 'history', a list")
    refused(counts, "changes the global variable 'scale'")
    refused(adds, "changes 'total', a variable of the function around it")
    refused(writes, "uses 'history', a list")
    refused(raises, "raises an exception")
    assert history == [] and scale == 2.0


def test_what_is_no_arithmetic_on_numbers():
    def lists(x):
        return sum([x, 1.0])

    def texts(x):
        return f"{x}"

    def complexes(x):
        return (x * 1j).real

    def defines(x):
        def inner(y):
            return 2 * y

        return inner(x)

    def arrays(x):
        return np.linspace(0, x)

    def means(x):
        return x.mean()

    def misspelled(x):
        return math.tahn(x)

    def draws(x):
        return x * np.random.rand()  # noqa: NPY002

    def of_ops(x):
        return fastnn.ops.relu(x)

    def largest(x):
        return max([x, 1.0])

    def from_outside(x):
        return history * x

    async def asynchronous(x):
        return x

    def indexes(x):
        return x[0]

    def undefined(x):
        return sinh(x)  # noqa: F821

    def exact(x):
        return third * x

    def rooted(x):
        return root(x)

    def forgets(x):
        y = 2 * x
        del y
        return x

    def gammas(x):
        return math.gamma(x)

    def indirectly(x):
        return shouts(x) + 1

    refused(lists, "calls sum, which a kernel cannot")
    refused(texts, "makes a text")
    refused(complexes, "1j")
    refused(defines, "defines a function inside; define it outside")
    refused(arrays, "uses np.linspace; of np it may use abs, ")
    refused(means, "uses .mean, but what it gets is one number, and not an array")
    assert "math.tanh" in refused(misspelled, "uses math.tahn; did you mean math.tan")
    refused(draws, "uses np.random, but what it gives must depend on its arguments alone")
    refused(of_ops, "a function made of fastnn.ops needs no decorator")
    refused(largest, "makes a list")
    refused(from_outside, "uses 'history', a list")
    refused(asynchronous, "asynchronous")
    line = indexes.__code__.co_firstlineno + 1
    assert "may use arithmetic" in refused(indexes, f"No implementation of getitem(number, 0) (line {line})")
    refused(undefined, "write math.sinh")
    refused(exact, "uses 'third', a Fraction")
    refused(rooted, "calls root, which a kernel cannot")
    refused(forgets, "deletes 'y', which is not needed")
    refused(gammas, "gamma")
    refused(recursive, "calls itself")
    refused(lambda x: abs(), "cannot be compiled", name="nothing")
    refused(lambda x: x * scale_of, "No implementation of mul(number, scale_of)", name="function")
    assert "'shouts', which it calls" in refused(indirectly, "calls print")


def test_wrong_results():
    def pair(x):
        return x, x

    def nothing(x):
        if x > 0:
            return x

    def truth(x):
        return x > 0

    refused(pair, "must return a number; it returns a tuple of 2", TypeError)
    refused(nothing, "returns None", TypeError)
    refused(truth, "1.0 if ... else 0.0", TypeError)


def test_wrong_functions_and_names():
    refused(lambda x: x, "use def, or say name=")
    refused(lambda x, y: x, "must take one number, x; it takes (x, y)", TypeError)
    refused(lambda: 1.0, "must take one number", TypeError)
    refused(lambda x, *others: 1.0, "must take one number, x; it takes (x, others)", TypeError)
    refused(3.0, "must be a Python function", TypeError)
    refused(math.tanh, "must be a Python function", TypeError)
    refused(lambda x, a=None: x, "the default of a must be a number; got None", TypeError)
    refused(lambda x, a=[1.0]: a[0] * x, "the default of a must be a number; got [1.0]", TypeError)
    with pytest.raises(ValueError, match="'relu' is built in"):
        fastnn.activation(name="relu")(lambda x: x)


def test_a_variable_that_is_not_set_on_all_ways():
    def unset(x):
        if x > 0:
            y = x
        return y

    with pytest.raises(ValueError, match="'unset'.*Python raises UnboundLocalError"):
        fastnn.activation(unset)


def test_a_decorated_function_that_calls_itself():
    """Its name stands for nothing yet, in a module as in a function."""

    def local():
        @fastnn.activation
        def inner(x):
            return x if x < 1 else inner(x - 1)

    with pytest.raises(ValueError, match="'inner' cannot be compiled: it calls itself"):
        local()
    source = "@fastnn.activation\ndef outer(x):\n    return x if x < 1 else outer(x - 1)"
    with pytest.raises(ValueError, match="'outer' cannot be compiled: it calls itself"):
        exec(source, {"fastnn": fastnn})


def test_a_variable_that_is_set_too_late():
    def make():
        def late(x):
            return x * factor

        fastnn.activation(late)
        factor = 2.0

    with pytest.raises(ValueError, match="'late' cannot be compiled: it uses 'factor', which is not defined"):
        make()


def test_decorators_of_pythons_own_are_not_left_out():
    def raised(function):
        @functools.wraps(function)
        def wrapper(x):
            return function(x) + 100

        return wrapper

    @raised
    def high(x):
        return x

    def two_hundred(x):
        return high(x) + 100

    assert fastnn.activation(raised(high))(1.0) == 201  # two functions of one code
    assert fastnn.activation(high)(1.0) == 101 and fastnn.activation(two_hundred)(1.0) == 201
    assert fastnn.activation(name="kept")(functools.cache(high))(1.0) == 101
    refused(functools.wraps(high)(lambda *x: high(*x)), "'high' cannot be compiled: it has *args")


def test_functions_imported_from_numpy():
    made = fastnn.activation(name="imported")(lambda x: maximum(tanh(x), 0.25))
    np.testing.assert_allclose(made([0.0, 1.0]).numpy(), [0.25, math.tanh(1.0)], rtol=1e-6)


@pytest.mark.parametrize(
    ("decorator", "function"),
    [
        (fastnn.activation, lambda x: x),
        (fastnn.loss, lambda t, p: p - t),
        (fastnn.optimizer_step, lambda w, g, lr: w - lr * g),
    ],
)
def test_python_goes_first_since_it_can_be_interrupted(monkeypatch, decorator, function):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "_in_python", interrupted)
    for compiled in ("activate", "loss", "step"):
        monkeypatch.setattr(Record, compiled, None)
    with pytest.raises(KeyboardInterrupt):
        decorator(name="endless")(function)
