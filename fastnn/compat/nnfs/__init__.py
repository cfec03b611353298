"""Neural Networks from Scratch in Python (nnfs.io): the book's classes, and its package `nnfs` (`init`, `datasets`).

``from fastnn.compat.nnfs import *`` takes the place of the classes that a script of the book defines. Methods have the arguments
of the last chapter; `training`, which came with chapter 18, may be left out.

Different from the book, on purpose: the gradient of `Loss_MeanAbsoluteError` has the sign with which training lowers the loss (the
book's raises it), and a cross-entropy of labels whose shape NumPy would broadcast in silence raises an error.
"""

from . import datasets
from .accuracy import Accuracy, Accuracy_Categorical, Accuracy_Regression
from .activations import Activation_Linear, Activation_ReLU, Activation_Sigmoid, Activation_Softmax
from .core import init
from .layers import Layer_Dense, Layer_Dropout, Layer_Input
from .losses import (
    Activation_Softmax_Loss_CategoricalCrossentropy,
    Loss,
    Loss_BinaryCrossentropy,
    Loss_CategoricalCrossentropy,
    Loss_MeanAbsoluteError,
    Loss_MeanSquaredError,
)
from .model import Model
from .optimizers import Optimizer_Adagrad, Optimizer_Adam, Optimizer_RMSprop, Optimizer_SGD

__all__ = [
    "Accuracy",
    "Accuracy_Categorical",
    "Accuracy_Regression",
    "Activation_Linear",
    "Activation_ReLU",
    "Activation_Sigmoid",
    "Activation_Softmax",
    "Activation_Softmax_Loss_CategoricalCrossentropy",
    "Layer_Dense",
    "Layer_Dropout",
    "Layer_Input",
    "Loss",
    "Loss_BinaryCrossentropy",
    "Loss_CategoricalCrossentropy",
    "Loss_MeanAbsoluteError",
    "Loss_MeanSquaredError",
    "Model",
    "Optimizer_Adagrad",
    "Optimizer_Adam",
    "Optimizer_RMSprop",
    "Optimizer_SGD",
    "datasets",
    "init",
]
