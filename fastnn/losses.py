"""Losses: Keras's names, arguments and defaults.

A loss is called with targets and predictions, ``loss(y_true, y_pred, sample_weight=None)``, and returns a scalar Tensor:
the mean over the samples. The functions of this module (`mean_squared_error`, ...) return the loss of each sample.
Targets are checked: of the wrong shape, out of range or not a number, they are an error, never a wrong loss.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import ops, targets
from .arguments import described
from .autodiff import Tensor, as_tensor
from .kernels import table
from .kernels.functions import checks
from .registry import Registry

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Perceptron",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "hinge",
    "huber",
    "mean_absolute_error",
    "mean_squared_error",
    "perceptron",
    "serialize",
    "sparse_categorical_crossentropy",
]

REDUCTIONS = ("sum_over_batch_size", "sum", "none")


class Loss:
    """The base of all losses; a subclass defines ``call(y_true, y_pred)``, made of `fastnn.ops`.

    Parameters
    ----------
    name : str, optional
        A name of one's own.
    reduction : {"sum_over_batch_size", "sum", "none"}, default "sum_over_batch_size"
        What a call returns: the mean over the samples (of ``loss * weight``; the weights do not enter the divisor), the sum,
        or each sample's loss.
    """

    #: the activation whose results are the probabilities that the loss takes; None where it takes anything else
    link: str | None = None

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size") -> None:
        self.name = name or type(self).__name__
        self.reduction = "none" if reduction is None else reduction
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {', '.join(map(repr, REDUCTIONS))}; got {reduction!r}")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each sample, of shape ``y_pred.shape[:-1]``; `y_true` is what `prepare_targets` returned."""
        raise NotImplementedError(f"{type(self).__name__} must define call(self, y_true, y_pred)")

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        """Return targets as `call` wants them, checked; what is already right passes through without a copy.

        Parameters
        ----------
        y_true : array_like
            The targets.
        output_shape : sequence of int
            The predictions' shape; None as the number of samples fits any number.
        dtype : dtype_like
            The predictions' dtype.

        Raises
        ------
        TypeError, ValueError
            If the targets do not fit the loss or the predictions.
        """
        return targets.shaped(y_true, output_shape, dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """Return the mean loss of samples, or what `reduction` says.

        Parameters
        ----------
        y_true : array_like
            Targets.
        y_pred : Tensor or array_like
            Predictions, samples along the first axis.
        sample_weight : array_like, optional
            A factor for each sample's loss, or for each element of `call`'s result.

        Returns
        -------
        Tensor
            Of no axes, unless reduction is "none".

        Raises
        ------
        TypeError, ValueError
            If targets, predictions or weights are no numbers or do not fit each other.
        """
        y_pred = _predictions(y_pred)
        prepared = self.prepare_targets(y_true, y_pred.shape, y_pred.dtype)
        loss = self.call(_as_given(y_true, prepared), y_pred)
        if not isinstance(loss, Tensor):
            raise TypeError(f"loss {self.name!r} must return a Tensor made of fastnn.ops; got {type(loss).__name__}")
        if loss.ndim == 0:
            if sample_weight is not None:
                raise ValueError(f"loss {self.name!r} returns one number for all samples: sample_weight cannot be applied to it")
            return loss
        weight = None if sample_weight is None else _weights(sample_weight, loss)
        if self.reduction == "none":
            return loss if weight is None else ops.multiply(loss, ops.reshape(weight, loss.shape))
        mean = ops.weighted_mean(loss if loss.ndim == 1 else ops.reshape(loss, (-1,)), weight)
        return mean if self.reduction == "sum_over_batch_size" else ops.rescale(mean, loss.size)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Loss:
        """Return a loss made from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_config().items())})"


class MeanSquaredError(Loss):
    """The mean over a sample's outputs of ``(y_pred - y_true)**2``.

    Parameters
    ----------
    reduction, name
        See `Loss`.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_squared_error") -> None:
        super().__init__(name, reduction)

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        return targets.like(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return by_sample(ops.mse(y_pred, y_true), y_pred)


class MeanAbsoluteError(Loss):
    """The mean over a sample's outputs of ``|y_pred - y_true|``.

    Parameters
    ----------
    reduction, name
        See `Loss`.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "mean_absolute_error") -> None:
        super().__init__(name, reduction)

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        return targets.like(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return by_sample(ops.mae(y_pred, y_true), y_pred)


class Huber(Loss):
    """Quadratic near the target, linear far from it: ``0.5 * d**2`` where ``|d| <= delta``, else ``delta * (|d| - 0.5 * delta)``.

    Parameters
    ----------
    delta : float, default 1.0
        Where it turns linear.
    reduction, name
        See `Loss`.
    """

    def __init__(self, delta: float = 1.0, reduction: str | None = "sum_over_batch_size", name: str | None = "huber_loss") -> None:
        super().__init__(name, reduction)
        if not delta > 0:
            raise ValueError(f"delta must be positive; got {delta!r}")
        self.delta = delta

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        return targets.like(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return by_sample(ops.huber(y_pred, y_true, self.delta), y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"delta": self.delta, **super().get_config()}


class Hinge(Loss):
    """The mean over a sample's outputs of ``max(0, 1 - y_true * y_pred)``; targets -1 and 1, or 0 (which means -1) and 1.

    Parameters
    ----------
    reduction, name
        See `Loss`.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge") -> None:
        super().__init__(name, reduction)

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        return targets.signs(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return by_sample(ops.hinge(y_pred, y_true), y_pred)


class Perceptron(Loss):
    """The mean over a sample's outputs of ``max(0, -y_true * y_pred)``; targets -1 and 1, or 0 (which means -1) and 1.

    With one linear output, plain SGD and batches of one sample, this is Rosenblatt's perceptron.

    Parameters
    ----------
    reduction, name
        See `Loss`.
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "perceptron") -> None:
        super().__init__(name, reduction)

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        return targets.signs(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return by_sample(ops.perceptron(y_pred, y_true), y_pred)


class SparseCategoricalCrossentropy(Loss):
    """``-log(probability of the label)``, for integer class labels; probabilities are divided by their sum, as in Keras.

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits instead of probabilities. Of a softmax's result the logits are used either way, so that
        nothing overflows.
    reduction, name
        See `Loss`.
    """

    link = "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = from_logits

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        _check_classes(self, output_shape)
        return targets.labels(y_true, output_shape)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = _logits(self, y_pred)
        if logits is not None:
            return by_sample(ops.softmax_xent(_rows(logits), ops.reshape(y_true, (-1,))), y_pred)
        table.python_step("one-hot targets of probabilities that no softmax made")
        onehot = np.arange(y_pred.shape[-1]) == y_true.data.reshape(-1, 1)
        return by_sample(ops.xent(_distributions(y_pred), Tensor(onehot.astype(y_pred.dtype))), y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, **super().get_config()}


class CategoricalCrossentropy(Loss):
    """``-sum(y_true * log(probabilities))``, for one-hot targets or a distribution over the classes.

    Probabilities are divided by their sum, as in Keras.

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits instead of probabilities. Of a softmax's result the logits are used either way, so that
        nothing overflows.
    label_smoothing : float, default 0.0
        Share of each target that is spread evenly over all classes, in [0, 1].
    reduction, name
        See `Loss`.
    """

    link = "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = from_logits
        self.label_smoothing = _smoothing(label_smoothing)

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        _check_classes(self, output_shape)
        return targets.like(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        target = _rows(_smoothed(y_true, self.label_smoothing, 1 / y_pred.shape[-1]))
        logits = _logits(self, y_pred)
        if logits is not None:
            return by_sample(ops.softmax_xent(_rows(logits), target), y_pred)
        return by_sample(ops.xent(_distributions(y_pred), target), y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, **super().get_config()}


class BinaryCrossentropy(Loss):
    """The mean over a sample's outputs of ``-y_true * log(p) - (1 - y_true) * log(1 - p)``, targets in [0, 1].

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are logits instead of probabilities. Of a sigmoid's result the logits are used either way, so that
        nothing overflows.
    label_smoothing : float, default 0.0
        How far targets are drawn towards 0.5, in [0, 1].
    reduction, name
        See `Loss`.
    """

    link = "sigmoid"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
    ) -> None:
        super().__init__(name, reduction)
        self.from_logits = from_logits
        self.label_smoothing = _smoothing(label_smoothing)

    def prepare_targets(self, y_true: Any, output_shape: Sequence[int | None], dtype: Any) -> np.ndarray:
        return targets.unit(y_true, output_shape, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        target = _smoothed(y_true, self.label_smoothing, 0.5)
        logits = _logits(self, y_pred)
        if logits is not None:
            return by_sample(ops.sigmoid_xent(logits, target), y_pred)
        return by_sample(ops.binary_xent(y_pred, target), y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, **super().get_config()}


class FunctionLoss(Loss):
    """A loss from a function.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)``, two tensors of the predictions' dtype and rank, made of `fastnn.ops`; returns the loss of each
        sample, of each output of each sample, or one number.
    reduction, name
        See `Loss`.
    """

    def __init__(
        self,
        function: Callable[[Tensor, Tensor], Tensor],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(name or getattr(function, "__name__", type(function).__name__), reduction)
        self.function = function

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {"function": self.function, **super().get_config()}


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return the mean squared error of each sample."""
    return MeanSquaredError(reduction="none")(y_true, y_pred)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """Return the mean absolute error of each sample."""
    return MeanAbsoluteError(reduction="none")(y_true, y_pred)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Tensor:
    """Return the Huber loss of each sample; for `delta` see `Huber`."""
    return Huber(delta, reduction="none")(y_true, y_pred)


def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """Return the hinge loss of each sample."""
    return Hinge(reduction="none")(y_true, y_pred)


def perceptron(y_true: Any, y_pred: Any) -> Tensor:
    """Return the perceptron loss of each sample."""
    return Perceptron(reduction="none")(y_true, y_pred)


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """Return the cross-entropy of each sample, for integer labels; see `SparseCategoricalCrossentropy`."""
    return SparseCategoricalCrossentropy(from_logits, reduction="none")(y_true, y_pred)


def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0) -> Tensor:
    """Return the cross-entropy of each sample, for one-hot targets; see `CategoricalCrossentropy`."""
    return CategoricalCrossentropy(from_logits, label_smoothing, reduction="none")(y_true, y_pred)


def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0) -> Tensor:
    """Return the binary cross-entropy of each sample, the mean over its outputs; see `BinaryCrossentropy`."""
    return BinaryCrossentropy(from_logits, label_smoothing, reduction="none")(y_true, y_pred)


