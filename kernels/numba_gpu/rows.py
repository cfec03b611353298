"""Kernels of one result per row of a matrix, or that need something of the whole row: a warp for each row."""

import math
from functools import cache

import numpy as np

from .compiler import cuda, device, int32, number, uint32
from .launch import MAX_BLOCKS, Launch, check_count

u = uint32
LANES = u(32)
WARPS = u(4)
ALL = u(0xFFFFFFFF)
NOWHERE = int32(2**31 - 1)


@device
def warp_sum(value):
    """Return the sum over the lanes of a warp, the same bits in all of them."""
    for distance in (16, 8, 4, 2, 1):
        value += cuda.shfl_xor_sync(ALL, value, distance)
    return value


@device
def warp_max(value):
    """Return the largest value of the lanes of a warp; NaN counts as small."""
    for distance in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(ALL, value, distance)
        if not value >= other:
            value = other
    return value


def each_row(kernel, matrix, *args):
    """Return the launch of a kernel with a warp for each row of a matrix; its arguments end with the rows and the columns."""
    rows, columns = matrix.shape
    if not rows:
        return []
    check_count(matrix.size)
    blocks = min(-(-rows // int(WARPS)), MAX_BLOCKS)
    return [Launch(kernel, (blocks, 1, 1), (*args, np.uint32(rows), np.uint32(columns)), int(WARPS * LANES))]


@cache
def _mean(term, real, mean):
    """The sum, or the mean, of term(a, b, slope, i) over each row."""

    def kernel(a, b, slope, y, rows, columns):
        lane = u(cuda.threadIdx.x) % LANES
        row = u(cuda.blockIdx.x) * WARPS + u(cuda.threadIdx.x) // LANES
        while row < rows:
            total = real(0)
            j = lane
            while j < columns:
                total += term(a, b, slope, row * columns + j)
                j += LANES
            total = warp_sum(total)
            if lane == u(0):
                y[row] = total / real(columns) if mean else total
            row += u(cuda.gridDim.x) * WARPS

    return kernel


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
    return each_row(_mean(term, number(y.dtype), True), a, a, b, a if slope is None else slope, y)


def row_sums(f, a, b, y):
    """Return the launch of y = the sum over each row of f(a, b)."""
    return each_row(_mean(_of_elements(f), number(y.dtype), False), a, a, b, a, y)


@device
def largest_and_sum(x, start, columns, lane, zero):
    """Return the largest element of a row, and the sum of exp(x - largest)."""
    largest = x[start]
    j = lane
    while j < columns:
        if x[start + j] > largest:
            largest = x[start + j]
        j += LANES
    largest = warp_max(largest)
    total = zero
    j = lane
    while j < columns:
        total += math.exp(x[start + j] - largest)
        j += LANES
    return largest, warp_sum(total)


@cache
def _softmax(real):
    zero = real(0)

    def kernel(x, y, rows, columns):
        lane = u(cuda.threadIdx.x) % LANES
        row = u(cuda.blockIdx.x) * WARPS + u(cuda.threadIdx.x) // LANES
        while row < rows:
            start = row * columns
            largest, total = largest_and_sum(x, start, columns, lane, zero)
            j = lane
            while j < columns:
                y[start + j] = real(math.exp(x[start + j] - largest)) / total
                j += LANES
            row += u(cuda.gridDim.x) * WARPS

    return kernel


def softmax(x, y):
    """Return the launch of y = softmax(x) in each row."""
    return each_row(_softmax(number(x.dtype)), x, x, y)


@cache
def _softmax_gradient(real):
    def kernel(dy, y, dx, rows, columns):
        lane = u(cuda.threadIdx.x) % LANES
        row = u(cuda.blockIdx.x) * WARPS + u(cuda.threadIdx.x) // LANES
        while row < rows:
            start = row * columns
            total = real(0)
            j = lane
            while j < columns:
                total += dy[start + j] * y[start + j]
                j += LANES
            total = warp_sum(total)
            j = lane
            while j < columns:
                dx[start + j] = y[start + j] * (dy[start + j] - total)
                j += LANES
            row += u(cuda.gridDim.x) * WARPS

    return kernel


def softmax_gradient(dy, y, dx):
    """Return the launch of the gradient of softmax from its output."""
    return each_row(_softmax_gradient(number(dy.dtype)), dy, dy, y, dx)


@cache
def _cross_entropy(real, from_labels):
    zero = real(0)

    def kernel(logits, target, loss, probs, rows, columns):
        lane = u(cuda.threadIdx.x) % LANES
        row = u(cuda.blockIdx.x) * WARPS + u(cuda.threadIdx.x) // LANES
        while row < rows:
            start = row * columns
            largest, total = largest_and_sum(logits, start, columns, lane, zero)
            log_total = real(math.log(total))
            entropy = zero
            j = lane
            while j < columns:
                shifted = logits[start + j] - largest
                probs[start + j] = real(math.exp(shifted)) / total
                if from_labels:
                    if j == u(target[row]):
                        entropy = log_total - shifted
                else:
                    entropy += target[start + j] * (log_total - shifted)
                j += LANES
            entropy = warp_sum(entropy)
            if lane == u(0):
                loss[row] = entropy
            row += u(cuda.gridDim.x) * WARPS

    return kernel


def cross_entropy(logits, target, loss, probs):
    """Return the launch of softmax with cross-entropy, from labels (int32) or from target distributions."""
    kernel = _cross_entropy(number(logits.dtype), target.dtype == np.int32)
    return each_row(kernel, logits, logits, target, loss, probs)


@device
def first_largest(x, start, columns, lane, lowest):
    """Return the place of the first largest element of a row; NaN is never larger, and of nothing but NaN the first is it."""
    largest, place = lowest, NOWHERE
    j = lane
    while j < columns:
        if x[start + j] > largest:
            largest, place = x[start + j], int32(j)
        j += LANES
    for distance in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(ALL, largest, distance)
        other_place = cuda.shfl_xor_sync(ALL, place, distance)
        if other > largest or (other == largest and other_place < place):
            largest, place = other, int32(other_place)
    return int32(0) if place == NOWHERE else place


@cache
def _match(real, from_labels):
    lowest = real(-math.inf)

    def kernel(pred, target, match, rows, columns):
        lane = u(cuda.threadIdx.x) % LANES
        row = u(cuda.blockIdx.x) * WARPS + u(cuda.threadIdx.x) // LANES
        while row < rows:
            place = first_largest(pred, row * columns, columns, lane, lowest)
            if from_labels:
                wanted = target[row]
            else:
                wanted = first_largest(target, row * columns, columns, lane, lowest)
            if lane == u(0):
                match[row] = real(1) if place == wanted else real(0)
            row += u(cuda.gridDim.x) * WARPS

    return kernel


def largest_matches(pred, target, match):
    """Return the launch of match = 1 where the largest prediction is at the label (int32), or where the largest target is."""
    return each_row(_match(number(pred.dtype), target.dtype == np.int32), pred, pred, target, match)


@cache
def _normalize(real, eps):
    eps = real(eps)

    def kernel(x, gamma, beta, y, mean, var, rows, columns):
        lane = u(cuda.threadIdx.x) % LANES
        row = u(cuda.blockIdx.x) * WARPS + u(cuda.threadIdx.x) // LANES
        while row < rows:
            start = row * columns
            total = real(0)
            j = lane
            while j < columns:
                total += x[start + j]
                j += LANES
            middle = warp_sum(total) / real(columns)
            total = real(0)
            j = lane
            while j < columns:
                total += (x[start + j] - middle) * (x[start + j] - middle)
                j += LANES
            spread = warp_sum(total) / real(columns)
            scale = real(1) / real(math.sqrt(spread + eps))
            j = lane
            while j < columns:
                y[start + j] = gamma[j] * ((x[start + j] - middle) * scale) + beta[j]
                j += LANES
            if lane == u(0):
                mean[row] = middle
                var[row] = spread
            row += u(cuda.gridDim.x) * WARPS

    return kernel


def normalize_rows(x, gamma, beta, eps, y, mean, var):
    """Return the launch of layer normalization."""
    return each_row(_normalize(number(x.dtype), eps), x, x, gamma, beta, y, mean, var)


@cache
def _normalize_gradient(real, eps):
    eps = real(eps)

    def kernel(dy, x, gamma, mean, var, dx, rows, columns):
        lane = u(cuda.threadIdx.x) % LANES
        row = u(cuda.blockIdx.x) * WARPS + u(cuda.threadIdx.x) // LANES
        while row < rows:
            start = row * columns
            middle = mean[row]
            scale = real(1) / real(math.sqrt(var[row] + eps))
            first, second = real(0), real(0)
            j = lane
            while j < columns:
                dnormal = dy[start + j] * gamma[j]
                first += dnormal
                second += dnormal * ((x[start + j] - middle) * scale)
                j += LANES
            first = warp_sum(first) / real(columns)
            second = warp_sum(second) / real(columns)
            j = lane
            while j < columns:
                normal = (x[start + j] - middle) * scale
                dx[start + j] = (dy[start + j] * gamma[j] - first - normal * second) * scale
                j += LANES
            row += u(cuda.gridDim.x) * WARPS

    return kernel


def normalize_rows_gradient(dy, x, gamma, mean, var, eps, dx):
    """Return the launch of layer normalization's gradient by x."""
    return each_row(_normalize_gradient(number(x.dtype), eps), x, dy, x, gamma, mean, var, dx)
