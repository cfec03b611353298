"""What a replayed training step does around its arithmetic."""

import numpy as np


def begin_step(order, rates, index, lr, cursor):
    """Take the next samples of the order and the next learning rate."""
    sample, step = int(cursor[0]), int(cursor[1])
    index[...] = order[(sample + np.arange(len(index))) % max(len(order), 1)]
    lr[0] = rates[min(step, len(rates) - 1)]
    cursor += (len(index), 1)


def gather_int32(x, index, y):
    """Take rows of integers."""
    y[...] = x[index]


def end_epoch(totals, log, row):
    """Note the means of an epoch and empty its sums."""
    sums, weights = totals.T
    log[int(row[0]) % len(log)] = np.divide(sums, weights, out=np.zeros(len(sums)), where=weights != 0)
    row += 1
    totals[...] = 0
