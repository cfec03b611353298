"""One optimizer step on one parameter array, in place. Update rules and defaults are Keras's.

`w` and the state arrays are updated in place: they must be writable C-contiguous arrays, all of one dtype (float32 or float64) and
one shape, and must not overlap. The gradient `g` may be anything of that shape. `lr`, and Adam's `step`, are numbers, or float64
arrays of one element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..custom.record import Record
from ..table import attempt, call
from .checks import F64, in_place, number, one_float64, own_function, real

#: arrays that the rule of `custom_step` may keep for each parameter
MAX_SLOTS = 3


def sgd_step(w: np.ndarray, g: Any, lr: float | np.ndarray) -> None:
    """Update ``w -= lr * g``.

    Parameters
    ----------
    w : ndarray of float32 or float64
        Parameters, updated in place.
    g : array_like
        Gradient, of the shape of `w`.
    lr : float, or ndarray of float64, shape (1,)
        Learning rate.

    Raises
    ------
    ValueError, TypeError
        If an array cannot be updated in place, or the shapes differ.
    """
    _update("sgd_step", w, g, (lr,))


def momentum_step(w: np.ndarray, g: Any, v: np.ndarray, lr: float | np.ndarray, momentum: float = 0.9) -> None:
    """Update ``v = momentum * v - lr * g; w += v``.

    Parameters
    ----------
    w, g, lr
        As in `sgd_step`.
    v : ndarray
        Velocity, like `w` and updated in place; zeros at the start.
    momentum : float, default 0.9

    Raises
    ------
    ValueError, TypeError
        As `sgd_step`.
    """
    _update("momentum_step", w, g, (lr,), (number("momentum", momentum),), v=v)


def nesterov_step(w: np.ndarray, g: Any, v: np.ndarray, lr: float | np.ndarray, momentum: float = 0.9) -> None:
    """Update ``v = momentum * v - lr * g; w += momentum * v - lr * g``.

    Parameters
    ----------
    w, g, v, lr, momentum
        As in `momentum_step`.

    Raises
    ------
    ValueError, TypeError
        As `sgd_step`.
    """
    _update("nesterov_step", w, g, (lr,), (number("momentum", momentum),), v=v)


def adagrad_step(w: np.ndarray, g: Any, a: np.ndarray, lr: float | np.ndarray, eps: float = 1e-7) -> None:
    """Update ``a += g**2; w -= lr * g / sqrt(a + eps)``.

    Parameters
    ----------
    w, g, lr
        As in `sgd_step`.
    a : ndarray
        Accumulated squares, like `w` and updated in place; not negative at the start.
    eps : float, default 1e-7

    Raises
    ------
    ValueError, TypeError
        As `sgd_step`.
    """
    _update("adagrad_step", w, g, (lr,), (number("eps", eps, low=0),), a=a)


def rmsprop_step(w: np.ndarray, g: Any, a: np.ndarray, lr: float | np.ndarray, rho: float = 0.9, eps: float = 1e-7) -> None:
    """Update ``a = rho * a + (1 - rho) * g**2; w -= lr * g / sqrt(a + eps)``.

    Parameters
    ----------
    w, g, lr
        As in `sgd_step`.
    a : ndarray
        Moving average of the squares, like `w` and updated in place; zeros at the start.
    rho : float, default 0.9
    eps : float, default 1e-7

    Raises
    ------
    ValueError, TypeError
        As `sgd_step`.
    """
    _update("rmsprop_step", w, g, (lr,), (number("rho", rho), number("eps", eps, low=0)), a=a)


def adam_step(
    w: np.ndarray,
    g: Any,
    m: np.ndarray,
    v: np.ndarray,
    lr: float | np.ndarray,
    step: float | np.ndarray,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-7,
) -> None:
    """Update by Adam, in the form with `eps` outside the bias correction (Kingma & Ba 2015, end of section 2).

    It computes ::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w -= lr * sqrt(1 - beta2**step) / (1 - beta1**step) * m / (sqrt(v) + eps)

    Parameters
    ----------
    w, g, lr
        As in `sgd_step`.
    m, v : ndarray
        Moving averages of the gradient and its square, like `w` and updated in place; zeros at the start.
    step : float, or ndarray of float64, shape (1,)
        Number of this step, counted from 1; with infinity there is no bias correction.
    beta1 : float, default 0.9
    beta2 : float, default 0.999
    eps : float, default 1e-7

    Raises
    ------
    ValueError, TypeError
        As `sgd_step`; also if `step` is less than 1.

    Examples
    --------
    The first step goes by the signs of the gradients alone:

    >>> import numpy as np
    >>> from fastnn import kernels
    >>> w, m, v = np.ones(2), np.zeros(2), np.zeros(2)
    >>> kernels.adam_step(w, [0.5, -2.0], m, v, lr=0.1, step=1)
    >>> w.round(4)
    array([0.9, 1.1])
    """
    _update("adam_step", w, g, (lr, step), _adam(beta1, beta2, eps), m=m, v=v)


def adamw_step(
    w: np.ndarray,
    g: Any,
    m: np.ndarray,
    v: np.ndarray,
    lr: float | np.ndarray,
    step: int | np.ndarray,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-7,
    weight_decay: float = 0.004,
) -> None:
    """Update ``w -= lr * weight_decay * w``, then as `adam_step` (Loshchilov & Hutter 2019).

    Parameters
    ----------
    w, g, m, v, lr, step, beta1, beta2, eps
        As in `adam_step`.
    weight_decay : float, default 0.004

    Raises
    ------
    ValueError, TypeError
        As `adam_step`.
    """
    params = (*_adam(beta1, beta2, eps), number("weight_decay", weight_decay))
    _update("adamw_step", w, g, (lr, step), params, m=m, v=v)


def custom_step(
    w: np.ndarray,
    g: Any,
    slots: Sequence[np.ndarray],
    lr: float | np.ndarray,
    step: int | np.ndarray,
    params: Any,
    function: Record,
) -> None:
    """Update by a rule of the user's.

    Parameters
    ----------
    w, g, lr
        As in `sgd_step`.
    slots : sequence of ndarray
        What the rule keeps for each parameter, at most three arrays like `w`, updated in place; zeros at the start.
    step : int, or ndarray of float64, shape (1,)
        Number of this step, counted from 1.
    params : array_like, shape (h,)
        The rule's hyper-parameters in the order of its arguments; for a rule without any, one number that is not used.
    function : Record
        What `fastnn.optimizer_step` made of a function: the attribute `record` of the class.

    Raises
    ------
    ValueError, TypeError
        As `adam_step`; ValueError if the rule has another number of slots or hyper-parameters, TypeError if `function` is another
        record.
    """
    w, g = _parameters(w, g)
    params, takes = real("params", params, F64), own_function(function, "optimizer_step").source.arguments
    wanted = len({"s1", "s2", "s3"} & {*takes}), max(1, sum(name[0] == "p" for name in takes))
    if (len(slots), params.size) != wanted:
        raise ValueError(
            f"{function.source.what} needs {wanted[0]} slots and params of {wanted[1]} numbers; got {len(slots)} and {params.size}"
        )
    states = [_state(f"slots[{i}]", slot, w) for i, slot in enumerate(slots)]
    missing = [None] * (MAX_SLOTS - len(states))
    call("custom_step", g, one_float64("lr", lr), _count(step), params, function.address, w, *states, *missing)


def _update(op_name: str, w: np.ndarray, g: Any, counts: tuple, params: tuple[float, ...] = (), **states: np.ndarray) -> None:
    """Take a step of a rule: `counts` is (lr,) or (lr, step), `states` what the rule keeps by name, arrays like `w`."""
    if len(counts) == 1 or (isinstance(counts[1], (int, float)) and counts[1] >= 1):
        if attempt(op_name, (g, *counts), params, (w, *states.values())) is not None:
            return
    w, g = _parameters(w, g)
    arrays = one_float64("lr", counts[0]), *map(_count, counts[1:])
    call(op_name, g, *arrays, *params, w, *(_state(name, array, w) for name, array in states.items()))


def _parameters(w: np.ndarray, g: Any) -> tuple[np.ndarray, np.ndarray]:
    w = in_place("w", w)
    g = real("g", g, w.dtype)
    if g.shape != w.shape:
        raise ValueError(f"g must have the shape of w, {w.shape}; got {g.shape}")
    return w, g


def _state(name: str, array: np.ndarray, w: np.ndarray) -> np.ndarray:
    return in_place(name, array, w.dtype, w.shape)


def _adam(beta1: float, beta2: float, eps: float) -> tuple[float, float, float]:
    return number("beta1", beta1), number("beta2", beta2), number("eps", eps, low=0)


def _count(step: float | np.ndarray) -> np.ndarray:
    step = one_float64("step", step)
    if not step[0] >= 1:
        raise ValueError(f"step must be at least 1, for the first step; got {step[0]}")
    return step
