"""Optimizers: Keras's names, arguments and defaults around the step kernels of `fastnn.kernels`."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from . import memory, schedules
from .arguments import argument_names, described, refuse
from .autodiff import Tensor, Variable
from .kernels import table
from .kernels.functions.checks import number
from .registry import Registry

__all__ = [
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "SGD",
    "get",
    "schedules",
    "serialize",
]

# `from fastnn.optimizers.schedules import CosineDecay` works as in Keras, in the way os makes os.path importable
sys.modules[f"{__name__}.schedules"] = schedules


class Optimizer:
    """Updates variables from gradients; the base of all optimizers.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule
        The step size, or the step size of each step.
    clipnorm : float, optional
        Scale each variable's gradient down to at most this Euclidean norm.
    clipvalue : float, optional
        Limit each element of each gradient to [-clipvalue, clipvalue].
    global_clipnorm : float, optional
        Scale all gradients down by one factor to at most this Euclidean norm of all of them together.
    name : str, optional
        A name of one's own.

    Raises
    ------
    TypeError
        If there are other arguments, which subclasses pass on with those above: the message lists what there is.

    Attributes
    ----------
    step, lr : ndarray of one float64
        Number of updates done, and the learning rate of the update at hand, where the kernels read them.

    Notes
    -----
    A subclass states the kernel's name, the arrays that it keeps for each variable and the kernel's parameters. One that
    overrides `update` needs no kernel.
    """

    #: the op that updates one variable: ``kernel(g, lr[, step], *kernel_params(), w, *slots)``
    kernel: str
    #: names of the arrays kept for each variable, in the kernel's order
    slots: tuple[str, ...] = ()
    #: value that the slots start with
    initial_slot_value: float = 0.0
    #: whether the kernel reads the step's number
    counts_steps: ClassVar[bool] = False

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            refuse(type(self), unknown, self._argument_names())
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {k: v for k, v in limits.items() if v is not None}
        if len(given) > 1:
            raise ValueError(f"only one of clipnorm, clipvalue and global_clipnorm can be set; got {given}")
        for limit, value in given.items():
            if not number(limit, value) > 0:
                raise ValueError(f"{limit} must be positive; got {value!r}")
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.name = name or type(self).__name__.lower()
        self.step = np.zeros(1, dtype=np.float64)
        self.lr = np.zeros(1, dtype=np.float64)
        self.schedule: schedules.LearningRateSchedule | None = None
        self.learning_rate = learning_rate
        # the variable stands beside its state so that its id is not given to another one
        self._state: dict[int, tuple[Variable, dict[str, np.ndarray]]] = {}

    @classmethod
    def _argument_names(cls) -> list[str]:
        return argument_names(cls)

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        """Take over attributes, of a deep copy or from a pickle, whose variables have ids of their own."""
        self.__dict__.update(attributes)
        self.step, self.lr = memory.copy_of(self.step), memory.copy_of(self.lr)
        self._state = {
            id(variable): (variable, {name: memory.copy_of(slot) for name, slot in slots.items()})
            for variable, slots in self._state.values()
        }

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next update; set to a float or a schedule (either replaces what was there)."""
        return self.schedule(self.iterations) if self.schedule is not None else float(self.lr[0])

    @learning_rate.setter
    def learning_rate(self, value: float | schedules.LearningRateSchedule) -> None:
        if isinstance(value, schedules.LearningRateSchedule):
            self.schedule = value
        else:
            rate = _learning_rate(value)
            self.schedule = None
            self.lr[0] = rate

    @property
    def iterations(self) -> int:
        """Number of updates done."""
        return int(self.step[0])

    @property
    def variables_with_state(self) -> list[Variable]:
        """The variables that this optimizer has state for, in the order in which `get_state` numbers them."""
        return [variable for variable, _ in self._state.values()]

    def update_learning_rate(self) -> None:
        """Evaluate the schedule for the next update; what replays a recorded step calls this before each replay."""
        if self.schedule is not None:
            self.lr[0] = self.schedule(self.iterations)

    def next_learning_rates(self, count: int) -> np.ndarray:
        """Return the learning rates of the next updates."""
        if self.schedule is None:
            return np.full(count, self.lr[0], dtype=np.float64)
        return np.array([self.schedule(self.iterations + i) for i in range(count)], dtype=np.float64)

    def build(self, variables: Iterable[Variable]) -> None:
        """Create the state of variables that have none yet."""
        for variable in variables:
            self._state_of(variable)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> None:
        """Update variables: takes pairs of gradient and variable, as ``zip(gradients, variables)`` makes them."""
        pairs = list(grads_and_vars)
        for pair in pairs:
            parts = pair if isinstance(pair, (tuple, list)) else [pair]
            if len(parts) != 2 or not isinstance(parts[1], Variable):
                raise TypeError(
                    "grads_and_vars must be pairs of a gradient and a Variable, zip(gradients, variables); "
                    f"got ({', '.join(type(part).__name__ for part in parts)}) among them"
                )
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable]) -> None:
        """Update each variable from its gradient.

        Parameters
        ----------
        grads : sequence of Tensor, ndarray or None
            A gradient for each variable. Where it is None the variable stays, with a warning.
        trainable_variables : sequence of Variable
            The variables.

        Raises
        ------
        ValueError
            If the lengths or a gradient's shape do not fit, there are no variables, or all gradients are None.
        """
        if len(grads) != len(trainable_variables):
            raise ValueError(f"as many gradients as variables are needed; got {len(grads)} and {len(trainable_variables)}")
        if not trainable_variables:
            raise ValueError("there are no variables to train: the model has no weights, or all of its layers are frozen")
        without = [v.name for g, v in zip(grads, trainable_variables, strict=True) if g is None]
        if len(without) == len(grads):
            raise ValueError(
                f"no gradient given for any variable: {without}; what a tape is asked about must be computed of them by "
                "fastnn.ops, inside its `with` block"
            )
        if without:
            warnings.warn(f"no gradient for the variables {without}: they are not updated", stacklevel=2)
        pairs = [(_gradient_array(g, v), v) for g, v in zip(grads, trainable_variables, strict=True) if g is not None]
        self.update_learning_rate()
        table.call("increment", self.step)
        for gradient, (_, variable) in zip(self._clipped([g for g, _ in pairs]), pairs, strict=True):
            self.update(gradient, variable, self._state_of(variable))
            variable.version += 1

    def update(self, gradient: np.ndarray, variable: Variable, state: Mapping[str, np.ndarray]) -> None:
        """Do one variable's update; `state` has an array for each of the slots."""
        count = (self.step,) if self.counts_steps else ()
        arrays = (state[slot] for slot in self.slots)
        table.call(self.kernel, gradient, self.lr, *count, *self.kernel_params(), variable.data, *arrays)

    def kernel_params(self) -> tuple[float, ...]:
        """Return the kernel's parameters, in its order."""
        return ()

    def _state_of(self, variable: Variable) -> dict[str, np.ndarray]:
        if id(variable) not in self._state:
            slots = {slot: memory.empty(variable.shape, variable.dtype) for slot in self.slots}
            for array in slots.values():
                array.fill(self.initial_slot_value)
            self._state[id(variable)] = variable, slots
        return self._state[id(variable)][1]

    def _clipped(self, gradients: list[np.ndarray]) -> list[np.ndarray]:
        if self.clipvalue is not None:
            table.python_step("clip")
            return [np.asarray(np.clip(g, -self.clipvalue, self.clipvalue)) for g in gradients]
        if self.clipnorm is not None:
            table.python_step("clip")
            return [_scaled_to(self.clipnorm, _norm([g]), g) for g in gradients]
        if self.global_clipnorm is not None:
            table.python_step("clip")
            norm = _norm(gradients)
            return [_scaled_to(self.global_clipnorm, norm, g) for g in gradients]
        return gradients

    def get_state(self) -> dict[str, np.ndarray]:
        """Return copies of all that changes in training, by name; variables are numbered in the order of their first use."""
        state = {"step": self.step.copy(), "learning_rate": self.lr.copy()}
        for i, (_, slots) in enumerate(self._state.values()):
            state.update({f"{i}/{slot}": array.copy() for slot, array in slots.items()})
        return state

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `get_state` returned, exactly.

        Raises
        ------
        ValueError
            If names, shapes or dtypes are not those of this optimizer and its variables. An optimizer that has seen no
            variables yet must be told them first, by ``build(variables)``.
        """
        own = {"step": self.step, "learning_rate": self.lr}
        for i, (_, slots) in enumerate(self._state.values()):
            own.update({f"{i}/{slot}": array for slot, array in slots.items()})
        if set(state) != set(own):
            raise ValueError(
                f"the state of {type(self).__name__} does not fit (build(variables) tells it the variables): "
                f"missing {sorted(set(own) - set(state))}, unexpected {sorted(set(state) - set(own))}"
            )
        for name, array in own.items():
            if state[name].shape != array.shape or state[name].dtype != array.dtype:
                got = f"{state[name].dtype} of shape {state[name].shape}"
                raise ValueError(f"state {name!r} must be {array.dtype} of shape {array.shape}; got {got}")
        for name, array in own.items():
            array[...] = state[name]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON can hold them."""
        rate = schedules.serialize(self.schedule) if self.schedule is not None else self.learning_rate
        limits = {"clipnorm": self.clipnorm, "clipvalue": self.clipvalue, "global_clipnorm": self.global_clipnorm}
        return {"name": self.name, "learning_rate": rate, **limits}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Optimizer:
        """Return an optimizer made from what `get_config` returned."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), Mapping):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"])
        return cls(**config)


class SGD(Optimizer):
    """Gradient descent, plain or with momentum.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.01
        The step size.
    momentum : float, default 0.0
        Share of the last step that goes into this one, in [0, 1]: ``v = momentum * v - lr * g; w += v``.
    nesterov : bool, default False
        Whether the momentum is Nesterov's: ``w += momentum * v - lr * g`` with the same ``v``.
    **kwargs
        `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = _fraction("momentum", momentum, closed=True)
        self.nesterov = nesterov
        if self.momentum > 0:
            self.kernel, self.slots = ("nesterov_step" if nesterov else "momentum_step"), ("velocity",)
        elif nesterov:
            raise ValueError("nesterov=True needs a momentum above 0")
        else:
            self.kernel = "sgd_step"

    def kernel_params(self) -> tuple[float, ...]:
        return (self.momentum,) if self.momentum > 0 else ()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Adagrad(Optimizer):
    """Adagrad: ``a += g**2; w -= lr * g / sqrt(a + epsilon)`` (Duchi, Hazan & Singer 2011).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The step size.
    initial_accumulator_value : float, default 0.1
        Value that ``a`` starts with.
    epsilon : float, default 1e-07
        Keeps the divisor above 0.
    **kwargs
        `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, see `Optimizer`.
    """

    kernel = "adagrad_step"
    slots = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = _not_negative("initial_accumulator_value", initial_accumulator_value)
        self.initial_slot_value = self.initial_accumulator_value
        self.epsilon = _not_negative("epsilon", epsilon)

    def kernel_params(self) -> tuple[float, ...]:
        return (self.epsilon,)

    def get_config(self) -> dict[str, Any]:
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **own}


class RMSprop(Optimizer):
    """RMSprop: ``a = rho * a + (1 - rho) * g**2; w -= lr * g / sqrt(a + epsilon)`` (Tieleman & Hinton 2012).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The step size.
    rho : float, default 0.9
        Decay of the mean square, in [0, 1).
    epsilon : float, default 1e-07
        Keeps the divisor above 0.
    **kwargs
        `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, see `Optimizer`.
    """

    kernel = "rmsprop_step"
    slots = ("mean_square",)

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        rho: float = 0.9,
        *,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = _fraction("rho", rho)
        self.epsilon = _not_negative("epsilon", epsilon)

    def kernel_params(self) -> tuple[float, ...]:
        return (self.rho, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, the form at the end of section 2, as in Keras).

    With t the number of the update, counted from 1::

        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        w -= lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The step size.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the mean of gradients and of their squares, in [0, 1).
    epsilon : float, default 1e-07
        Keeps the divisor above 0.
    **kwargs
        `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, see `Optimizer`.
    """

    kernel = "adam_step"
    slots = ("m", "v")
    counts_steps = True

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = _fraction("beta_1", beta_1)
        self.beta_2 = _fraction("beta_2", beta_2)
        self.epsilon = _not_negative("epsilon", epsilon)

    def kernel_params(self) -> tuple[float, ...]:
        return (self.beta_1, self.beta_2, self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class AdamW(Adam):
    """Adam after ``w -= lr * weight_decay * w`` (Loshchilov & Hutter 2019).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        The step size.
    weight_decay : float, default 0.004
        Share of a weight that goes in each update, times the learning rate.
    beta_1, beta_2, epsilon
        As in `Adam`.
    **kwargs
        `clipnorm`, `clipvalue`, `global_clipnorm` and `name`, see `Optimizer`.
    """

    kernel = "adamw_step"

    def __init__(
        self,
        learning_rate: float | schedules.LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.weight_decay = _not_negative("weight_decay", weight_decay)

    def kernel_params(self) -> tuple[float, ...]:
        return (*super().kernel_params(), self.weight_decay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weight_decay": self.weight_decay}


OPTIMIZERS: dict[str, type[Optimizer]] = {o.__name__.lower(): o for o in (SGD, Adagrad, RMSprop, Adam, AdamW)}
REGISTRY: Registry[type[Optimizer]] = Registry(
    "optimizer", "fastnn.optimizer_step", OPTIMIZERS, lambda name: OPTIMIZERS.get(name.lower())
)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """Return the class name and the configuration of an optimizer."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


