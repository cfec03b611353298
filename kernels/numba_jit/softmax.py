"""Softmax of rows, in the steps that the activation and the losses share.

The exponential runs over all rows at once, so that it fills vectors however few classes there are. A row of which all elements
are -inf, or one of them inf, has no softmax: it becomes NaN.
"""

import math

from .pointers import inline
from .sums import row_sum
from .vmath import exp

MINUS_INF = -math.inf


@inline
def subtract_max(x, y, first, last, c):
    """y = x minus the largest element of its row, NaN left out, in rows [first, last)."""
    for i in range(first, last):
        largest = MINUS_INF
        for j in range(i * c, (i + 1) * c):
            largest = x[j] if x[j] > largest else largest
        for j in range(i * c, (i + 1) * c):
            y[j] = x[j] - largest


@inline
def exponentials(y, start, stop):
    for i in range(start, stop):
        y[i] = exp(y[i])


@inline
def divide_by_sums(y, first, last, c):
    """y /= the sum of its row, in rows [first, last)."""
    for i in range(first, last):
        factor = 1.0 / row_sum(y, i * c, c)
        for j in range(i * c, (i + 1) * c):
            y[j] *= factor
