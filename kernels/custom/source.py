"""What a user's function may consist of: arithmetic on numbers, and nothing that the outside world would notice.

Numba would compile more, and say less clearly what it does not compile. So the bytecode of the function is read first, and that of
the functions it calls, and what is not allowed is named with its line.
"""

from __future__ import annotations

import builtins
import inspect
import math
import numbers
import os
import types
from collections.abc import Callable, Iterator
from dis import Instruction, get_instructions
from typing import Any

import numpy as np

#: builtins that a function may call
BUILTINS = frozenset({abs, bool, max, min, pow, range})
ALLOWED = "it may use arithmetic, comparisons, if, for, while, variables of its own, math, min, max, abs, and functions that do so"
#: instructions that are not allowed -> what the function does with them
REFUSED = {
    "STORE_GLOBAL": "changes the global variable {!r}",
    "DELETE_GLOBAL": "deletes the global variable {!r}",
    "STORE_DEREF": "changes {!r}, a variable of the function around it",
    "STORE_ATTR": "sets the attribute {!r} of an object",
    "DELETE_ATTR": "deletes the attribute {!r} of an object",
    "STORE_SUBSCR": "writes into a list, dict or array",
    "STORE_SLICE": "writes into a list or array",
    "DELETE_SUBSCR": "deletes from a list, dict or array",
    "RAISE_VARARGS": "raises an exception, which a kernel cannot; it may return math.nan",
    "SETUP_FINALLY": "catches exceptions",
    "PUSH_EXC_INFO": "catches exceptions",
    "YIELD_VALUE": "yields, so it is a generator",
    "IMPORT_NAME": "imports {!r}; import it outside",
    "MAKE_FUNCTION": "defines a function inside; define it outside",
    "BUILD_LIST": "makes a list",
    "BUILD_SET": "makes a set",
    "BUILD_MAP": "makes a dict",
    "BUILD_STRING": "makes a text",
    "FORMAT_VALUE": "makes a text",
    "FORMAT_SIMPLE": "makes a text",
    "FORMAT_WITH_SPEC": "makes a text",
}


class Reader:
    """Checks a function and gives it to a compiler.

    Parameters
    ----------
    what : str
        What the function is to people: "activation 'mish'".
    functions : set of str
        The functions of `math` that may be called.
    compiler : callable
        From a Python function whose globals are numbers and compiled functions to the compiled function.
    """

    def __init__(self, what: str, functions: frozenset[str], compiler: Callable[[types.FunctionType], Any]) -> None:
        self.what, self.functions, self.compiler = what, functions, compiler
        self.callables = BUILTINS | {getattr(math, name) for name in functions}
        self.constants = frozenset({"pi", "e", "tau", "inf", "nan"})

    def compile(self, function: types.FunctionType, callers: tuple[types.CodeType, ...] = ()) -> Any:
        """Return the compiled function.

        Raises
        ------
        ValueError
            If it does something that is not allowed.
        """
        code = function.__code__
        if code in callers:
            raise self.error(code, None, "calls itself")
        if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS) or code.co_kwonlyargcount:
            raise self.error(code, None, "has *args, **kwargs or keyword-only arguments; give each argument a name of its own")
        names: dict[str, int] = {}
        for instruction, line in _instructions(code):
            self._check(code, instruction, line)
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_DEREF"):
                names.setdefault(instruction.argval, line)
        outer = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        values = {}
        for name, line in names.items():
            found = outer[name].cell_contents if name in outer else function.__globals__.get(name, vars(builtins).get(name))
            values[name] = self._resolved(code, line, name, found, (*callers, code))
        closure = tuple(types.CellType(values[name]) for name in code.co_freevars)
        return self.compiler(types.FunctionType(code, values, function.__name__, function.__defaults__, closure))

    def _check(self, code: types.CodeType, instruction: Instruction, line: int) -> None:
        kind, value = instruction.opname, instruction.argval
        if kind in REFUSED:
            raise self.error(code, line, REFUSED[kind].format(value))
        if kind in ("LOAD_ATTR", "LOAD_METHOD") and value not in self.functions | self.constants:
            known = ", ".join(sorted(self.functions))
            raise self.error(code, line, f"uses .{value}, which is none of the functions of math that it may: {known}")
        if kind == "LOAD_CONST" and isinstance(value, (str, bytes, complex)):
            raise self.error(code, line, f"uses {value!r}; numbers are real ones")

    def _resolved(self, code: types.CodeType, line: int, name: str, value: Any, callers: tuple[types.CodeType, ...]) -> Any:
        """Return what stands for a global of the function when it is compiled."""
        value = inspect.unwrap(value)  # of a compiled function or one of ours, the Python function
        if isinstance(value, (numbers.Real, np.bool_)):
            return float(value) if isinstance(value, np.floating) else int(value) if isinstance(value, np.integer) else value
        if value is math or value is np:
            return math
        if isinstance(value, types.FunctionType):
            return self.compile(value, callers)
        if any(value is known for known in self.callables):
            return value
        if value is print or value is input:
            raise self.error(code, line, f"calls {name}; a kernel cannot")
        if value is None:
            advice = f": write math.{name}" if name in self.functions else ""
            raise self.error(code, line, f"uses {name!r}, which is not defined{advice}")
        raise self.error(code, line, f"uses {name!r}, {_described(value)}")

    def error(self, code: types.CodeType, line: int | None, does: str) -> ValueError:
        """Return the error that says what a function does that it may not."""
        inner = "" if self.what.endswith(repr(code.co_name)) else f"{code.co_name!r}, which it calls, "
        place = f"line {line or code.co_firstlineno} of {os.path.basename(code.co_filename)}"
        return ValueError(f"{self.what} cannot be compiled: {inner}{'' if inner else 'it '}{does} ({place}); {ALLOWED}")


def _instructions(code: types.CodeType) -> Iterator[tuple[Instruction, int]]:
    """Yield the instructions of a function with their lines."""
    lines = [(start, stop, line) for start, stop, line in code.co_lines() if line is not None]
    for instruction in get_instructions(code):
        yield instruction, next((line for start, stop, line in lines if start <= instruction.offset < stop), code.co_firstlineno)


def _described(value: Any) -> str:
    kind = type(value).__name__
    return f"the {kind} {value.__name__!r}" if isinstance(value, (type, types.ModuleType)) else f"a {kind}"
