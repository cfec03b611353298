"""The backends: which there are, whether they can be used here, and which one is in use."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pathlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType
from typing import Any

from . import spec


def _reference_kernels(module: ModuleType) -> Mapping[str, Callable]:
    """Return op name -> function for a backend that has one Python module per family, and all of them."""
    return {
        op.name: getattr(importlib.import_module(f".{family}", module.__name__), op.name)
        for family, ops in (spec.FAMILIES | spec.OPTIONAL).items()
        for op in ops
    }


def _compiled_kernels(module: ModuleType) -> Mapping[str, Callable]:
    return module.KERNELS


def _device_program(temporary: Any) -> Any:
    from .numba_gpu.program import Program

    return Program(temporary)


class _CallByCall:
    """A program for backends without a native one: the kernels called from Python, in order."""

    def __init__(self, temporary: Any) -> None:
        self._calls: list[tuple[Callable, tuple]] = []

    def append(self, kernel: Callable, *args: Any) -> None:
        self._calls.append((kernel, args))

    def run(self, times: int) -> None:
        for _ in range(times):
            for kernel, args in self._calls:
                kernel(*args)


def _cython_program(temporary: Any) -> Any:
    from .cython_aot import call

    return call.Program()


def _numba_program(temporary: Any) -> Any:
    from .numba_jit import call

    return call.Program()


@dataclass(frozen=True)
class Backend:
    """A set of kernels for all ops.

    Parameters
    ----------
    name : str
        The name users know it by.
    folder : str
        The package below `fastnn.kernels`.
    description : str
        One line for ``fastnn info``.
    kernels : callable
        From the imported package to op name -> kernel.
    program : callable
        Makes an empty program: ``append(kernel, *args)``, then ``run(times)``. Its argument is the array whose memory nobody reads
        or writes between runs, or None.
    installed : callable
        Whether what the backend needs is there. A backend that is installed and cannot be imported raises when used.
    device : {"cpu", "cuda"}
        What it computes on.
    """

    name: str
    folder: str
    description: str
    kernels: Callable[[ModuleType], Mapping[str, Callable]]
    program: Callable[[Any], Any]
    installed: Callable[[], bool]
    device: str = "cpu"

    def load(self) -> Mapping[str, Callable]:
        """Import the backend and return its kernels by op name."""
        return self.kernels(importlib.import_module(f".{self.folder}", __package__))


def _extensions_built() -> bool:
    folder = pathlib.Path(__file__).parent / "cython_aot"
    return any((folder / f"call{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


def _numba_installed() -> bool:
    return importlib.util.find_spec("numba") is not None


def _gpu_usable() -> bool:
    if importlib.util.find_spec("numba_cuda") is None:
        return False
    try:
        importlib.import_module(".numba_gpu", __package__)
    except ImportError:  # it says what is missing: the driver, a card
        return False
    return True


#: backend name -> backend, the preferred one for a CPU first
BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("cython", "cython_aot", "compiled ahead of time, parallel", _compiled_kernels, _cython_program, _extensions_built),
        Backend("numba", "numba_jit", "compiled when first used, parallel", _compiled_kernels, _numba_program, _numba_installed),
        Backend("numpy", "numpy_ref", "the reference: plain NumPy in float64, slow", _reference_kernels, _CallByCall, lambda: True),
        Backend(
            "cuda",
            "numba_gpu",
            "NVIDIA GPUs, kernels compiled at their first use",
            _compiled_kernels,
            _device_program,
            _gpu_usable,
            "cuda",
        ),
    )
}

_loaded: dict[str, Mapping[str, Callable]] = {}
_active: str | None = None


def default_backend() -> str:
    """Return ``FASTNN_BACKEND`` if it is set, else the first backend that is installed; warn if that is only the reference."""
    chosen = os.environ.get("FASTNN_BACKEND")
    if chosen:
        _check_name(chosen, "FASTNN_BACKEND")
        return chosen
    name = next(name for name, backend in BACKENDS.items() if backend.installed())
    if name == "numpy":
        warnings.warn(
            "neither compiled kernels nor Numba are installed, so the reference computes, which is slow: "
            "pip install 'fastnn-kernels[numba]'; FASTNN_BACKEND=numpy chooses the reference without this warning",
            stacklevel=2,
        )
    return name


def active_backend() -> str:
    """Return the name of the backend in use."""
    global _active
    if _active is None:
        _active = default_backend()
    return _active


def backend_on(device: str) -> str:
    """Return the name of the backend for a device: the one in use if it computes there, else the first that is installed."""
    names = [name for name, backend in BACKENDS.items() if backend.device == device]
    if active_backend() in names:
        return active_backend()
    return next((name for name in names if BACKENDS[name].installed()), names[0])


def kernels_of(name: str) -> Mapping[str, Callable]:
    """Return op name -> kernel of a backend, importing it at its first use."""
    if name not in _loaded:
        _loaded[name] = BACKENDS[name].load()
    return _loaded[name]


def active_kernels() -> Mapping[str, Callable]:
    """Return op name -> kernel of the backend in use."""
    kernels = _loaded.get(_active or "")
    return kernels_of(active_backend()) if kernels is None else kernels


class use_backend:
    """Choose the backend, for the whole process; as a context manager, until the block ends.

    Parameters
    ----------
    name : {"cython", "numba", "numpy", "cuda"}
        The backend.

    Raises
    ------
    ValueError
        If there is no backend of that name.
    ImportError
        If the backend is not installed; nothing falls back to another one.

    Examples
    --------
    >>> from fastnn import kernels
    >>> with kernels.use_backend("numpy"):
    ...     print(kernels.active_backend())
    numpy
    """

    def __init__(self, name: str) -> None:
        global _active
        _check_name(name)
        kernels_of(name)
        self._previous = _active
        _active = name

    def __enter__(self) -> use_backend:
        return self

    def __exit__(self, *exception: Any) -> None:
        global _active
        _active = self._previous


def compile_program(calls: Sequence[tuple[str, tuple]], temporary: Any = None) -> Any:
    """Return an object whose ``run(times)`` repeats recorded calls on the active backend.

    `temporary` is the array in whose memory the temporaries of the calls lie.
    """
    name = active_backend()
    kernels, program = kernels_of(name), BACKENDS[name].program(temporary)
    for op, args in calls:
        program.append(kernels[op], *args)
    return program


def _check_name(name: str, argument: str = "backend") -> None:
    if name not in BACKENDS:
        raise ValueError(f"{argument} must be one of {', '.join(map(repr, BACKENDS))}; got {name!r}")
