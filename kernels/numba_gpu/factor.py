"""Factors of matrix products, and how the threads of a block bring pieces of them.

A factor is a matrix that need not be written down: a function says where in an array its elements are. What the threads bring
stays in registers while the last piece is multiplied, and is put into shared memory then.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from .compiler import cuda, device, uint32
from .launch import Array
from .neighbours import READ

u = uint32


class Factor(NamedTuple):
    """One factor of a product.

    Attributes
    ----------
    array : Array
    place : callable
        For kernels: ``place(i, k, extent, depth, group)`` says of the element of row (of the right factor: column) i at place k of
        the sum, first, whether it is in the array, being zero otherwise, and second, at which index.
    along_depth : bool
        Whether elements that are neighbours in memory are so along the sum.
    together : int
        So many neighbours, from a multiple of it on, are in the array or none, and may be read at once.
    """

    array: Array
    place: Callable
    along_depth: bool
    together: int


class Piece(NamedTuple):
    """What the threads of a block bring of a factor: units of `deep` elements along the sum by `wide` at right angles to it.

    Attributes
    ----------
    deep, wide : int
    units : int
        How many a thread brings.
    spot : callable
        For kernels: ``spot(t, r)`` returns where the r-th unit of thread t begins in the piece, i and k, and whether it is of it.
    fetch : callable
        For kernels: ``fetch(array, held, first, k0, end, extent, depth, group, t)`` brings a thread's units to registers, those
        of one k after the other; elements from `extent` or from `end` on are zero.
    turns : int
        How many units that a thread brings one after the other lie side by side.
    """

    deep: int
    wide: int
    units: int
    spot: Callable
    fetch: Callable
    turns: int

    @property
    def elements(self) -> int:
        return self.units * self.deep * self.wide


@cache
def _spot(deep, wide, along_depth, extent, depth, threads):
    """Neighbouring threads bring what are neighbours in memory, and each goes on at right angles to that, if it can."""
    across, below = (depth // deep, extent // wide) if along_depth else (extent // wide, depth // deep)
    rows, turns = max(1, threads // across), max(1, across // threads)
    ragged, busy = below % rows > 0, min(threads, rows * across)

    @device
    def spot(t, r):
        beside, row = u(t % u(across)), u(t // u(across) + u(r) * u(rows))
        if turns > 1:
            beside, row = u(t + u(r % turns) * u(threads)), u(r // turns)
        there = (not ragged or row < u(below)) and (busy == threads or t < u(busy))
        return (u(row * u(wide)), u(beside * u(deep)), there) if along_depth else (u(beside * u(wide)), u(row * u(deep)), there)

    return -(-below // rows) * turns, turns, spot


@cache
def piece(place, along_depth, together, extent, depth, numbers, threads, real):
    """Return the piece of a factor that a block brings.

    Parameters
    ----------
    place, along_depth, together
        As in `Factor`.
    extent, depth : int
        The piece's elements along the rows (or columns) of the tile, and along the sum.
    numbers : int
        How many that are neighbours along the sum one thread must bring.
    threads : int
        Threads of the block. If they are fewer than the units side by side in memory, they divide these; if they are more, a rest
        that does not make up a row of them brings nothing.
    real : type
        Of an element.
    """
    deep, wide = (max(together, numbers), 1) if along_depth else (numbers, together)
    units, turns, spot = _spot(deep, wide, along_depth, extent, depth, threads)
    reads, read, zero = deep * wide // together, READ[together], real(0)

    @device
    def fetch(array, held, first, k0, end, extent, depth, group, t):
        for r in range(units):
            i, k, there = spot(t, r)
            i, k = u(first + i), u(k0 + k)
            for j in range(reads):
                at = (r * reads + j) * together
                for e in range(together):
                    held[at + e] = zero
                inside, index = place(i, u(k + u(j)), extent, depth, group)
                if there and inside and i < extent and u(k + u(j)) < end:
                    read(array, index, held, at)

    return Piece(deep, wide, units, spot, fetch, turns)


class Totals(NamedTuple):
    """The sums along a factor that a block brings piece by piece: of the right one, of its columns.

    Attributes
    ----------
    held : int
        How many a thread has.
    add : callable
        For kernels: ``add(held, totals)`` adds what a thread has fetched to its own.
    store : callable
        For kernels: ``store(totals, array, start, left, t)`` adds up a block's and stores the first `left` from an index on.
    """

    held: int
    add: Callable
    store: Callable


@cache
def totals_of(brought, extent, threads, real):
    """Return what sums up the pieces of a factor whose neighbours are at right angles to the sum."""
    deep, wide, units, spot, turns = brought.deep, brought.wide, brought.units, brought.spot, brought.turns
    rows = max(1, threads * wide // extent)
    size = rows * extent

    @device
    def add(held, totals):
        for r in range(units):
            for e in range(deep * wide):
                totals[r % turns * wide + e % wide] += held[r * deep * wide + e]

    @device
    def store(totals, array, start, left, t):
        shared = cuda.shared.array(size, real)
        for r in range(turns):
            i, k, _ = spot(t, r)
            row = u(k // u(deep))
            if row < u(rows):
                for e in range(wide):
                    shared[u(row * u(extent) + i + u(e))] = totals[r * wide + e]
        cuda.syncthreads()
        if t < left:
            total = real(0)
            for row in range(rows):
                total += shared[u(u(row) * u(extent) + t)]
            array[u(start + t)] = total

    return Totals(turns * wide, add, store)


@device
def _add_nothing(held, totals):
    pass


@device
def _store_nothing(totals, array, start, left, t):
    pass


def no_totals(brought, extent, threads, real):
    """Stand in the place of `totals_of` where nobody wants them."""
    return Totals(1, _add_nothing, _store_nothing)
