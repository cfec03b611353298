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
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from greenlet import getcurrent, greenlet

from fastnn.kernels import backends
from fastnn.kernels.custom.record import Record

PACKAGE = "fastnn.kernels.numba_gpu"
WARP = 32
POISON = 0xFF
NAN = 0x7FFFFFFF


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
        self.barriers = 0
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
        getcurrent().barriers += 1

    def shfl_xor_sync(self, mask: int, value: Any, distance: int) -> Any:
        assert mask == 0xFFFFFFFF
        return self._wait("warp", _place(), (_exchange, value, int(distance)))

    def multiplier(self, numbers: Callable) -> Callable:
        """Return the tensor cores' instruction for words that `numbers` splits into numbers."""

        def multiply(*words: Any) -> Any:
            return self._wait("warp", _place(), (partial(_multiply, numbers), words))

        return multiply

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
        thread = getcurrent()  # a kernel that runs again behind a barrier finds nothing of what it wrote
        return thread.shared.setdefault((_place(), thread.barriers), _poisoned(size, dtype))


def _exchange(values: list[tuple]) -> list:
    return [values[lane ^ distance][0] for lane, (_, distance) in enumerate(values)]


def _multiply(numbers: Callable, values: list[tuple]) -> list[tuple]:
    """Add the product of a warp's words to its sums: lane 4 g + q has those that the PTX manual gives it."""
    words = np.array([value[0][:6] for value in values], np.uint32)
    sums = np.array([value[0][6:] for value in values], np.float32)
    g, q = np.divmod(np.arange(WARP), 4)
    a, b, c = np.empty((16, 8), np.uint32), np.empty((8, 8), np.uint32), np.empty((16, 8), np.float32)
    a[g, q], a[g + 8, q], a[g, q + 4], a[g + 8, q + 4] = words[:, :4].T
    b[q, g], b[q + 4, g] = words[:, 4:].T
    c[g, 2 * q], c[g, 2 * q + 1], c[g + 8, 2 * q], c[g + 8, 2 * q + 1] = sums.T
    with np.errstate(all="ignore"):
        c += (numbers(a) @ numbers(b.T).T).astype(np.float32)
    return list(zip(c[g, 2 * q], c[g, 2 * q + 1], c[g + 8, 2 * q], c[g + 8, 2 * q + 1], strict=True))


def _tf32_numbers(words: np.ndarray) -> np.ndarray:
    return (words & 0xFFFFE000).astype(np.uint32).view(np.float32).astype(np.float64)  # what a word has more is not looked at


def _bf16_numbers(words: np.ndarray) -> np.ndarray:
    halves = np.stack([words << 16, words & 0xFFFF0000], axis=-1).astype(np.uint32).view(np.float32)
    return halves.reshape(len(words), -1).astype(np.float64)


def to_tf32(x: Any) -> Any:
    """Round to 10 bits behind the binary point, ties away from zero."""
    bits = np.float32(x).view(np.uint32)
    return np.uint32(NAN) if np.isnan(x) else np.uint32((int(bits) + 0x1000) & 0xFFFFE000)


def to_bf16(low: Any, high: Any) -> Any:
    """Round both to 7 bits behind the binary point, ties to even."""

    def half(x: Any) -> int:
        bits = int(np.float32(x).view(np.uint32))
        return NAN >> 16 if np.isnan(x) else (bits + 0x7FFF + (bits >> 16 & 1)) >> 16

    return np.uint32(half(high) << 16 | half(low))


def read_four(array: np.ndarray, index: Any) -> tuple:
    """Return neighbours; on a card they begin at a multiple of their bytes."""
    assert index % 4 == 0
    assert index + 4 <= len(array)
    return tuple(array[index : index + 4])


def write_together(array: np.ndarray, index: Any, values: tuple) -> None:
    """Write neighbours in the same way."""
    assert index % len(values) == 0
    assert index + len(values) <= len(array)
    array[index : index + len(values)] = values


