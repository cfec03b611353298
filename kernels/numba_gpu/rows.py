"""Kernels of one result per row of a matrix, or that need something of the whole row: some lanes of a warp for each row."""

import math
from functools import cache

import numpy as np

from .compiler import cuda, device, int32, number, uint32
from .launch import MAX_BLOCKS, THREADS, Launch, check_count

u = uint32
LANES = 32
#: elements of a row that a lane goes through, if the row is short: to add up lanes takes longer than that
EACH = 4
ALL = u(0xFFFFFFFF)
NOWHERE = int32(2**31 - 1)


@cache
def _over(lanes, combine):
    """Return, for kernels to call, what combines the values of a row's lanes, to the same bits in all of them."""

    @device
    def over(value):
        distance = lanes // 2
        while distance > 0:
            value = combine(value, cuda.shfl_xor_sync(ALL, value, distance))
            distance //= 2
        return value

    return over


@device
def _sum(value, other):
    return value + other


@device
def _larger(value, other):
    return value if value >= other else other


def sum_over(lanes):
    """Return, for kernels to call, the sum over the lanes of a row."""
    return _over(lanes, _sum)


def max_over(lanes):
    """Return, for kernels to call, the largest value of the lanes of a row; NaN counts as small."""
    return _over(lanes, _larger)


