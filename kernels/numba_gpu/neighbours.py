"""Elements that are neighbours in memory, read and written together: 16 bytes by one instruction."""

from .compiler import device, read_four, write_together
from .launch import Array

#: bytes that a thread reads or writes at once
BYTES = 16


def together(array: Array, *extents: int) -> int:
    """Return how many neighbours of an array can be read or written at once: 4 where that is 16 bytes, aligned to them, or 1.

    They can if they begin at multiples of 4 elements: `extents` are what places in the array are made of.
    """
    fits = array.dtype.itemsize * 4 == BYTES and all(extent % 4 == 0 for extent in extents)
    return 4 if fits and (array.address or 0) % BYTES == 0 else 1


@device
def _read_one(array, index, held, at):
    held[at] = array[index]


@device
def _read_four(array, index, held, at):
    held[at], held[at + 1], held[at + 2], held[at + 3] = read_four(array, index)


@device
def _write_one(array, index, held):
    array[index] = held[0]


@device
def _write_four(array, index, held):
    write_together(array, index, (held[0], held[1], held[2], held[3]))


#: by the number of neighbours, for kernels: ``read(array, index, held, at)`` to held[at], held[at + 1], ...
READ = {1: _read_one, 4: _read_four}
#: by the number of neighbours, for kernels: ``write(array, index, held)`` from held[0], held[1], ...
WRITE = {1: _write_one, 4: _write_four}
