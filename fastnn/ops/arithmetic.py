"""Arithmetic with broadcasting: the operators of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels
from ..autodiff import Gradients, Needs, Tensor, as_tensor, record
from ..kernels.table import python_step
from . import elementary, reduction, shape
from .comparison import where
from .convert import cast


def operands(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Return two tensors that NumPy combines without changing floats.

    Python and NumPy scalars and lists take the dtype of the float tensor they meet, integers that of the floats they meet.
    """
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):  # NumPy's scalars have a dtype, which the other one takes
        a, b = (as_tensor(value) if isinstance(value, np.generic) else value for value in (a, b))
    if not isinstance(a, Tensor):
        a = _operand(a, b)
    if not isinstance(b, Tensor):
        b = _operand(b, a)
    if a.data.dtype is not b.data.dtype:
        a_floats, b_floats = a.data.dtype.kind == "f", b.data.dtype.kind == "f"
        if a_floats and not b_floats:
            b = cast(b, a.data.dtype)
        elif b_floats and not a_floats:
            a = cast(a, b.data.dtype)
    return a, b


def _operand(value: Any, other: Any) -> Tensor:
    """Return a tensor of what meets `other`."""
    if isinstance(other, Tensor) and other.data.dtype.kind == "f" and isinstance(value, int | float | np.generic | list | tuple):
        python_step("number or list that is no tensor")
        return Tensor(np.asarray(value, other.data.dtype))
    return as_tensor(value)


def sum_to(gradient: Tensor, to_shape: tuple[int, ...]) -> Tensor:
    """Return the gradient before broadcasting from the gradient after it: sums over the axes that were repeated."""
    if gradient.data.shape == to_shape:
        return gradient
    new = gradient.ndim - len(to_shape)
    repeated = [new + i for i, extent in enumerate(to_shape) if extent == 1]
    return shape.reshape(reduction.sum(gradient, axis=(*range(new), *repeated)), to_shape)


def add(a: Any, b: Any) -> Tensor:
    """Return ``a + b``."""
    a, b = operands(a, b)
    if a.data.shape == b.data.shape and a.data.dtype == b.data.dtype and a.data.dtype in _KERNEL_DTYPES:
        y = Tensor(kernels.add(a.data, b.data))
    else:
        python_step("add")
        y = Tensor(a.data + b.data)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return sum_to(dy, a.shape) if needs[0] else None, sum_to(dy, b.shape) if needs[1] else None

    return record("add", (a, b), y, vjp)


_KERNEL_DTYPES = (np.dtype("float32"), np.dtype("float64"))


def rescale(x: Any, scale: float, offset: float = 0.0) -> Tensor:
    """Return ``x * scale + offset`` with numbers as scale and offset."""
    x = as_tensor(x)
    y = Tensor(kernels.rescale(x.data, scale, offset))

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return (rescale(dy, scale),)

    return record("rescale", (x,), y, vjp)


def subtract(a: Any, b: Any) -> Tensor:
    """Return ``a - b``."""
    a, b = operands(a, b)
    python_step("subtract")
    y = Tensor(a.data - b.data)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return sum_to(dy, a.shape) if needs[0] else None, sum_to(-dy, b.shape) if needs[1] else None

    return record("subtract", (a, b), y, vjp)


def multiply(a: Any, b: Any) -> Tensor:
    """Return ``a * b``."""
    a, b = operands(a, b)
    python_step("multiply")
    y = Tensor(a.data * b.data)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return sum_to(dy * b, a.shape) if needs[0] else None, sum_to(dy * a, b.shape) if needs[1] else None

    return record("multiply", (a, b), y, vjp)


def divide(a: Any, b: Any) -> Tensor:
    """Return ``a / b``; integers give float32."""
    a, b = operands(a, b)
    a, b = elementary.as_float(a), elementary.as_float(b)
    python_step("divide")
    y = Tensor(a.data / b.data)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return sum_to(dy / b, a.shape) if needs[0] else None, sum_to(-dy * y / b, b.shape) if needs[1] else None

    return record("divide", (a, b), y, vjp)


def power(a: Any, b: Any) -> Tensor:
    """Return ``a ** b``.

    The derivative by `a` is 0 where `b` is 0, also at ``a = 0``; the derivative by `b` is given as 0 where `a` is not positive.
    """
    a, b = operands(a, b)
    python_step("power")
    y = Tensor(a.data**b.data)

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        da = db = None
        if needs[0]:
            exponent = b - 1 if b.data.all() else where(b == 0, 1.0, b - 1)
            da = sum_to(dy * b * a**exponent, a.shape)
        if needs[1]:
            db = sum_to(dy * y * elementary.log(where(a > 0, a, 1.0)), b.shape)
        return da, db

    return record("power", (a, b), y, vjp)


def negative(x: Any) -> Tensor:
    """Return ``-x``."""
    x = as_tensor(x)
    python_step("negative")
    return record("negative", (x,), Tensor(-x.data), lambda dy, needs: (-dy,))


def abs(x: Any) -> Tensor:
    """Return ``|x|``; the derivative at 0 is 0."""
    x = as_tensor(x)
    python_step("abs")
    return record("abs", (x,), Tensor(np.abs(x.data)), lambda dy, needs: (dy * sign(x),))


def sign(x: Any) -> Tensor:
    """Return -1, 0 or 1; the derivative is 0."""
    x = as_tensor(x)
    python_step("sign")
    return Tensor(np.sign(x.data))


def maximum(a: Any, b: Any) -> Tensor:
    """Return the larger of `a` and `b`; where they are equal the derivative is that of `a`."""
    a, b = operands(a, b)
    python_step("maximum")
    return _choose("maximum", a, b, Tensor(np.maximum(a.data, b.data)), a.data >= b.data)


def minimum(a: Any, b: Any) -> Tensor:
    """Return the smaller of `a` and `b`; where they are equal the derivative is that of `a`."""
    a, b = operands(a, b)
    python_step("minimum")
    return _choose("minimum", a, b, Tensor(np.minimum(a.data, b.data)), a.data <= b.data)


def _choose(name: str, a: Tensor, b: Tensor, y: Tensor, first: np.ndarray) -> Tensor:
    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return (
            sum_to(where(first, dy, 0.0), a.shape) if needs[0] else None,
            sum_to(where(first, 0.0, dy), b.shape) if needs[1] else None,
        )

    return record(name, (a, b), y, vjp)


def clip(x: Any, x_min: float, x_max: float) -> Tensor:
    """Return `x` limited to [x_min, x_max]; the derivative is 1 from bound to bound, else 0."""
    return minimum(maximum(x, x_min), x_max)