def get(identifier: str | Mapping[str, Any] | Optimizer) -> Optimizer:
    """Return an optimizer from itself, its name ("sgd", "adam", ...) or what `serialize` returned."""
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return _named(identifier.get("class_name")).from_config(identifier.get("config", {}))
    return _named(identifier)()  # type: ignore[call-arg]  # every named optimizer has a default learning rate


def _named(name: Any) -> type[Optimizer]:
    if not isinstance(name, str):
        advice = "; @fastnn.optimizer_step makes one of an update rule" if callable(name) and not isinstance(name, type) else ""
        raise TypeError(f"optimizer must be a name or an Optimizer; got {described(name)}{advice}")
    return REGISTRY.named(name)


def _gradient_array(gradient: Any, variable: Variable) -> np.ndarray:
    """Return the gradient as the kernels take it, itself where it is so already."""
    array = gradient.data if isinstance(gradient, Tensor) else np.asarray(gradient)
    weights = variable.data
    if array.shape != weights.shape:
        raise ValueError(f"the gradient of {variable.name} must have the variable's shape {weights.shape}; got {array.shape}")
    if array.dtype != weights.dtype or not array.flags.c_contiguous:
        table.python_step("convert gradient")
        return array.astype(weights.dtype, order="C")
    return array


def _norm(gradients: list[np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in gradients)))


def _scaled_to(limit: float, norm: float, gradient: np.ndarray) -> np.ndarray:
    # a Python float as the factor keeps float32 gradients float32; NumPy makes a scalar of an array of no axes
    return np.asarray(gradient * (limit / norm)) if norm > limit else gradient


def _not_negative(name: str, value: float) -> float:
    return number(name, value, low=0, below=math.inf)


def _fraction(name: str, value: float, closed: bool = False) -> float:
    fraction = number(name, value)
    if not (0 <= fraction < 1 or (closed and fraction == 1)):
        raise ValueError(f"{name} must be in [0, 1{']' if closed else ')'}; got {value!r}")
    return fraction


def _learning_rate(value: Any) -> float:
    """Return a learning rate as a float: of numbers and of arrays of one number."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"learning_rate must be a number or a LearningRateSchedule; got {value!r}")
    try:
        rate = float(value)
    except TypeError:
        raise TypeError(f"learning_rate must be a number or a LearningRateSchedule; got {value!r}") from None
    if not (math.isfinite(rate) and rate >= 0):
        raise ValueError(f"learning_rate must be a finite number, not negative; got {value!r}")
    return rate
