"""Pictures of trainings, networks and answers, drawn by matplotlib: ``pip install 'fastnn-kernels[plot]'``.

Each picture is a Display, as in scikit-learn. It is made and drawn by a class method that is named after what it takes
(``from_history``, ``from_model``, ``from_estimator``, ``from_predictions``), holds what it shows in attributes, and can be drawn
again by ``plot(ax=...)``. What was drawn stays within reach, to be changed: ``figure_``, ``ax_`` (``axes_`` where there are
several) and the artists, in attributes that end with an underscore. Without `ax` it draws into a new figure of pyplot's.

The network of a fitted estimator of `fastnn.estimators` is its ``model_``, which the displays of models take.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time each name is imported at its first use
    from .activation import ActivationDisplay
    from .confusion_matrix import ConfusionMatrixDisplay
    from .decision_boundary import DecisionBoundaryDisplay
    from .feature_maps import FeatureMapsDisplay
    from .filters import FiltersDisplay
    from .histograms import HistogramsDisplay
    from .history import HistoryDisplay
    from .misclassified import MisclassifiedDisplay
    from .network import NetworkDisplay

#: name -> the module that defines it; the last two are for the package itself
_HOMES = {
    "ActivationDisplay": "activation",
    "ConfusionMatrixDisplay": "confusion_matrix",
    "DecisionBoundaryDisplay": "decision_boundary",
    "FeatureMapsDisplay": "feature_maps",
    "FiltersDisplay": "filters",
    "HistogramsDisplay": "histograms",
    "HistoryDisplay": "history",
    "MisclassifiedDisplay": "misclassified",
    "NetworkDisplay": "network",
    "draw_graph": "graph",
    "live_figure": "live",
}
__all__ = [
    "ActivationDisplay",
    "ConfusionMatrixDisplay",
    "DecisionBoundaryDisplay",
    "FeatureMapsDisplay",
    "FiltersDisplay",
    "HistogramsDisplay",
    "HistoryDisplay",
    "MisclassifiedDisplay",
    "NetworkDisplay",
]
#: library -> the extra that installs it
_EXTRAS = {"matplotlib": "plot", "grandalf": "plot", "sklearn": "sklearn"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        library = str(error.name).split(".")[0]
        if library not in _EXTRAS:
            raise
        raise ImportError(f"{name} needs {library}: pip install 'fastnn-kernels[{_EXTRAS[library]}]'") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
