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
from tests.kernels.cases import large_cases

CARDS = (8, 0), (9, 0)
#: ops whose tiles depend on the shape: compiled with those that need most registers too
PRODUCTS = ("dense_forward", "conv2d_forward", "conv2d_backward_input", "conv2d_backward_weight")
#: a product with an activation of much code
LONG_PRODUCT = "dense_custom_forward"
#: large cases that are not the first: a sum too short to be split, so that the tile itself activates; a convolution where nothing
#: divides anything, which takes most registers for its places
NUMBERS = {(LONG_PRODUCT, "float32"): 3, ("conv2d_forward", "bf16"): 3}


def launches(op_name: str, dtype: str, precision: str) -> Iterator:
    """Yield the launches of a large case of an op, and of a matrix product with each of the largest tiles.

    A convolution with such a tile gives mean and variance of its result as well: it stands in front of a batch normalization.
    """
    from fastnn.kernels import spec
    from fastnn.kernels.numba_gpu import program, tile

    tile.get_precision = lambda: precision
    case = large_cases(op_name)[NUMBERS.get((op_name, precision), 0)]
    calls = [(spec.OPS[op_name], tuple(case.arguments(dtype).values()))]
    normalized = list(calls)
    if op_name == "conv2d_forward":
        y = calls[0][1][-1].reshape(-1, case.extents["co"])
        channel = np.ones(y.shape[1], dtype)
        outputs = np.empty_like(y), np.empty_like(channel), np.empty_like(channel)
        normalized.append((spec.OPS["batchnorm_forward"], (y, channel, channel, 1e-3, *outputs)))
    images = program.Images(normalized, None)
    usual = tile.TILES, tile.TENSOR_TILES
    largest = (
        [((t,), usual[1]) for t in usual[0] if t.down == 8] if precision == "float32" else [(usual[0], (t,)) for t in usual[1]]
    )
    yield from (launch for step in program.plan(calls, images) for launch in step.launches)
    for tile.TILES, tile.TENSOR_TILES in largest if op_name in (*PRODUCTS, LONG_PRODUCT) else ():
        yield from (launch for step in program.plan(normalized, images) for launch in step.launches)
    tile.TILES, tile.TENSOR_TILES = usual


def resources(log: str) -> dict[str, int]:
    """Return what the assembler's log says."""

    def largest(pattern: str) -> int:
        return max((int(number) for number in re.findall(pattern, log)), default=0)

    return {
        "registers": largest(r"[Uu]sed (\d+) registers"),
        "stack": largest(r"(\d+) bytes stack frame"),
        "spills": largest(r"(\d+) bytes spill"),
        "shared": largest(r"(\d+) bytes smem"),
    }


def main(dtype: str, precision: str, part: int, parts: int) -> None:
    simulator.install(compiler=False)
    from fastnn.kernels import spec
    from fastnn.kernels.numba_gpu.compiler import compile_kernel
    from fastnn.kernels.numba_gpu.program import launches_of

    seen = set()
    for op_name in ([op.name for ops in spec.ON_GPU.values() for op in ops] if precision == "float32" else PRODUCTS)[part::parts]:
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
