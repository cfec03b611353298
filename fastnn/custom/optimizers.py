"""Optimizers of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import Any, ClassVar, overload

import numpy as np

from .. import optimizers, schedules
from ..autodiff import Variable
from ..kernels import table
from ..kernels.custom.record import Record
from ..kernels.functions.checks import number
from ..kernels.functions.optim import MAX_SLOTS
from ..optimizers import Optimizer
from . import checks
from .compiler import compiler, function_name, python_function
from .pickles import note_origin, packed, unpacked


class CustomOptimizer(Optimizer):
    """The base of what `fastnn.optimizer_step` makes of functions.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, optional
        The step size; by default what the function says, else 0.001.
    **kwargs
        The hyper-parameters, by default as the function has them; `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, see
        `fastnn.optimizers.Optimizer`.
    """

    kernel = "custom_step"
    counts_steps = True
    #: where the kernels find the compiled function
    record: ClassVar[Record]
    default_learning_rate: ClassVar[float]
    #: hyper-parameter -> its default
    defaults: ClassVar[Mapping[str, float]]

    def __init__(self, learning_rate: float | schedules.LearningRateSchedule | None = None, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name, default) for name, default in self.defaults.items()}
        super().__init__(self.default_learning_rate if learning_rate is None else learning_rate, **kwargs)
        self.hyperparameters = {name: number(name, value) for name, value in given.items()}
        self._params = np.array([*self.hyperparameters.values()] or [0.0], np.float64)

    @classmethod
    def _argument_names(cls) -> list[str]:
        return [*cls.defaults, *super()._argument_names()]

    def update(self, gradient: np.ndarray, variable: Variable, state: Mapping[str, np.ndarray]) -> None:
        slots = [state[slot] for slot in self.slots] + [None] * (MAX_SLOTS - len(self.slots))
        table.call(self.kernel, gradient, self.lr, self.step, self._params, self.record.address, variable.data, *slots)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.hyperparameters}

    def __reduce__(self) -> Any:
        return _restored, (*packed(type(self)), self.__dict__)


def _restored(identity: str, origin: bytes, attributes: dict[str, Any]) -> CustomOptimizer:
    made = unpacked(identity, origin)()
    made.__setstate__(attributes)
    return made


@overload
def optimizer_step(function: Callable[..., Any], *, name: str | None = None) -> type[CustomOptimizer]: ...
@overload
def optimizer_step(function: None = None, *, name: str | None = None) -> Callable[[Callable[..., Any]], type[CustomOptimizer]]: ...
def optimizer_step(function: Any = None, *, name: str | None = None) -> Any:
    """Make an optimizer of the rule that updates one parameter, a function on numbers: a decorator.

    The function is compiled by Numba (``pip install 'fastnn-kernels[numba]'``) and is part of the replayed training step.

    Parameters
    ----------
    function : callable
        ``f(w, g, *slots, lr, ...)``: the parameter, its gradient, what the rule remembers for each parameter (at most three
        numbers, which start at 0), and, by these names, `lr`, the learning rate, and, if it wants that, `step`, the number of the
        update from 1. Arguments with defaults are hyper-parameters; `lr` may have a default too. Returns the new parameter, or a
        tuple of it and the new slots in their order. What it may consist of, see `fastnn.activation`.
    name : str, optional
        What `fastnn.Sequential.compile` and files call it; the function's own name if left out.

    Returns
    -------
    type of CustomOptimizer
        A class: ``lion(learning_rate=1e-4, beta=0.95)`` makes an optimizer, ``compile("lion")`` one with the defaults.

    Raises
    ------
    ImportError
        If Numba is not installed.
    TypeError
        If `function` is not a Python function, its arguments are not those above, or it does not return the parameter
        and the slots.
    ValueError
        If it cannot be compiled or has side effects, does not give what Python does, or its name is that of a built-in optimizer.

    Examples
    --------
    >>> import fastnn
    >>> @fastnn.optimizer_step
    ... def lion(w, g, m, lr=1e-4, beta=0.9, beta_2=0.99):
    ...     update = beta * m + (1 - beta) * g
    ...     sign = 1.0 if update > 0 else -1.0 if update < 0 else 0.0
    ...     return w - lr * sign, beta_2 * m + (1 - beta_2) * g
    >>> lion(beta=0.95).get_config()["beta"]
    0.95
    """
    if function is None:
        return partial(optimizer_step, name=name)
    found = python_function(function, "optimizer step", "w, g, slots, lr and hyper-parameters with defaults")
    name = function_name(found, name, "an optimizer step")
    optimizers.REGISTRY.check_free(name)
    made = _class_of(found, name)
    optimizers.REGISTRY.register(name, made)
    return made


def _class_of(function: FunctionType, name: str) -> type[CustomOptimizer]:
    what = f"optimizer step {name!r}"
    slots, defaults, arguments = _arguments(function, what)
    learning_rate = defaults.pop("lr", 0.001)
    record = compiler().step(function, arguments, what)
    checks.check_step(record, function, arguments, slots, defaults, what)
    attributes = {"__doc__": function.__doc__, "__wrapped__": staticmethod(function), "record": record, "slots": slots}
    made = type(name, (CustomOptimizer,), {**attributes, "default_learning_rate": learning_rate, "defaults": defaults})
    note_origin(made, _made, function, name)
    return made


def _made(function: FunctionType, name: str) -> type[CustomOptimizer]:
    """Return an optimizer that was in a pickle; it gets its name if that is free."""
    made = _class_of(function, name)
    optimizers.REGISTRY.own.setdefault(name, made)
    return made


def _arguments(function: FunctionType, what: str) -> tuple[tuple[str, ...], dict[str, float], list[str]]:
    """Return the slots, the defaults by name, and what each argument is, see `fastnn.kernels.custom.compile.step`."""
    parameters = list(inspect.signature(function).parameters.values())
    names = [p.name for p in parameters]
    expected = "(w, g, then its slots, lr and, if it wants, step, and hyper-parameters with defaults)"
    if (
        "lr" not in names[2:]
        or names[:2] == ["g", "w"]
        or any(p.default is not p.empty or p.kind is not p.POSITIONAL_OR_KEYWORD for p in parameters[:2])
    ):
        raise TypeError(f"{what} must take {expected}; it takes ({', '.join(names)})")
    defaults = {p.name: number(p.name, p.default) for p in parameters if p.default is not p.empty}
    slots = tuple(name for name in names[2:] if name not in defaults and name not in ("lr", "step"))
    if len(slots) > MAX_SLOTS:
        raise TypeError(f"{what} may have at most {MAX_SLOTS} slots; it has {len(slots)}: {', '.join(slots)}")
    if taken := set(defaults) & {"learning_rate", "clipnorm", "clipvalue", "global_clipnorm", "name", "step"}:
        raise TypeError(f"{what} must not call a hyper-parameter {taken.pop()!r}")
    hyper = [name for name in defaults if name != "lr"]
    roles = {names[0]: "w", names[1]: "g", "lr": "lr", "step": "step"}
    roles |= {slot: f"s{i + 1}" for i, slot in enumerate(slots)} | {name: f"p{i}" for i, name in enumerate(hyper)}
    return slots, defaults, [roles[name] for name in names]
