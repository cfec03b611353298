"""The launches of whole networks, executed by NumPy on the simulated card's memory: what is planned, not how kernels compute it.

Each step's arrays are looked up where the plan put them, and the reference computes the step there. So this judges the places in
memory, what is copied when, which calls become one launch, on networks that the simulator would take minutes for.
"""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import layers, recipes
from fastnn.kernels.backends import kernels_of

from . import simulator


@pytest.fixture
def card(monkeypatch):
    card, remove = simulator.install()
    from fastnn.kernels.numba_gpu import program
    from fastnn.kernels.numba_gpu.launch import Array

    def compute(steps):
        for step in steps:
            for args in step.calls:
                views = [card.view(arg) if isinstance(arg, Array) else arg for arg in args]
                kernels_of("numpy")[step.op](*views)

    def run_one(kernel, *args):
        kernels_of("numpy")[kernel.op.name](*args)

    def run(self, times):
        if times < 1:
            return
        if self._graph is None:
            self._images = program.Images(self._calls, self._temporary)
            self._graph = program.plan(self._calls, self._images)
            self._kept = program.place(self._graph)
            planned.append(self._graph)
        self._images.upload()
        for _ in range(times):
            compute(self._graph)
        self._images.download()

    planned: list = []
    card.planned = planned
    monkeypatch.setattr(program.Kernel, "__call__", run_one)
    monkeypatch.setattr(program.Program, "run", run)
    yield card
    remove()


def train(backend, build, x, y, optimizer):
    with fastnn.use_backend(backend):
        fastnn.set_seed(0)
        model = build()
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, batch_size=4, epochs=1, verbose=0, validation_data=(x[:5], y[:5])).history
        return history, model.get_weights()


def cats_and_dogs():
    """A network with batch normalization, pooling of both kinds and dropout, on small images."""
    return fastnn.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            *(
                layer
                for filters in (8, 12)
                for layer in (
                    layers.Conv2D(filters, 3, padding="same"),
                    layers.BatchNormalization(),
                    layers.Activation("relu"),
                    layers.MaxPooling2D(2),
                )
            ),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )


def pooled():
    """A network whose only dense layer follows a pooling of whole images."""
    convolution = [layers.Input((6, 6, 1)), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="tanh")]
    return fastnn.Sequential([*convolution, layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")])


NETWORKS = {
    "mnist-mlp": (lambda: recipes.RECIPES["mnist-mlp"].build((28, 28), 10), (28, 28)),
    "mnist-cnn": (lambda: recipes.RECIPES["mnist-cnn"].build((28, 28), 10), (28, 28)),
    "cats-and-dogs": (cats_and_dogs, (16, 16, 3)),
    "pooled": (pooled, (6, 6, 1)),
}


@pytest.mark.parametrize(
    ("name", "optimizer"), [("mnist-mlp", "sgd"), ("mnist-cnn", "adam"), ("cats-and-dogs", "rmsprop"), ("pooled", "adam")]
)
def test_networks_agree_with_the_cpu(card, name, optimizer):
    build, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (6, *shape), dtype=np.uint8), rng.integers(0, 10, 6)
    history, weights = train("numpy", build, x, y, optimizer)
    planned_history, planned_weights = train("cuda", build, x, y, optimizer)
    assert planned_history == history
    # the steps of SGD that are part of a gradient on the CPU round once less
    for ours, theirs in zip(planned_weights, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-7 if optimizer == "sgd" else 0)


def test_batch_normalization_activation_and_pooling_are_one_kernel(card):
    build, shape = NETWORKS["cats-and-dogs"]
    train("cuda", build, np.zeros((8, *shape), np.uint8), np.zeros(8, np.int32), "sgd")
    steps = {step.op: step for step in card.planned[0]}
    assert not [name for name in steps if name.startswith(("relu_forward", "maxpool2d", "batchnorm_forward", "batchnorm_backward"))]
    sums = 2
    assert len(steps["conv2d_forward"].launches) == 1 + sums, "it gives mean and variance besides"
    assert len(steps["batchnorm_maxpool_forward"].launches) == 1
    assert len(steps["batchnorm_maxpool_backward"].launches) == sums + 1


def test_the_parameters_of_a_network_are_updated_by_one_launch(card):
    build, shape = NETWORKS["mnist-cnn"]
    x, y = np.zeros((8, *shape), np.uint8), np.zeros(8, np.int32)
    train("cuda", build, x, y, "adam")
    (updates,) = [step for step in card.planned[0] if step.op == "adam_step"]
    assert len(updates.calls) == 8
    assert len(updates.launches) == 1
    assert len({array.address for array in updates.launches[0].by_address}) == 8 * len("gwmv")


def test_the_launches_of_a_small_network(card):
    from fastnn.kernels.numba_gpu.joined import joined

    build, shape = NETWORKS["mnist-mlp"]
    train("cuda", build, np.zeros((8, *shape), np.uint8), np.zeros(8, np.int32), "adam")
    launches = joined(launch for step in card.planned[0] for launch in step.launches)
    begin = ["begin_step", "gather_int32"]
    images, layers_, gradients, updates = 1, 3, 5, 1
    loss_and_metrics = 1
    assert [step.op for step in card.planned[0]][:2] == begin
    assert len(launches) == 1 + images + layers_ + loss_and_metrics + gradients + updates