def activation_of(record: Any, with_slope: bool, real: type) -> Callable:
    """Call an activation of the user's as it was compiled for the CPU, but for the edges, which kernels see to."""
    bare = Record(record.source)
    bare.value[:], bare.slope[:] = record.value, record.slope

    def call(x: Any) -> Any:
        y, slope = np.array([x], real), np.empty(1, real)
        bare.activate(y, slope if with_slope else None)
        return (y[0], slope[0]) if with_slope else y[0]

    return call


def loss_of(record: Any, with_slope: bool, real: type) -> Callable:
    """Call a loss of the user's in the same way."""

    def call(target: Any, pred: Any) -> Any:
        loss, slope = np.empty(1, real), np.empty(1, real)
        record.loss(np.array([pred], real), np.array([target], real), loss, slope if with_slope else None)
        return (loss[0], slope[0]) if with_slope else loss[0]

    return call


def update_of(record: Any, real: type) -> Callable:
    """Call an update rule of the user's in the same way."""

    def call(first: Any, n: Any, stride: Any, g: Any, lr: Any, step: Any, params: Any, *arrays: Any) -> None:
        for i in range(first, n, stride):
            record.step(g[i : i + 1], lr, step, params, *(array[i : i + 1] for array in arrays))

    return call


def _poisoned(size: int, dtype: Any) -> np.ndarray:
    return np.full(size * np.dtype(dtype).itemsize, POISON, np.uint8).view(dtype)


class Narrow:
    """Numbers of bfloat16 that are read and written as float32."""

    def __init__(self, bits: np.ndarray) -> None:
        self.bits = bits

    def __len__(self) -> int:
        return len(self.bits)

    def reshape(self, *shape: int) -> Narrow:
        return Narrow(self.bits.reshape(*shape))

    def __getitem__(self, place: Any) -> Any:
        wide = np.left_shift(self.bits[place], 16, dtype=np.uint32)
        return wide.view(np.float32)

    def __setitem__(self, place: Any, values: Any) -> None:
        if isinstance(place, slice):
            for i, value in zip(range(place.start, place.stop), values, strict=True):
                self[i] = value
        else:
            self.bits[place] = int(to_bf16(values, values)) & 0xFFFF


class Card:
    """Memory, and the order in which threads run."""

    name = "simulated"

    def __init__(self) -> None:
        self.backwards = False
        self.launches = 0
        self._memory: dict[int, np.ndarray] = {}

    def make_current(self) -> None:
        pass

    def check_tensor_cores(self) -> None:
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
        assert array.address % array.dtype.itemsize == 0, "a card reads no number that is not aligned"
        start = self._check(array.address, array.nbytes)
        memory = self._memory[start]
        narrow = getattr(array, "narrow", False)  # users' arrays are not
        view = np.ndarray(array.shape, np.uint16 if narrow else array.dtype, memory, array.address - memory.ctypes.data)
        return Narrow(view) if narrow else view

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
        in_order = sorted(lanes, key=lambda thread: thread.number)
        together = lanes[0].waits_for[2][0]
        results = together([thread.waits_for[2][1:] for thread in in_order])
        told = {thread.number: result for thread, result in zip(in_order, results, strict=True)}
        resumed += [(thread, told[thread.number]) for thread in lanes]
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
        language.cospi, language.sinpi = (lambda x: math.cos(math.pi * x)), (lambda x: math.sin(math.pi * x))
        language.ROOT_BELOW = {real: lambda x: type(x)(1 / np.sqrt(x)) for real in (np.float32, np.float64)}
        language.read_four, language.write_together = read_four, write_together
        language.to_tf32, language.to_bf16 = to_tf32, to_bf16
        language.multiply_tf32 = language.cuda.multiplier(_tf32_numbers)
        language.multiply_bf16 = language.cuda.multiplier(_bf16_numbers)
        language.activation_of, language.loss_of, language.update_of = activation_of, loss_of, update_of
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
