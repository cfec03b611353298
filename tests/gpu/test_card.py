"""On a real card; `tests/kernels/test_conformance.py` compares every op there as well (pytest -m gpu)."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest

import fastnn
from fastnn import recipes

pytestmark = pytest.mark.gpu


def train(backend, name, optimizer="adam", epochs=1, images=4000):
    with fastnn.use_backend(backend):
        fastnn.set_seed(0)
        (x, y), test = fastnn.datasets.load_mnist()
        # in black all numbers of a window are equal, and rounding alone decides which is the largest and learns
        x = np.maximum(x, np.random.default_rng(0).integers(0, 32, x.shape, dtype=np.uint8))
        model = recipes.RECIPES[name].build(x.shape[1:], 10)
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x[:images], y[:images], batch_size=128, epochs=epochs, verbose=0)
        return model.get_weights(), model.evaluate(test[0][:2000], test[1][:2000])


@pytest.mark.parametrize(("name", "images"), [("mnist-mlp", 4000), ("mnist-cnn", 300)])  # maxima make much of little, step by step
def test_a_training_agrees_with_the_cpu(name, images):
    weights, (loss, accuracy) = train("cython", name, fastnn.optimizers.SGD(0.05), images=images)
    gpu_weights, (gpu_loss, gpu_accuracy) = train("cuda", name, fastnn.optimizers.SGD(0.05), images=images)
    assert abs(gpu_loss - loss) < 1e-3 * loss
    assert abs(gpu_accuracy - accuracy) < 0.01
    for ours, theirs in zip(gpu_weights, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_the_same_seed_gives_the_same_bits():
    first, second = (train("cuda", "mnist-cnn", epochs=2)[0] for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.tobytes() == other.tobytes()


def test_arrays_of_other_libraries_are_taken_and_given_where_they_are():
    from cuda.core.utils import StridedMemoryView
    from numba import cuda

    x = np.random.default_rng(0).normal(size=(300, 20)).astype("float32")
    model = fastnn.Sequential([fastnn.layers.Input((20,)), fastnn.layers.Dense(7, activation="tanh")])
    expected = model.predict(x)
    with fastnn.use_backend("cuda"):
        there = cuda.to_device(x)
        pred = model.predict(there)
        np.testing.assert_allclose(np.asarray(pred), expected, atol=1e-5)
        np.testing.assert_array_equal(cuda.as_cuda_array(pred).copy_to_host(), np.asarray(pred))
        for view in (
            StridedMemoryView.from_dlpack(pred, stream_ptr=-1),
            StridedMemoryView.from_cuda_array_interface(pred, stream_ptr=-1),
        ):
            assert (view.ptr, view.shape, view.dtype) == (pred.address, pred.shape, pred.dtype)
        again = fastnn.kernels.tanh_forward(StridedMemoryView.from_dlpack(pred, stream_ptr=-1))
        np.testing.assert_allclose(np.asarray(again), np.tanh(np.asarray(pred)), atol=1e-5)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_was_forked_says_how_to_start_it():
    def use(results):
        model = held.pop()  # its memory on the card is not this process's
        try:
            model.predict(x)
        except RuntimeError as error:
            results.put(str(error))

    x = np.ones((4, 3), "float32")
    held = [fastnn.Sequential([fastnn.layers.Input((3,)), fastnn.layers.Dense(2)])]
    with fastnn.use_backend("cuda"):
        expected = held[0].predict(x)
        model = held[0]
        fork = multiprocessing.get_context("fork")
        results = fork.Queue()
        child = fork.Process(target=use, args=(results,))
        child.start()
        assert "get_context('spawn')" in results.get(timeout=60)
        child.join()
        np.testing.assert_array_equal(model.predict(x), expected)


@pytest.mark.parametrize(("precision", "error"), [("tf32", 1e-3), ("bf16", 8e-3)])
def test_tensor_cores_round_as_they_say(precision, error):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(200, 300)).astype("float32"), rng.normal(size=(300, 70)).astype("float32")
    with fastnn.use_backend("cuda"):
        fastnn.set_precision(precision)
        rounded = fastnn.kernels.matmul(x, w)
        fastnn.set_precision("float32")
        exact = fastnn.kernels.matmul(x, w)
    assert np.linalg.norm(exact - x @ w) < 1e-5 * np.linalg.norm(x @ w)
    assert 1e-5 < np.linalg.norm(rounded - x @ w) / np.linalg.norm(x @ w) < error
