"""With the weights that Keras and PyTorch saved, models compute what they compute there; other files change nothing."""

import io
import os
import pickle
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers
from fastnn.interchange import load_torch_weights
from fastnn.saving import ModelFileError
from tests.interchange.recorded import FILES, arrays

pytestmark = pytest.mark.filterwarnings("ignore:.*runs step by step in Python")

RNG = np.random.default_rng(5)
FUZZ = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def keras_model(units=6):
    return fastnn.Sequential(
        [
            layers.Input((10, 8, 2)),
            layers.Rescaling(0.5, offset=-1),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.SeparableConv2D(5, 2, strides=2, padding="same", activation="tanh"),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(units),
            layers.PReLU(),
            layers.LayerNormalization(),
            layers.Dense(4, use_bias=False),
            layers.Dense(3, activation="softmax"),
        ]
    )


def unchanged(model, read, error=ModelFileError, **match):
    """Assert that reading raises an error and leaves the weights as they are."""
    before = model.get_weights()
    with pytest.raises(error, **match):
        read()
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


# ---------------------------------------------------------------------------------- Keras


@pytest.mark.parametrize("name", ["keras.keras", "keras.weights.h5"])
def test_weights_of_keras(name):
    recorded = arrays("keras.npz")
    model = keras_model()
    model.load_weights(FILES / name)
    np.testing.assert_allclose(model.predict(recorded["x"]), recorded["y"], rtol=1e-5, atol=1e-6)


def hdf5(write):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        write(file)
    return content.getvalue()


def zipped(content, name="model.weights.h5", compression=zipfile.ZIP_STORED):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", compression) as file:
        file.writestr(name, content)
    return archive.getvalue()


def dense(file, kernel=((1.0, 2.0),), bias=(3.0, 4.0)):
    file["layers/dense/vars/0"] = np.array(kernel, np.float32)
    file["layers/dense/vars/1"] = np.array(bias, np.float32)


def small():
    return fastnn.Sequential([layers.Input((1,)), layers.Dropout(0.5), layers.Dense(2)])


def test_files_by_hand(tmp_path):
    for content in (hdf5(dense), zipped(hdf5(dense)), zipped(hdf5(dense), compression=zipfile.ZIP_DEFLATED)):
        (tmp_path / "w").write_bytes(content)
        model = small()
        model.load_weights(str(tmp_path / "w"))
        np.testing.assert_array_equal(model.layers[-1].kernel.data, [[1, 2]])
        np.testing.assert_array_equal(model.layers[-1].bias.data, [3, 4])


def external_link(file):
    dense(file)
    del file["layers/dense/vars/0"]
    file["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "/secret")


def soft_link(file):
    dense(file)
    file["layers/dense/vars/2"] = h5py.SoftLink("/layers/dense/vars/0")


def external_values(file):
    dense(file)
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (1, 2), np.float32, external=[("secret", 0, 8)])


def virtual(file):
    dense(file)
    del file["layers/dense/vars/0"]
    layout = h5py.VirtualLayout((1, 2), np.float32)
    layout[0] = h5py.VirtualSource("other.h5", "secret", (2,))
    file.create_virtual_dataset("layers/dense/vars/0", layout)


def compressed(file):
    dense(file)
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", data=np.ones((1, 2), np.float32), compression="gzip")


def huge(file):
    dense(file)
    del file["layers/dense/vars/0"]
    file.create_dataset("layers/dense/vars/0", (10**9, 10**9), np.float32, chunks=(100, 100))


def more(file):
    dense(file)
    file["layers/conv2d/vars/0"] = np.ones((3, 3, 1, 1))


