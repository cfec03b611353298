"""The book's ``common.optimizer``: the rules of volume 1, on lists of parameters and gradients."""

import numpy as np  # noqa: F401 (the book's module passes it on)

from ..dlfs.optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop  # noqa: F401
