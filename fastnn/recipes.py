"""The networks that ``fastnn train`` knows by name, and the images and pictures that they learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import layers, optimizers
from .datasets import load_digits, load_mnist
from .datasets.mnist import Split
from .model import Sequential
from .optimizers import schedules


@dataclass(frozen=True)
class Images:
    """A data set of small grey images, uint8, ink bright on dark.

    Parameters
    ----------
    name : str
        What people call it.
    size : tuple of int
        Height and width.
    ink : tuple of int
        Height and width of the box that the ink of each image was scaled to fit when the data set was made.
    load : callable
        Returns ``(x_train, y_train), (x_test, y_test)``.
    """

    name: str
    size: tuple[int, int]
    ink: tuple[int, int]
    load: Callable[[], tuple[Split, Split]]
    channels = 1


@dataclass(frozen=True)
class Pictures:
    """Colour pictures of the user's own, in folders.

    Parameters
    ----------
    size : int
        Height and width that they are brought to, unless the user wants others.
    """

    size: int
    channels = 3


def load_digits_split() -> tuple[Split, Split]:
    """Load scikit-learn's digits, scaled to 0..255, every fifth of them for the test: 1,437 and 360 images of 8 x 8."""
    x, y = load_digits()
    images, labels = np.rint(x * (255 / 16)).astype(np.uint8), y.astype(np.uint8)
    test = np.arange(len(x)) % 5 == 0
    return (images[~test], labels[~test]), (images[test], labels[test])


MNIST = Images("MNIST", (28, 28), (20, 20), load_mnist)
DIGITS = Images("scikit-learn's digits", (8, 8), (8, 8), load_digits_split)
DATA_SETS = (MNIST, DIGITS)
CATS_DOGS = Pictures(128)


@dataclass(frozen=True)
class Recipe:
    """A network with the settings that train it well.

    Parameters
    ----------
    name, description : str
        What the command line calls it, and one line of help.
    images : Images or Pictures
        What it learns: images unless others are given, or pictures that have to be given.
    layers : callable
        Returns the hidden layers; scaling comes before them and the output layer after them.
    epochs, batch_size, optimizer, learning_rate
        How it is trained; the learning rate is the highest one, see `compile_for`.
    """

    name: str
    description: str
    images: Images | Pictures
    layers: Callable[[], list[Any]]
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float

    def build(self, size: tuple[int, int], classes: int) -> Sequential:
        """Return the network for raw uint8 images of this height and width: the scaling to [0, 1] is its first layer."""
        return Sequential(
            [
                layers.Input((*size, self.images.channels)),
                layers.Rescaling(1 / 255),
                *self.layers(),
                layers.Dense(classes, activation="softmax"),
            ],
            name=self.name,
        )


def compile_for(
    model: Sequential, samples: int, epochs: int, batch_size: int, optimizer: str, learning_rate: float | None = None
) -> None:
    """Compile a classifier whose learning rate rises in the first tenth of the steps and then falls to zero at the last one.

    It falls along half a cosine wave: a high rate for the way, a low one for the last digits of the accuracy.

    Parameters
    ----------
    model : Sequential
        The classifier.
    samples : int
        Number of training images.
    epochs, batch_size : int
        How the model will be trained.
    optimizer : str
        Its name.
    learning_rate : float, optional
        The highest rate; by default the optimizer's own.
    """
    chosen = optimizers.get(optimizer)
    highest = float(chosen.learning_rate) if learning_rate is None else learning_rate
    steps = epochs * -(-samples // batch_size)
    warmup = steps // 10
    chosen.learning_rate = schedules.CosineDecay(highest / 20, steps - warmup, warmup_target=highest, warmup_steps=warmup)
    model.compile(optimizer=chosen, loss="sparse_categorical_crossentropy", metrics=["accuracy"])


def _mnist_cnn() -> list[Any]:
    return [
        layers.Conv2D(32, 3, activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.25),
    ]


def _mnist_mlp() -> list[Any]:
    return [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(64, activation="relu")]


def _lenet() -> list[Any]:
    # LeCun et al. 1998, "Gradient-based learning applied to document recognition", with plain average pooling and a softmax
    return [
        layers.Conv2D(6, 5, padding="same", activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Conv2D(16, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(120, activation="tanh"),
        layers.Dense(84, activation="tanh"),
    ]


def _digits_cnn() -> list[Any]:
    return [layers.Conv2D(16, 3, activation="tanh"), layers.Flatten()]


def _cats_dogs() -> list[Any]:
    # the network of examples/labs/lab13_cats_and_dogs.py; a mirrored cat is a cat
    blocks: list[Any] = [layers.RandomFlip("horizontal")]
    for filters in (40, 72, 144, 220, 280):
        blocks += [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
        ]
    return [*blocks, layers.GlobalAveragePooling2D(), layers.Dense(96, activation="relu"), layers.Dropout(0.4)]


#: name -> recipe
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("mnist-cnn", "MNIST: two 3x3 convolutions, max-pooling, dropout", MNIST, _mnist_cnn, 3, 64, "adam", 0.002),
        Recipe("mnist-mlp", "MNIST: dense layers 784-128-64-10", MNIST, _mnist_mlp, 10, 64, "adam", 0.001),
        Recipe("lenet", "MNIST: LeNet-5 (1998)", MNIST, _lenet, 10, 64, "adam", 0.002),
        Recipe(
            "cats-dogs",
            "pictures in folders: five 3x3 convolutions, batch normalization",
            CATS_DOGS,
            _cats_dogs,
            15,
            32,
            "adam",
            0.001,
        ),
        Recipe("digits-cnn", "8x8 digits of scikit-learn: one 3x3 convolution", DIGITS, _digits_cnn, 30, 32, "adam", 0.003),
    )
}
