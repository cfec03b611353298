"""fastnn: `Sequential.fit` over the batches in order."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import layers

NAMES = {"fastnn": {"device": "cpu"}, "fastnn cuda": {"device": "cuda"}}


class Peer:
    """The network of a case."""

    def __init__(self, case, threads: int, device: str) -> None:
        fastnn.set_num_threads(threads)
        if device == "cuda":
            fastnn.use_backend("cuda")
            fastnn.set_precision(case.precision)
        made = [layers.Input(case.input_shape)]
        for layer in case.layers:
            match layer:
                case ("conv", filters, size, padding, activation):
                    made.append(layers.Conv2D(filters, size, padding=padding, activation=activation))
                case ("batchnorm",):
                    made.append(layers.BatchNormalization())
                case ("maxpool",):
                    made.append(layers.MaxPooling2D())
                case ("global_avgpool",):
                    made.append(layers.GlobalAveragePooling2D())
                case ("flatten",):
                    made.append(layers.Flatten())
                case ("dense", units, activation):
                    made.append(layers.Dense(units, activation=activation))
        self.model = fastnn.Sequential(made)
        loss = fastnn.losses.BinaryCrossentropy if case.classes == 1 else fastnn.losses.SparseCategoricalCrossentropy
        self.model.compile(fastnn.optimizers.SGD(case.learning_rate), loss(from_logits=True))
        for layer, start in zip(made[1:], case.weights(), strict=True):
            if start:
                layer.set_weights(start)
        self.x, self.y = case.data()
        if device == "cuda":
            from numba import cuda

            self.x = cuda.to_device(self.x)
        self.batch = case.batch
        self.place = 0

    def train(self, steps: int) -> None:
        """Make `steps` steps; `fit` is called once for whole rounds through the data and once for what is left."""
        round_length = len(self.x) // self.batch
        while steps:
            if self.place == 0 and steps >= round_length:
                rounds = steps // round_length
                self._fit(slice(None), rounds)
                steps -= rounds * round_length
            else:
                count = min(steps, round_length - self.place)
                self._fit(slice(self.place * self.batch, (self.place + count) * self.batch), 1)
                self.place = (self.place + count) % round_length
                steps -= count

    def _fit(self, part: slice, epochs: int) -> None:
        self.model.fit(self.x[part], self.y[part], batch_size=self.batch, epochs=epochs, shuffle=False, verbose=0)

    def loss(self) -> float:
        """Return the loss of the first batch as a training step computes it, with the weights as they are."""
        pred = self.model(self.x[: self.batch], training=True)
        return float(self.model.loss(self.y[: self.batch], pred))

    def loss_after(self, steps: int) -> float:
        """Return the loss of the first batch after so many steps."""
        self.train(steps)
        return self.loss()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch."""
        return self.model.predict(x)
