"""Metrics of each sample, and the running sums that they are collected in."""

from functools import cache

import numpy as np

from .compiler import device, float64, number
from .launch import once
from .rows import largest_matches, row_means
from .sums import total


def sparse_match(pred, label, match):
    return largest_matches(pred, label, match)


def categorical_match(pred, target, match):
    return largest_matches(pred, target, match)


@cache
def _right(real, threshold):
    threshold = real(threshold)

    @device
    def right(p, t):
        return real(1) if (real(1) if p > threshold else real(0)) == t else real(0)

    return right


def binary_match(pred, target, threshold, match):
    return row_means(_right(number(pred.dtype), threshold), pred, target, match)


@device
def _value(value, _, i):
    return float64(value[i])


@device
def _add_value_and_count(result, place, value, count):
    result[0] += value
    result[1] += float64(count)


def collect_samples(value, total_):
    return total(_value, _add_value_and_count, value, value, total_, value.shape[0], np.float64)


def _mean_of_batch(value, count, result):
    result[0] += float64(value[0]) * count
    result[1] += count


def collect_mean(value, count, total_):
    return [once(_mean_of_batch, value, np.float64(count), total_)]
