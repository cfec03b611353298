"""Metrics of each sample, and the running sums that they are collected in."""

from .call import step
from .pointers import inline, on_stack


@inline
def _first_largest(values, start, c):
    best = 0
    found = False
    for j in range(c):
        # a NaN is never larger, and never the one to beat
        if values[start + j] == values[start + j] and (not found or values[start + j] > values[start + best]):
            best = j
            found = True
    return best


@step("m", "c")
def sparse_match(call, first, last):
    pred, label, match, c = call.pred, call.label, call.match, call.c
    for i in range(first, last):
        match[i] = 1.0 if c > 0 and _first_largest(pred, i * c, c) == label[i] else 0.0


@step("m", "c")
def categorical_match(call, first, last):
    pred, target, match, c = call.pred, call.target, call.match, call.c
    for i in range(first, last):
        match[i] = 1.0 if c > 0 and _first_largest(pred, i * c, c) == _first_largest(target, i * c, c) else 0.0


@step("m", "c")
def binary_match(call, first, last):
    pred, target, match, c = call.pred, call.target, call.match, call.c
    limit = on_stack(pred, 1)
    limit[0] = call.threshold  # rounded to the type of the predictions
    for i in range(first, last):
        right = 0
        for j in range(i * c, (i + 1) * c):
            right += (1.0 if pred[j] > limit[0] else 0.0) == target[j]
        match[i] = right / c if c > 0 else 0.0


@step("")
def collect_samples(call, first, last):
    value, total = call.value, call.total
    for i in range(call.m):
        total[0] += value[i]
    total[1] += call.m


@step("")
def collect_mean(call, first, last):
    call.total[0] += call.value[0] * call.count
    call.total[1] += call.count
