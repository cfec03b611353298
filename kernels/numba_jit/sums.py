"""Sums of rows and columns, in float64; those of a row in an order that the compiler chooses, the same for all of its length."""

import numpy as np

from .pointers import doubles_on_stack, fill, inline, reordered

#: columns that are summed at a time
COLUMNS = 64


@reordered
def row_sum(x, start, n):
    total = 0.0
    for i in range(start, start + n):
        total += x[i]
    return total


@reordered
def row_dot(a, b, start, n):
    total = 0.0
    for i in range(start, start + n):
        total += np.float64(a[i]) * b[i]
    return total


@inline
def column_sums(x, row, n, first, last, total):
    """total[j] = the sum of x[i * row + j] over i < n, for columns j in [first, last)."""
    part = doubles_on_stack(COLUMNS)
    for left in range(first, last, COLUMNS):
        count = min(COLUMNS, last - left)
        fill(part, count, 0.0)
        for i in range(n):
            for j in range(count):
                part[j] += x[i * row + left + j]
        for j in range(count):
            total[left + j] = part[j]
