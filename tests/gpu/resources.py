"""What the kernels need on a card: compiles those of some ops, without one, and prints a line of JSON for each.

python -m tests.gpu.resources DTYPE PRECISION PART PARTS
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

import numpy as np

from tests.gpu import simulator
from tests.kernels.cases import Case, conv_case, large_cases

CARDS = (8, 0), (9, 0)
#: ops whose tiles depend on the shape
PRODUCTS = ("dense_forward", "conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight")
#: a product with an activation of much code
LONG_PRODUCT = "dense_custom_forward"
#: ops whose arrays are narrow with bfloat16
NARROW = (
    *PRODUCTS[1:],
    "batchnorm_maxpool_forward",
    "batchnorm_maxpool_backward",
    "batchnorm_avgpool_backward",
    "maxpool2d_forward",
    "dropout_forward",
    "relu_backward",
    "gather_uint8",
)
#: large cases that are not the first: a sum too short to be split, so that the tile itself activates; a convolution where nothing
#: divides anything, which takes most registers for its places
NUMBERS = {(LONG_PRODUCT, "float32"): 3, ("conv2d_forward", "bf16"): 6}


def launches(op_name: str, dtype: str, precision: str) -> Iterator:
    """Yield the launches of a large case of an op, and of a matrix product with each of the tiles.

    A convolution with such a tile gives mean and variance of its result as well: it stands in front of a batch normalization.
    """
    from fastnn.kernels.numba_gpu import product

    product.get_precision = lambda: precision
    even = large_cases(op_name)[0]
    if "pad_top" in even.params:
        even = conv_case(op_name, n=2, image=9, window=3, c=20, co=20, pad=1)
    if precision == "bf16" and op_name in NARROW:
        yield from _planned(even, dtype, narrow=True)
    if precision == "float32" or op_name in PRODUCTS:
        yield from _planned(large_cases(op_name)[NUMBERS.get((op_name, precision), 0)], dtype)
    if op_name in (*PRODUCTS, LONG_PRODUCT) and dtype == "float32":
        tiles = product.TILES if precision == "float32" else product.TENSOR_TILES[precision]
        for tile in tiles:
            product.TILES = product.TENSOR_TILES[precision] = (tile,)
            yield from _planned(even, dtype, normalized=op_name == "conv2d_forward")
        product.TILES = product.TENSOR_TILES[precision] = tiles


def _planned(case: Case, dtype: str, normalized: bool = False, narrow: bool = False) -> Iterator:
    from fastnn.kernels import spec
    from fastnn.kernels.numba_gpu.images import Images
    from fastnn.kernels.numba_gpu.narrow import NAMES
    from fastnn.kernels.numba_gpu.plan import plan

    calls = [(case.op, tuple(case.arguments(dtype).values()))]
    if normalized:
        y = calls[0][1][-1].reshape(-1, case.extents["co"])
        channel = np.ones(y.shape[1], dtype)
        outputs = np.empty_like(y), np.empty_like(channel), np.empty_like(channel)
        calls.append((spec.OPS["batchnorm_forward"], (y, channel, channel, 1e-3, *outputs)))
    images = Images(calls, None)
    if narrow:
        given = zip(case.op.argument_names, calls[0][1], strict=True)
        images._narrow = {(a.ctypes.data, a.nbytes) for name, a in given if name in NAMES and a.dtype == np.float32}
    yield from (launch for step in plan(calls, images) for launch in step.launches)


def resources(log: str) -> dict[str, int]:
    """Return what the assembler's log says."""

    def largest(pattern: str) -> int:
        return max((int(number) for number in re.findall(pattern, log)), default=0)

    return {
        "registers": largest(r"[Uu]sed (\d+) registers"),
        "stack": largest(r"(\d+) bytes stack frame"),
        "spills": largest(r"(\d+) bytes spill"),
        "shared": largest(r"(\d+) bytes smem"),
        "warnings": len(re.findall("(?i)warning", log)),
    }


def main(dtype: str, precision: str, part: int, parts: int) -> None:
    simulator.install(compiler=False)
    from fastnn.kernels import spec
    from fastnn.kernels.numba_gpu.compiler import compile_kernel
    from fastnn.kernels.numba_gpu.plan import launches_of

    seen = set()
    every = [op.name for ops in spec.ON_GPU.values() for op in ops]
    names = {"float32": every, "tf32": PRODUCTS, "bf16": [*dict.fromkeys((*PRODUCTS, *NARROW))]}
    for op_name in names[precision][part::parts]:
        try:
            launches_of(spec.OPS[op_name])
        except NotImplementedError:
            continue
        for launch in launches(op_name, dtype, precision):
            for capability in CARDS:
                key = (launch.kernel, launch.signature, launch.threads, capability)
                if key in seen:
                    continue
                seen.add(key)
                _, name, log = compile_kernel(*key)
                print(json.dumps({"op": op_name, "kernel": name, "capability": capability} | resources(log)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
