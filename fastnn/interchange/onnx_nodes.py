"""The nodes of an ONNX graph, and what is known of it before there is an input: weights, and numbers that stand for shapes.

Reading trusts nothing in the file: nothing is executed, and memory is taken in proportion to what the file holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .onnx_library import ReferenceEvaluator, onnx

#: names of ONNX's own set of operators
STANDARD = ("", "ai.onnx")
#: most numbers in an array that stands for a shape or for axes
MAX_SHAPE = 64
#: operators that compute shapes
OF_SHAPES = (
    *("Add", "Cast", "Concat", "ConstantOfShape", "Div", "Gather", "Identity"),
    *("Mul", "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
)


class Node(NamedTuple):
    """What a node says.

    Parameters
    ----------
    operator : str
        Its operator, behind the name of a set that is not ONNX's own.
    inputs : list of str
        Names of its inputs, "" for one that is left out.
    attributes : dict
        By name.
    constants : dict of str to ndarray
        All that is known before there is an input.
    opset : int
        Version of ONNX's operators.
    """

    operator: str
    inputs: list[str]
    attributes: Mapping[str, Any]
    constants: Mapping[str, np.ndarray]
    opset: int

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(name, default)

    def only(self, **known: Any) -> None:
        """Raise an error where an attribute has another value than the one that has a counterpart."""
        for name, value in known.items():
            if (found := self.get(name, value)) != value:
                raise ValueError(f"{name}={found!r} has no counterpart, only {value!r} has")

    @property
    def results(self) -> list[str]:
        """Names of its inputs that depend on the model's."""
        return [name for name in self.inputs if name and name not in self.constants]

    def constant(self, number: int) -> np.ndarray:
        """Return the value of an input, an array of floats in the model's type or of integers."""
        name = self.inputs[number] if number < len(self.inputs) else ""
        if name not in self.constants:
            raise ValueError(f"its input number {number}, {name!r}, must be a constant")
        array = self.constants[name]
        if array.dtype.kind == "f" and array.dtype.name not in ("float32", "float64"):
            raise ValueError(f"{name!r} is of type {array.dtype}; only float32 and float64 are read")
        return array

    def optional(self, number: int) -> np.ndarray | None:
        """Return the value of an input that may be left out."""
        return self.constant(number) if len(self.inputs) > number and self.inputs[number] else None

    def integers(self, name: str, number: int) -> list[int] | None:
        """Return integers that are an attribute in older operator sets and an input in newer ones."""
        if name in self.attributes:
            return list(self.attributes[name])
        array = self.optional(number)
        return None if array is None else [int(value) for value in array.ravel()[:MAX_SHAPE]]


def node_of(proto: Any, constants: Mapping[str, np.ndarray], opset: int) -> Node:
    """Return what a node of the file says."""
    return Node(
        proto.op_type if proto.domain in STANDARD else f"{proto.domain}.{proto.op_type}",
        list(proto.input),
        {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in proto.attribute},
        constants,
        opset,
    )


def given_value(node: Node) -> np.ndarray:
    """Return the value of a Constant."""
    for name, value in node.attributes.items():
        if name == "value":
            return array_of(value, None)
        if name in ("value_float", "value_floats", "value_int", "value_ints"):
            return np.asarray(value, np.float32 if "float" in name else np.int64)
    raise ValueError("its value is of a kind that is not read")


def computed_value(node: Node, proto: Any) -> np.ndarray:
    """Return what a node computes of constants alone, if that is a shape."""
    arrays = {name: node.constants[name] for name in node.inputs}
    if node.operator in ("Cast", "Identity"):
        (array,) = arrays.values()
        dtype = onnx.helper.tensor_dtype_to_np_dtype(node.get("to")) if node.operator == "Cast" else array.dtype
        if array.dtype == dtype:
            return array  # not a copy: a file of many nodes must not take memory with each
    size = sum(array.size for array in arrays.values())
    if node.operator == "ConstantOfShape":
        size += math.prod(int(extent) for extent in next(iter(arrays.values())).ravel()[:MAX_SHAPE])
    if node.operator not in OF_SHAPES or size > MAX_SHAPE:
        raise ValueError("it computes with constants, which is read for shapes alone; let the program that writes the file do it")
    return np.asarray(ReferenceEvaluator(proto, opsets={"": node.opset}).run(None, arrays)[0])


def array_of(tensor: Any, folder: Path | None) -> np.ndarray:
    """Return the values of a tensor, which may lie in a file beside the model."""
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return onnx.numpy_helper.to_array(tensor)
    place = {entry.key: entry.value for entry in tensor.external_data}
    name = place.get("location", "")
    if folder is None or not name or name != Path(name).name or name == ".." or "\\" in name or ":" in name:
        raise ValueError(f"the values of {tensor.name!r} are said to be in {name!r}, which is no file in the folder of the model")
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise ValueError(f"the values of {tensor.name!r} are in the file {name!r}, which is not there beside the model")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    size, offset = math.prod(tensor.dims) * dtype.itemsize, int(place.get("offset", 0))
    if min(tensor.dims, default=0) < 0 or not 0 <= offset <= path.stat().st_size - size:
        raise ValueError(
            f"the values of {tensor.name!r}, {dtype} of shape {tuple(tensor.dims)}, are not whole in the file {name!r}"
        )
    with open(path, "rb") as file:
        file.seek(offset)
        return np.frombuffer(file.read(size), dtype).reshape(tuple(tensor.dims))
