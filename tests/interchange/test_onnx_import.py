"""Models that PyTorch and Keras wrote as ONNX compute here what they compute there; other graphs are refused by name."""

import os
import shutil

import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import fastnn
import fastnn.interchange.onnx_import  # where memory is measured, it has been imported
from fastnn import layers, random
from fastnn.saving import ModelFileError
from tests.interchange.recorded import FILES, arrays

pytestmark = pytest.mark.filterwarnings("ignore:.*runs step by step in Python")

RNG = np.random.default_rng(4)


@pytest.mark.parametrize(
    "name, classes",
    [
        ("torch_net", ["Conv2D", "MaxPooling2D", "Conv2D", "Flatten", "Dense", "Dense"]),
        (
            "torch_row",
            ["Conv2D", "PReLU", "AveragePooling2D", "ReLU", "BatchNormalization", "GlobalAveragePooling2D", "Dense"]
            + ["LayerNormalization", "Activation", "Dense", "LeakyReLU", "Dense", "ELU", "Dense"],
        ),
        (
            "keras_graph",
            ["Rescaling", "Conv2D", "Rescaling", "MaxPooling2D", "Conv2D", "Conv2D", "Conv2D", "Flatten", "Dense", "Dense"],
        ),
    ],
)
def test_models_of_other_programs(name, classes):
    recorded = arrays(f"{name}.npz")
    before = random.generator().bit_generator.state
    model = fastnn.load_onnx(FILES / f"{name}.onnx")
    assert random.generator().bit_generator.state == before
    assert [type(layer).__name__ for layer in model.layers] == classes
    assert model.input_shape == (None, *recorded["x"].shape[1:])
    np.testing.assert_allclose(model.predict(recorded["x"]), recorded["y"], rtol=1e-5, atol=1e-5)


def test_a_model_that_was_read_can_be_trained_and_saved(tmp_path):
    model = fastnn.load_onnx(str(FILES / "torch_net.onnx"))
    model.compile("adam", "mse")
    x = arrays("torch_net.npz")["x"]
    history = model.fit(x, np.zeros((3, 3)), epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(fastnn.load_model(tmp_path / "m").predict(x), model.predict(x))


# ------------------------------------------------------------------------ graphs by hand


def graph(nodes, constants=(), inputs=((2, 3, 5, 5),), elem_type=TensorProto.FLOAT, opset=20, outputs=("y",)):
    """A file's content, of nodes (operator, inputs, attributes) in a row; the last output is "y"."""
    made = []
    for number, (operator, names, attributes) in enumerate(nodes):
        output = "y" if number == len(nodes) - 1 else f"r{number}"
        domain = attributes.pop("domain", "") if "domain" in attributes else ""
        made.append(helper.make_node(operator, names, [output], f"n{number}", domain=domain, **attributes))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()]
    infos = [helper.make_tensor_value_info("x" if not n else f"x{n}", elem_type, shape) for n, shape in enumerate(inputs)]
    ends = [helper.make_tensor_value_info(name, elem_type, None) for name in outputs]
    proto = helper.make_model(
        helper.make_graph(made, "g", infos, ends, tensors), opset_imports=[helper.make_opsetid("", opset)], ir_version=9
    )
    return proto.SerializeToString()


