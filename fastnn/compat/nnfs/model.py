"""The book's `Model`: layers in a row, a loss, an optimizer and an accuracy."""

from __future__ import annotations

import copy
import pickle

import numpy as np

from ...kernels.functions.checks import integer
from .activations import Activation_Softmax
from .layers import Layer_Input
from .losses import Activation_Softmax_Loss_CategoricalCrossentropy, Loss_CategoricalCrossentropy


class Model:
    """Layers in a row: `add` them, `set` loss, optimizer and accuracy, `finalize`, then `train`, `evaluate`, `predict`."""

    def __init__(self):
        self.layers = []
        self.softmax_classifier_output = None

    def add(self, layer):
        """Append a layer or an activation."""
        self.layers.append(layer)

    def set(self, *, loss=None, optimizer=None, accuracy=None):
        """Set those of the three that are given."""
        if loss is not None:
            self.loss = loss
        if optimizer is not None:
            self.optimizer = optimizer
        if accuracy is not None:
            self.accuracy = accuracy

    def finalize(self):
        """Connect the layers: each has `prev` and `next`; those with weights become `trainable_layers`."""
        if not self.layers:
            raise ValueError("the model has no layers yet: add them before finalize")
        if not hasattr(self, "loss"):
            raise ValueError("the model has no loss yet: set(loss=..., optimizer=..., accuracy=...) before finalize")
        self.input_layer = Layer_Input()
        row = [self.input_layer, *self.layers, self.loss]
        for before, layer, after in zip(row, row[1:], row[2:], strict=False):
            layer.prev = before
            layer.next = after
        self.output_layer_activation = self.layers[-1]
        self.trainable_layers = [layer for layer in self.layers if hasattr(layer, "weights")]
        self.loss.remember_trainable_layers(self.trainable_layers)
        if isinstance(self.layers[-1], Activation_Softmax) and isinstance(self.loss, Loss_CategoricalCrossentropy):
            self.softmax_classifier_output = Activation_Softmax_Loss_CategoricalCrossentropy()

    def train(self, X, y, *, epochs=1, batch_size=None, print_every=1, validation_data=None):
        """Train on batches in the order of the data, and print loss and accuracy.

        Parameters
        ----------
        X, y : array_like
            Samples and targets; all in one batch where `batch_size` is None.
        epochs, batch_size, print_every : int
            `print_every` counts steps; the last step of an epoch is always printed.
        validation_data : (X, y), optional
            Evaluated after each epoch.
        """
        X, y = self._data(X, y)
        if not (hasattr(self, "optimizer") and hasattr(self, "accuracy")):
            raise ValueError("the model needs an optimizer and an accuracy to train: set(optimizer=..., accuracy=...)")
        self.accuracy.init(y)
        batches = _batches(len(X), batch_size)
        for epoch in range(1, epochs + 1):
            print(f"epoch: {epoch}")
            self.loss.new_pass()
            self.accuracy.new_pass()
            for step, rows in enumerate(batches):
                output = self.forward(X[rows], training=True)
                losses = self.loss.calculate(output, y[rows], include_regularization=True)
                accuracy = self.accuracy.calculate(self.output_layer_activation.predictions(output), y[rows])
                self.backward(output, y[rows])
                self.optimizer.pre_update_params()
                for layer in self.trainable_layers:
                    self.optimizer.update_params(layer)
                self.optimizer.post_update_params()
                if not step % print_every or step == len(batches) - 1:
                    self._report(f"step: {step}", accuracy, *losses)
            losses = self.loss.calculate_accumulated(include_regularization=True)
            self._report("training", self.accuracy.calculate_accumulated(), *losses)
            if validation_data is not None:
                self.evaluate(*validation_data, batch_size=batch_size)

    def evaluate(self, X_val, y_val, *, batch_size=None):
        """Print loss and accuracy, regularization not included."""
        X, y = self._data(X_val, y_val)
        self.loss.new_pass()
        self.accuracy.new_pass()
        for rows in _batches(len(X), batch_size):
            output = self.forward(X[rows], training=False)
            self.loss.calculate(output, y[rows])
            self.accuracy.calculate(self.output_layer_activation.predictions(output), y[rows])
        loss, accuracy = self.loss.calculate_accumulated(), self.accuracy.calculate_accumulated()
        print(f"validation, acc: {accuracy:.3f}, loss: {loss:.3f}")

    def predict(self, X, *, batch_size=None):
        """Return the outputs of the last layer, a row for each sample."""
        self._check_finalized()
        X = np.asarray(X)
        return np.vstack([self.forward(X[rows], training=False) for rows in _batches(len(X), batch_size)])

    def forward(self, X, training):
        """Send samples through all layers and return the output of the last."""
        self._check_finalized()
        self.input_layer.forward(X, training)
        for layer in self.layers:
            layer.forward(layer.prev.output, training)
        return self.layers[-1].output

    def backward(self, output, y):
        """Send the gradient of the loss back through all layers."""
        layers = self.layers
        if self.softmax_classifier_output is not None:
            self.softmax_classifier_output.backward(output, y)
            layers[-1].dinputs = self.softmax_classifier_output.dinputs
            layers = layers[:-1]
        else:
            self.loss.backward(output, y)
        for layer in reversed(layers):
            layer.backward(layer.next.dinputs)

    def get_parameters(self):
        """Return ``(weights, biases)`` of each trainable layer."""
        self._check_finalized()
        return [layer.get_parameters() for layer in self.trainable_layers]

    def set_parameters(self, parameters):
        """Set what `get_parameters` returned."""
        self._check_finalized()
        if len(parameters) != len(self.trainable_layers):
            raise ValueError(
                f"parameters must have (weights, biases) for each of the {len(self.trainable_layers)} trainable layers; "
                f"got {len(parameters)}"
            )
        for pair, layer in zip(parameters, self.trainable_layers, strict=True):
            layer.set_parameters(*pair)

    def save_parameters(self, path):
        """Pickle the parameters into a file."""
        with open(path, "wb") as file:
            pickle.dump(self.get_parameters(), file)

    def load_parameters(self, path):
        """Set the parameters from a file of `save_parameters`. A pickle can run any code: load only files you trust."""
        with open(path, "rb") as file:
            self.set_parameters(pickle.load(file))

    def save(self, path):
        """Pickle the model, without data and gradients, into a file."""
        model = copy.deepcopy(self)
        model.loss.new_pass()
        model.accuracy.new_pass()
        for part in (model.input_layer, *model.layers, model.loss):
            for name in ("inputs", "output", "dinputs", "dweights", "dbiases"):
                part.__dict__.pop(name, None)
        with open(path, "wb") as file:
            pickle.dump(model, file)

    @staticmethod
    def load(path):
        """Return the model from a file of `save`. A pickle can run any code: load only files you trust."""
        with open(path, "rb") as file:
            return pickle.load(file)

    def _report(self, what, accuracy, data_loss, regularization_loss):
        print(
            f"{what}, acc: {accuracy:.3f}, loss: {data_loss + regularization_loss:.3f} "
            f"(data_loss: {data_loss:.3f}, reg_loss: {regularization_loss:.3f}), lr: {self.optimizer.current_learning_rate}"
        )

    def _data(self, X, y):
        self._check_finalized()
        X, y = np.asarray(X), np.asarray(y)
        if len(X) != len(y):
            raise ValueError(f"X and y must have as many samples, a row for each; got {X.shape} and {y.shape}")
        return X, y

    def _check_finalized(self):
        if not hasattr(self, "input_layer"):
            raise ValueError("the model is not connected yet: call finalize() first")


def _batches(samples, batch_size):
    if batch_size is None:
        return [slice(None)]
    size = integer("batch_size", batch_size, low=1)
    return [slice(start, start + size) for start in range(0, samples, size)]
