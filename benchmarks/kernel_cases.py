"""The shapes at which kernels are timed: layers of the networks that this package is for. Arguments are made from the specs.

Shapes stand here and not in the package, since asv runs today's benchmarks on the code of older commits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels import spec

LINEAR = {
    "mlp-128x784x128": {"n": 128, "k": 784, "m": 128},
    "256x784x128": {"n": 256, "k": 784, "m": 128},
    "mnist-128x9216x128": {"n": 128, "k": 9216, "m": 128},
    "mlp-128x128x64": {"n": 128, "k": 128, "m": 64},
    "mlp-128x64x10": {"n": 128, "k": 64, "m": 10},
    "one-row-784x128": {"n": 1, "k": 784, "m": 128},
    "one-row-64x10": {"n": 1, "k": 64, "m": 10},
}


def _conv(n: int, size: int, c: int, filters: int, k: int, same: bool = False, groups: int = 1) -> dict[str, int]:
    out = size if same else size - k + 1
    return {"n": n, "ih": size, "iw": size, "c": c, "cg": c // groups, "kh": k, "kw": k, "co": filters, "oh": out, "ow": out,
            "groups": groups, "pad_top": (k - 1) // 2 * same, "pad_left": (k - 1) // 2 * same}  # fmt: skip


CONV = {
    "mnist-1-32": _conv(128, 28, 1, 32, 3),
    "mnist-32-64": _conv(128, 26, 32, 64, 3),
    "lenet-1-6": _conv(128, 28, 1, 6, 5, same=True),
    "lenet-6-16": _conv(128, 14, 6, 16, 5),
    "lenet-one-1-6": _conv(1, 28, 1, 6, 5, same=True),
    "lenet-one-6-16": _conv(1, 14, 6, 16, 5),
    "cats-3-40": _conv(8, 256, 3, 40, 3, same=True),
    "cats-40-72": _conv(8, 128, 40, 72, 3, same=True),
    "cats-144-220": _conv(8, 32, 144, 220, 3, same=True),
    "digits-1-16": _conv(1, 8, 1, 16, 3, same=True),
    "digits-32-1-16": _conv(32, 8, 1, 16, 3, same=True),
    "deep-256-256": _conv(64, 4, 256, 256, 3, same=True),  # fewer tiles than filters
    "depthwise-32": _conv(32, 28, 32, 32, 3, same=True, groups=32),
    "5x5-32-64": _conv(128, 14, 32, 64, 5, same=True),
    "direct-32-64": _conv(128, 26, 32, 64, 7),  # MNIST's second layer with filters that Winograd's algorithm is not used for
}
POOL = {"mnist-24x24x64": {"n": 128, "ih": 24, "iw": 24, "oh": 12, "ow": 12, "c": 64}}
COLUMNS = {"mnist-26x26x32": {"n": 16, "p": 1, "ih": 26, "iw": 26, "c": 32, "kh": 3, "kw": 3, "oh": 24, "ow": 24},
           "mnist-32x26x26": {"n": 16, "p": 32, "ih": 26, "iw": 26, "c": 1, "kh": 3, "kw": 3, "oh": 24, "ow": 24}}  # fmt: skip
#: family -> case -> extents and the parameters that are not 1 (or 0.5, of floats)
CASES: dict[str, dict[str, dict[str, int]]] = {
    "linear": LINEAR,
    "conv": CONV,
    "pool": POOL,
    "norm": {"86528x32": {"m": 86528, "c": 32, "size": 86528 * 32}},
    "activation": {"1M": {"size": 1 << 20, "m": 1 << 16, "c": 16}},
    "loss": {"128x10": {"m": 128, "c": 10, "size": 1280}},
    "metric": {"128x10": {"m": 128, "c": 10}},
    "optim": {"1.2M": {"size": 1_200_000}},
    "data": {"60000x784": {"r": 60000, "s": 784, "n": 128, "c": 64, "size": 1 << 20}},
    "augment": {"32x128x128x3": {"n": 32, "ih": 128, "iw": 128, "oh": 128, "ow": 128, "c": 3, "k": 7}},
    "step": {"60000": {"t": 60000, "s": 1024, "n": 128, "r": 60000, "k": 2, "e": 64}},
}
DEFAULTS = {"pool_h": 2, "pool_w": 2, "activation": 0, "pad_top": 0, "pad_left": 0}
POOL_STRIDE = {"stride_h": 2, "stride_w": 2}


def names() -> list[str]:
    """Return "op/case" of everything that is timed: all but the ops that call a function of the user's."""
    return [
        f"{op.name}/{case}"
        for family, ops in spec.FAMILIES.items()
        for op in ops
        if "function" not in op.argument_names
        for case in _cases_of(op.name, family)
    ]


def _cases_of(op_name: str, family: str) -> dict[str, dict[str, int]]:
    return COLUMNS if op_name in ("im2col", "col2im") else CASES[family]


class KernelCase:
    """One op at one shape: its arguments, and what a call costs.

    Parameters
    ----------
    name : str
        "op/case", see `names`.
    dtype : str
        "float32" or "float64".
    """

    def __init__(self, name: str, dtype: str = "float32") -> None:
        op_name, case = name.split("/", 1)
        self.op = spec.OPS[op_name]
        self.family = spec.FAMILY_OF[op_name]
        self._values = _cases_of(op_name, self.family)[case]
        self._rng = np.random.default_rng(0)
        self._dtype = dtype
        arrays = {array.name: self._array(array) for array in self.op.arrays}
        parameters = {p.name: self._parameter(p) for p in self.op.params}
        self.arguments = [{**arrays, **parameters}[argument] for argument in self.op.argument_names]
        self.bytes = sum(arrays[a.name].nbytes * (2 if a.role == "inout" else 1) for a in self.op.arrays)
        if op_name.startswith("gather"):  # rows that are not taken are not read
            self.bytes = 2 * arrays["y"].nbytes
        self.flops = self.op.flops(self._values) if self.op.flops else 0

    def _array(self, array: spec.Array) -> np.ndarray:
        shape = tuple(int(axis) if axis.isdigit() else self._values[axis] for axis in array.axis_names)
        if array.kind == "real":
            # small numbers: optimizers and products repeat on the same arrays
            return (self._rng.random(shape) * 0.1 + 0.01).astype(self._dtype)
        if array.kind in ("float64", "uint64"):
            return np.ones(shape, array.kind)
        stop = {"label": "c", "index": "r", "order": "t"}.get(array.name)
        high = (
            self._values[stop] if stop else 255 if array.kind == "uint8" else self._values.get("ih", 1) * self._values.get("iw", 1)
        )
        return self._rng.integers(0, high, shape).astype(array.kind)

    def _parameter(self, param: spec.Param) -> Any:
        if param.name in self._values:
            return self._values[param.name]
        if self.family == "pool" and param.name in POOL_STRIDE:
            return POOL_STRIDE[param.name]
        return DEFAULTS.get(param.name, 1 if param.kind == "int" else 0.5)
