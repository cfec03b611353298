"""Losses of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, overload

import numpy as np

from .. import losses, targets
from ..autodiff import Tensor
from ..kernels.custom.record import Record
from ..losses import Loss, by_sample
from ..ops.loss import custom_loss
from . import checks
from .compiler import compiler, function_name, plain_function
from .pickles import note_origin, packed, unpacked

ARGUMENTS = ("y_true", "y_pred")


class CustomLoss(Loss):
    """What `fastnn.loss` makes of a function: the mean of it over the outputs of each sample.

    Parameters
    ----------
    reduction, name
        See `fastnn.losses.Loss`.

    Attributes
    ----------
    record : fastnn.kernels.custom.record.Record
        Where the kernels find the compiled functions.
    """

    record: Record

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None) -> None:
        super().__init__(name, reduction)

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        return targets.like(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return by_sample(custom_loss(y_pred, y_true, self.record), y_pred)

    def derivative(self, function: Callable[[float, float], float]) -> CustomLoss:
        """Give the derivative by `y_pred`, a decorator; it is checked as in `fastnn.loss`, which lists the errors."""
        given = plain_function(function, f"derivative of loss {type(self).__name__!r}", ARGUMENTS)
        _compile(type(self), given)
        return self

    def __reduce__(self) -> Any:
        return _restored, (*packed(type(self)), self.get_config())


def _restored(identity: str, origin: bytes, config: dict[str, Any]) -> CustomLoss:
    return unpacked(identity, origin).from_config(config)


def _compile(cls: Any, derivative: FunctionType | None) -> None:
    """Give a class of losses its record."""
    what = f"loss {cls.__name__!r}"
    record = compiler().loss(cls.__wrapped__, derivative, what)
    checks.check_loss(record, cls.__wrapped__, what, derivative is not None)
    cls.record = record
    note_origin(cls, _made, cls.__wrapped__, derivative, cls.__name__)


def _class_of(function: FunctionType, derivative: FunctionType | None, name: str) -> type[CustomLoss]:
    made = type(name, (CustomLoss,), {"__doc__": function.__doc__, "__wrapped__": staticmethod(function)})
    _compile(made, derivative)
    return made


def _made(function: FunctionType, derivative: FunctionType | None, name: str) -> type[CustomLoss]:
    """Return a class of losses that was in a pickle; it gets its name if that is free."""
    made = _class_of(function, derivative, name)
    losses.REGISTRY.own.setdefault(name, made)
    return made


@overload
def loss(function: Callable[[float, float], float], *, derivative: Any = None, name: str | None = None) -> CustomLoss: ...
@overload
def loss(
    function: None = None, *, derivative: Any = None, name: str | None = None
) -> Callable[[Callable[[float, float], float]], CustomLoss]: ...
def loss(function: Any = None, *, derivative: Any = None, name: str | None = None) -> Any:
    """Make a loss of a function on two numbers, ``f(y_true, y_pred)``: a decorator.

    The loss of a sample is the mean over its outputs. The function is compiled by Numba (``pip install 'fastnn-kernels[numba]'``)
    and is part of the replayed training step.

    Parameters
    ----------
    function : callable
        From a target and a prediction to a number; what it may consist of, see `fastnn.activation`.
    derivative : callable, optional
        The derivative by the prediction, a function of the same arguments. Left out, it is computed along with the value, by dual
        numbers. Can be given later, by ``@f.derivative``.
    name : str, optional
        What `fastnn.Sequential.compile` and files call it; the function's own name if left out.

    Returns
    -------
    CustomLoss
        A `fastnn.losses.Loss`.

    Raises
    ------
    ImportError
        If Numba is not installed.
    TypeError
        If `function` is not a Python function, does not take two arguments, or does not return a number.
    ValueError
        If it cannot be compiled or has side effects, is not finite for targets 0 and 1 and predictions between them, its derivative
        is not that of central differences, or its name is that of a built-in loss. The message says where.

    Examples
    --------
    >>> import math, fastnn
    >>> @fastnn.loss
    ... def log_cosh(y_true, y_pred):
    ...     d = abs(y_pred - y_true)
    ...     return d + math.log1p(math.exp(-2 * d)) - math.log(2)
    >>> print(f"{float(log_cosh([[0.0]], [[1.0]])):.4f}")
    0.4338
    """
    if function is None:
        return partial(loss, derivative=derivative, name=name)
    found = plain_function(function, "loss", ARGUMENTS)
    name = function_name(found, name, "a loss")
    if [*inspect.signature(found).parameters][:2] == [*reversed(ARGUMENTS)]:
        raise TypeError(f"loss {name!r} must take y_true before y_pred")
    if derivative is not None:
        derivative = plain_function(derivative, f"derivative of loss {name!r}", ARGUMENTS)
    losses.REGISTRY.check_free(name)
    made = _class_of(found, derivative, name)
    losses.REGISTRY.register(name, made)
    return made()
