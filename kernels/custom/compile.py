"""From a function on numbers to C functions on arrays."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from typing import Any

import numba
from numba.core import types as kinds
from numba.core.errors import NumbaError
from numba.core.extending import intrinsic

from .elementary import FUNCTIONS
from .number import CONSTANTS, Dual, Number, Real, as_dual, as_value
from .record import FLOATS, Record
from .source import Reader

#: a division by zero gives infinity or NaN, as in every kernel
OPTIONS = {"error_model": "numpy", "nogil": True}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


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


def activation(function: types.FunctionType, derivative: types.FunctionType | None, what: str) -> Record:
    """Return an activation's record.

    Parameters
    ----------
    function : function
        From a number to a number.
    derivative : function, optional
        Its derivative; computed along with the value if it is left out.
    what : str
        What it is to people: "activation 'mish'".

    Raises
    ------
    ValueError
        If a function cannot be compiled, or does what it may not.
    TypeError
        If it returns something else than a number.
    """
    f = _compiled(function, what)
    _check_result(f, what, 1)
    if derivative is None:

        def slopes(n, y, dy, edges):
            x, slope_of, edge = numba.carray(y, n), numba.carray(dy, n), numba.carray(edges, 4)
            for i in range(n):
                at = x[i]
                result = f(argument(at))
                x[i] = value(result, at)
                s = slope(result, at)
                s = edge[1] if at < edge[0] else s
                slope_of[i] = edge[3] if at > edge[2] else s
    else:
        what = f"derivative of {what}"
        g = _compiled(derivative, what)
        _check_result(g, what, 1)

        def slopes(n, y, dy, edges):
            x, slope_of, edge = numba.carray(y, n), numba.carray(dy, n), numba.carray(edges, 4)
            for i in range(n):
                at = x[i]
                x[i] = value(f(constant(at)), at)
                s = value(g(constant(at)), at)
                s = edge[1] if at < edge[0] else s
                slope_of[i] = edge[3] if at > edge[2] else s

    def values(n, y):
        x = numba.carray(y, n)
        for i in range(n):
            x[i] = value(f(constant(x[i])), x[i])

    record = Record()
    for dtype in FLOATS:
        record.set(dtype, _c_function(values, dtype, 1), _c_function(slopes, dtype, 3))
    return record


def _compiled(function: types.FunctionType, what: str) -> Any:
    """Return a function as Numba calls it from other functions."""
    # inlined before loops are vectorized, which a large function would not be otherwise
    return Reader(what, frozenset(FUNCTIONS), numba.njit(forceinline=True, **OPTIONS)).compile(function)


def _c_function(loop: Callable, dtype: Any, arrays: int) -> Any:
    pointer = kinds.CPointer(numba.from_dtype(dtype))
    return numba.cfunc(kinds.void(kinds.intp, *[pointer] * arrays), error_model="numpy")(loop)


def _check_result(f: Any, what: str, arguments: int) -> None:
    """Compile a function for numbers and raise unless it returns a number."""
    try:
        f.get_call_template((Number(kinds.float64),) * arguments, {})  # compiles it
    except NumbaError as error:
        raise ValueError(f"{what} cannot be compiled: {_reason(error)}") from None
    result = kinds.unliteral(f.nopython_signatures[0].return_type)
    if isinstance(result, kinds.Boolean) or not isinstance(result, (Number, *CONSTANTS)):
        raise TypeError(f"{what} must return a number; it returns {_described(result)}")


def _described(result: kinds.Type) -> str:
    if isinstance(result, kinds.Boolean):
        return "True or False; write `1.0 if ... else 0.0`"
    if isinstance(result, (kinds.Optional, kinds.NoneType)):
        return "None, at least on one way through it: each has to end with `return`"
    if isinstance(result, kinds.BaseTuple):
        return f"a tuple of {len(result)}"
    return str(result)


def _reason(error: NumbaError) -> str:
    """Return the part of Numba's message that says what is wrong, with its line."""
    text = ANSI.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("No implementation", "Cannot unify", "Use of", "Unknown attribute"))]
    signature = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")][: bool(told)]
    place = [f"(line {line})" for line in re.findall(r'File "[^"]*", line (\d+)', text)[-1:]]
    return " ".join([*(told or lines[1:] or lines)[:1], *signature, *place])
