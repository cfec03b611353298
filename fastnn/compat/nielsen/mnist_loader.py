"""The book's ``mnist_loader.py``, from the MNIST that comes with this package instead of ``mnist.pkl.gz``."""

from __future__ import annotations

import numpy as np

from ...datasets import load_mnist
from ...kernels import gather
from .network2 import vectorized_result

__all__ = ["load_data", "load_data_wrapper", "vectorized_result"]


def load_data():
    """Return training, validation and test data: images (N, 784) of float32 from 0 to 255/256, and digits (N,).

    The 60,000 training images are divided into 50,000 and 10,000, in their order.
    """
    (x_train, y_train), (x_test, y_test) = load_mnist()
    images, digits = _images(x_train), y_train.astype(np.int64)
    return (images[:50000], digits[:50000]), (images[50000:], digits[50000:]), (_images(x_test), y_test.astype(np.int64))


def load_data_wrapper():
    """Return training, validation and test data as lists of pairs (x, y), x of shape (784, 1).

    y is a column (10, 1) with a 1 for the digit in the training data, the digit itself in the others.
    """
    training, validation, test = load_data()
    pairs = [(x.reshape(784, 1), vectorized_result(y)) for x, y in zip(*training, strict=True)]
    return pairs, _pairs(validation), _pairs(test)


def _images(bytes_):
    return gather(bytes_.reshape(len(bytes_), 784), np.arange(len(bytes_)), scale=1 / 256)


def _pairs(data):
    return [(x.reshape(784, 1), y) for x, y in zip(*data, strict=True)]
