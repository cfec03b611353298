"""Makes the files of other programs in this folder, with what those programs compute: ``python make.py``, by hand.

It needs what the tests do not: torch, onnxscript and keras. Made with torch 2.13.0 and keras 3.15.1.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import onnx
import torch
from keras import layers
from safetensors.torch import save_file
from torch import nn

FOLDER = Path(__file__).parent
RNG = np.random.default_rng(0)


class Net(nn.Module):
    """A network as people write it: modules by name, in another order than the alphabet's, and functions between them."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2, groups=2, bias=False)
        self.head = nn.Linear(6 * 3 * 2, 8)
        self.bn2 = nn.BatchNorm1d(8)
        self.classifier = nn.Linear(8, 3)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 2)
        x = torch.sigmoid(self.conv2(x))
        x = nn.functional.silu(self.bn2(self.head(x.view(x.size(0), -1))))
        return nn.functional.log_softmax(self.classifier(x), dim=1)


def row():
    """A row of modules, with numbers for names."""
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), bias=False),
        nn.PReLU(4),
        nn.AvgPool2d(2),
        nn.Dropout(),
        nn.Hardtanh(0, 6),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.LayerNorm(5),
        nn.GELU(),
        nn.Linear(5, 5),
        nn.LeakyReLU(0.1),
        nn.Linear(5, 5),
        nn.ELU(0.5),
        nn.Linear(5, 2, bias=False),
        nn.Softmax(-1),
    )


def from_torch(name, model, shape, **export):
    for tensor in model.state_dict().values():
        if tensor.dtype == torch.float32:
            tensor.copy_(torch.from_numpy(RNG.uniform(0.3, 1, tensor.shape) * RNG.choice([-1, 1], tensor.shape)))
    for key, tensor in model.state_dict().items():
        if key.endswith("running_var"):
            tensor.abs_()
    model.eval()
    x = torch.from_numpy(RNG.normal(size=(3, *shape)).astype(np.float32))
    path = FOLDER / f"{name}.onnx"
    torch.onnx.export(model, (x,), path, **export)
    made = onnx.load(path, load_external_data=False)
    for part in (made, made.graph, *made.graph.node, *made.graph.input, *made.graph.output, *made.graph.value_info):
        del part.metadata_props[:]  # where each line of the program stands
    onnx.save(made, path)
    save_file(model.state_dict(), FOLDER / f"{name}.safetensors")
    np.savez(FOLDER / f"{name}.npz", x=x.numpy(), y=model(x).detach().numpy())


def from_keras(name, hidden):
    model = keras.Sequential(
        [
            keras.Input((10, 8, 2)),
            layers.Rescaling(0.5, offset=-1),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.SeparableConv2D(5, 2, strides=2, padding="same", activation="tanh"),
            layers.Dropout(0.3),
            layers.Flatten(),
            *hidden,
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(RNG.uniform(0.3 if "variance" in weight.path else -1, 1, weight.shape))
    x = RNG.normal(size=(3, 10, 8, 2)).astype(np.float32)
    model.fit(x, np.zeros((3, 3)), verbose=0)
    np.savez(FOLDER / f"{name}.npz", x=x, y=model.predict(x, verbose=0))
    return model


if __name__ == "__main__":
    from_torch("torch_net", Net(), (1, 14, 12), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    from_torch("torch_row", row(), (2, 9, 9), dynamo=False)
    from_keras("keras_graph", [layers.Dense(6, activation="silu")]).export(
        FOLDER / "keras_graph.onnx", format="onnx", verbose=False
    )
    dense = [layers.Dense(6), layers.PReLU(), layers.LayerNormalization(), layers.Dense(4, use_bias=False)]
    model = from_keras("keras", dense)
    model.save(FOLDER / "keras.keras")
    model.save_weights(FOLDER / "keras.weights.h5")
