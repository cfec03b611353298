"""Initial weights. Each initializer is called with a shape and a dtype and returns an array.

A layer's fan-in and fan-out are the numbers of inputs that one output sums and of outputs that one input reaches::

    dense (inputs, units)                           fan_in = inputs              fan_out = units
    conv  (kernel rows, kernel columns, in, out)    fan_in = rows * columns * in fan_out = rows * columns * out

With `seed`, an initializer returns the same numbers each time it is called; without, it draws from the process's
generator (`fastnn.set_seed`). Numbers are drawn in float64 and rounded, so both float types get the same weights.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import random

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "compute_fans",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

#: standard deviation of the standard normal distribution cut off at -2 and 2
TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base of all initializers: subclasses have ``__call__(shape, dtype)`` and `get_config`."""

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        """Return an array of initial values."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype)")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initializer again."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Make the initializer that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Constant(Initializer):
    """The same value everywhere, or the values of an array that broadcasts to the shape.

    Parameters
    ----------
    value : float or array_like, default 0.0
        The value.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        return np.broadcast_to(np.asarray(self.value, dtype=dtype), tuple(shape)).copy()

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value if isinstance(self.value, (int, float)) else np.asarray(self.value).tolist()}


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        return np.zeros(tuple(shape), dtype=dtype)


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        return np.ones(tuple(shape), dtype=dtype)


class RandomNormal(Initializer):
    """The normal distribution.

    Parameters
    ----------
    mean, stddev : float, default 0.0 and 0.05
        Its mean and standard deviation.
    seed : int, optional
        For the same numbers each time.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        drawn = random.resolve(self.seed).standard_normal(tuple(shape), dtype=np.float64)
        return (self.mean + self.stddev * drawn).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """The normal distribution with everything further than two standard deviations from the mean drawn again.

    The standard deviation of what remains is 0.8796 times `stddev`.

    Parameters
    ----------
    mean, stddev : float, default 0.0 and 0.05
        Mean and standard deviation of the distribution before it is cut off.
    seed : int, optional
        For the same numbers each time.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        drawn = _truncated_standard_normal(random.resolve(self.seed), tuple(shape))
        return (self.mean + self.stddev * drawn).astype(dtype)


class RandomUniform(Initializer):
    """The uniform distribution.

    Parameters
    ----------
    minval, maxval : float, default -0.05 and 0.05
        Its bounds.
    seed : int, optional
        For the same numbers each time.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        return random.resolve(self.seed).uniform(self.minval, self.maxval, tuple(shape)).astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class VarianceScaling(Initializer):
    """A variance of ``scale / n``, where n is the layer's fan-in, its fan-out, or the mean of both.

    Parameters
    ----------
    scale : float, default 1.0
        Positive.
    mode : {"fan_in", "fan_out", "fan_avg"}, default "fan_in"
        What n is.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}, default "truncated_normal"
        Uniform means the bounds ``-sqrt(3 * scale / n)`` and ``sqrt(3 * scale / n)``. A truncated normal distribution is widened
        so that its variance is ``scale / n`` after truncation.
    seed : int, optional
        For the same numbers each time.
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None
    ) -> None:
        if not scale > 0:
            raise ValueError(f"scale must be positive; got {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode must be 'fan_in', 'fan_out' or 'fan_avg'; got {mode!r}")
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(f"distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform'; got {distribution!r}")
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def __call__(self, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        shape = tuple(shape)
        fan_in, fan_out = compute_fans(shape)
        n = max(1.0, {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode])
        stddev = math.sqrt(self.scale / n)
        generator = random.resolve(self.seed)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            drawn = generator.uniform(-limit, limit, shape)
        elif self.distribution == "truncated_normal":
            drawn = stddev / TRUNCATED_STDDEV * _truncated_standard_normal(generator, shape)
        else:
            drawn = stddev * generator.standard_normal(shape, dtype=np.float64)
        return drawn.astype(dtype)

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` that has a name of its own and only the argument `seed`."""

    arguments: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.arguments, seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


class GlorotUniform(_NamedScaling):
    """Uniform in [-limit, limit], ``limit = sqrt(6 / (fan_in + fan_out))``: Glorot & Bengio 2010, eq. 16."""

    arguments = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal, standard deviation ``sqrt(2 / (fan_in + fan_out))``: Glorot & Bengio 2010, eq. 12."""

    arguments = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform in [-limit, limit], ``limit = sqrt(6 / fan_in)``: He et al. 2015, eq. 10."""

    arguments = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal, standard deviation ``sqrt(2 / fan_in)``: He et al. 2015, eq. 10."""

    arguments = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform in [-limit, limit], ``limit = sqrt(3 / fan_in)``: LeCun et al. 1998, "Efficient BackProp", eq. 16."""

    arguments = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal, standard deviation ``sqrt(1 / fan_in)``: LeCun et al. 1998, "Efficient BackProp", eq. 16."""

    arguments = (1.0, "fan_in", "truncated_normal")


def compute_fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return fan-in and fan-out of weights of a shape.

    Parameters
    ----------
    shape : sequence of int
        (inputs, units), or (..., in, out) where the axes before the last two are the kernel's. Of a vector, both are its length.

    Examples
    --------
    >>> from fastnn.initializers import compute_fans
    >>> compute_fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        extent = shape[0] if shape else 1
        return extent, extent
    receptive_field = math.prod(shape[:-2])
    return receptive_field * shape[-2], receptive_field * shape[-1]


def _truncated_standard_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    drawn = generator.standard_normal(shape, dtype=np.float64)
    while (outside := np.abs(drawn) > 2).any():
        drawn[outside] = generator.standard_normal(int(outside.sum()), dtype=np.float64)
    return drawn


_CLASSES: dict[str, type[Initializer]] = {
    cls.__name__: cls
    for cls in (
        Constant,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Ones,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        Zeros,
    )
}
_BY_NAME = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): cls for name, cls in _CLASSES.items()}


def get(identifier: Any) -> Callable[..., np.ndarray]:
    """Return an initializer.

    Parameters
    ----------
    identifier : str, dict, class or callable
        A name ("glorot_uniform" or "GlorotUniform"), what `serialize` returned, or something to be called with ``(shape, dtype=)``.

    Raises
    ------
    ValueError, TypeError
        If there is no such initializer.
    """
    if isinstance(identifier, str):
        cls = _BY_NAME.get(identifier) or _CLASSES.get(identifier)
        if cls is None:
            raise ValueError(f"initializer must be one of {', '.join(map(repr, _BY_NAME))}; got {identifier!r}")
        return cls()
    if isinstance(identifier, dict):
        name = identifier.get("class_name")
        if name not in _CLASSES:
            raise ValueError(f"initializer's class_name must be one of {', '.join(map(repr, _CLASSES))}; got {name!r}")
        return _CLASSES[name].from_config(identifier.get("config", {}))
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    raise TypeError(f"initializer must be a name, an Initializer or a function of (shape, dtype); got {identifier!r}")


def serialize(initializer: Any) -> Any:
    """Return ``{"class_name": ..., "config": ...}`` for one of this module's initializers; anything else as it is."""
    if type(initializer) in _CLASSES.values():
        return {"class_name": type(initializer).__name__, "config": initializer.get_config()}
    return initializer


#: Keras's names of the same classes in lower case
constant, zeros, ones = Constant, Zeros, Ones
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, glorot_uniform = GlorotNormal, GlorotUniform
he_normal, he_uniform, lecun_normal, lecun_uniform = HeNormal, HeUniform, LecunNormal, LecunUniform
variance_scaling = VarianceScaling