BAD = {
    "nothing in it": (hdf5(lambda file: None), "does not have the layout of Keras 3"),
    "another layer": (hdf5(lambda file: file.create_group("layers/conv2d/vars")), "no weights 'dense' for layer .*; it has none"),
    "a layer more": (hdf5(more), "the layers conv2d too, which the model has not"),
    "another shape": (hdf5(lambda file: dense(file, [[1.0], [2.0]])), r"float32 of shape \(2, 1\); 'kernel' of .* shape \(1, 2\)"),
    "one weight": (hdf5(lambda file: file.create_dataset("layers/dense/vars/0", data=[[1.0, 2.0]])), "has 1 weights in it"),
    "integers": (hdf5(lambda file: [dense(file), file["layers/dense/vars"].move("0", "9")]), "no '0'"),
    "a huge array": (hdf5(huge), r"shape \(1000000000, 1000000000\)"),
    "a link out of the file": (hdf5(external_link), "no '0' in its '/layers/dense/vars'"),
    "a soft link": (hdf5(soft_link), "has 3 weights in it"),
    "values elsewhere": (hdf5(external_values), "lies in another file or is compressed"),
    "a virtual array": (hdf5(virtual), "lies in another file or is compressed"),
    "a compressed array": (hdf5(compressed), "lies in another file or is compressed"),
    "a text": (hdf5(lambda file: file.create_dataset("layers", data="text")), "w"),
    "a zip bomb": (zipped(bytes(10**7), compression=zipfile.ZIP_DEFLATED), "would take 10,000,000 bytes, in a file of"),
    "a zip of something else": (zipped(b"{}", "config.json"), "no item named 'model.weights.h5'"),
    "a zip that leads out": (zipped(hdf5(dense), "../model.weights.h5"), "no item named"),
    "a pickle of PyTorch": (zipped(b"", "archive/data.pkl"), "is a pickle, which can run any code .* safetensors.torch.save_file"),
    "half a file": (hdf5(dense)[:1000], "holds no weights of Keras"),
    "half a zip": (zipped(hdf5(dense))[:1000], "w"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_files_of_keras_that_do_not_fit(tmp_path, monkeypatch, memory_below, name):
    monkeypatch.chdir(tmp_path)
    content, message = BAD[name]
    (tmp_path / "secret").write_bytes(np.ones(2, np.float32).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones((1, 2), np.float32)
    (tmp_path / "w").write_bytes(content)
    model = small()
    with memory_below(2_000_000):
        unchanged(model, lambda: model.load_weights(tmp_path / "w"), match=message)


def test_another_model_of_keras():
    model = keras_model(units=7)
    unchanged(model, lambda: model.load_weights(FILES / "keras.keras"), match=r"weight 0 of 'dense' is float32 of shape \(10, 6\)")


def test_without_h5py_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    monkeypatch.delitem(sys.modules, "fastnn.interchange.keras_weights", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'fastnn-kernels\[keras\]'"):
        keras_model().load_weights(FILES / "keras.weights.h5")


@FUZZ
@given(
    name=st.sampled_from(["keras.keras", "keras.weights.h5"]), flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)))
)
def test_flipped_bytes_in_a_file_of_keras(tmp_path_factory, name, flips):
    content = bytearray((FILES / name).read_bytes())
    for place, mask in flips:
        content[place % len(content)] ^= mask
    path = tmp_path_factory.getbasetemp() / "flipped"
    path.write_bytes(content)
    try:
        keras_model().load_weights(path)
    except ModelFileError as error:
        assert "flipped" in str(error)


# -------------------------------------------------------------------------------- PyTorch


def net(data_format, flatten=None):
    """The network of files/make.py, in either layout; of a channels_first one, rows can be in either order."""
    shape = (14, 12, 1) if data_format == "channels_last" else (1, 14, 12)
    return fastnn.Sequential(
        [
            layers.Input(shape),
            layers.Conv2D(4, 3, padding=1, data_format=data_format),
            layers.BatchNormalization(axis=-1 if data_format == "channels_last" else 1, epsilon=1e-5),
            layers.ReLU(),
            layers.MaxPooling2D(2, data_format=data_format),
            layers.Conv2D(6, 3, strides=2, groups=2, use_bias=False, activation="sigmoid", data_format=data_format),
            layers.Flatten(flatten),
            layers.Dropout(0.5),
            layers.Dense(8),
            layers.BatchNormalization(epsilon=1e-5),
            layers.Activation("silu"),
            layers.Dense(3, activation="log_softmax"),
        ]
    )


MODULES = ["conv1", "bn1", "conv2", "head", "bn2", "classifier"]


@pytest.mark.parametrize("data_format, flatten", [("channels_last", None), ("channels_first", None), ("channels_first",) * 2])
def test_weights_of_modules_with_names(data_format, flatten):
    recorded = arrays("torch_net.npz")
    model = net(data_format, flatten)
    load_torch_weights(model, FILES / "torch_net.safetensors", MODULES)
    x = recorded["x"] if data_format == "channels_first" else recorded["x"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(model.predict(x), recorded["y"], rtol=1e-5, atol=1e-5)


def test_weights_of_a_row_of_modules():
    recorded = arrays("torch_row.npz")
    model = fastnn.Sequential(
        [
            layers.Input((9, 9, 2)),
            layers.Conv2D(4, (3, 2), use_bias=False),
            layers.PReLU(shared_axes=(1, 2)),
            layers.AveragePooling2D(2),
            layers.ReLU(max_value=6),
            layers.BatchNormalization(epsilon=1e-5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5),
            layers.LayerNormalization(epsilon=1e-5),
            layers.Activation("gelu"),
            layers.Dense(5),
            layers.LeakyReLU(0.1),
            layers.Dense(5),
            layers.ELU(0.5),
            layers.Dense(2, use_bias=False, activation="softmax"),
        ]
    )
    load_torch_weights(model, str(FILES / "torch_row.safetensors"))  # modules 1 to 15, which an alphabet would put in another order
    np.testing.assert_allclose(model.predict(recorded["x"].transpose(0, 2, 3, 1)), recorded["y"], rtol=1e-5, atol=1e-6)


def f(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def saved(tmp_path, **tensors):
    (tmp_path / "t").write_bytes(safetensors.numpy.save({name.replace("__", "."): array for name, array in tensors.items()}))
    return tmp_path / "t"


def test_rows_behind_a_flatten_that_models_share(tmp_path):
    flatten = layers.Flatten()
    fastnn.Sequential([layers.Input((2, 2, 2)), flatten])
    model = fastnn.Sequential([layers.Input((2, 3, 4)), flatten, layers.Dense(2, use_bias=False)])
    weight, x = f(2, 24), f(5, 2, 3, 4)
    load_torch_weights(model, saved(tmp_path, weight=weight), data_format="channels_last")
    np.testing.assert_allclose(model.predict(x), x.transpose(0, 3, 1, 2).reshape(5, 24) @ weight.T, rtol=1e-4, atol=1e-4)


def test_rows_behind_flatten_by_hand(tmp_path):
    # behind Flatten, but before the dense layer, features are in the order of the rows too; a bias never is
    model = fastnn.Sequential([layers.Input((2, 3, 4)), layers.Flatten(), layers.LayerNormalization(), layers.Dense(24)])
    gamma, beta, weight, bias = f(24), f(24), f(24, 24), f(24)
    path = saved(tmp_path, **{"0__weight": gamma, "0__bias": beta, "1__weight": weight, "1__bias": bias})
    unchanged(
        model, lambda: load_torch_weights(model, path), match=r"images of shape \(2, 3, 4\); tell their layout, as in data_format="
    )
    unchanged(model, lambda: load_torch_weights(model, path, data_format="NHWC"), ValueError, match="got 'NHWC'")
    with pytest.raises(TypeError, match="got a dict: safetensors.torch.save_file"):
        load_torch_weights(model, {"0.weight": np.zeros(3)})
    load_torch_weights(model, path, data_format="channels_last")
    x = f(5, 2, 3, 4)
    rows = x.transpose(0, 3, 1, 2).reshape(5, 24)  # as PyTorch flattens
    rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-3) * gamma + beta
    np.testing.assert_allclose(model.predict(x), rows @ weight.T + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape, data_format", [((3, 4, 5), "channels_first"), ((3, 4, 5), "channels_last"), ((4, 5, 1), None)])
def test_rows_of_images_that_are_flattened_at_once(tmp_path, shape, data_format):
    model = fastnn.Sequential([layers.Input(shape), layers.Reshape((-1,)), layers.Dense(2)])
    weight, bias, x = f(2, np.prod(shape)), f(2), f(3, *shape)
    load_torch_weights(model, saved(tmp_path, weight=weight, bias=bias), data_format=data_format)
    images = x if data_format == "channels_first" else x.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(model.predict(x), images.reshape(3, -1) @ weight.T + bias, rtol=1e-4, atol=1e-5)


def test_depthwise_and_separable_convolutions(tmp_path):
    model = fastnn.Sequential(
        [layers.Input((5, 5, 3)), layers.DepthwiseConv2D(2, depth_multiplier=2), layers.SeparableConv2D(4, 2, depth_multiplier=2)]
    )
    depthwise, bias, inner, point, last = f(6, 1, 2, 2), f(6), f(12, 1, 2, 2), f(4, 12, 1, 1), f(4)
    tensors = {"a__weight": depthwise, "a__bias": bias, "b__weight": inner, "c__weight": point, "c__bias": last}
    load_torch_weights(model, saved(tmp_path, **tensors), ["a", "b", "c"])
    x = f(2, 5, 5, 3)

    def grouped(x, weight):  # filter o sees channel o // multiplier
        out = np.zeros((*[n - 1 for n in x.shape[1:3]], len(weight)), np.float32)[None].repeat(len(x), 0)
        for o, filters in enumerate(weight):
            for i in range(2):
                for j in range(2):
                    out[..., o] += (
                        x[:, i : i + out.shape[1], j : j + out.shape[2], o * x.shape[3] // len(weight)] * filters[0, i, j]
                    )
        return out

    expected = grouped(grouped(x, depthwise) + bias, inner) @ point[:, :, 0, 0].T + last
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "modules, message",
    [
        (
            None,
            r"do not tell their order; .* modules=\['conv1', 'fc1'\]: there are .*'conv1' \(bias \(4,\), weight \(4, 1, 3, 3\)\)",
        ),
        (MODULES[:-1], "6 modules are needed, for conv2d.*; there are 'bn1'"),
        ([*MODULES[:-1], "tail"], "modules names 'tail'; there are 'bn1'"),
        (
            ["conv1", "bn1", "conv2", "head", "classifier", "bn2"],
            r"'weight' of module 'classifier' becomes float32 of shape \(8, 3\)",
        ),
        (
            ["conv1", "bn2", "conv2", "head", "bn1", "classifier"],
            r"'weight' of module 'bn2' becomes float32 of shape \(8,\); 'gamma'",
        ),
        (["head", "bn1", "conv2", "conv1", "bn2", "classifier"], r"'weight' of module 'head' becomes .* shape \(36, 8\); 'kernel'"),
        (["conv1", "bn1", "classifier", "head", "bn2", "classifier"], "becomes"),
    ],
)
def test_modules_that_do_not_fit(modules, message):
    model = net("channels_last")
    read = lambda: load_torch_weights(model, FILES / "torch_net.safetensors", modules)  # noqa: E731
    unchanged(model, read, match=f"torch_net.safetensors' does not fit model .*{message}")


def test_what_is_no_model_or_file():
    model = net("channels_last")
    with pytest.raises(TypeError, match="path must be the safetensors file of a state dict; got a Sequential"):
        load_torch_weights("net.safetensors", model)
    with pytest.raises(TypeError, match=r"modules must be a list of names, such as \['fc1'\]; got 'fc1'"):
        load_torch_weights(model, FILES / "torch_net.safetensors", "fc1")
    with pytest.raises(ValueError, match="model 'new' is not built yet"):
        load_torch_weights(fastnn.Sequential([layers.Dense(2)], name="new"), FILES / "torch_net.safetensors")


def test_weights_without_a_place(tmp_path):
    model = fastnn.Sequential([layers.Input((2,)), layers.Dense(3, use_bias=False)])
    path = saved(tmp_path, weight=f(3, 2), bias=f(3))
    unchanged(model, lambda: load_torch_weights(model, path), match="has no place for .bias")
    path = saved(tmp_path, weight=np.ones((3, 2), np.int64))
    unchanged(model, lambda: load_torch_weights(model, path), match="becomes int64")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_pickles_are_never_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small()
    for content in (pickle.dumps(Bomb()), zipped(pickle.dumps(Bomb()), "archive/data.pkl")):
        Path("m.pt").write_bytes(content)
        unchanged(model, lambda: load_torch_weights(model, "m.pt"), match="'m.pt' is a pickle, .*safetensors.torch.save_file")
        unchanged(model, lambda: model.load_weights("m.pt"))
    assert os.listdir() == ["m.pt"]


def test_fastnn_says_who_reads_the_weights_of_pytorch():
    model = net("channels_last")
    unchanged(
        model, lambda: model.load_weights(FILES / "torch_net.safetensors"), match="interchange.load_torch_weights reads those"
    )


@FUZZ
@given(flips=st.lists(st.tuples(st.integers(0, 10**4), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes_in_a_file_of_pytorch(tmp_path_factory, flips):
    content = bytearray((FILES / "torch_net.safetensors").read_bytes())
    for place, mask in flips:
        content[place % len(content)] ^= mask
    path = tmp_path_factory.getbasetemp() / "flipped"
    path.write_bytes(content)
    try:
        load_torch_weights(net("channels_last"), path, MODULES)
    except ModelFileError as error:
        assert "flipped" in str(error)
