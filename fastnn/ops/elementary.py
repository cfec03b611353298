"""Elementary functions of each element. Integers are converted to float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import Tensor, as_tensor, record
from ..kernels.table import python_step
from .convert import cast


def as_float(x: Any) -> Tensor:
    """Return a tensor of floats; integers and bools become float32."""
    x = as_tensor(x)
    return x if x.data.dtype.kind == "f" else cast(x, np.float32)


def exp(x: Any) -> Tensor:
    """Return e to the power of `x`."""
    x = as_float(x)
    python_step("exp")
    y = Tensor(np.exp(x.data))
    return record("exp", (x,), y, lambda dy, needs: (dy * y,))


def expm1(x: Any) -> Tensor:
    """Return ``exp(x) - 1``, exact for small `x`."""
    x = as_float(x)
    python_step("expm1")
    return record("expm1", (x,), Tensor(np.expm1(x.data)), lambda dy, needs: (dy * exp(x),))


def log(x: Any) -> Tensor:
    """Return the natural logarithm."""
    x = as_float(x)
    python_step("log")
    return record("log", (x,), Tensor(np.log(x.data)), lambda dy, needs: (dy / x,))


def log1p(x: Any) -> Tensor:
    """Return ``log(1 + x)``, exact for small `x`."""
    x = as_float(x)
    python_step("log1p")
    return record("log1p", (x,), Tensor(np.log1p(x.data)), lambda dy, needs: (dy / (1 + x),))


def sqrt(x: Any) -> Tensor:
    """Return the square root."""
    x = as_float(x)
    python_step("sqrt")
    y = Tensor(np.sqrt(x.data))
    return record("sqrt", (x,), y, lambda dy, needs: (0.5 * dy / y,))


def square(x: Any) -> Tensor:
    """Return ``x * x``."""
    x = as_tensor(x)
    python_step("square")
    return record("square", (x,), Tensor(np.square(x.data)), lambda dy, needs: (2 * dy * x,))


def sin(x: Any) -> Tensor:
    """Return the sine."""
    x = as_float(x)
    python_step("sin")
    return record("sin", (x,), Tensor(np.sin(x.data)), lambda dy, needs: (dy * cos(x),))


def cos(x: Any) -> Tensor:
    """Return the cosine."""
    x = as_float(x)
    python_step("cos")
    return record("cos", (x,), Tensor(np.cos(x.data)), lambda dy, needs: (-dy * sin(x),))


def tan(x: Any) -> Tensor:
    """Return the tangent."""
    x = as_float(x)
    python_step("tan")
    y = Tensor(np.tan(x.data))
    return record("tan", (x,), y, lambda dy, needs: (dy * (1 + y * y),))
