"""Arrays that are on the GPU before and after: taken and given without a copy, on the simulated card."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import kernels, layers

from . import simulator


@pytest.fixture
def card():
    card, remove = simulator.install()
    yield card
    remove()


class Foreign:
    """An array of another library on the card; like CuPy's, it refuses to become one of NumPy by itself."""

    def __init__(self, card, array, strides=None):
        self.address = card.allocate(array.nbytes)
        array = np.ascontiguousarray(array)
        card.upload(self.address, array.ctypes.data, array.nbytes)
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (self.address, False),
            "strides": strides,
            "version": 3,
        }

    def __array__(self, *how, **more):
        raise TypeError("implicit conversion to a NumPy array is not allowed")


def trained(x, y):
    fastnn.set_seed(0)
    model = fastnn.Sequential([layers.Input((13,)), layers.Rescaling(1 / 255), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, batch_size=4, epochs=2, verbose=0).history
    return model, history


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_model_learns_and_predicts_where_the_data_are(card, monkeypatch, dtype):
    x = np.random.default_rng(0).integers(0, 256, (10, 13)).astype(dtype)
    y = np.arange(10) % 3
    with fastnn.use_backend("cuda"):
        model, history = trained(x, y)
        expected = model.predict(x, batch_size=4)
        there, labels = Foreign(card, x), Foreign(card, y)
        moved = []
        for name in ("upload", "download"):
            original = getattr(card, name)
            monkeypatch.setattr(card, name, lambda *args, original=original: (moved.append(args[2]), original(*args)))
        model, history_there = trained(there, labels)
        assert history_there == history
        assert x.nbytes not in moved
        model.predict(there, batch_size=4)
        moved.clear()
        pred = model.predict(there, batch_size=4)
        inputs_and_outputs = {size * n * k for size in (1, 4) for n in (2, 4) for k in (13, 3)} - {12}  # 12: a bias
        assert not inputs_and_outputs & set(moved)
        assert model.evaluate(there, labels, batch_size=4) == model.evaluate(x, y, batch_size=4)
        assert pred.shape == (10, 3)
        assert type(model.predict(Foreign(card, x[:4]))) is type(pred)
        assert type(model.predict(x[:4])) is np.ndarray, "of an array on the host the outputs are there"
        np.testing.assert_array_equal(np.asarray(pred), expected)


def test_functions_take_and_give_arrays_on_the_gpu(card):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 6, 5)).astype("float32"), rng.normal(size=(4, 3, 3, 3)).astype("float32")
    with fastnn.use_backend("cuda"):
        y = kernels.conv2d_forward(Foreign(card, x), Foreign(card, w), padding="same", data_format="channels_first")
        pooled, argmax = kernels.maxpool2d_forward(y, 2, data_format="channels_first")
        dy = kernels.maxpool2d_backward(pooled, argmax, (2, 4, 6, 5), data_format="channels_first")
    assert type(y).__name__ == type(pooled).__name__ == type(dy).__name__ == "DeviceArray"
    with fastnn.use_backend("numpy"):
        expected = kernels.conv2d_forward(x, w, padding="same", data_format="channels_first")
        np.testing.assert_allclose(np.asarray(y), expected, atol=1e-5)
        np.testing.assert_array_equal(
            np.asarray(pooled), kernels.maxpool2d_forward(np.asarray(y), 2, data_format="channels_first")[0]
        )
    np.testing.assert_allclose(np.asarray(dy).sum(), np.asarray(pooled).sum(), rtol=1e-5)


