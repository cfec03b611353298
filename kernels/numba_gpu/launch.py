"""What an op becomes on the card: launches of kernels on arrays in its memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: threads of a block where the kernel does not want another number
THREADS = 256
#: places in the card's memory are multiples of this many bytes
ALIGNMENT = 256
#: most blocks of a kernel whose threads go on in steps of the whole grid
MAX_BLOCKS = 4096


@dataclass(eq=False)
class Array:
    """An array in the card's memory.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    address : int
        None until the array has a place: see `scratch` and `constant`.
    content : ndarray, optional
        What the array holds from the beginning.
    narrow : bool
        Whether its float32 are stored as bfloat16. Kernels do not notice.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    address: int | None = None
    content: np.ndarray | None = None
    narrow: bool = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The number of bytes."""
        return self.size * (2 if self.narrow else self.dtype.itemsize)

    def overlaps(self, other: Any) -> bool:
        """Say whether something else is an array that has bytes in common with this one."""
        if not isinstance(other, Array) or self.address is None or other.address is None:
            return False
        return self.address < other.address + other.nbytes and other.address < self.address + self.nbytes


def aligned(offset: int) -> int:
    """Return the next place in memory where an array may begin."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def scratch(*shape: int, dtype: Any) -> Array:
    """Return an array that lasts for one op only; the program gives it a place."""
    return Array(shape, np.dtype(dtype))


def constant(content: np.ndarray) -> Array:
    """Return an array with fixed content; the program gives it a place."""
    return Array(content.shape, content.dtype, content=content)


@dataclass(frozen=True)
class Launch:
    """One launch of a kernel.

    Attributes
    ----------
    kernel : callable
        A Python function in the language of `compiler`. Equal kernels are the same function, so that each is compiled once.
    grid : tuple of three int
        Blocks along x, y and z.
    args : tuple of Array or NumPy scalar
        The arguments; their dtypes are those of the compiled kernel.
    threads : int
        Threads of a block, along x.
    work : int, optional
        Elements that one block would have to go through. Only where that gives what the grid gives, by THREADS threads or by the
        first of them: see `joined`.
    by_address : tuple of Array
        Arrays that the kernel knows by addresses among its arguments' elements.
    """

    kernel: Callable
    grid: tuple[int, int, int]
    args: tuple
    threads: int = THREADS
    work: int | None = None
    by_address: tuple[Array, ...] = ()

    @property
    def arrays(self) -> list[Array]:
        """The arrays that the kernel reads or writes."""
        return [*(arg for arg in self.args if isinstance(arg, Array)), *self.by_address]

    @property
    def signature(self) -> tuple:
        """Dtype of each argument, whether it is an array of them, and whether that is narrow."""
        return tuple((arg.dtype, isinstance(arg, Array), isinstance(arg, Array) and arg.narrow) for arg in self.args)


def over(n: int, kernel: Callable, *args: Any, work: int | None = None) -> list[Launch]:
    """Return the launch of a kernel that counts through `n` elements in steps of the grid; none for no elements.

    The kernel's arguments are `args`, then `n`. It counts in uint32, and says so after each addition: the compiler makes 64 bits of
    the sum of two numbers, and to divide those takes a subroutine. `work` is the size of the largest array if left out: there may
    be sums in an element.
    """
    if not n:
        return []
    check_count(n)
    work = max(n, *(arg.size for arg in args if isinstance(arg, Array))) if work is None else work
    return [Launch(kernel, (min(-(-n // THREADS), MAX_BLOCKS), 1, 1), (*args, np.uint32(n)), work=work)]


def once(kernel: Callable, *args: Any) -> Launch:
    """Return the launch of a kernel of one thread."""
    return Launch(kernel, (1, 1, 1), args, 1, work=1)


def check_count(n: int) -> None:
    """Raise ValueError where a number of elements is more than kernels count to."""
    if n >= 2**32 - MAX_BLOCKS * THREADS:
        raise ValueError(f"an array on the GPU has at most {2**32 - MAX_BLOCKS * THREADS} elements, got {n}")
