"""JAX: one jitted function per training step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

NAMES = {"jax": {}}
ACTIVATIONS = {"linear": lambda x: x, "relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}


class Peer:
    """The network of a case."""

    def __init__(self, case, threads: int) -> None:
        layers, rate, binary = case.layers, case.learning_rate, case.classes == 1
        self.weights = [
            [jnp.ones(before), jnp.zeros(before)] if layer == ("batchnorm",) else [jnp.asarray(w) for w in start]
            for layer, start, before in zip(layers, case.weights(), _channels(case), strict=True)
        ]

        def forward(weights, x):
            for layer, w in zip(layers, weights, strict=True):
                match layer:
                    case ("conv", _, _, padding, activation):
                        dims = ("NHWC", "HWIO", "NHWC")
                        x = lax.conv_general_dilated(x, w[0], (1, 1), padding.upper(), dimension_numbers=dims)
                        x = ACTIVATIONS[activation](x + w[1])
                    case ("batchnorm",):
                        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
                        x = w[0] * (x - mean) * lax.rsqrt(var + 1e-3) + w[1]
                    case ("maxpool",):
                        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
                    case ("global_avgpool",):
                        x = x.mean((1, 2))
                    case ("flatten",):
                        x = x.reshape(len(x), -1)
                    case ("dense", _, activation):
                        x = ACTIVATIONS[activation](x @ w[0] + w[1])
            return x

        def loss(weights, x, y):
            logits = forward(weights, x)
            if binary:
                z = logits[:, 0]
                return jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))

        def step(weights, x, y):
            return jax.tree.map(lambda w, g: w - rate * g, weights, jax.grad(loss)(weights, x, y))

        self.step = jax.jit(step, donate_argnums=0)
        self.loss_of, self.forward = jax.jit(loss), jax.jit(forward)
        x, y = case.data()
        parts = range(0, len(x), case.batch)
        self.batches = [(jnp.asarray(x[i : i + case.batch]), jnp.asarray(y[i : i + case.batch])) for i in parts]
        self.place = 0

    def train(self, steps: int) -> None:
        """Make `steps` steps."""
        for _ in range(steps):
            self.weights = self.step(self.weights, *self.batches[self.place])
            self.place = (self.place + 1) % len(self.batches)
        jax.block_until_ready(self.weights)

    def loss(self) -> float:
        """Return the loss of the first batch, with the weights as they are."""
        return float(self.loss_of(self.weights, *self.batches[0]))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch."""
        return np.asarray(self.forward(self.weights, x))


def _channels(case) -> list[int]:
    """Return the number of channels before each layer."""
    channels, before = case.input_shape[-1], []
    for layer in case.layers:
        before.append(channels)
        if layer[0] in ("conv", "dense"):
            channels = layer[1]
    return before