class TestDeviceArray:
    @pytest.fixture
    def a(self, card):
        with fastnn.use_backend("cuda"):
            yield kernels.relu_forward(Foreign(card, np.arange(-1, 11, dtype="float32").reshape(3, 4)))

    def test_others_see_its_memory(self, card, a):
        interface = a.__cuda_array_interface__
        assert {name: interface[name] for name in ("shape", "typestr", "strides", "version")} == {
            "shape": (3, 4), "typestr": "<f4", "strides": None, "version": 3,
        }  # fmt: skip
        address, readonly = interface["data"]
        assert not readonly
        card.from_address(address, np.float32)[1] = 7
        assert np.asarray(a)[0, 1] == 7
        seen = np.from_dlpack(a)  # of a simulated card, NumPy may see the memory
        seen[2, 3] = 8
        assert np.asarray(a)[2, 3] == 8

    def test_reshape_and_slices_are_views(self, a):
        host = np.asarray(a)
        for part, expected in [
            (a[1:], host[1:]), (a[-1:], host[-1:]), (a[2:1], host[2:1]), (a.reshape(-1), host.reshape(-1)),
            (a.reshape((2, -1))[1:], host.reshape(2, -1)[1:]), (a.reshape(3, 4, 1), host[..., None]),
        ]:  # fmt: skip
            assert part.shape == expected.shape
            np.testing.assert_array_equal(np.asarray(part), expected)
        assert a[1:].address == a.address + 16
        assert a.copy().address != a.address
        np.testing.assert_array_equal(np.asarray(a.copy()), host)
        assert np.asarray(a[3:].copy()).shape == (0, 4)
        with pytest.raises(ValueError, match=r"shape \(3, 4\) cannot have the shape \(5, -1\)"):
            a.reshape(5, -1)
        with pytest.raises(TypeError, match="one slice"):
            a[0]

    def test_its_memory_lasts_as_long_as_a_view_of_it(self, card):
        with fastnn.use_backend("cuda"):
            part = kernels.relu_forward(Foreign(card, np.ones((3, 4), "float32")))[1:].reshape(-1)
            before = len(card._memory)
            np.testing.assert_array_equal(np.asarray(part), np.ones(8))
            del part
        assert len(card._memory) == before - 1

    def test_numpy_copies_only_what_fits(self, a):
        with pytest.raises(ValueError, match=r"one shape and dtype.*\(3, 4\), float64 to \(3, 4\), float32"):
            np.copyto(a, np.zeros((3, 4)))
        with pytest.raises(ValueError, match="without a copy"):
            np.asarray(a, copy=False)
        with pytest.raises(TypeError, match="no implementation"):
            np.concatenate([a, a])


class TestBadInput:
    def test_the_backend_must_be_the_gpus(self, card):
        x = Foreign(card, np.ones((2, 3), "float32"))
        for use in (lambda: kernels.relu_forward(x), lambda: fastnn.Sequential([layers.Dense(2)]).predict(x)):
            with pytest.raises(ValueError, match=r"x is on a GPU, and the backend in use, '\w+', computes on the CPU"):
                use()

    def test_an_array_that_tells_by_dlpack_only(self):
        class Tensor:
            def __dlpack_device__(self):
                return 2, 0

        with pytest.raises(ValueError, match="x is on a GPU"):
            kernels.relu_forward(Tensor())

    def test_order_alignment_and_dtype(self, card):
        with fastnn.use_backend("cuda"):
            with pytest.raises(ValueError, match=r"^x is on the GPU and must be C-contiguous.*strides \(1, 2\)"):
                kernels.relu_forward(Foreign(card, np.ones((2, 2), "float32"), strides=(4, 8)))
            odd = Foreign(card, np.ones((2, 2), "float32"))
            odd.__cuda_array_interface__["data"] = odd.address + 2, False
            with pytest.raises(ValueError, match=r"^x is on the GPU and must be aligned there to its 4 bytes; got the address \d+"):
                kernels.relu_forward(odd)
            with pytest.raises(TypeError, match="arrays on the GPU are not converted: expected one of dtype float32; got int64"):
                kernels.relu_forward(Foreign(card, np.ones((2, 2), "int64")))
            with pytest.raises(
                TypeError, match="x is on the GPU and must have the model's dtype, float32, or uint8 there; got float64"
            ):
                fastnn.Sequential([layers.Dense(2)]).predict(Foreign(card, np.ones((2, 2))))
