"""From a function on numbers to C functions on arrays."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Sequence
from typing import Any

import numba
from numba.core import types as kinds
from numba.core.errors import NumbaError
from numba.core.extending import intrinsic

from .elementary import FUNCTIONS
from .number import CONSTANTS, Dual, Number, Real, as_dual, as_value
from .record import FLOATS, Record
from .source import Reader

#: a division by zero gives infinity or NaN, as in every kernel; functions, also large ones, are inlined before the loops that call
#: them are vectorized, and nobody else calls them
OPTIONS = {"error_model": "numpy", "forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
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

        def slopes(n, x, slope_of, edge):
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

        def slopes(n, x, slope_of, edge):
            for i in range(n):
                at = x[i]
                x[i] = value(f(constant(at)), at)
                s = value(g(constant(at)), at)
                s = edge[1] if at < edge[0] else s
                slope_of[i] = edge[3] if at > edge[2] else s

    def values(n, x):
        for i in range(n):
            x[i] = value(f(constant(x[i])), x[i])

    record = Record()
    for dtype in FLOATS:
        record.set(dtype, _c_function(values, dtype, 1), _c_function(slopes, dtype, 3))
    return record


def loss(function: types.FunctionType, derivative: types.FunctionType | None, what: str) -> Record:
    """Return the record of a loss, a function of target and prediction; arguments and errors as those of `activation`."""
    f = _compiled(function, what)
    _check_result(f, what, 2)
    if derivative is None:

        def slopes(n, p, t, y, dp):
            for i in range(n):
                result = f(constant(t[i]), argument(p[i]))
                y[i] = value(result, p[i])
                dp[i] = slope(result, p[i])
    else:
        what = f"derivative of {what}"
        g = _compiled(derivative, what)
        _check_result(g, what, 2)

        def slopes(n, p, t, y, dp):
            for i in range(n):
                y[i] = value(f(constant(t[i]), constant(p[i])), p[i])
                dp[i] = value(g(constant(t[i]), constant(p[i])), p[i])

    def values(n, p, t, y):
        for i in range(n):
            y[i] = value(f(constant(t[i]), constant(p[i])), p[i])

    record = Record()
    for dtype in FLOATS:
        record.set(dtype, _c_function(values, dtype, 3), _c_function(slopes, dtype, 4))
    return record


#: the loop of an update rule, whose arguments and slots are filled in
STEP = """
def loop(n, g, lr_, step_, params, w, s1, s2, s3):
    lr, step = lr_[0], step_[0]
    {constants}
    for i in range(n):
        like = w[i]
        {results} = f({arguments})
        {stores}
"""


def step(function: types.FunctionType, arguments: Sequence[str], what: str) -> Record:
    """Return the record of an update rule.

    Parameters
    ----------
    function : function
        Returns the updated parameter, or a tuple of it and its slots.
    arguments : sequence of str
        What it gets, in its order: "w", "g", "s1", "s2", "s3", "lr", "step", and "p0", "p1", ... for the hyper-parameters.
    what : str
        As for `activation`, and so are the errors.
    """
    f = _compiled(function, what)
    updated = [name for name in ("w", "s1", "s2", "s3") if name in arguments]
    params = [name for name in arguments if name[0] == "p"]
    kinds_of = [Number(kinds.float64) if name in (*updated, "g") else kinds.float64 for name in arguments]
    _check_results(f, what, kinds_of, updated)
    source = STEP.format(
        constants="; ".join(["pass", *(f"{name} = params[{name[1:]}]" for name in params)]),
        results=", ".join(f"new_{name}" for name in updated),
        arguments=", ".join(f"constant({name}[i])" if name in (*updated, "g") else name for name in arguments),
        stores="; ".join(f"{name}[i] = value(new_{name}, like)" for name in updated),
    )
    scope = {"f": f, "constant": constant, "value": value}
    exec(source, scope)
    record = Record()
    for dtype in FLOATS:
        real, double = (kinds.CPointer(numba.from_dtype(t)) for t in (dtype, FLOATS[1]))
        signature = kinds.void(kinds.intp, real, double, double, double, real, real, real, real)
        record.set(dtype, numba.cfunc(signature, error_model="numpy")(scope["loop"]))
    return record


def _compiled(function: types.FunctionType, what: str) -> Any:
    """Return a function as Numba calls it from other functions."""
    return Reader(what, frozenset(FUNCTIONS), numba.njit(**OPTIONS)).compile(function)


def _c_function(loop: Callable, dtype: Any, arrays: int) -> Any:
    pointer = kinds.CPointer(numba.from_dtype(dtype))
    return numba.cfunc(kinds.void(kinds.intp, *[pointer] * arrays), error_model="numpy")(loop)


def _check_result(f: Any, what: str, arguments: int) -> None:
    """Compile a function for numbers and raise unless it returns a number."""
    result = _result(f, what, [Number(kinds.float64)] * arguments)
    if not _is_number(result):
        raise TypeError(f"{what} must return a number; it returns {_described(result)}")


def _check_results(f: Any, what: str, arguments: Sequence[kinds.Type], updated: Sequence[str]) -> None:
    """The same for an update rule, which returns what it updates."""
    result = _result(f, what, arguments)
    if len(updated) == 1:
        good = _is_number(result)
    else:
        good = isinstance(result, kinds.BaseTuple) and len(result) == len(updated) and all(map(_is_number, result))
    if not good:
        slots = f" and its {len(updated) - 1} slots, in order" if len(updated) > 1 else ", and has no slots"
        raise TypeError(f"{what} must return the updated parameter{slots}; it returns {_described(result)}")


def _result(f: Any, what: str, arguments: Sequence[kinds.Type]) -> kinds.Type:
    """Compile a function for arguments of these types and return the type of its result."""
    try:
        f.get_call_template(tuple(arguments), {})
    except NumbaError as error:
        raise ValueError(f"{what} cannot be compiled: {_reason(error)}") from None
    return kinds.unliteral(f.nopython_signatures[0].return_type)


def _is_number(result: kinds.Type) -> bool:
    plain = kinds.unliteral(result)
    return isinstance(plain, (Number, *CONSTANTS)) and not isinstance(plain, kinds.Boolean)


def _described(result: kinds.Type) -> str:
    if isinstance(result, kinds.Boolean):
        return "True or False; write `1.0 if ... else 0.0`"
    if isinstance(result, (kinds.Optional, kinds.NoneType)):
        return "None, at least on one way through it: each has to end with `return`"
    if isinstance(result, kinds.BaseTuple):
        return f"a tuple of {len(result)}"
    return "a number" if _is_number(result) else str(result)


def _reason(error: NumbaError) -> str:
    """Return the part of Numba's message that says what is wrong, with its line."""
    text = ANSI.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("No implementation", "Cannot unify", "Use of", "Unknown attribute"))]
    signature = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")][: bool(told)]
    place = [f"(line {line})" for line in re.findall(r'File "[^"]*", line (\d+)', text)[-1:]]
    return " ".join([*(told or lines[1:] or lines)[:1], *signature, *place])
