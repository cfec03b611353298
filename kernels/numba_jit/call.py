"""From Python arguments to a call record, and from the record to compiled steps.

A kernel consists of one or several steps, run one after the other. A step is a function ``f(call, first, last)`` that does items
`first` to `last` of its work; which items are done together, and by which thread, changes no bit of the result. `call` is a pointer
to the call record: its attributes are the arguments of the op, its extents by the names of their axes, and `scratch`, memory
that the steps of one call share.
"""

import ctypes
import math
import numbers
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic, models, register_model

from .. import threads
from ..spec import OPS, Array, Op, Param
from . import cache, team

ELEMENTS = {"int32": types.int32, "uint8": types.uint8, "uint64": types.uint64, "float64": types.float64}
REALS: dict[np.dtype, Any] = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
DTYPES = {kind: np.dtype(kind) for kind in ELEMENTS}


#: extents and integer parameters by name
Extents = Mapping[str, int]
Count = Callable[[Extents], int]


class Call(types.Type):
    """Numba's type of a pointer to a call record of an op: 8 bytes for each argument, extent, and the scratch memory."""

    def __init__(self, op_name: str, real: types.Float) -> None:
        op = OPS[op_name]
        self.fields = {a.name: types.CPointer(ELEMENTS.get(a.kind, real)) for a in op.inputs}
        self.fields |= {p.name: types.int64 if p.kind == "int" else types.float64 for p in op.params}
        self.fields |= {a.name: types.CPointer(ELEMENTS.get(a.kind, real)) for a in op.outputs}
        self.fields |= {axis: types.int64 for axis in op.axes} | {"scratch": types.CPointer(real)}
        super().__init__(name=f"Call({op_name}, {real})")


register_model(Call)(models.OpaqueModel)


@infer_getattr
class _Fields(AttributeTemplate):
    key = Call

    def generic_resolve(self, call, name):
        return call.fields.get(name)


@lower_getattr_generic(Call)
def _load_field(context, builder, call, value, name):
    kind = context.get_value_type(call.fields[name])
    slots = builder.bitcast(value, kind.as_pointer())
    slot = context.get_constant(types.intp, list(call.fields).index(name))
    return builder.load(builder.gep(slots, [slot]))


#: a step of less work than this is not shared out: a second thread costs more than it brings
PARALLEL_ELEMENTS = 131072
#: the least work of a task
TASK_ELEMENTS = 16384
LINE_BYTES = 64  # of a cache line

_function_type = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True, eq=False)
class Step:
    """A function over items, and how its work is cut for threads.

    Parameters
    ----------
    function : callable
        ``f(call, first, last)``.
    items, cost : str or callable
        The number of items, and of elements that one item takes: the product of these axes and integer parameters, or a function
        of their values by name.
    weight : float
        The time that one of these elements takes, in that of reading and writing one.
    multiple : int
        Items that are better done together.
    scratch : callable, optional
        From the same values to the memory that the steps of a call share, in multiples of 8 bytes.
    """

    function: Callable
    items: str | Count
    cost: str | Count = ""
    weight: float = 1
    multiple: int = 1
    scratch: Count | None = None
    _compiled: dict = field(default_factory=dict)

    def compiled(self, op: Op, dtype: np.dtype) -> Callable:
        """Return the step for one op and float type as a C function, compiled at the first use."""
        key = op.name, dtype
        if key not in self._compiled:
            code = cache.compiled(self.function, types.void(Call(op.name, REALS[dtype]), types.int64, types.int64))
            # the code lives as long as the function, and the first of two threads that compile at the same time wins
            self._compiled.setdefault(key, (_function_type(code.address), code))
        return self._compiled[key][0]

    def cut(self, e: Extents) -> tuple[int, int]:
        """Return the number of items, and how many of them are one task: 0 where it is too little to share."""
        items = _count(self.items, e)
        elements = self.weight * _count(self.cost, e)
        if items * elements < PARALLEL_ELEMENTS:
            return items, 0
        return items, math.ceil(TASK_ELEMENTS / elements / self.multiple) * self.multiple


def _count(what: str | Count, e: Extents) -> int:
    return math.prod(e[name] for name in what.split()) if isinstance(what, str) else what(e)


@dataclass(frozen=True)
class Plan:
    """The steps of a kernel, where it has more than one.

    Parameters
    ----------
    alternatives : tuple of tuple of Step
        The steps of a call, run one after the other.
    choose : callable
        From extents and integer parameters by name to the place of the alternative that serves.
    """

    alternatives: tuple[tuple[Step, ...], ...]
    choose: Count = lambda e: 0


def step(items: str | Count, cost: str | Count = "", **options) -> Callable[[Callable], Step]:
    """Make a function a `Step`."""
    return lambda function: Step(function, items, cost, **options)


