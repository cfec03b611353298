"""Functions of numbers that LLVM vectorizes: formulas on `Real`s, without branches, computed in the float type of their argument.

The elementary ones are those of custom/elementary.py.
"""

import inspect
from collections.abc import Callable

from numba.extending import intrinsic

from ..custom import elementary
from ..custom.number import Real


def of_reals(formula: Callable[..., Real]) -> Callable:
    """Return a formula of a number, or of a number and a parameter, which takes its type, as a function that kernels call."""

    def codegen(context, builder, signature, args):
        reals = [context.cast(builder, *pair, signature.return_type) for pair in zip(args, signature.args, strict=True)]
        return formula(*(Real(builder, value) for value in reals)).value

    @intrinsic
    def of_one(typing_context, x):
        return x(x), codegen

    @intrinsic
    def of_two(typing_context, x, parameter):
        return x(x, parameter), codegen

    return of_one if len(inspect.signature(formula).parameters) == 1 else of_two


exp, log = of_reals(elementary.exp), of_reals(elementary.log)
