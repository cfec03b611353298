"""Metrics of each sample, and the running sums that they are collected in."""

import numpy as np


def _first_largest(values):
    # as the comparisons of a loop would have it: a NaN is never larger than what came before it
    return np.argmax(np.where(np.isnan(values), -np.inf, values), axis=1)


def sparse_match(pred, label, match):
    """Say of each sample whether its largest prediction is the label's."""
    match[...] = _first_largest(pred) == label if pred.shape[1] else 0


def categorical_match(pred, target, match):
    """Say of each sample whether its largest prediction stands where its largest target does."""
    match[...] = _first_largest(pred) == _first_largest(target) if pred.shape[1] else 0


def binary_match(pred, target, threshold, match):
    """Return the share of right outputs of each sample."""
    match[...] = np.mean((pred > pred.dtype.type(threshold)) == target, axis=1, dtype=np.float64) if pred.shape[1] else 0


def collect_samples(value, total):
    """Add the values of samples, and their number, to running sums."""
    total += (np.sum(value, dtype=np.float64), len(value))


def collect_mean(value, count, total):
    """Add the mean of `count` samples to a running sum."""
    total += (float(value[0]) * count, count)
