"""From a function on numbers to C functions on arrays."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Sequence
from typing import Any

import numba
from numba.core import types as kinds

from . import scalar
from .elementary import FUNCTIONS
from .number import CONSTANTS, Number
from .record import FLOATS, Record, Source
from .source import ALLOWED, Reader

#: a division by zero gives infinity or NaN, as in every kernel; functions, also large ones, are inlined before the loops that call
#: them are vectorized, and nobody else calls them
OPTIONS = {"error_model": "numpy", "forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
ANSI = re.compile(r"\x1b\[[0-9;]*m")
#: how Numba writes the type of an argument -> how messages do
TYPES = (
    (re.compile(r"number\(\w+\)"), "number"),
    (re.compile(r"Literal\[\w+\]\((.*?)\)"), r"\1"),
    (re.compile(r"type\(\w+\(<function (\w+)[^>]*>\)\)"), r"\1"),
    (re.compile(r"\w+\(<[^>]*?'?(\w+)'?>\)"), r"\1"),
)


def activation(function: types.FunctionType, derivative: types.FunctionType | None, what: str) -> Record:
    """Return an activation's record.

    Parameters
    ----------
    function : function
        From a number to a number.
    derivative : function, optional
        Its derivative; computed along with the value if it is left out.
    what : str
        What messages call it: "activation 'mish'".

    Raises
    ------
    ValueError
        If a function cannot be compiled, or does what it may not.
    TypeError
        If it returns something else than a number.
    """
    f, g = _checked(function, what, 1), derivative and _checked(derivative, f"derivative of {what}", 1)
    value, both = _inlined(scalar.activation(f)), _inlined(scalar.activation_and_slope(f, g))

    def values(n, x):
        for i in range(n):
            x[i] = value(x[i])

    def slopes(n, x, slope, edge):
        for i in range(n):
            at = x[i]
            x[i], s = both(at)
            s = edge[1] if at < edge[0] else s
            slope[i] = edge[3] if at > edge[2] else s

    record = Record(Source(what, function, derivative))
    for dtype in FLOATS:
        record.set(dtype, _c_function(values, dtype, 1), _c_function(slopes, dtype, 3))
    return record


def loss(function: types.FunctionType, derivative: types.FunctionType | None, what: str) -> Record:
    """Return the record of a loss, a function of target and prediction; arguments and errors as those of `activation`."""
    f, g = _checked(function, what, 2), derivative and _checked(derivative, f"derivative of {what}", 2)
    value, both = _inlined(scalar.loss(f)), _inlined(scalar.loss_and_slope(f, g))

    def values(n, p, t, y):
        for i in range(n):
            y[i] = value(t[i], p[i])

    def slopes(n, p, t, y, dp):
        for i in range(n):
            y[i], dp[i] = both(t[i], p[i])

    record = Record(Source(what, function, derivative, kind="loss"))
    for dtype in FLOATS:
        record.set(dtype, _c_function(values, dtype, 3), _c_function(slopes, dtype, 4))
    return record


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
    changed = scalar.changed(arguments)
    kinds_of = [Number(kinds.float64) if name in (*changed, "g") else kinds.float64 for name in arguments]
    _check_results(f, what, kinds_of, changed)
    loop = scalar.update(f, arguments, "n, g, lr, step, params, w, s1, s2, s3", "for i in range(n):")
    record = Record(Source(what, function, arguments=tuple(arguments), kind="optimizer_step"))
    for dtype in FLOATS:
        real, double = (kinds.CPointer(numba.from_dtype(t)) for t in (dtype, FLOATS[1]))
        signature = kinds.void(kinds.intp, real, double, double, double, real, real, real, real)
        record.set(dtype, numba.cfunc(signature, error_model="numpy")(loop))
    return record


def _compiled(function: types.FunctionType, what: str) -> Any:
    """Return a function as Numba calls it from other functions."""
    return Reader(what, frozenset(FUNCTIONS), numba.njit(**OPTIONS)).compile(function)


def _inlined(function: Callable) -> Any:
    """Return a function that Numba writes into those that call it."""
    return numba.njit(inline="always", **OPTIONS)(function)


def _c_function(loop: Callable, dtype: Any, arrays: int) -> Any:
    pointer = kinds.CPointer(numba.from_dtype(dtype))
    return numba.cfunc(kinds.void(kinds.intp, *[pointer] * arrays), error_model="numpy")(loop)


def _checked(function: types.FunctionType, what: str, arguments: int) -> Any:
    """Compile a function for numbers and raise unless it returns a number."""
    f = _compiled(function, what)
    result = _result(f, what, [Number(kinds.float64)] * arguments)
    if not _is_number(result):
        raise TypeError(f"{what} must return a number; it returns {_described(result)}")
    return f


def _check_results(f: Any, what: str, arguments: Sequence[kinds.Type], updated: Sequence[str]) -> None:
    """The same for an update rule, which returns what it updates."""
    result = _result(f, what, arguments)
    if len(updated) == 1:
        good = _is_number(result)
    else:
        good = isinstance(result, kinds.BaseTuple) and len(result) == len(updated) and all(map(_is_number, result))
    if not good:
        slots = {1: ", and has no slots", 2: " and its slot"}.get(len(updated), f" and its {len(updated) - 1} slots, in order")
        raise TypeError(f"{what} must return the updated parameter{slots}; it returns {_described(result)}")


def _result(f: Any, what: str, arguments: Sequence[kinds.Type]) -> kinds.Type:
    """Compile a function for arguments of these types and return the type of its result."""
    try:
        f.get_call_template(tuple(arguments), {})
    except Exception as error:  # Numba's own, or of what it is made of: abs() cannot be unpacked
        raise ValueError(f"{what} cannot be compiled: {reason(error)}; {ALLOWED}") from None
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
        return f"a tuple of {len(result)}: {', '.join(map(_described, result))}"
    return "a number" if _is_number(result) else str(result)


def reason(error: Exception) -> str:
    """Return the part of a compiler's message that says what is wrong, with its line."""
    text = ANSI.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    missing = [line.replace(">>> ", "No implementation of ") for line in lines if line.startswith(">>> ")]
    told = [line for line in lines if line.startswith(("Cannot unify", "Use of", "Unknown attribute"))]
    place = [f"(line {line})" for line in re.findall(r'File "[^"]*", line (\d+)', text)[-1:]]
    found = " ".join([*(missing or told or lines[1:] or lines)[:1], *place])
    for type_of_numba, ours in TYPES:
        found = type_of_numba.sub(ours, found)
    return found