def read(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    return fastnn.load_onnx(tmp_path / "m.onnx")


def f(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def both(tmp_path, nodes, constants=(), x=None, **arguments):
    """The outputs of the model that is read, and of ONNX's reference implementation."""
    x = f(2, 3, 5, 5) if x is None else x
    content = graph(nodes, constants, inputs=(x.shape,), **arguments)
    model = read(tmp_path, content)
    return model.predict(x), onnx.reference.ReferenceEvaluator(content).run(None, {"x": x})[0]


PAIRS = {
    "pads": ([("Conv", ["x", "w"], {"pads": [1, 0, 2, 1], "strides": [2, 1]})], {"w": f(2, 3, 3, 2)}),
    "same": ([("Conv", ["x", "w", "b"], {"auto_pad": "SAME_UPPER", "strides": [2, 2]})], {"w": f(2, 3, 2, 3), "b": f(2)}),
    "valid": ([("MaxPool", ["x"], {"kernel_shape": [2, 3], "auto_pad": "VALID"})], {}),
    "ceil that is even": ([("AveragePool", ["x"], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})], {}),
    "bias by Add": ([("Conv", ["x", "w"], {}), ("Add", ["r0", "b"], {})], {"w": f(2, 3, 2, 2), "b": f(2, 1, 1)}),
    "Gemm transposed": ([("Flatten", ["x"], {}), ("Gemm", ["r0", "w", "b"], {"transB": 1})], {"w": f(4, 75), "b": f(1, 4)}),
    "MatMul and Add": (
        [("Flatten", ["x"], {}), ("MatMul", ["r0", "w"], {}), ("Add", ["b", "r1"], {}), ("Relu", ["r2"], {})],
        {"w": f(75, 4), "b": f(4)},
    ),
    "MatMul and Add of one unit": (
        [("Flatten", ["x"], {}), ("MatMul", ["r0", "w"], {}), ("Add", ["r1", "b"], {})],
        {"w": f(75, 1), "b": f(1)},
    ),
    "arithmetic": (
        [("Sub", ["x", "a"], {}), ("Div", ["r0", "b"], {}), ("Mul", ["c", "r1"], {}), ("Sub", ["b", "r2"], {})],
        {"a": f(), "b": f(5), "c": f(1, 1, 1, 5)},
    ),
    "Clip": ([("Clip", ["x", "low", "high"], {})], {"low": np.float32(0), "high": np.float32(0.5)}),
    "Clip from 0": ([("Clip", ["x", "low"], {})], {"low": np.float32(0)}),
    "PRelu by channel": ([("PRelu", ["x", "a"], {})], {"a": f(3, 1, 1)}),
    "PRelu of images with the channels last": (
        [("Transpose", ["x"], {"perm": [0, 3, 1, 2]}), ("PRelu", ["r0", "a"], {}), ("Transpose", ["r1"], {"perm": [0, 2, 3, 1]})],
        {"a": f(5, 1, 5)},
    ),
    "Softmax by channel": ([("Softmax", ["x"], {"axis": 1})], {}),
    "Softmax by channel from operator set 13 on": ([("Softmax", ["x"], {"axis": 1})], {}, 13),
    "means by axes": ([("ReduceMean", ["x", "axes"], {"keepdims": 0})], {"axes": np.array([2, -1])}),
    "means with the channels last": ([("ReduceMean", ["x", "axes"], {"keepdims": 1})], {"axes": np.array([1, 2])}),
    "Squeeze": ([("GlobalMaxPool", ["x"], {}), ("Squeeze", ["r0", "axes"], {})], {"axes": np.array([2, 3])}),
    "Squeeze before operator set 13": ([("GlobalMaxPool", ["x"], {}), ("Squeeze", ["r0"], {"axes": [2, 3]})], {}, 11),
    "means by axes before operator set 18": ([("ReduceMean", ["x"], {"axes": [2, 3], "keepdims": 0})], {}, 11),
    "Unsqueeze": ([("Flatten", ["x"], {}), ("Unsqueeze", ["r0", "axes"], {})], {"axes": np.array([1, 3])}),
    "Reshape keeps": ([("Reshape", ["x", "shape"], {})], {"shape": np.array([0, 0, 25])}),
    "Reshape of a batch that is fixed": ([("Reshape", ["x", "shape"], {})], {"shape": np.array([2, 5, -1])}),
    "Reshape of what is left": ([("Reshape", ["x", "shape"], {})], {"shape": np.array([-1, 75])}),
    "Flatten of moved channels": ([("Transpose", ["x"], {"perm": [0, 2, 3, 1]}), ("Flatten", ["r0"], {})], {}),
    "batch normalization": (
        [("BatchNormalization", ["x", "a", "b", "c", "d"], {"epsilon": 0.1})],
        {"a": f(3), "b": f(3), "c": f(3), "d": abs(f(3))},
    ),
    "Pad and Conv": (
        [("Pad", ["x", "p"], {}), ("Conv", ["r0", "w"], {"pads": [0, 1, 1, 0]})],
        {"p": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "w": f(2, 3, 3, 3)},
    ),
    "Pad and a Conv without padding": (
        [("Pad", ["x", "p"], {}), ("Conv", ["r0", "w"], {"auto_pad": "VALID"})],
        {"p": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "w": f(2, 3, 3, 3)},
    ),
    "zeros counted where there are none": (
        [("AveragePool", ["x"], {"kernel_shape": [2, 2], "auto_pad": "VALID", "count_include_pad": 1})],
        {},
    ),
    "what does nothing": ([("Identity", ["x"], {}), ("Dropout", ["r0"], {}), ("Tanh", ["r1"], {})], {}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_operators_compute_what_the_reference_computes(tmp_path, name):
    nodes, constants, *opset = PAIRS[name]
    mine, theirs = both(tmp_path, nodes, constants, opset=opset[0] if opset else 20)
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


def test_shapes_that_are_computed(tmp_path):
    nodes = [
        ("Shape", ["x"], {}),
        ("Gather", ["r0", "zero"], {}),
        ("Unsqueeze", ["r1", "axes"], {}),
        ("Concat", ["r2", "rest"], {"axis": 0}),
        ("Reshape", ["x", "r3"], {}),
    ]
    mine, theirs = both(tmp_path, nodes, {"zero": np.int64(0), "axes": np.array([0]), "rest": np.array([-1])})
    np.testing.assert_array_equal(mine, theirs)


REFUSED = {
    "an unknown operator": ([("GRU", ["x"], {})], {}, r"node 'n0' \(GRU\) of '.*m.onnx' cannot be read: there is no layer"),
    "an operator of another program": ([("Relu", ["x"], {"domain": "com.microsoft"})], {}, r"\(Relu\).*no layer"),
    "a way round": ([("Relu", ["x"], {}), ("Add", ["r0", "x"], {})], {}, r"takes \['r0', 'x'\].*this is no row"),
    "a result of long ago": ([("Relu", ["x"], {}), ("Tanh", ["x"], {})], {}, "no row"),
    "a product of results": ([("Relu", ["x"], {}), ("Mul", ["r0", "x"], {})], {}, "multiplies two results"),
    "filters that are computed": ([("Relu", ["x"], {}), ("Conv", ["r0", "r0"], {})], {}, "no row"),
    "a convolution along one axis": ([("Conv", ["x", "w"], {})], {"w": f(2, 3, 3)}, "along 1 axes"),
    "filters for other images": ([("Conv", ["x", "w"], {})], {"w": f(2, 4, 3, 3)}, r"shape \(3, 3, 3, 2\); got .*\(3, 3, 4, 2\)"),
    "half filters": ([("Conv", ["x", "w"], {})], {"w": f(2, 3, 3, 3).astype(np.float16)}, "'w' is of type float16"),
    "SAME_LOWER": ([("MaxPool", ["x"], {"kernel_shape": [2, 2], "auto_pad": "SAME_LOWER"})], {}, "SAME_LOWER"),
    "uneven windows": ([("MaxPool", ["x"], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1})], {}, "ceil_mode"),
    "means with zeros": (
        [("AveragePool", ["x"], {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1})], {}, "count_include_pad"
    ),
    "a batch that is mixed": ([("Reshape", ["x", "s"], {})], {"s": np.array([75, 2])}, "changes the shape of the batch"),
    "axes that are mixed": ([("Transpose", ["x"], {"perm": [0, 1, 3, 2]})], {}, r"order \(0, 1, 3, 2\)"),
    "channels by element": ([("Add", ["x", "c"], {})], {"c": f(3, 1, 1)}, "an axis that is not the last one"),
    "a scale for each pixel": ([("Mul", ["x", "c"], {})], {"c": f(5, 5)}, r"shape \(5, 5\)"),
    "Clip below 0": ([("Clip", ["x", "low"], {})], {"low": np.float32(-1)}, r"limits results to \[-1.0, None\]"),
    "gelu by tanh": ([("Gelu", ["x"], {"approximate": "tanh"})], {}, "approximate=b'tanh' has no counterpart"),
    "alpha of Gemm": ([("Flatten", ["x"], {}), ("Gemm", ["r0", "w"], {"alpha": 2.0})], {"w": f(75, 2)}, "alpha=2.0"),
    "Softmax by channel before operator set 13": ([("Softmax", ["x"], {"axis": 1})], {}, "before operator set 13", 12),
    "LogSoftmax by channel": ([("LogSoftmax", ["x"], {"axis": 1})], {}, "works along axis 1; only the last one"),
    "means of rows alone": ([("ReduceMean", ["x", "a"], {})], {"a": np.array([2])}, r"reduces the axes \[2\]"),
    "channels that are last": (
        [("Transpose", ["x"], {"perm": [0, 2, 3, 1]}), ("BatchNormalization", ["r0", *"abcd"], {})], {n: f(5) for n in "abcd"},
        "normalizes along axis 1, where the images do not have their channels",
    ),
    "a product of images": ([("MatMul", ["x", "w"], {})], {"w": f(3, 5, 5)}, "multiplies by an array of 3 axes"),
    "a limit from above alone": ([("Min", ["x", "c"], {})], {"c": np.float32(1)}, "only behind LeakyRelu"),
    "an axis that is no 1": ([("Squeeze", ["x", "a"], {})], {"a": np.array([1])}, r"takes away the axes \[1\]"),
    "whole numbers": ([("Cast", ["x"], {"to": TensorProto.INT32})], {}, "converts to int32, in a model of float32"),
    "filters of rows": ([("Flatten", ["x"], {}), ("Conv", ["r0", "w"], {})], {"w": f(2, 3, 3, 3)}, "here it gets 2"),
    "weights that are not there": ([("Flatten", ["x"], {}), ("Gemm", ["r0"], {})], {}, "input number 1, '', must be a constant"),
    "an axis that is not there": ([("Softmax", ["x"], {"axis": 7})], {}, "there is no axis 7"),
    "shapes of constants": ([("Identity", ["a"], {}), ("Add", ["x", "r0"], {})], {"a": f(4, 4, 5)}, r"shape \(4, 4, 5\)"),
    "zeros before a maximum": (
        [("Pad", ["x", "p"], {}), ("MaxPool", ["r0"], {"kernel_shape": [2, 2]})], {"p": np.array([0, 0, 1, 1] * 2)}, "zeros around"
    ),
    "zeros beside channels": (
        [("Pad", ["x", "p"], {}), ("Conv", ["r0", "w"], {})], {"p": np.array([0, 1, 1, 1] * 2), "w": f(2, 5, 3, 3)}, "zeros around"
    ),
    "a border of ones": (
        [("Pad", ["x", "p", "one"], {})], {"p": np.array([0, 0, 1, 1] * 2), "one": np.float32(1)}, "something else than zeros"
    ),
    "a border of mirrored pixels": (
        [("Pad", ["x", "p"], {"mode": "reflect"})], {"p": np.array([0, 0, 1, 1] * 2)}, "mode=b'reflect' has no counterpart"
    ),
    "a normalization of each image": (
        [("LayerNormalization", ["x", "a"], {"axis": 1})], {"a": f(3, 5, 5)}, "another axis than the last one"
    ),
    "a quotient by pixels": ([("Div", ["one", "x"], {})], {"one": f()}, "divides by a result, or by 0"),
    "a quotient by 0": ([("Div", ["x", "zero"], {})], {"zero": np.float32(0)}, "divides by a result, or by 0"),
    "a steeper Swish": ([("Swish", ["x"], {"alpha": 2.0})], {}, "alpha=2.0 has no counterpart"),
    "a huge shape": ([("ConstantOfShape", ["s"], {}), ("Reshape", ["x", "r0"], {})], {"s": np.array([10**12])}, "for shapes alone"),
    "work with weights": ([("Mul", ["a", "a"], {}), ("Add", ["x", "r0"], {})], {"a": f(100)}, "computes with constants"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart(tmp_path, name):
    nodes, constants, message, *opset = REFUSED[name]
    with pytest.raises(ModelFileError, match=message):
        read(tmp_path, graph(nodes, constants, opset=opset[0] if opset else 20))


def test_graphs_that_are_no_row(tmp_path):
    relu = [("Relu", ["x"], {})]
    with pytest.raises(ModelFileError, match="2 inputs and 1 outputs"):
        read(tmp_path, graph(relu, inputs=((2, 3), (2, 3))))
    with pytest.raises(ModelFileError, match="1 inputs and 2 outputs"):
        read(tmp_path, graph(relu, outputs=("y", "z")))
    with pytest.raises(ModelFileError, match="must be a batch of samples"):
        read(tmp_path, graph(relu, inputs=((3,),)))
    for ends in ([("Transpose", ["x"], {"perm": [0, 3, 1, 2]})], relu):
        with pytest.raises(ModelFileError, match="no row of operators that ends in its one output"):
            read(tmp_path, graph(ends, outputs=("y",) if ends is not relu else ("z",)))


# -------------------------------------------------------------------------- hostile files


def external(location, dims=(75, 2), **more):
    proto = onnx.load_model_from_string(graph([("Flatten", ["x"], {}), ("Gemm", ["r0", "w"], {})], {"w": f(75, 2)}))
    (tensor,) = proto.graph.initializer
    tensor.ClearField("raw_data")
    del tensor.dims[:]
    tensor.dims.extend(dims)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return proto.SerializeToString()


def test_weights_in_a_file_beside_the_model(tmp_path):
    values = f(150)
    (tmp_path / "w.data").write_bytes(bytes(8) + values.tobytes())
    model = read(tmp_path, external("w.data", offset=8, length=600))
    np.testing.assert_array_equal(model.layers[-1].kernel.data, values.reshape(75, 2))


def test_weights_elsewhere_are_not_read(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(600))
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "short").write_bytes(bytes(599))
    for location in ("../secret", str(tmp_path / "secret"), "", ".", "..", "inner/../../secret", "..\\secret", "c:secret"):
        with pytest.raises(ModelFileError, match="is no file in the folder of the model"):
            read(folder, external(location))
    for location in ("link", "missing", "secret"):
        with pytest.raises(ModelFileError, match="not there beside the model"):
            read(folder, external(location))
    for wrong in ({}, {"dims": (10**12, 10**6)}, {"dims": (-1, 75)}, {"dims": (5, 2), "offset": 590}, {"offset": -8}):
        with pytest.raises(ModelFileError, match="are not whole in the file"):
            read(folder, external("short", **wrong))
    with pytest.raises(ModelFileError, match="invalid literal"):
        read(folder, external("short", offset="far"))


def lying(dims, raw=bytes(16), data_type=TensorProto.FLOAT):
    proto = onnx.load_model_from_string(graph([("Add", ["x", "c"], {})], {"c": f(5)}))
    tensor = proto.graph.initializer[0]
    tensor.raw_data, tensor.data_type = raw, data_type
    del tensor.dims[:]
    tensor.dims.extend(dims)
    return proto.SerializeToString()


FOREIGN = {
    "empty": b"",
    "text": b"once upon a time there was a model that " * 20,
    "zeros": bytes(1000),
    "a message that promises 2 GB": b"\x3a\xff\xff\xff\xff\x07abc",
    "nesting": b"\x3a\x02" * 2000,
    "a tensor that lies": lying([10**12]),
    "a tensor whose size overflows": lying([2**62, 8]),
    "a tensor of negative size": lying([-4]),
    "a tensor of no type": lying([4], data_type=99),
    "a tensor of strings": lying([4], data_type=TensorProto.STRING),
    "a tensor that is cut": lying([4], raw=bytes(15)),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(tmp_path, memory_below, name):
    with memory_below(1_000_000), pytest.raises(ModelFileError, match="m.onnx"):
        read(tmp_path, FOREIGN[name])


def test_claims_cost_no_memory(tmp_path, memory_below):
    claims = [
        graph([("Relu", ["x"], {})], inputs=((1, 10**9, 10**9),)),
        graph([("Flatten", ["x"], {}), ("Relu", ["r0"], {})], inputs=((1, 10**6, 10**6),)),
        graph([("MaxPool", ["x"], {"kernel_shape": [2, 2], "pads": [10**9] * 4})]),
        graph([("Conv", ["x", "w"], {"dilations": [10**9, 1], "pads": [10**9] * 4})], {"w": f(2, 3, 3, 3)}),
        graph([("Conv", ["x", "w"], {"group": 10**9})], {"w": f(2, 3, 3, 3)}),
    ]
    for content in claims:
        with memory_below(1_000_000):
            try:
                model = read(tmp_path, content)
            except ModelFileError as error:
                assert "m.onnx" in str(error)
            else:
                assert isinstance(model, fastnn.Sequential)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        fastnn.load_onnx(tmp_path / "missing.onnx")
    with pytest.raises(OSError):
        fastnn.load_onnx(tmp_path)


FUZZ = settings(max_examples=150, deadline=None, derandomize=True, database=None)


@FUZZ
@given(name=st.sampled_from(["torch_net", "torch_row", "keras_graph"]), data=st.data())
def test_flipped_bytes(tmp_path_factory, name, data):
    content = bytearray((FILES / f"{name}.onnx").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "m.onnx").write_bytes(content)
    shutil.copy(FILES / "torch_net.onnx.data", folder)
    try:
        model = fastnn.load_onnx(folder / "m.onnx")
    except ModelFileError as error:
        assert "m.onnx" in str(error)
    else:
        assert all(isinstance(layer, layers.Layer) for layer in model.layers)
    assert sorted(os.listdir(folder)) == ["m.onnx", "torch_net.onnx.data"]


@FUZZ
@given(content=st.binary(max_size=200))
def test_random_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        fastnn.load_onnx(path)
