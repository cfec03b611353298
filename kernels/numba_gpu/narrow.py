"""Which arrays of a program are stored as bfloat16, where `set_precision` asks for that: images and gradients by images.

They are temporaries that never leave the card. Kernels read and write them as float32, so a convolution's sums, mean and variance,
weights and their gradients lose nothing; what memory limits moves half as many bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import spec

#: families, and single ops, whose images may be narrow, and what these are called there
FAMILIES = ("linear", "conv", "pool", "activation", "rewritten", "recomputed")
OPS = (
    "batchnorm_forward",
    "batchnorm_inference",
    "batchnorm_backward",
    "dropout_forward",
    "dropout_backward",
    "gather",
    "gather_uint8",
    "rescale",
    "add",
)
NAMES = ("x", "y", "dx", "dy")
#: bytes from which an array is worth it: a smaller one stays in the cache
LEAST = 2**17

Key = tuple[int, int]


def narrow_arrays(calls: Iterable[tuple[spec.Op, tuple]], temporary: np.ndarray | None) -> set[Key]:
    """Return address and bytes, on the host, of the arrays to be stored as bfloat16.

    Those are temporaries of which all uses allow it, and that are read as they were written: not a part of one, nor several as one.
    """
    if temporary is None:
        return set()
    start, end = temporary.ctypes.data, temporary.ctypes.data + temporary.nbytes
    candidates, refused = set(), set()
    written: list[Key] = []
    for op, args in calls:
        given = dict(zip(op.argument_names, args, strict=True))
        used = [(array, given[array.name]) for array in op.arrays if isinstance(given[array.name], np.ndarray)]
        mine = [(declared, (a.ctypes.data, a.nbytes), a.dtype) for declared, a in used if a.nbytes and start <= a.ctypes.data < end]
        for declared, key, _ in mine:
            if declared.role != "in":
                continue
            meeting = [other for other in written if _overlap(key, other)]
            if not meeting or meeting[-1] != key:
                refused |= {key, *meeting}
        for declared, key, dtype in mine:
            if declared.role == "out":
                written.append(key)
            candidates.add(key)
            if dtype != np.float32 or key[1] < LEAST or not _may_be_narrow(op, declared):
                refused.add(key)
    return candidates - refused


def _may_be_narrow(op: spec.Op, declared: spec.Array) -> bool:
    named = declared.name in NAMES or op.name == "add"
    return named and declared.role != "inout" and (op.name in OPS or spec.FAMILY_OF[op.name] in FAMILIES)


def _overlap(one: Key, other: Key) -> bool:
    return one[0] < other[0] + other[1] and other[0] < one[0] + one[1]
