"""The GPU backend: kernels for NVIDIA cards, written in Python and compiled by numba-cuda when they are first used.

An op is a function from arrays in the card's memory to the launches that compute it; a recorded step becomes one CUDA graph. What
knows the compiler and the driver is in `compiler` and `device`, nothing else does.
"""

from .. import spec

try:
    from .device import card
except ModuleNotFoundError as error:
    raise ImportError("the backend 'cuda' needs numba-cuda: pip install 'fastnn-kernels[cuda]'") from error
from .program import Kernel

card()  # without a GPU the backend cannot be imported
#: op name -> kernel
KERNELS = {op.name: Kernel(op) for ops in spec.ON_GPU.values() for op in ops}
