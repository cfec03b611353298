"""Comparisons, which give tensors of bools, and the choice by them. Comparisons have no derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff import Gradients, Needs, Tensor, as_tensor, record
from ..kernels.table import python_step
from . import arithmetic


def _compare(function: Callable, a: Any, b: Any) -> Tensor:
    a, b = arithmetic.operands(a, b)
    python_step(function.__name__)
    return Tensor(function(a.data, b.data))


def equal(a: Any, b: Any) -> Tensor:
    """Return where ``a == b``."""
    return _compare(np.equal, a, b)


def not_equal(a: Any, b: Any) -> Tensor:
    """Return where ``a != b``."""
    return _compare(np.not_equal, a, b)


def greater(a: Any, b: Any) -> Tensor:
    """Return where ``a > b``."""
    return _compare(np.greater, a, b)


def greater_equal(a: Any, b: Any) -> Tensor:
    """Return where ``a >= b``."""
    return _compare(np.greater_equal, a, b)


def less(a: Any, b: Any) -> Tensor:
    """Return where ``a < b``."""
    return _compare(np.less, a, b)


def less_equal(a: Any, b: Any) -> Tensor:
    """Return where ``a <= b``."""
    return _compare(np.less_equal, a, b)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """Return `a` where the condition is true, else `b`."""
    chosen = as_tensor(condition).data.astype(bool)
    a, b = arithmetic.operands(a, b)
    python_step("where")
    y = Tensor(np.where(chosen, a.data, b.data))

    def vjp(dy: Tensor, needs: Needs) -> Gradients:
        return (
            arithmetic.sum_to(where(chosen, dy, 0.0), a.shape) if needs[0] else None,
            arithmetic.sum_to(where(chosen, 0.0, dy), b.shape) if needs[1] else None,
        )

    return record("where", (a, b), y, vjp)
