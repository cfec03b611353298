"""What a replayed training step does around its arithmetic."""

import numpy as np

from .compiler import cuda, device, float64, int64, uint32
from .data import gather_rows
from .launch import THREADS, Launch, once

u = uint32


def _begin_step(order, rates, index, lr, cursor, samples, steps, batch):
    t = u(cuda.threadIdx.x)
    first = int64(cursor[0])
    for i in range(t, batch, u(THREADS)):
        index[i] = order[(first + i) % samples]
    cuda.syncthreads()
    if t == u(0):
        lr[0] = rates[min(int64(cursor[1]), int64(steps) - 1)]
        cursor[0] += float64(batch)
        cursor[1] += float64(1)


def begin_step(order, rates, index, lr, cursor):
    sizes = (np.int64(max(order.size, 1)), np.int64(rates.size), np.uint32(index.size))
    return [Launch(_begin_step, (1, 1, 1), (order, rates, index, lr, cursor, *sizes), work=index.size)]


@device
def _itself(x):
    return x


def gather_int32(x, index, y):
    return gather_rows(_itself, x, index, y)


def _end_epoch(totals, log, row, columns, rows):
    place = int64(row[0]) % rows
    for k in range(columns):
        weight = totals[2 * k + 1]
        log[place * columns + k] = totals[2 * k] / weight if weight != float64(0) else float64(0)
        totals[2 * k] = float64(0)
        totals[2 * k + 1] = float64(0)
    row[0] += float64(1)


def end_epoch(totals, log, row):
    rows, columns = log.shape
    return [once(_end_epoch, totals, log, row, np.int64(columns), np.int64(rows))]
