"""Layers, by Keras's names and arguments: weights, and a forward pass made of `fastnn.ops`."""

from .activation import ELU, BipolarSigmoid, LeakyReLU, PReLU, ReLU, Sigmoid, Softmax, Tanh
from .augmentation import (
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from .base import Layer
from .conv import Conv2D, DepthwiseConv2D, SeparableConv2D
from .core import Activation, Dense, Input, InputLayer, Rescaling
from .names import clear_session
from .normalization import BatchNormalization, LayerNormalization
from .pooling import (
    AveragePooling2D,
    AvgPool2D,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    GlobalMaxPooling2D,
    MaxPool2D,
    MaxPooling2D,
)
from .registry import deserialize, register_layer, serialize
from .regularization import Dropout
from .reshaping import Flatten, Reshape

__all__ = [
    "ELU",
    "Activation",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "BipolarSigmoid",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "PReLU",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "clear_session",
    "deserialize",
    "register_layer",
    "serialize",
]
