"""What each op is. The backends, the tests, the benchmarks and the tables in the docs all start from here."""

from . import activation, augment, conv, data, descent, linear, loss, metric, norm, optim, pool, rewritten, step
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
OPTIONAL = {"rewritten": rewritten.OPS, "descent": descent.OPS}
#: the families of the compiled backend
COMPILED = FAMILIES | {"descent": descent.OPS}
#: op name -> family
FAMILY_OF = {op.name: family for family, ops in (FAMILIES | OPTIONAL).items() for op in ops}
#: op name -> op
OPS = {op.name: op for ops in (FAMILIES | OPTIONAL).values() for op in ops}

__all__ = ["COMPILED", "FAMILIES", "FAMILY_OF", "OPS", "OPTIONAL", "Array", "Op", "Param"]