class Kernel:
    """One op, called as ``kernel(*inputs, *params, *outputs)``.

    Parameters
    ----------
    op : fastnn.kernels.spec.Op
        The contract.
    plan : Step or Plan
        What it consists of.
    """

    def __init__(self, op: Op, plan: Step | Plan) -> None:
        self.op = op
        self.__name__ = op.name
        self._plan = Plan(((plan,),)) if isinstance(plan, Step) else plan
        codes = "".join("q" if p.kind == "int" else "d" for p in op.params)
        self._record = struct.Struct(f"={len(op.inputs)}q{codes}{len(op.outputs) + len(op.axes) + 1}q")

    def __repr__(self) -> str:
        return f"<Numba kernel {self.op.name}({', '.join(self.op.argument_names)})>"

    def __call__(self, *args) -> None:
        record, steps, scratch = self.prepare(args)  # the memory lives until the call is over
        if threads.get_num_threads() > 1 and any(grain for _, _, grain in steps):
            team.run(as_table([(record, steps)]))
        else:
            for function, items, _ in steps:
                function(record, 0, items)

    def compile(self) -> None:
        """Compile all steps for all float types."""
        for alternative in self._plan.alternatives:
            for step in alternative:
                for dtype in REALS:
                    step.compiled(self.op, dtype)

    def prepare(self, args: tuple) -> tuple[bytes, list[tuple[Callable, int, int]], np.ndarray | None]:
        """Check the arguments; return the call record, its steps (function, items, grain) and the scratch memory.

        Raises
        ------
        TypeError, ValueError
            Where an argument does not fit the spec.
        """
        op = self.op
        if len(args) != len(op.argument_names):
            raise TypeError(f"{op.name} takes {', '.join(op.argument_names)}; got {len(args)} arguments")
        n_inputs, n_outputs = len(op.inputs), len(op.outputs)
        extents: dict[str, int] = {}
        reals: list[np.dtype] = []
        arrays = (*args[:n_inputs], *args[-n_outputs:])
        addresses = [self._address(*pair, extents, reals) for pair in zip(op.arrays, arrays, strict=True)]
        params = [self._param(*pair) for pair in zip(op.params, args[n_inputs:-n_outputs], strict=True)]
        e = {p.name: value for p, value in zip(op.params, params, strict=True) if p.kind == "int"}
        e.update(extents)
        if op.product:
            axis, factor, parameter = op.product
            if e[axis] != e[factor] * e[parameter]:
                raise ValueError(
                    f"{op.name}: axis {axis!r} has extent {e[axis]}, expected {e[factor]} * {e[parameter]}, "
                    f"axis {factor!r} times {parameter}"
                )
        dtype = reals[0] if reals else np.dtype(np.float64)
        steps = self._plan.alternatives[self._plan.choose(e)]
        scratch = self._scratch(steps, e)
        record = self._record.pack(
            *addresses[:n_inputs],
            *params,
            *addresses[n_inputs:],
            *(e.get(axis, 0) for axis in op.axes),
            0 if scratch is None else scratch.ctypes.data,
        )
        return record, [(step.compiled(op, dtype), *step.cut(e)) for step in steps], scratch

    @staticmethod
    def _scratch(steps: tuple[Step, ...], e: Extents) -> np.ndarray | None:
        """Return memory for all steps, from the beginning of a cache line."""
        size = max((step.scratch(e) for step in steps if step.scratch), default=0)
        if not size:
            return None
        memory = np.empty(8 * size + LINE_BYTES, np.uint8)
        return memory[-memory.ctypes.data % LINE_BYTES :]

    def _address(self, array: Array, value: np.ndarray | None, extents: dict[str, int], reals: list[np.dtype]) -> int:
        """Check one array, note its extents and its float type, and return its address."""
        where = f"{self.op.name}: {array.name}"
        if value is None and array.optional:
            return 0
        if not isinstance(value, np.ndarray):
            raise TypeError(f"{where} must be an array, got {type(value).__name__}")
        if array.kind == "real":
            if value.dtype not in REALS or (reals and value.dtype != reals[0]):
                raise TypeError(f"{where} must be float32 or float64, the same for all real arrays; got {value.dtype}")
            reals.append(value.dtype)
        elif value.dtype != DTYPES[array.kind]:
            raise TypeError(f"{where} must be {array.kind}; got {value.dtype}")
        if not value.flags.c_contiguous or (array.role != "in" and not value.flags.writeable):
            raise ValueError(f"{where} must be a C-contiguous array{', writable' * (array.role != 'in')}")
        shape = (value.size,) if array.axes == "*" else value.shape
        names = array.axis_names
        if len(shape) != len(names):
            raise ValueError(f"{where} must have axes ({array.axes}), got an array of rank {len(shape)}")
        for name, extent in zip(names, shape, strict=True):
            expected = int(name) if name.isdigit() else extents.setdefault(name, extent)
            if extent != expected:
                raise ValueError(f"{where} has extent {extent} on axis {name!r}, expected {expected}")
        return value.ctypes.data

    def _param(self, param: Param, value: Any) -> Any:
        where = f"{self.op.name}: {param.name}"
        if param.kind == "float":
            if not isinstance(value, numbers.Real):
                raise TypeError(f"{where} must be a number; got {value!r:.60}")
            return float(value)
        if not isinstance(value, numbers.Integral):
            raise TypeError(f"{where} must be an integer; got {value!r:.60}")
        integer = int(value)
        if not param.low <= integer < 2**63:
            raise ValueError(f"{where} must be an integer of at least {param.low}; got {integer}")
        return integer


class Program:
    """Recorded calls, run in order without the interpreter lock: ``append(kernel, *args)``, then ``run(times)``."""

    def __init__(self) -> None:
        self._calls: list[tuple[bytes, list[tuple[Callable, int, int]]]] = []
        self._kept: list[tuple] = []
        self._table: np.ndarray | None = None

    def append(self, kernel: Kernel, *args) -> None:
        """Add a call, checked and compiled now, run later."""
        record, steps, scratch = kernel.prepare(args)
        self._calls.append((record, steps))
        self._kept.append((args, scratch))
        self._table = None

    def run(self, times: int = 1) -> None:
        """Run all calls in order, `times` times over."""
        if self._table is None:
            self._table = as_table(self._calls)
        team.run(self._table, times)


def as_table(calls: Sequence[tuple[bytes, list[tuple[Any, int, int]]]]) -> np.ndarray:
    """Return the steps of calls as `team.run` takes them; the call records must outlive the table."""
    rows = [
        (ctypes.cast(function, ctypes.c_void_p).value, np.frombuffer(record, np.uint8).ctypes.data, items, grain)
        for record, steps in calls
        for function, items, grain in steps
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)
