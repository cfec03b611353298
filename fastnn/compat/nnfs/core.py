"""`init`: NumPy as the book's scripts want it."""

from __future__ import annotations

from typing import Any

import numpy as np

# taken at import, so that a second `init` does not wrap the functions of the first
_zeros, _eye, _dot, _randn = np.zeros, np.eye, np.dot, np.random.randn


def init(dot_precision_workaround: bool = True, default_dtype: str | None = "float32", random_seed: int | None = 0) -> None:
    """Make results repeat those of the book: NumPy's defaults become float32, and its legacy generator is seeded.

    NumPy itself is changed, for the whole process, as the package `nnfs` does it: ``np.zeros``, ``np.eye`` and ``np.random.randn``.
    The classes here do not depend on it, apart from the dtype of new weights.

    Parameters
    ----------
    dot_precision_workaround : bool, default True
        Whether ``np.dot`` is to compute in float64 and round the result to float32.
    default_dtype : str or None, default "float32"
        The dtype of arrays made without one; None leaves NumPy's.
    random_seed : int or None, default 0
        Seed of ``np.random``; None leaves it alone.
    """
    if default_dtype:
        dtype = np.dtype(default_dtype)

        def zeros(shape: Any, *args: Any, **kwargs: Any):
            return _zeros(shape, *args, **(kwargs if args else {"dtype": dtype, **kwargs}))

        def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = dtype, **kwargs: Any):
            return _eye(N, M, k, dtype, **kwargs)

        def randn(*shape: int):
            return np.asarray(_randn(*shape), dtype=dtype)[()]

        np.zeros, np.eye, np.random.randn = zeros, eye, randn  # type: ignore[assignment,misc]

    if dot_precision_workaround:

        def dot(a: Any, b: Any, out: Any = None):
            product = _dot(np.asarray(a, "float64"), np.asarray(b, "float64"))
            if out is None:
                return product.astype("float32")
            out[...] = product
            return out

        np.dot = dot  # type: ignore[assignment]
    elif default_dtype:
        np.dot = lambda *args, **kwargs: _dot(*args, **kwargs).astype(dtype)  # type: ignore[assignment]

    if random_seed is not None:
        np.random.seed(random_seed)
