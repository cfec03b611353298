"""A card that is not there: kernels run as plain Python, one greenlet for each thread of a block, in a fixed order.

It stands in for the two modules that know the compiler and the driver, so that everything else is tested as it is. What it finds:

* reads of memory that nobody wrote: fresh memory, shared memory too, is full of NaN (0xFF bytes). A thread runs until it waits, so
  without a barrier it reads what the threads after it have not written yet;
* reads and writes outside an array: each is an array of its own;
* threads of a block that wait at different barriers, or a warp that does not come together for a shuffle;
* results that depend on the order of the threads: with `backwards` the last one runs first.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from greenlet import getcurrent, greenlet

from fastnn.kernels import backends

PACKAGE = "fastnn.kernels.numba_gpu"
WARP = 32
POISON = 0xFF


class Divergence(Exception):
    """Threads that should wait together do not."""


class Thread(greenlet):
    """A thread of a block; `threadIdx` and the like are what kernels see."""

    def __init__(self, run: Callable, number: int, block: tuple, shape: SimpleNamespace, shared: dict) -> None:
        super().__init__(run)
        self.number = number
        self.threadIdx = _xyz((number, 0, 0))
        self.blockIdx, self.blockDim, self.gridDim = _xyz(block), shape.block, shape.grid
        self.shared = shared
        self.waits_for: tuple | None = None


def _xyz(extents: tuple) -> SimpleNamespace:
    return SimpleNamespace(**dict(zip("xyz", extents, strict=True)))


def _place(depth: int = 2) -> tuple:
    frame = sys._getframe(depth)
    return frame.f_code, frame.f_lasti


class Language:
    """What kernels know as `cuda`."""

    threadIdx = property(lambda self: getcurrent().threadIdx)
    blockIdx = property(lambda self: getcurrent().blockIdx)
    blockDim = property(lambda self: getcurrent().blockDim)
    gridDim = property(lambda self: getcurrent().gridDim)

    def syncthreads(self) -> None:
        self._wait("block", _place(), None)

    def shfl_xor_sync(self, mask: int, value: Any, distance: int) -> Any:
        assert mask == 0xFFFFFFFF
        return self._wait("warp", _place(), (value, distance))

    @staticmethod
    def _wait(kind: str, place: tuple, value: Any) -> Any:
        thread = getcurrent()
        thread.waits_for = kind, place, value
        return thread.parent.switch()

    @property
    def shared(self) -> SimpleNamespace:
        return SimpleNamespace(array=self._shared_array)

    @property
    def local(self) -> SimpleNamespace:
        return SimpleNamespace(array=lambda size, dtype: _poisoned(size, dtype))

    @staticmethod
    def _shared_array(size: int, dtype: Any, alignment: int | None = None) -> np.ndarray:
        return getcurrent().shared.setdefault(_place(), _poisoned(size, dtype))


def _poisoned(size: int, dtype: Any) -> np.ndarray:
    return np.full(size * np.dtype(dtype).itemsize, POISON, np.uint8).view(dtype)


class Card:
    """Memory, and the order in which threads run."""

    name = "simulated"

    def __init__(self) -> None:
        self.backwards = False
        self.launches = 0
        self._memory: dict[int, np.ndarray] = {}

    def make_current(self) -> None:
        pass

    def allocate(self, nbytes: int) -> int:
        memory = np.full(nbytes + 256, POISON, np.uint8)
        address = -(-memory.ctypes.data // 256) * 256
        self._memory[address] = memory
        return address

    def free(self, address: int) -> None:
        del self._memory[address]

    def upload(self, address: int, host_address: int, nbytes: int) -> None:
        self._check(address, nbytes)
        ctypes.memmove(address, host_address, nbytes)

    def download(self, host_address: int, address: int, nbytes: int) -> None:
        self._check(address, nbytes)
        ctypes.memmove(host_address, address, nbytes)

    def copy(self, address: int, source: int, nbytes: int) -> None:
        self._check(address, nbytes)
        self._check(source, nbytes)
        ctypes.memmove(address, source, nbytes)

    def adopt(self, name: str, value: Any) -> tuple:
        """Take an array by its ``__cuda_array_interface__``."""
        interface = value.__cuda_array_interface__
        address, readonly = interface["data"]
        dtype, strides = np.dtype(interface["typestr"]), interface["strides"]
        self._check(address, math.prod(interface["shape"]) * dtype.itemsize)
        strides = None if strides is None else tuple(stride // dtype.itemsize for stride in strides)
        return address, interface["shape"], strides, dtype, not readonly

    def export(self, array: Any) -> np.ndarray:
        return self.view(array)

    def synchronize(self) -> None:
        pass

    def run(self, launches: Any) -> None:
        for launch in launches:
            self.launches += 1
            self._run_one(launch)

    def record(self, launches: list) -> SimpleNamespace:
        def run(times: int) -> None:
            for _ in range(times):
                self.run(launches)

        return SimpleNamespace(run=run)

    def view(self, array: Any) -> np.ndarray:
        """Return the memory of an array on the card as a NumPy array."""
        if not array.size:
            return np.empty(array.shape, array.dtype)
        start = self._check(array.address, array.nbytes)
        memory = self._memory[start]
        return np.ndarray(array.shape, array.dtype, memory, array.address - memory.ctypes.data)

    def from_address(self, address: int, dtype: Any) -> np.ndarray:
        """Return the memory from an address to the end of what was allocated with it."""
        start = self._check(int(address), 1)
        memory = self._memory[start]
        offset = int(address) - memory.ctypes.data
        return memory[offset : offset + (memory.nbytes - offset) // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize].view(dtype)

    def _check(self, address: int, nbytes: int) -> int:
        for start, memory in self._memory.items():
            if start <= address and address + nbytes <= memory.ctypes.data + memory.nbytes:
                return start
        raise IndexError(f"{nbytes} bytes at {address} are not on the card")

    def _run_one(self, launch: Any) -> None:
        from fastnn.kernels.numba_gpu.launch import Array

        args = [self.view(a).reshape(-1) if isinstance(a, Array) else a for a in launch.args]
        shape = SimpleNamespace(grid=_xyz(launch.grid), block=_xyz((launch.threads, 1, 1)))
        assert all(1 <= extent <= 65535 for extent in launch.grid[1:]) and 1 <= launch.grid[0] < 2**31

        def run() -> None:
            with np.errstate(all="ignore"):  # each greenlet has settings of its own
                launch.kernel(*args)

        for block in np.ndindex(*launch.grid[::-1]):
            shared: dict = {}
            threads = [Thread(run, number, block[::-1], shape, shared) for number in range(launch.threads)]
            self._run_block(threads[::-1] if self.backwards else threads)

    @staticmethod
    def _run_block(threads: list[Thread]) -> None:
        resumed: list[tuple[Thread, Any]] = [(thread, None) for thread in threads]
        while resumed:
            for thread, value in resumed:
                thread.waits_for = None
                thread.switch(*(() if value is None else (value,)))
            live = [thread for thread in threads if not thread.dead]
            resumed = _together(live, threads)


def _together(live: list[Thread], all_threads: list[Thread]) -> list[tuple[Thread, Any]]:
    """Return the threads that may go on, with what they are told: warps that shuffle, or else the whole block at a barrier."""
    resumed = []
    warps: dict[int, list[Thread]] = {}
    for thread in live:
        warps.setdefault(thread.number // WARP, []).append(thread)
    for number, lanes in warps.items():
        kinds = {thread.waits_for[:2] for thread in lanes}
        if all(kind != "warp" for kind, _ in kinds):
            continue
        whole = min(WARP, len(all_threads) - number * WARP)
        if len(kinds) > 1 or len(lanes) < whole:
            raise Divergence(f"warp {number}: {len(lanes)} of {whole} lanes wait, at {len(kinds)} places")
        values = {thread.number: thread.waits_for[2] for thread in lanes}
        resumed += [(thread, values[thread.number ^ int(values[thread.number][1])][0]) for thread in lanes]
    if resumed or not live:
        return resumed
    places = {thread.waits_for[1] for thread in live}
    if len(places) > 1 or len(live) < len(all_threads):
        raise Divergence(f"{len(live)} of {len(all_threads)} threads wait, at {len(places)} barriers")
    return [(thread, None) for thread in live]


def install(compiler: bool = True) -> tuple[Card, Callable[[], None]]:
    """Put a simulated card in the place of a real one; return it, and what takes it away again.

    Without `compiler` the real one stays: what would be launched can be compiled then, not run.
    """
    card = Card()
    _forget()
    device = ModuleType(f"{PACKAGE}.device")
    device.card = lambda: card
    sys.modules[device.__name__] = device
    if compiler:
        language = ModuleType(f"{PACKAGE}.compiler")
        names = ("int32", "int64", "uint32", "uint64", "float32", "float64")
        vars(language).update({name: getattr(np, name) for name in names})
        language.cuda, language.device = Language(), lambda function: function
        language.number = lambda dtype: np.dtype(dtype).type
        language.pointer_to = lambda real: lambda address: card.from_address(address, real)
        sys.modules[language.__name__] = language
    return card, _forget


def _forget() -> None:
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]
    if hasattr(sys.modules.get("fastnn.kernels"), "numba_gpu"):
        del sys.modules["fastnn.kernels"].numba_gpu
    backends._loaded.pop("cuda", None)
