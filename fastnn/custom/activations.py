"""Activations of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, overload

import numpy as np

from .. import activations
from ..autodiff import Tensor
from ..ops.activation import custom
from . import checks
from .compiler import compiler, function_name, plain_function
from .pickles import note_origin, packed, unpacked


class CustomActivation:
    """What `fastnn.activation` makes of a function: callable, and known by its name.

    Attributes
    ----------
    name : str
        What layers and files call it.
    record : fastnn.kernels.custom.record.Record
        Where the kernels find the compiled functions.
    """

    def __init__(self, function: FunctionType, derivative: FunctionType | None, name: str) -> None:
        self.name = self.__name__ = name
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self._compile(derivative)

    def _compile(self, derivative: FunctionType | None) -> None:
        what = f"activation {self.name!r}"
        record = compiler().activation(self.__wrapped__, derivative, what)
        checks.check_values(record, self.__wrapped__, what)
        checks.check_slopes(record, what, derivative is not None)
        checks.set_edges(record)
        self.record = record
        note_origin(self, _made, self.__wrapped__, derivative, self.name)

    def derivative(self, function: Callable[[float], float]) -> CustomActivation:
        """Give the derivative, a decorator for a function of x; it is checked as in `fastnn.activation`, which lists the errors."""
        self._compile(plain_function(function, f"derivative of activation {self.name!r}", ("x",)))
        return self

    @overload
    def __call__(self, x: float) -> float: ...
    @overload
    def __call__(self, x: Any) -> Tensor: ...
    def __call__(self, x: Any) -> Any:
        """Return the activation of a number as a number, of a tensor or an array as a tensor."""
        if isinstance(x, (int, float)):
            y = np.array([x], np.float64)
            self.record.activate(y)
            return float(y[0])
        return custom(x, self.record)

    def __copy__(self) -> CustomActivation:
        return self

    def __deepcopy__(self, memo: Any) -> CustomActivation:
        return self

    def __reduce__(self) -> Any:
        return unpacked, packed(self)

    def __repr__(self) -> str:
        return f"<activation {self.name!r}>"


@overload
def activation(function: Callable[[float], float], *, derivative: Any = None, name: str | None = None) -> CustomActivation: ...
@overload
def activation(
    function: None = None, *, derivative: Any = None, name: str | None = None
) -> Callable[[Callable[[float], float]], CustomActivation]: ...
def activation(function: Any = None, *, derivative: Any = None, name: str | None = None) -> Any:
    """Make an activation of a function on one number: a decorator.

    The function is compiled by Numba (``pip install 'fastnn-kernels[numba]'``), runs inside the dense and convolution kernels like
    a built-in activation, and is part of the replayed training step.

    Parameters
    ----------
    function : callable
        From a number to a number. It may use arithmetic, comparisons, ``if``, ``for`` and ``while``, variables of its own,
        functions of `math`, what NumPy has for one number, ``min``, ``max``, ``abs``, and functions made of the same. Arguments
        beyond the first need numbers as defaults; these, and global numbers that it uses, are constants from now on.
    derivative : callable, optional
        The derivative, a function like it. Left out, it is computed along with the value, by dual numbers. Can be given later, by
        ``@f.derivative``.
    name : str, optional
        What layers and files call it; the function's own name if left out. A name that another function of yours has passes to this
        one; existing layers keep the function that they have.

    Returns
    -------
    CustomActivation
        Callable with numbers, arrays and tensors; for layers its name stands for it.

    Raises
    ------
    ImportError
        If Numba is not installed.
    TypeError
        If `function` is not a Python function, does not take one argument, or does not return a number; if a default is none.
    ValueError
        If it cannot be compiled or has side effects, is not finite somewhere in [-10, 10], its derivative is not that of central
        differences, or its name is that of a built-in activation. The message says where.

    Warns
    -----
    UserWarning
        If it gives NaN for numbers farther out.

    Notes
    -----
    float32 models compute it in float32, float64 models in float64. Far out, where the formula for the derivative overflows though
    the function does not (``exp(x)`` does beyond 88 in float32), the derivative stays what it is at the last number where it is
    finite.
    There is no second derivative: a tape around a tape says so. A pickle takes the function along, a saved model only its name.

    See Also
    --------
    fastnn.loss, fastnn.optimizer_step : The same for losses and for update rules.
    fastnn.plotting.ActivationDisplay : Draws the function and its derivative.

    Examples
    --------
    >>> import math, fastnn
    >>> @fastnn.activation
    ... def mish(x):
    ...     return x * math.tanh(math.log1p(math.exp(x)))
    >>> round(mish(1.0), 4)
    0.8651
    >>> fastnn.layers.Dense(64, activation="mish").activation
    <activation 'mish'>
    """
    if function is None:
        return partial(activation, derivative=derivative, name=name)
    found = plain_function(function, "activation", ("x",))
    name = function_name(found, name, "an activation")
    if derivative is not None:
        derivative = plain_function(derivative, f"derivative of activation {name!r}", ("x",))
    activations.REGISTRY.check_free(name)
    made = CustomActivation(found, derivative, name)
    activations.REGISTRY.register(name, made)
    return made


def _made(function: FunctionType, derivative: FunctionType | None, name: str) -> CustomActivation:
    """Return an activation that was in a pickle; it gets its name if that is free."""
    made = CustomActivation(function, derivative, name)
    activations.REGISTRY.own.setdefault(name, made)
    return made
