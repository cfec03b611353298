"""The door to Numba, which is optional."""

from __future__ import annotations

import contextlib
import inspect
from types import CellType, FunctionType, ModuleType
from typing import Any

from ..kernels.custom.source import unwrapped
from ..kernels.functions.checks import number


def compiler() -> ModuleType:
    """Return what compiles functions.

    Raises
    ------
    ImportError
        If Numba is not installed, or NUMBA_DISABLE_JIT is set.
    """
    try:
        import numba
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise ImportError("functions of your own are compiled by Numba: pip install 'fastnn-kernels[numba]'") from error
    if numba.config.DISABLE_JIT:
        raise ImportError("functions of your own are compiled by Numba, but NUMBA_DISABLE_JIT is set: unset it")
    from ..kernels.custom import compile

    return compile


def plain_function(function: Any, what: str, arguments: tuple[str, ...]) -> FunctionType:
    """Return the Python function to compile, checked as far as its signature goes.

    Parameters
    ----------
    function : callable
        A function, or one that was compiled or decorated already.
    what : str
        What messages call it: "activation".
    arguments : tuple of str
        The arguments that it gets. Others must have numbers as defaults, and these are constants.

    Raises
    ------
    TypeError
        If it is no Python function, or does not take these arguments, or a default is no number.
    """
    found = python_function(function, what, _listed(arguments))
    parameters = list(inspect.signature(found).parameters.values())
    required = [p for p in parameters if p.default is p.empty]
    if len(required) != len(arguments):
        raise TypeError(
            f"{what} {found.__name__!r} must take {_listed(arguments)}; it takes ({', '.join(p.name for p in required)}). "
            "Further arguments need numbers as defaults"
        )
    for p in parameters[len(arguments) :]:
        number(f"{what} {found.__name__!r}: the default of {p.name}", p.default)
    return found


def python_function(function: Any, what: str, takes: str) -> FunctionType:
    """Return the Python function behind a callable, with its globals as they are now.

    Raises
    ------
    TypeError
        If there is none.
    """
    found = unwrapped(function) if callable(function) else function
    if not isinstance(found, FunctionType):
        raise TypeError(f"{what} must be a Python function of {takes}; got {function!r:.60}")
    return _frozen(found, {})


def _frozen(function: FunctionType, copies: dict[FunctionType, FunctionType]) -> FunctionType:
    """Return a copy of a function that keeps the globals and the closure of now, as do those of the functions that it calls.

    So what is compiled of it later, for a GPU or by another process that has it from a pickle, is what is compiled now.
    """

    def kept(value: Any) -> Any:
        value = unwrapped(value)
        return copies.get(value) or _frozen(value, copies) if isinstance(value, FunctionType) else value

    code, scope = function.__code__, dict[str, Any]()
    closure = tuple(CellType() for _ in code.co_freevars)
    copy = FunctionType(code, scope, function.__name__, function.__defaults__, closure)
    copy.__kwdefaults__, copy.__doc__, copy.__module__ = function.__kwdefaults__, function.__doc__, function.__module__
    copies[function] = copy
    scope.update((name, kept(function.__globals__[name])) for name in code.co_names if name in function.__globals__)
    for cell, now in zip(closure, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a variable that is not set yet
            cell.cell_contents = kept(now.cell_contents)
    return copy


def function_name(function: FunctionType, name: str | None, what: str) -> str:
    """Return the name to register a function by: `name`, else its own.

    Raises
    ------
    ValueError
        If that is no identifier: a lambda has none.
    """
    chosen = function.__name__ if name is None else name
    if not isinstance(chosen, str) or not chosen.isidentifier():
        raise ValueError(f"{what} needs a name that is a Python identifier; got {chosen!r}: use def, or say name=...")
    return chosen


def _listed(arguments: tuple[str, ...]) -> str:
    if len(arguments) == 1:
        return f"one number, {arguments[0]}"
    return f"{len(arguments)} numbers, {' and '.join((', '.join(arguments[:-1]), arguments[-1]))}"
