"""Arrays that other libraries, or `predict`, have on a GPU: recognized, and used without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backends import BACKENDS, active_backend

#: what DLPack calls memory of an NVIDIA GPU, its own and shared with the host
_GPU = (2, 13)


def is_on_gpu(value: Any) -> bool:
    """Say whether something is an array on a GPU: by ``__cuda_array_interface__``, or by DLPack."""
    if isinstance(value, (np.ndarray, list, tuple, int, float)) or value is None:
        return False
    if hasattr(value, "__cuda_array_interface__"):
        return True
    device = getattr(value, "__dlpack_device__", None)
    return device is not None and device()[0] in _GPU


def on_gpu(name: str, value: Any) -> Any:
    """Return an array on a GPU as kernels take it, without a copy.

    Raises
    ------
    ValueError
        If the backend in use computes on the CPU, or the array is on another GPU or not C-contiguous.
    """
    if BACKENDS[active_backend()].device == "cpu":
        raise ValueError(
            f"{name} is on a GPU, and the backend in use, {active_backend()!r}, computes on the CPU: choose the other with "
            "fastnn.use_backend('cuda'), or copy the array to the host, as cupy.asnumpy(x) and x.cpu() of PyTorch do"
        )
    from .numba_gpu.arrays import adopt

    return adopt(name, value)


def on_host(name: str, value: Any) -> Any:
    """Return `value`, copied to the host if it is an array on a GPU."""
    return np.asarray(on_gpu(name, value)) if is_on_gpu(value) else value
