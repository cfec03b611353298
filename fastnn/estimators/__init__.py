"""Networks as scikit-learn estimators, for pipelines, grid searches and cross-validation.

`MLPClassifier` and `MLPRegressor` have the parameters, the defaults and the attributes of scikit-learn's, and train to the same
weights; they add batch normalization, dropout, activations of one's own, class weights, callbacks and more losses. `CNNClassifier`
and `CNNRegressor` are convolutional networks for images with these parameters, `PerceptronClassifier` is Rosenblatt's, and
`NetworkClassifier` and `NetworkRegressor` take any `fastnn.Sequential`.
"""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError("fastnn.estimators needs scikit-learn: pip install 'fastnn-kernels[sklearn]'") from error

from .cnn import CNNClassifier, CNNRegressor
from .mlp import MLPClassifier, MLPRegressor
from .perceptron import PerceptronClassifier
from .sequential import NetworkClassifier, NetworkRegressor

__all__ = [
    "CNNClassifier",
    "CNNRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "PerceptronClassifier",
]
