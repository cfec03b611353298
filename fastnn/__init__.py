"""fastnn: small neural networks, trained fast on an ordinary computer.

Keras's names, compiled kernels underneath: `Sequential` and `layers` to build and train models, `GradientTape` and `ops` for one's
own training loops, `kernels` for the bare arithmetic on arrays.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

if importlib.util.find_spec("fastnn.kernels") is None:
    # The shell stands in the root of the repository, where kernels/ lies beside fastnn/, not in it. The kernels that were compiled
    # are in the installed copy, which therefore gives all modules below this one.
    _here = os.path.dirname(os.path.abspath(__file__))
    _others = [path for path in sys.path if os.path.abspath(os.path.join(path, "fastnn")) != _here]
    _installed = importlib.machinery.PathFinder.find_spec("fastnn", _others)
    if _installed is None or _installed.origin is None:
        raise ImportError(f"fastnn is not installed; run `pip install -e .` in {os.path.dirname(_here)}", name="fastnn")
    __path__[:] = _installed.submodule_search_locations or []
    __file__ = _installed.origin

if TYPE_CHECKING:  # for editors and type checkers; at run time each name is imported at its first use
    from . import (
        activations,
        callbacks,
        datasets,
        initializers,
        interchange,
        kernels,
        layers,
        losses,
        metrics,
        ops,
        optimizers,
        plotting,
        regularizers,
        testing,
    )
    from .autodiff import GradientTape, Tensor, Variable, constant
    from .config import show_config
    from .custom import activation, loss, optimizer_step
    from .graphs import graph
    from .interchange import load_onnx
    from .kernels import use_backend
    from .kernels.precision import get_precision, set_precision
    from .kernels.threads import get_num_threads, set_num_threads
    from .layers import Input
    from .model import Sequential
    from .random import set_seed
    from .saving import load_model

__version__ = "0.1.0"

__all__ = [
    "GradientTape",
    "Input",
    "Sequential",
    "Tensor",
    "Variable",
    "activation",
    "activations",
    "callbacks",
    "constant",
    "datasets",
    "get_num_threads",
    "get_precision",
    "graph",
    "initializers",
    "interchange",
    "kernels",
    "layers",
    "load_model",
    "load_onnx",
    "loss",
    "losses",
    "metrics",
    "ops",
    "optimizer_step",
    "optimizers",
    "plotting",
    "regularizers",
    "set_num_threads",
    "set_precision",
    "set_seed",
    "show_config",
    "testing",
    "use_backend",
]

#: public name -> the module that defines it; the other public names are modules themselves
_HOMES = {
    "GradientTape": "autodiff",
    "Input": "layers",
    "Sequential": "model",
    "Tensor": "autodiff",
    "Variable": "autodiff",
    "activation": "custom",
    "loss": "custom",
    "optimizer_step": "custom",
    "constant": "autodiff",
    "get_num_threads": "kernels.threads",
    "get_precision": "kernels.precision",
    "graph": "graphs",
    "load_model": "saving",
    "load_onnx": "interchange",
    "set_num_threads": "kernels.threads",
    "set_precision": "kernels.precision",
    "set_seed": "random",
    "show_config": "config",
    "use_backend": "kernels",
}
#: modules that ``from fastnn import *`` leaves out: they need scikit-learn, or stand in for the code of courses
_APART = ("compat", "estimators")


def __getattr__(name: str) -> Any:
    if name not in __all__ and name not in _APART:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_HOMES.get(name, name)}", __name__)
    value = getattr(module, name) if name in _HOMES else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
