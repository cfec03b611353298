"""What a replayed training step does around its arithmetic: take the next batch's samples and learning rate."""

from .call import step
from .pointers import copy, offset


@step("")
def begin_step(call, first, last):
    sample, place = int(call.cursor[0]), int(call.cursor[1])
    for i in range(call.n):
        call.index[i] = call.order[(sample + i) % call.t]
    call.lr[0] = call.rates[min(place, call.s - 1)]
    call.cursor[0] += call.n
    call.cursor[1] += 1


@step("n", "s")
def gather_int32(call, first, last):
    for i in range(first, last):
        copy(offset(call.x, call.index[i] * call.s), offset(call.y, i * call.s), call.s)


@step("")
def end_epoch(call, first, last):
    totals, log, row = call.totals, call.log, call.row
    place = int(row[0]) % call.e
    for i in range(call.k):
        log[place * call.k + i] = totals[2 * i] / totals[2 * i + 1] if totals[2 * i + 1] != 0 else 0.0
        totals[2 * i] = 0.0
        totals[2 * i + 1] = 0.0
    row[0] += 1