#: name in `get` -> the class and the function of the loss
LOSSES: dict[str, tuple[type[Loss], Callable[..., Tensor]]] = {
    "mean_squared_error": (MeanSquaredError, mean_squared_error),
    "mean_absolute_error": (MeanAbsoluteError, mean_absolute_error),
    "huber": (Huber, huber),
    "hinge": (Hinge, hinge),
    "perceptron": (Perceptron, perceptron),
    "sparse_categorical_crossentropy": (SparseCategoricalCrossentropy, sparse_categorical_crossentropy),
    "categorical_crossentropy": (CategoricalCrossentropy, categorical_crossentropy),
    "binary_crossentropy": (BinaryCrossentropy, binary_crossentropy),
}
ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "bce": "binary_crossentropy", "huber_loss": "huber"}


def _built_in(name: str) -> type[Loss] | None:
    for snake, (cls, _) in LOSSES.items():
        if name == cls.__name__ or ALIASES.get(name.lower(), name.lower()) == snake:
            return cls
    return None


REGISTRY: Registry[type[Loss]] = Registry("loss", "fastnn.loss", (*LOSSES, *ALIASES), _built_in)


def serialize(loss: Loss) -> dict[str, Any]:
    """Return the class name and the configuration of a loss."""
    return {"class_name": type(loss).__name__, "config": loss.get_config()}


