"""The card: its memory, its compiled kernels, and launches that are recorded as one CUDA graph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from cuda.bindings import driver
from cuda.core import Buffer, Device, Kernel, LaunchConfig, launch
from cuda.core.utils import StridedMemoryView

from .compiler import OLDEST, compile_kernel
from .launch import Array, Launch

#: the CUDA that the packages of the extra are for, and the first driver that has it
CUDA, DRIVER = 13, 580
#: the oldest cards with tensor cores for TF32 and bfloat16
TENSOR_CORES = (8, 0)


class Graph:
    """Launches recorded once, repeated by one call of the driver each time."""

    def __init__(self, graph: Any, stream: Any) -> None:
        self._graph, self._stream = graph, stream

    def run(self, times: int) -> None:
        """Start all launches, in order, `times` times over; does not wait for them."""
        for _ in range(times):
            self._graph.launch(self._stream)


class Card:
    """One GPU, with a stream in which everything happens in order."""

    def __init__(self) -> None:
        _, version = driver.cuDriverGetVersion()
        if version < 1000 * CUDA:
            raise ImportError(
                f"the GPU's driver is for CUDA {_dotted((version // 1000, version % 1000 // 10))}; the backend 'cuda' needs "
                f"one for CUDA {CUDA} ({DRIVER}) or newer. `nvidia-smi` shows it. The other backends compute on the CPU"
            )
        self._process = os.getpid()
        self._device = Device()
        self._device.set_current()
        self._stream = self._device.create_stream()
        self.name = self._device.name
        self.compute_capability = tuple(self._device.compute_capability)
        if self.compute_capability < OLDEST:
            raise ImportError(
                f"the GPU {self.name} has compute capability {_dotted(self.compute_capability)}; "
                f"CUDA 13 needs at least {_dotted(OLDEST)}. The other backends compute on the CPU"
            )
        self._kernels: dict[tuple, Kernel] = {}

    def check_tensor_cores(self) -> None:
        """Raise ValueError if the card has none for TF32 and bfloat16."""
        if self.compute_capability < TENSOR_CORES:
            raise ValueError(
                f"the GPU {self.name} has compute capability {_dotted(self.compute_capability)}; precisions other than "
                f"'float32' need at least {_dotted(TENSOR_CORES)}"
            )

    def make_current(self) -> None:
        """Use the card in this thread.

        Raises
        ------
        RuntimeError
            In a process that was forked from the card's.
        """
        if os.getpid() != self._process:
            raise RuntimeError(
                "the GPU is used by the process that this one was forked from, and cannot be used here: start processes by "
                "multiprocessing.get_context('spawn')"
            )
        self._device.set_current()

    def allocate(self, nbytes: int) -> int:
        """Return the address of memory on the card.

        Raises
        ------
        MemoryError
            If there is too little.
        """
        self.make_current()
        result, address = driver.cuMemAlloc(nbytes)
        if result == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            _, free, all_of_it = driver.cuMemGetInfo()
            raise MemoryError(
                f"{nbytes / 2**20:.0f} MiB are needed on the GPU {self.name}, {free / 2**20:.0f} MiB "
                f"of its {all_of_it / 2**20:.0f} MiB are free"
            )
        _check(result)
        return int(address)

    def free(self, address: int) -> None:
        """Give memory back, when everything started before is done.

        Called when objects go away, it raises nothing: what went wrong on the card is raised by its next use, and to a process that
        was forked from the card's the memory does not belong.
        """
        if os.getpid() == self._process:
            self._device.set_current()
            driver.cuStreamSynchronize(self._stream.handle)
            driver.cuMemFree(address)

    def upload(self, address: int, host_address: int, nbytes: int) -> None:
        """Copy host memory to the card; the host memory may change afterwards."""
        _check(*driver.cuMemcpyHtoDAsync(address, host_address, nbytes, self._stream.handle))

    def download(self, host_address: int, address: int, nbytes: int) -> None:
        """Copy the card's memory to the host, once what was started before is done."""
        _check(*driver.cuMemcpyDtoHAsync(host_address, address, nbytes, self._stream.handle))

    def copy(self, address: int, source: int, nbytes: int) -> None:
        """Copy from one place of the card's memory to another."""
        _check(*driver.cuMemcpyDtoDAsync(address, source, nbytes, self._stream.handle))

    def adopt(self, name: str, value: Any) -> tuple[int, tuple[int, ...], tuple[int, ...] | None, np.dtype, bool]:
        """Return address, shape, strides (None if C-contiguous), dtype and whether to write, of another library's array.

        What is started afterwards waits for what the other library has started on the array.
        """
        self.make_current()
        view = StridedMemoryView.from_any_interface(value, stream_ptr=int(self._stream.handle))
        if view.device_id != self._device.device_id:
            raise ValueError(f"{name} is on the GPU {view.device_id}; fastnn computes on the GPU {self._device.device_id}")
        return view.ptr, view.shape, view.strides, view.dtype, not view.readonly

    def export(self, array: Any) -> StridedMemoryView:
        """Return a view of an array that other libraries take by DLPack, and which keeps it."""
        buffer = Buffer.from_handle(array.address, array.nbytes, owner=array)
        return StridedMemoryView.from_buffer(buffer, array.shape, dtype=array.dtype, is_readonly=not array.writeable)

    def synchronize(self) -> None:
        """Wait for everything started before, in whichever thread."""
        self.make_current()
        self._stream.sync()

    def run(self, launches: Iterable[Launch]) -> None:
        """Start launches in order; does not wait for them."""
        for one in launches:
            launch(self._stream, *self._prepared(one))

    def record(self, launches: Sequence[Launch]) -> Graph:
        """Return a CUDA graph of launches, in order."""
        prepared = [self._prepared(one) for one in launches]  # modules are loaded before the recording begins
        builder = self._device.create_graph_builder().begin_building()
        for one in prepared:
            launch(builder, *one)
        graph = builder.end_building().complete()
        graph.upload(self._stream)
        return Graph(graph, self._stream)

    def _prepared(self, one: Launch) -> tuple:
        key = (one.kernel, one.signature, one.threads)
        if key not in self._kernels:
            code, name, _ = compile_kernel(*key, self.compute_capability)
            self._kernels[key] = code.get_kernel(name)
        args = (arg.address if isinstance(arg, Array) else arg for arg in one.args)
        return LaunchConfig(grid=one.grid, block=one.threads), self._kernels[key], *args


@cache
def card() -> Card:
    """Return the GPU.

    Raises
    ------
    ImportError
        If there is none that can be used.
    """
    try:
        return Card()
    except ImportError:
        raise
    except Exception as error:  # cuda.core's own exceptions, by what is missing: the driver's library, a card
        raise ImportError(
            f"the backend 'cuda' needs an NVIDIA GPU and its driver, for CUDA {CUDA} ({DRIVER}) or newer: "
            f"{str(error).rstrip('. ')}. `nvidia-smi` shows both. The other backends compute on the CPU"
        ) from error


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _check(result: Any) -> None:
    if result != driver.CUresult.CUDA_SUCCESS:
        _, text = driver.cuGetErrorString(result)
        raise RuntimeError(f"CUDA: {text.decode()} ({result.name})")
