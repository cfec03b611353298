"""Weights that Keras 3 saved: ``.weights.h5`` files, and those in ``.keras`` files."""

from __future__ import annotations

import io
import os
import zipfile
from collections import Counter
from typing import Any

import numpy as np

from ..files import PathLike
from ..layers.base import Layer
from ..layers.names import snake_case
from ..model import Sequential
from ..saving import ModelFileError, reason
from .pickles import refuse_pickles

try:
    import h5py
except ModuleNotFoundError as error:
    raise ImportError("Keras's files need h5py: pip install 'fastnn-kernels[keras]'") from error

#: the weights in a .keras file, which is a zip file
MEMBER = "model.weights.h5"
#: what a file's size may be multiplied by: weights hardly shrink, and Keras does not compress them
MAX_RATIO = 10


def load_keras_weights(model: Sequential, path: PathLike) -> None:
    """Read the weights of a Keras file into a built model of the same layers; see `Sequential.load_weights`."""
    name = os.fspath(path)
    with open(path, "rb") as file:
        data = file.read()
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            data = _from_zip(data, name)
        with h5py.File(io.BytesIO(data), "r") as root:
            values = _values(model, root)
    except ModelFileError:
        raise
    except Exception as error:  # of the libraries that decode it
        raise ModelFileError(f"{name!r} holds no weights of Keras for model {model.name!r}: {reason(error)}") from error
    for variable, array in values:
        variable.assign(array)


def _from_zip(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        refuse_pickles(archive.namelist(), name)
        member = archive.getinfo(MEMBER)
        if member.file_size > MAX_RATIO * len(data):
            raise ValueError(f"{MEMBER!r} in it would take {member.file_size:,} bytes, in a file of {len(data):,}")
        return archive.read(member)


def _values(model: Sequential, root: Any) -> list[tuple[Any, np.ndarray]]:
    """Return the weights with their values: Keras names layers by their classes, and numbers those of the same class."""
    if "layers" not in root:
        raise ValueError("it does not have the layout of Keras 3, which has a group 'layers'; save the weights with Keras 3")
    stored = _child(root, "layers")
    counts: Counter[str] = Counter()
    left = {name for name in stored if len(_variables(_child(stored, name)))}
    values = []
    for layer in model.layers:
        kind = snake_case(type(layer).__name__)
        name = f"{kind}_{counts[kind]}" if counts[kind] else kind
        counts[kind] += 1
        if layer.weights:
            if name not in left:
                raise ValueError(f"it has no weights {name!r} for layer {layer.name!r}; it has {', '.join(sorted(left)) or 'none'}")
            left.remove(name)
            values += _of_layer(layer, _variables(_child(stored, name)), name)
    if left:
        raise ValueError(f"it has the layers {', '.join(sorted(left))} too, which the model has not")
    return values


def _variables(group: Any) -> Any:
    return _child(group, "vars") if "vars" in group else {}


def _of_layer(layer: Layer, variables: Any, name: str) -> list[tuple[Any, np.ndarray]]:
    if len(variables) != len(layer.weights):
        raise ValueError(f"{name!r} has {len(variables)} weights in it; layer {layer.name!r} has {len(layer.weights)}")
    values = []
    for number, variable in enumerate(layer.weights):
        dataset = _child(variables, str(number))
        if dataset.shape != variable.shape or dataset.dtype.kind != "f":
            raise ValueError(
                f"weight {number} of {name!r} is {dataset.dtype} of shape {dataset.shape}; {variable.name!r} of layer "
                f"{layer.name!r} has shape {variable.shape}"
            )
        if dataset.is_virtual or dataset.external or dataset.id.get_create_plist().get_nfilters():
            raise ValueError(f"weight {number} of {name!r} lies in another file or is compressed, as Keras writes none")
        values.append((variable, dataset[()]))
    return values


def _child(group: Any, name: str) -> Any:
    """Return what a group holds itself: a link could lead out of the file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"there is no {name!r} in its {group.name!r}")
    return group[name]
