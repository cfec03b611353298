"""The networks and data of the comparison, in words that every peer can follow.

A layer is a tuple: ("conv", filters, kernel size, padding, activation), ("batchnorm",), ("maxpool",), ("global_avgpool",),
("flatten",), ("dense", units, activation). Images are (height, width, channels). The last dense layer gives logits of softmax
cross-entropy, or of sigmoid cross-entropy where it has one unit. Weights start from the same arrays, batches come in the same
order, the optimizer is plain SGD.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Parameters
    ----------
    name : str
        Its name on the command line.
    title : str
        Its name in the table.
    input_shape : tuple of int
        Shape of one sample.
    layers : tuple of tuple
        The network.
    batch : int
        Samples per step.
    kind : {"train", "predict"}
        What is timed: a training step, or the prediction of one batch, array in and array out.
    learning_rate : float
        Of SGD.
    target : float
        The ratio of the fastest peer's time to ours that we aim at.
    over : tuple of str
        The peers that `target` is measured against; empty for all.
    precision : {"float32", "tf32", "bf16"}
        How a GPU multiplies.
    check_steps : int
        Steps after which the losses are compared: few where rounding soon makes trainings differ.
    """

    name: str
    title: str
    input_shape: tuple[int, ...]
    layers: tuple[tuple, ...]
    batch: int
    target: float
    kind: str = "train"
    learning_rate: float = 0.01
    over: tuple[str, ...] = ()
    precision: str = "float32"
    check_steps: int = 8

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return self.layers[-1][1]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and labels: four batches, or 1,024 single samples."""
        rng = np.random.default_rng(1)
        samples = self.batch * (1024 if self.batch == 1 else 4)
        if self.name == "xor":
            return np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0], np.int32)
        x = rng.random((samples, *self.input_shape), dtype=np.float32)
        return x, rng.integers(0, max(self.classes, 2), samples).astype(np.int32)

    def weights(self) -> list[list[np.ndarray]]:
        """Return the start values of each layer's weights: filters (KH, KW, C, C_out), dense weights (in, out), biases 0."""
        rng = np.random.default_rng(0)
        shape, made = self.input_shape, []
        for layer in self.layers:
            shape, sizes = _next_shape(layer, shape)
            arrays = []
            if sizes is not None:
                scale = np.sqrt(2 / np.prod(sizes[:-1]))
                arrays = [(rng.standard_normal(sizes) * scale).astype(np.float32), np.zeros(sizes[-1], np.float32)]
            made.append(arrays)
        return made


def _next_shape(layer: tuple, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Return a layer's output shape and the shape of its weights, if it has any."""
    match layer:
        case ("conv", filters, size, padding, _):
            less = 0 if padding == "same" else size - 1
            return (shape[0] - less, shape[1] - less, filters), (size, size, shape[2], filters)
        case ("maxpool",):
            return (shape[0] // 2, shape[1] // 2, shape[2]), None
        case ("global_avgpool",):
            return (shape[2],), None
        case ("flatten",):
            return (int(np.prod(shape)),), None
        case ("dense", units, _):
            return (units,), (shape[0], units)
    return shape, None


MNIST_CNN = (
    ("conv", 32, 3, "valid", "relu"),
    ("conv", 64, 3, "valid", "relu"),
    ("maxpool",),
    ("flatten",),
    ("dense", 128, "relu"),
    ("dense", 10, "linear"),
)
LENET = (
    ("conv", 6, 5, "same", "tanh"),
    ("maxpool",),
    ("conv", 16, 5, "valid", "tanh"),
    ("maxpool",),
    ("flatten",),
    ("dense", 120, "tanh"),
    ("dense", 84, "tanh"),
    ("dense", 10, "linear"),
)
MLP = (("dense", 128, "relu"), ("dense", 64, "relu"), ("dense", 10, "linear"))
DIGITS_CNN = (("conv", 16, 3, "same", "tanh"), ("flatten",), ("dense", 10, "linear"))
XOR = (("dense", 2, "sigmoid"), ("dense", 1, "linear"))
CATS_DOGS = (
    *(
        layer
        for filters in (40, 72, 144, 220, 280)
        for layer in (("conv", filters, 3, "same", "relu"), ("batchnorm",), ("maxpool",))
    ),
    ("global_avgpool",),
    ("dense", 96, "relu"),
    ("dense", 1, "linear"),
)

CASES = {
    case.name: case
    for case in (
        Case("mnist-cnn", "MNIST CNN, batch 128", (28, 28, 1), MNIST_CNN, 128, 2.0),
        Case("lenet", "LeNet-5, batch 128", (28, 28, 1), LENET, 128, 2.0),
        Case("lenet-1", "LeNet-5, batch 1", (28, 28, 1), LENET, 1, 15.0, over=("torch",)),
        Case("mlp", "MLP 784-128-64-10, batch 128", (784,), MLP, 128, 1.6),
        Case("mlp-1", "MLP 784-128-64-10, batch 1", (784,), MLP, 1, 2.0),
        Case("digits-cnn-1", "digits CNN, batch 1", (8, 8, 1), DIGITS_CNN, 1, 50.0, over=("torch",)),
        Case("xor", "XOR 2-2-1, full batch", (2,), XOR, 4, 50.0, learning_rate=0.5, over=("numpy",)),
        Case("cats-dogs", "cats-and-dogs CNN, batch 8", (256, 256, 3), CATS_DOGS, 8, 2.0, check_steps=1),
        Case("predict-1", "predict one row, MLP", (784,), MLP, 1, 1.3, kind="predict", over=("numpy",)),
    )
}
