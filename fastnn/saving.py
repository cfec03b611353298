"""Model files: architecture, weights and the state of training in one file.

The file is of the safetensors format, so any reader of that finds the arrays, under names that are paths::

    layers/<layer>/<weight>               a weight; of a layer in a layer, layers/<layer>/<inner layer>/<weight>
    layers/<layer>/state                  other arrays that training changes: of dropout, seed and step
    optimizer/step                        number of updates done
    optimizer/learning_rate               the present one
    optimizer/<layer>/<weight>/<slot>     what the optimizer keeps for a weight

The entry "fastnn" of the file's metadata is JSON: ``version`` of this layout; ``weights``, the names of the weights in the model's
order; in files of whole models ``model`` (what `fastnn.Sequential.get_config` returns) and ``compile`` (what to call
`fastnn.Sequential.compile` with, or null); in checkpoints ``training``, what it is, and ``progress``, how far it is; and
``sha256``, a digest of all that and of the arrays, which is compared where it is there.

Training that goes on with a loaded model goes on exactly, if it is given the samples in the same order. That order, where `fit`
shuffles, is drawn from the process's random numbers (`fastnn.set_seed`). They belong to the process, not to one of its models:
files of models do not hold them, and saving and loading leave them as they are.

Checkpoints, which `fastnn.callbacks.BackupAndRestore` writes, do hold them. They are files without an architecture, read into a
model that is there: so they have the layers' numbers in the place of their names, which differ where a notebook's cell is run
again, and work for layers that no file can describe. Arrays in the progress have the names ``progress/...``.

A file is replaced as a whole or not at all. Reading trusts nothing in it: no code is run that it names, except the constructors of
layers that are registered (`fastnn.layers.register_layer`), losses, metrics and optimizers; and it takes memory in proportion to
the size of the file, whatever extents the file claims.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.numpy

from . import losses, metrics, optimizers, random
from .autodiff import Variable
from .files import PathLike, replace_file
from .layers import Layer
from .layers.blank import blank_weights
from .layers.names import snake_case

if TYPE_CHECKING:
    from .model import Sequential

#: version of the layout that is written, and the only one that is read
VERSION = 1
#: where the JSON stands in the metadata
ENTRY = "fastnn"
#: where the digest stands in the JSON
DIGEST = "sha256"
#: how the names of others' files end
FOREIGN_SUFFIXES = (".h5", ".hdf5", ".keras", ".onnx")
#: what files of Keras begin with: HDF5, and zip files with HDF5 in them
KERAS = (b"\x89HDF\r\n\x1a\n", b"PK\x03\x04")


class ModelFileError(ValueError):
    """A file is damaged, or no file of this package, or does not fit the model that it is read into."""


class OtherTrainingError(ModelFileError):
    """A checkpoint is one of another training: of another model, optimizer or setting."""


def save_model(model: Sequential, path: PathLike) -> None:
    """Write architecture, weights, what the model is compiled with and the optimizer's state to one file.

    Functions of the user's own cannot be written. Where the loss or a metric is one, the file is written without it, with a
    warning: the loaded model predicts, and trains on after ``model.compile(model.optimizer, loss=..., metrics=...)``.

    Parameters
    ----------
    model : Sequential
        A model that is built.
    path : path_like
        The file; one that is there is replaced when the new one is complete. The format is fastnn's, whatever the name: one that
        ends as those of Keras or ONNX files is taken with a warning.

    Raises
    ------
    ValueError
        If the model could not be loaded again: it is not built, or has a layer whose class is not registered or whose configuration
        holds a function.
    OSError
        If the file cannot be written.
    """
    _warn_of_name(path)
    weights, states = weights_and_states(model)
    compiled, left_out = _compile_config(model)
    tensors = {name: variable.data for name, variable in weights.items()} | states
    if compiled is not None and model.optimizer is not None:
        state = model.optimizer.get_state()
        tensors |= {name: state[key] for name, key in _optimizer_names(model.optimizer, weights).items()}
    config = {**model.get_config(), "layers": [_json_layer(layer) for layer in model.layers]}
    header = {"version": VERSION, "weights": list(weights), "model": config, "compile": compiled}
    try:
        _model_from(json.loads(json.dumps(header)), tensors)
    except Exception as error:
        raise ValueError(f"model {model.name!r} cannot be saved, since it could not be loaded again: {reason(error)}") from error
    if left_out:
        warnings.warn(
            f"{' and '.join(left_out)} of model {model.name!r} cannot be written to a file; before the loaded model is trained, "
            f"call its compile({'...' if compiled is None else 'model.optimizer, ...'}) with them",
            stacklevel=3,
        )
    _write(path, tensors, header)


def _warn_of_name(path: PathLike) -> None:
    """Warn where a file that the user is about to write has a name as other programs give theirs."""
    suffix = os.path.splitext(os.fspath(path))[1]
    if suffix in FOREIGN_SUFFIXES:
        other = "; Sequential.export_onnx writes ONNX" * (suffix == ".onnx")
        warnings.warn(
            f"{os.fspath(path)}: the file has fastnn's format, which others do not read by the name *{suffix}{other}", stacklevel=4
        )


def load_model(path: PathLike) -> Sequential:
    """Return the model that `Sequential.save` wrote.

    Parameters
    ----------
    path : path_like
        The file.

    Returns
    -------
    Sequential
        Compiled, if the saved one was: its training goes on where that one's stopped.

    Raises
    ------
    ModelFileError
        A ValueError: if the file is damaged, is not a model's, or has layers of classes that are not registered.
    OSError
        If the file cannot be read.

    See Also
    --------
    fastnn.Sequential.save : Writes the file.
    fastnn.Sequential.load_weights : Reads weights into a model that is there, also those of Keras.
    fastnn.load_onnx : Reads models of other programs.
    fastnn.layers.register_layer : Makes a layer class of your own known.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> model = fastnn.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    >>> model.save("iris.safetensors")
    >>> fastnn.load_model("iris.safetensors").count_params()
    15
    """
    header, tensors = _read(path)
    if "model" not in header:
        raise ModelFileError(f"{os.fspath(path)!r} holds weights alone: make the model and call its load_weights")
    try:
        return _model_from(header, tensors)
    except Exception as error:  # the constructors were called with whatever the file says
        raise ModelFileError(f"{os.fspath(path)!r} holds no model that can be made: {reason(error)}") from error


def save_weights(model: Sequential, path: PathLike) -> None:
    """Write the weights of a built model, and nothing else, to a file; its name is taken as by `save_model`."""
    _warn_of_name(path)
    weights, _ = weights_and_states(model)
    tensors = {name: variable.data for name, variable in weights.items()}
    _write(path, tensors, {"version": VERSION, "weights": list(weights)})


def load_weights(model: Sequential, path: PathLike) -> None:
    """Read the weights of a file of `save_weights` or `save_model`, or of Keras, into a built model.

    Weights are matched by their order; their own names ("kernel") and shapes must agree, the names of the layers need not. Floats
    of the other size are converted.

    Raises
    ------
    ModelFileError
        A ValueError: if the file is damaged or not of this package, or its weights are not those of the model, which then stays as
        it is.
    OSError
        If the file cannot be read.
    """
    weights, _ = weights_and_states(model)
    with open(path, "rb") as file:
        if file.read(8).startswith(KERAS):
            from .interchange.keras_weights import load_keras_weights  # which needs a library that is not always there

            load_keras_weights(model, path)
            return
    header, tensors = _read(path)
    stored = header["weights"]
    if len(stored) != len(weights):
        raise ModelFileError(f"{os.fspath(path)!r} holds {len(stored)} weights; model {model.name!r} has {len(weights)}")
    for theirs, (mine, variable) in zip(stored, weights.items(), strict=True):
        array = tensors[theirs]
        same_name = theirs.rpartition("/")[2] == mine.rpartition("/")[2]
        if not same_name or array.shape != variable.shape or array.dtype.kind != variable.dtype.kind:
            raise ModelFileError(
                f"{os.fspath(path)!r} has {theirs!r}, {_described(array)}, in the place of {mine!r}, {_described(variable.data)}, "
                f"of model {model.name!r}"
            )
    for theirs, variable in zip(stored, weights.values(), strict=True):
        variable.assign(tensors[theirs])


def save_checkpoint(model: Sequential, path: PathLike, training: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
    """Write all that training changes to one file: weights, optimizer state, the layers' random numbers, and its progress.

    Parameters
    ----------
    model : Sequential
        A model that is built and compiled.
    path : path_like
        The file; one that is there is replaced when the new one is complete.
    training : dict
        What must be the same in the training that goes on, besides the optimizer: values of JSON.
    progress : dict
        What else `load_checkpoint` shall return: arrays and values of JSON, in dicts and lists of any depth.

    Raises
    ------
    TypeError
        If something in `progress` is of another kind.
    OSError
        If the file cannot be written.
    """
    optimizer, _ = model._compiled_with()
    weights, states = weights_and_states(model, numbered=True)
    state = optimizer.get_state()
    tensors = {name: variable.data for name, variable in weights.items()} | states
    tensors |= {name: state[key] for name, key in _optimizer_names(optimizer, weights).items()}
    header = {
        "version": VERSION,
        "weights": list(weights),
        "training": {**_optimizer_identity(optimizer), **training},
        "progress": _with_arrays_named(progress, "progress", tensors),
    }
    _write(path, tensors, header)


def load_checkpoint(model: Sequential, path: PathLike, training: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote into a model of the same layers that is compiled in the same way.

    The optimizer's learning rate, where it is no schedule, is the one of the file.

    Parameters
    ----------
    model, path, training
        As for `save_checkpoint`.

    Returns
    -------
    dict
        The progress.

    Raises
    ------
    ModelFileError
        A ValueError: if the file is damaged or is no checkpoint, or, as an OtherTrainingError, one of another model, optimizer or
        training. The model then stays as it is.
    OSError
        If the file cannot be read.
    """
    optimizer, _ = model._compiled_with()
    weights, states = weights_and_states(model, numbered=True)
    header, tensors = _read(path)
    if "progress" not in header:
        raise ModelFileError(f"{os.fspath(path)!r} is no checkpoint: it does not hold how far a training is")
    try:
        theirs, mine = header["training"], {**_optimizer_identity(optimizer), **training}
        differing = [key for key in {**theirs, **mine} if theirs.get(key) != mine.get(key)]
        if differing:
            raise ValueError("; ".join(f"{key} was {theirs.get(key)}, and is {mine.get(key)}" for key in differing))
        progress = _with_arrays_put_back(header["progress"], tensors)
        _assign(optimizer, weights, states, {name: a for name, a in tensors.items() if not name.startswith("progress/")})
    except Exception as error:
        raise OtherTrainingError(f"the checkpoint {os.fspath(path)!r} is not of this training: {reason(error)}") from error
    return progress


