"""Losses of one's own."""

from __future__ import annotations

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

ARGUMENTS = ("y_true", "y_pred")


class CustomLoss(Loss):
    """What `loss` makes of a function: the mean of it over the outputs of each sample.

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
        """Give the derivative by `y_pred`, a decorator; it is checked as in `loss`, which lists the errors."""
        given = plain_function(function, f"derivative of loss {type(self).__name__!r}", ARGUMENTS)
        type(self).record = _compiled(type(self).__wrapped__, given, type(self).__name__)  # type: ignore[attr-defined]
        return self

    def __reduce__(self) -> Any:
        return losses.get, (losses.serialize(self),)


def _compiled(function: FunctionType, derivative: FunctionType | None, name: str) -> Record:
    what = f"loss {name!r}"
    record = compiler().loss(function, derivative, what)
    checks.check_loss(record, function, what, derivative is not None)
    return record


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
        What `compile` and files call it; the function's own name if left out.

    Returns
    -------
    CustomLoss
        A `fastnn.losses.Loss`.

    Raises
    ------
    ImportError
        If Numba is not installed.
    TypeError
        If `function` is none, does not take two arguments, or does not return a number.
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
    if derivative is not None:
        derivative = plain_function(derivative, f"derivative of loss {name!r}", ARGUMENTS)
    losses.REGISTRY.check_free(name)
    record = _compiled(found, derivative, name)
    made = type(name, (CustomLoss,), {"__doc__": found.__doc__, "__wrapped__": found, "record": record})
    losses.REGISTRY.register(name, made)
    return made()
