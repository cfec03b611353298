"""Metrics: running means over the samples of many batches; Keras's names, arguments and defaults.

A metric takes batches, ``update_state(y_true, y_pred, sample_weight=None)``, and gives ``result()`` as a float. With sample weights
it is the weighted mean, ``sum(value * weight) / sum(weight)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import losses, targets
from .arguments import described
from .kernels import table
from .kernels.functions import checks

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "FunctionMetric",
    "KernelMean",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "SampleMean",
    "SignAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "get",
    "serialize",
]


class Metric:
    """The base of all metrics; a subclass defines `update_state`, `result` and `reset_state`.

    Parameters
    ----------
    name : str, optional
        The name in logs; the class's by default.

    Attributes
    ----------
    sample_values : callable or None
        ``sample_values(y_true, y_pred)`` returns the value of each sample, computed by kernels alone, for metrics that are
        the mean of it; None for others. Training collects it inside its native steps.
    """

    sample_values: Callable[[Any, Any], np.ndarray] | None = None

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state(self, y_true, y_pred, sample_weight=None)")

    def result(self) -> float:
        """Return the value over all batches since the last `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} must define result(self)")

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError(f"{type(self).__name__} must define reset_state(self)")

    def __call__(self, *args: Any, **kwargs: Any) -> float:
        """Add a batch and return the value so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, for classes that keep them under the same names."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Metric:
        """Return a metric made from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.result()}>"


class Mean(Metric):
    """The mean of values, such as losses: ``update_state(values, sample_weight=None)``; 0 before the first.

    Parameters
    ----------
    name : str, default "mean"
        The name in logs.
    """

    def __init__(self, name: str | None = "mean") -> None:
        super().__init__(name)
        self._total = np.zeros(2, dtype=np.float64)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add values, each with a weight of 1 or its own."""
        array = np.asarray(checks.real("values", targets.unwrapped(values)), dtype=np.float64)
        self._add(array, sample_weight)

    def _add(self, values: np.ndarray, sample_weight: Any) -> None:
        weight = np.ones((), dtype=np.float64) if sample_weight is None else _weights(sample_weight, values.shape)
        self._total += (values * weight).sum(), np.broadcast_to(weight, values.shape).sum()

    def result(self) -> float:
        return float(self._total[0] / self._total[1]) if self._total[1] else 0.0

    def reset_state(self) -> None:
        self._total[:] = 0


class SampleMean(Mean):
    """The base of metrics that are the mean of a value of each sample; a subclass defines `values`."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add a batch of targets and predictions.

        Raises
        ------
        TypeError, ValueError
            If they are no numbers or do not fit each other.
        """
        y_pred = checks.real("y_pred", targets.unwrapped(y_pred))
        values = np.asarray(self.values(y_true, y_pred), dtype=np.float64)
        # of predictions (samples, positions, classes) a kernel gives one row of values
        self._add(values.reshape(y_pred.shape[:-1]) if y_pred.ndim > 2 else values, sample_weight)

    def values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        """Return the value of each sample."""
        raise NotImplementedError(f"{type(self).__name__} must define values(self, y_true, y_pred)")


class KernelMean(SampleMean):
    """The base of metrics whose value of each sample a kernel computes; a subclass defines `sample_values`."""

    def values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        return self.sample_values(y_true, y_pred)

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        """Return the value of each sample, computed by kernels alone."""
        raise NotImplementedError(f"{type(self).__name__} must define sample_values(self, y_true, y_pred)")


class Accuracy(SampleMean):
    """The share of predictions that equal their targets.

    The *string* "accuracy" stands for the accuracy that fits the model's loss and outputs, see `get`.

    Parameters
    ----------
    name : str, default "accuracy"
        The name in logs.
    """

    def __init__(self, name: str | None = "accuracy") -> None:
        super().__init__(name)

    def values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        return _each_sample(targets.like(y_true, y_pred.shape, y_pred.dtype) == y_pred)


class BinaryAccuracy(KernelMean):
    """The share of a sample's outputs on the target's side of the threshold, targets 0 and 1.

    Parameters
    ----------
    name : str, default "binary_accuracy"
        The name in logs.
    threshold : float, default 0.5
        Predictions above it count as 1: 0.5 for probabilities, 0 for logits.
    """

    def __init__(self, name: str | None = "binary_accuracy", threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = threshold

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        target = targets.unit(y_true, y_pred.shape, y_pred.dtype)
        return _kernel("binary_match", _rows(y_pred), _rows(target), float(self.threshold))


class SignAccuracy(KernelMean):
    """The share of a sample's outputs with the sign of the target, for margins: targets -1 and 1, or 0 (which means -1) and 1.

    Parameters
    ----------
    name : str, default "sign_accuracy"
        The name in logs.
    """

    def __init__(self, name: str | None = "sign_accuracy") -> None:
        super().__init__(name)

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        sign = _rows(targets.signs(y_true, y_pred.shape, y_pred.dtype))
        zero_one = np.empty_like(sign)
        # (1 + sign) / 2, by a kernel so that a recorded step can be replayed
        table.call("rescale", sign, 0.5, 0.5, zero_one)
        return _kernel("binary_match", _rows(y_pred), zero_one, 0.0)


class CategoricalAccuracy(KernelMean):
    """The share of samples whose largest prediction stands where the largest target does (the first one of equal ones).

    Parameters
    ----------
    name : str, default "categorical_accuracy"
        The name in logs.
    """

    def __init__(self, name: str | None = "categorical_accuracy") -> None:
        super().__init__(name)

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        target = targets.like(y_true, _with_classes(self, y_pred).shape, y_pred.dtype)
        return _kernel("categorical_match", _rows(y_pred), _rows(target))


class SparseCategoricalAccuracy(KernelMean):
    """The share of samples whose largest prediction (the first one of equal ones) is that of their integer label.

    Parameters
    ----------
    name : str, default "sparse_categorical_accuracy"
        The name in logs.
    """

    def __init__(self, name: str | None = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        label = targets.labels(y_true, _with_classes(self, y_pred).shape)
        return _kernel("sparse_match", _rows(y_pred), label.reshape(-1))


class TopKCategoricalAccuracy(SampleMean):
    """The share of samples with the target's class among the `k` largest predictions; one-hot targets.

    Parameters
    ----------
    k : int, default 5
        How many.
    name : str, default "top_k_categorical_accuracy"
        The name in logs.
    """

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k = checks.integer("k", k, low=1)

    def values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        target = targets.like(y_true, _with_classes(self, y_pred).shape, y_pred.dtype)
        return _in_top(self.k, y_pred, target.argmax(axis=-1))


class SparseTopKCategoricalAccuracy(SampleMean):
    """The share of samples with their label's class among the `k` largest predictions; integer labels.

    Parameters
    ----------
    k : int, default 5
        How many.
    name : str, default "sparse_top_k_categorical_accuracy"
        The name in logs.
    """

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy") -> None:
        super().__init__(name)
        self.k = checks.integer("k", k, low=1)

    def values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        return _in_top(self.k, y_pred, targets.labels(y_true, _with_classes(self, y_pred).shape))


class MeanSquaredError(KernelMean):
    """The mean over samples and outputs of ``(y_pred - y_true)**2``.

    Parameters
    ----------
    name : str, default "mean_squared_error"
        The name in logs.
    """

    def __init__(self, name: str | None = "mean_squared_error") -> None:
        super().__init__(name)

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        target = targets.like(y_true, y_pred.shape, y_pred.dtype)
        return _kernel("mse_forward", _rows(y_pred), _rows(target))


class MeanAbsoluteError(KernelMean):
    """The mean over samples and outputs of ``|y_pred - y_true|``.

    Parameters
    ----------
    name : str, default "mean_absolute_error"
        The name in logs.
    """

    def __init__(self, name: str | None = "mean_absolute_error") -> None:
        super().__init__(name)

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        target = targets.like(y_true, y_pred.shape, y_pred.dtype)
        return _kernel("mae_forward", _rows(y_pred), _rows(target))


class FunctionMetric(SampleMean):
    """A metric from a function.

    Parameters
    ----------
    function : callable
        ``function(y_true, y_pred)``, two arrays of the predictions' rank, returns the value of each sample, of each output of each
        sample, or one number for the batch (which then counts as often as the batch has samples).
    name : str, optional
        The name in logs; the function's by default.
    """

    def __init__(self, function: Callable[[np.ndarray, np.ndarray], Any], name: str | None = None) -> None:
        super().__init__(name or getattr(function, "__name__", type(function).__name__))
        self.function = function

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        y_pred = checks.real("y_pred", targets.unwrapped(y_pred))
        y_true = targets.with_fitting_rank(np.asarray(targets.unwrapped(y_true)), y_pred.shape)
        values = np.asarray(self.function(y_true, y_pred), dtype=np.float64)
        if values.ndim == 0:
            if sample_weight is not None:
                raise ValueError(f"metric {self.name!r} returns one number for a batch: sample_weight cannot be applied to it")
            values = np.full(len(y_pred), values)
        elif len(values) != len(y_pred):
            raise ValueError(f"metric {self.name!r} must return {len(y_pred)} values or one; got shape {values.shape}")
        self._add(_each_sample(values) if values.ndim == y_pred.ndim else values, sample_weight)


class _AccuracyByShape(KernelMean):
    """The accuracy that the shapes of targets and predictions ask for, as Keras decides."""

    def __init__(self, binary: KernelMean) -> None:
        super().__init__("accuracy")
        self._binary = binary
        self._categorical = CategoricalAccuracy()
        self._sparse = SparseCategoricalAccuracy()

    def sample_values(self, y_true: Any, y_pred: np.ndarray) -> np.ndarray:
        shape = np.shape(targets.unwrapped(y_true))
        if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
            return self._binary.sample_values(y_true, y_pred)
        if len(shape) < y_pred.ndim or shape[-1] == 1:
            return self._sparse.sample_values(y_true, y_pred)
        return self._categorical.sample_values(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        raise TypeError("the metric 'accuracy' is chosen by the model: keep its name, not its configuration")


#: name in `get` -> class
METRICS: dict[str, type[Metric]] = {
    "binary_accuracy": BinaryAccuracy,
    "sign_accuracy": SignAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
}


def serialize(metric: Metric) -> dict[str, Any]:
    """Return the class name and the configuration of a metric."""
    return {"class_name": type(metric).__name__, "config": metric.get_config()}


def get(
    identifier: str | Mapping[str, Any] | Metric | Callable,
    output_shape: Sequence[int | None] | None = None,
    loss: losses.Loss | None = None,
) -> Metric:
    """Return a metric from itself, its name, what `serialize` returned, or a function of ``(y_true, y_pred)``.

    The name "accuracy" (or "acc") stands for the accuracy that fits. One output: `BinaryAccuracy`, with the threshold 0 instead
    of 0.5 where the loss takes logits, or `SignAccuracy` where it takes margins. More outputs: `SparseCategoricalAccuracy` for
    integer labels, `CategoricalAccuracy` for targets with as many columns as there are outputs. (So several independent sigmoid
    outputs need "binary_accuracy" by its name, as in Keras.)

    Parameters
    ----------
    identifier : str, Metric, dict or callable
        What is wanted.
    output_shape : sequence of int, optional
        Shape of the model's predictions.
    loss : Loss, optional
        The model's loss.

    Raises
    ------
    ValueError, TypeError
        If there is no such metric.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str):
        metric = _named(identifier, output_shape, loss)
        metric.name = identifier
        return metric
    if isinstance(identifier, Mapping):
        by_class: dict[str, type[Metric]] = {metric.__name__: metric for metric in (*METRICS.values(), Accuracy, Mean)}
        name = identifier.get("class_name")
        if name not in by_class:
            raise ValueError(f"a metric's class_name must be one of {', '.join(by_class)}; got {name!r}")
        return by_class[name].from_config(identifier.get("config", {}))
    if isinstance(identifier, type) or not callable(identifier):
        raise TypeError(f"metric must be a name, a Metric or a function of (y_true, y_pred); got {described(identifier)}")
    return FunctionMetric(identifier)


def _named(name: str, output_shape: Sequence[int | None] | None, loss: losses.Loss | None) -> Metric:
    lower = name.lower()
    if lower in ("accuracy", "acc"):
        return _accuracy(output_shape, loss)
    if lower == "binary_accuracy":
        return _binary_accuracy(loss)
    for snake, metric in METRICS.items():
        if lower == snake or name == metric.__name__:
            return metric()
    lower = losses.ALIASES.get(lower, lower)
    if lower in losses.LOSSES:
        return FunctionMetric(losses.LOSSES[lower][1])
    raise ValueError(
        f"metric must be one of {', '.join(map(repr, dict.fromkeys(('accuracy', *METRICS, *losses.LOSSES))))}; got {name!r}"
    )


def _accuracy(output_shape: Sequence[int | None] | None, loss: losses.Loss | None) -> Metric:
    if isinstance(loss, losses.SparseCategoricalCrossentropy):
        return SparseCategoricalAccuracy()
    if isinstance(loss, losses.CategoricalCrossentropy):
        return CategoricalAccuracy()
    if output_shape is not None and output_shape[-1] == 1:
        return _binary_accuracy(loss)
    return _AccuracyByShape(_binary_accuracy(loss))


def _binary_accuracy(loss: losses.Loss | None) -> KernelMean:
    if isinstance(loss, (losses.Hinge, losses.Perceptron)):
        return SignAccuracy()
    return BinaryAccuracy(threshold=0.0 if getattr(loss, "from_logits", False) else 0.5)


def _kernel(op: str, pred: np.ndarray, target: np.ndarray, *params: float) -> np.ndarray:
    value = np.empty(len(pred), pred.dtype)
    table.call(op, pred, target, *params, value)
    return value


def _rows(array: np.ndarray) -> np.ndarray:
    """Return (n,) as (n, 1) and (..., c) as (n, c)."""
    return array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1)


def _each_sample(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis, the outputs, where there is one besides the samples."""
    return values.mean(axis=-1, dtype=np.float64) if values.ndim > 1 else values.astype(np.float64)


def _with_classes(metric: Metric, y_pred: np.ndarray) -> np.ndarray:
    if y_pred.ndim < 2 or y_pred.shape[-1] == 1:
        raise ValueError(
            f"metric {metric.name!r} needs an output for each class; got y_pred of shape {y_pred.shape}: "
            "for one output use 'binary_accuracy'"
        )
    return y_pred


def _in_top(k: int, y_pred: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Return where fewer than k predictions exceed that of the label (which no NaN does)."""
    own = np.take_along_axis(y_pred, label[..., np.newaxis].astype(np.intp), axis=-1)
    return np.isfinite(own[..., 0]) & ((y_pred > own).sum(axis=-1) < k)


def _weights(sample_weight: Any, shape: tuple[int, ...]) -> np.ndarray:
    weight = np.asarray(checks.real("sample_weight", targets.unwrapped(sample_weight)), dtype=np.float64)
    if weight.ndim == len(shape) + 1 and weight.shape[-1] == 1:
        weight = weight.reshape(weight.shape[:-1])
    if weight.shape != shape[: weight.ndim]:
        raise ValueError(f"sample_weight must have shape {shape[:1]}, one weight for each sample; got {weight.shape}")
    if not np.isfinite(weight).all():
        raise ValueError("sample_weight must be finite; got NaN or infinity")
    return weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim))
