"""Networks as scikit-learn estimators, for pipelines, grid searches and cross-validation.

`MLPClassifier` and `MLPRegressor` have the parameters, the defaults and the attributes of scikit-learn's, and train to the same
weights; they add `dropout`, `dtype`, `class_weight` and more losses.
"""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError("fastnn.estimators needs scikit-learn: pip install 'fastnn-kernels[sklearn]'") from error

from .mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
