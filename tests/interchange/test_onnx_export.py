"""What onnxruntime, ONNX's own reference implementation and a model read again compute is what the exported model computes."""

import os
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

import fastnn
from fastnn import activations, layers, ops
from fastnn.interchange.onnx_export import LAYERS

pytestmark = pytest.mark.filterwarnings("ignore:.*runs step by step in Python")

RNG = np.random.default_rng(3)
IMAGES = (7, 8, 4)


STACKS = {
    "Conv2D": [layers.Conv2D(5, 3, activation="relu")],
    "Conv2D strided same": [layers.Conv2D(6, (3, 2), strides=(2, 3), padding="same", groups=2, use_bias=False)],
    "Conv2D dilated same": [layers.Conv2D(2, 3, padding="same", dilation_rate=(2, 1), activation="tanh")],
    "Conv2D explicit": [layers.Conv2D(3, (2, 3), padding=((1, 0), (2, 1)), strides=2)],
    "Conv2D first": [layers.Conv2D(3, (2, 3), padding=1, data_format="channels_first", activation="softmax")],
    "Conv2D softmax": [layers.Conv2D(3, 2, activation="softmax"), layers.Conv2D(3, 1, activation=layers.Softmax(axis=1))],
    "DepthwiseConv2D": [layers.DepthwiseConv2D(3, depth_multiplier=2, dilation_rate=2, activation="elu")],
    "DepthwiseConv2D first": [layers.DepthwiseConv2D(2, strides=2, padding="same", data_format="channels_first")],
    "SeparableConv2D": [layers.SeparableConv2D(5, 3, depth_multiplier=2, activation=layers.LeakyReLU(0.1))],
    "MaxPooling2D": [layers.MaxPooling2D(2)],
    "MaxPooling2D same": [layers.MaxPooling2D((3, 2), strides=2, padding="same")],
    "MaxPooling2D explicit": [layers.MaxPooling2D(3, strides=1, padding=((1, 0), (0, 1)), data_format="channels_first")],
    "AveragePooling2D": [layers.AveragePooling2D((2, 3))],
    "AveragePooling2D same": [layers.AveragePooling2D(3, strides=2, padding="same")],
    "AveragePooling2D explicit": [layers.AveragePooling2D(3, strides=2, padding=1)],
    "GlobalAveragePooling2D": [layers.GlobalAveragePooling2D(), layers.Dense(3)],
    "GlobalAveragePooling2D kept": [layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(3, 1)],
    "GlobalMaxPooling2D": [layers.GlobalMaxPooling2D(data_format="channels_first")],
    "BatchNormalization": [layers.BatchNormalization(epsilon=0.01, scale=False)],
    "BatchNormalization first": [layers.BatchNormalization(axis=1, center=False)],
    "BatchNormalization of rows": [layers.Flatten(), layers.BatchNormalization()],
    "BatchNormalization of sequences": [layers.Reshape((14, 16)), layers.BatchNormalization(), layers.Dense(3)],
    "LayerNormalization": [layers.Dense(3), layers.LayerNormalization()],
    "LayerNormalization of images": [layers.Conv2D(3, 1), layers.LayerNormalization()],
    "LayerNormalization plain": [layers.LayerNormalization(center=False, scale=False)],
    "Dense on images": [layers.Dense(3, activation="gelu"), layers.Dense(2, use_bias=False)],
    "Dense on rows": [layers.Flatten(), layers.Dense(3, use_bias=False), layers.Dense(4, activation="softmax")],
    "Flatten": [layers.Conv2D(3, 2), layers.Flatten(), layers.Dense(2)],
    "Flatten first": [layers.Conv2D(3, 2, data_format="channels_first"), layers.Flatten("channels_first"), layers.Dense(2)],
    "Reshape": [layers.Conv2D(2, 2), layers.Reshape((6, -1)), layers.Reshape((84,))],
    "Rescaling": [layers.Rescaling(1 / 255, offset=-0.5), layers.Conv2D(2, 3)],
    "Rescaling by channel": [layers.Conv2D(4, 2), layers.Rescaling([1, 2, 3, 4], offset=[0.1, 0.2, 0.3, 0.4])],
    "Activation": [layers.Conv2D(2, 3), layers.Activation("selu"), layers.MaxPooling2D(2), layers.Activation("softmax")],
    "ReLU": [layers.ReLU(max_value=1.5, negative_slope=0.1), layers.ReLU(max_value=0.5), layers.ReLU()],
    "LeakyReLU": [layers.Conv2D(2, 3), layers.LeakyReLU()],
    "PReLU": [layers.PReLU(), layers.Conv2D(2, 3), layers.PReLU(shared_axes=(1, 2)), layers.Conv2D(2, 2), layers.PReLU()],
    "ELU": [layers.ELU(0.7)],
    "Softmax": [layers.Conv2D(2, 3), layers.Softmax(), layers.Softmax(axis=2), layers.Softmax(axis=1)],
    "Sigmoid": [layers.Sigmoid()],
    "BipolarSigmoid": [layers.BipolarSigmoid()],
    "Tanh": [layers.Tanh()],
    "Dropout": [layers.Conv2D(2, 3), layers.Dropout(0.5), layers.Conv2D(2, 3)],
    "changes of images in training": [
        *[layers.RandomFlip(), layers.RandomTranslation(0.1, 0.1), layers.RandomRotation(0.1), layers.RandomZoom(0.1)],
        *[layers.RandomContrast(0.1), layers.RandomBrightness(0.1), layers.Conv2D(2, 3)],
    ],
    "RandomCrop": [layers.Conv2D(3, 1), layers.RandomCrop(5, 4), layers.Conv2D(2, 3)],
    "RandomCrop first": [
        layers.RandomCrop(3, 2, data_format="channels_first"),
        layers.RandomCrop(3, 2, data_format="channels_first"),
    ],
    "Dropout alone": [layers.Dropout(0.5)],
    "MNIST": [
        layers.Conv2D(4, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(2),
        layers.Dropout(0.3),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ],
    **{name: [layers.Activation(name)] for name in activations.FUNCTIONS},
}


def model_of(stack, dtype="float32", shape=IMAGES):
    """The stack, made anew with a dtype, with weights that differ from each other and from what initializers give."""
    fastnn.set_seed(0)
    made = []
    for layer in stack:
        config = layer.get_config()
        if isinstance(layer, layers.Layer) and isinstance(config.get("activation"), dict):
            config["activation"]["config"]["dtype"] = dtype
        made.append(type(layer).from_config({**config, "dtype": dtype}))
    model = fastnn.Sequential([layers.Input(shape), *made])
    for weight in model.weights:
        weight.assign(RNG.uniform(0.2 if "variance" in weight.name else -1, 1, weight.shape))
    return model


def input_for(model, dtype, batch=3):
    return RNG.uniform(-2, 2, (batch, *model.input_shape[1:])).astype(dtype)


def by_onnxruntime(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["output"], {"input": x})[0]


def test_every_layer_and_every_activation_is_tested():
    assert {type(layer) for stack in STACKS.values() for layer in stack} == set(LAYERS)
    assert set(activations.FUNCTIONS) <= set(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_onnxruntime_computes_the_same(tmp_path, stack):
    model = model_of(STACKS[stack])
    model.export_onnx(tmp_path / "m.onnx")
    for batch in (3, 1):
        x = input_for(model, "float32", batch)
        y = by_onnxruntime(tmp_path / "m.onnx", x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, model.predict(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stack", [name for name in STACKS if name != "LayerNormalization of images"])
def test_in_float64_too(tmp_path, stack):
    model = model_of(STACKS[stack], "float64")
    model.export_onnx(tmp_path / "m.onnx")
    x = input_for(model, "float64")
    # onnxruntime has no convolution for float64, the reference no layer normalization
    if "LayerNormalization" in stack:
        y = by_onnxruntime(tmp_path / "m.onnx", x)
    else:
        y = ReferenceEvaluator(str(tmp_path / "m.onnx")).run(None, {"input": x})[0]
    assert y.dtype == np.float64
    # slopes and epsilons are float32 in ONNX
    np.testing.assert_allclose(y, model.predict(x), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stack", [stack for stack in STACKS if "RandomCrop" not in stack])  # no layer reads a Slice
def test_what_was_exported_can_be_read_again(tmp_path, stack, dtype):
    model = model_of(STACKS[stack], dtype)
    model.export_onnx(tmp_path / "m.onnx")
    other = fastnn.load_onnx(tmp_path / "m.onnx")
    assert (other.input_shape, other.output_shape, other.dtype) == (model.input_shape, model.output_shape, model.dtype)
    x = input_for(model, dtype)
    np.testing.assert_allclose(other.predict(x), model.predict(x), rtol=1e-5, atol=1e-6)


def test_images_of_bytes(tmp_path):
    model = model_of([layers.Rescaling(1 / 255), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)])
    model.export_onnx(tmp_path / "m.onnx", input_dtype="uint8")
    x = RNG.integers(0, 256, (3, *IMAGES), dtype=np.uint8)
    np.testing.assert_allclose(by_onnxruntime(tmp_path / "m.onnx", x), model.predict(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fastnn.load_onnx(tmp_path / "m.onnx").predict(x), model.predict(x), rtol=1e-5, atol=1e-5)
    for wrong in ("float64", "int8"):
        with pytest.raises(ValueError, match=f"input_dtype must be 'uint8' or 'float32', the model's own type; got '{wrong}'"):
            model.export_onnx(tmp_path / "wrong.onnx", input_dtype=wrong)
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_images_of_any_size(tmp_path):
    stack = [
        layers.Conv2D(3, 3, padding="same", strides=2, activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
        layers.AveragePooling2D(2, strides=1, padding=1),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    ]
    model = model_of(stack, shape=(None, None, 2))
    model.export_onnx(tmp_path / "m.onnx")
    for size in ((9, 12), (16, 7)):
        x = RNG.uniform(-1, 1, (2, *size, 2)).astype(np.float32)
        np.testing.assert_allclose(by_onnxruntime(tmp_path / "m.onnx", x), model.predict(x), rtol=1e-5, atol=1e-5)


def test_models_that_share_layers(tmp_path):
    fastnn.set_seed(0)
    convolutions = [layers.Conv2D(4, 3, activation="relu"), layers.SeparableConv2D(3, 2)]
    dense = layers.Dense(4, activation="tanh")
    means = layers.GlobalAveragePooling2D()
    shared = [
        *convolutions,
        layers.MaxPooling2D(3, strides=2, padding="same"),  # whose padding depends on the size of its images
        dense,
        layers.AveragePooling2D(2, padding="same"),
    ]
    rows = [dense, layers.Reshape((-1, 2)), layers.Dense(2), layers.Flatten(), layers.Dense(3)]
    for size in ((12, 11, 2), (9, 10, 2)):
        check_in_onnxruntime(tmp_path, [layers.Input(size), *shared])
        check_in_onnxruntime(tmp_path, [layers.Input(size), *convolutions, means, layers.Dense(2)])
    for sample in ((3,), (2, 3)):
        check_in_onnxruntime(tmp_path, [layers.Input(sample), *rows[: 4 if len(sample) == 1 else 1]])


def check_in_onnxruntime(folder, stack):
    model = fastnn.Sequential(stack)
    model.export_onnx(folder / "m.onnx")
    x = input_for(model, "float32")
    np.testing.assert_allclose(by_onnxruntime(folder / "m.onnx", x), model.predict(x), rtol=1e-5, atol=1e-5)


def test_what_stands_in_the_file(tmp_path):
    model = model_of(STACKS["MNIST"])
    model.export_onnx(tmp_path / "m.onnx")
    made = onnx.load(tmp_path / "m.onnx")
    assert [(opset.domain, opset.version) for opset in made.opset_import] == [("", 20)]
    assert (made.producer_name, made.producer_version, made.graph.name) == ("fastnn", fastnn.__version__, model.name)
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*made.graph.input, *made.graph.output)
    }
    assert shapes == {"input": ["batch", *IMAGES], "output": ["batch", 10]}
    # two changes of the layout in all: the images' channels stay first from the first convolution to the rows
    operators = [node.op_type for node in made.graph.node]
    assert operators == [
        *["Transpose", "Conv", "Relu", "BatchNormalization", "MaxPool"],
        *["Transpose", "Flatten", "Gemm", "Softmax"],
    ]


class Own(layers.Dense):
    pass


@pytest.mark.parametrize(
    "image, message",
    [
        ((None, None), r"layer 'crop' \(RandomCrop\) needs images of known height and width"),
        ((4, 10), r"layer 'crop' \(RandomCrop\) has no counterpart .* larger: from \(4, 10\) to \(8, 8\)"),
    ],
)
def test_crops_without_counterpart(tmp_path, image, message):
    model = fastnn.Sequential([layers.Input((*image, 1)), layers.RandomCrop(8, 8, name="crop")])
    with pytest.raises(ValueError, match=message):
        model.export_onnx(tmp_path / "m.onnx")
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "layer, message",
    [
        (lambda: Own(3, name="mine"), r"layer 'mine' \(Own\) has no counterpart in ONNX; what has one is Dense, Conv2D"),
        (
            lambda: layers.Dense(3, activation=lambda x: ops.relu(x), name="mine"),
            r"activation of layer 'mine' \(Dense\), <function",
        ),
        (lambda: layers.Dense(3, activation=Own(2)), r"layer 'own.*' \(Own\) has no counterpart"),
        (lambda: layers.Dense(3, dtype="float64", name="wide"), r"layer 'wide' \(Dense\) has float64, the model float32"),
    ],
)
def test_what_has_no_counterpart(tmp_path, layer, message):
    model = fastnn.Sequential([layers.Input((4,)), layers.Dense(2), layer()])
    with pytest.raises(ValueError, match=message):
        model.export_onnx(tmp_path / "m.onnx")
    assert not os.listdir(tmp_path)


def test_a_model_that_is_not_built(tmp_path):
    with pytest.raises(ValueError, match="is not built yet"):
        fastnn.Sequential([layers.Dense(2)]).export_onnx(tmp_path / "m.onnx")


def test_without_the_library_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    for name in ("onnx_library", "onnx_export"):
        monkeypatch.delitem(sys.modules, f"fastnn.interchange.{name}")
    with pytest.raises(ImportError, match=r"pip install 'fastnn-kernels\[onnx\]'"):
        model_of([layers.Tanh()]).export_onnx(tmp_path / "m.onnx")