# ---------------------------------------------------------------------- arrays and their names


def weights_and_states(model: Sequential, numbered: bool = False) -> tuple[dict[str, Variable], dict[str, np.ndarray]]:
    """Return a built model's weights, in order, and the other arrays that training changes, by their names in files.

    The names have the layers' names, or their numbers.
    """
    if not model.built:
        raise ValueError(f"model {model.name!r} is not built yet, so it has no weights: call build() or fit() first")
    weights: dict[str, Variable] = {}
    states: dict[str, np.ndarray] = {}
    seen: set[int] = set()
    taken: set[str] = set()

    def unique(name: str) -> str:
        number, candidate = 0, name
        while candidate in taken:
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        return candidate

    def collect(layer: Layer, path: str) -> None:
        for variable in layer._held(Variable):
            if id(variable) not in seen:
                seen.add(id(variable))
                weights[unique(f"{path}/{variable.name}")] = variable
        for name, array in layer.state_arrays().items():
            states[unique(f"{path}/{name}")] = array
        for inner in layer._held(Layer):
            # automatic names count over the whole process: they would differ in the one that loads
            collect(inner, unique(f"{path}/{snake_case(type(inner).__name__)}"))

    for number, layer in enumerate(model.layers):
        collect(layer, unique(f"layers/{number if numbered else layer.name}"))
    return weights, states


