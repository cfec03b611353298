"""What a model answers, as classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import GENERATOR_HINT, batch_parts, has_batches
from ..losses import Hinge, Perceptron
from ..model import Sequential


def check_model(model: Any) -> None:
    """Raise TypeError if it is no model, and ValueError if its outputs are not one row for each sample."""
    if not isinstance(model, Sequential):
        raise TypeError(f"model must be a fastnn.Sequential; got {type(model).__name__}")
    if len(model.output_shape) != 2:
        raise ValueError(f"model must give outputs of shape (n, classes) or (n, 1); {model.name!r} gives {model.output_shape}")


def predicted_classes(model: Any, outputs: np.ndarray) -> np.ndarray:
    """Return the class of each row of outputs: the one of the largest output; of a single output, 1 above the threshold, else 0.

    The threshold is 0 where the model's loss takes logits or margins, else 0.5.
    """
    if outputs.shape[1] > 1:
        return outputs.argmax(axis=1)
    signed = getattr(model.loss, "from_logits", False) or isinstance(model.loss, (Hinge, Perceptron))
    return (outputs[:, 0] > (0 if signed else 0.5)).astype(np.int64)


def gathered(x: Any, y: Any) -> tuple[Any, Any]:
    """Return inputs and targets: arrays as they are, those of an iterable of batches, if there is no `y`, in its order."""
    if not has_batches(x, y):
        return x, y
    batches = [batch_parts(batch)[:2] for batch in x]
    if not batches:
        raise ValueError(f"x gave no batches{GENERATOR_HINT}")
    inputs, targets = zip(*batches, strict=True)
    return np.concatenate(inputs), np.concatenate(targets)


def names_of_classes(model: Any, x: Any) -> list[str] | None:
    """Return what an `image_folder`, else the model, calls the classes that the model tells apart, if they are as many."""
    names = getattr(x, "class_names", None) or model.class_names
    return names if names and len(names) == max(model.output_shape[1], 2) else None


def true_and_predicted(model: Any, x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of samples and those that a model gives them.

    Parameters
    ----------
    model : Sequential
        Its outputs are classes, or one output for two of them.
    x : array_like
        Inputs.
    y : array_like, shape (n,), (n, 1) or (n, classes)
        Classes, of two of them 0 or -1 and 1, or one-hot rows.

    Raises
    ------
    TypeError, ValueError
        If it is no such model, or the targets do not fit.
    """
    check_model(model)
    predicted = predicted_classes(model, model.predict(x))
    y = np.asarray(y)
    if y.size and isinstance(y.flat[0], str):
        name = str(y.flat[0])
        raise TypeError(
            f"y must be numbers of classes; got names such as {name!r:.60}: names, y = np.unique(y, return_inverse=True)"
        )
    if y.shape not in ((len(predicted),), (len(predicted), 1), (len(predicted), model.output_shape[1])):
        raise ValueError(f"y must be the classes of {len(predicted)} samples, or one-hot rows; got shape {y.shape}")
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1), predicted
    y = y.reshape(-1)
    return (y > 0 if model.output_shape[1] == 1 else y).astype(np.int64), predicted
