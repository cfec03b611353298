"""CS231n's ``cs231n.optim``: update rules ``rule(w, dw, config) -> (next_w, config)``.

`sgd` updates w itself; the others leave w and the arrays in the configuration as they are and return new ones.
"""

import numpy as np

from ... import kernels as _kernels
from ...kernels.table import attempt as _attempt
from .. import steps as _steps
from ..as_numpy import in_place as _in_place
from ..as_numpy import promoted as _promoted
from ..as_numpy import require as _require


def sgd(w, dw, config=None):
    """Update ``w -= learning_rate * dw`` in place.

    Parameters
    ----------
    w : ndarray of float
    dw : array_like
        The gradient, of the shape of `w`.
    config : dict, optional
        ``"learning_rate"``, default 1e-2.

    Returns
    -------
    w : ndarray
        The same array.
    config : dict
        The same dictionary, with what was missing in it.
    """
    config = _with_defaults(config, learning_rate=1e-2)
    if _attempt("sgd_step", (dw, config["learning_rate"]), (), (w,)) is not None:
        return w, config
    with _in_place(w=w) as (work,):
        _require(np.shape(dw) == work.shape, "dw must have the shape of w", dw=np.shape(dw), w=work.shape)
        _kernels.sgd_step(work, dw, config["learning_rate"])
    return w, config


def sgd_momentum(w, dw, config=None):
    """Return ``next_w = w + v`` with ``v = momentum * v - learning_rate * dw``.

    Parameters
    ----------
    w, dw : array_like
    config : dict, optional
        ``"learning_rate"`` (default 1e-2), ``"momentum"`` (0.9), ``"velocity"`` (zeros).

    Returns
    -------
    next_w : ndarray
    config : dict
        The same dictionary, with the new velocity.
    """
    config = _with_defaults(config, learning_rate=1e-2, momentum=0.9)
    (next_w, dw, v), dtype = _fresh(w, dw, velocity=config.get("velocity"))
    _kernels.momentum_step(next_w, dw, v, config["learning_rate"], config["momentum"])
    config["velocity"] = v.astype(dtype, copy=False)
    return next_w.astype(dtype, copy=False), config


def rmsprop(w, dw, config=None):
    """Return ``next_w = w - learning_rate * dw / (sqrt(cache) + epsilon)`` with the moving average ``cache`` of ``dw**2``.

    Parameters
    ----------
    w, dw : array_like
    config : dict, optional
        ``"learning_rate"`` (default 1e-2), ``"decay_rate"`` (0.99), ``"epsilon"`` (1e-8), ``"cache"`` (zeros).

    Returns
    -------
    next_w : ndarray
    config : dict
        The same dictionary, with the new cache.
    """
    config = _with_defaults(config, learning_rate=1e-2, decay_rate=0.99, epsilon=1e-8)
    (next_w, dw, cache), dtype = _fresh(w, dw, cache=config.get("cache"))
    _steps.rmsprop(next_w, dw, cache, config["learning_rate"], config["decay_rate"], config["epsilon"])
    config["cache"] = cache.astype(dtype, copy=False)
    return next_w.astype(dtype, copy=False), config


def adam(w, dw, config=None):
    """Return ``next_w = w - learning_rate * mt / (sqrt(vt) + epsilon)``, with bias-corrected averages of ``dw`` and ``dw**2``.

    Parameters
    ----------
    w, dw : array_like
    config : dict, optional
        ``"learning_rate"`` (default 1e-3), ``"beta1"`` (0.9), ``"beta2"`` (0.999), ``"epsilon"`` (1e-8), ``"m"``, ``"v"`` (zeros),
        ``"t"`` (0), the number of steps so far.

    Returns
    -------
    next_w : ndarray
    config : dict
        The same dictionary, with the new averages and ``t + 1``.
    """
    config = _with_defaults(config, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, t=0)
    (next_w, dw, m, v), dtype = _fresh(w, dw, m=config.get("m"), v=config.get("v"))
    config["t"] += 1
    _steps.adam(next_w, dw, m, v, config["learning_rate"], config["t"], config["beta1"], config["beta2"], config["epsilon"])
    config["m"], config["v"] = m.astype(dtype, copy=False), v.astype(dtype, copy=False)
    return next_w.astype(dtype, copy=False), config


def _with_defaults(config, **defaults):
    config = {} if config is None else config
    for key, value in defaults.items():
        config.setdefault(key, value)
    return config


def _fresh(w, dw, **state):
    """Return [next_w, dw, *state] as arrays of one float type, all but dw new (zeros for a state of None), and NumPy's dtype."""
    given = {"w": w, "dw": dw, **{name: array for name, array in state.items() if array is not None}}
    arrays, dtype = _promoted(floating=True, **given)
    shapes = {name: array.shape for name, array in zip(given, arrays, strict=True)}
    _require(len(set(shapes.values())) == 1, "w, dw and their averages must have one shape", **shapes)
    found = dict(zip(given, arrays, strict=True))
    states = [found[name].copy() if name in found else np.zeros(found["w"].shape, dtype=found["w"].dtype) for name in state]
    return [found["w"].copy(), found["dw"], *states], dtype
