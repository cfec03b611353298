"""TensorFlow: one tf.function per training step, on tf.nn ops."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

NAMES = {"tensorflow": {}}
ACTIVATIONS = {"linear": tf.identity, "relu": tf.nn.relu, "tanh": tf.tanh, "sigmoid": tf.sigmoid}


class Peer:
    """The network of a case."""

    def __init__(self, case, threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        layers, rate, binary = case.layers, case.learning_rate, case.classes == 1
        channels, made = case.input_shape[-1], []
        for layer, start in zip(layers, case.weights(), strict=True):
            if layer == ("batchnorm",):
                start = [np.ones(channels, np.float32), np.zeros(channels, np.float32)]
            elif start:
                channels = layer[1]
            made.append([tf.Variable(w) for w in start])
        flat = [w for layer in made for w in layer]

        def forward(x):
            for layer, w in zip(layers, made, strict=True):
                match layer:
                    case ("conv", _, _, padding, activation):
                        x = ACTIVATIONS[activation](tf.nn.bias_add(tf.nn.conv2d(x, w[0], 1, padding.upper()), w[1]))
                    case ("batchnorm",):
                        x = tf.compat.v1.nn.fused_batch_norm(x, w[0], w[1], epsilon=1e-3)[0]
                    case ("maxpool",):
                        x = tf.nn.max_pool2d(x, 2, 2, "VALID")
                    case ("global_avgpool",):
                        x = tf.reduce_mean(x, [1, 2])
                    case ("flatten",):
                        x = tf.reshape(x, [tf.shape(x)[0], -1])
                    case ("dense", _, activation):
                        x = ACTIVATIONS[activation](tf.nn.bias_add(tf.matmul(x, w[0]), w[1]))
            return x

        def loss(x, y):
            logits = forward(x)
            if binary:
                return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(y, tf.float32), logits[:, 0]))
            return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                value = loss(x, y)
            for w, g in zip(flat, tape.gradient(value, flat), strict=True):
                w.assign_sub(rate * g)

        self.step, self.loss_of, self.forward = step, tf.function(loss), tf.function(forward)
        x, y = case.data()
        parts = range(0, len(x), case.batch)
        self.batches = [(tf.constant(x[i : i + case.batch]), tf.constant(y[i : i + case.batch])) for i in parts]
        self.place = 0

    def train(self, steps: int) -> None:
        """Make `steps` steps."""
        for _ in range(steps):
            self.step(*self.batches[self.place])
            self.place = (self.place + 1) % len(self.batches)

    def loss(self) -> float:
        """Return the loss of the first batch, with the weights as they are."""
        return float(self.loss_of(*self.batches[0]))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs for a batch."""
        return self.forward(tf.constant(x)).numpy()
