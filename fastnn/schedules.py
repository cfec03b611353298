"""Learning rates that change with the step, known to users as ``fastnn.optimizers.schedules``; Keras's names and formulas."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from .kernels.functions.checks import number

__all__ = [
    "CosineDecay",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


class LearningRateSchedule:
    """A learning rate for each step: subclasses define ``__call__(step) -> float``, steps counted from 0.

    ``get_config`` returns what the constructor was given, for classes that keep their arguments under the same names.
    """

    def __call__(self, step: int) -> float:
        """Return the learning rate of a step."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, step)")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LearningRateSchedule:
        """Return a schedule made from what `get_config` returned."""
        return cls(**config)


class _DecayInPeriods(LearningRateSchedule):
    """A rate that falls with the time in units of `decay_steps`, in whole ones if `staircase`."""

    def __init__(self, initial_learning_rate: float, decay_steps: int, decay_rate: float, staircase: bool = False) -> None:
        self.initial_learning_rate = _not_negative("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.decay_rate = _not_negative("decay_rate", decay_rate)
        self.staircase = staircase

    def _periods(self, step: int) -> float:
        periods = step / self.decay_steps
        return math.floor(periods) if self.staircase else periods


class ExponentialDecay(_DecayInPeriods):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of step 0.
    decay_steps : int
        Steps in which the rate is multiplied by `decay_rate` once.
    decay_rate : float
        The factor.
    staircase : bool, default False
        Whether the exponent is rounded down, so that the rate falls once every `decay_steps`.
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate * self.decay_rate ** self._periods(step)


class InverseTimeDecay(_DecayInPeriods):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of step 0.
    decay_steps : int
        The unit of time, in steps.
    decay_rate : float
        How much the divisor grows in that time.
    staircase : bool, default False
        Whether time is rounded down to whole units.
    """

    def __call__(self, step: int) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * self._periods(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]`` up to ``boundaries[1]``, and so on.

    Parameters
    ----------
    boundaries : sequence of int
        The last step of each value but the last one, increasing.
    values : sequence of float
        The rates, one more than boundaries.
    """

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        self.boundaries = [number(f"boundaries[{i}]", boundary) for i, boundary in enumerate(boundaries)]
        self.values = [_not_negative(f"values[{i}]", value) for i, value in enumerate(values)]
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                "values must have one element more than boundaries; "
                f"got {len(self.values)} values and {len(self.boundaries)} boundaries"
            )
        if self.boundaries != sorted(self.boundaries):
            raise ValueError(f"boundaries must increase; got {self.boundaries}")

    def __call__(self, step: int) -> float:
        return self.values[sum(step > boundary for boundary in self.boundaries)]


class PolynomialDecay(LearningRateSchedule):
    """``(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate``.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of step 0.
    decay_steps : int
        The step from which the rate is `end_learning_rate`.
    end_learning_rate : float, default 0.0001
        The last rate.
    power : float, default 1.0
        1 is a straight line.
    cycle : bool, default False
        Whether the rate jumps up again after `decay_steps`, to a decay that ends at the next multiple of `decay_steps`.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        self.initial_learning_rate = _not_negative("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.end_learning_rate = _not_negative("end_learning_rate", end_learning_rate)
        self.power = _not_negative("power", power)
        self.cycle = cycle

    def __call__(self, step: int) -> float:
        if self.cycle:
            end = self.decay_steps * max(1, math.ceil(step / self.decay_steps))
        else:
            end = self.decay_steps
        left = 1 - min(step, end) / end
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave from the initial rate down to ``alpha`` times it, after an optional linear warm-up.

    Parameters
    ----------
    initial_learning_rate : float
        The rate of step 0.
    decay_steps : int
        Length of the decay, warm-up not counted.
    alpha : float, default 0.0
        The last rate as a fraction of the rate the decay starts from.
    warmup_target : float, optional
        The rate that the warm-up rises to, and the decay starts from; None for no warm-up.
    warmup_steps : int, default 0
        Length of the warm-up.

    References
    ----------
    Loshchilov & Hutter 2017, "SGDR: Stochastic gradient descent with warm restarts", without restarts.

    Examples
    --------
    Up to 0.01 in 100 steps, then down to 0 in 900:

    >>> from fastnn import optimizers
    >>> from fastnn.optimizers.schedules import CosineDecay
    >>> rate = CosineDecay(0.001, 900, warmup_target=0.01, warmup_steps=100)
    >>> [round(rate(step), 4) for step in (0, 50, 100, 550, 1000)]
    [0.001, 0.0055, 0.01, 0.005, 0.0]
    >>> optimizer = optimizers.Adam(rate)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = _not_negative("initial_learning_rate", initial_learning_rate)
        self.decay_steps = _positive("decay_steps", decay_steps)
        self.alpha = _not_negative("alpha", alpha)
        self.warmup_target = None if warmup_target is None else _not_negative("warmup_target", warmup_target)
        self.warmup_steps = _not_negative("warmup_steps", warmup_steps)

    def __call__(self, step: int) -> float:
        start, decayed = self.initial_learning_rate, float(step)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return start + (self.warmup_target - start) * step / self.warmup_steps
            start, decayed = self.warmup_target, step - self.warmup_steps
        done = min(decayed, self.decay_steps) / self.decay_steps
        return start * ((1 - self.alpha) * 0.5 * (1 + math.cos(math.pi * done)) + self.alpha)


SCHEDULES: dict[str, type[LearningRateSchedule]] = {
    schedule.__name__: schedule
    for schedule in (ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay, CosineDecay)
}


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """Return the class name and the configuration of a schedule."""
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}


def deserialize(config: Mapping[str, Any]) -> LearningRateSchedule:
    """Return the schedule that `serialize` described.

    Raises
    ------
    ValueError
        If there is no schedule of that name, or its arguments are not those of the class.
    """
    name = config.get("class_name")
    if name not in SCHEDULES:
        raise ValueError(f"a schedule's class_name must be one of {', '.join(SCHEDULES)}; got {name!r}")
    if not isinstance(config.get("config"), Mapping):
        raise ValueError(f"a schedule's configuration must have 'class_name' and 'config'; got {config!r}")
    try:
        return SCHEDULES[name].from_config(config["config"])
    except TypeError as error:
        raise ValueError(f"the configuration of a {name} does not fit: {error}") from error


def _not_negative(name: str, value: float) -> float:
    return number(name, value, low=0, below=math.inf)


def _positive(name: str, value: float) -> float:
    if not _not_negative(name, value) > 0:
        raise ValueError(f"{name} must be positive; got {value!r}")
    return float(value)