def get(identifier: str | Mapping[str, Any] | Loss | Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """Return a loss from itself, its name ("mse", "hinge", ...), what `serialize` returned, or a function.

    Raises
    ------
    ValueError, TypeError
        If there is no such loss.
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str):
        return REGISTRY.named(identifier)()
    if isinstance(identifier, Mapping):
        return REGISTRY.named(identifier.get("class_name")).from_config(identifier.get("config", {}))
    if isinstance(identifier, type) or not callable(identifier):
        raise TypeError(f"loss must be a name, a Loss or a function of (y_true, y_pred); got {described(identifier)}")
    for cls, function in LOSSES.values():
        if identifier is function:
            return cls()
    return FunctionLoss(identifier)


def _predictions(y_pred: Any) -> Tensor:
    tensor = y_pred if isinstance(y_pred, Tensor) else as_tensor(checks.real("y_pred", y_pred))
    if tensor.data.dtype.kind != "f":
        raise TypeError(f"y_pred must be floats; got dtype {tensor.dtype}")
    if tensor.ndim == 0:
        raise ValueError("y_pred must have an axis of samples; got a scalar")
    return tensor


def _as_given(y_true: Any, prepared: np.ndarray) -> Tensor:
    """Return the prepared targets as a tensor: `y_true` itself where nothing was converted, so that a tape still knows it."""
    if isinstance(y_true, Tensor) and y_true.dtype == prepared.dtype and np.may_share_memory(y_true.data, prepared):
        return y_true if y_true.shape == prepared.shape else ops.reshape(y_true, prepared.shape)
    return Tensor(prepared)


def _logits(loss: Any, y_pred: Tensor) -> Tensor | None:
    """Return the logits behind predictions, or None where they are probabilities that the link function did not make."""
    if y_pred.link == loss.link:
        if loss.from_logits:
            warnings.warn(
                f"loss {loss.name!r} has from_logits=True, but y_pred is the result of a {loss.link}: its logits are used",
                stacklevel=4,
            )
        return y_pred.logits
    if loss.from_logits:
        return y_pred
    table.need_values()
    p = y_pred.data
    # rounding may take probabilities a little beyond 1; logits go far beyond
    if p.size and (p.min() < -1e-3 or p.max() > 1 + 1e-3):
        raise ValueError(
            f"y_pred must be probabilities for loss {loss.name!r}; got values from {p.min()} to {p.max()}: "
            f"end the model with a {loss.link}, or say from_logits=True"
        )
    return None


def by_sample(loss: Tensor, y_pred: Tensor) -> Tensor:
    """Return losses that the op gave in one row as the predictions without their last axis."""
    return ops.reshape(loss, y_pred.shape[:-1]) if y_pred.ndim > 2 else loss


def _rows(tensor: Tensor) -> Tensor:
    return tensor if tensor.ndim == 2 else ops.reshape(tensor, (-1, tensor.shape[-1]))


def _distributions(y_pred: Tensor) -> Tensor:
    """Return predictions, a row for each sample, with the sum 1: else sigmoids would get a loss of 0 by saying 1 to every class."""
    rows = _rows(y_pred)
    return ops.divide(rows, ops.sum(rows, axis=-1, keepdims=True))


def _smoothed(target: Tensor, share: float, towards: float) -> Tensor:
    """Return ``(1 - share) * target + share * towards``, by a kernel so that a recorded step can be replayed."""
    if share == 0:
        return target
    smoothed = np.empty_like(target.data)
    table.call("rescale", target.data, 1 - share, share * towards, smoothed)
    return Tensor(smoothed)


def _smoothing(label_smoothing: float) -> float:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1]; got {label_smoothing!r}")
    return label_smoothing


def _check_classes(loss: Loss, output_shape: Sequence[int | None]) -> None:
    if len(output_shape) < 2:
        raise ValueError(f"loss {loss.name!r} needs predictions of shape (n, classes); got {tuple(output_shape)}")
    if output_shape[-1] == 1:
        raise ValueError(
            f"loss {loss.name!r} needs at least 2 outputs, one for each class; got 1: "
            "for one sigmoid output use 'binary_crossentropy'"
        )


def _weights(sample_weight: Any, loss: Tensor) -> Tensor:
    """Return weights in one row, one for each element of the loss."""
    source = targets.unwrapped(sample_weight)
    weight = checks.real("sample_weight", source, loss.dtype)
    if weight.ndim == loss.ndim + 1 and weight.shape[-1] == 1:
        weight = weight.reshape(weight.shape[:-1])
    if weight.ndim > loss.ndim or weight.shape != loss.shape[: weight.ndim]:
        raise ValueError(f"sample_weight must have shape {loss.shape[:1]}, one weight for each sample; got {weight.shape}")
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight must be finite; got NaN or infinity")
    if weight.ndim < loss.ndim:
        weight = np.broadcast_to(weight.reshape(weight.shape + (1,) * (loss.ndim - weight.ndim)), loss.shape)
    row = np.ascontiguousarray(weight).reshape(-1)
    if row.size and not (isinstance(source, np.ndarray) and np.may_share_memory(source, row)):
        table.python_step("conversion of sample weights")
    return Tensor(row)
