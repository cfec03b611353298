"""From a function on numbers that have slopes to functions on plain numbers, written for any of Numba's compilers.

The functions returned here are Python's. Kernels for the CPU and for the GPU have them compiled, each by its own compiler, which
has compiled `f` and `g`, the user's function and its derivative, before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numba.core.extending import intrinsic

from .number import Dual, Number, Real, as_dual, as_value


@intrinsic
def argument(context, x):
    """Return the number x with slope 1."""
    number = Number(x)

    def emit(context, builder, signature, args):
        x = Real(builder, args[0])
        return as_value(context, builder, number, Dual(x, x.like(1.0)))

    return number(x), emit


@intrinsic
def constant(context, x):
    """Return the number x with slope 0."""
    number = Number(x)

    def emit(context, builder, signature, args):
        return as_value(context, builder, number, Dual(Real(builder, args[0]), None))

    return number(x), emit


@intrinsic
def value(context, result, like):
    """Return the value of a function's result, of the type of `like`."""

    def emit(context, builder, signature, args):
        return as_dual(context, builder, Number(like), result, args[0]).value.value

    return like(result, like), emit


@intrinsic
def slope(context, result, like):
    """Return the slope of a function's result, of the type of `like`."""

    def emit(context, builder, signature, args):
        made = as_dual(context, builder, Number(like), result, args[0])
        return made.value.like(made.slope or 0.0).value

    return like(result, like), emit


def activation(f: Callable) -> Callable:
    """Return x -> f(x)."""
    return lambda x: value(f(constant(x)), x)


def activation_and_slope(f: Callable, g: Callable | None) -> Callable:
    """Return x -> f(x) and its derivative, which is g(x) if there is a `g`."""

    def derived(x):
        result = f(argument(x))
        return value(result, x), slope(result, x)

    def given(x):
        return value(f(constant(x)), x), value(g(constant(x)), x)

    return given if g else derived


def loss(f: Callable) -> Callable:
    """Return (target, prediction) -> the loss."""
    return lambda t, p: value(f(constant(t), constant(p)), p)


def loss_and_slope(f: Callable, g: Callable | None) -> Callable:
    """Return (target, prediction) -> the loss and its derivative by the prediction, which is g's if there is a `g`."""

    def derived(t, p):
        result = f(constant(t), argument(p))
        return value(result, p), slope(result, p)

    def given(t, p):
        return value(f(constant(t), constant(p)), p), value(g(constant(t), constant(p)), p)

    return given if g else derived


def changed(arguments: Sequence[str]) -> list[str]:
    """Return those of an update rule's arguments that it returns anew, in that order."""
    return [name for name in ("w", "s1", "s2", "s3") if name in arguments]


#: the update of element i, whose arguments and slots are filled in; what does not depend on i stands before it
UPDATE = """
def update({signature}):
    {constants}
    {loop}
        like = w[i]
        {results} = f({arguments})
        {stores}
"""


def update(f: Callable, arguments: Sequence[str], signature: str, loop: str) -> Callable:
    """Return what updates elements of a parameter and of its slots.

    Parameters
    ----------
    f : callable
        The rule.
    arguments : sequence of str
        What it gets, see `fastnn.kernels.custom.compile.step`.
    signature : str
        The arguments of the function to return, "g", "lr", "step", "params", "w", "s1", "s2", "s3" among them.
    loop : str
        How it comes to element ``i``: a statement that ends with a colon.
    """
    numbers = changed(arguments)
    taken = [f"constant({name}[i])" if name in (*numbers, "g") else f"{name}_" for name in arguments]
    scalars = {name: f"params[{name[1:]}]" if name[0] == "p" else f"{name}[0]" for name in arguments if f"{name}_" in taken}
    source = UPDATE.format(
        signature=signature,
        constants="; ".join(["pass", *(f"{name}_ = {place}" for name, place in scalars.items())]),
        loop=loop,
        results=", ".join(f"new_{name}" for name in numbers),
        arguments=", ".join(taken),
        stores="; ".join(f"{name}[i] = value(new_{name}, like)" for name in numbers),
    )
    scope: dict[str, Any] = {"f": f, "constant": constant, "value": value}
    exec(source, scope)
    return scope["update"]
