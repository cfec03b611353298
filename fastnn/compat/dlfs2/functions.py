"""The book's ``common.functions``: those of volume 1 that volume 2 still has."""

import numpy as np  # noqa: F401 (the book's module passes it on)

from ..dlfs.functions import cross_entropy_error, relu, sigmoid, softmax  # noqa: F401
