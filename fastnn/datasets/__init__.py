"""Data sets to learn and prototype with: those that come with the package, those of scikit-learn, any in IDX files, any pictures.

``load_mnist`` returns ``(x_train, y_train), (x_test, y_test)`` as Keras does, because MNIST has a fixed split. ``load_digits``,
``load_iris`` and ``load_boston`` return ``(x, y)`` as scikit-learn does, because they have none. ``image_folder`` returns batches
that are read while a model trains.
"""

from .classic import load_boston, load_digits, load_iris
from .folder import ImageFolder, image_folder
from .idx import read_idx
from .mnist import load_mnist

__all__ = ["ImageFolder", "image_folder", "load_boston", "load_digits", "load_iris", "load_mnist", "read_idx"]
