"""What a function of the user's may not do is refused before anything is compiled, with a message that names it and its line."""

import math

import numpy as np
import pytest

import fastnn

history = []
scale = 2.0


def recursive(x):
    return x if x < 1 else recursive(x - 1)


def shouts(x):
    print("x is", x)
    return x


def refused(function, text, error=ValueError):
    with pytest.raises(error) as caught:
        fastnn.activation(function)
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
        return tanh(x)  # noqa: F821

    def gammas(x):
        return math.gamma(x)

    def indirectly(x):
        return shouts(x) + 1

    refused(lists, "calls sum, which a kernel cannot")
    refused(texts, "makes a text")
    refused(complexes, "1j")
    refused(arrays, "uses np.linspace; of np it may use abs, ")
    refused(means, "uses .mean, but what it gets is one number, and not an array")
    assert "math.tanh" in refused(misspelled, "uses math.tahn; did you mean math.tan")
    refused(draws, "uses np.random, but what it gives must depend on its arguments alone")
    refused(of_ops, "a function made of fastnn.ops needs no decorator")
    refused(largest, "makes a list")
    refused(from_outside, "uses 'history', a list")
    refused(asynchronous, "asynchronous")
    refused(indexes, "cannot be compiled")
    refused(undefined, "write math.tanh")
    refused(gammas, "gamma")
    refused(recursive, "calls itself")
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
    with pytest.raises(ValueError, match="'relu' is built in"):
        fastnn.activation(name="relu")(lambda x: x)


def test_a_variable_that_is_not_set_on_all_ways():
    def unset(x):
        if x > 0:
            y = x
        return y

    with pytest.raises(ValueError, match="'unset'.*Python raises UnboundLocalError"):
        fastnn.activation(unset)