def _optimizer_names(optimizer: optimizers.Optimizer, weights: Mapping[str, Variable]) -> dict[str, str]:
    """Return, by names in files, the keys of the optimizer's state that are general or belong to the weights."""
    paths = {id(variable): "optimizer" + name.removeprefix("layers") for name, variable in weights.items()}
    numbered = [paths.get(id(variable)) for variable in optimizer.variables_with_state]
    names = {}
    for key in optimizer.get_state():
        number, _, slot = key.rpartition("/")
        path = numbered[int(number)] if number else "optimizer"
        if path is not None:
            names[f"{path}/{slot}"] = key
    return names


# --------------------------------------------------------------------- configuration


def _json_layer(layer: Layer) -> Any:
    config = {"class_name": type(layer).__name__, "config": layer.get_config()}
    try:
        return json.loads(json.dumps(config, default=_plain))
    except TypeError as error:
        raise ValueError(
            f"layer {layer.name!r} cannot be saved: {error}. Put it into a layer class of your own, decorated with "
            "fastnn.layers.register_layer, or save the weights alone, with save_weights"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a file cannot hold {value!r} of its configuration")


def _compile_config(model: Sequential) -> tuple[dict[str, Any] | None, list[str]]:
    """Return what to compile the loaded model with, or None, and what of it had to be left out."""
    if model.optimizer is None:
        return None, []
    optimizer = _portable(model.optimizer, optimizers)
    if optimizer is None:
        return None, [f"the optimizer {type(model.optimizer).__name__}"]
    left_out = []
    loss = None if model.loss is None else _portable(model.loss, losses)
    if loss is None and model.loss is not None:
        left_out.append(f"the loss {model.loss.name!r}")
    kept = []
    for metric in model._given_metrics:
        config = _portable(metric, metrics)
        if config is None:
            left_out.append(f"the metric {metrics.get(metric).name!r}")
        else:
            kept.append(config)
    return {"optimizer": optimizer, "loss": loss, "metrics": kept}, left_out


def _portable(part: Any, module: Any) -> Any:
    """Return a name or configuration of which ``module.get`` makes the same thing, or None of a thing of the user's own."""
    try:
        made = module.get(part)
        config = part if isinstance(part, str) else json.loads(json.dumps(module.serialize(made), default=_plain))
        return config if type(module.get(config)) is type(made) else None
    except (TypeError, ValueError):
        return None


def _model_from(header: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Sequential:
    """Return the model that a header describes, with the values of the tensors."""
    from .model import Sequential  # which needs the callbacks, which need this module

    with random.drawing_from(0), blank_weights(sum(array.nbytes for array in tensors.values())):
        model = Sequential.from_config(header["model"])
    weights, states = weights_and_states(model)
    if (compiled := header["compile"]) is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever compiled the model that was saved has seen them
            model.compile(compiled["optimizer"], compiled["loss"], compiled["metrics"])
    _assign(model.optimizer, weights, states, tensors)
    return model


def _assign(
    optimizer: optimizers.Optimizer | None,
    weights: dict[str, Variable],
    states: dict[str, np.ndarray],
    tensors: Mapping[str, np.ndarray],
) -> None:
    """Write a file's arrays into weights, states and optimizer: all of them, or none if they are not those of the model."""
    own = {name: variable.data for name, variable in weights.items()} | states
    names: dict[str, str] = {}
    if optimizer is not None:
        stateful = {name.rpartition("/")[0] for name in tensors}
        optimizer.build(v for name, v in weights.items() if "optimizer" + name.removeprefix("layers") in stateful)
        names = _optimizer_names(optimizer, weights)
    if differing := sorted(tensors.keys() ^ (own.keys() | names.keys())):
        raise ValueError(f"the arrays are not those of the model: {', '.join(differing)}")
    for name, array in own.items():
        if tensors[name].shape != array.shape or tensors[name].dtype != array.dtype:
            raise ValueError(f"{name!r} must be {_described(array)}, as the model has it; got {_described(tensors[name])}")
    if optimizer is not None:
        optimizer.set_state({key: tensors[name] for name, key in names.items()})
    for name, variable in weights.items():
        variable.assign(tensors[name])
    for name, state in states.items():
        state[...] = tensors[name]


def _optimizer_identity(optimizer: optimizers.Optimizer) -> dict[str, Any]:
    """Return what stays the same in a training, as far as a file can hold it: a learning rate that is a number may change."""
    portable = _portable(optimizer, optimizers)
    identity = {"optimizer": type(optimizer).__name__, **(portable["config"] if portable else {})}
    if optimizer.schedule is None:
        identity.pop("learning_rate", None)
    return identity


def _with_arrays_named(value: Any, name: str, tensors: dict[str, np.ndarray]) -> Any:
    """Return a value for JSON, with names in the place of its arrays, which are put among the tensors."""
    if isinstance(value, np.ndarray):
        tensors[name] = value
        return {"array": name}
    if isinstance(value, Mapping):
        return {key: _with_arrays_named(item, f"{name}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_arrays_named(item, f"{name}/{number}", tensors) for number, item in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays_put_back(value: Any, tensors: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"array"} and value["array"] in tensors:
            return tensors[value["array"]].copy()  # the file's memory cannot be written to
        return {key: _with_arrays_put_back(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_arrays_put_back(item, tensors) for item in value]
    return value


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"


def reason(error: Exception) -> str:
    """Return what is wrong, in words: the type too where the message alone says nothing."""
    return str(error) if isinstance(error, (ValueError, TypeError)) else f"{type(error).__name__}: {error}"


# --------------------------------------------------------------------- files


def _read(path: PathLike) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the header and the arrays of a file."""
    with open(path, "rb") as file:
        data = file.read()
    if data.startswith(KERAS):
        raise ModelFileError(
            f"{os.fspath(path)!r} is a file of Keras or PyTorch, of which only weights can be read: "
            "make the model and call its load_weights"
        )
    try:
        tensors = safetensors.numpy.load(data)
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__") or {}
    except Exception as error:
        raise ModelFileError(f"{os.fspath(path)!r} is damaged or not a safetensors file: {reason(error)}") from error
    if ENTRY not in metadata:
        raise ModelFileError(
            f"{os.fspath(path)!r} is a safetensors file, but none that fastnn wrote; "
            "fastnn.interchange.load_torch_weights reads those of PyTorch"
        )
    try:
        header = json.loads(metadata[ENTRY])
        digest = header.pop(DIGEST, None)
        version, weights = header["version"], header["weights"]
        if version == VERSION and not (isinstance(weights, list) and all(name in tensors for name in weights)):
            raise ValueError("it lists weights that it does not hold")
        if version == VERSION and digest is not None and digest != _digest(tensors, header):
            raise ValueError("it is not what was written, since its SHA-256 digest is another")
    except Exception as error:
        raise ModelFileError(f"{os.fspath(path)!r} is damaged: {reason(error)}") from error
    if version != VERSION:
        raise ModelFileError(f"{os.fspath(path)!r} has version {version!r} of the layout; this fastnn reads version {VERSION}")
    return header, tensors


def _write(path: PathLike, tensors: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> None:
    """Write a file of arrays, and of a header as JSON."""
    # the library reads memory from the first byte on, so arrays must be contiguous
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    entry = json.dumps({**header, DIGEST: _digest(arrays, header)})
    replace_file(path, safetensors.numpy.save(arrays, {ENTRY: entry}))


def _digest(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a file's arrays, with their names, dtypes and shapes, and of its header."""
    digest = hashlib.sha256(json.dumps(header).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()
