"""Dense layers with many inputs, on a batch that is kept in halves: the first k // 2 columns of all samples, then the others.

Each of two threads gathers, multiplies and sums one half. Where a sample's columns lie side by side, a core that reads one half
fetches the beginning of the other ahead, and the core that writes there next has to wait for it. `fastnn/rewrites.py` puts these
ops in the place of those that they are named after, on backends that have them.
"""

from dataclasses import replace

from . import data, descent, linear
from .op import Array, Op, reals

_PLAIN = {op.name: op for op in (*data.OPS, *linear.OPS, *descent.OPS)}


def _in_halves(name: str, *more: Array) -> Op:
    """Return the op that does the same with a batch in halves; `more` outputs follow its own."""
    op = _PLAIN[name]
    return replace(op, name=f"{name}__halves", summary=f"{op.summary}, batch in halves", outputs=(*op.outputs, *more))


OPS = (
    _in_halves("gather"),
    _in_halves("gather_uint8"),
    # second: the sums of the second halves
    _in_halves("dense_forward", *reals(("second", "n m"), role="out")),
    _in_halves("dense_backward_weight"),
    _in_halves("dense_descent"),
)
