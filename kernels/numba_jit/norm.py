"""Normalization over the batch or over a sample's features, and dropout.

Column sums: rows are cut into parts, as many as the shape says, which are summed in order. In float64, like everything where
differences cancel.
"""

import math

import numpy as np

from .call import Plan, step
from .pointers import as_doubles, fill, inline, offset, reordered, words_on_stack
from .sums import row_dot, row_sum

PARTS, PART_ROWS = 16, 64
#: of random words
MASK = 0xFFFFFFFF
#: random words made at a time
WORDS = 1024


@inline
def part_rows(m):
    return max(PART_ROWS, (m + PARTS - 1) // PARTS)


def _parts(e):
    rows = part_rows.py_func(e["m"])
    return -(-e["m"] // rows)


# Scratch memory of column sums: two sums of each column for each part; then four numbers of each column.


def _column_sums(e):
    return (2 * PARTS + 4) * e["c"]


def _part_elements(e):
    return part_rows.py_func(e["m"]) * e["c"]


@inline
def _totals(sums, c, m):
    """Add up the parts: the totals take the place of the first part's sums."""
    rows = part_rows(m)
    if m == 0:
        fill(sums, 2 * c, 0.0)
    for part in range(1, (m + rows - 1) // rows):
        for j in range(2 * c):
            sums[j] += sums[part * 2 * c + j]


def _sums_of(add_row):
    """Return the step of two sums of each column; `add_row(call, i, first_sums, second_sums)` adds row i."""

    @step(_parts, _part_elements, scratch=_column_sums)
    def sums_of_parts(call, first, last):
        c, rows = call.c, part_rows(call.m)
        for part in range(first, last):
            sums = offset(as_doubles(call.scratch), part * 2 * c)
            fill(sums, 2 * c, 0.0)
            for i in range(part * rows, min((part + 1) * rows, call.m)):
                add_row(call, i, sums, offset(sums, c))

    return sums_of_parts


@inline
def _moments(call, i, sums, squares):
    """Of x - origin and of its square.

    With an element of the column as origin the variance from mean(square) - mean**2 loses no digits, however large the mean is.
    """
    x, row = call.x, offset(call.x, i * call.c)
    for j in range(call.c):
        d = np.float64(row[j]) - x[j]
        sums[j] += d
        squares[j] += d * d


@step("")
def _mean_and_variance(call, first, last):
    x, gamma, mean, var, c, m = call.x, call.gamma, call.mean, call.var, call.c, call.m
    sums = as_doubles(call.scratch)
    center = offset(sums, 2 * PARTS * c)
    scale = offset(center, c)
    _totals(sums, c, m)
    for j in range(c):
        d = sums[j] / m
        variance = sums[c + j] / m - d * d
        variance = 0.0 if variance < 0 else variance
        center[j] = (x[j] if m > 0 else 0.0) + d
        scale[j] = gamma[j] / math.sqrt(variance + call.eps)
        mean[j] = center[j]
        var[j] = variance


@step("")
def _given_mean_and_variance(call, first, last):
    c = call.c
    center = offset(as_doubles(call.scratch), 2 * PARTS * c)
    scale = offset(center, c)
    for j in range(c):
        center[j] = call.mean[j]
        scale[j] = call.gamma[j] / math.sqrt(call.var[j] + call.eps)


@step("m", "c", scratch=_column_sums)
def _normalize_columns(call, first, last):
    x, beta, y, c = call.x, call.beta, call.y, call.c
    center = offset(as_doubles(call.scratch), 2 * PARTS * c)
    scale = offset(center, c)
    for i in range(first, last):
        row, out = offset(x, i * c), offset(y, i * c)
        for j in range(c):
            out[j] = (row[j] - center[j]) * scale[j] + beta[j]


batchnorm_forward = Plan(((_sums_of(_moments), _mean_and_variance, _normalize_columns),))
batchnorm_inference = Plan(((_given_mean_and_variance, _normalize_columns),))


@inline
def _products(call, i, sums, products):
    """Of dy and of dy * (x - mean)."""
    gradient, row, mean = offset(call.dy, i * call.c), offset(call.x, i * call.c), call.mean
    for j in range(call.c):
        sums[j] += gradient[j]
        products[j] += gradient[j] * (np.float64(row[j]) - mean[j])


@step("")
def _batchnorm_gradients(call, first, last):
    # with s1 = sum(dy), s2 = sum(dy * (x - mean)): dx = gamma / std * (dy - s1 / m - (x - mean) * s2 / (m * std**2))
    c, m = call.c, call.m
    sums = as_doubles(call.scratch)
    scale = offset(sums, 2 * PARTS * c)
    level, slope = offset(scale, c), offset(scale, 2 * c)
    _totals(sums, c, m)
    for j in range(c):
        variance = call.var[j] + call.eps
        std = math.sqrt(variance)
        call.dbeta[j] = sums[j]
        call.dgamma[j] = sums[c + j] / std
        scale[j] = call.gamma[j] / std
        level[j] = sums[j] / m
        slope[j] = sums[c + j] / (m * variance)


@step("m", "c")
def _batchnorm_dx(call, first, last):
    dy, x, mean, dx, c, relu = call.dy, call.x, call.mean, call.dx, call.c, call.relu
    scale = offset(as_doubles(call.scratch), 2 * PARTS * c)
    level, slope = offset(scale, c), offset(scale, 2 * c)
    for i in range(first, last):
        gradient, row, out = offset(dy, i * c), offset(x, i * c), offset(dx, i * c)
        for j in range(c):
            by_x = scale[j] * (gradient[j] - level[j] - (np.float64(row[j]) - mean[j]) * slope[j])
            out[j] = by_x if row[j] > 0 or not relu else 0.0


batchnorm_backward = Plan(((_sums_of(_products), _batchnorm_gradients, _batchnorm_dx),))


@step("size")
def moving_average(call, first, last):
    value, momentum, average = call.value, call.momentum, call.average
    for i in range(first, last):
        average[i] = momentum * average[i] + (1.0 - momentum) * value[i]


@reordered
def _row_squares(x, center, start, n):
    total = 0.0
    for i in range(start, start + n):
        total += (x[i] - center) * (x[i] - center)
    return total


@reordered
def _row_dot_centered(a, b, x, center, start, n):
    """The sum of a * b * (x - center); b is one row only."""
    total = 0.0
    for j in range(n):
        total += np.float64(a[start + j]) * b[j] * (x[start + j] - center)
    return total


@step("m", "c")
def layernorm_forward(call, first, last):
    x, gamma, beta, y, c = call.x, call.gamma, call.beta, call.y, call.c
    for i in range(first, last):
        mean = row_sum(x, i * c, c) / c
        variance = _row_squares(x, mean, i * c, c) / c
        call.mean[i] = mean
        call.var[i] = variance
        scale = 1.0 / math.sqrt(variance + call.eps)
        row, out = offset(x, i * c), offset(y, i * c)
        for j in range(c):
            out[j] = (row[j] - mean) * scale * gamma[j] + beta[j]


@step("m", "c")
def _layernorm_dx(call, first, last):
    # with d = dy * gamma and u = (x - mean) / std: dx = (d - mean(d) - u * mean(d * u)) / std
    dy, x, gamma, dx, c = call.dy, call.x, call.gamma, call.dx, call.c
    for i in range(first, last):
        gradient, row, out = offset(dy, i * c), offset(x, i * c), offset(dx, i * c)
        mean = np.float64(call.mean[i])
        variance = call.var[i] + call.eps
        scale = 1.0 / math.sqrt(variance)
        level = row_dot(gradient, gamma, 0, c) / c
        slope = _row_dot_centered(dy, gamma, x, mean, i * c, c) / (c * variance)
        for j in range(c):
            out[j] = scale * (np.float64(gradient[j]) * gamma[j] - level - (row[j] - mean) * slope)


@inline
def _normal_products(call, i, sums, products):
    """Of dy and of dy * (x - mean) / std."""
    gradient, row = offset(call.dy, i * call.c), offset(call.x, i * call.c)
    mean, scale = np.float64(call.mean[i]), 1.0 / math.sqrt(call.var[i] + call.eps)
    for j in range(call.c):
        sums[j] += gradient[j]
        products[j] += gradient[j] * ((row[j] - mean) * scale)


@step("")
def _layernorm_gradients(call, first, last):
    sums = as_doubles(call.scratch)
    _totals(sums, call.c, call.m)
    for j in range(call.c):
        call.dbeta[j] = sums[j]
        call.dgamma[j] = sums[call.c + j]


layernorm_backward = Plan(((_layernorm_dx, _sums_of(_normal_products), _layernorm_gradients),))


@step("")
def _next_state(call, first, last):
    call.used[0] = call.state[0]
    call.used[1] = call.state[1]
    call.state[1] = np.int64(call.state[1]) + 1


@step("size", multiple=4)
def _drop(call, first, last):
    drop(call.x, call.used, call.rate, call.y, first, last)


dropout_forward = Plan(((_next_state, _drop),))


@step("size", multiple=4)
def dropout_backward(call, first, last):
    drop(call.dy, call.used, call.rate, call.dx, first, last)


@inline
def drop(x, used, rate, y, first, last):
    """Keep the elements whose word reaches the threshold; `first` is a multiple of 4."""
    words = words_on_stack(WORDS)
    threshold = np.int64(np.rint(rate * 4294967296.0))
    scale = 0.0 if rate >= 1 else 1.0 / (1.0 - rate)
    for start in range(first, last, WORDS):
        n = min(WORDS, last - start)
        philox_words(start // 4, np.int64(used[1]), np.int64(used[0]), words, (n + 3) // 4)
        for i in range(n):
            kept = x[start + i] * scale  # read in any case: a read under a condition does not vectorize
            y[start + i] = kept if words[i] >= threshold else 0.0


@inline
def philox_words(first, step, seed, words, count):
    """words[4 * i + w] = word w of counter (first + i, step), see the spec: Philox4x32 with 7 rounds."""
    for i in range(count):
        c0, c1 = (first + i) & MASK, (first + i) >> 32
        c2, c3 = step & MASK, (step >> 32) & MASK
        k0, k1 = seed & MASK, (seed >> 32) & MASK
        for _ in range(7):
            p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
            c0, c1, c2, c3 = ((p1 >> 32) & MASK) ^ c1 ^ k0, p1 & MASK, ((p0 >> 32) & MASK) ^ c3 ^ k1, p0 & MASK
            k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
        words[4 * i] = c0
        words[4 * i + 1] = c1
        words[4 * i + 2] = c2
        words[4 * i + 3] = c3
