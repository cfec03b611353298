"""What a user's function may consist of: arithmetic on numbers, and nothing that the outside world would notice.

Numba would compile more, and say less clearly what it does not compile. So the bytecode of the function is read first, and that of
the functions it calls, and what is not allowed is named with its line.
"""

from __future__ import annotations

import builtins
import difflib
import inspect
import math
import os
import types
from collections.abc import Callable, Iterator
from dis import Instruction, get_instructions
from typing import Any, NamedTuple

import numpy as np

#: builtins that a function may call
BUILTINS = (abs, bool, float, int, max, min, pow, range, round)
CONSTANTS = frozenset({"pi", "e", "tau", "inf", "nan"})
ALLOWED = "it may use arithmetic, comparisons, if, for, while, variables of its own, math, min, max, abs, and functions that do so"


def _float(x):
    return 1.0 * x  # Numba's own takes no bool


def _where(condition, a, b):
    return a if condition else b


def _clip(x, low, high):
    return min(max(x, low), high)


def _sign(x):
    return 1.0 if x > 0 else -1.0 if x < 0 else 0 * x


def _square(x):
    return x * x


#: what math does not have, or under another name
NUMPY = {
    **{"abs": abs, "absolute": abs, "maximum": max, "minimum": min, "power": pow, "float32": _float, "float64": _float},
    **{"where": _where, "clip": _clip, "sign": _sign, "square": _square},
    **{f"arc{name}": getattr(math, f"a{name}") for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
}
#: numbers of Python's and of NumPy's
NUMBERS = (int, float, np.integer, np.floating, np.bool_)
#: instructions that are not allowed -> what the function does with them
REFUSED = {
    "STORE_GLOBAL": "changes the global variable {!r}",
    "DELETE_GLOBAL": "deletes the global variable {!r}",
    "DELETE_FAST": "deletes {!r}, which is not needed",
    "STORE_DEREF": "changes {!r}, a variable of the function around it",
    "STORE_ATTR": "sets the attribute {!r} of an object",
    "DELETE_ATTR": "deletes the attribute {!r} of an object",
    "STORE_SUBSCR": "writes into a list, dict or array",
    "STORE_SLICE": "writes into a list or array",
    "DELETE_SUBSCR": "deletes from a list, dict or array",
    "RAISE_VARARGS": "raises an exception, which a kernel cannot; it may return math.nan",
    "SETUP_FINALLY": "catches exceptions",
    "PUSH_EXC_INFO": "catches exceptions",
    "IMPORT_NAME": "imports {!r}; import it outside",
    "BUILD_LIST": "makes a list",
    "BUILD_SET": "makes a set",
    "BUILD_MAP": "makes a dict",
    "BUILD_STRING": "makes a text",
    "FORMAT_VALUE": "makes a text",
    "FORMAT_SIMPLE": "makes a text",
    "FORMAT_WITH_SPEC": "makes a text",
}


def unwrapped(value: Any) -> Any:
    """Return the Python function of a compiled function or of one of ours; anything else, also what a decorator made, itself."""
    return inspect.unwrap(value, stop=lambda made: isinstance(made, types.FunctionType))


class Global(NamedTuple):
    """What a name from outside of a function stands for."""

    name: str
    value: Any


class Reader:
    """Checks a function and gives it to a compiler.

    Parameters
    ----------
    what : str
        What messages call the function: "activation 'mish'".
    functions : set of str
        The functions of `math` that may be called.
    compiler : callable
        From a Python function whose globals are numbers and compiled functions to the compiled function.
    """

    def __init__(self, what: str, functions: frozenset[str], compiler: Callable[[Callable], Any]) -> None:
        self.what, self.functions, self.compiler = what, functions, compiler
        of_math = {name: getattr(math, name) for name in functions | CONSTANTS}
        of_numpy = {name: value for name, value in of_math.items() if hasattr(np, name)} | NUMPY
        #: module -> what stands for it when a function is compiled
        self.modules = {math: types.ModuleType("math"), np: types.ModuleType("numpy")}
        #: the identity of a function of Python's, of math's or of NumPy's -> what stands for it
        self.callables = {id(value): compiler(_float) if value is float else value for value in BUILTINS}
        for module, members in ((math, of_math), (np, of_numpy)):
            for name, value in members.items():
                stands = compiler(value) if isinstance(value, types.FunctionType) else value
                setattr(self.modules[module], name, stands)
                self.callables.setdefault(id(getattr(module, name)), stands)

    def compile(self, function: types.FunctionType, callers: tuple[types.FunctionType, ...] = ()) -> Any:
        """Return the compiled function.

        Raises
        ------
        ValueError
            If it does something that is not allowed.
        """
        code = function.__code__
        self._outermost = (*callers, function)[0]
        if function in callers:
            raise self.error(code, None, "calls itself")
        if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) or code.co_kwonlyargcount:
            raise self.error(code, None, "has *args, **kwargs or keyword-only arguments; give each argument a name of its own")
        if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE):
            raise self.error(code, None, "is a generator or asynchronous")
        outer = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        values: dict[str, Any] = {}
        owner = None  # the global that the instruction before has loaded
        for instruction, line in _instructions(code):
            self._check(code, instruction, line, owner)
            if instruction.opname not in ("LOAD_GLOBAL", "LOAD_DEREF"):
                owner = owner if instruction.opname == "EXTENDED_ARG" else None
                continue
            name = instruction.argval
            owner = Global(name, _found(outer[name]) if name in outer else function.__globals__.get(name, vars(builtins).get(name)))
            if name not in values:
                values[name] = self._resolved(code, line, owner, (*callers, function))
        closure = tuple(types.CellType(values[name]) for name in code.co_freevars)
        return self.compiler(types.FunctionType(code, values, function.__name__, function.__defaults__, closure))

    def _check(self, code: types.CodeType, instruction: Instruction, line: int, owner: Global | None) -> None:
        kind, value = instruction.opname, instruction.argval
        if kind in REFUSED:
            raise self.error(code, line, REFUSED[kind].format(value))
        if kind in ("LOAD_ATTR", "LOAD_METHOD") and (problem := self._attribute(value, owner)):
            raise self.error(code, line, problem)
        if kind == "LOAD_CONST" and isinstance(value, types.CodeType):
            raise self.error(code, line, "defines a function inside; define it outside")
        if kind == "LOAD_CONST" and isinstance(value, (str, bytes, complex)):
            raise self.error(code, line, f"uses {value!r}; numbers are real ones")

    def _attribute(self, name: str, owner: Global | None) -> str | None:
        """Return what is wrong with the use of an attribute, None if nothing is."""
        if owner is None or not isinstance(owner.value, types.ModuleType):
            return f"uses .{name}, but what it gets is one number, and not an array"
        of, module = owner
        if "random" in (name, module.__name__):
            return f"uses {of}.{name}, but what it gives must depend on its arguments alone"
        if module not in self.modules:
            advice = "; a function made of fastnn.ops needs no decorator" if module.__name__.startswith("fastnn") else ""
            return f"uses {of}.{name}; of modules it may use math and numpy alone{advice}"
        known = [known for known in vars(self.modules[module]) if not known.startswith("_")]
        if name in known:
            return None
        close = [f"{of}.{near}" for near in difflib.get_close_matches(name, known, 2)]
        may = f"did you mean {' or '.join(close)}?" if close else f"of {of} it may use {', '.join(sorted(known))}"
        return f"uses {of}.{name}; {may}"

    def _resolved(self, code: types.CodeType, line: int, used: Global, callers: tuple[types.FunctionType, ...]) -> Any:
        """Return what stands for a global of the function when it is compiled."""
        name, value = used.name, unwrapped(used.value)
        if isinstance(value, NUMBERS):
            return float(value) if isinstance(value, np.floating) else int(value) if isinstance(value, np.integer) else value
        if isinstance(value, types.ModuleType):
            return self.modules.get(value, value)  # of which nothing else may be used than modules' attributes
        if id(value) in self.callables:
            return self.callables[id(value)]
        if isinstance(value, types.FunctionType):
            return self.compile(value, callers)
        if isinstance(value, type) and issubclass(value, BaseException):
            return value  # what is done with it is refused
        if callable(value):
            raise self.error(code, line, f"calls {name}, which a kernel cannot")
        if value is None and name == code.co_name:  # a decorated function has no name yet
            raise self.error(code, None, "calls itself")
        if value is None:
            advice = f": write math.{name}" if name in self.functions else ""
            raise self.error(code, line, f"uses {name!r}, which is not defined{advice}")
        does = f"uses {name!r}, a {type(value).__name__}; what comes from outside must be a number or a function"
        raise self.error(code, line, does)

    def error(self, code: types.CodeType, line: int | None, does: str) -> ValueError:
        """Return the error that says what a function does that it may not."""
        inner = "" if code is self._outermost.__code__ else f"{code.co_name!r}, which it calls, "
        place = f"line {line or code.co_firstlineno} of {os.path.basename(code.co_filename)}"
        return ValueError(f"{self.what} cannot be compiled: {inner}{'' if inner else 'it '}{does} ({place}); {ALLOWED}")


def _found(cell: types.CellType) -> Any:
    """Return what is in a variable of the function around one, None if it is not set yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _instructions(code: types.CodeType) -> Iterator[tuple[Instruction, int]]:
    """Yield the instructions of a function with their lines."""
    lines = [(start, stop, line) for start, stop, line in code.co_lines() if line is not None]
    for instruction in get_instructions(code):
        yield instruction, next((line for start, stop, line in lines if start <= instruction.offset < stop), code.co_firstlineno)
