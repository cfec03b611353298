"""Images on the card of the host arrays that calls use, one for each stretch of host memory.

So views which share memory on the host share it on the card. Before a run what the calls read is copied there, after it what they
wrote is copied back. A `DeviceArray` is on the card already.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import spec
from ..precision import get_precision
from .arrays import DeviceArray, Memory
from .device import card
from .launch import Array, aligned
from .narrow import narrow_arrays

#: what real numbers may be
REALS = ("float32", "float64")
#: by host address and size, the images that programs share: of data sets that they read, and of their temporaries' memory
_shared: weakref.WeakValueDictionary[tuple[int, int], Memory] = weakref.WeakValueDictionary()


class Use(NamedTuple):
    """How a call uses an array."""

    op: str
    name: str
    role: str
    array: Any


@dataclass
class Stretch:
    """Consecutive bytes of host memory, and their image on the card.

    Attributes
    ----------
    start, end : int
        Addresses on the host.
    uses : list of Use
        In the order of the calls.
    address : int
        On the card.
    """

    start: int
    end: int
    uses: list[Use]
    address: int = 0

    @property
    def nbytes(self) -> int:
        return self.end - self.start

    @property
    def constant(self) -> bool:
        """Whether nobody writes it, here or on the host: its arrays are marked as not writeable."""
        return not any(use.array.flags.writeable for use in self.uses)

    @property
    def read(self) -> bool:
        """Whether the calls depend on what it holds: the first one does not overwrite all of it."""
        first = self.uses[0]
        return first.role != "out" or first.array.nbytes < self.nbytes

    @property
    def written(self) -> bool:
        return any(use.role != "in" for use in self.uses)


class Images:
    """The images on the card of all host memory that some calls use."""

    def __init__(self, calls: Sequence[tuple[spec.Op, tuple]], temporary: np.ndarray | None) -> None:
        used = [use for op, args in calls for use in _uses(op, args)]
        uses = [use for use in used if isinstance(use.array, np.ndarray) and use.array.nbytes]
        self.stretches = _stretches(uses)
        self._narrow = narrow_arrays(calls, temporary) if get_precision() == "bf16" else set()
        self._uploads, self._downloads = [], []
        self._kept: list[Memory] = []
        own = []
        nbytes = 0
        for stretch in self.stretches:
            if temporary is not None and _start(temporary) <= stretch.start < _start(temporary) + temporary.nbytes:
                stretch.address = self._shared_address(_start(temporary), temporary.nbytes) + stretch.start - _start(temporary)
            elif stretch.constant:
                stretch.address = self._shared_address(stretch.start, stretch.nbytes)
                card().upload(stretch.address, stretch.start, stretch.nbytes)
            else:
                stretch.address, nbytes = nbytes, aligned(nbytes + stretch.nbytes)
                own.append(stretch)
        memory = self._memory(nbytes)
        for stretch in own:
            stretch.address += memory.address
            if stretch.read:
                self._uploads.append(stretch)
            if stretch.written:
                self._downloads.append(stretch)

    def _shared_address(self, start: int, nbytes: int) -> int:
        """Return where the image of host memory is that other programs may have too."""
        memory = _shared.get((start, nbytes)) or self._memory(nbytes)
        _shared[start, nbytes] = memory
        self._kept.append(memory)
        return memory.address

    def _memory(self, nbytes: int) -> Memory:
        try:
            memory = Memory(nbytes)
        except MemoryError as error:
            uses = sorted((use for stretch in self.stretches for use in stretch.uses), key=lambda use: -use.array.nbytes)
            largest = list({id(use.array): use for use in uses}.values())[:3]
            names = ", ".join(f"{use.name} of {use.op} ({use.array.nbytes / 2**20:.0f} MiB)" for use in largest)
            raise MemoryError(f"{error}; the largest arrays are {names}. A smaller batch needs less") from error
        self._kept.append(memory)
        return memory

    def of(self, array: np.ndarray | DeviceArray) -> Array:
        """Return the image of a host array; of one on the card, itself."""
        if isinstance(array, DeviceArray):
            return Array(array.shape, array.dtype, array.address)
        if not array.nbytes:
            return Array(array.shape, array.dtype, 0)
        start = _start(array)
        stretch = next(s for s in self.stretches if s.start <= start < s.end)
        place = stretch.address + start - stretch.start
        return Array(array.shape, array.dtype, place, narrow=(start, array.nbytes) in self._narrow)

    def upload(self) -> None:
        """Copy what the calls read to the card."""
        for stretch in self._uploads:
            card().upload(stretch.address, stretch.start, stretch.nbytes)

    def download(self) -> None:
        """Copy what the calls wrote back to the host, and wait for it."""
        for stretch in self._downloads:
            card().download(stretch.start, stretch.address, stretch.nbytes)
        card().synchronize()


def _uses(op: spec.Op, args: tuple) -> Iterator[Use]:
    """Yield the array arguments of a call, checked: on the card a wrong shape would reach into other arrays."""
    if len(args) != len(op.argument_names):
        raise TypeError(f"{op.name} takes {', '.join(op.argument_names)}; got {len(args)} arguments")
    given = dict(zip(op.argument_names, args, strict=True))
    extents: dict[str, int] = {}
    real = None
    for declared in op.arrays:
        array = given[declared.name]
        if array is None and declared.optional:
            continue
        where = f"{op.name}: {declared.name}"
        if isinstance(array, DeviceArray):
            fits = array.writeable or declared.role == "in"
        else:
            fits = isinstance(array, np.ndarray) and array.flags.c_contiguous and (array.flags.writeable or declared.role == "in")
        if not fits:
            raise TypeError(f"{where} must be a C-contiguous array, writeable where it is a result; got {type(array).__name__}")
        if declared.kind == "real":
            real = real or array.dtype
        if array.dtype != (real if declared.kind == "real" else declared.kind) or (real is not None and real.name not in REALS):
            raise TypeError(f"{where} must be {declared.kind}, all real arrays float32 or all float64; got {array.dtype}")
        shape = (array.size,) if declared.axes == "*" else array.shape
        if len(shape) != len(declared.axis_names):
            raise ValueError(f"{where} must have axes ({declared.axes}), got an array of shape {shape}")
        for axis, extent in zip(declared.axis_names, shape, strict=True):
            if extent != (int(axis) if axis.isdigit() else extents.setdefault(axis, extent)):
                raise ValueError(f"{where} has extent {extent} along axis {axis!r}, expected {extents.get(axis, axis)}")
        yield Use(op.name, declared.name, declared.role, array)


def _stretches(uses: list[Use]) -> list[Stretch]:
    """Join the memory of arrays that overlap."""
    stretches: list[Stretch] = []
    for place in sorted(range(len(uses)), key=lambda i: _start(uses[i].array)):
        start = _start(uses[place].array)
        end = start + uses[place].array.nbytes
        if stretches and start < stretches[-1].end:
            stretches[-1].end = max(stretches[-1].end, end)
        else:
            stretches.append(Stretch(start, end, []))
    starts = np.array([stretch.start for stretch in stretches], np.uint64)
    for use in uses:  # in the order of the calls
        stretches[int(np.searchsorted(starts, np.uint64(_start(use.array)), "right")) - 1].uses.append(use)
    return stretches


def _start(array: np.ndarray) -> int:
    return array.ctypes.data