@cache
def _kernel(of_row, lanes):
    lanes = u(lanes)
    rows_at_once = u(THREADS) // lanes

    def kernel(rows, columns, *arrays):
        t = u(cuda.threadIdx.x)
        first = u(u(cuda.blockIdx.x) * rows_at_once)
        while first < rows:  # for all threads of a block, since lanes without a row have to take part in sums
            row = u(first + t // lanes)
            start = u(row * columns)
            of_row(row, start, u(start + columns) if row < rows else start, t % lanes, *arrays)
            first = u(first + u(cuda.gridDim.x) * rows_at_once)

    return kernel


def each_row(make, given, matrix, *arrays):
    """Return the launch of a kernel for the rows of a matrix.

    Parameters
    ----------
    make : callable
        ``make(*given, lanes)`` returns, for kernels to call, ``f(row, start, end, lane, *arrays)``: what one of the lanes of a row
        does. The row's elements are at start .. end - 1. There are none if `row` is behind the last row: nothing may be read or
        written then, but the lane takes part in sums.
    given : tuple
        What `make` is given.
    matrix : Array of shape (rows, columns)
        For its shape.
    *arrays : Array
        What `f` is given.
    """
    rows, columns = matrix.shape
    if not rows:
        return []
    check_count(matrix.size)
    lanes = 1
    while lanes < LANES and lanes * EACH < columns:
        lanes *= 2
    blocks = min(-(-rows * lanes // THREADS), MAX_BLOCKS)
    kernel, work = _kernel(make(*given, lanes), lanes), rows * lanes * max(-(-columns // lanes), 1)
    return [Launch(kernel, (blocks, 1, 1), (np.uint32(rows), np.uint32(columns), *arrays), work=work)]


@cache
def _mean(term, real, mean, lanes):
    """The sum, or the mean, of term(a, b, slope, i) over each row."""
    row_sum, step = sum_over(lanes), u(lanes)

    @device
    def of_row(row, start, end, lane, a, b, slope, y):
        total = real(0)
        i = u(start + lane)
        while i < end:
            total += term(a, b, slope, i)
            i = u(i + step)
        total = row_sum(total)
        if lane == u(0) and start < end:
            y[row] = total / real(end - start) if mean else total

    return of_row


@cache
def _of_elements(f):
    @device
    def term(a, b, slope, i):
        return f(a[i], b[i])

    return term


@cache
def _with_slope(f):
    @device
    def term(a, b, slope, i):
        value, slope[i] = f(a[i], b[i])
        return value

    return term


def row_means(f, a, b, y, slope=None):
    """Return the launch of y = the mean over each row of f(a, b), whose second result, if there is a `slope`, goes there."""
    term = _of_elements(f) if slope is None else _with_slope(f)
    return each_row(_mean, (term, number(y.dtype), True), a, a, b, a if slope is None else slope, y)


def row_sums(f, a, b, y):
    """Return the launch of y = the sum over each row of f(a, b)."""
    return each_row(_mean, (_of_elements(f), number(y.dtype), False), a, a, b, a, y)


@cache
def largest_and_sum(real, lanes):
    """Return, for kernels to call, the largest element of a row, and the sum of exp(x - largest)."""
    row_sum, row_max, step, lowest = sum_over(lanes), max_over(lanes), u(lanes), real(-math.inf)

    @device
    def of_row(x, start, end, lane):
        largest = lowest
        i = u(start + lane)
        while i < end:
            if x[i] > largest:
                largest = x[i]
            i = u(i + step)
        largest = row_max(largest)
        total = real(0)
        i = u(start + lane)
        while i < end:
            total += real(math.exp(x[i] - largest))
            i = u(i + step)
        return largest, row_sum(total)

    return of_row


@cache
def _softmax(real, lanes):
    scale, step = largest_and_sum(real, lanes), u(lanes)

    @device
    def of_row(row, start, end, lane, x, y):
        largest, total = scale(x, start, end, lane)
        i = u(start + lane)
        while i < end:
            y[i] = real(math.exp(x[i] - largest)) / total
            i = u(i + step)

    return of_row


def softmax(x, y):
    """Return the launch of y = softmax(x) in each row."""
    return each_row(_softmax, (number(x.dtype),), x, x, y)


@cache
def _softmax_gradient(real, lanes):
    row_sum, step = sum_over(lanes), u(lanes)

    @device
    def of_row(row, start, end, lane, dy, y, dx):
        total = real(0)
        i = u(start + lane)
        while i < end:
            total += dy[i] * y[i]
            i = u(i + step)
        total = row_sum(total)
        i = u(start + lane)
        while i < end:
            dx[i] = y[i] * (dy[i] - total)
            i = u(i + step)

    return of_row


def softmax_gradient(dy, y, dx):
    """Return the launch of the gradient of softmax from its output."""
    return each_row(_softmax_gradient, (number(dy.dtype),), dy, dy, y, dx)


@cache
def _cross_entropy(real, from_labels, lanes):
    scale, row_sum, step = largest_and_sum(real, lanes), sum_over(lanes), u(lanes)

    @device
    def of_row(row, start, end, lane, logits, target, loss, probs):
        largest, total = scale(logits, start, end, lane)
        log_total = real(math.log(total)) if start < end else total
        entropy = real(0)
        i = u(start + lane)
        while i < end:
            shifted = logits[i] - largest
            probs[i] = real(math.exp(shifted)) / total
            if from_labels:
                if i - start == u(target[row]):
                    entropy = log_total - shifted
            else:
                entropy += target[i] * (log_total - shifted)
            i = u(i + step)
        entropy = row_sum(entropy)
        if lane == u(0) and start < end:
            loss[row] = entropy

    return of_row


def cross_entropy(logits, target, loss, probs):
    """Return the launch of softmax with cross-entropy, from labels (int32) or from target distributions."""
    return each_row(_cross_entropy, (number(logits.dtype), target.dtype == np.int32), logits, logits, target, loss, probs)


@cache
def first_largest(real, lanes):
    """Return, for kernels to call, the place of the first largest element of a row.

    NaN is never larger, and of nothing but NaN the first is it.
    """
    step, lowest = u(lanes), real(-math.inf)

    @device
    def of_row(x, start, end, lane):
        largest, place = lowest, NOWHERE
        i = u(start + lane)
        while i < end:
            if x[i] > largest:
                largest, place = x[i], int32(i - start)
            i = u(i + step)
        distance = lanes // 2
        while distance > 0:
            other = cuda.shfl_xor_sync(ALL, largest, distance)
            other_place = cuda.shfl_xor_sync(ALL, place, distance)
            if other > largest or (other == largest and other_place < place):
                largest, place = other, int32(other_place)
            distance //= 2
        return int32(0) if place == NOWHERE else place

    return of_row


@cache
def _match(real, from_labels, lanes):
    largest = first_largest(real, lanes)

    @device
    def of_row(row, start, end, lane, pred, target, match):
        place = largest(pred, start, end, lane)
        wanted = int32(0)
        if not from_labels:
            wanted = largest(target, start, end, lane)
        elif start < end:
            wanted = target[row]
        if lane == u(0) and start < end:
            match[row] = real(1) if place == wanted else real(0)

    return of_row


def largest_matches(pred, target, match):
    """Return the launch of match = 1 where the largest prediction is at the label (int32), or where the largest target is."""
    return each_row(_match, (number(pred.dtype), target.dtype == np.int32), pred, pred, target, match)


@cache
def _normalize(real, eps, lanes):
    eps, row_sum, step = real(eps), sum_over(lanes), u(lanes)

    @device
    def of_row(row, start, end, lane, x, gamma, beta, y, mean, var):
        columns = real(end - start)
        total = real(0)
        i = u(start + lane)
        while i < end:
            total += x[i]
            i = u(i + step)
        middle = row_sum(total) / columns
        total = real(0)
        i = u(start + lane)
        while i < end:
            total += (x[i] - middle) * (x[i] - middle)
            i = u(i + step)
        spread = row_sum(total) / columns
        scale = real(1) / real(math.sqrt(spread + eps))
        i = u(start + lane)
        while i < end:
            y[i] = gamma[i - start] * ((x[i] - middle) * scale) + beta[i - start]
            i = u(i + step)
        if lane == u(0) and start < end:
            mean[row] = middle
            var[row] = spread

    return of_row


def normalize_rows(x, gamma, beta, eps, y, mean, var):
    """Return the launch of layer normalization."""
    return each_row(_normalize, (number(x.dtype), eps), x, x, gamma, beta, y, mean, var)


@cache
def _normalize_gradient(real, eps, lanes):
    eps, row_sum, step = real(eps), sum_over(lanes), u(lanes)

    @device
    def of_row(row, start, end, lane, dy, x, gamma, mean, var, dx):
        columns = real(end - start)
        middle, scale = real(0), real(0)
        if start < end:
            middle = mean[row]
            scale = real(1) / real(math.sqrt(var[row] + eps))
        first, second = real(0), real(0)
        i = u(start + lane)
        while i < end:
            dnormal = dy[i] * gamma[i - start]
            first += dnormal
            second += dnormal * ((x[i] - middle) * scale)
            i = u(i + step)
        first = row_sum(first) / columns
        second = row_sum(second) / columns
        i = u(start + lane)
        while i < end:
            normal = (x[i] - middle) * scale
            dx[i] = (dy[i] * gamma[i - start] - first - normal * second) * scale
            i = u(i + step)

    return of_row


def normalize_rows_gradient(dy, x, gamma, mean, var, eps, dx):
    """Return the launch of layer normalization's gradient by x."""
    return each_row(_normalize_gradient, (number(x.dtype), eps), x, dy, x, gamma, mean, var, dx)
