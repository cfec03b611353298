"""What each op is. The backends, the tests, the benchmarks and the tables in the docs all start from here."""

import hashlib

from . import (
    activation,
    augment,
    conv,
    data,
    descent,
    gradients,
    halves,
    linear,
    loss,
    metric,
    norm,
    optim,
    pool,
    recomputed,
    rewritten,
    step,
)
from .op import Array, Op, Param

#: family (the file name in every backend's folder) -> its ops
FAMILIES = {
    "linear": linear.OPS,
    "conv": conv.OPS,
    "pool": pool.OPS,
    "norm": norm.OPS,
    "activation": activation.OPS,
    "loss": loss.OPS,
    "optim": optim.OPS,
    "metric": metric.OPS,
    "data": data.OPS,
    "augment": augment.OPS,
    "step": step.OPS,
}
#: families that a backend may lack
OPTIONAL = {
    "rewritten": rewritten.OPS,
    "recomputed": recomputed.OPS,
    "gradients": gradients.OPS,
    "descent": descent.OPS,
    "halves": halves.OPS,
}
#: the modules of the compiled backend and their ops; both gradients of a convolution are made of the same parts as each by itself
COMPILED = FAMILIES | {family: OPTIONAL[family] for family in ("rewritten", "descent", "halves")}
COMPILED["conv"] += OPTIONAL["gradients"]
#: the families of the backend for GPUs
ON_GPU = FAMILIES | {family: OPTIONAL[family] for family in ("rewritten", "recomputed")}
#: op name -> family
FAMILY_OF = {op.name: family for family, ops in (FAMILIES | OPTIONAL).items() for op in ops}
#: op name -> op
OPS = {op.name: op for ops in (FAMILIES | OPTIONAL).values() for op in ops}


def contract(module: str) -> str:
    """Return a digest of what the kernels of a compiled module take: code compiled for another one would read what is not there."""
    taken = [(op.name, op.arrays, op.params) for op in COMPILED[module]]
    return hashlib.sha256(repr(taken).encode()).hexdigest()[:16]


__all__ = ["COMPILED", "FAMILIES", "FAMILY_OF", "ON_GPU", "OPS", "OPTIONAL", "Array", "Op", "Param", "contract"]
